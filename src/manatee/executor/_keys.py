"""Key release, seen from the guest: one fresh key pair per broker and session."""

from __future__ import annotations

import time
from dataclasses import dataclass

from manatee._clock import monotonic
from manatee.errors import BrokerUnreachableError, GuestChannelError, MalformedError
from manatee.executor._attester import Attester
from manatee.executor._channel import GuestChannel
from manatee.executor._plan import Job
from manatee.records import (
    NONCE_BYTES,
    BrokerSession,
    Challenge,
    ChallengeRequest,
    DatasetManifest,
    ReleaseRequest,
    binding,
    dataset_version,
    evidence_digest,
    release_context,
    to_base64,
    unbase64,
)
from manatee.sealing import new_session_keys, open_from_session

PATIENCE_SECONDS = 20.0
"""How long a guest waits for a broker that does not answer."""

PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class OpenedKeys:
    """What one broker released: data set name to data key, and the session for the bundle."""

    session: BrokerSession
    keys: dict[str, bytes]

    def __repr__(self) -> str:
        return f"OpenedKeys(broker_id={self.session.broker_id!r}, keys=…)"


def brokers(job: Job) -> dict[str, tuple[DatasetManifest, ...]]:
    """Return broker id to the data sets whose keys it holds, sorted by id."""
    found: dict[str, tuple[DatasetManifest, ...]] = {}
    for dataset in job.plan.datasets:
        if dataset.wrapped_key is not None:
            held = found.get(dataset.wrapped_key.broker_id, ())
            found[dataset.wrapped_key.broker_id] = (*held, dataset)
    return dict(sorted(found.items()))


def get_keys(
    job: Job,
    broker_id: str,
    datasets: tuple[DatasetManifest, ...],
    *,
    channel: GuestChannel,
    attester: Attester,
    patience_seconds: float = PATIENCE_SECONDS,
) -> OpenedKeys:
    """Attest to one broker and open the keys it releases (protocol page, steps 1 to 4).

    Effects: network, through the host's relay. The session's private key does not outlive the
    call.

    Raises:
        KeyDeniedError: The broker refused.
        BrokerUnreachableError: It did not answer a challenge within `patience_seconds`, or not
            the release request, which is sent once: it may have been granted.
        GuestChannelError: What came back is not an answer to this session.
        SealingError: A key does not open under this session.
    """
    # 1. a nonce
    request = ChallengeRequest(kind=attester.kind, job_digest=job.digest)
    challenge = _challenge(channel, broker_id, request, patience_seconds)
    nonce = _bytes(challenge.nonce)
    if challenge.broker_id != broker_id or len(nonce) != NONCE_BYTES:
        raise GuestChannelError("the challenge is not one of the broker that was asked.")
    # 2. a key pair for this session, bound with everything else into the evidence
    private, public = new_session_keys()
    bound = binding(
        purpose="key-release",
        audience=broker_id,
        nonce=nonce,
        job_digest=job.digest,
        session_key=public,
    )
    evidence = (attester.evidence(bound),)
    # 3. the request
    answer = channel.release(
        broker_id,
        ReleaseRequest(
            nonce=challenge.nonce,
            job_digest=job.digest,
            attempt=job.plan.attempt,
            session_key=to_base64(public),
            evidence=evidence,
            manifest=job.plan.manifest,
            datasets=datasets,
            approvals=job.plan.approvals,
        ),
    )
    # 4. the keys, each sealed to this session, job, data set and evidence
    asked: dict[str, str] = {dataset_version(dataset): dataset.name for dataset in datasets}
    given = [key.dataset_version for key in answer.keys]
    if answer.broker_id != broker_id or sorted(given) != sorted(asked):
        raise GuestChannelError("the broker's answer is not for the keys that were asked for.")
    keys = {
        asked[key.dataset_version]: open_from_session(
            _bytes(key.ciphertext),
            private,
            release_context(
                broker_id=broker_id,
                nonce=nonce,
                job_digest=job.digest,
                dataset_version=key.dataset_version,
                evidence_digest=evidence_digest(evidence),
                tier=answer.tier,
                decided_at=answer.decided_at,
                insecure_settings=answer.insecure_settings,
            ),
        )
        for key in answer.keys
    }
    session = BrokerSession(
        broker_id=broker_id,
        nonce=challenge.nonce,
        session_key=to_base64(public),
        evidence=evidence,
        answer=answer,
    )
    return OpenedKeys(session=session, keys=keys)


def _challenge(
    channel: GuestChannel, broker_id: str, request: ChallengeRequest, patience_seconds: float
) -> Challenge:
    """Ask for a nonce; a broker that is away for a moment costs nothing but time."""
    give_up = monotonic() + patience_seconds
    while True:
        try:
            return channel.challenge(broker_id, request)
        except BrokerUnreachableError:
            if monotonic() + PAUSE_SECONDS > give_up:
                raise
        time.sleep(PAUSE_SECONDS)


def _bytes(text: str) -> bytes:
    try:
        return unbase64(text)
    except MalformedError as error:
        raise GuestChannelError("the broker's answer is not base64.") from error
