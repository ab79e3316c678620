"""What NVIDIA states about one GPU beside its report: manifests, and whether it revoked anything.

Something that is missing is told apart from something that is wrong: the first may be fetched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from manatee.attestation._certificates import Path
from manatee.attestation._endorsements import Endorsements
from manatee.attestation._gpu.manifest import Manifest, read_manifest
from manatee.attestation._gpu.reference import GpuReference
from manatee.attestation._gpu.revocation import Missing, answer_name, answered
from manatee.errors import AppraisalRefusedError, MalformedError

T = TypeVar("T")

MANIFEST = "rim/"
"""Prefix of a manifest's name among the endorsements; NVIDIA's id follows."""


@dataclass(frozen=True)
class Looked:
    """The outcome of looking at one piece of collateral.

    Attributes:
        refused: Why it is refused; empty if it is not.
        missing: Name of what would have to be fetched; empty if nothing is missing.
    """

    refused: str = ""
    missing: str = ""

    @property
    def good(self) -> bool:
        """Whether nothing is wrong or missing."""
        return not self.refused and not self.missing


def outcome(work: Callable[[], T]) -> tuple[T | None, Looked]:
    """Run one step on collateral; bytes that cannot be read are as bad as wrong ones."""
    try:
        return work(), Looked()
    except (AppraisalRefusedError, MalformedError) as error:
        return None, Looked(refused=error.message)


def find_manifest(
    identifier: str,
    version: str,
    family: str,
    endorsements: Endorsements,
    roots: Sequence[bytes],
    *,
    at: datetime,
) -> tuple[Manifest | None, Looked]:
    """Return the manifest of a version, verified.

    Args:
        identifier: NVIDIA's id.
        version: What the report says is running.
        family: First two letters of the chip.
        endorsements: Where it is looked for, as `rim/<id>`.
        roots: Pinned roots, DER.
        at: The moment its certificates must be valid at.

    Raises:
        AttestationError: A library is not installed.
    """
    data = endorsements.documents.get(MANIFEST + identifier)
    if data is None:
        return None, Looked(missing=MANIFEST + identifier)

    def read() -> Manifest:
        manifest = read_manifest(data, roots, at=at)
        if manifest.version.lower() != version.lower() or not manifest.chip.startswith(family):
            raise AppraisalRefusedError("the manifest is of another version or product.")
        return manifest

    return outcome(read)


def check_revocation(
    device: Path,
    manifests: Sequence[Path],
    conditions: GpuReference,
    endorsements: Endorsements,
    *,
    at: datetime,
) -> tuple[datetime | None, Looked]:
    """Ask of every certificate below the roots whether its issuer revoked it.

    A device's signing key was certified by its own boot ROM, which answers nobody. An answer for
    it is not asked for; one that is there counts like any other.

    Args:
        device: The device's path.
        manifests: Paths of the manifests' signers.
        conditions: Whether answers must be there, and how old they may be.
        endorsements: Where answers are looked for.
        at: The moment they must hold at.

    Returns:
        When the oldest answer was given, or None without answers; and the outcome.
    """
    above = {
        answer_name(lower): (lower, path.certificates[place + 1 :])
        for path in (device, *manifests)
        for place, lower in enumerate(path.certificates[:-1])
    }
    dates: list[datetime] = []
    missing: list[str] = []
    for lower, upper in above.values():
        given, looked = outcome(
            lambda lower=lower, upper=upper: answered(  # type: ignore[misc]
                lower,
                upper,
                endorsements.documents,
                at=at,
                max_age=timedelta(seconds=conditions.max_revocation_age_seconds),
            )
        )
        if looked.refused:
            return None, looked
        if isinstance(given, datetime):
            dates.append(given)
        elif isinstance(given, Missing) and lower != device.leaf:
            missing.append(given.name)
    wanted = missing if conditions.require_revocation_status else []
    return min(dates, default=None), Looked(missing=next(iter(wanted), ""))
