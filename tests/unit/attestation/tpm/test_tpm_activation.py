"""Keys that the relying party activated itself: whose TPM is it, and is it this key."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from manatee.attestation import TpmReference, certified_by
from manatee.attestation._tpm.credential import kdf_a, kdf_e, make_credential
from manatee.attestation._tpm.public import parse_public
from manatee.attestation._tpm.quote import check_not_before as not_before
from manatee.attestation._tpm.quote import parse_attest
from manatee.errors import AppraisalRefusedError, MalformedError
from manatee.records import Tier, to_base64


@pytest.fixture
def activated(forge: Any, tpm_bytes: Any) -> Any:
    """A key below an endorsement key, whose certificate comes along and covers that one alone."""
    hierarchy = tpm_bytes.number(0x4000000B, 4)
    parent = tpm_bytes.qualified(tpm_bytes.EK_PUBLIC, hierarchy)
    certificate = forge.authority.issue(
        tpm_bytes.EK_KEY.public_key(), purposes=(tpm_bytes.EK,), usage="key_encipherment"
    )
    return forge.but(
        ek_public=tpm_bytes.EK_PUBLIC,
        signer=tpm_bytes.qualified(forge.area, parent),
        certificates=(certificate,),
    )


def named(forge: Any, tpm_bytes: Any) -> TpmReference:
    return TpmReference(activated_names=(tpm_bytes.name_of(forge.area).hex(),))


def test_a_key_that_you_activated_is_accepted_with_its_tpms_certificate(
    activated: Any, tpm_bytes: Any
) -> None:
    reference = named(activated, tpm_bytes)
    root = (to_base64(activated.authority.root),)
    assert activated.failed(reference=reference) == []
    assert activated.appraise(reference=reference).tier is Tier.SOFTWARE_TPM
    cloud = activated.appraise(reference=reference, roots={"vtpm": root})
    assert cloud.accepted
    assert cloud.tier is Tier.HARDWARE_VTPM


def test_a_key_straight_from_the_endorsement_seed_is_accepted_too(
    activated: Any, tpm_bytes: Any
) -> None:
    primary = activated.but(signer=None)
    assert primary.failed(reference=named(primary, tpm_bytes)) == []


Change = Callable[[Any, Any], Any]


def loose_endorsement(forge: Any, t: Any, attributes: int) -> Any:
    """An endorsement key with other attributes, which the quote names truly."""
    area = t.EK_PUBLIC[:4] + t.number(attributes, 4) + t.EK_PUBLIC[8:]
    parent = t.qualified(area, t.number(0x4000000B, 4))
    return forge.but(ek_public=area, signer=t.qualified(forge.area, parent))


REFUSED: dict[str, Change] = {
    "endorsement-key-not-shown": lambda f, t: f.but(ek_public=b""),
    "qualified-signer-of-another-parent": lambda f, t: f.but(
        signer=t.qualified(f.area, t.qualified(f.area, t.number(0x4000000B, 4)))
    ),
    "qualified-signer-under-the-owner": lambda f, t: f.but(
        signer=t.qualified(f.area, t.number(0x40000001, 4))
    ),
    "qualified-signer-of-another-key": lambda f, t: f.but(
        signer=t.qualified(t.EK_PUBLIC, t.number(0x4000000B, 4))
    ),
    "qualified-signer-empty": lambda f, t: f.but(signer=b""),
    "endorsement-certificate-missing": lambda f, t: f.but(certificates=()),
    "endorsement-certificate-by-another-authority": lambda f, t: f.but(
        certificates=(t.Authority().issue(t.EK_KEY.public_key(), purposes=(t.EK,)),)
    ),
    "endorsement-certificate-without-its-purpose": lambda f, t: f.but(
        certificates=(f.authority.issue(t.EK_KEY.public_key(), purposes=()),)
    ),
    "endorsement-certificate-for-another-purpose": lambda f, t: f.but(
        certificates=(f.authority.issue(t.EK_KEY.public_key(), purposes=("2.23.133.8.2",)),)
    ),
    "endorsement-certificate-of-a-key-that-signs": lambda f, t: f.but(
        certificates=(
            f.authority.issue(t.EK_KEY.public_key(), purposes=(t.EK,), usage="digital_signature"),
        )
    ),
    "endorsement-certificate-of-another-key": lambda f, t: f.but(
        certificates=(
            f.authority.issue(
                ec.generate_private_key(ec.SECP256R1()).public_key(), purposes=(t.EK,)
            ),
        )
    ),
    "endorsement-key-that-could-be-outside": lambda f, t: loose_endorsement(f, t, 0x000300A0),
    "endorsement-key-that-signs-too": lambda f, t: loose_endorsement(f, t, 0x000700B2),
    "endorsement-key-unrestricted": lambda f, t: loose_endorsement(f, t, 0x000200B2),
}


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED.keys())
def test_an_activated_key_of_a_tpm_nobody_knows_is_refused(
    activated: Any, tpm_bytes: Any, change: Change
) -> None:
    changed = change(activated, tpm_bytes)
    assert "root" in changed.failed(reference=named(changed, tpm_bytes))


def test_a_key_from_another_seed_of_the_tpm_is_not_the_one_activated(
    activated: Any, tpm_bytes: Any
) -> None:
    owner = activated.but(signer=tpm_bytes.qualified(activated.area, b"\x40\0\0\1"))
    assert owner.failed(reference=named(owner, tpm_bytes)) == ["root"]


def test_a_key_that_you_did_not_activate_is_refused(activated: Any, tpm_bytes: Any) -> None:
    assert activated.failed() == ["root"]
    other = activated.but(key=ec.generate_private_key(ec.SECP256R1()))
    assert activated.failed(reference=named(other, tpm_bytes)) == ["root"]


def test_the_name_covers_the_attributes(activated: Any, tpm_bytes: Any) -> None:
    loose = activated.but(attributes=0x00040072)
    assert "root" in activated.failed(reference=named(loose, tpm_bytes))


# --- credentials --------------------------------------------------------------------------------


class BadIntegrityError(Exception):
    """A TPM answers TPM_RC_INTEGRITY."""


def opened(seed: bytes, blob: bytes, name: bytes) -> bytes:
    """What TPM2_ActivateCredential does with the seed, for an EK of SHA-256 and AES-128."""
    size = int.from_bytes(blob[:2], "big")
    outer, hidden = blob[2 : 2 + size], blob[2 + size :]
    key = kdf_a(hashes.SHA256(), seed, b"INTEGRITY", b"", b"", 256)
    if not hmac.compare_digest(outer, hmac.digest(key, hidden + name, "sha256")):
        raise BadIntegrityError
    symmetric = kdf_a(hashes.SHA256(), seed, b"STORAGE", name, b"", 128)
    decryptor = Cipher(algorithms.AES(symmetric), CFB(bytes(16))).decryptor()
    plain = decryptor.update(hidden) + decryptor.finalize()
    assert int.from_bytes(plain[:2], "big") == len(plain) - 2
    return plain[2:]


def test_a_credential_opens_under_the_rsa_key_and_the_name_alone(tpm_bytes: Any) -> None:
    name = b"\0\x0b" + bytes(32)
    secret = hashlib.sha256(b"secret").digest()
    made = make_credential(parse_public(tpm_bytes.EK_PUBLIC), name, secret)
    scheme = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), b"IDENTITY\0")
    seed = tpm_bytes.EK_KEY.decrypt(made.encrypted_seed, scheme)
    assert opened(seed, made.blob, name) == secret
    with pytest.raises(BadIntegrityError):
        opened(seed, made.blob, name[:-1] + b"\1")


def test_a_credential_opens_under_an_ecc_key(tpm_bytes: Any) -> None:
    endorsement = ec.generate_private_key(ec.SECP256R1())
    area = tpm_bytes.public_area(
        endorsement, 0x000300B2, symmetric=b"\0\6\0\x80\0\x43", scheme=b"\0\x10"
    )
    name = b"\0\x0b" + bytes(32)
    made = make_credential(parse_public(area), name, b"secret")
    x, y = made.encrypted_seed[2:34], made.encrypted_seed[36:]
    point = ec.EllipticCurvePublicNumbers(
        int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1()
    ).public_key()
    shared = endorsement.exchange(ec.ECDH(), point)
    own = endorsement.public_key().public_numbers().x.to_bytes(32, "big")
    seed = kdf_e(hashes.SHA256(), shared, b"IDENTITY\0", x, own)
    assert opened(seed, made.blob, name) == b"secret"


@pytest.mark.parametrize("attributes", [0x000300A2, 0x000300B0, 0x000200B2, 0x000100B2, 0x000700B2])
def test_no_credential_is_made_for_a_key_that_is_not_an_endorsement_key(
    tpm_bytes: Any, attributes: int
) -> None:
    area = tpm_bytes.EK_PUBLIC[:4] + tpm_bytes.number(attributes, 4) + tpm_bytes.EK_PUBLIC[8:]
    with pytest.raises(AppraisalRefusedError):
        make_credential(parse_public(area), bytes(34), b"secret")


def test_no_credential_is_made_for_an_rsa_key_in_form_only(tpm_bytes: Any) -> None:
    even = tpm_bytes.EK_PUBLIC[:-1] + b"\0"  # an even modulus, which nothing can be encrypted to
    with pytest.raises(MalformedError):
        make_credential(parse_public(even), bytes(34), b"secret")


@pytest.mark.parametrize("secret", [b"", bytes(33)])
def test_a_credential_holds_at_most_a_digest(tpm_bytes: Any, secret: bytes) -> None:
    with pytest.raises(AppraisalRefusedError):
        make_credential(parse_public(tpm_bytes.EK_PUBLIC), bytes(34), secret)


# --- certificates of endorsement keys -----------------------------------------------------------


def test_a_certificate_of_an_endorsement_key_gives_that_key(forge: Any, tpm_bytes: Any) -> None:
    key = tpm_bytes.EK_KEY.public_key()
    issued = forge.authority.issue(key, purposes=(tpm_bytes.EK,))
    authorities = (forge.authority.root,)
    found = certified_by(issued, authorities, at=tpm_bytes.AT, purpose=tpm_bytes.EK)
    assert found == key


@pytest.mark.parametrize("purposes", [(), ("2.23.133.8.3",), ("1.3.6.1.5.5.7.3.1",)])
def test_a_certificate_for_another_purpose_gives_no_endorsement_key(
    forge: Any, tpm_bytes: Any, purposes: tuple[str, ...]
) -> None:
    issued = forge.authority.issue(tpm_bytes.EK_KEY.public_key(), purposes=purposes)
    with pytest.raises(AppraisalRefusedError):
        certified_by(issued, (forge.authority.root,), at=tpm_bytes.AT, purpose=tpm_bytes.EK)


def test_a_certificate_by_nobody_known_gives_no_endorsement_key(forge: Any, tpm_bytes: Any) -> None:
    issued = forge.authority.issue(tpm_bytes.EK_KEY.public_key(), purposes=(tpm_bytes.EK,))
    for authorities in ((), (tpm_bytes.Authority().root,)):
        with pytest.raises(AppraisalRefusedError):
            certified_by(issued, authorities, at=tpm_bytes.AT, purpose=tpm_bytes.EK)


# --- clock and counters -------------------------------------------------------------------------


def at_clock(forge: Any, clock: int, resets: int, restarts: int, safe: int = 1) -> Any:
    raw = clock.to_bytes(8, "big") + resets.to_bytes(4, "big") + restarts.to_bytes(4, "big")
    return parse_attest(forge.but(clock=raw + bytes((safe,))).attest)


@pytest.mark.parametrize(
    "later",
    [
        pytest.param((999, 3, 1), id="clock"),
        pytest.param((5000, 2, 1), id="resets"),
        pytest.param((5000, 3, 0), id="restarts"),
        pytest.param((999, 4, 0), id="clock-after-a-reset"),
        pytest.param((999, 3, 1, 0), id="clock-without-reset-though-unsafe"),
        pytest.param((5000, 2, 9), id="resets-though-restarts-rose"),
    ],
)
def test_a_tpm_that_went_back_is_refused(forge: Any, later: tuple[int, ...]) -> None:
    previous = at_clock(forge, 1000, 3, 1)
    with pytest.raises(AppraisalRefusedError):
        not_before(previous, at_clock(forge, *later))


@pytest.mark.parametrize(
    "later", [(1000, 3, 1), (1001, 3, 1), (1001, 3, 2), (1001, 4, 0), (900, 4, 0, 0)]
)
def test_a_tpm_that_went_on_is_not_refused(forge: Any, later: tuple[int, ...]) -> None:
    assert not_before(at_clock(forge, 1000, 3, 1), at_clock(forge, *later)) is None


def test_quotes_of_two_keys_have_no_order(forge: Any) -> None:
    previous = at_clock(forge, 1000, 3, 1)
    other = forge.but(key=ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(AppraisalRefusedError):
        not_before(previous, at_clock(other, 2000, 4, 1))
