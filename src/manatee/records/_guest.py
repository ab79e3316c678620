"""What stands between a guest and its host: the plan in, events and one result out.

The guest channel is HTTP over one socket that only the guest's executor can reach (a unix socket
under the sandbox backend; vsock for a machine):

    POST /v1/evidence                      EvidenceRequest  -> Evidence     (the TEE device)
    POST /v1/brokers/{broker_id}/challenge ChallengeRequest -> Challenge    (relayed, unread)
    POST /v1/brokers/{broker_id}/release   ReleaseRequest   -> ReleaseAnswer (relayed, unread)
    POST /v1/events                        GuestEvent       -> 204
    PUT  /v1/outputs                       age bytes, at most the class's output_bytes -> 204
    PUT  /v1/result                        GuestResult      -> 204, once, last

Neither side believes the other: the host parses every byte strictly and caps every size, and the
guest takes from the host nothing that is not bound by digest or by evidence.
"""

from typing import Annotated, Literal

import msgspec

from manatee.records._base import Base64, Count, Name, Record
from manatee.records._datasets import DatasetManifest
from manatee.records._digests import DigestText
from manatee.records._evidence import Evidence, ReleaseAnswer
from manatee.records._jobs import JobManifest, SignedApproval
from manatee.records._outputs import ExitStatus, OutputPolicy, ResultManifest

Phase = Literal["starting", "attesting", "opening", "running", "output_check", "sealing"]


class GuestPlan(Record, frozen=True, kw_only=True):
    """`plan.json` in the guest: the job and what else the executor needs to carry it out."""

    format_version: Literal[1] = 1
    manifest: JobManifest
    attempt: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    datasets: tuple[DatasetManifest, ...]
    output_policy: OutputPolicy
    approvals: tuple[SignedApproval, ...] = ()


EvidenceKind = Literal["simulated", "tpm2"]
"""Kinds of evidence a host's device makes for its guest."""


class EvidenceRequest(Record, frozen=True, kw_only=True):
    """Asks the TEE device for evidence of one kind; a device of another kind refuses.

    Attributes:
        kind: What the job's backend promises; nothing else is taken.
        data: The binding in the form of that kind: 64 bytes of report data, or a 32-byte nonce.
    """

    kind: EvidenceKind
    data: Base64


class GuestEvent(Record, frozen=True, kw_only=True):
    """Progress, for people. Carries no text the researcher's code can choose."""

    seq: Count
    phase: Phase
    cell: Count | None = None
    """Code cell now running or just run, from 1."""
    cells_total: Count | None = None
    cell_state: Literal["started", "finished"] | None = None


class BrokerSession(Record, frozen=True, kw_only=True):
    """One broker's part in the run, kept for the run bundle."""

    broker_id: Name
    nonce: Base64
    session_key: Base64
    evidence: tuple[Evidence, ...]
    answer: ReleaseAnswer


class RunPredicate(Record, frozen=True, kw_only=True):
    """Predicate of the in-toto Statement that a run signs."""

    manifest: JobManifest
    attempt: Count
    datasets: tuple[DatasetManifest, ...]
    output_policy: OutputPolicy
    approvals: tuple[SignedApproval, ...]
    result: ResultManifest
    key_releases: tuple[BrokerSession, ...]
    insecure_settings: tuple[str, ...]


class GuestResult(Record, frozen=True, kw_only=True):
    """The last thing a guest says.

    A run that attested carries `envelope` (DSSE, JSON) and `evidence` of purpose `result`; a
    rehearsal or an early failure carries neither and proves nothing.
    """

    job_digest: DigestText
    attempt: Count
    exit: ExitStatus
    envelope: Base64 | None = None
    evidence: Evidence | None = None
