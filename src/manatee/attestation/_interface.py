"""What every verifier is given and what it answers (RFC 9334: Verifier, Attestation Result)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from manatee.errors import AppraisalRefusedError
from manatee.records import Base64, Digest, DigestText, Evidence, Record, Tier


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


def check(name: str, title: str, passed: bool, *, good: str, bad: str) -> Check:
    """Make a check from a truth value and the two reasons."""
    return Check(name, title, Mark.PASSED if passed else Mark.FAILED, good if passed else bad)


@dataclass(frozen=True)
class Claims:
    """What accepted evidence says about a guest, in the same words for every kind."""

    runtime_digest: Digest
    job_digest: Digest
    debug: bool
    issued_at: datetime


class ReferenceValues(Record, frozen=True, kw_only=True):
    """What a relying party holds evidence against. Empty means that nothing is accepted.

    Attributes:
        runtime_digests: Measurements of runtimes that may get keys.
        roots: Evidence kind to the root certificates (DER, base64) trusted for it.
    """

    runtime_digests: tuple[DigestText, ...]
    roots: dict[str, tuple[Base64, ...]]


@dataclass(frozen=True)
class AttestationResult:
    """Outcome of an appraisal: the checks, and what may be believed if all of them passed.

    `claims` is None unless the signature chain held. The caller must still check that
    `claims.job_digest` is the job it means, and that `tier` meets its policy.
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
    """Appraises one kind of evidence. Opens no file and no connection; time is an argument."""

    kind: str
    media_type: str
    tier: Tier

    def appraise(
        self,
        evidence: Evidence,
        *,
        at: datetime,
        expected_binding: bytes,
        reference_values: ReferenceValues,
        max_age_seconds: int | None,
    ) -> AttestationResult:
        """Appraise evidence.

        Args:
            evidence: As received; untrusted.
            at: The moment to judge validity at.
            expected_binding: What `records.binding` gives for this session.
            reference_values: The relying party's.
            max_age_seconds: Oldest evidence accepted at `at`; None where a nonce alone settles
                freshness, as in a run bundle read years later.

        Raises:
            MalformedError: The bytes are not evidence of this kind.
        """
