"""Offline verification of a run bundle: every check by name, with a reason a person can act on.

Opens no file and no connection. The steps are numbered; a step that cannot be carried out fails,
it is never skipped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from manatee._clock import parse_timestamp
from manatee.attestation import (
    GPU_KINDS,
    AttestationResult,
    Check,
    ExpectedBinding,
    Mark,
    appraise,
    check,
    not_applicable,
)
from manatee.bundle._folder import BundleContents
from manatee.bundle._log import run_entry, verify_decision
from manatee.bundle._notebook import same_code
from manatee.bundle._statement import (
    MAX_ENVELOPE_BYTES,
    Statement,
    read_statement,
    subjects,
    verify_signature,
)
from manatee.bundle._trust import TrustAnchors
from manatee.errors import ManateeError, NotVerifiedError
from manatee.ledger import verify_log_proof
from manatee.outputs import CHECK_NAMES
from manatee.policy import ACCEPT_SIMULATED, REAL_BELOW_HARDWARE, count_approvers
from manatee.records import (
    RESULT_AUDIENCE,
    BrokerSession,
    Evidence,
    JobManifest,
    Tier,
    binding,
    canonical_json,
    check_manifest,
    commitment_to,
    dataset_version,
    digest_bytes,
    digest_record,
    read_record,
    read_salt,
    unbase64,
)


@dataclass(frozen=True)
class Verification:
    """What came of it. `verified` only if there are checks and none failed."""

    checks: tuple[Check, ...]
    tier: Tier | None
    job_digest: str
    insecure_settings: tuple[str, ...]

    @property
    def verified(self) -> bool:
        """Whether every check held."""
        return bool(self.checks) and all(item.mark is not Mark.FAILED for item in self.checks)

    @property
    def simulated(self) -> bool:
        """Whether a simulated TEE made the evidence: never to be taken for hardware."""
        return self.tier is Tier.SIMULATED

    def require(self) -> None:
        """Raise unless verified.

        Raises:
            NotVerifiedError: Names the first failed check.
        """
        for item in self.checks:
            if item.mark is Mark.FAILED:
                raise NotVerifiedError(f"[{item.name}] {item.reason}")
        if not self.checks:
            raise NotVerifiedError("[bundle] nothing was checked.")


def _shown(names: Iterable[str]) -> str:
    """Join names for a screen: whoever made the bundle chose them, control characters too."""
    return ", ".join(name.encode("unicode_escape").decode() for name in names)


def _failed(name: str, title: str, reason: str) -> Check:
    return Check(name, title, Mark.FAILED, reason)


def verify_bundle(contents: BundleContents, *, trust: TrustAnchors, at: datetime) -> Verification:
    """Verify a bundle.

    Args:
        contents: What `read_bundle` read.
        trust: The reader's own anchors.
        at: The moment certificates must be valid at.
    """
    # 1. the envelope holds a statement of ours; without it nothing else has a meaning
    try:
        statement, payload, key = read_statement(contents.envelope)
    except ManateeError as error:
        return Verification(
            (_failed("statement", "The run's statement can be read", error.message),), None, "", ()
        )
    verifier = _Verifier(contents, statement, payload, key, trust, at)
    checks = verifier.run()
    return Verification(
        checks,
        verifier.tier,
        statement.predicate.result.job_digest,
        statement.predicate.insecure_settings,
    )


class _Verifier:
    """Carries what the steps share; `run` is the list of steps."""

    def __init__(
        self,
        contents: BundleContents,
        statement: Statement,
        payload: bytes,
        key: bytes,
        trust: TrustAnchors,
        at: datetime,
    ) -> None:
        self._contents = contents
        self._statement = statement
        self._run = statement.predicate
        self._payload = payload
        self._key = key
        self._trust = trust
        self._at = at
        self._result: AttestationResult | None = None
        self.tier: Tier | None = None

    def run(self) -> tuple[Check, ...]:
        """Carry out every step in order; a step that raises has failed."""
        steps: tuple[tuple[str, str, Callable[[], tuple[bool, str, str]]], ...] = (
            ("signature", "The statement is signed", self._signature),
            ("evidence", "Evidence vouches for the signing key and the statement", self._evidence),
            ("tier", "Assurance tier is what you ask for", self._tier),
            ("job", "Evidence, manifest and statement name one job", self._job),
            ("workspace", "Notebook and workspace are the approved ones", self._workspace),
            ("notebook", "The notebook that ran is the notebook that was approved", self._notebook),
            ("runtime", "The runtime is a known one", self._runtime),
            ("datasets", "The data sets are the ones the job names", self._datasets),
            ("approvals", "Every data provider approved this very job", self._approvals),
            ("keys", "Keys were released to this attested run", self._keys),
            ("disclosure", "Outputs passed the provider's disclosure checks", self._disclosure),
            ("twin-reports", "Twin reports cost what their providers allow", self._twin_reports),
            ("outputs", "The outputs are what the run produced", self._outputs),
            ("contents", "The bundle holds nothing else", self._nothing_else),
        )
        checks = []
        for name, title, step in steps:
            try:
                passed, good, bad = step()
            except ManateeError as error:
                checks.append(_failed(name, title, error.message))
            else:
                checks.append(check(name, title, passed, good=good, bad=bad))
        return (*checks, self._decisions(), self._log())

    # 15. every key release is in the log of its broker, where the reader names one
    def _decisions(self) -> Check:
        name, title = "decisions", "Key releases are in their brokers' logs"
        asked = [
            (session, self._trust.broker_logs[session.broker_id])
            for session in self._run.key_releases
            if session.broker_id in self._trust.broker_logs
        ]
        if not asked:
            return not_applicable(name, title, "you name no log of a key broker of this run")
        try:
            places = [
                verify_decision(session, self._run.result.job_digest, log) for session, log in asked
            ]
        except ManateeError as error:
            return _failed(name, title, error.message)
        shown = ", ".join(f"entry {item.index} of {item.tree_size}" for item in places)
        unasked = len(self._run.key_releases) - len(asked)
        shown += f"; of {unasked} broker(s) you name no log" if unasked else ""
        return Check(name, title, Mark.PASSED, shown)

    # 16. the run is in a transparency log: whoever deletes it is found out
    def _log(self) -> Check:
        name, title = "log", "Run is in a transparency log"
        if self._trust.run_log is None:
            return not_applicable(
                name, title, "you name no log of runs; the deletion of runs cannot be seen"
            )
        if self._contents.log_proof is None:
            return _failed(name, title, "the bundle carries no proof of its place in your log")
        entry = run_entry(self._payload, self._run.result.job_digest)
        try:
            found = verify_log_proof(self._contents.log_proof, entry, self._trust.run_log)
        except ManateeError as error:
            return _failed(name, title, error.message)
        seen = f", cosigned by {len(found.cosigners)} witness(es)" if found.cosigners else ""
        reason = f"entry {found.index} of {found.tree_size}{seen}"
        return Check(name, title, Mark.PASSED, reason)

    # 2. the envelope's signature, under the key it names
    def _signature(self) -> tuple[bool, str, str]:
        verify_signature(self._contents.envelope, self._key)
        return True, "the DSSE signature holds", ""

    # 3. evidence of purpose `result` binds that key and this statement
    def _evidence(self) -> tuple[bool, str, str]:
        evidence = read_record(self._contents.evidence, Evidence, what="evidence.json")
        if canonical_json(evidence) != self._contents.evidence:
            raise NotVerifiedError("evidence.json is not in canonical JSON.")
        self._result = self._appraise(
            evidence,
            binding(
                purpose="result",
                audience=RESULT_AUDIENCE,
                nonce=hashlib.sha256(self._payload).digest(),
                job_digest=self._run.result.job_digest,
                session_key=self._key,
            ),
        )
        return True, f"all {len(self._result.checks)} checks of {self._result.kind} evidence", ""

    def _appraise(self, evidence: Evidence, bound: bytes) -> AttestationResult:
        result = appraise(
            evidence,
            at=self._at,
            expected_binding=ExpectedBinding.of(bound),
            reference_values=self._trust.reference_values,
            max_age_seconds=None,
        )
        result.require()
        return result

    def _appraised(self) -> AttestationResult:
        if self._result is None or self._result.claims is None:
            raise NotVerifiedError("the evidence was not accepted.")
        return self._result

    # 4. the tier the verifier computed, against the reader's minimum
    def _tier(self) -> tuple[bool, str, str]:
        self.tier = self._appraised().tier
        found, wanted = self.tier.value, self._trust.minimum_tier.value
        note = "; A SIMULATED TEE IS NOT HARDWARE" if self.tier is Tier.SIMULATED else ""
        return (
            self.tier.meets(self._trust.minimum_tier),
            f"{found}, and you accept {wanted} or better{note}",
            f"{found}, but you ask for {wanted} or better{note}",
        )

    # 5. one job digest everywhere, recomputed from the manifest
    def _job(self) -> tuple[bool, str, str]:
        claims = self._appraised().claims
        manifest = read_record(self._contents.manifest, JobManifest, what="manifest.json")
        digest = digest_bytes(self._contents.manifest)
        check_manifest(manifest)
        if manifest.stage != "secure":
            raise NotVerifiedError("the manifest is of a rehearsal, which proves nothing.")
        same = (
            manifest == self._run.manifest
            and digest == digest_record(self._run.manifest) == self._run.result.job_digest
            and claims is not None
            and claims.job_digest in (None, digest)
        )
        return same, digest, "manifest.json is not the manifest this run was attested for"

    # 6. the code, packed again
    def _workspace(self) -> tuple[bool, str, str]:
        wanted = self._run.manifest.workspace_digest
        found = self._contents.workspace_digest
        problem = self._contents.workspace_problem
        return (
            found == wanted,
            f"{len(self._contents.workspace_files)} file(s), {wanted}",
            problem or "a file of workspace/ was changed, added or removed",
        )

    # 7. the executed notebook holds the submitted cells
    def _notebook(self) -> tuple[bool, str, str]:
        entry = self._run.manifest.entry_notebook
        submitted = self._contents.workspace_files.get(entry)
        executed = self._contents.outputs.get("notebook.ipynb")
        if submitted is None or executed is None:
            raise NotVerifiedError("the submitted or the executed notebook is missing.")
        return (
            same_code(submitted, executed),
            f"every code cell of {entry} is unchanged",
            f"the executed notebook's code is not that of {entry}",
        )

    # 8. what was measured to run, is what the manifest asked for
    def _runtime(self) -> tuple[bool, str, str]:
        claims = self._appraised().claims
        wanted = self._run.manifest.runtime_digest
        return (
            claims is not None and claims.runtime_digest == wanted and not claims.debug,
            f"measured {wanted}, a reference value of yours",
            "the measured runtime is not the manifest's",
        )

    # 9. data sets by version
    def _datasets(self) -> tuple[bool, str, str]:
        named = {(use.name, use.version) for use in self._run.manifest.datasets}
        given = [(item.name, dataset_version(item)) for item in self._run.datasets]
        sealed = all(item.wrapped_key is not None for item in self._run.datasets)
        labels = ", ".join(f"{item.name} ({item.label})" for item in self._run.datasets)
        return (
            bool(given) and set(given) == named and len(given) == len(named) and sealed,
            labels,
            "the data sets listed are not the ones the manifest names, or are not sealed",
        )

    # 10. approvals, under keys the reader trusts, valid when the provider's broker decided
    def _approvals(self) -> tuple[bool, str, str]:
        self._appraised()
        providers = sorted({dataset.provider for dataset in self._run.datasets})
        missing = [
            provider
            for provider in providers
            if not (moments := self._decided(provider))
            or min(
                count_approvers(
                    self._run.approvals,
                    job_digest=self._run.result.job_digest,
                    provider=provider,
                    trusted_keys=frozenset(self._trust.approvers.get(provider, ())),
                    at=moment,
                )
                for moment in moments
            )
            < 1
        ]
        return (
            bool(providers) and not missing,
            f"signed by {', '.join(providers)}",
            f"no approval you trust by: {', '.join(missing)}",
        )

    def _decided(self, provider: str) -> tuple[datetime, ...]:
        """Return when a provider's brokers decided, and when the run was attested if it says so.

        Evidence of most kinds is undated. The brokers' times are bound into the keys that the
        attested guest opened, so whoever changes one after the fact is found out by the evidence.
        """
        brokers = {
            dataset.wrapped_key.broker_id
            for dataset in self._run.datasets
            if dataset.provider == provider and dataset.wrapped_key is not None
        }
        try:
            decided = [
                parse_timestamp(session.answer.decided_at)
                for session in self._run.key_releases
                if session.broker_id in brokers
            ]
        except ValueError as error:
            raise NotVerifiedError("a key release carries an impossible time.") from error
        claims = self._appraised().claims
        if decided and claims is not None and claims.issued_at is not None:
            decided.append(claims.issued_at)
        return tuple(decided)

    # 11. every sealed data set's key went to an attested session of this job
    def _keys(self) -> tuple[bool, str, str]:
        released: set[str] = set()
        insecure: set[str] = set()
        for session in self._run.key_releases:
            if session.answer.broker_id != session.broker_id:
                raise NotVerifiedError("a key release does not fit its broker.")
            result = self._machine(session)
            claims = result.claims
            if claims is None or claims.job_digest not in (None, self._run.result.job_digest):
                raise NotVerifiedError("a key release was attested for another job.")
            if claims.runtime_digest != self._run.manifest.runtime_digest:
                raise NotVerifiedError("a key release was attested for another runtime.")
            if result.tier.value != session.answer.tier:
                raise NotVerifiedError("a key release claims a tier its evidence does not have.")
            if not result.tier.meets(self._trust.minimum_tier):
                raise NotVerifiedError("a key was released to a tier below the one you ask for.")
            versions = {key.dataset_version for key in session.answer.keys}
            if not versions <= self._held_by(session.broker_id):
                raise NotVerifiedError("a key was released by a broker that does not hold it.")
            if not self._needed(result.tier, versions) <= set(session.answer.insecure_settings):
                raise NotVerifiedError("a key release hides the insecure setting it needed.")
            released |= versions
            insecure |= set(session.answer.insecure_settings)
        wanted = {use.version for use in self._run.manifest.datasets}
        if insecure != set(self._run.insecure_settings):
            raise NotVerifiedError("the statement hides an insecure setting of a key broker.")
        warned = f"; INSECURE SETTINGS ON: {', '.join(sorted(insecure))}" if insecure else ""
        return (
            released == wanted,
            f"{len(released)} key(s) by {len(self._run.key_releases)} broker(s){warned}",
            "the keys released are not those of the job's data sets",
        )

    def _machine(self, session: BrokerSession) -> AttestationResult:
        """Appraise all evidence of a key release; return that of the one machine."""
        bound = binding(
            purpose="key-release",
            audience=session.broker_id,
            nonce=unbase64(session.nonce),
            job_digest=self._run.result.job_digest,
            session_key=unbase64(session.session_key),
        )
        results = [self._appraise(item, bound) for item in session.evidence[:3]]
        machines = [result for result in results if result.kind not in GPU_KINDS]
        if len(machines) != 1 or len(results) > 2:
            raise NotVerifiedError("a key release is not attested by one machine, with one GPU.")
        return machines[0]

    def _held_by(self, broker_id: str) -> set[str]:
        return {
            dataset_version(dataset)
            for dataset in self._run.datasets
            if dataset.wrapped_key is not None and dataset.wrapped_key.broker_id == broker_id
        }

    def _needed(self, tier: Tier, versions: set[str]) -> set[str]:
        """Return the settings without which no broker would have released these keys."""
        needed = {ACCEPT_SIMULATED} if tier is Tier.SIMULATED else set()
        real = any(
            dataset.label == "real" and dataset_version(dataset) in versions
            for dataset in self._run.datasets
        )
        if real and not tier.meets(Tier.HARDWARE):
            needed.add(REAL_BELOW_HARDWARE)
        return needed

    # 12. the disclosure record is complete and clean
    def _disclosure(self) -> tuple[bool, str, str]:
        record = self._run.result.disclosure
        policy = digest_record(self._run.output_policy)
        failed = [item.name for item in record.checks if not item.passed]
        missing = set(CHECK_NAMES) - {item.name for item in record.checks}
        good = (
            record.policy_digest == policy == self._run.manifest.output_policy_digest
            and not missing
            and not failed
            and self._run.result.exit.succeeded
        )
        return (
            good,
            f"{len(record.checks)} check(s) under policy {self._run.output_policy.name!r}",
            f"failed: {', '.join(failed)}"
            if failed
            else f"another policy, a failed run, or {len(missing)} check(s) that were never made",
        )

    # 12b. what was measured of the real tables is what the job asked for, at the price named
    def _twin_reports(self) -> tuple[bool, str, str]:
        asked = self._run.manifest.twin_report
        wanted = [
            (item.name, item.comparison.rho, item.comparison.unit, item.comparison.most_rows)
            for item in self._run.datasets
            if asked and item.comparison is not None
        ]
        found = [
            (item.dataset, item.rho, item.unit, item.most_rows)
            for item in self._run.result.twin_reports
        ]
        prices = ", ".join(f"{item[0]}: rho {item[1]}" for item in found)
        return (
            found == wanted,
            prices or "the job asked for none",
            "the reports are not those that the job asked for and its providers allow",
        )

    # 13. the outputs, byte for byte
    def _outputs(self) -> tuple[bool, str, str]:
        if len(self._payload) > MAX_ENVELOPE_BYTES or self._statement.subject != subjects(
            self._run
        ):
            raise NotVerifiedError("the statement's subjects are not the run's outputs.")
        wanted = {entry.path: entry.commitment for entry in self._run.result.outputs}
        salt = read_salt(self._contents.salt)
        found = {
            path: commitment_to(salt, path, data) for path, data in self._contents.outputs.items()
        }
        wrong = sorted(
            path for path in wanted.keys() | found.keys() if wanted.get(path) != found.get(path)
        )
        return (
            bool(wanted) and not wrong,
            f"{len(wanted)} file(s), every byte",
            f"changed, missing or added: {_shown(wrong) or 'all'}",
        )

    # 14. no stowaways
    def _nothing_else(self) -> tuple[bool, str, str]:
        return (
            not self._contents.unexpected,
            "only the files a bundle has",
            f"unexpected: {_shown(self._contents.unexpected)}",
        )
