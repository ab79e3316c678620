"""What evidence says of the guest that asks: one machine's, and its GPU's beside it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from manatee.attestation import (
    GPU_KINDS,
    AttestationResult,
    Claims,
    Endorsements,
    ExpectedBinding,
    Mark,
    ReferenceValues,
    appraise,
    max_payload_bytes,
)
from manatee.errors import (
    AppraisalRefusedError,
    AppraisalUnavailableError,
    KeyDeniedError,
    ManateeError,
)
from manatee.policy import EvidenceFacts
from manatee.records import Evidence

ADVISORY_KINDS = frozenset({"intel-tdx"})
"""Kinds of evidence whose vendor names open advisories: for them, none is an answer."""


@dataclass(frozen=True)
class Guest:
    """An accepted guest. `claims` are the machine's."""

    result: AttestationResult
    claims: Claims
    gpu: bool

    def facts(self, at: datetime) -> EvidenceFacts:
        """Return what policy is told of it."""
        claims = self.claims
        age = None
        if claims.collateral_from is not None:
            age = int((at - claims.collateral_from).total_seconds())
        return EvidenceFacts(
            kind=self.result.kind,
            debug=claims.debug,
            migration=claims.migration,
            measurements=claims.measurements,
            platform=claims.platform,
            chip_id=claims.chip_id,
            tcb=claims.tcb,
            tcb_status=claims.tcb_status,
            advisories=claims.advisories if self.result.kind in ADVISORY_KINDS else None,
            vmpl=claims.vmpl,
            collateral_age_seconds=age,
            gpu=self.gpu,
        )


def appraise_guest(
    evidence: tuple[Evidence, ...],
    *,
    kind: str,
    at: datetime,
    bound: bytes,
    reference_values: ReferenceValues,
    endorsements: Endorsements,
    max_age_seconds: int,
) -> Guest:
    """Appraise everything a guest sent: exactly one machine, and at most one GPU.

    Args:
        evidence: As received.
        kind: Of the machine's evidence, as the challenge was asked for.
        at: Now.
        bound: The binding of this session: all evidence must carry it.
        reference_values: The broker's.
        endorsements: The broker's collateral.
        max_age_seconds: Oldest evidence accepted, where it is dated.

    Raises:
        KeyDeniedError: Something was refused; `check` names the first check that failed.
    """
    machines: list[AttestationResult] = []
    gpus: list[AttestationResult] = []
    for item in evidence:
        result = _appraised(
            item, at, bound, reference_values, endorsements, max_age_seconds=max_age_seconds
        )
        (gpus if result.kind in GPU_KINDS else machines).append(result)
    if len(machines) != 1 or len(gpus) > 1:
        raise KeyDeniedError("evidence", "evidence of one machine and at most one GPU is expected.")
    (machine,) = machines
    if machine.kind != kind:
        raise KeyDeniedError("kind", "the challenge was asked for another kind of evidence.")
    if machine.claims is None:
        raise KeyDeniedError("evidence", "the evidence says nothing.")
    return Guest(machine, machine.claims, bool(gpus))


def _appraised(
    evidence: Evidence,
    at: datetime,
    bound: bytes,
    reference_values: ReferenceValues,
    endorsements: Endorsements,
    *,
    max_age_seconds: int,
) -> AttestationResult:
    if len(evidence.payload) > max_payload_bytes(evidence.media_type) * 4 // 3 + 4:
        raise KeyDeniedError("evidence", "the evidence is too large.")
    try:
        result = appraise(
            evidence,
            at=at,
            expected_binding=ExpectedBinding.of(bound),
            reference_values=reference_values,
            max_age_seconds=max_age_seconds,
            endorsements=endorsements,
        )
    except AppraisalRefusedError as error:
        raise KeyDeniedError("kind", error.message) from error
    except AppraisalUnavailableError as error:
        raise KeyDeniedError("collateral", error.message, hint=error.hint) from error
    except ManateeError as error:
        raise KeyDeniedError("evidence", error.message) from error
    for item in result.checks:
        if item.mark is Mark.FAILED:
            raise KeyDeniedError(item.name, item.reason)
    if not result.accepted:
        raise KeyDeniedError("evidence", "nothing was checked.")
    return result
