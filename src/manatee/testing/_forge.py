"""A forge of simulated evidence: genuine and deliberately broken requests, approvals and bundles.

For tests of whatever relies on evidence. Everything is made by the real parts (device, key broker,
packing, sealing), so that a test can break exactly one thing and see which check says so. It can
imitate simulated evidence only, which proves nothing to begin with.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from manatee._clock import timestamp
from manatee.attestation import ReferenceValues, SimulatedClaims, SimulatedDevice
from manatee.attestation._simulated import AUTHORITY, DEVICE, KIND, MAGIC, MEDIA_TYPE
from manatee.bundle import TrustAnchors, make_statement, sign_statement, write_bundle
from manatee.custody import create_custody, wrap_data_key
from manatee.keybroker import (
    BrokerKeys,
    BrokerStore,
    Budget,
    DecisionLog,
    KeyBroker,
    fixed_rules,
)
from manatee.ledger import ED25519, new_signer
from manatee.outputs import CHECK_NAMES
from manatee.policy import (
    ACCEPT_SIMULATED,
    PolicyDocument,
    SignedPolicy,
    TemplateParameters,
    VerifiedPolicy,
    compile_document,
    render_template,
    sign_approval,
    sign_policy,
)
from manatee.records import (
    RESULT_AUDIENCE,
    SALT_BYTES,
    BrokerSession,
    DatasetManifest,
    DatasetUse,
    DisclosureRecord,
    Evidence,
    ExitStatus,
    FileEntry,
    GuestResult,
    JobManifest,
    OutputCheck,
    OutputFile,
    OutputPolicy,
    Purpose,
    ReleaseAnswer,
    ReleaseRequest,
    ResultManifest,
    RunOutputs,
    RunPredicate,
    SignedApproval,
    Tier,
    TwinComparison,
    binding,
    canonical_json,
    dataset_version,
    digest_bytes,
    digest_record,
    evidence_digest,
    length_prefixed,
    release_context,
    report_data,
    to_base64,
    unbase64,
)
from manatee.sealing import new_data_key, new_session_keys, open_from_session
from manatee.workspace import pack

RECIPIENT = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
"""The age recipient of the format's documentation; nobody needs its identity here."""

ENTRY = "analysis.ipynb"


class SetClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Return the moment it shows."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Move it on, or back with a negative number of seconds."""
        self.now += timedelta(seconds=seconds)


@dataclass(frozen=True)
class ForgedIdentity:
    """A key with a certificate of any content: an authority or a device."""

    key: Ed25519PrivateKey
    certificate: x509.Certificate

    def der(self) -> bytes:
        """Return the certificate in DER."""
        return self.certificate.public_bytes(Encoding.DER)


def forge_identity(
    at: datetime,
    *,
    subject: str = AUTHORITY,
    issuer: ForgedIdentity | None = None,
    ca: bool = True,
    starts: timedelta = timedelta(days=-1),
    ends: timedelta = timedelta(days=3650),
) -> ForgedIdentity:
    """Make a key and a certificate for it.

    Args:
        at: Now.
        subject: Common name; the issuer's is taken from `issuer`.
        issuer: Who signs; None signs with the new key itself.
        ca: Whether it says that it is an authority.
        starts: Begin of validity, from now.
        ends: End of validity, from now.
    """
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at + starts)
        .not_valid_after(at + ends)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(issuer.key if issuer else key, None)
    )
    return ForgedIdentity(key, certificate)


@dataclass
class EvidenceForge:
    """Makes simulated evidence of any content, under identities of any kind.

    Attributes:
        at: When the identities were made, and the default time of issue.
        authority: Whose certificate the evidence carries as its root.
        device: Who signs.
    """

    at: datetime
    authority: ForgedIdentity
    device: ForgedIdentity

    @classmethod
    def new(cls, at: datetime) -> EvidenceForge:
        """Make an installation of its own."""
        authority = forge_identity(at)
        device = forge_identity(at, subject=DEVICE, issuer=authority, ca=False)
        return cls(at, authority, device)

    def roots(self) -> dict[str, tuple[str, ...]]:
        """Return the reference values under which its evidence is trusted."""
        return {KIND: (to_base64(self.authority.der()),)}

    def report(
        self,
        bound: bytes,
        claims: SimulatedClaims,
        *,
        issued_at: datetime | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return a signed report as plain JSON values, to be changed at will.

        Args:
            bound: What `records.binding` gives.
            claims: What was measured.
            issued_at: Default: when the forge was made.
            body: Members of the body to set otherwise, before it is signed.
        """
        signed: dict[str, Any] = {
            "magic": MAGIC,
            "format_version": 1,
            "claims": msgspec.to_builtins(claims),
            "report_data": to_base64(report_data(bound)),
            "issued_at": timestamp(issued_at or self.at),
            **(body or {}),
        }
        covered = length_prefixed("manatee-not-a-tee/v1", canonical_json(signed))
        return {
            "body": signed,
            "device_certificate": to_base64(self.device.der()),
            "authority_certificate": to_base64(self.authority.der()),
            "signature": to_base64(self.device.key.sign(covered)),
        }

    def evidence(
        self,
        bound: bytes,
        claims: SimulatedClaims,
        *,
        issued_at: datetime | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Evidence:
        """Return evidence. Arguments as for `report`."""
        return as_evidence(
            canonical_json(self.report(bound, claims, issued_at=issued_at, body=body))
        )


def as_evidence(payload: bytes) -> Evidence:
    """Wrap any bytes as evidence of the simulated kind."""
    return Evidence(media_type=MEDIA_TYPE, payload=to_base64(payload))


@dataclass(frozen=True)
class Asked:
    """A release request and what only the guest that made it knows."""

    request: ReleaseRequest
    session_private: bytes

    def body(self) -> bytes:
        """Return the request as it goes over the wire."""
        return canonical_json(self.request)

    def changed(self, **members: Any) -> bytes:
        """Return the request's wire form with some members replaced."""
        return canonical_json(msgspec.structs.replace(self.request, **members))


Predicate = Callable[[RunPredicate], RunPredicate]


def _same(predicate: RunPredicate) -> RunPredicate:
    return predicate


def notebook(*sources: str, outputs: Mapping[int, str] | None = None) -> bytes:
    """Return a notebook of code cells; `outputs` gives the text some of them printed."""
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": f"cell-{number}",
            "metadata": {},
            "outputs": (
                [{"name": "stdout", "output_type": "stream", "text": outputs[number]}]
                if outputs and number in outputs
                else []
            ),
            "source": source,
        }
        for number, source in enumerate(sources)
    ]
    metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    document = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(document, indent=1).encode() + b"\n"


@dataclass
class Installation:
    """A provider with a key broker, a sealed data set, a device, and one approved job.

    Effects: making one writes below `folder`.

    Attributes:
        folder: Where device, workspace and broker state lie; must exist.
        label: The data set's label.
        clock: What device and broker go by.
    """

    folder: Path
    label: str = "synthetic"
    clock: SetClock = field(default_factory=SetClock)
    provider: str = "insurer"
    broker_id: str = "insurer-broker"

    def __post_init__(self) -> None:
        self.device = SimulatedDevice.open(self.folder / "device", self.clock)
        self.custody = create_custody(self.folder / "custody")
        self.approver_private = Ed25519PrivateKey.generate().private_bytes_raw()
        self.policy_private = Ed25519PrivateKey.generate().private_bytes_raw()
        self.log_signer = new_signer("manatee.invalid/keybroker/test", ED25519)
        self.runtime_digest = digest_bytes(b"runtime")
        self.data_key = new_data_key()
        self.output_policy = OutputPolicy(
            name="default",
            max_total_bytes=1 << 20,
            max_files=10,
            max_cell_text_characters=1000,
            allowed_mime_types=("text/plain",),
            allowed_file_types=(".csv",),
            row_match_margin_bits=20,
            release="automatic",
        )
        self.dataset = self.make_dataset("insurance")
        workspace = self.folder / "workspace"
        workspace.mkdir()
        (workspace / ENTRY).write_bytes(notebook("import manatee", "print(42)"))
        (workspace / "helpers.py").write_bytes(b"ANSWER = 42\n")
        self.archive = self.folder / "workspace.tar"
        self.manifest = JobManifest(
            stage="secure",
            project="claims",
            researcher="ada",
            purpose="Count claims.",
            runtime_digest=self.runtime_digest,
            workspace_digest=pack(workspace, self.archive),
            entry_notebook=ENTRY,
            datasets=(self.use(self.dataset),),
            declared_outputs=("table.csv",),
            output_policy_digest=digest_record(self.output_policy),
            output_recipients=(RECIPIENT,),
            resource_class="tiny",
            backend_kind="sandbox",
        )

    @property
    def job_digest(self) -> str:
        """Digest of the job manifest."""
        return digest_record(self.manifest)

    def make_dataset(
        self, name: str, *, label: str | None = None, comparison: TwinComparison | None = None
    ) -> DatasetManifest:
        """Publish a data set whose key is wrapped for this broker."""
        bare = DatasetManifest(
            name=name,
            provider=self.provider,
            label="real" if (label or self.label) == "real" else "synthetic",
            schema_digest=digest_bytes(b"schema"),
            contract_digest=digest_bytes(b"contract"),
            files=(FileEntry(path="table.parquet", sha256=digest_bytes(b"table"), size=5),),
            comparison=comparison,
        )
        wrapped = wrap_data_key(self.data_key, bare, self.broker_id, self.custody)
        return msgspec.structs.replace(bare, wrapped_key=wrapped)

    def ask_for_twin_report(self, comparison: TwinComparison) -> None:
        """Let the data set allow a twin report, and the job ask for one."""
        self.dataset = self.make_dataset("insurance", comparison=comparison)
        self.manifest = msgspec.structs.replace(
            self.manifest, datasets=(self.use(self.dataset),), twin_report=True
        )

    @staticmethod
    def use(dataset: DatasetManifest) -> DatasetUse:
        """Return how a manifest names a data set."""
        return DatasetUse(name=dataset.name, version=dataset_version(dataset))

    def reference_values(self) -> ReferenceValues:
        """Return the reference values under which this device and runtime are trusted."""
        return ReferenceValues(
            runtime_digests=(self.runtime_digest,),
            roots={KIND: (to_base64(self.device.root()),)},
        )

    def approver_key(self) -> str:
        """Return the approver's public key as policies and trust anchors list it."""
        private = Ed25519PrivateKey.from_private_bytes(self.approver_private)
        return to_base64(private.public_key().public_bytes_raw())

    def policy(self, **members: Any) -> VerifiedPolicy:
        """Return a verified policy that allows the job, with some parameters set otherwise.

        Args:
            members: Parameters of the template, or `valid_from`, `valid_until`, `version`,
                `provider`, `approver_keys` and `cedar` of the document.
        """
        return compile_document(self.policy_document(**members))

    def policy_document(self, **members: Any) -> PolicyDocument:
        """Return what `policy` compiles, unsigned."""
        own = {"valid_from", "valid_until", "version", "provider", "approver_keys", "cedar"}
        parameters: dict[str, Any] = {
            "project": self.manifest.project,
            "researchers": (self.manifest.researcher,),
            "minimum_tier": Tier.SIMULATED,
            "runtimes": (self.runtime_digest,),
            "output_policies": (digest_record(self.output_policy),),
            "approvals": {self.provider: 1},
        } | {name: value for name, value in members.items() if name not in own}
        document: dict[str, Any] = {
            "provider": self.provider,
            "version": 1,
            "valid_from": timestamp(self.clock() - timedelta(days=1)),
            "valid_until": timestamp(self.clock() + timedelta(days=30)),
            "approver_keys": {self.provider: (self.approver_key(),)},
        } | {name: value for name, value in members.items() if name in own}
        if "cedar" not in document:
            given = TemplateParameters(**parameters)
            document["cedar"] = render_template("named-researchers", given)
        return PolicyDocument(**document)

    def signed_policy(self, **members: Any) -> SignedPolicy:
        """Return the policy signed by the provider; see `policy`."""
        return sign_policy(self.policy_private, self.policy_document(**members))

    def policy_key(self) -> str:
        """Return the provider's policy key, as brokers pin it."""
        private = Ed25519PrivateKey.from_private_bytes(self.policy_private)
        return to_base64(private.public_key().public_bytes_raw())

    def approval(self, **members: Any) -> SignedApproval:
        """Return the provider's approval of the job, with some of its arguments set otherwise."""
        plain: dict[str, Any] = {
            "key": self.approver_private,
            "provider": self.provider,
            "approver": "grace",
            "job_digest": self.job_digest,
            "at": self.clock(),
        }
        return sign_approval(**(plain | members))

    def broker(
        self,
        *,
        state: str = "broker.db",
        insecure_settings: tuple[str, ...] = (ACCEPT_SIMULATED,),
        log: Callable[[str, dict[str, object]], None] = lambda _event, _fields: None,
        broker_id: str | None = None,
        policy: VerifiedPolicy | None = None,
        reference_values: ReferenceValues | None = None,
        budget: Budget | None = None,
    ) -> KeyBroker:
        """Start the provider's key broker over a state file; the same file plays a restart."""
        store = BrokerStore(self.folder / state)
        return KeyBroker(
            BrokerKeys(broker_id or self.broker_id, self.custody),
            rules=fixed_rules(policy or self.policy(), reference_values or self.reference_values()),
            store=store,
            decisions=DecisionLog(self.folder / f"{state}.log", self.log_signer, store),
            clock=self.clock,
            log=log,
            insecure_settings=insecure_settings,
            budget=budget,
        )

    def claims(self, **members: Any) -> SimulatedClaims:
        """Return what an honest host measures, with some members set otherwise."""
        plain: dict[str, Any] = {
            "runtime_digest": self.runtime_digest,
            "job_digest": self.job_digest,
            "debug": False,
        }
        return SimulatedClaims(**(plain | members))

    def bound(
        self,
        nonce: bytes,
        session_key: bytes,
        *,
        purpose: Purpose = "key-release",
        audience: str | None = None,
        job_digest: str | None = None,
    ) -> bytes:
        """Return the binding of a session of this job."""
        return binding(
            purpose=purpose,
            audience=audience or self.broker_id,
            nonce=nonce,
            job_digest=job_digest or self.job_digest,
            session_key=session_key,
        )

    def nonce(self, broker: KeyBroker, *, job_digest: str | None = None) -> bytes:
        """Ask a broker for a challenge."""
        body = {"kind": KIND, "job_digest": job_digest or self.job_digest}
        return unbase64(broker.challenge(canonical_json(body)).nonce)

    def ask(self, broker: KeyBroker, **members: Any) -> Asked:
        """Make a genuine release request, some members of it set otherwise before it is sent."""
        nonce = self.nonce(broker)
        private, public = new_session_keys()
        request = ReleaseRequest(
            nonce=to_base64(nonce),
            job_digest=self.job_digest,
            attempt=1,
            session_key=to_base64(public),
            evidence=(self.device.quote(report_data(self.bound(nonce, public)), self.claims()),),
            manifest=self.manifest,
            datasets=(self.dataset,),
            approvals=(self.approval(),),
        )
        return Asked(msgspec.structs.replace(request, **members), private)

    def open_keys(self, asked: Asked, answer: ReleaseAnswer) -> list[bytes]:
        """Open the released keys as the guest would."""
        return [
            open_from_session(
                unbase64(key.ciphertext),
                asked.session_private,
                release_context(
                    broker_id=self.broker_id,
                    nonce=unbase64(asked.request.nonce),
                    job_digest=asked.request.job_digest,
                    dataset_version=key.dataset_version,
                    evidence_digest=evidence_digest(asked.request.evidence),
                    tier=answer.tier,
                    decided_at=answer.decided_at,
                    insecure_settings=answer.insecure_settings,
                ),
            )
            for key in answer.keys
        ]

    def session(self, broker: KeyBroker) -> BrokerSession:
        """Carry out a key release and return what the bundle keeps of it."""
        asked = self.ask(broker)
        return BrokerSession(
            broker_id=broker.broker_id,
            nonce=asked.request.nonce,
            session_key=asked.request.session_key,
            evidence=asked.request.evidence,
            answer=broker.release(asked.body()),
        )

    def outputs(self) -> RunOutputs:
        """Return the outputs of the run: the executed notebook and one table."""
        executed = notebook("import manatee", "print(42)", outputs={1: "42\n"})
        files = (
            OutputFile(path="notebook.ipynb", data=executed),
            OutputFile(path="table.csv", data=b"claims,count\nall,42\n"),
        )
        return RunOutputs(files, salt=bytes(range(SALT_BYTES)))

    def predicate(self, session: BrokerSession) -> RunPredicate:
        """Return what an honest guest says of the run."""
        checks = tuple(
            OutputCheck(name=name, title=name, passed=True, reason="2 files")
            for name in CHECK_NAMES
        )
        result = ResultManifest(
            job_digest=self.job_digest,
            exit=ExitStatus(succeeded=True, cells_run=2, cells_total=2),
            outputs=self.outputs().entries(),
            sealed_outputs=FileEntry(path="outputs.age", sha256=digest_bytes(b"sealed"), size=6),
            disclosure=DisclosureRecord(
                policy_digest=digest_record(self.output_policy), checks=checks
            ),
        )
        return RunPredicate(
            manifest=self.manifest,
            attempt=1,
            datasets=(self.dataset,),
            output_policy=self.output_policy,
            approvals=(self.approval(),),
            result=result,
            key_releases=(session,),
            insecure_settings=session.answer.insecure_settings,
        )

    def sign(
        self,
        statement: bytes,
        *,
        job_digest: str | None = None,
        purpose: Purpose = "result",
        claims: SimulatedClaims | None = None,
    ) -> tuple[bytes, Evidence]:
        """Sign a statement as a guest does; returns the envelope and evidence over its key."""
        key = Ed25519PrivateKey.generate()
        bound = self.bound(
            hashlib.sha256(statement).digest(),
            key.public_key().public_bytes_raw(),
            purpose=purpose,
            audience=RESULT_AUDIENCE,
            job_digest=job_digest,
        )
        evidence = self.device.quote(report_data(bound), claims or self.claims())
        return sign_statement(statement, key.private_bytes_raw()), evidence

    def write_run(
        self,
        target: Path,
        *,
        predicate: Predicate = _same,
        session: Callable[[BrokerSession], BrokerSession] = lambda session: session,
        insecure_settings: tuple[str, ...] = (ACCEPT_SIMULATED,),
        claims: SimulatedClaims | None = None,
        budget: Budget | None = None,
    ) -> Path:
        """Carry out the whole run and write its bundle.

        Args:
            target: The new bundle.
            predicate: Changes what the guest says before it signs: a lie by an attested guest.
            session: Changes the key release the guest keeps.
            insecure_settings: What the broker is started with.
            claims: What the device says in the result evidence.
            budget: What the broker accounts in.
        """
        state = f"{target.name}.db"
        broker = self.broker(state=state, insecure_settings=insecure_settings, budget=budget)
        kept = session(self.session(broker))
        said = predicate(self.predicate(kept))
        envelope, evidence = self.sign(
            make_statement(said), job_digest=said.result.job_digest, claims=claims
        )
        result = GuestResult(
            job_digest=self.job_digest,
            attempt=1,
            exit=said.result.exit,
            envelope=to_base64(envelope),
            evidence=evidence,
        )
        write_bundle(target, result=result, workspace_archive=self.archive, outputs=self.outputs())
        return target

    def anchors(self, **members: Any) -> TrustAnchors:
        """Return what a reader must trust for the bundle to verify, some of it set otherwise."""
        plain: dict[str, Any] = {
            "minimum_tier": Tier.SIMULATED,
            "reference_values": self.reference_values(),
            "approvers": {self.provider: (self.approver_key(),)},
        }
        return TrustAnchors(**(plain | members))


__all__ = [
    "ENTRY",
    "RECIPIENT",
    "Asked",
    "EvidenceForge",
    "ForgedIdentity",
    "Installation",
    "SetClock",
    "as_evidence",
    "forge_identity",
    "notebook",
]
