"""What `manatee doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        good: It is as it should be.
        hint: How to mend it.
        needed: The service cannot run, or is not safe, without it; else it is worth knowing.
    """

    name: str
    good: bool
    detail: str
    hint: str = ""
    needed: bool = True
