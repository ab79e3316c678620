"""What a run's log entry says, and what a broker's must say of a key release."""

from __future__ import annotations

import hashlib

from manatee.errors import NotVerifiedError
from manatee.ledger import LoggedEntry, LogTrust, verify_log_proof
from manatee.records import (
    BrokerSession,
    canonical_json,
    evidence_digest,
    parse_json,
    unbase64,
)


def run_entry(statement: bytes, job_digest: str) -> bytes:
    """Return the log entry of a run: digests alone, so that a log may be public.

    Args:
        statement: The exact bytes of the run's statement.
        job_digest: Its job.
    """
    return canonical_json(
        {
            "format_version": 1,
            "kind": "run",
            "job_digest": job_digest,
            "statement_sha256": hashlib.sha256(statement).hexdigest(),
        }
    )


def verify_decision(session: BrokerSession, job_digest: str, trust: LogTrust) -> LoggedEntry:
    """Check that a key release stands in its broker's log, as the very release it is.

    Raises:
        NotVerifiedError: The decision is of something else.
        LedgerError: It is not in the log.
        MalformedError: Decision or proof cannot be read.
    """
    body = unbase64(session.answer.decision)
    logged = verify_log_proof(session.answer.log_proof.encode(), body, trust)
    said = parse_json(body)
    wanted = {
        "outcome": "released",
        "broker_id": session.broker_id,
        "job_digest": job_digest,
        "tier": session.answer.tier,
        "at": session.answer.decided_at,
        "evidence_sha256": evidence_digest(session.evidence).hex(),
        "insecure_settings": list(session.answer.insecure_settings),
        "datasets": [key.dataset_version for key in session.answer.keys],
    }
    if not isinstance(said, dict) or any(said.get(name) != wanted[name] for name in wanted):
        raise NotVerifiedError("the logged decision is not that of this key release.")
    return logged
