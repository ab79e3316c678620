"""Attestation tokens: recorded ones give their values; each forged one fails what it breaks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from manatee.attestation import (
    AttestationResult,
    Endorsements,
    ExpectedBinding,
    GuestImage,
    Mark,
    ReferenceValues,
    appraise,
)
from manatee.attestation._tokens.reference import (
    ConfidentialSpaceReference,
    MaaReference,
    NrasReference,
)
from manatee.errors import (
    AppraisalUnavailableError,
    MalformedError,
    ManateeError,
)
from manatee.records import Evidence, Tier, digest_bytes, to_base64

VECTORS = Path(__file__).parents[3] / "vectors"
RUNTIME = digest_bytes(b"runtime")
GCP_TYPE = "application/vnd.manatee.gcp-confidential-space+jwt"
MAA_TYPE = "application/vnd.manatee.azure-maa+jwt"
NRAS_TYPE = "application/vnd.manatee.nvidia-nras+json"
GOOGLE = "https://confidentialcomputing.googleapis.com"
AZURE = "https://sharedeus2.eus2.attest.azure.net"
NVIDIA = "https://nras.attestation.nvidia.com"
AT = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
NOW = int(AT.timestamp())


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def vector(path: str) -> bytes:
    return (VECTORS / path).read_bytes().strip()


def failed(result: AttestationResult) -> list[str]:
    return [item.name for item in result.checks if item.mark is Mark.FAILED]


def look(
    media_type: str,
    token: bytes,
    given: ReferenceValues,
    *,
    at: datetime = AT,
    binding: bytes,
    documents: dict[str, bytes] | None = None,
    max_age_seconds: int | None = 3600,
) -> AttestationResult:
    return appraise(
        Evidence(media_type=media_type, payload=to_base64(token)),
        at=at,
        expected_binding=ExpectedBinding.exactly(binding),
        reference_values=given,
        max_age_seconds=max_age_seconds,
        endorsements=Endorsements(documents=documents or {}),
    )


def references(kind: str, measured: dict[str, str], **members: Any) -> ReferenceValues:
    image = GuestImage(kind=kind, measurements=measured, runtime_digest=RUNTIME)
    plain: dict[str, Any] = {"runtime_digests": (RUNTIME,), "roots": {}, "images": (image,)}
    return ReferenceValues(**(plain | members))


# --- recorded -------------------------------------------------------------------------------------

TDX_DIGEST = "sha256:e2e5e3672f416ac9ca71aa639abf86db0b713729a48c125a925af6c808b20b5d"
TDX_NONCE = b"75a91c8dbe289f190d5e70ab1cb70c93cc14d7243f0ef3ff5326a622ead220a6"
TDX_AT = datetime(2025, 9, 5, 8, 30, tzinfo=UTC)
TDX_GIVEN = references(
    "gcp-confidential-space",
    {"image-digest": TDX_DIGEST},
    confidential_space=ConfidentialSpaceReference(audience="z08381475938604996746"),
)


def google(name: str = "pki-tdx-production", **kwargs: Any) -> AttestationResult:
    plain: dict[str, Any] = {"at": TDX_AT, "binding": TDX_NONCE}
    return look(
        GCP_TYPE, vector(f"gcp-confidential-space/{name}.jwt"), TDX_GIVEN, **(plain | kwargs)
    )


def test_a_recorded_production_token_is_accepted_with_its_values() -> None:
    result = google()
    assert failed(result) == []
    claims = result.require()
    assert result.tier is Tier.HARDWARE
    assert claims.platform == "GCP_INTEL_TDX"
    assert claims.measurements == {"image-digest": TDX_DIGEST}
    assert claims.runtime_digest == RUNTIME
    assert claims.tcb_status == "UpToDate"


def test_a_recorded_debug_token_is_refused() -> None:
    result = google("pki-sev-debug", at=datetime(2025, 6, 23, 14, 30, tzinfo=UTC))
    assert {"debug", "software", "hardware"} <= set(failed(result))
    assert "signature" not in failed(result)


def test_a_recorded_token_with_a_chain_of_its_own_is_refused() -> None:
    at = datetime(2025, 6, 23, 14, 30, tzinfo=UTC)
    with pytest.raises(MalformedError):
        google("selfsigned-x5c", at=at)  # it lacks a key id, too: no production token does


@pytest.mark.parametrize(
    ("at", "max_age", "checks"),
    [
        (TDX_AT + timedelta(hours=2), 3600, ["freshness"]),
        (TDX_AT + timedelta(hours=2), None, []),  # a run bundle read later
        (TDX_AT - timedelta(hours=1), 3600, ["freshness"]),
        (datetime(2040, 1, 1, tzinfo=UTC), 3600, ["root", "signature", "freshness"]),
    ],
)
def test_a_recorded_token_has_its_time(
    at: datetime, max_age: int | None, checks: list[str]
) -> None:
    assert failed(google(at=at, max_age_seconds=max_age)) == checks


@pytest.mark.parametrize("nonce", [TDX_NONCE[:-1], TDX_NONCE + b"0", b"7" * 64])
def test_another_nonce_is_refused(nonce: bytes) -> None:
    assert failed(google(binding=nonce)) == ["binding"]


MAA_DOCUMENT = {f"jwks/{AZURE}": (VECTORS / "azure-maa/maa-jwks.json").read_bytes()}
MAA_GIVEN = references(
    "azure-maa",
    {
        "measurement": "6a063be9dd79f6371c842e480f8dc3b5c725961344e57130e88c5adf49e8f7f6"
        "c79b75a5eb77fc769959f4aeb2f9401e"
    },
    maa=MaaReference(
        issuers=(AZURE,),
        minimum_svn={"bootloader": 4, "tee": 0, "snp": 24, "microcode": 219},
    ),
)


def test_a_recorded_azure_token_is_accepted_with_its_values() -> None:
    result = look(
        MAA_TYPE,
        vector("azure-maa/sevsnpvm.jwt"),
        MAA_GIVEN,
        at=datetime(2025, 12, 15, 20, tzinfo=UTC),
        binding=b"midnight-srs",
        documents=MAA_DOCUMENT,
    )
    assert failed(result) == []
    claims = result.require()
    assert claims.tcb == {"bootloader": 4, "tee": 0, "snp": 24, "microcode": 219}
    assert not claims.debug
    assert claims.vmpl == 0


def test_recorded_gpu_tokens_are_accepted() -> None:
    eat = json.loads(vector("nvidia/nras-detached-eat.json"))
    payload = eat[0][1].split(".")[1]
    nonce = json.loads(base64.urlsafe_b64decode(payload + "=="))["eat_nonce"]
    # the service drops a leading zero of the nonce it was given: the digits are what they are
    result = look(
        NRAS_TYPE,
        vector("nvidia/nras-detached-eat.json"),
        references("nvidia-nras", {}, nras=NrasReference(hardware_models=("GH100",))),
        at=datetime(2025, 6, 11, 1, tzinfo=UTC),
        binding=bytes.fromhex(nonce),
        documents={f"jwks/{NVIDIA}": vector("nvidia/nras-jwks.json")},
    )
    assert failed(result) == []
    assert result.require().runtime_digest is None  # a GPU never stands alone
    assert not result.require().debug


@pytest.mark.parametrize(
    ("media_type", "path"),
    [
        (GCP_TYPE, "gcp-confidential-space/pki-tdx-production.jwt"),
        (MAA_TYPE, "azure-maa/sevsnpvm.jwt"),
    ],
)
def test_one_flipped_bit_at_every_character_is_refused(media_type: str, path: str) -> None:
    token = vector(path)
    google_given = media_type == GCP_TYPE
    for place in range(0, len(token)):
        broken = bytearray(token)
        broken[place] ^= 1 << place % 7
        try:
            result = look(
                media_type,
                bytes(broken),
                TDX_GIVEN if google_given else MAA_GIVEN,
                at=TDX_AT if google_given else datetime(2025, 12, 15, 20, tzinfo=UTC),
                binding=TDX_NONCE if google_given else b"midnight-srs",
                documents=MAA_DOCUMENT,
            )
        except ManateeError:
            continue
        assert not result.accepted, place


@pytest.mark.parametrize("media_type", [GCP_TYPE, MAA_TYPE, NRAS_TYPE])
@pytest.mark.parametrize(
    "token",
    [
        b"",
        b"a",
        b"..",
        b"a.b.c",
        b"a.b.c.d.e",  # a JWE
        b"\xff" * 30,
        b"A" * (1 << 20),
        b64(b"[" * 5000).encode() + b".e30.AAAA",
        b64(b'{"alg":"RS256","alg":"RS256","kid":"x"}').encode() + b".e30.AAAA",
    ],
)
def test_what_is_no_token_is_malformed(media_type: str, token: bytes) -> None:
    with pytest.raises(ManateeError) as error:
        look(media_type, token, TDX_GIVEN, binding=b"x" * 43)
    assert isinstance(error.value, MalformedError) or error.value.code == "too-large"


# --- forged: a Confidential Space of our own ------------------------------------------------------


def certificate(
    subject: str, issuer: str, key: Any, signer: Any, *, ca: bool, life: timedelta
) -> x509.Certificate:
    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    return (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(9)
        .not_valid_before(AT - timedelta(days=1))
        .not_valid_after(AT + life)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )


KEYS = [rsa.generate_private_key(65537, 2048) for _ in range(3)]
YEAR = timedelta(days=365)
ROOT = certificate("root", "root", KEYS[0], KEYS[0], ca=True, life=YEAR)
MIDDLE = certificate("middle", "root", KEYS[1], KEYS[0], ca=True, life=YEAR)
LEAF = certificate("leaf", "middle", KEYS[2], KEYS[1], ca=False, life=YEAR)
NONCE = "n" * 43
DIGEST = "sha256:" + "ab" * 32


def encoded(item: x509.Certificate) -> str:
    return base64.b64encode(item.public_bytes(serialization.Encoding.DER)).decode()


def jwk() -> dict[str, str]:
    numbers = KEYS[2].public_key().public_numbers()
    return {
        "kty": "RSA",
        "kid": "k1",
        "n": b64(numbers.n.to_bytes(256, "big")),
        "e": b64(numbers.e.to_bytes(3, "big")),
    }


def signed(header: Any, claims: Any, sign: Callable[[bytes], bytes] | None = None) -> bytes:
    parts = [
        b64(item if isinstance(item, bytes) else json.dumps(item).encode())
        for item in (header, claims)
    ]
    message = ".".join(parts).encode()
    if sign is None:
        signature = KEYS[2].sign(message, padding.PKCS1v15(), hashes.SHA256())
    else:
        signature = sign(message)
    return message + b"." + b64(signature).encode()


class Space:
    """A token of our own; header, claims and conditions can be set."""

    def __init__(self) -> None:
        self.header: dict[str, Any] = {
            "alg": "RS256",
            "kid": "k1",
            "typ": "JWT",
            "x5c": [encoded(LEAF), encoded(MIDDLE), encoded(ROOT)],
        }
        self.claims: dict[str, Any] = {
            "iss": GOOGLE,
            "aud": "https://broker.example",
            "iat": NOW - 5,
            "nbf": NOW - 5,
            "exp": NOW + 3595,
            "eat_nonce": NONCE,
            "secboot": True,
            "hwmodel": "GCP_INTEL_TDX",
            "swname": "CONFIDENTIAL_SPACE",
            "dbgstat": "disabled-since-boot",
            "google_service_accounts": ["a@example"],
            "submods": {
                "confidential_space": {"support_attributes": ["LATEST", "STABLE", "USABLE"]},
                "container": {"image_digest": DIGEST},
            },
        }
        self.conditions = ConfidentialSpaceReference(audience="https://broker.example")
        self.documents: dict[str, bytes] = {}

    def look(self, token: bytes | None = None, **kwargs: Any) -> AttestationResult:
        given = references(
            "gcp-confidential-space",
            {"image-digest": DIGEST},
            confidential_space=self.conditions,
            roots={
                "gcp-confidential-space": (
                    to_base64(ROOT.public_bytes(serialization.Encoding.DER)),
                )
            },
        )
        return look(
            GCP_TYPE,
            token or signed(self.header, self.claims),
            given,
            binding=NONCE.encode(),
            documents=self.documents,
            **kwargs,
        )


@pytest.fixture
def space() -> Space:
    return Space()


def test_the_forged_space_is_accepted_by_whoever_pins_it(space: Space) -> None:
    assert failed(space.look()) == []


def test_a_token_of_the_published_key_type_is_accepted_too(space: Space) -> None:
    del space.header["x5c"]
    space.documents = {f"jwks/{GOOGLE}": json.dumps({"keys": [jwk()]}).encode()}
    assert failed(space.look()) == []


@pytest.mark.parametrize(
    ("claims", "checks"),
    [
        ({"iss": GOOGLE + "/"}, ["issuer"]),
        ({"iss": GOOGLE.upper()}, ["issuer"]),
        ({"iss": None}, ["issuer"]),
        ({"aud": "https://broker.example/"}, ["audience"]),
        ({"aud": ["https://broker.example"]}, ["audience"]),
        ({"aud": ["https://broker.example", "https://other.example"]}, ["audience"]),
        ({"aud": None}, ["audience"]),
        ({"swname": "GCE"}, ["software"]),
        ({"secboot": False}, ["software"]),
        ({"secboot": "true"}, ["software"]),
        ({"dbgstat": "enabled"}, ["debug"]),
        ({"dbgstat": None}, ["debug"]),
        ({"hwmodel": "GCP_AMD_SEV"}, ["hardware"]),
        ({"hwmodel": None}, ["hardware"]),
        ({"eat_nonce": "m" * 43}, ["binding"]),
        ({"eat_nonce": ["m" * 43, NONCE]}, ["binding"]),
        ({"eat_nonce": [NONCE, "m" * 43]}, ["binding"]),
        ({"eat_nonce": None}, ["binding"]),
        ({"eat_nonce": 5}, ["binding"]),
        ({"submods": None}, ["software", "image"]),
        ({"submods": {"container": {"image_digest": DIGEST}}}, ["software"]),
        ({"iat": NOW + 61, "nbf": NOW}, ["freshness"]),
        ({"nbf": NOW + 61}, ["freshness"]),
        ({"exp": NOW - 1}, ["freshness"]),
        ({"exp": NOW + 30 * 86400}, ["freshness"]),
        ({"iat": NOW - 4000, "nbf": NOW - 4000}, ["freshness"]),
    ],
)
def test_each_claim_that_is_otherwise_fails_its_check(
    space: Space, claims: dict[str, Any], checks: list[str]
) -> None:
    for name, value in claims.items():
        if value is None:
            del space.claims[name]
        else:
            space.claims[name] = value
    assert failed(space.look()) == checks


def test_a_nonce_in_a_list_of_one_is_that_nonce(space: Space) -> None:
    space.claims["eat_nonce"] = [NONCE]
    assert space.look().accepted


@pytest.mark.parametrize("length", [9, 75])
def test_a_nonce_of_a_length_google_does_not_allow_is_none(space: Space, length: int) -> None:
    space.claims["eat_nonce"] = "n" * length
    assert failed(space.look()) == ["binding"]


@pytest.mark.parametrize(
    "digest",
    ["ab" * 32, "SHA256:" + "ab" * 32, "sha256:" + "AB" * 32, "sha256:" + "ab" * 31, None, 5],
)
def test_an_image_digest_of_another_form_is_no_image(space: Space, digest: object) -> None:
    space.claims["submods"]["container"]["image_digest"] = digest
    assert failed(space.look()) == ["image"]


def test_an_image_that_is_not_supported_as_asked_is_refused(space: Space) -> None:
    space.claims["submods"]["confidential_space"]["support_attributes"] = ["USABLE"]
    assert failed(space.look()) == ["software"]
    space.conditions = msgspec.structs.replace(space.conditions, support_attributes=())
    assert failed(space.look()) == ["software"]


def test_service_accounts_are_asked_where_they_are_named(space: Space) -> None:
    space.conditions = msgspec.structs.replace(space.conditions, service_accounts=("a@example",))
    assert space.look().accepted
    space.conditions = msgspec.structs.replace(space.conditions, service_accounts=())
    assert failed(space.look()) == ["service-account"]


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": "soon"},
        {"exp": None},
        {"exp": True},
        {"exp": 1.5},
        {"exp": 10**15},
        {"nbf": "x"},
        {"iat": None},
        {"exp": NOW - 10, "nbf": NOW},
    ],
)
def test_times_that_are_none_are_malformed(space: Space, claims: dict[str, Any]) -> None:
    for name, value in claims.items():
        if value is None:
            del space.claims[name]
        else:
            space.claims[name] = value
    with pytest.raises(MalformedError):
        space.look()


@pytest.mark.parametrize("number", [b"NaN", b"1e400", b"Infinity", b"1" * 400])
def test_numbers_that_are_not_json_are_malformed(space: Space, number: bytes) -> None:
    claims = (
        json.dumps(space.claims).encode().replace(b'"exp": %d' % (NOW + 3595), b'"exp": ' + number)
    )
    assert number in claims
    with pytest.raises(MalformedError):
        space.look(signed(space.header, claims))


@pytest.mark.parametrize("where", ["header", "payload"])
def test_duplicate_members_are_malformed(space: Space, where: str) -> None:
    header, claims = (json.dumps(item).encode() for item in (space.header, space.claims))
    if where == "header":
        header = header.replace(b"{", b'{"kid": "k1", ', 1)
    else:
        claims = claims.replace(b"{", b'{"aud": "https://other.example", ', 1)
    with pytest.raises(MalformedError):
        space.look(signed(header, claims))


def hs256(message: bytes) -> bytes:
    public = (
        KEYS[2]
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return hmac.new(public, message, hashlib.sha256).digest()


def ps256(message: bytes) -> bytes:
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    return KEYS[2].sign(message, pss, hashes.SHA256())


@pytest.mark.parametrize(
    ("algorithm", "sign"),
    [
        ("none", lambda message: b""),
        ("None", lambda message: b"x"),
        ("HS256", hs256),
        ("ES256", lambda message: bytes(64)),
        ("PS256", ps256),
        ("RS512", lambda message: bytes(256)),
        (None, None),
    ],
)
def test_cve_2022_29217_another_algorithm_is_malformed(
    space: Space, algorithm: str | None, sign: Callable[[bytes], bytes] | None
) -> None:
    space.header["alg"] = algorithm
    with pytest.raises(MalformedError):
        space.look(signed(space.header, space.claims, sign))


def test_a_signature_by_hmac_under_the_right_name_is_refused(space: Space) -> None:
    for sign in (hs256, ps256, lambda message: bytes(256)):
        found = failed(space.look(signed(space.header, space.claims, sign)))
        assert found == ["signature"]


@pytest.mark.parametrize(
    "member",
    [
        {"jwk": {"kty": "RSA"}},
        {"jku": "https://attacker.example/keys"},
        {"x5u": "https://attacker.example/chain"},
        {"x5t": "abc"},
        {"crit": ["exp"]},
        {"crit": []},
        {"b64": False},
        {"zip": "DEF"},
        {"enc": "A256GCM"},
        {"cty": "JWT"},
        {"typ": "JOSE"},
    ],
)
def test_cve_2025_59420_header_members_that_steer_are_malformed(
    space: Space, member: dict[str, Any]
) -> None:
    space.header |= member
    with pytest.raises(MalformedError):
        space.look()


@pytest.mark.parametrize(
    "order", ["leaf only", "reordered", "other root", "hundred", "no root", "text"]
)
def test_a_chain_that_is_not_leaf_intermediate_root_is_refused(space: Space, order: str) -> None:
    other = rsa.generate_private_key(65537, 2048)
    foreign = certificate("root", "root", other, other, ca=True, life=YEAR)
    leaf, middle, root = space.header["x5c"]
    space.header["x5c"] = {
        "leaf only": [leaf],
        "reordered": [middle, leaf, root],
        "other root": [leaf, middle, encoded(foreign)],
        "hundred": [leaf, *[middle] * 98, root],
        "no root": [leaf, middle],
        "text": "x",
    }[order]
    try:
        assert failed(space.look()) == ["root", "signature"]
    except MalformedError:
        assert order == "hundred"  # the header alone is too large


def test_an_empty_list_of_roots_and_no_conditions_accept_nothing(space: Space) -> None:
    given = references("gcp-confidential-space", {"image-digest": DIGEST})
    result = look(GCP_TYPE, signed(space.header, space.claims), given, binding=NONCE.encode())
    assert {"allowed-kind", "root", "audience", "software", "hardware"} <= set(failed(result))


# --- published keys: what a key id may be ---------------------------------------------------------


@pytest.mark.parametrize(
    "key_id", ["", "k2", "../../etc/passwd", "k1' OR '1'='1", "k" * 10_000, 5, None]
)
def test_key_id_tricks_find_no_key(space: Space, key_id: object) -> None:
    del space.header["x5c"]
    space.header["kid"] = key_id
    space.documents = {f"jwks/{GOOGLE}": json.dumps({"keys": [jwk()]}).encode()}
    assert failed(space.look()) == ["root", "signature"]


def test_a_key_id_must_be_there(space: Space) -> None:
    del space.header["kid"]
    with pytest.raises(MalformedError):
        space.look()


@pytest.mark.parametrize("keys", [[], [jwk(), jwk()], [jwk() | {"kid": "other"}]])
def test_no_key_or_two_of_that_id_are_none(space: Space, keys: object) -> None:
    del space.header["x5c"]
    space.documents = {f"jwks/{GOOGLE}": json.dumps({"keys": keys}).encode()}
    assert failed(space.look()) == ["root", "signature"]


@pytest.mark.parametrize(
    "keys",
    [
        [{**jwk(), "n": b64(b"\5" * 64)}],
        [{**jwk(), "kty": "oct"}],
        "keys",
        [{**jwk(), "n": 5}],
        [jwk() | {"kid": f"k{number}"} for number in range(100)],
    ],
)
def test_published_keys_that_are_none_are_malformed(space: Space, keys: object) -> None:
    del space.header["x5c"]
    space.documents = {f"jwks/{GOOGLE}": json.dumps({"keys": keys}).encode()}
    with pytest.raises(MalformedError):
        space.look()


def test_without_published_keys_a_token_cannot_be_appraised(space: Space) -> None:
    del space.header["x5c"]
    with pytest.raises(AppraisalUnavailableError):
        space.look()


# --- forged: Azure --------------------------------------------------------------------------------


class Azure:
    """An Azure token of our own."""

    def __init__(self) -> None:
        self.header: dict[str, Any] = {"alg": "RS256", "kid": "k1", "jku": f"{AZURE}/certs"}
        self.tee: dict[str, Any] = {
            "x-ms-attestation-type": "sevsnpvm",
            "x-ms-compliance-status": "azure-compliant-cvm",
            "x-ms-sevsnpvm-bootloader-svn": 4,
            "x-ms-sevsnpvm-tee-svn": 0,
            "x-ms-sevsnpvm-snpfw-svn": 24,
            "x-ms-sevsnpvm-microcode-svn": 219,
            "x-ms-sevsnpvm-is-debuggable": False,
            "x-ms-sevsnpvm-migration-allowed": False,
            "x-ms-sevsnpvm-vmpl": 0,
            "x-ms-sevsnpvm-launchmeasurement": "ab" * 48,
        }
        self.claims: dict[str, Any] = {
            "iss": AZURE,
            "iat": NOW,
            "nbf": NOW,
            "exp": NOW + 8 * 3600,
            "x-ms-attestation-type": "azurevm",
            "x-ms-runtime": {
                "client-payload": {"nonce": base64.b64encode(NONCE.encode()).decode()}
            },
        }
        self.top: dict[str, Any] = {}

    def look(self) -> AttestationResult:
        claims = self.claims | {"x-ms-isolation-tee": self.tee} | self.top
        given = references(
            "azure-maa",
            {"measurement": "ab" * 48},
            maa=MaaReference(
                issuers=(AZURE,),
                minimum_svn={"bootloader": 4, "tee": 0, "snp": 24, "microcode": 219},
            ),
        )
        return look(
            MAA_TYPE,
            signed(self.header, claims),
            given,
            binding=NONCE.encode(),
            documents={f"jwks/{AZURE}": json.dumps({"keys": [jwk()]}).encode()},
        )


@pytest.fixture
def azure() -> Azure:
    return Azure()


def test_the_forged_azure_token_is_accepted(azure: Azure) -> None:
    assert failed(azure.look()) == []


@pytest.mark.parametrize(
    ("claim", "value", "checks"),
    [
        ("x-ms-attestation-type", "tdxvm", ["type"]),
        ("x-ms-compliance-status", "none", ["compliance"]),
        ("x-ms-compliance-status", None, ["compliance"]),
        ("x-ms-sevsnpvm-bootloader-svn", 3, ["tcb"]),
        ("x-ms-sevsnpvm-snpfw-svn", 23, ["tcb"]),
        ("x-ms-sevsnpvm-microcode-svn", 218, ["tcb"]),
        ("x-ms-sevsnpvm-microcode-svn", "219", ["tcb"]),
        ("x-ms-sevsnpvm-tee-svn", None, ["tcb"]),
        ("x-ms-sevsnpvm-is-debuggable", True, ["debug"]),
        ("x-ms-sevsnpvm-is-debuggable", None, ["debug"]),
        ("x-ms-sevsnpvm-migration-allowed", True, ["migration"]),
        ("x-ms-sevsnpvm-vmpl", 1, ["vmpl"]),
        ("x-ms-sevsnpvm-vmpl", False, ["vmpl"]),
        ("x-ms-sevsnpvm-launchmeasurement", "AB" * 48, ["image"]),
        ("x-ms-sevsnpvm-launchmeasurement", "cd" * 48, ["image"]),
    ],
)
def test_each_claim_of_the_hardware_is_asked(
    azure: Azure, claim: str, value: object, checks: list[str]
) -> None:
    if value is None:
        del azure.tee[claim]
    else:
        azure.tee[claim] = value
    assert failed(azure.look()) == checks


def test_claims_moved_out_of_the_hardware_s_place_do_not_count(azure: Azure) -> None:
    azure.top, azure.tee = azure.tee | {"x-ms-attestation-type": "azurevm"}, {}
    assert {"type", "compliance", "tcb", "debug", "vmpl", "image"} <= set(failed(azure.look()))


@pytest.mark.parametrize(
    "issuer",
    ["https://sharedeus.eus.attest.azure.net", AZURE + "/", AZURE + ".attacker.example", ""],
)
def test_an_issuer_of_another_region_or_tenant_is_refused(azure: Azure, issuer: str) -> None:
    azure.claims["iss"] = issuer
    del azure.header["jku"]
    assert failed(azure.look()) == ["root", "signature"]


def test_keys_at_another_address_are_refused_and_never_fetched(azure: Azure) -> None:
    azure.header["jku"] = "https://attacker.example/certs"
    assert failed(azure.look()) == ["root", "signature"]


@pytest.mark.parametrize("nonce", ["", "!!", NONCE, "w6k=", None])
def test_another_client_nonce_is_refused(azure: Azure, nonce: str | None) -> None:
    azure.claims["x-ms-runtime"] = {"client-payload": {"nonce": nonce}}
    assert failed(azure.look()) == ["binding"]


def test_a_floor_that_names_not_all_components_accepts_nothing(azure: Azure) -> None:
    given = references(
        "azure-maa",
        {"measurement": "ab" * 48},
        maa=MaaReference(issuers=(AZURE,), minimum_svn={}),
    )
    claims = azure.claims | {"x-ms-isolation-tee": azure.tee}
    result = look(
        MAA_TYPE,
        signed(azure.header, claims),
        given,
        binding=NONCE.encode(),
        documents={f"jwks/{AZURE}": json.dumps({"keys": [jwk()]}).encode()},
    )
    assert failed(result) == ["tcb"]


# --- forged: NVIDIA's service ---------------------------------------------------------------------

GPU_KEY = ec.generate_private_key(ec.SECP384R1())
GPU_NONCE = b"\7" * 32


def es384(message: bytes) -> bytes:
    r, s = decode_dss_signature(GPU_KEY.sign(message, ec.ECDSA(hashes.SHA384())))
    return r.to_bytes(48, "big") + s.to_bytes(48, "big")


class Service:
    """Overall and GPU tokens of our own."""

    def __init__(self) -> None:
        eat = json.loads(vector("nvidia/nras-detached-eat.json"))
        payload = eat[1]["GPU-0"].split(".")[1]
        self.gpu: dict[str, Any] = json.loads(
            base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        )
        times = {"iat": NOW, "nbf": NOW, "exp": NOW + 3600, "eat_nonce": GPU_NONCE.hex()}
        self.gpu |= times
        self.overall: dict[str, Any] = {
            "iss": NVIDIA,
            "x-nvidia-overall-att-result": True,
            **times,
        }
        self.header = {"alg": "ES384", "kid": "g1"}
        self.names = ("GPU-0", "GPU-1")
        self.change: Callable[[list[Any]], None] = lambda eat: None
        self.submods: Callable[[dict[str, Any]], None] = lambda named: None

    def look(self) -> AttestationResult:
        gpus = {name: signed(self.header, self.gpu, es384).decode() for name in self.names}
        named: dict[str, Any] = {
            name: ["DIGEST", ["SHA-256", hashlib.sha256(text.encode()).hexdigest()]]
            for name, text in gpus.items()
        }
        self.submods(named)
        overall = signed(self.header, self.overall | {"submods": named}, es384).decode()
        eat: list[Any] = [["JWT", overall], gpus]
        self.change(eat)
        numbers = GPU_KEY.public_key().public_numbers()
        published = {
            "kty": "EC",
            "crv": "P-384",
            "kid": "g1",
            "x": b64(numbers.x.to_bytes(48, "big")),
            "y": b64(numbers.y.to_bytes(48, "big")),
        }
        return look(
            NRAS_TYPE,
            json.dumps(eat).encode(),
            references("nvidia-nras", {}, nras=NrasReference()),
            binding=GPU_NONCE,
            documents={f"jwks/{NVIDIA}": json.dumps({"keys": [published]}).encode()},
        )


@pytest.fixture
def service() -> Service:
    return Service()


def test_the_forged_service_is_accepted(service: Service) -> None:
    assert failed(service.look()) == []


@pytest.mark.parametrize(
    ("overall", "gpu", "checks"),
    [
        ({"x-nvidia-overall-att-result": False}, {}, ["result"]),
        ({"x-nvidia-overall-att-result": "true"}, {}, ["result"]),
        ({}, {"measres": "fail"}, ["result"]),
        ({}, {"secboot": False}, ["result"]),
        ({}, {"x-nvidia-gpu-attestation-report-nonce-match": False}, ["result"]),
        ({}, {"x-nvidia-gpu-driver-rim-cert-chain": {"x-nvidia-cert-status": "valid"}}, ["result"]),
        ({}, {"dbgstat": "enabled"}, ["debug"]),
        ({}, {"hwmodel": "GH1000"}, ["hardware"]),
        ({}, {"hwmodel": "GB100 A01"}, ["hardware"]),
        ({}, {"iss": "https://nras.attestation-stg.nvidia.com"}, ["issuer"]),
        ({"eat_nonce": "00" * 32}, {}, ["binding"]),
        ({}, {"eat_nonce": "00" * 32}, ["binding"]),
        ({}, {"eat_nonce": "zz"}, ["binding"]),
        ({"exp": NOW - 1, "nbf": NOW - 9, "iat": NOW - 9}, {}, ["freshness"]),
    ],
)
def test_each_word_of_the_service_is_asked(
    service: Service, overall: dict[str, Any], gpu: dict[str, Any], checks: list[str]
) -> None:
    service.overall |= overall
    service.gpu |= gpu
    assert failed(service.look()) == checks


def test_the_staging_issuer_is_refused(service: Service) -> None:
    staging = "https://nras.attestation-stg.nvidia.com"
    service.overall["iss"] = service.gpu["iss"] = staging
    assert failed(service.look()) == ["root", "signature"]


def swap(eat: list[Any]) -> None:
    tokens = eat[1]
    tokens["GPU-0"] = signed(
        {"alg": "ES384", "kid": "g1"}, Service().gpu | {"ueid": "1"}, es384
    ).decode()


@pytest.mark.parametrize(
    "change",
    [
        swap,
        lambda eat: eat[1].pop("GPU-1"),
        lambda eat: eat[1].update({"GPU-2": eat[1]["GPU-0"]}),
        lambda eat: eat[1].update({"GPU-9": eat[1].pop("GPU-1")}),
    ],
)
def test_a_gpu_token_swapped_missing_or_added_is_refused(
    service: Service, change: Callable[[list[Any]], None]
) -> None:
    service.change = change
    assert failed(service.look()) == ["submodules"]


@pytest.mark.parametrize(
    "submods",
    [
        lambda named: named["GPU-0"][1].__setitem__(0, "SHA-1"),
        lambda named: named["GPU-0"].__setitem__(0, "JWT"),
        lambda named: named["GPU-0"][1].__setitem__(1, named["GPU-0"][1][1].upper()),
        lambda named: named.pop("GPU-0"),
        lambda named: named.__setitem__("GPU-0", "x"),
    ],
)
def test_a_digest_of_another_algorithm_or_form_is_refused(
    service: Service, submods: Callable[[dict[str, Any]], None]
) -> None:
    service.submods = submods
    assert failed(service.look()) == ["submodules"]


@pytest.mark.parametrize(
    "eat",
    [
        b"{}",
        b"[]",
        b'[["JWT","x"],{}]',
        b'[["CWT","x"],{"a":"b"}]',
        b'[["JWT",5],{"a":"b"}]',
        b'[["JWT","x"],{"a":5}]',
        b'[["JWT","\xc3\xa9.a.b"],{"a":"b"}]',
    ],
)
def test_what_is_no_detached_token_is_malformed(eat: bytes) -> None:
    with pytest.raises(MalformedError):
        look(NRAS_TYPE, eat, references("nvidia-nras", {}), binding=GPU_NONCE)
