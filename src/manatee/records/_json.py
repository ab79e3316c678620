"""Strict reading and canonical writing of JSON (RFC 8785).

Reading refuses what JSON libraries let pass: duplicate members, NaN and Infinity, numbers too
large for a double, deep nesting, lone surrogates, trailing bytes, oversized input. Time and memory
are bounded by `max_bytes`. Everything that crosses a trust boundary is read here.
"""

import json
import math
import re
from typing import Any, NoReturn, TypeVar

import msgspec
import rfc8785

from manatee.errors import MalformedError, TooLargeError
from manatee.records._forms import explain

MAX_DEPTH = 32
"""Deepest nesting of arrays and objects that is read; our own records need 8."""

MAX_JSON_BYTES = 1 << 20
"""Default cap of one JSON document, in bytes."""

MAX_SAFE_INTEGER = 2**53 - 1
"""Largest integer every JSON reader agrees on (RFC 8785, section 3.2.2.3)."""

_BRACKETS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)
"""A whole string, which is passed over, or a bracket."""

_MAX_PLAIN_DOUBLE = 22
"""Most characters of a double that RFC 8785 writes without exponent, its sign included."""

R = TypeVar("R")


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedError(f"JSON holds {name}, which is not JSON.")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedError("JSON object holds the same member twice.")
    return found


def _integer(text: str) -> int | float:
    if len(text) <= 17 and abs(int(text)) <= MAX_SAFE_INTEGER:
        return int(text)
    # RFC 8785 writes doubles below 1e21 without exponent: exactly that spelling is a double
    if len(text) <= _MAX_PLAIN_DOUBLE and rfc8785.dumps(float(text)) == text.encode():
        return float(text)
    raise MalformedError("JSON integer is beyond 2**53-1.")


def _float(text: str) -> float:
    if len(text) > 40 or not math.isfinite(number := float(text)):
        raise MalformedError("JSON number does not fit a double.")
    return number


def _check_depth(text: str) -> None:
    """Check the nesting of text that is known to be JSON, so that every string in it ends."""
    depth = 0
    for match in _BRACKETS.finditer(text):
        if match[0] in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise MalformedError(f"JSON is nested deeper than {MAX_DEPTH}.")
        elif match[0] in "]}":
            depth -= 1


def parse_json(data: bytes, *, max_bytes: int = MAX_JSON_BYTES) -> Any:
    """Parse one JSON document strictly.

    Args:
        data: UTF-8 bytes, without byte order mark.
        max_bytes: Cap, in bytes.

    Raises:
        TooLargeError: The document is over `max_bytes`.
        MalformedError: It is not strict JSON.
    """
    if len(data) > max_bytes:
        raise TooLargeError(f"JSON document has {len(data)} bytes; at most {max_bytes} are read.")
    try:
        text = data.decode("utf-8")
        value = json.loads(
            text,
            object_pairs_hook=_members,
            parse_constant=_refuse_constant,
            parse_int=_integer,
            parse_float=_float,
        )
        if text.count("[") + text.count("{") > MAX_DEPTH:
            _check_depth(text)
        if "\\u" in text:
            # an escape may have made a lone surrogate, which no later step could encode
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (UnicodeError, json.JSONDecodeError, RecursionError) as error:
        where = f" at byte {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise MalformedError(f"not JSON{where}.") from error
    return value


def canonical_json(value: Any) -> bytes:
    """Return the RFC 8785 bytes of a record or of plain JSON values.

    Raises:
        MalformedError: The value has no canonical form (NaN, an integer beyond 2**53-1, a lone
            surrogate).
    """
    try:
        return rfc8785.dumps(msgspec.to_builtins(value))
    except (rfc8785.CanonicalizationError, TypeError, UnicodeEncodeError) as error:
        raise MalformedError("value has no canonical JSON form.") from error


def to_record(value: Any, kind: type[R], *, what: str) -> R:
    """Turn parsed JSON into a record; unknown, missing or mistyped members are refused.

    Args:
        value: What `parse_json` returned.
        kind: The record class.
        what: What the caller calls it, for the message.

    Raises:
        MalformedError: The value is not such a record. The message names the member and what it
            must be, in words.
    """
    try:
        return msgspec.convert(value, type=kind, strict=True)
    except msgspec.ValidationError as error:
        raise MalformedError(f"{what}: {explain(str(error))}") from error


def read_record(data: bytes, kind: type[R], *, what: str, max_bytes: int = MAX_JSON_BYTES) -> R:
    """Parse strictly, then turn into a record. Raises as `parse_json` and `to_record` do."""
    return to_record(parse_json(data, max_bytes=max_bytes), kind, what=what)
