"""What GPUs need of NVIDIA, fetched over real HTTP from a manifest service and an OCSP responder.

Both are played here, for a GPU of our own; NVIDIA's own services were never asked by these tests.
"""

from __future__ import annotations

import base64
import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import typer
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from typer.testing import CliRunner

from manatee.attestation import Endorsements, ExpectedBinding, appraise
from manatee.cli import _attest_commands
from manatee.collateral import Collateral, Downloader, Item, ItemKind, fetch_gpu, read_item
from manatee.errors import (
    AppraisalUnavailableError,
    ConflictError,
    InputError,
    MalformedError,
    ManateeError,
    NotFoundError,
    TooLargeError,
)
from manatee.records import Evidence, canonical_json, to_base64

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "attestation" / "gpu"))
from gpu_forge import AT, MEDIA_TYPE, NONCE, Answer, Gpu

VECTORS = Path(__file__).parents[1] / "vectors" / "nvidia"
UNSUCCESSFUL = ocsp.OCSPResponseBuilder.build_unsuccessful

APP = typer.Typer()
_attest_commands.add_to(APP)
APP.command("other")(lambda: None)


class Vendor:
    """NVIDIA's two services, for one machine's GPUs."""

    def __init__(self, *gpus: Gpu) -> None:
        documents: dict[str, bytes] = {}
        self.answers: dict[int, Answer] = {}
        for gpu in gpus:
            documents |= gpu.collateral().documents
            self.answers |= {item.subject.serial_number: item for item in gpu.answers()}
        self.manifests = {name[4:]: data for name, data in documents.items() if name[:4] == "rim/"}
        self.asked: list[int] = []
        self.change: Callable[[bytes], bytes] = lambda body: body
        self.status = 200

    def manifest(self, path: str) -> bytes | None:
        name = path.removeprefix("/v1/rim/")
        data = self.manifests.get(name)
        if data is None:
            return None
        return json.dumps({"id": name, "rim": base64.b64encode(data).decode()}).encode()

    def answer(self, question: bytes) -> bytes:
        asked = ocsp.load_der_ocsp_request(question)
        self.asked.append(asked.serial_number)
        return self.change(self.answers[asked.serial_number].build())


@contextmanager
def serving(vendor: Vendor) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            body = vendor.manifest(self.path)
            self.reply(404 if body is None else 200, body or b"")

        def do_POST(self) -> None:
            question = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["Content-Type"] != "application/ocsp-request":
                self.reply(415, b"")
                return
            self.reply(vendor.status, vendor.answer(question))

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def gpu() -> Gpu:
    return Gpu()


@pytest.fixture
def get() -> Iterator[Downloader]:
    with Downloader(insecure_http=True, timeout_seconds=5, total_seconds=5) as made:
        yield made


@pytest.fixture
def cache(tmp_path: Path) -> Collateral:
    return Collateral.open(tmp_path / "collateral")


def payload(*gpus: Gpu) -> bytes:
    return json.dumps([gpu.item() for gpu in gpus]).encode()


def fetched(vendor: Vendor, get: Downloader, *gpus: Gpu) -> tuple[Item, ...]:
    with serving(vendor) as base:
        return fetch_gpu(payload(*gpus), get, base=base, responder=f"{base}/ocsp")


@pytest.mark.parametrize("architecture", ["hopper", "blackwell"])
def test_everything_two_gpus_need_is_fetched_once_and_appraises_them(
    architecture: str, get: Downloader, cache: Collateral
) -> None:
    gpus = (Gpu(architecture), Gpu(architecture, serial=100))
    vendor = Vendor(*gpus)
    items = fetched(vendor, get, *gpus)
    assert [item.kind for item in items].count(ItemKind.RIM) == 2
    assert len(vendor.asked) == len({item.name for item in items}) - 2
    cache.put(items, at=AT, source="a test")
    result = appraise(
        Evidence(media_type=MEDIA_TYPE, payload=to_base64(payload(*gpus))),
        at=AT,
        expected_binding=ExpectedBinding.exactly(NONCE),
        reference_values=gpus[0].references(),
        max_age_seconds=60,
        endorsements=cache.endorsements("nvidia-gpu"),
    )
    assert result.require().collateral_from == AT - timedelta(hours=1)


def test_nothing_is_asked_of_signing_keys_nor_of_roots(gpu: Gpu, get: Downloader) -> None:
    vendor = Vendor(gpu)
    fetched(vendor, get, gpu)
    assert gpu.serial not in vendor.asked
    assert sorted(set(vendor.asked)) == [3, 4, 7, 21, gpu.rom_serial]


BROKEN: dict[str, tuple[Callable[[bytes], bytes], type[ManateeError]]] = {
    "empty": (lambda body: b"", MalformedError),
    "page": (lambda body: b"<html>sign in</html>", MalformedError),
    "cut": (lambda body: body[:-1], MalformedError),
    "over": (lambda body: body + bytes(1 << 20), TooLargeError),
    "large": (lambda body: body + bytes(1 << 14), MalformedError),
    "try later": (
        lambda body: UNSUCCESSFUL(ocsp.OCSPResponseStatus.TRY_LATER).public_bytes(Encoding.DER),
        AppraisalUnavailableError,
    ),
}


@pytest.mark.parametrize("fault", sorted(BROKEN))
def test_one_broken_answer_changes_nothing_in_the_cache(
    fault: str, gpu: Gpu, get: Downloader, cache: Collateral
) -> None:
    vendor = Vendor(gpu)
    vendor.change, error = BROKEN[fault]
    with pytest.raises(error):
        cache.put(fetched(vendor, get, gpu), at=AT, source="a test")
    assert cache.kept() == ()


def test_an_answer_for_another_certificate_is_refused(gpu: Gpu, get: Downloader) -> None:
    vendor = Vendor(gpu)
    other = vendor.answers[4].build()
    vendor.change = lambda body: other
    with pytest.raises(MalformedError, match="another certificate"):
        fetched(vendor, get, gpu)


def test_a_responder_that_is_down_is_unavailable(gpu: Gpu, get: Downloader) -> None:
    vendor = Vendor(gpu)
    vendor.status = 503
    with pytest.raises(AppraisalUnavailableError, match="503"):
        fetched(vendor, get, gpu)


def test_a_manifest_nobody_has_is_named_as_not_found(gpu: Gpu, get: Downloader) -> None:
    vendor = Vendor(gpu)
    vendor.manifests.clear()
    with pytest.raises(NotFoundError):
        fetched(vendor, get, gpu)


def test_reports_of_an_unknown_architecture_are_not_fetched_for(gpu: Gpu, get: Downloader) -> None:
    gpu.said = {"arch": "../x"}
    with pytest.raises(InputError):
        fetch_gpu(payload(gpu), get, base="http://127.0.0.1:9", responder="http://127.0.0.1:9")


def test_nvidias_recorded_manifest_is_asked_about_up_to_its_root(gpu: Gpu, get: Downloader) -> None:
    vendor = Vendor(gpu)
    recorded = (VECTORS / "rim-driver-gh100-550.144.03.xml").read_bytes()
    vendor.manifests["NV_GPU_DRIVER_GH100_550.144.03"] = recorded
    asked: list[int] = []

    def answer(question: bytes) -> bytes:
        asked.append(ocsp.load_der_ocsp_request(question).serial_number)
        return b""

    vendor.answer = answer  # type: ignore[method-assign]
    with pytest.raises(MalformedError):
        fetched(vendor, get, gpu)
    assert asked


# --- the folder and the commands ------------------------------------------------------------------


def der_answer(gpu: Gpu, place: int = 0, **changed: object) -> tuple[bytes, str]:
    """Return an answer and the fingerprint of the certificate it is for."""
    given = gpu.answers()[place]
    for name, value in changed.items():
        setattr(given, name, value)

    return given.build(), given.subject.fingerprint(hashes.SHA256()).hex()


def test_an_answer_is_kept_under_its_certificates_fingerprint(gpu: Gpu, cache: Collateral) -> None:
    data, fingerprint = der_answer(gpu)
    with_colons = ":".join(fingerprint[at : at + 2] for at in range(0, 64, 2)).upper()
    item = read_item(data, ItemKind.OCSP, name=with_colons)
    assert item.name == f"ocsp/{fingerprint}"
    assert item.title == f"serial {gpu.rom_serial:x}: good"
    assert item.issued == AT - timedelta(hours=1)
    assert item.expires == AT + timedelta(hours=1)
    cache.put([item], at=AT, source="a disk")
    assert cache.endorsements("nvidia-gpu") == Endorsements(documents={item.name: data})
    assert cache.endorsements("amd-sev-snp").documents == {}


def test_an_answer_without_an_end_is_over_after_an_hour(gpu: Gpu) -> None:
    data, fingerprint = der_answer(gpu, ends=None)
    item = read_item(data, ItemKind.OCSP, name=fingerprint)
    assert item.issued is not None
    assert not item.over(item.issued + timedelta(hours=1))
    assert item.over(item.issued + timedelta(hours=1, seconds=1))


def test_an_older_answer_never_takes_a_revocation_back(gpu: Gpu, cache: Collateral) -> None:
    revoked, fingerprint = der_answer(gpu, status=ocsp.OCSPCertStatus.REVOKED)
    older, _ = der_answer(gpu, begins=AT - timedelta(hours=2))
    cache.put([read_item(revoked, ItemKind.OCSP, name=fingerprint)], at=AT, source="a disk")
    with pytest.raises(ConflictError):
        cache.put([read_item(older, ItemKind.OCSP, name=fingerprint)], at=AT, source="a disk")


@pytest.mark.parametrize("name", ["", "ab", "g" * 64, "a" * 65, "ocsp/" + "a" * 64])
def test_an_answer_needs_a_fingerprint(name: str, gpu: Gpu) -> None:
    with pytest.raises(InputError, match="fingerprint"):
        read_item(der_answer(gpu)[0], ItemKind.OCSP, name=name)


@pytest.mark.parametrize("data", [b"x", b"\x30\x00", bytes(1 << 15)])
def test_what_is_no_answer_is_not_kept(data: bytes) -> None:
    with pytest.raises(MalformedError):
        read_item(data, ItemKind.OCSP, name="a" * 64)


def test_an_answer_that_reports_a_failure_is_not_kept() -> None:
    failure = UNSUCCESSFUL(ocsp.OCSPResponseStatus.UNAUTHORIZED)
    data = failure.public_bytes(Encoding.DER)
    with pytest.raises(MalformedError, match="could not answer"):
        read_item(data, ItemKind.OCSP, name="a" * 64)


def manatee(*arguments: object) -> tuple[int, str, BaseException | None]:
    result = CliRunner().invoke(APP, ["attest", *map(str, arguments)])
    return result.exit_code, result.stdout, result.exception


def test_from_fetch_to_verify_by_commands(gpu: Gpu, tmp_path: Path) -> None:
    folder, evidence, policy = (tmp_path / name for name in ("collateral", "gpu.json", "policy"))
    evidence.write_bytes(payload(gpu))
    policy.write_bytes(canonical_json(gpu.references()))
    verify = (
        *("verify", evidence, "--kind", "nvidia-gpu", "--policy", policy),
        *("--collateral", folder, "--nonce", NONCE.hex(), "--at", "2026-06-01T12:00:00Z"),
    )
    folder.mkdir()
    code, _, error = manatee(*verify)
    assert code != 0
    assert isinstance(error, AppraisalUnavailableError)
    assert "rim/" in str(error)
    with serving(Vendor(gpu)) as base:
        fetch = ("collateral", "fetch", "gpu", "--file", evidence, "--collateral", folder)
        code, out, error = manatee(
            *fetch, "--base", base, "--responder", f"{base}/", "--insecure-http", "-o", "json"
        )
    assert code == 0, error
    assert {row["kind"] for row in json.loads(out)} == {"rim", "ocsp"}
    assert manatee(*verify)[0] == 0

    # the boot ROM is put on hold: the operator carries the answer over on a disk
    held, fingerprint = der_answer(
        gpu,
        status=ocsp.OCSPCertStatus.REVOKED,
        reason=x509.ReasonFlags.certificate_hold,
        begins=AT - timedelta(minutes=5),
    )
    disk = tmp_path / "answer.der"
    disk.write_bytes(held)
    code, out, error = manatee(
        *("collateral", "import", disk, "--as", "ocsp", "--name", fingerprint),
        *("--collateral", folder, "-o", "json"),
    )
    assert code == 0, error
    assert json.loads(out)[0]["title"] == f"serial {gpu.rom_serial:x}: on hold"
    at = datetime(2026, 6, 1, 12, tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    code, out, _ = manatee("collateral", "show", "--collateral", folder, "--at", at)
    assert code == 0
    assert "on hold" in out
    code, out, _ = manatee(*verify)
    assert code == 7
    assert "on hold" in out


def test_fetching_for_gpus_needs_their_reports(tmp_path: Path) -> None:
    _, _, error = manatee("collateral", "fetch", "gpu", "--collateral", tmp_path / "c")
    assert isinstance(error, InputError)
