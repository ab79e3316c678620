"""The Relying Party: one data provider's decision to let an attested, approved run have a key.

The steps are numbered as in the protocol page. Each has its own refusal, all are logged, and a
refusal of any kind releases nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from manatee._clock import Clock, timestamp
from manatee.attestation import (
    AttestationResult,
    ExpectedBinding,
    Mark,
    ReferenceValues,
    appraise,
)
from manatee.custody import KeyCustody, unwrap_data_key
from manatee.errors import (
    AppraisalRefusedError,
    CustodyDeniedError,
    CustodyUnavailableError,
    InputError,
    KeyDeniedError,
    ManateeError,
    SealingError,
    SettingsError,
)
from manatee.keybroker._store import BrokerStore
from manatee.policy import ReleaseFacts, ReleasePolicy, decide_release
from manatee.records import (
    MAX_EVIDENCE_BYTES,
    MAX_JSON_BYTES,
    NONCE_BYTES,
    Challenge,
    ChallengeRequest,
    DatasetManifest,
    Digest,
    ReleaseAnswer,
    ReleasedKey,
    ReleaseRequest,
    Tier,
    binding,
    canonical_json,
    check_manifest,
    dataset_version,
    digest_record,
    evidence_digest,
    read_record,
    release_context,
    to_base64,
    unbase64,
)
from manatee.sealing import seal_to_session

CHALLENGE_SECONDS = 120
"""Life of a nonce."""

Log = Callable[[str, dict[str, object]], None]
"""Takes an event's name and its safe fields."""


@dataclass(frozen=True)
class BrokerKeys:
    """The broker's name, and the custody under whose keys data keys are wrapped."""

    broker_id: str
    custody: KeyCustody


class KeyBroker:
    """One provider's key broker. Bytes in, records out; HTTP is `asgi_app`'s business."""

    def __init__(
        self,
        keys: BrokerKeys,
        *,
        policy: ReleasePolicy,
        reference_values: ReferenceValues,
        store: BrokerStore,
        clock: Clock,
        log: Log,
        insecure_settings: tuple[str, ...] = (),
    ) -> None:
        self._keys = keys
        self._policy = policy
        self._reference_values = reference_values
        self._store = store
        self._clock = clock
        self._log = log
        self._insecure_settings = insecure_settings

    @property
    def broker_id(self) -> str:
        """The broker's name, as data sets and bindings give it."""
        return self._keys.broker_id

    def challenge(self, body: bytes) -> Challenge:
        """Answer `POST /v1/challenge` with a fresh nonce.

        Raises:
            MalformedError: The body is not a `ChallengeRequest`.
            LimitError: Too many challenges are open.
        """
        request = read_record(body, ChallengeRequest, what="challenge request", max_bytes=4096)
        now = self._clock()
        nonce = secrets.token_bytes(NONCE_BYTES)
        expires = now + timedelta(seconds=CHALLENGE_SECONDS)
        self._store.add_nonce(
            nonce, request.job_digest, now=now.timestamp(), expires_at=expires.timestamp()
        )
        return Challenge(
            nonce=to_base64(nonce), broker_id=self.broker_id, expires_at=timestamp(expires)
        )

    def release(self, body: bytes) -> ReleaseAnswer:
        """Answer `POST /v1/release`: data keys sealed to the guest's session, or a refusal.

        Effects: consumes the nonce; logs the decision; records single-use grants.

        Raises:
            KeyDeniedError: Refused; `check` names the check that failed.
            CustodyUnavailableError: The broker's own key is out of reach; nothing was granted.
            MalformedError: The body is not a `ReleaseRequest`; nothing was consumed.
            StoreError: The state could not be written; nothing was released.
        """
        # 1. size caps and 2. strict parse
        request = read_record(body, ReleaseRequest, what="release request")
        try:
            return self._decide(request)
        except KeyDeniedError as error:
            self._store.log(self._decision(request, outcome="denied", check=error.check))
            self._log("key_denied", {"check": error.check, "job_digest": request.job_digest})
            raise
        except CustodyUnavailableError:
            self._store.log(self._decision(request, outcome="denied", check="custody"))
            self._log("key_denied", {"check": "custody", "job_digest": request.job_digest})
            raise

    def _decide(self, request: ReleaseRequest) -> ReleaseAnswer:
        at = self._clock()
        nonce, session_key, datasets = self._consistent(request, at)
        # 3. signature chain, 4. freshness, 5. binding
        bound = binding(
            purpose="key-release",
            audience=self.broker_id,
            nonce=nonce,
            job_digest=request.job_digest,
            session_key=session_key,
        )
        result = self._appraise(request, at, bound)
        # 6. typed claims: the measured job and runtime are the manifest's
        claims = result.claims
        if claims is None or claims.job_digest != request.job_digest:
            raise KeyDeniedError("job", "the guest was measured to run another job.")
        if claims.runtime_digest != request.manifest.runtime_digest:
            raise KeyDeniedError("runtime", "the guest was measured to run another runtime.")
        # 7. the provider's policy, with the approvals of this job digest
        decide_release(
            self._policy,
            ReleaseFacts(
                manifest=request.manifest,
                job_digest=request.job_digest,
                datasets=datasets,
                approvals=request.approvals,
                tier=result.tier,
                at=at,
                insecure_settings=self._insecure_settings,
            ),
        )
        # 8. seal first, grant second, answer third: a failure before the grant burns nothing,
        #    a crash after it releases nothing twice
        sealed = tuple(
            self._seal(dataset, request, result.tier, at, nonce=nonce, session_key=session_key)
            for dataset in datasets
        )
        head = self._store.grant(
            request.job_digest,
            tuple(key.dataset_version for key in sealed),
            attempt=request.attempt,
            now=at.timestamp(),
            decision=self._decision(request, outcome="released", tier=result.tier.value),
        )
        self._log(
            "key_released",
            {
                "job_digest": request.job_digest,
                "tier": result.tier.value,
                "insecure_settings": list(self._insecure_settings),
            },
        )
        return ReleaseAnswer(
            broker_id=self.broker_id,
            keys=sealed,
            tier=result.tier.value,
            decided_at=timestamp(at),
            insecure_settings=self._insecure_settings,
            decision_digest=head,
        )

    def _consistent(
        self, request: ReleaseRequest, at: datetime
    ) -> tuple[bytes, bytes, tuple[DatasetManifest, ...]]:
        """Consume the nonce and check that the request's parts belong together."""
        try:
            nonce, session_key = unbase64(request.nonce), unbase64(request.session_key)
        except InputError as error:
            raise KeyDeniedError("form", "nonce or session key is not base64.") from error
        self._store.use_nonce(nonce, request.job_digest, now=at.timestamp())
        if len(session_key) != 32:
            raise KeyDeniedError("form", "the session key must be 32 bytes of X25519.")
        if digest_record(request.manifest) != request.job_digest:
            raise KeyDeniedError("manifest", "the manifest is not the one of this job digest.")
        try:
            check_manifest(request.manifest)
        except InputError as error:
            raise KeyDeniedError("manifest", error.message) from error
        named = {(use.name, use.version) for use in request.manifest.datasets}
        given = [(dataset.name, dataset_version(dataset)) for dataset in request.datasets]
        if not set(given) <= named or len(set(given)) != len(given):
            raise KeyDeniedError("datasets", "a data set is not one the job names.")
        for dataset in request.datasets:
            if dataset.wrapped_key is None or dataset.wrapped_key.broker_id != self.broker_id:
                raise KeyDeniedError("datasets", "a data set's key is not with this broker.")
        return nonce, session_key, request.datasets

    def _appraise(self, request: ReleaseRequest, at: datetime, bound: bytes) -> AttestationResult:
        if len(request.evidence) != 1:
            raise KeyDeniedError("evidence", "exactly one piece of evidence is expected.")
        (evidence,) = request.evidence
        if len(evidence.payload) > MAX_EVIDENCE_BYTES * 4 // 3 + 4:
            raise KeyDeniedError("evidence", "the evidence is too large.")
        try:
            result = appraise(
                evidence,
                at=at,
                expected_binding=ExpectedBinding.of(bound),
                reference_values=self._reference_values,
                max_age_seconds=CHALLENGE_SECONDS,
            )
        except AppraisalRefusedError as error:
            raise KeyDeniedError("kind", error.message) from error
        except ManateeError as error:
            raise KeyDeniedError("evidence", error.message) from error
        for item in result.checks:
            if item.mark is Mark.FAILED:
                raise KeyDeniedError(item.name, item.reason)
        if not result.accepted:
            raise KeyDeniedError("evidence", "nothing was checked.")
        return result

    def _seal(
        self,
        dataset: DatasetManifest,
        request: ReleaseRequest,
        tier: Tier,
        at: datetime,
        *,
        nonce: bytes,
        session_key: bytes,
    ) -> ReleasedKey:
        version: Digest = dataset_version(dataset)
        info = release_context(
            broker_id=self.broker_id,
            nonce=nonce,
            job_digest=request.job_digest,
            dataset_version=version,
            evidence_digest=evidence_digest(request.evidence),
            tier=tier.value,
            decided_at=timestamp(at),
            insecure_settings=self._insecure_settings,
        )
        try:
            key = unwrap_data_key(dataset, self._keys.custody)
            ciphertext = seal_to_session(key, session_key, info)
        except (SettingsError, CustodyDeniedError) as error:
            # what the custody said is for the provider: it may name files and places
            raise KeyDeniedError(
                "custody", "the broker may not use its own key now.", reasons=(error.message,)
            ) from error
        except CustodyUnavailableError as error:
            raise CustodyUnavailableError("the custody of the broker's key is away.") from error
        except (SealingError, InputError) as error:
            raise KeyDeniedError("wrapped-key", error.message) from error
        return ReleasedKey(dataset_version=version, ciphertext=to_base64(ciphertext))

    def _decision(
        self, request: ReleaseRequest, *, outcome: str, check: str = "", tier: str = ""
    ) -> bytes:
        return canonical_json(
            {
                "at": timestamp(self._clock()),
                "broker_id": self.broker_id,
                "outcome": outcome,
                "check": check,
                "job_digest": request.job_digest,
                "attempt": request.attempt,
                "tier": tier,
                "datasets": [dataset_version(dataset) for dataset in request.datasets],
                "evidence_sha256": evidence_digest(request.evidence).hex(),
                "insecure_settings": list(self._insecure_settings),
            }
        )


MAX_BODY_BYTES = MAX_JSON_BYTES
"""Cap of a request body, in bytes; HTTP refuses more before reading it."""
