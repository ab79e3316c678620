"""What an audit looks at and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Released = Mapping[str, float]
"""Every number that an outsider sees after one run, by name. A name that is sometimes missing
tells something, too."""

Run = Callable[[], Released]
"""Runs the mechanism once, with fresh noise, on a fixed table."""


@dataclass(frozen=True)
class Claim:
    """What a mechanism says about itself, for one neighbouring pair of tables.

    Attributes:
        rho: zCDP of everything one run releases.
        delta: At which `Finding.epsilon` is stated.
        gaussian: Whether all noise is Gaussian, so that rho is mu^2 / 2 for Gaussian
            differential privacy, which a test can hold it to more sharply.
    """

    rho: float
    delta: float = 1e-9
    gaussian: bool = False


@dataclass(frozen=True)
class Finding:
    """What one audit found.

    Attributes:
        audit: Which audit.
        passed: False if the claim is refuted. True means only: not refuted.
        why: One sentence for people.
        false_alarm: Chance that a correct mechanism is refuted.
        numbers: What was measured, by name.
    """

    audit: str
    passed: bool
    why: str
    false_alarm: float
    numbers: Mapping[str, float]
