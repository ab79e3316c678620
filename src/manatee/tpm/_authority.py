"""The authority of one installation's software TPMs: who says that a key lives in one of them.

It certifies an attestation key only after the TPM activated a credential made out to that key's
name under the TPM's own endorsement key, whose certificate it checked. It says nothing about
hardware, and its name says so.
"""

from __future__ import annotations

import hmac
import os
import secrets
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID, ObjectIdentifier

from manatee.attestation import TpmPublic, certified_by, make_credential, parse_tpm_public
from manatee.errors import AttestationError, ManateeError
from manatee.tpm._device import create_attestation_key, translated
from manatee.tpm._library import tss

AUTHORITY = "software TPM, not hardware: authority of one installation"
AK_EKU = ObjectIdentifier("2.23.133.8.3")
EK_EKU = ObjectIdentifier("2.23.133.8.1")
EK_CERTIFICATE_INDEX = 0x01C00002
"""Where a TPM keeps its RSA 2048 endorsement key's certificate (TCG, EK Credential Profile)."""

EK_HANDLE = 0x81010001
"""Where its maker keeps that key, if it does (TCG, TPM v2.0 Provisioning Guidance, 7.8)."""

_LIFE = timedelta(days=3650)
_SIGNS = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that its owner alone can read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        os.fsync(stream.fileno())
    temporary.replace(path)


class SoftwareTpmAuthority:
    """A key and a self-signed certificate in a folder."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        """See `open`."""
        self._key = key
        self.certificate = certificate

    @classmethod
    def open(cls, folder: Path, now: datetime) -> SoftwareTpmAuthority:
        """Read the authority, or make it on first use.

        Raises:
            AttestationError: The folder holds something else.
        """
        key_file, certificate_file = folder / "authority.key", folder / "authority.pem"
        if not key_file.exists():
            _make(key_file, certificate_file, now)
        try:
            key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
            certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        except (OSError, ValueError) as error:
            raise AttestationError(
                f"the software TPMs' authority in {folder} cannot be read.",
                hint="Remove the folder to make a new one; older run bundles keep their root.",
            ) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise AttestationError("the software TPMs' authority has a key of another kind.")
        if key.public_key() != certificate.public_key():
            raise AttestationError(
                f"the files of the software TPMs' authority in {folder} do not belong together.",
                hint="Remove the folder to make a new one; older run bundles keep their root.",
            )
        return cls(key, certificate)

    def root(self) -> bytes:
        """Return the certificate, DER: what a relying party pins."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def certify(self, context: Any, ek_authorities: tuple[bytes, ...], now: datetime) -> bytes:
        """Certify a TPM's attestation key by credential activation.

        Args:
            context: The TPM, connected.
            ek_authorities: Roots (DER) whose endorsement key certificates count.
            now: The moment.

        Returns:
            The certificate, DER.

        Raises:
            AttestationError: The TPM's endorsement key is not certified, or it cannot activate a
                credential for the key.
        """
        ek, ek_public = endorsement_key(context)
        with translated("show its endorsement key's certificate"):
            der = _read_index(context, EK_CERTIFICATE_INDEX)
        endorsement = _certified(der, ek_public, ek_authorities, now)
        key, ak_public = create_attestation_key(context)
        try:
            parsed = parse_tpm_public(ak_public)
            if not parsed.is_attestation_key:
                raise AttestationError("the TPM's key is not restricted to attestation.")
            activate(context, key, ek, endorsement, parsed.name)
        finally:
            # a TPM has room for three keys or so
            context.flush_context(key)
        return self._issue(parsed.key, now)

    def _issue(self, key: Any, now: datetime) -> bytes:
        name = x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, "software TPM, not hardware: attestation key")]
        )
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + _LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_SIGNS, critical=True)
            .add_extension(x509.ExtendedKeyUsage([AK_EKU]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.DER)


def endorsement_key(context: Any) -> tuple[Any, bytes]:
    """Return the RSA 2048 endorsement key's handle and TPMT_PUBLIC.

    Raises:
        AttestationError: The TPM fails.
    """
    library = tss()
    with translated("show its endorsement key"):
        try:
            kept = context.tr_from_tpmpublic(EK_HANDLE)
            return kept, bytes(context.read_public(kept)[0].publicArea.marshal())
        except library.TSS2_Exception:
            # nobody kept it: it is derived again, from the seed and the standard template
            _, template = library.utils.create_ek_template("EK-RSA2048", _certificate_only(context))
            handle, public, _, _, _ = context.create_primary(
                library.TPM2B_SENSITIVE_CREATE(), template, library.ESYS_TR.ENDORSEMENT
            )
            return handle, bytes(public.publicArea.marshal())


def activate(context: Any, key: Any, ek: Any, endorsement: TpmPublic, name: bytes) -> None:
    """Have a TPM show that the key of this name lives beside its endorsement key.

    TCG, TPM 2.0 Library, Part 1, "Credential Protection": only the TPM that holds both keys can
    open the secret.

    Raises:
        AttestationError: It cannot.
    """
    library = tss()
    secret = secrets.token_bytes(32)
    credential = make_credential(endorsement, name, secret)
    with translated("activate a credential for its attestation key"):
        session = context.start_auth_session(
            tpm_key=library.ESYS_TR.NONE,
            bind=library.ESYS_TR.NONE,
            session_type=library.TPM2_SE.POLICY,
            symmetric=library.TPMT_SYM_DEF(algorithm=library.TPM2_ALG.NULL),
            auth_hash=library.TPM2_ALG.SHA256,
        )
        context.policy_secret(library.ESYS_TR.ENDORSEMENT, session, b"", b"", b"", 0)
        opened = context.activate_credential(
            key,
            ek,
            library.TPM2B_ID_OBJECT(credential.blob),
            library.TPM2B_ENCRYPTED_SECRET(credential.encrypted_seed),
            session1=library.ESYS_TR.PASSWORD,
            session2=session,
        )
    if not hmac.compare_digest(bytes(opened), secret):
        raise AttestationError("the TPM opened another secret than the one it was given.")


def _read_index(context: Any, index: int) -> bytes:
    """Return what a TPM's maker stored at an index."""
    library = tss()
    handle = context.tr_from_tpmpublic(index)
    public, _ = context.nv_read_public(handle)
    size, found = public.nvPublic.dataSize, b""
    while len(found) < size:
        step = min(size - len(found), 512)
        found += bytes(context.nv_read(handle, step, len(found), auth_handle=library.ESYS_TR.OWNER))
    return found


def _certificate_only(context: Any) -> Any:
    """Return what the software stack reads an endorsement key's certificate with.

    The key's own template and nonce, which other makers may store, are not looked for: the
    standard template is the one that counts here.
    """
    library = tss()

    def read(index: int) -> bytes:
        if index != EK_CERTIFICATE_INDEX:
            raise library.utils.NoSuchIndex(index)
        return _read_index(context, index)

    return read


def _certified(
    certificate: bytes, public: bytes, authorities: tuple[bytes, ...], now: datetime
) -> TpmPublic:
    """Return an endorsement key that a known maker of TPMs certified, as one."""
    try:
        found = certified_by(certificate, authorities, at=now, purpose=EK_EKU.dotted_string)
        endorsement = parse_tpm_public(public)
    except ManateeError as error:
        raise AttestationError("the TPM's endorsement key is not certified.") from error
    if found != endorsement.key:
        raise AttestationError("the TPM's endorsement key is not the one certified.")
    return endorsement


def _make(key_file: Path, certificate_file: Path, now: datetime) -> None:
    key_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, AUTHORITY)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    write_private(certificate_file, certificate.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    # the key comes last: its presence says that the folder is complete
    write_private(key_file, pem)
