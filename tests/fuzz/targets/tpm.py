"""TPM structures (quote, public area, signature) and the payload that carries them."""

from collections.abc import Iterator
from typing import Any

from appraising import look

from manatee.attestation._tpm.credential import make_credential
from manatee.attestation._tpm.public import parse_public, parse_signature
from manatee.attestation._tpm.quote import parse_attest, selected
from manatee.attestation._tpm.verifier import MEDIA_TYPE
from manatee.errors import MalformedError
from manatee.records import canonical_json, to_base64
from vectors import vector

PARSERS = (parse_attest, parse_public, parse_signature)
NAME = b"\0\x0b" + bytes(32)


def part(name: str) -> bytes:
    return vector(f"vtpm/swtpm/{name}")


def payload(attest: bytes, signature: bytes, public: bytes) -> bytes:
    """Every structure is hostile; the registers are plain."""
    return canonical_json(
        {
            "format_version": 1,
            "attest": to_base64(attest),
            "signature": to_base64(signature),
            "ak_public": to_base64(public),
            "ek_public": to_base64(public),
            "pcrs": [{"pcr": 8, "value": "00" * 32}],
            "events": [],
        }
    )


def seeds() -> Iterator[bytes]:
    quote, forged, signature = part("quote.msg"), part("forged-bad-magic.msg"), part("quote.sig")
    yield from (b"\x00" + data for data in (quote, forged))
    yield from (b"\x01" + part(f"{name}.tpmt-public") for name in ("ak", "ek"))
    yield from (b"\x02" + data for data in (signature, part("forged-bad-magic.sig")))
    whole = payload(quote, signature, part("ak.tpmt-public"))
    yield b"\x03" + whole
    parts = (quote, signature, part("ak.tpmt-public"))
    yield b"\x04" + b"".join(len(item).to_bytes(2, "big") + item for item in parts)


def three(data: bytes) -> tuple[bytes, bytes, bytes]:
    found = []
    for _ in range(3):
        size = int.from_bytes(data[:2], "big")
        found.append(data[2 : 2 + size])
        data = data[2 + size :]
    return found[0], found[1], found[2]


def one(data: bytes) -> None:
    kind, rest = data[:1], data[1:]
    if not kind or kind[0] > 4:
        raise MalformedError("no such choice.")
    if kind[0] == 3:
        look(MEDIA_TYPE, rest)
    elif kind[0] == 4:
        look(MEDIA_TYPE, payload(*three(rest)))
    else:
        found: Any = PARSERS[kind[0]](rest)
        if kind[0] == 0:
            selected(found, (8, 9))
        if kind[0] == 1:
            assert len(found.name) >= 2
            make_credential(found, NAME, bytes(16))
        if kind[0] == 2:
            assert not found.holds(parse_public(part("ak.tpmt-public")).key, b"message")
