"""Fetching collateral over real HTTP: what vendors answered goes in, and nothing else does."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from manatee.attestation import ExpectedBinding, GuestImage, ReferenceValues, appraise
from manatee.attestation._certificates import read_pem_chain
from manatee.attestation._tdx.quote import parse_quote
from manatee.attestation._tdx.reference import TdxReference
from manatee.collateral import (
    Collateral,
    Downloader,
    Item,
    ItemKind,
    fetch_amd,
    fetch_intel,
    fetch_keys,
    fetch_rim,
    read_item,
)
from manatee.errors import (
    AppraisalUnavailableError,
    InputError,
    MalformedError,
    ManateeError,
    NotFoundError,
    TooLargeError,
)
from manatee.records import Evidence, digest_bytes, to_base64

VECTORS = Path(__file__).parents[1] / "vectors"
MARCH = VECTORS / "tdx" / "collateral-2026-03"
QUOTE = (VECTORS / "tdx" / "v5-90c06f.quote").read_bytes()
APRIL = datetime(2026, 4, 1, tzinfo=UTC)
ISSUER = "https://sharedeus2.eus2.attest.azure.net"
RIM = "NV_GPU_DRIVER_GH100_550.144.03"
MANIFEST = (VECTORS / "nvidia" / "rim-driver-gh100-550.144.03.xml").read_bytes()

Page = tuple[int, dict[str, str], bytes]


def intel_pages() -> dict[str, Page]:
    signing = quote((MARCH / "tcb_signing_chain.pem").read_text())
    pck = quote((MARCH / "tcb_signing_chain.pem").read_text())
    return {
        "/tdx/certification/v4/tcb?fmspc=90c06f000000": (
            200,
            {"TCB-Info-Issuer-Chain": signing},
            (MARCH / "tcb_info_90c06f000000.json").read_bytes(),
        ),
        "/tdx/certification/v4/qe/identity": (
            200,
            {"SGX-Enclave-Identity-Issuer-Chain": signing},
            (MARCH / "td_qe_identity.json").read_bytes(),
        ),
        "/sgx/certification/v4/pckcrl?ca=platform&encoding=der": (
            200,
            {"SGX-PCK-CRL-Issuer-Chain": pck},
            (MARCH / "pck_crl_platform.der").read_bytes(),
        ),
        "/IntelSGXRootCA.der": (200, {}, (MARCH / "root_ca_crl.der").read_bytes()),
    }


def revocations() -> bytes:
    """Make a list as AMD would; no recorded one was found."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ARK-Milan")])
    made = x509.CertificateRevocationListBuilder(name, APRIL, APRIL + timedelta(days=365))
    key = ec.derive_private_key(7, ec.SECP256R1())
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


REVOCATIONS = revocations()


def pem_to_der(path: Path) -> bytes:
    return read_pem_chain(path.read_bytes())[0].public_bytes(Encoding.DER)


class _Handler(BaseHTTPRequestHandler):
    pages: dict[str, Page]
    trickle = threading.Event()

    def do_GET(self) -> None:
        status, headers, body = self.pages.get(self.path, (404, {}, b"not found"))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            if headers.get("X-Test") == "slow":
                for octet in body:
                    self.wfile.write(bytes([octet]))
                    self.wfile.flush()
                    if self.trickle.wait(0.05):
                        return
            self.wfile.write(body)
        except OSError:
            return  # the client went away, as it should

    def log_message(self, *_: Any) -> None:
        return


@contextmanager
def serving(pages: dict[str, Page]) -> Iterator[str]:
    stop = threading.Event()
    handler = type("Handler", (_Handler,), {"pages": pages, "trickle": stop})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        stop.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def get() -> Iterator[Downloader]:
    with Downloader(insecure_http=True, timeout_seconds=1.0, total_seconds=0.4) as made:
        yield made


@pytest.fixture
def cache(tmp_path: Path) -> Collateral:
    return Collateral.open(tmp_path / "collateral")


def test_a_quotes_collateral_is_fetched_kept_and_appraises_the_quote(
    get: Downloader, cache: Collateral
) -> None:
    with serving(intel_pages()) as base:
        items = fetch_intel(QUOTE, get, base=base, certificates=base)
    cache.put(items, at=APRIL, source=base)
    runtime = digest_bytes(b"runtime")
    fields = parse_quote(QUOTE)[0]
    measured = {f"rtmr{number}": value.hex() for number, value in enumerate(fields.rtmrs)}
    image = GuestImage(
        kind="intel-tdx",
        measurements={"mrtd": fields.mr_td.hex(), **measured},
        runtime_digest=runtime,
    )
    result = appraise(
        Evidence(media_type="application/vnd.manatee.intel-tdx-quote", payload=to_base64(QUOTE)),
        at=APRIL,
        expected_binding=ExpectedBinding.exactly(fields.report_data),
        reference_values=ReferenceValues(
            runtime_digests=(runtime,), roots={}, images=(image,), tdx=TdxReference()
        ),
        max_age_seconds=None,
        endorsements=cache.endorsements("intel-tdx"),
    )
    assert result.require().tcb_status == "UpToDate"


def test_amd_is_asked_for_exactly_the_chip_and_versions_of_the_report(
    get: Downloader, cache: Collateral
) -> None:
    report = (VECTORS / "snp" / "milan-report.bin").read_bytes()
    chip = report[0x1A0:0x1E0].hex()
    leaf = pem_to_der(VECTORS / "snp" / "milan-vcek.pem")
    chain = (VECTORS / "snp" / "chain-vcek-milan.pem").read_bytes()
    path = f"/vcek/v1/Milan/{chip}?blSPL=04&teeSPL=00&snpSPL=24&ucodeSPL=219"
    pages = {
        path: (200, {}, leaf),
        "/vcek/v1/Milan/cert_chain": (200, {}, chain),
        "/vcek/v1/Milan/crl": (200, {}, REVOCATIONS),
    }
    with serving(pages) as base:
        cache.put(fetch_amd(report, get, base=base), at=APRIL, source=base)
    found = cache.endorsements("amd-sev-snp")
    assert leaf in found.certificates
    assert len(found.certificates) == 3
    assert found.revocations == (REVOCATIONS,)


def test_turin_has_its_own_versions_and_short_chip_number(get: Downloader) -> None:
    report = (VECTORS / "snp" / "turin-report.bin").read_bytes()
    chip = report[0x1A0:0x1A8].hex()
    path = f"/vcek/v1/Turin/{chip}?fmcSPL=01&blSPL=01&teeSPL=01&snpSPL=04&ucodeSPL=81"
    leaf = pem_to_der(VECTORS / "snp" / "turin-vcek.pem")
    pages = {
        path: (200, {}, leaf),
        "/vcek/v1/Turin/cert_chain": (
            200,
            {},
            (VECTORS / "snp" / "chain-vcek-turin.pem").read_bytes(),
        ),
        "/vcek/v1/Turin/crl": (200, {}, REVOCATIONS),
    }
    with serving(pages) as base:
        items = fetch_amd(report, get, base=base)
    assert items[0].data == leaf


def test_a_fleets_report_gets_chain_and_list_but_no_leaf(get: Downloader) -> None:
    report = (VECTORS / "snp" / "milan-vlek-report.bin").read_bytes()
    chain = (VECTORS / "snp" / "chain-vlek-milan.pem").read_bytes()
    pages = {
        "/vlek/v1/Milan/cert_chain": (200, {}, chain),
        "/vlek/v1/Milan/crl": (200, {}, REVOCATIONS),
    }
    with serving(pages) as base:
        items = fetch_amd(report, get, base=base)
    kinds = [item.kind for item in items]
    assert kinds == [ItemKind.CERTIFICATE, ItemKind.CERTIFICATE, ItemKind.REVOCATION_LIST]


def test_an_old_report_must_be_told_its_product(get: Downloader) -> None:
    report = (VECTORS / "snp" / "milan-azure-report.bin").read_bytes()
    with pytest.raises(InputError, match="product"):
        fetch_amd(report, get, base="http://127.0.0.1:9")


def test_fetched_keys_are_held(get: Downloader, cache: Collateral) -> None:
    body = (VECTORS / "azure-maa" / "maa-jwks.json").read_bytes()
    with serving({"/certs": (200, {}, body)}) as base:
        items = fetch_keys(f"{base}/certs", ISSUER, get)
    cache.put(items, at=APRIL, source=base, held=True)
    assert cache.endorsements("azure-maa").documents == {}
    cache.accept(f"jwks/{ISSUER}", items[0].digest, at=APRIL)
    assert cache.endorsements("azure-maa").documents == {f"jwks/{ISSUER}": body}


def rim_page(manifest: bytes = MANIFEST, **more: str) -> Page:
    answer = {"id": RIM, "rim": base64.b64encode(manifest).decode()}
    return (200, {}, json.dumps(answer | more).encode())


def test_a_manifest_is_unwrapped(get: Downloader) -> None:
    stated = hashlib.sha256(MANIFEST).hexdigest()
    with serving({f"/v1/rim/{RIM}": rim_page(sha256=stated)}) as base:
        (item,) = fetch_rim([RIM], get, base=base)
    assert (item.name, item.data) == (f"rim/{RIM}", MANIFEST)


@pytest.mark.parametrize(
    "page",
    [
        rim_page(sha256="0" * 64),
        rim_page(id="NV_GPU_OTHER"),
        rim_page(rim="*"),
        rim_page(b"<!DOCTYPE a><SoftwareIdentity/>"),
        (200, {}, b"[]"),
        (200, {}, MANIFEST),
    ],
)
def test_another_answer_than_the_manifest_is_refused(page: Page, get: Downloader) -> None:
    with serving({f"/v1/rim/{RIM}": page}) as base, pytest.raises(MalformedError):
        fetch_rim([RIM], get, base=base)


@pytest.mark.parametrize("identifier", ["", "../x", "a/b", "a?b", "a b"])
def test_a_manifests_id_cannot_change_the_address(identifier: str, get: Downloader) -> None:
    with pytest.raises(InputError):
        fetch_rim([identifier], get, base="http://127.0.0.1:9")


def tampered_tcb(page: Page) -> Page:
    status, headers, body = page
    return (status, headers, body.replace(b'"tcbInfo"', b'"tcbinfo"'))


BROKEN: dict[str, tuple[Callable[[Page], Page], type[ManateeError]]] = {
    "404": (lambda page: (404, {}, b""), NotFoundError),
    "500": (lambda page: (500, {}, page[2]), AppraisalUnavailableError),
    "redirect": (lambda page: (302, {"Location": "/IntelSGXRootCA.der"}, b""), ManateeError),
    "slow": (lambda page: (200, page[1] | {"X-Test": "slow"}, page[2]), AppraisalUnavailableError),
    "oversize": (lambda page: (200, page[1], page[2] + b" " * (1 << 20)), TooLargeError),
    "short": (
        lambda page: (200, page[1] | {"Content-Length": str(len(page[2]) + 9)}, page[2]),
        AppraisalUnavailableError,
    ),
    "empty": (lambda page: (200, page[1], b""), InputError),
    "page": (lambda page: (200, page[1], b"<html>sign in</html>"), MalformedError),
    "compressed": (
        lambda page: (200, page[1] | {"Content-Encoding": "gzip"}, gzip.compress(page[2])),
        MalformedError,
    ),
}


@pytest.mark.parametrize("path", sorted(intel_pages()))
@pytest.mark.parametrize("fault", sorted(BROKEN))
def test_one_broken_answer_changes_nothing_in_the_cache(
    fault: str, path: str, get: Downloader, cache: Collateral, tmp_path: Path
) -> None:
    good = read_item((VECTORS / "tdx" / "intel-sgx-root-ca.der").read_bytes(), ItemKind.CERTIFICATE)
    cache.put([good], at=APRIL, source="a disk")
    before = {item.name: item.read_bytes() for item in tmp_path.rglob("*.json")}
    break_it, error = BROKEN[fault]
    pages = intel_pages()
    pages[path] = break_it(pages[path])

    def fetch(base: str) -> tuple[Item, ...]:
        return fetch_intel(QUOTE, get, base=base, certificates=base)

    with serving(pages) as base, pytest.raises(error):
        cache.put(fetch(base), at=APRIL, source=base)
    assert {item.name: item.read_bytes() for item in tmp_path.rglob("*.json")} == before


def test_collateral_of_another_platform_is_refused(get: Downloader) -> None:
    pages = intel_pages()
    path = "/tdx/certification/v4/tcb?fmspc=90c06f000000"
    body = (MARCH / "tcb_info_50806f000000.json").read_bytes()
    pages[path] = (200, pages[path][1], body)
    with serving(pages) as base, pytest.raises(MalformedError, match="another platform"):
        fetch_intel(QUOTE, get, base=base, certificates=base)


@pytest.mark.parametrize("path", [path for path in intel_pages() if urlsplit(path).path[1] != "I"])
def test_an_answer_without_its_issuer_chain_is_refused(path: str, get: Downloader) -> None:
    pages = intel_pages()
    pages[path] = (200, {}, pages[path][2])
    with serving(pages) as base, pytest.raises(MalformedError, match="issuer chain"):
        fetch_intel(QUOTE, get, base=base, certificates=base)


def test_a_compressed_answer_is_not_unpacked(get: Downloader) -> None:
    page = (200, {"Content-Encoding": "gzip"}, gzip.compress(bytes(8 << 20)))
    with serving({"/x": page}) as base, pytest.raises(MalformedError, match="compressed"):
        get.get(f"{base}/x")


def test_a_closed_port_is_unavailable(get: Downloader) -> None:
    with serving({}) as base:
        pass
    with pytest.raises(AppraisalUnavailableError):
        get.get(f"{base}/x")


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/x", "file:///etc/hosts", "", "https://["])
def test_only_https_is_spoken_unless_said_otherwise(address: str) -> None:
    with Downloader() as get, pytest.raises(ManateeError):
        get.get(address)
