"""NVIDIA GPUs: the SPDM measurement report, its opaque data, and the payload that carries them."""

from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric import ec

from manatee.attestation._gpu.opaque import parse_opaque_data
from manatee.attestation._gpu.payload import parse_payload
from manatee.attestation._gpu.report import parse_report, report_signed_by
from manatee.errors import MalformedError
from vectors import vector, vectors

REPORT = bytes.fromhex(vector("nvidia/hopper-nofwid-report.hex").decode())
KEY = ec.derive_private_key(5, ec.SECP384R1()).public_key()
SIGNATURE_BYTES = 96
OPAQUE_AT = 4 + 32 + 1 + 4


def seeds() -> Iterator[bytes]:
    yield b"\x00" + REPORT
    at = OPAQUE_AT + 1
    at += 3 + int.from_bytes(REPORT[at : at + 3], "little") + 32 + 2
    yield b"\x01" + REPORT[at:-SIGNATURE_BYTES]
    for payload in vectors("nvidia/hopper-*evidence.json"):
        yield b"\x02" + payload


def one(data: bytes) -> None:
    match data[:1]:
        case b"\x00":
            assert not report_signed_by(parse_report(data[1:]), KEY)
        case b"\x01":
            parse_opaque_data(data[1:])
        case b"\x02":
            parse_payload(data[1:])
        case _:
            raise MalformedError("no such choice.")
