"""How long a custody may take. Each request is bounded, and so is their number.

The clouds' own retries are switched off: this is the only place that repeats a request.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from manatee.errors import CustodyUnavailableError

CONNECT_SECONDS = 3.0
"""To open a connection."""

READ_SECONDS = 5.0
"""Between two bytes of an answer."""

ATTEMPTS = 3
"""Requests in all, the first included.

Wrapping and unwrapping change nothing at the place, so a repeated request does no harm.
"""

PAUSE_SECONDS = 0.2
"""Before the first repetition; doubled before the next."""

T = TypeVar("T")


def patiently(call: Callable[[], T], pause: Callable[[float], None]) -> T:
    """Call, and again while the place is unavailable: at most `ATTEMPTS` times in all.

    Raises:
        CustodyUnavailableError: The last attempt failed too.
    """
    for attempt in range(ATTEMPTS - 1):
        try:
            return call()
        except CustodyUnavailableError:
            pause(PAUSE_SECONDS * 2**attempt)
    return call()


def keep_quiet(*loggers: str) -> None:
    """Keep a cloud's library from logging requests and answers, which hold data keys, at DEBUG.

    Effects: raises the loggers' level to WARNING for the whole process.
    """
    for name in loggers:
        logging.getLogger(name).setLevel(logging.WARNING)
