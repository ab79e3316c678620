"""A detached EAT bundle (RFC 9711): an overall token, and one for each device that it names."""

from __future__ import annotations

import hashlib
import hmac

from manatee.attestation._tokens.jwt import Token, read_token
from manatee.errors import MalformedError
from manatee.records import parse_json

ALGORITHM = "ES384"
MAX_BYTES = 64 << 10
MAX_GPUS = 16


def read_detached(data: bytes) -> tuple[Token, dict[str, Token]]:
    """Read a detached EAT strictly: the overall token and each GPU's.

    Raises:
        MalformedError: It is not one.
        TooLargeError: It has over `MAX_BYTES`.
    """
    whole = parse_json(data, max_bytes=MAX_BYTES)
    if not isinstance(whole, list) or len(whole) != 2:
        raise MalformedError("a detached token is a pair.")
    outer, inner = whole
    if (
        not isinstance(outer, list)
        or len(outer) != 2
        or outer[0] != "JWT"
        or not isinstance(outer[1], str)
        or not isinstance(inner, dict)
        or not 0 < len(inner) <= MAX_GPUS
        or not all(isinstance(item, str) for item in inner.values())
    ):
        raise MalformedError("a detached token is an overall token and one a GPU.")
    return _read(outer[1]), {name: _read(text) for name, text in inner.items()}


def _read(text: str) -> Token:
    try:
        data = text.encode("ascii")
    except UnicodeEncodeError as error:
        raise MalformedError("a token is ASCII.") from error
    return read_token(
        data, algorithm=ALGORITHM, required=frozenset({"kid"}), optional=frozenset({"typ"})
    )


def digests_hold(overall: Token, gpus: dict[str, Token]) -> bool:
    """Whether the overall token names exactly these tokens, each by its SHA-256."""
    named = overall.claims.get("submods")
    if not isinstance(named, dict) or set(named) != set(gpus):
        return False
    return all(
        isinstance(entry, list)
        and len(entry) == 2
        and entry[0] == "DIGEST"
        and isinstance(entry[1], list)
        and len(entry[1]) == 2
        and entry[1][0] == "SHA-256"
        and isinstance(entry[1][1], str)
        and hmac.compare_digest(
            entry[1][1].encode(),
            hashlib.sha256(gpus[name].compact.encode()).hexdigest().encode(),
        )
        for name, entry in named.items()
    )
