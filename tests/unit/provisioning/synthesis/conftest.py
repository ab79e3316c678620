"""A generated table with built-in dependencies, coded."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from manatee.provisioning.counting import Attribute, MemoryCounter
from manatee.provisioning.noise import Budget
from manatee.provisioning.synthesis import Mechanism, Synthesiser, Task, fit

ATTRIBUTES = (
    Attribute("age", 20, ordered=True, n_values=20),
    Attribute("smoker", 2, ordered=False, n_values=2),
    Attribute("town", 40, ordered=False, n_values=40),
    Attribute("cost", 31, ordered=True, n_values=30),
)
TASK = Task("cost", ("age", "smoker", "town"))


def people(n_records: int, *, seed: int = 0) -> MemoryCounter:
    """Cost follows age, and jumps for smokers; it is missing for one in ten; towns say nothing."""
    sampler = np.random.default_rng(seed)
    age = sampler.integers(0, 20, n_records)
    smoker = (sampler.random(n_records) < 0.25).astype(np.int64)
    cost = np.minimum(age // 3 + smoker * 18 + sampler.integers(0, 4, n_records), 29)
    cost[sampler.random(n_records) < 0.1] = 30
    town = np.minimum(sampler.geometric(0.2, n_records) - 1, 39)
    return MemoryCounter(ATTRIBUTES, {"age": age, "smoker": smoker, "town": town, "cost": cost})


Fitted = Callable[..., tuple[Synthesiser, Budget]]


@pytest.fixture(scope="session")
def fitted() -> Fitted:
    def make(
        mechanism: Mechanism, *, rho: float = 1.0, n_records: int = 4000, contribution: int = 1
    ) -> tuple[Synthesiser, Budget]:
        budget = Budget(Fraction(rho))
        found = fit(
            people(n_records),
            mechanism=mechanism,
            budget=budget,
            task=TASK if mechanism == "task" else None,
            contribution=contribution,
        )
        return found, budget

    return make
