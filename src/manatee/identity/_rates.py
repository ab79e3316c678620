"""Rates of attempts, kept as one number each (the generic cell rate algorithm).

A rate is used up by attempts and comes back with time. It never locks anybody out for good.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rate:
    """So many attempts at once, and after that one every so many seconds."""

    burst: int
    seconds: float


def next_free(rate: Rate, free_at: float, now: float) -> tuple[float, float]:
    """Take one attempt.

    Args:
        rate: How many are allowed.
        free_at: When the rate is wholly free again, as it was kept; 0 if nothing is kept.
        now: The present moment; both in seconds.

    Returns:
        The new `free_at`, and the seconds to wait: 0 if the attempt was taken, and then only the
        new `free_at` is to be kept.
    """
    ahead = max(free_at, now) + rate.seconds
    wait = ahead - now - rate.burst * rate.seconds
    return (free_at, wait) if wait > 0 else (ahead, 0.0)
