"""Who says that an attestation key lives in a TPM: an authority's certificate, or activation.

A certificate over the attestation key says that its issuer had the TPM activate a credential. A
relying party that did so itself names the key instead (TPM names cover attributes); then the
endorsement key's certificate and the quote's qualified signer tell whose TPM it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from manatee.attestation._certificates import (
    MAX_PATH,
    Path,
    build_path,
    issued_by,
    read_certificate,
)
from manatee.attestation._endorsements import Endorsements
from manatee.attestation._tpm.public import HASHES, PublicKey, TpmPublic
from manatee.attestation._tpm.reference import TpmReference
from manatee.attestation._vendor_roots import der, vendor_chain
from manatee.errors import AppraisalRefusedError
from manatee.records import Base64, Tier, unbase64

SOFTWARE_ROOTS = "software-tpm"
"""Name under which reference values pin authorities of software TPMs."""

VTPM_ROOTS = "vtpm"
"""Name under which reference values pin authorities of clouds' virtual TPMs."""

EK_PURPOSE = "2.23.133.8.1"
"""Extended key usage of endorsement keys (TCG, EK Credential Profile, 3.2.16)."""

AK_PURPOSE = "2.23.133.8.3"
"""Extended key usage of attestation keys (TCG, `tcg-kp-AIKCertificate`)."""

_GOOGLE_ROOT = (
    "gce-ek-root-1.der",
    "9bd5285f8fb18502a7947e621ffd470266f49fcd3b73e19a190f690ad32a7caf",
)
_ENDORSEMENT_HIERARCHY = (0x4000000B).to_bytes(4, "big")
_OWNER_HIERARCHY = (0x40000001).to_bytes(4, "big")
_MAX_CANDIDATES = 4


@dataclass(frozen=True)
class Vouched:
    """Who vouches: the tier it is good for and the words for a person; or why nobody does."""

    tier: Tier | None
    reason: str


def vouched(
    key: TpmPublic,
    endorsement: TpmPublic | None,
    qualified_signer: bytes,
    *,
    endorsements: Endorsements,
    roots: Mapping[str, tuple[Base64, ...]],
    reference: TpmReference,
    at: datetime,
) -> Vouched:
    """Find who vouches for an attestation key.

    Args:
        key: The attestation key.
        endorsement: The TPM's endorsement key, where the evidence names it; untrusted.
        qualified_signer: As the quote has it.
        endorsements: Certificates, in any order; untrusted.
        roots: The relying party's, by name.
        reference: Names the keys it activated itself.
        at: The moment of appraisal.

    Raises:
        MalformedError: A certificate cannot be read.
    """
    given = [read_certificate(data) for data in endorsements.certificates]
    reason = "no certificate for the attestation key came with the quote"
    for tier, pinned in _pinned(roots):
        for path, problem in _paths(key.key, given, pinned, at):
            problem = problem or _not_for_attestation(path, tier)
            if not problem:
                return Vouched(tier, f"certified by an authority pinned for tier {tier.value}")
            reason = problem
    if key.name.hex() in reference.activated_names:
        return _activated(key, endorsement, qualified_signer, given, roots, at)
    return Vouched(None, reason)


def _activated(
    key: TpmPublic,
    endorsement: TpmPublic | None,
    qualified_signer: bytes,
    given: list[x509.Certificate],
    roots: Mapping[str, tuple[Base64, ...]],
    at: datetime,
) -> Vouched:
    if endorsement is None or not endorsement.is_storage_key:
        return Vouched(None, "you activated this key, but the quote's TPM shows no endorsement key")
    if not _beside(qualified_signer, key, endorsement):
        return Vouched(None, "the quote's qualified signer is not this key of this TPM")
    reason = "no certificate for the endorsement key came with the quote"
    for tier, pinned in _pinned(roots):
        for path, problem in _paths(endorsement.key, given, pinned, at):
            problem = problem or _not_for_endorsement(path)
            if not problem:
                return Vouched(tier, f"activated by you in a TPM certified for tier {tier.value}")
            reason = problem
    return Vouched(None, reason)


def names_its_key(qualified_signer: bytes, key: TpmPublic, endorsement: TpmPublic | None) -> bool:
    """Whether a quote says that this key made it, attributes and all.

    A TPM puts into a quote the name of the key that signs and of all keys above it (TPM 2.0
    Library, Part 1, section 16.3). Read are keys made under the endorsement key shown, or straight
    from the endorsement or the storage seed.
    """
    parents = [_ENDORSEMENT_HIERARCHY, _OWNER_HIERARCHY]
    if endorsement is not None:
        parents.append(_qualified(endorsement, _ENDORSEMENT_HIERARCHY))
    return qualified_signer in [_qualified(key, parent) for parent in parents]


def _beside(qualified_signer: bytes, key: TpmPublic, endorsement: TpmPublic) -> bool:
    """Whether a key was made under the endorsement key, or from the same seed."""
    parents = (_ENDORSEMENT_HIERARCHY, _qualified(endorsement, _ENDORSEMENT_HIERARCHY))
    return qualified_signer in [_qualified(key, parent) for parent in parents]


def _qualified(key: TpmPublic, parent: bytes) -> bytes:
    algorithm = HASHES[key.name_algorithm].name
    digest = hashlib.new(algorithm, parent + key.name).digest()
    return key.name_algorithm.to_bytes(2, "big") + digest


def _pinned(roots: Mapping[str, tuple[Base64, ...]]) -> Iterator[tuple[Tier, tuple[bytes, ...]]]:
    """Give each tier's roots: the relying party's, or for clouds those that come with us."""
    yield Tier.SOFTWARE_TPM, tuple(unbase64(text) for text in roots.get(SOFTWARE_ROOTS, ()))
    if VTPM_ROOTS in roots:
        yield Tier.HARDWARE_VTPM, tuple(unbase64(text) for text in roots[VTPM_ROOTS])
    else:
        yield Tier.HARDWARE_VTPM, (der(vendor_chain("_tpm", *_GOOGLE_ROOT)[-1]),)


def _paths(
    key: PublicKey, given: list[x509.Certificate], pinned: tuple[bytes, ...], at: datetime
) -> Iterator[tuple[Path | None, str]]:
    """Give a path, or why there is none, for every certificate over a key."""
    leaves = [item for item in given if same_key(item, key)] if pinned else []
    for leaf in leaves[:_MAX_CANDIDATES]:
        try:
            yield build_path(leaf, _above(leaf, given, pinned), pinned, at=at), ""
        except AppraisalRefusedError as error:
            yield None, error.message


def _above(
    leaf: x509.Certificate, given: list[x509.Certificate], pinned: tuple[bytes, ...]
) -> list[x509.Certificate]:
    """Return the certificates that lie above the leaf, in order, pinned root left out."""
    found: list[x509.Certificate] = []
    lowest = leaf
    others = [item for item in given if item != leaf and der(item) not in pinned]
    while len(found) < MAX_PATH:
        upper = next(
            (item for item in others if item not in found and issued_by(lowest, item)), None
        )
        if upper is None:
            break
        found.append(upper)
        lowest = upper
    return found


def _not_for_endorsement(path: Path | None) -> str:
    """Return why a certificate is not an endorsement key's, or nothing."""
    if path is None or EK_PURPOSE not in _purposes(path.leaf):
        return "the certificate over the endorsement key is for another purpose"
    usage = _usage(path.leaf)
    if usage is not None and not (usage.key_encipherment or usage.key_agreement):
        return "the certificate over the endorsement key is for another use"
    return ""


def _not_for_attestation(path: Path | None, tier: Tier) -> str:
    """Return why a certificate is not an attestation key's, or nothing.

    Google's say that they are for endorsement keys, and that the key signs: no endorsement key
    does. A key usage, where there is one, must name signatures and nothing that decrypts.
    """
    if path is None:
        return "there is no certificate"
    usage = _usage(path.leaf)
    signs = usage is not None and usage.digital_signature
    decrypts = usage is not None and (usage.key_encipherment or usage.data_encipherment)
    purposes = _purposes(path.leaf)
    named = AK_PURPOSE in purposes or (
        tier is Tier.HARDWARE_VTPM and EK_PURPOSE in purposes and signs
    )
    if not named or decrypts or (usage is not None and not signs):
        return "the certificate over the attestation key is for another purpose"
    return ""


def _usage(certificate: x509.Certificate) -> x509.KeyUsage | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return None


def _purposes(certificate: x509.Certificate) -> frozenset[str]:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(item.dotted_string for item in usage)


def same_key(certificate: x509.Certificate, key: PublicKey) -> bool:
    """Whether a certificate is for this very key."""
    own = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return own == key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
