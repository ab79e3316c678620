"""What may leave the guest, what was checked, and how a run ended."""

from enum import Enum
from typing import Annotated, Literal

import msgspec

from manatee.errors import ManifestError
from manatee.records._base import Count, Name, Record
from manatee.records._commitments import OutputEntry
from manatee.records._comparison import TwinReport
from manatee.records._datasets import FileEntry
from manatee.records._digests import DigestText


class OutputPolicy(Record, frozen=True, kw_only=True):
    """The provider's rules for outputs; its digest stands in the job manifest."""

    format_version: Literal[1] = 1
    name: Name
    max_total_bytes: Count
    max_files: Count
    max_cell_text_characters: Count
    allowed_mime_types: tuple[str, ...]
    """MIME types of cell outputs that may leave; an unlisted one stops the release."""
    allowed_file_types: tuple[str, ...]
    """Endings of declared output files that may leave, with the dot."""
    row_match_margin_bits: Count
    """A line that shares log2(n_records) + this many bits with one private row is that row."""
    release: Literal["automatic", "reviewer"]
    """`automatic`: checked outputs leave at once. `reviewer`: a person of the provider decides."""
    reviewers: Annotated[tuple[str, ...], msgspec.Meta(max_length=16)] = ()
    """age recipients (`age1…`) of those who decide. With `reviewer` the guest seals the outputs to
    them and not to the researcher, for whom one of them seals them again."""


def check_output_policy(policy: OutputPolicy) -> None:
    """Check what types cannot say.

    Raises:
        ManifestError: Somebody is to decide and nobody can, or the other way round; a reviewer is
            no age recipient or stands twice.
    """
    if (policy.release == "reviewer") != bool(policy.reviewers):
        raise ManifestError(
            "an output policy names reviewers if and only if its release is 'reviewer'."
        )
    if len(set(policy.reviewers)) != len(policy.reviewers):
        raise ManifestError("the output policy names the same reviewer twice.")
    if not all(item.startswith("age1") for item in policy.reviewers):
        raise ManifestError("reviewers must be age recipients (age1…).")


def recipients_of(manifest_recipients: tuple[str, ...], policy: OutputPolicy) -> tuple[str, ...]:
    """Return to whom the guest of a secure run seals its outputs."""
    return policy.reviewers if policy.release == "reviewer" else manifest_recipients


class Cause(Enum):
    """Why a run failed: all that is ever said outside the guest, beside cell, line and class."""

    CELL_ERROR = "cell_error"
    KERNEL_DIED = "kernel_died"
    MEMORY = "memory"
    CPU_TIME = "cpu_time"
    TIME = "time"
    DISK = "disk"
    PROCESSES = "processes"
    OUTPUT_POLICY = "output_policy"
    OUTPUT_SIZE = "output_size"
    WORKSPACE = "workspace"
    DATA = "data"
    KEY_DENIED = "key_denied"
    ATTESTATION = "attestation"
    BROKER = "broker"
    GUEST_LOST = "guest_lost"
    BACKEND = "backend"
    CANCELLED = "cancelled"
    CHECKS = "checks"
    REVIEW = "review"
    INTERNAL = "internal"


class ExitStatus(Record, frozen=True, kw_only=True):
    """How the notebook ended. Safe to show to anyone: no message, no value."""

    succeeded: bool
    cells_run: Count
    cells_total: Count
    cause: Cause | None = None
    cell: Count | None = None
    """Number of the failing code cell, from 1."""
    line: Count | None = None
    exception_class: str | None = None
    """A class from a fixed list of known names, else `Exception`: a name the researcher's code
    can choose freely would be a way out for data."""
    check: str | None = None
    """Name of the failed check (output check, or the key broker's)."""


class OutputCheck(Record, frozen=True, kw_only=True):
    """One disclosure check and what came of it."""

    name: Name
    title: str
    passed: bool
    reason: str
    """Safe to show: numbers of cells, files and lines, never a value."""


class DisclosureRecord(Record, frozen=True, kw_only=True):
    """All checks made on the outputs of one run, inside the guest."""

    format_version: Literal[1] = 1
    policy_digest: DigestText
    checks: tuple[OutputCheck, ...]


class ResultManifest(Record, frozen=True, kw_only=True):
    """What one run produced. The evidence of purpose `result` binds its digest."""

    format_version: Literal[1] = 1
    job_digest: DigestText
    exit: ExitStatus
    outputs: Annotated[tuple[OutputEntry, ...], msgspec.Meta(max_length=128)]
    """Commitments to the outputs in the clear, as the recipients will see them."""
    sealed_outputs: FileEntry | None
    """The same and the commitments' salt, as one age file; None where nothing may leave."""
    disclosure: DisclosureRecord
    twin_reports: Annotated[tuple[TwinReport, ...], msgspec.Meta(max_length=32)] = ()
    """What was measured of the real tables; empty unless the manifest asks for it."""
