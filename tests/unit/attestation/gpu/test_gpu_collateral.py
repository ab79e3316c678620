"""Forged manifests and answers on revocation: XML tricks, wrong signers, revoked certificates."""

from __future__ import annotations

import itertools
import re
import sys
import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509

from manatee.attestation._gpu.manifest import read_manifest
from manatee.attestation._gpu.manifest_xml import read_xml, signed_part, signers
from manatee.attestation._gpu.revocation import DOCUMENT
from manatee.errors import AppraisalRefusedError, AppraisalUnavailableError, MalformedError

sys.path.insert(0, str(Path(__file__).parent))
from gpu_forge import (
    AT,
    RIM_CA,
    RIM_ROOT,
    ROOT,
    Gpu,
    certificate,
    der,
    failed,
)

DEVICE, MODEL, AUTHORITY, DRIVER_RIM, VBIOS_RIM, RIM_AUTHORITY = range(6)
SECOND = timedelta(seconds=1)


@pytest.fixture
def gpu() -> Gpu:
    return Gpu()


# --- XML ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "after",
    [
        lambda data: b'<!DOCTYPE x SYSTEM "file:///etc/passwd">' + data,
        lambda data: b'<!DOCTYPE x [<!ENTITY a "b">]>' + data,
        lambda data: b'<!DOCTYPE x [<!ENTITY a SYSTEM "http://attacker.example/">]>' + data,
        lambda data: b'<?xml version="1.0" encoding="utf-16"?>' + data,
        lambda data: b'<?xml version="1.0" encoding="utf-7"?>' + data,
        lambda data: data.decode().encode("utf-16"),
        lambda data: data.decode().encode("utf-16-le"),
        lambda data: data.replace(b"<Payload>", b"<!-- a --><Payload>"),
        lambda data: data.replace(b"<Payload>", b"<?a b?><Payload>"),
        lambda data: data.replace(b"<Payload>", b"<![CDATA[a]]><Payload>"),
        lambda data: data + b"<x/>",
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: data + b"\xff",
        lambda data: b"",
        lambda data: data.replace(b"<Payload>", b"<x>" * 40 + b"<Payload>"),
        lambda data: data + b" " * (1 << 20),
    ],
)
def test_a_manifest_that_is_not_plain_xml_is_malformed(
    gpu: Gpu, after: Callable[[bytes], bytes]
) -> None:
    data = after(gpu.driver.build())
    with pytest.raises(MalformedError):
        read_xml(data)
    gpu.driver.after = after
    assert failed(gpu.look()) == ["driver-manifest", "measurements"]


def test_an_xml_bomb_costs_nothing() -> None:
    names = "abcdefghij"
    entities = "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in itertools.pairwise(names))
    bomb = f'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">{entities}]><x>&j;</x>'.encode()
    deep = b"<a>" * 60_000 + b"</a>" * 30_000
    wide = b"<a>" + b"<b/>" * 50_000 + b"</a>"
    tracemalloc.start()
    for data in (bomb, deep, wide, b"<" * (1 << 20)):
        with pytest.raises(MalformedError):
            read_xml(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 32 << 20  # ten thousand million characters, if the entities were expanded


END = b"</SoftwareIdentity>"


def signature_of(data: bytes) -> bytes:
    found = re.search(rb"<ds:Signature .*</ds:Signature>", data, re.DOTALL)
    assert found is not None
    return found[0]


@pytest.mark.parametrize(
    "after",
    [
        # a second signature, before, behind and inside the first
        lambda data: data.replace(END, signature_of(data) + END),
        lambda data: data.replace(b"<Payload>", signature_of(data) + b"<Payload>"),
        lambda data: data.replace(
            b"</ds:Signature>", b"<ds:Object>" + signature_of(data) + b"</ds:Object></ds:Signature>"
        ),
        # none
        lambda data: data.replace(signature_of(data), b""),
        # moved away from the end
        lambda data: data.replace(signature_of(data), b"").replace(
            b"<Payload>", signature_of(data) + b"<Payload>"
        ),
        # wrapped: what was signed stands inside something else
        lambda data: b"<SoftwareIdentity>" + data + signature_of(data) + b"</SoftwareIdentity>",
        # over a part, by an identifier
        lambda data: data.replace(b'URI=""', b'URI="#t"'),
        lambda data: data.replace(b' URI=""', b""),
        # other algorithms
        lambda data: data.replace(b"xmldsig-more#ecdsa-sha384", b"xmldsig-more#ecdsa-sha256"),
        lambda data: data.replace(b"xmldsig-more#ecdsa-sha384", b"xmldsig-more#hmac-sha384"),
        lambda data: data.replace(b"xmldsig-more#sha384", b"xmldsig#sha1"),
        lambda data: data.replace(b"#enveloped-signature", b"#base64"),
        lambda data: re.sub(rb"<ds:Transforms>.*</ds:Transforms>", b"", data),
        lambda data: re.sub(
            rb"<ds:Reference .*</ds:Reference>", lambda found: found[0] * 2, data
        ),
        lambda data: re.sub(rb"<ds:KeyInfo>.*</ds:KeyInfo>", b"", data, flags=re.DOTALL),
        lambda data: data.replace(b'colloquialVersion="', b'colloquialVersion="1'),
        lambda data: data.replace(b'active="False"', b'active="True"'),
    ],
)  # fmt: skip
def test_a_manifest_whose_signature_is_not_one_over_all_of_it_is_refused(
    gpu: Gpu, after: Callable[[bytes], bytes]
) -> None:
    data = gpu.driver.build()
    changed = after(data)
    if changed == data:
        pytest.fail("the attack changed nothing")
    gpu.driver.after = after
    assert failed(gpu.look()) == ["driver-manifest", "measurements"]


@pytest.mark.parametrize("value", [b"A", b"", b"*", "é".encode(), b"<x/>", b"AAAA"])
@pytest.mark.parametrize("name", [b"SignatureValue", b"DigestValue"])
def test_a_signature_of_other_bytes_is_refused(gpu: Gpu, name: bytes, value: bytes) -> None:
    whole = re.compile(rb"(<ds:%s>)[^<]*" % name)
    gpu.driver.after = lambda data: whole.sub(rb"\1" + value, data)
    assert failed(gpu.look()) == ["driver-manifest", "measurements"]


EXCLUSIVE = b"http://www.w3.org/2001/10/xml-exc-c14n#"
TRANSFORM = b'<ds:Transform Algorithm="'
PLAIN = b"http://www.w3.org/2006/12/xml-c14n11"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"xmldsig-more#ecdsa-sha384", b"xmldsig-more#ecdsa-sha256"),
        (b"xmldsig-more#sha384", b"xmldsig-more#sha224"),
        (b'CanonicalizationMethod Algorithm="' + PLAIN, b'CanonicalizationMethod Algorithm="x'),
        (b"xmldsig#enveloped-signature", b"xmldsig#base64"),
        (TRANSFORM + PLAIN, TRANSFORM + EXCLUSIVE),
        (b"</ds:Transforms>", TRANSFORM + PLAIN + b'"/></ds:Transforms>'),
        (b'URI=""', b'URI="#x"'),
        (b'URI=""', b'URI="" Type="x"'),
    ],
)
def test_only_one_form_of_signature_is_looked_at(gpu: Gpu, old: bytes, new: bytes) -> None:
    data = gpu.driver.build()
    assert old in data
    with pytest.raises(AppraisalRefusedError, match="form accepted"):
        signed_part(read_xml(data.replace(old, new)), gpu.driver.signer, at=AT)


def test_a_manifest_that_has_no_canonical_form_is_refused(gpu: Gpu) -> None:
    gpu.driver.after = lambda data: data.replace(b"<Payload>", b'<Payload xmlns:r="relative">')
    assert failed(gpu.look()) == ["driver-manifest", "measurements"]


def test_signers_are_those_of_a_signature_at_the_end(gpu: Gpu) -> None:
    data = gpu.driver.build()
    assert len(signers(read_xml(data))) == 3
    own = signature_of(data)
    moved = data.replace(own, b"").replace(b"<Payload>", own + b"<Payload>")
    bare = b'<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/>'
    for other in (moved, bare, data.replace(own, b"")):
        with pytest.raises(AppraisalRefusedError, match="at its end"):
            signers(read_xml(other))


def test_another_canonical_form_is_refused(gpu: Gpu) -> None:
    gpu.driver.canonical = "EXCLUSIVE_XML_CANONICALIZATION_1_0"
    assert failed(gpu.look()) == ["driver-manifest", "measurements"]


def test_a_signature_over_what_an_identifier_names_is_refused(gpu: Gpu) -> None:
    gpu.driver.change = lambda text: text.replace("<SoftwareIdentity", '<SoftwareIdentity Id="x"')
    gpu.driver.signed_part = "x"
    assert failed(gpu.look()) == ["driver-manifest", "measurements"]


def other_root() -> x509.Certificate:
    return certificate("rim root", "foreign", "rim root", "foreign", ca=True)


@pytest.mark.parametrize(
    "how", ["foreign chain", "device's root", "reordered", "no authority", "a device's key"]
)
def test_a_manifest_signed_by_somebody_else_is_refused(gpu: Gpu, how: str) -> None:
    manifest = gpu.driver
    if how == "foreign chain":
        authority = certificate("rim ca", "rim-ca", "rim root", "foreign", ca=True)
        manifest.chain = [manifest.signer, authority, other_root()]
    elif how == "device's root":
        authority = certificate("rim ca", "rim-ca", "device root", "root", ca=True)
        manifest.chain = [manifest.signer, authority, ROOT]
    elif how == "reordered":
        manifest.chain = [manifest.signer, RIM_ROOT, RIM_CA]
    elif how == "no authority":
        manifest.chain = [manifest.signer, RIM_ROOT]
    else:
        manifest.key, manifest.chain = "leaf", gpu.chain
    assert failed(gpu.look()) == ["driver-manifest", "measurements"]


def test_a_manifest_signed_by_another_key_than_its_certificates_is_refused(gpu: Gpu) -> None:
    gpu.driver.key = "foreign"
    assert failed(gpu.look()) == ["driver-manifest", "measurements"]


def test_a_manifest_signed_by_an_authority_itself_is_refused(gpu: Gpu) -> None:
    gpu.driver.key, gpu.driver.chain = "rim-ca", [RIM_CA, RIM_ROOT]
    assert failed(gpu.look()) == ["driver-manifest", "measurements"]


@pytest.mark.parametrize("options", [{"ends": AT - SECOND}, {"begins": AT + SECOND},
                                     {"signs": False}])  # fmt: skip
def test_a_manifests_signer_must_be_in_office(gpu: Gpu, options: dict[str, object]) -> None:
    signer = certificate("rim signer", "rim", "rim ca", "rim-ca", ca=False, **options)  # type: ignore[arg-type]
    gpu.driver.signer, gpu.driver.chain = signer, [signer, RIM_CA, RIM_ROOT]
    assert failed(gpu.look()) == ["driver-manifest", "measurements"]


def test_time_is_the_argument_alone(gpu: Gpu) -> None:
    signer = certificate(
        "rim signer", "rim", "rim ca", "rim-ca", ca=False,
        begins=AT - timedelta(days=900), ends=AT - timedelta(days=800),
    )  # fmt: skip
    old = [
        certificate(name, key, "rim root", "rim-root", ca=True, begins=AT - timedelta(days=900))
        for name, key in (("rim ca", "rim-ca"), ("rim root", "rim-root"))
    ]
    gpu.driver.signer, gpu.driver.chain = signer, [signer, *old]
    then = AT - timedelta(days=850)
    found = read_manifest(gpu.driver.build(), [der(old[1])], at=then)
    assert found.version == "550.144.03"
    with pytest.raises(AppraisalRefusedError):
        read_manifest(gpu.driver.build(), [der(old[1])], at=AT)


@pytest.mark.parametrize("text", [b"*", b"", "é".encode(), b"AAAA", b"<x/>"])
def test_certificates_in_a_manifest_that_are_none_are_refused(gpu: Gpu, text: bytes) -> None:
    first = re.compile(rb"(<ds:X509Certificate>)[^<]*")
    gpu.driver.after = lambda data: first.sub(rb"\1" + text, data, count=1)
    assert failed(gpu.look()) == ["driver-manifest", "measurements"]


# --- collateral that is missing -------------------------------------------------------------------


def drop(part: str) -> Callable[[dict[str, bytes]], None]:
    def change(found: dict[str, bytes]) -> None:
        for name in [name for name in found if part in name]:
            del found[name]

    return change


@pytest.mark.parametrize("part", ["NV_GPU_DRIVER", "NV_GPU_VBIOS", DOCUMENT])
def test_what_lacks_nothing_but_collateral_cannot_be_appraised(gpu: Gpu, part: str) -> None:
    gpu.documents = drop(part)
    with pytest.raises(AppraisalUnavailableError, match=part):
        gpu.look()


def test_what_is_refused_anyway_says_so_even_without_collateral(gpu: Gpu) -> None:
    gpu.documents = drop("")
    gpu.nonce = bytes(31) + b"\1"
    result = gpu.look()
    reason = next(item.reason for item in result.checks if item.name == "driver-manifest")
    assert reason == "rim/NV_GPU_DRIVER_GH100_550.144.03 is missing or out of date"
    assert failed(result) == [
        "binding",
        "driver-manifest",
        "vbios-manifest",
        "measurements",
        "revocation",
    ]


def test_one_gpu_that_lacks_collateral_does_not_hide_another_that_is_refused(gpu: Gpu) -> None:
    second = Gpu(serial=100)
    second.fields[3] = b"550.144.04\0"
    second.values[8] = bytes(48)
    gpu.conditions = msgspec.structs.replace(
        gpu.conditions, driver_versions=("550.144.03", "550.144.04")
    )
    with pytest.raises(AppraisalUnavailableError, match=r"550\.144\.04"):
        gpu.look(second)
    gpu.values[8] = bytes(48)
    assert failed(gpu.look(second)) == ["driver-manifest", "measurements"]
