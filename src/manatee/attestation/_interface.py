"""What every verifier is given and what it answers (RFC 9334: Verifier, Attestation Result)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Protocol, TypeVar

from manatee.attestation._endorsements import Endorsements
from manatee.attestation._expected import ExpectedBinding
from manatee.attestation._reference import ReferenceValues
from manatee.errors import AppraisalRefusedError
from manatee.records import Digest, Evidence, Tier

T = TypeVar("T")


GPU_KINDS = frozenset({"nvidia-gpu", "nvidia-nras"})
"""Evidence that never stands alone: a GPU is part of a machine that is attested itself."""


class Mark(Enum):
    """Outcome of one check."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not-applicable"


@dataclass(frozen=True)
class Check:
    """One named check with a reason a person can act on."""

    name: str
    title: str
    mark: Mark
    reason: str


def not_applicable(name: str, title: str, reason: str) -> Check:
    """Make a check that this evidence or these reference values do not call for."""
    return Check(name, title, Mark.NOT_APPLICABLE, reason)


def check(name: str, title: str, passed: bool, *, good: str, bad: str) -> Check:
    """Make a check from a truth value and the two reasons."""
    return Check(name, title, Mark.PASSED if passed else Mark.FAILED, good if passed else bad)


@dataclass(frozen=True, kw_only=True)
class Claims:
    """What accepted evidence says, in the same words for every kind.

    Attributes:
        runtime_digest: The runtime that was measured, or that a reference value says the measured
            image holds. None: unknown, and whoever needs to know must refuse.
        job_digest: The job, where it was measured. None: the job is bound through the binding
            only, by an executor whose image was measured.
        debug: Whether somebody can look into the guest.
        issued_at: When the evidence says it was made. None: undated; only the nonce settles
            freshness.
        migration: Whether another machine or agent may take the guest over.
        measurements: Name to lower-case hexadecimal: `measurement`, `mrtd`, `rtmr0`, `pcr0`, …
        tcb: Component to security version number: `microcode`, `snp`, `pce`, …
        tcb_status: The vendor's word for the platform's patch level, or empty.
        advisories: The vendor's open advisories for this platform.
        vmpl: Privilege level of whoever asked (SEV-SNP), or None.
        chip_id: Which chip, lower-case hexadecimal, or empty.
        platform: Product or hardware model, or empty.
        collateral_from: When the oldest piece of collateral used was issued, or None.
        details: The kind's own typed claims, for people and tools.
    """

    runtime_digest: Digest | None = None
    job_digest: Digest | None = None
    debug: bool
    issued_at: datetime | None
    migration: bool = False
    measurements: Mapping[str, str] = field(default_factory=dict)
    tcb: Mapping[str, int] = field(default_factory=dict)
    tcb_status: str = ""
    advisories: tuple[str, ...] = ()
    vmpl: int | None = None
    chip_id: str = ""
    platform: str = ""
    collateral_from: datetime | None = None
    details: object = None


@dataclass(frozen=True)
class AttestationResult:
    """Outcome of an appraisal: the checks, and what may be believed if all of them passed.

    `claims` is None unless the signature chain held. The caller must still check that
    `claims.job_digest`, if there is one, is the job it means, that `claims.runtime_digest` is
    there and the runtime it means, and that `tier` meets its policy.
    """

    kind: str
    tier: Tier
    claims: Claims | None
    checks: tuple[Check, ...]

    @property
    def accepted(self) -> bool:
        """Whether there was at least one check and none failed."""
        return bool(self.checks) and all(item.mark is not Mark.FAILED for item in self.checks)

    def require(self) -> Claims:
        """Return the claims of accepted evidence.

        Raises:
            AppraisalRefusedError: A check failed; the message names the first.
        """
        for item in self.checks:
            if item.mark is Mark.FAILED:
                raise AppraisalRefusedError(f"{self.kind} evidence: [{item.name}] {item.reason}")
        if self.claims is None or not self.checks:
            raise AppraisalRefusedError(f"{self.kind} evidence: [appraisal] nothing was checked.")
        return self.claims


class Verifier(Protocol):
    """Appraises one kind of evidence. Opens no file and no connection; time is an argument.

    A verifier may state `max_payload_bytes`; without it the callers' 64 KiB hold.
    """

    kind: str
    media_type: str

    def appraise(
        self,
        evidence: Evidence,
        *,
        at: datetime,
        expected_binding: ExpectedBinding,
        reference_values: ReferenceValues,
        endorsements: Endorsements,
        max_age_seconds: int | None,
    ) -> AttestationResult:
        """Appraise evidence.

        The tier is computed. Every check that can still be made after a failed one is made, so
        that a person sees all reasons at once.

        Args:
            evidence: As received; untrusted.
            at: The moment to judge validity at, UTC.
            expected_binding: What the field chosen by the guest must hold.
            reference_values: The relying party's. A kind it does not name is refused.
            endorsements: Vendors' statements: the evidence's own and the relying party's
                collateral; all untrusted until their signatures hold.
            max_age_seconds: Oldest evidence accepted at `at`, for kinds that are dated; None
                where a nonce alone settles freshness, as in a run bundle read years later.

        Raises:
            MalformedError: The bytes are not evidence of this kind.
            AppraisalUnavailableError: Collateral that the appraisal needs is missing.
        """


def first_refusal(work: Callable[[], T]) -> tuple[T | None, str]:
    """Run one step that raises its refusal, for a check that wants the reason as text."""
    try:
        return work(), ""
    except AppraisalRefusedError as error:
        return None, error.message
