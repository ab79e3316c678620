"""How often a broker may be asked: token buckets, per caller and over all."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from manatee.errors import LimitError

MAX_CALLERS = 4096
"""Callers remembered at one time; the one that asked longest ago is forgotten first."""


class RateLimiter:
    """A bucket of `burst` requests that refills at `per_minute`, for each caller."""

    def __init__(self, *, per_minute: float, burst: int, monotonic: Callable[[], float]) -> None:
        """Start with every bucket full.

        Args:
            per_minute: Requests a caller may make in the long run, per minute.
            burst: Requests it may make at once.
            monotonic: Seconds on a clock that never goes back.
        """
        self._rate = per_minute / 60
        self._burst = burst
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> None:
        """Count one request.

        Raises:
            LimitError: The caller's bucket is empty.
        """
        now = self._monotonic()
        with self._lock:
            left, since = self._buckets.pop(caller, (float(self._burst), now))
            left = min(float(self._burst), left + (now - since) * self._rate)
            allowed = left >= 1
            self._buckets[caller] = (left - 1 if allowed else left, now)
            if len(self._buckets) > MAX_CALLERS:
                self._buckets.popitem(last=False)
        if not allowed:
            raise LimitError("too many requests.", hint="Wait a minute and try again.")
