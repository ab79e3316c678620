"""The run statement: signed by a key made here, bound by evidence of purpose `result`."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from manatee.bundle import make_statement, sign_statement
from manatee.executor._attester import Attester
from manatee.executor._plan import Job
from manatee.records import (
    RESULT_AUDIENCE,
    BrokerSession,
    Evidence,
    ResultManifest,
    RunPredicate,
    binding,
    digest_bytes,
    raw_digest,
)


@dataclass(frozen=True)
class SignedRun:
    """A DSSE envelope (JSON bytes) and the evidence that binds its key and statement."""

    envelope: bytes
    evidence: Evidence


def sign_run(
    job: Job, result: ResultManifest, sessions: tuple[BrokerSession, ...], attester: Attester
) -> SignedRun:
    """State what ran and what came out, sign it and have it attested (protocol page, step 6).

    Raises:
        AttestationError: The device gives no evidence.
        GuestChannelError: The device could not be asked.
    """
    plan = job.plan
    insecure = {name for item in sessions for name in item.answer.insecure_settings}
    statement = make_statement(
        RunPredicate(
            manifest=plan.manifest,
            attempt=plan.attempt,
            datasets=plan.datasets,
            output_policy=plan.output_policy,
            approvals=plan.approvals,
            result=result,
            key_releases=sessions,
            insecure_settings=tuple(sorted(insecure)),
        )
    )
    key = Ed25519PrivateKey.generate()
    bound = binding(
        purpose="result",
        audience=RESULT_AUDIENCE,
        nonce=raw_digest(digest_bytes(statement)),
        job_digest=job.digest,
        session_key=key.public_key().public_bytes_raw(),
    )
    evidence = attester.evidence(bound)
    return SignedRun(envelope=sign_statement(statement, key.private_bytes_raw()), evidence=evidence)
