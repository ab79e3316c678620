"""The Relying Party: one data provider's decision to let an attested, approved run have a key.

The steps are numbered as in the protocol page. Each has its own refusal, all are logged, and a
refusal of any kind releases nothing.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from manatee._clock import Clock, timestamp
from manatee._clock import monotonic as monotonic_clock
from manatee.attestation import NO_ENDORSEMENTS, Endorsements, verifiers
from manatee.custody import KeyCustody, unwrap_data_key
from manatee.errors import (
    CustodyDeniedError,
    CustodyUnavailableError,
    InputError,
    KeyDeniedError,
    LimitError,
    ManateeError,
    SealingError,
    SettingsError,
    StoreError,
)
from manatee.keybroker._budget import Budget, NoBudget
from manatee.keybroker._decision_log import DecisionLog
from manatee.keybroker._guest import appraise_guest
from manatee.keybroker._rates import RateLimiter
from manatee.keybroker._rules import Rules
from manatee.keybroker._store import BrokerStore, Grant
from manatee.policy import ReleaseFacts, decide
from manatee.records import (
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
        rules: Callable[[], Rules],
        store: BrokerStore,
        decisions: DecisionLog,
        clock: Clock,
        log: Log,
        insecure_settings: tuple[str, ...] = (),
        endorsements: Callable[[], Endorsements] = lambda: NO_ENDORSEMENTS,
        budget: Budget | None = None,
        monotonic: Callable[[], float] = monotonic_clock,
    ) -> None:
        """Stand ready.

        Args:
            keys: Its name and key custody.
            rules: The provider's verified policy and what evidence is held against; asked for
                anew at every request.
            store: Nonces, grants and decisions.
            decisions: The transparency log of the decisions in `store`.
            clock: Its own; believed only as long as it does not go back.
            log: Takes events for the operator.
            insecure_settings: Those it was started with; shown in every answer and log entry.
            endorsements: Vendors' collateral at hand, asked for anew at every appraisal.
            budget: Accounts for what a release may cost; None: nothing has a budget.
            monotonic: Seconds that never go back, for rate limits.
        """
        self._decisions = decisions
        self._endorsements = endorsements
        self._budget = budget or NoBudget()
        self._per_job = RateLimiter(per_minute=60, burst=120, monotonic=monotonic)
        self._overall = RateLimiter(per_minute=1200, burst=2400, monotonic=monotonic)
        self._keys = keys
        self._rules = rules
        self._granting = threading.Lock()
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
            KeyDeniedError: No evidence of that kind is appraised here, or the clock went back.
            LimitError: Too many challenges are open or asked for.
        """
        request = read_record(body, ChallengeRequest, what="challenge request", max_bytes=4096)
        self._limit(request.job_digest)
        now = self._clock()
        self._store.check_clock(now.timestamp())
        if request.kind not in {verifier.kind for verifier in verifiers()}:
            raise KeyDeniedError("kind", "no evidence of that kind is appraised here.")
        nonce = secrets.token_bytes(NONCE_BYTES)
        expires = now + timedelta(seconds=CHALLENGE_SECONDS)
        self._store.add_nonce(
            nonce,
            request.job_digest,
            kind=request.kind,
            now=now.timestamp(),
            expires_at=expires.timestamp(),
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
        self._limit(request.job_digest)
        try:
            return self._decide(request)
        except KeyDeniedError as error:
            self._deny(request, error.check, error.reasons or (error.message,))
            raise
        except CustodyUnavailableError as error:
            self._deny(request, "custody", (error.message,))
            raise
        except (StoreError, LimitError):
            raise  # nothing can be written, or nothing was looked at
        except ManateeError as error:
            # an error that nobody foresaw here is a refusal, too, and says nothing outside
            self._deny(request, "internal", (error.message,))
            raise KeyDeniedError("internal", "the request could not be decided.") from error

    def _collateral(self) -> Endorsements:
        try:
            return self._endorsements()
        except (InputError, StoreError) as error:
            raise KeyDeniedError(
                "collateral", "the broker's collateral cannot be read.", reasons=(error.message,)
            ) from error

    def _current_rules(self) -> Rules:
        try:
            return self._rules()
        except ManateeError as error:
            raise KeyDeniedError(
                "policy",
                "the broker has no policy that it may use.",
                reasons=(error.message,),
            ) from error

    def _limit(self, job_digest: str) -> None:
        """Count a request. Raises LimitError: for this job, or over all, there were too many."""
        self._per_job.take(job_digest)
        self._overall.take("all")

    def _deny(self, request: ReleaseRequest, check: str, reasons: tuple[str, ...]) -> None:
        """Log a refusal with its reasons: they are the provider's, and go no further."""
        decision = self._decision(
            request, at=self._clock(), outcome="denied", check=check, reasons=reasons
        )
        self._decisions.publish(self._store.log(decision, reasons).seq)
        self._log("key_denied", {"check": check, "job_digest": request.job_digest})

    def _decide(self, request: ReleaseRequest) -> ReleaseAnswer:
        at = self._clock()
        self._store.check_clock(at.timestamp())
        nonce, session_key, kind = self._consistent(request, at)
        rules = self._current_rules()  # once: one request is decided by one version
        # 3. signature chain, 4. freshness, 5. binding
        bound = binding(
            purpose="key-release",
            audience=self.broker_id,
            nonce=nonce,
            job_digest=request.job_digest,
            session_key=session_key,
        )
        guest = appraise_guest(
            request.evidence,
            kind=kind,
            at=at,
            bound=bound,
            reference_values=rules.reference_values,
            endorsements=self._collateral(),
            max_age_seconds=CHALLENGE_SECONDS,
        )
        result = guest.result
        # 6. typed claims: what was measured is the manifest's. A kind that measures no job binds
        #    it all the same, in step 5, by an executor whose image was measured
        if guest.claims.job_digest not in (None, request.job_digest):
            raise KeyDeniedError("job", "the guest was measured to run another job.")
        if guest.claims.runtime_digest != request.manifest.runtime_digest:
            raise KeyDeniedError("runtime", "the guest was measured to run another runtime.")
        # 7. the provider's policy, with the approvals of this job digest
        datasets = request.datasets
        names = tuple(dataset.name for dataset in datasets)
        manifest = request.manifest

        def facts() -> ReleaseFacts:
            return ReleaseFacts(
                manifest=manifest,
                job_digest=request.job_digest,
                datasets=datasets,
                approvals=request.approvals,
                tier=result.tier,
                at=at,
                insecure_settings=self._insecure_settings,
                evidence=guest.facts(at),
                attempt=request.attempt,
                earlier_uses=self._store.uses(
                    names, project=manifest.project, researcher=manifest.researcher
                ),
                epsilon_micro_left=self._budget.left(datasets),
            )

        decide(rules.policy, facts())
        # 8. seal first, reserve and grant second, answer third: a failure before the grant burns
        #    nothing, a crash after it releases nothing twice
        sealed = tuple(
            self._seal(dataset, request, result.tier, at, nonce=nonce, session_key=session_key)
            for dataset in datasets
        )
        with self._granting:
            # again, with what other jobs used meanwhile; nobody else counts or reserves now
            decided = decide(rules.policy, facts())
            self._budget.reserve(request.job_digest, datasets, twin_report=manifest.twin_report)
            try:
                logged = self._store.grant(
                    request.job_digest,
                    tuple(
                        Grant(
                            dataset_version(dataset),
                            dataset.name,
                            manifest.project,
                            manifest.researcher,
                        )
                        for dataset in datasets
                    ),
                    attempt=request.attempt,
                    now=at.timestamp(),
                    decision=self._decision(
                        request,
                        at=at,  # the moment that the answer states, or the two would disagree
                        outcome="released",
                        tier=result.tier.value,
                        reasons=decided.reasons,
                        policy_version=decided.policy_version,
                    ),
                    reasons=decided.reasons,
                )
            except ManateeError:
                self._budget.cancel(request.job_digest)
                raise
            self._budget.commit(request.job_digest)
        # 9. the decision is in the log before anybody acts on it
        proof = self._decisions.publish(logged.seq)
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
            decision=to_base64(logged.body),
            log_proof=proof,
        )

    def _consistent(self, request: ReleaseRequest, at: datetime) -> tuple[bytes, bytes, str]:
        """Consume the nonce and check that the request's parts belong together.

        Returns:
            Nonce, session key, and the kind of evidence the challenge was asked for.
        """
        try:
            nonce, session_key = unbase64(request.nonce), unbase64(request.session_key)
        except InputError as error:
            raise KeyDeniedError("form", "nonce or session key is not base64.") from error
        kind = self._store.use_nonce(nonce, request.job_digest, now=at.timestamp())
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
        return nonce, session_key, kind

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
        self,
        request: ReleaseRequest,
        *,
        at: datetime,
        outcome: str,
        check: str = "",
        tier: str = "",
        reasons: tuple[str, ...] = (),
        policy_version: int = 0,
    ) -> bytes:
        """Return the log's entry. Reasons stand in it by their digest: the log may be public."""
        return canonical_json(
            {
                "at": timestamp(at),
                "broker_id": self.broker_id,
                "outcome": outcome,
                "check": check,
                "job_digest": request.job_digest,
                "attempt": request.attempt,
                "tier": tier,
                "datasets": [dataset_version(dataset) for dataset in request.datasets],
                "evidence_sha256": evidence_digest(request.evidence).hex(),
                "insecure_settings": list(self._insecure_settings),
                "policy_version": policy_version,
                "reasons_sha256": digest_record(list(reasons)),
            }
        )


MAX_BODY_BYTES = MAX_JSON_BYTES
"""Cap of a request body, in bytes; HTTP refuses more before reading it."""
