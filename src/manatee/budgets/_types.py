"""What a budget ledger speaks of."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Unit = Literal["row", "person"]
"""Privacy unit: whom a guarantee is for. A data set's budget is kept in one unit."""


@dataclass(frozen=True)
class Charge:
    """What one release on one data set costs: `delta`-approximate `rho`-zCDP.

    Attributes:
        rho: Exact; None for a release without formal guarantee, which no limit can bound.
        delta: Beyond the conversion's: 0 for Gaussian noise and for pure differential privacy.
        what: For people; public.
    """

    dataset: str
    unit: Unit
    rho: Fraction | None
    what: str
    delta: Fraction = Fraction(0)


@dataclass(frozen=True)
class Limit:
    """The most that all releases on a data set may cost together."""

    epsilon: float
    delta: float
    unit: Unit


@dataclass(frozen=True)
class Spending:
    """Where a data set's budget stands.

    Attributes:
        rho: Exact sum of everything committed or held.
        epsilon: The same at the limit's delta, by OpenDP; what the limit is compared with.
        held: Runs that reserved and have neither committed nor released; counted as spent.
        unbounded: Releases without formal guarantee; one is enough to void the total.
    """

    dataset: str
    limit: Limit
    rho: Fraction
    delta: Fraction
    epsilon: float
    charges: int
    held: int
    unbounded: int

    @property
    def epsilon_left(self) -> float:
        """What one more release may cost at the limit's delta, at least; never negative.

        Epsilons of zCDP grow slower than their sum, so a release of this size always fits.
        """
        return max(0.0, self.limit.epsilon - self.epsilon)
