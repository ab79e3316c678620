"""Key release seen from the guest, against hosts and brokers that answer as they please."""

from __future__ import annotations

import http.server
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from manatee.errors import (
    BrokerUnreachableError,
    GuestChannelError,
    KeyDeniedError,
    ManifestError,
    SealingError,
)
from manatee.executor._attester import SimulatedAttester, attester_for
from manatee.executor._channel import GuestChannel
from manatee.executor._keys import OpenedKeys, brokers, get_keys
from manatee.executor._plan import Job, read_plan
from manatee.outputs import DEFAULT_POLICY
from manatee.records import (
    DatasetManifest,
    DatasetUse,
    Evidence,
    FileEntry,
    GuestPlan,
    JobManifest,
    ReleaseAnswer,
    ReleasedKey,
    ReleaseRequest,
    WrappedKey,
    canonical_json,
    dataset_version,
    digest_bytes,
    digest_record,
    evidence_digest,
    read_record,
    release_context,
    report_data,
    to_base64,
    unbase64,
)
from manatee.sealing import seal_to_session

KEY = bytes(range(32))
NONCE = b"n" * 32
DIGEST = digest_bytes(b"x")

Answer = tuple[int, bytes]


def dataset(name: str = "insurance", broker: str | None = "clinic") -> DatasetManifest:
    return DatasetManifest(
        name=name,
        provider="clinic",
        label="synthetic",
        schema_digest=DIGEST,
        contract_digest=DIGEST,
        files=(FileEntry(path="table.parquet", sha256=DIGEST, size=1),),
        wrapped_key=WrappedKey(broker_id=broker, ciphertext="AA==") if broker else None,
    )


def plan(*datasets: DatasetManifest, stage: Any = "secure") -> GuestPlan:
    manifest = JobManifest(
        stage=stage,
        project="study",
        researcher="ada",
        purpose="test",
        runtime_digest=DIGEST,
        workspace_digest=DIGEST,
        entry_notebook="main.ipynb",
        datasets=tuple(DatasetUse(name=d.name, version=dataset_version(d)) for d in datasets),
        output_policy_digest=digest_record(DEFAULT_POLICY),
        output_recipients=("age1x",),
        resource_class="tiny",
        backend_kind="sandbox",
    )
    return GuestPlan(manifest=manifest, attempt=1, datasets=datasets, output_policy=DEFAULT_POLICY)


def job(folder: Path, given: GuestPlan) -> Job:
    path = folder / "plan.json"
    path.write_bytes(canonical_json(given))
    return read_plan(path)


DECIDED_AT = "2026-03-01T12:00:00Z"


class Host:
    """The far end of the guest channel: answers as the test says."""

    def __init__(self, path: Path) -> None:
        self.asked: list[tuple[str, bytes]] = []
        self.evidence: Callable[[], Answer] = lambda: (
            200,
            canonical_json(Evidence(media_type="test/evidence", payload="AAAA")),
        )
        self.challenge: Callable[[], Answer] = lambda: (
            200,
            json.dumps(
                {
                    "nonce": to_base64(NONCE),
                    "broker_id": "clinic",
                    "expires_at": "2026-01-01T00:00:00Z",
                }
            ).encode(),
        )
        self.release: Callable[[ReleaseRequest], Answer] = self.honest
        host = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                host.asked.append((self.path, body))
                status, answer = host.answer(self.path, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def address_string(self) -> str:
                return "guest"

            def log_message(self, *_: Any) -> None: ...

        self.server = socketserver.ThreadingUnixStreamServer(str(path), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, path: str, body: bytes) -> Answer:
        if path == "/v1/evidence":
            return self.evidence()
        if path.endswith("/challenge"):
            return self.challenge()
        return self.release(read_record(body, ReleaseRequest, what="request"))

    def honest(self, request: ReleaseRequest, **change: Any) -> Answer:
        keys = []
        for item in request.datasets:
            context = {
                "broker_id": "clinic",
                "nonce": NONCE,
                "job_digest": request.job_digest,
                "dataset_version": dataset_version(item),
                "evidence_digest": evidence_digest(request.evidence),
                "tier": "simulated",
                "decided_at": DECIDED_AT,
                "insecure_settings": (),
                **change,
            }
            sealed = seal_to_session(KEY, unbase64(request.session_key), release_context(**context))
            keys.append(
                ReleasedKey(dataset_version=dataset_version(item), ciphertext=to_base64(sealed))
            )
        return 200, canonical_json(self.answer_of(tuple(keys)))

    def answer_of(self, keys: tuple[ReleasedKey, ...], broker_id: str = "clinic") -> ReleaseAnswer:
        return ReleaseAnswer(
            broker_id=broker_id,
            keys=keys,
            tier="simulated",
            decided_at=DECIDED_AT,
            insecure_settings=(),
            decision="",
            log_proof="",
        )


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    found = Host(tmp_path / "channel.sock")
    yield found
    found.server.shutdown()
    found.server.server_close()


def ask(folder: Path) -> OpenedKeys:
    given = job(folder, plan(dataset()))
    channel = GuestChannel(folder / "channel.sock")
    ((broker_id, datasets),) = brokers(given).items()
    return get_keys(
        given,
        broker_id,
        datasets,
        channel=channel,
        attester=SimulatedAttester(channel),
        patience_seconds=0.6,
    )


def test_an_honest_broker_gives_the_key(tmp_path: Path, host: Host) -> None:
    opened = ask(tmp_path)
    assert opened.keys == {"insurance": KEY}
    assert opened.session.nonce == to_base64(NONCE)
    assert str(KEY) not in repr(opened)


def test_every_session_has_its_own_key_pair_and_binds_it(tmp_path: Path, host: Host) -> None:
    first, second = ask(tmp_path), ask(tmp_path)
    assert first.session.session_key != second.session.session_key
    bound = [json.loads(body)["data"] for path, body in host.asked if "evidence" in path]
    assert len(set(bound)) == 2
    assert all(len(unbase64(text)) == len(report_data(b"")) for text in bound)


@pytest.mark.parametrize(
    "change",
    [
        {"broker_id": "other"},
        {"nonce": b"m" * 32},
        {"job_digest": digest_bytes(b"other job")},
        {"dataset_version": digest_bytes(b"other data")},
        {"evidence_digest": b"e" * 32},
        {"tier": "hardware"},
        {"insecure_settings": ("insecure_accept_simulated_evidence",)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_key_sealed_for_something_else_does_not_open(
    tmp_path: Path, host: Host, change: dict[str, Any]
) -> None:
    host.release = lambda request: host.honest(request, **change)
    with pytest.raises(SealingError):
        ask(tmp_path)


def test_a_missing_key_is_refused(tmp_path: Path, host: Host) -> None:
    host.release = lambda _: (200, canonical_json(host.answer_of(())))
    with pytest.raises(GuestChannelError):
        ask(tmp_path)


def test_a_nonce_of_another_length_is_refused(tmp_path: Path, host: Host) -> None:
    given = {"nonce": "AA==", "broker_id": "clinic", "expires_at": "2026-01-01T00:00:00Z"}
    host.challenge = lambda: (200, json.dumps(given).encode())
    with pytest.raises(GuestChannelError):
        ask(tmp_path)


def test_another_brokers_challenge_is_refused(tmp_path: Path, host: Host) -> None:
    given = {
        "nonce": to_base64(NONCE),
        "broker_id": "other",
        "expires_at": "2026-01-01T00:00:00Z",
    }
    host.challenge = lambda: (200, json.dumps(given).encode())
    with pytest.raises(GuestChannelError):
        ask(tmp_path)


def problem(status: int, code: str, check: str | None) -> Answer:
    body = {"type": "", "title": "", "status": status, "code": code, "detail": "", "check": check}
    return status, json.dumps(body).encode()


def test_a_denial_names_its_check(tmp_path: Path, host: Host) -> None:
    host.release = lambda _: problem(403, "key-denied", "approvals")
    with pytest.raises(KeyDeniedError) as caught:
        ask(tmp_path)
    assert caught.value.check == "approvals"


def test_a_check_name_that_carries_text_is_not_passed_on(tmp_path: Path, host: Host) -> None:
    host.release = lambda _: problem(403, "key-denied", "Patient 17 said no")
    with pytest.raises(KeyDeniedError) as caught:
        ask(tmp_path)
    assert caught.value.check == "request"


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_broker_that_cannot_now_is_unreachable(tmp_path: Path, host: Host, status: int) -> None:
    host.challenge = lambda: (status, b"no JSON")
    with pytest.raises(BrokerUnreachableError):
        ask(tmp_path)


def test_a_host_that_sends_without_end_is_cut_off(tmp_path: Path, host: Host) -> None:
    host.evidence = lambda: (200, b" " * (2 << 20))
    with pytest.raises(GuestChannelError):
        ask(tmp_path)


def test_no_host_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(GuestChannelError):
        ask(tmp_path)


def test_no_attester_is_ever_fallen_back_to(tmp_path: Path) -> None:
    from manatee.errors import AttestationError

    with pytest.raises(AttestationError):
        attester_for("vm", GuestChannel(tmp_path / "s"))


def test_a_plan_with_another_data_set_version_is_refused(tmp_path: Path) -> None:
    given = msgspec.structs.replace(plan(dataset()), datasets=(dataset(broker="other"),))
    with pytest.raises(ManifestError, match="versions"):
        job(tmp_path, given)


def test_a_plan_with_another_output_policy_is_refused(tmp_path: Path) -> None:
    loose = msgspec.structs.replace(DEFAULT_POLICY, max_files=1000)
    with pytest.raises(ManifestError, match="policy"):
        job(tmp_path, msgspec.structs.replace(plan(dataset()), output_policy=loose))


def test_a_secure_run_on_an_open_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="sealed"):
        job(tmp_path, plan(dataset(), dataset("twin", broker=None)))


def test_a_rehearsal_on_a_sealed_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="sealed"):
        job(tmp_path, plan(dataset(), stage="rehearsal"))
