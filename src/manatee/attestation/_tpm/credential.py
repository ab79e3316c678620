"""Credential protection: a secret that only one TPM, holding one key, can read.

TCG, TPM 2.0 Library, Part 1, section 24 (credential protection), 11.4.10 (key derivation) and
annexes B.10 and C.6 (secret sharing for RSA and ECC). What TPM2_MakeCredential does, without a
TPM: whoever vouches for attestation keys has none, and would not ask the one in question.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from manatee.attestation._tpm.public import HASHES, TpmPublic
from manatee.errors import AppraisalRefusedError, MalformedError

_IDENTITY = b"IDENTITY\0"
_STORAGE = b"STORAGE"
_INTEGRITY = b"INTEGRITY"
_IV = bytes(16)


@dataclass(frozen=True)
class Credential:
    """What goes to the TPM, for TPM2_ActivateCredential.

    Attributes:
        blob: Content of the TPM2B_ID_OBJECT: integrity digest and encrypted secret.
        encrypted_seed: Content of the TPM2B_ENCRYPTED_SECRET.
    """

    blob: bytes
    encrypted_seed: bytes


def make_credential(endorsement: TpmPublic, name: bytes, secret: bytes) -> Credential:
    """Protect a secret for the TPM that holds both the endorsement key and the key so named.

    Args:
        endorsement: The endorsement key, which the caller must know to be a genuine TPM's.
        name: Name of the attestation key, whose attributes it covers.
        secret: At most as long as the endorsement key's digest; raw.

    Raises:
        AppraisalRefusedError: The endorsement key is none, or the secret too long or empty.
        MalformedError: The endorsement key is an RSA key in form only.
    """
    if not endorsement.is_storage_key or endorsement.symmetric_bits not in (128, 256):
        raise AppraisalRefusedError("the endorsement key is not a storage key fixed to its TPM.")
    algorithm = HASHES[endorsement.name_algorithm]
    size = algorithm.digest_size
    if not 0 < len(secret) <= size:
        raise AppraisalRefusedError(f"a credential holds 1 to {size} bytes.")
    seed, encrypted_seed = (
        _rsa_seed(endorsement.key, algorithm)
        if isinstance(endorsement.key, rsa.RSAPublicKey)
        else _ecc_seed(endorsement.key, algorithm)
    )
    symmetric = kdf_a(algorithm, seed, _STORAGE, name, b"", endorsement.symmetric_bits)
    encryptor = Cipher(algorithms.AES(symmetric), CFB(_IV)).encryptor()
    hidden = encryptor.update(_sized(secret)) + encryptor.finalize()
    key = kdf_a(algorithm, seed, _INTEGRITY, b"", b"", 8 * size)
    outer = hmac.digest(key, hidden + name, algorithm.name)
    return Credential(blob=_sized(outer) + hidden, encrypted_seed=encrypted_seed)


def _rsa_seed(key: rsa.RSAPublicKey, algorithm: hashes.HashAlgorithm) -> tuple[bytes, bytes]:
    """Return a seed and what carries it: OAEP with a label that ends in a zero byte (B.4)."""
    seed = secrets.token_bytes(algorithm.digest_size)
    scheme = padding.OAEP(padding.MGF1(algorithm), algorithm, _IDENTITY)
    try:
        return seed, key.encrypt(seed, scheme)
    except ValueError as error:
        # a modulus that is no product of odd primes, which nobody's TPM would certify
        raise MalformedError("the endorsement key encrypts nothing.") from error


def _ecc_seed(
    key: ec.EllipticCurvePublicKey, algorithm: hashes.HashAlgorithm
) -> tuple[bytes, bytes]:
    """Return a seed and what carries it: an ephemeral point (C.6.4)."""
    size = (key.curve.key_size + 7) // 8
    ephemeral = ec.generate_private_key(key.curve)
    ours = ephemeral.public_key().public_numbers()
    x, y = (number.to_bytes(size, "big") for number in (ours.x, ours.y))
    shared = ephemeral.exchange(ec.ECDH(), key)
    theirs = key.public_numbers().x.to_bytes(size, "big")
    return kdf_e(algorithm, shared, _IDENTITY, x, theirs), _sized(x) + _sized(y)


def kdf_a(
    algorithm: hashes.HashAlgorithm, key: bytes, label: bytes, u: bytes, v: bytes, bits: int
) -> bytes:
    """Derive `bits` bits: counter mode of SP 800-108 with HMAC (Part 1, 11.4.10.2)."""
    derived = b""
    counter = 0
    while len(derived) * 8 < bits:
        counter += 1
        message = counter.to_bytes(4, "big") + label + b"\0" + u + v + bits.to_bytes(4, "big")
        derived += hmac.digest(key, message, algorithm.name)
    return derived[: bits // 8]


def kdf_e(
    algorithm: hashes.HashAlgorithm, shared: bytes, label: bytes, u: bytes, v: bytes
) -> bytes:
    """Derive one digest's worth from an ECDH secret (Part 1, 11.4.10.3; SP 800-56A).

    `label` ends in its zero byte; `u` and `v` are the x-coordinates, ephemeral first.
    """
    message = (1).to_bytes(4, "big") + shared + label + u + v
    return hashlib.new(algorithm.name, message).digest()


def _sized(data: bytes) -> bytes:
    """Return a TPM2B: length as 2 bytes, big-endian, and the bytes."""
    return len(data).to_bytes(2, "big") + data
