"""Compact tokens: headers and claims are given as JSON, so that the fuzzer need not sign base64."""

import base64
from collections.abc import Iterator

from appraising import look

from manatee.attestation import Endorsements
from manatee.attestation._tokens.confidential_space import MEDIA_TYPE as SPACE
from manatee.attestation._tokens.jwt import read_times, read_token
from manatee.attestation._tokens.maa import MEDIA_TYPE as MAA
from manatee.errors import MalformedError
from vectors import vector, vectors

KEYS = Endorsements(documents={"jwks/https://a": vector("azure-maa/maa-jwks.json")})


def plain(part: bytes) -> bytes:
    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))


def compact(data: bytes) -> bytes:
    """Encode header, claims and signature, divided by zero bytes."""
    parts = data.split(b"\0", 2)
    return b".".join(base64.urlsafe_b64encode(item).rstrip(b"=") for item in parts)


def seeds() -> Iterator[bytes]:
    for token in (*vectors("*/*.jwt"), b"e30.e30.AA"):
        token = token.strip()
        header, claims, signature = token.split(b".")
        for media in (b"\x00", b"\x01"):
            yield media + token
            yield bytes([media[0] + 2]) + plain(header) + b"\0" + plain(claims) + b"\0" + b"s"
        assert signature
    yield b"\x02" + b'{"alg":"RS256","kid":"k","x5c":["MAA="]}\0{"iat":1,"nbf":1,"exp":2}\0s'
    yield (
        b"\x03"
        + b'{"alg":"RS256","kid":"k","typ":"JWT"}\0{"iat":1,"nbf":1,"exp":2,"iss":"https://a"}\0s'
    )


def one(data: bytes) -> None:
    kind, rest = data[:1], data[1:]
    if not kind or kind[0] > 3:
        raise MalformedError("no such choice.")
    token = rest if kind[0] < 2 else compact(rest)
    everything = frozenset({"kid", "typ", "jku", "x5c"})
    found = read_token(token, algorithm="RS256", required=frozenset(), optional=everything)
    times = read_times(found.claims)
    assert times.begins < times.ends
    look(SPACE if kind[0] % 2 == 0 else MAA, token, endorsements=KEYS)
