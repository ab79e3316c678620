"""What was established about a request before policy is asked.

Nothing here is a claim: every value was verified or counted by trusted code. What is unknown is
None or left out, and becomes a value in Cedar that no floor, ceiling or allow-list accepts
(`_vocabulary`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from manatee.records import DatasetManifest, JobManifest, SignedApproval, Tier


@dataclass(frozen=True, kw_only=True)
class EvidenceFacts:
    """What accepted evidence says of the guest, in the same words for every kind.

    Attributes:
        kind: Of evidence, such as `sev-snp`.
        debug: Whether somebody can look into the guest; such a guest gets nothing.
        migration: Whether somebody may take the guest over; such a guest gets nothing.
        measurements: Name to lower-case hexadecimal; empty if there are none.
        platform: Product, or empty.
        chip_id: Lower-case hexadecimal, or empty.
        tcb: Component to security version number. Cedar sees those of `TCB_COMPONENTS`.
        tcb_status: The vendor's word, or empty.
        advisories: The vendor's open ones. None: the vendor names none for this kind of
            evidence, which is not the same as an empty list.
        vmpl: SEV-SNP privilege level, or None.
        collateral_age_seconds: Age of the oldest collateral used, or None.
        gpu: Whether GPU evidence of the same session was appraised and accepted too.
    """

    kind: str
    debug: bool
    migration: bool
    measurements: Mapping[str, str]
    platform: str = ""
    chip_id: str = ""
    tcb: Mapping[str, int]
    tcb_status: str = ""
    advisories: tuple[str, ...] | None = None
    vmpl: int | None = None
    collateral_age_seconds: int | None = None
    gpu: bool = False


@dataclass(frozen=True)
class ReleaseFacts:
    """One request for the keys of some data sets.

    Attributes:
        manifest: The job; its digest was compared with the one the evidence is bound to.
        job_digest: Digest of `manifest`.
        datasets: Whose keys are asked for.
        approvals: As received; counted here, valid ones only.
        tier: As computed by the verifier.
        at: Now, UTC.
        insecure_settings: Settings the broker was started with whose name says insecure.
        evidence: None is refused.
        attempt: Of this job, from 1. None: unknown.
        organisation: Of the researcher, or None if nobody vouches for one.
        earlier_uses: Data set name to how often its key went to this researcher for this
            project before. A data set that is left out is unknown, not unused.
        epsilon_micro_left: Data set name to the privacy budget left, in millionths of epsilon. A
            data set that is left out has no budget.
    """

    manifest: JobManifest
    job_digest: str
    datasets: tuple[DatasetManifest, ...]
    approvals: Iterable[SignedApproval]
    tier: Tier
    at: datetime
    insecure_settings: tuple[str, ...]
    evidence: EvidenceFacts | None = None
    attempt: int | None = None
    organisation: str | None = None
    earlier_uses: Mapping[str, int] | None = None
    epsilon_micro_left: Mapping[str, int] | None = None
