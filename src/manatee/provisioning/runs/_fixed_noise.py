"""Noise that is fixed in advance, for tests of what stands around it. It protects nobody.

Everything made with it carries the stamp `NOT PRIVATE: test`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from manatee.provisioning.noise import Budget, Charge


@dataclass
class InsecureFixedBudget(Budget):
    """A budget whose noise anybody can repeat."""

    generator: np.random.Generator = field(kw_only=True)

    def measure(
        self,
        counts: Sequence[int] | np.ndarray[Any, np.dtype[np.int64]],
        rho: Fraction,
        *,
        what: str,
        sensitivity: int = 1,
    ) -> tuple[np.ndarray[Any, np.dtype[np.float64]], float]:
        """Return counts under noise of the right width that protects nobody."""
        scale = float(sensitivity) / float(2 * rho) ** 0.5
        self._charge(Charge(what, "INSECURE fixed noise", sensitivity, scale, rho))
        exact = np.asarray(counts, dtype=np.float64)
        return exact + np.round(self.generator.normal(0, scale, exact.shape)), scale

    def select(
        self,
        scores: Sequence[float] | np.ndarray[Any, np.dtype[np.float64]],
        rho: Fraction,
        *,
        what: str,
        sensitivity: float = 1,
    ) -> int:
        """Return the largest score's place under noise that protects nobody."""
        scale = float(sensitivity) / float(2 * rho) ** 0.5
        self._charge(Charge(what, "INSECURE fixed noise", sensitivity, scale, rho))
        found = np.asarray(scores, dtype=np.float64)
        return int(np.argmax(found + self.generator.gumbel(0, scale, found.shape)))


def insecure_fixed(seed: int) -> Callable[[Fraction], Budget]:
    """Return a maker of such budgets; each draws on where the one before has stopped."""
    generator = np.random.default_rng(seed)
    return lambda rho: InsecureFixedBudget(rho, generator=generator)
