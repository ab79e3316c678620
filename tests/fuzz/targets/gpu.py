"""NVIDIA GPUs: the SPDM report, its opaque data, the payload, and answers on revocation."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from appraising import look
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from manatee.attestation._certificates import read_pem_chain
from manatee.attestation._gpu.opaque import parse_opaque_data
from manatee.attestation._gpu.payload import parse_payload
from manatee.attestation._gpu.report import parse_report, report_signed_by
from manatee.attestation._gpu.revocation import Missing, answer_name, answered
from manatee.attestation._gpu.verifier import MEDIA_TYPE
from manatee.errors import MalformedError
from vectors import vector, vectors

REPORT = bytes.fromhex(vector("nvidia/hopper-nofwid-report.hex").decode())
KEY = ec.derive_private_key(5, ec.SECP384R1()).public_key()
AT = datetime(2026, 6, 1, tzinfo=UTC)
CHAIN = read_pem_chain(
    base64.b64decode(json.loads(vector("nvidia/hopper-evidence.json"))[0]["certificate"])
)
SIGNATURE_BYTES = 96
OPAQUE_AT = 4 + 32 + 1 + 4


def answer(*, status: ocsp.OCSPCertStatus) -> bytes:
    """Return an answer on the boot ROM's certificate, by somebody else than its issuer."""
    revoked = status is ocsp.OCSPCertStatus.REVOKED
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=CHAIN[1],
        issuer=CHAIN[2],
        algorithm=hashes.SHA256(),
        cert_status=status,
        this_update=AT,
        next_update=AT + timedelta(days=1),
        revocation_time=AT if revoked else None,
        revocation_reason=None,
    )
    key = ec.derive_private_key(5, ec.SECP384R1())
    stranger = (
        x509.CertificateBuilder(CHAIN[2].subject, CHAIN[2].subject, key.public_key())
        .serial_number(1)
        .not_valid_before(AT)
        .not_valid_after(AT + timedelta(days=1))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=False)
        .sign(key, hashes.SHA384())
    )
    named = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, stranger)
    return named.certificates([stranger]).sign(key, hashes.SHA384()).public_bytes(Encoding.DER)


def seeds() -> Iterator[bytes]:
    yield b"\x00" + REPORT
    at = OPAQUE_AT + 1
    at += 3 + int.from_bytes(REPORT[at : at + 3], "little") + 32 + 2
    yield b"\x01" + REPORT[at:-SIGNATURE_BYTES]
    for payload in vectors("nvidia/hopper-*evidence.json"):
        yield b"\x02" + payload
    for status in ocsp.OCSPCertStatus:
        yield b"\x03" + answer(status=status)


def one(data: bytes) -> None:
    match data[:1]:
        case b"\x00":
            assert not report_signed_by(parse_report(data[1:]), KEY)
        case b"\x01":
            parse_opaque_data(data[1:])
        case b"\x02":
            parse_payload(data[1:])
            look(MEDIA_TYPE, data[1:])
        case b"\x03":
            said = {answer_name(CHAIN[1]): data[1:]}
            found = answered(CHAIN[1], CHAIN[2:], said, at=AT, max_age=timedelta(days=7))
            assert isinstance(found, Missing)
        case _:
            raise MalformedError("no such choice.")
