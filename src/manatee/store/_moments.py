"""Between moments on the wire and the seconds that the database compares."""

from __future__ import annotations

from datetime import UTC, datetime

from manatee._clock import parse_timestamp, timestamp
from manatee.errors import MalformedError


def seconds_of(text: str) -> float:
    """Return seconds since the epoch.

    Raises:
        MalformedError: It has the form of a time and is none, such as a 30th of February.
    """
    try:
        return parse_timestamp(text).timestamp()
    except ValueError as error:
        raise MalformedError(f"{text} is no time.") from error


def moment_of(seconds: float) -> str:
    """Return the moment so many seconds after the epoch."""
    return timestamp(datetime.fromtimestamp(seconds, UTC))
