"""Mechanisms that are broken on purpose, one defect each, and the one they are broken copies of.

UNSAFE by design: they exist so that tests can show that the audits see each defect. Nothing in
the package calls them but audits of the audits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

Noise = Callable[[Sequence[int], Fraction], tuple[list[int], float]]
"""Adds discrete Gaussian noise to counts of L2 sensitivity 1 for a rho; also returns sigma."""


@dataclass(frozen=True)
class Line:
    """One line of a mechanism's ledger."""

    what: str
    mechanism: str
    sensitivity: float
    scale: float
    rho: Fraction


@dataclass(frozen=True)
class Output:
    """What one run releases (numbers by name) and what its ledger says."""

    numbers: dict[str, float]
    ledger: tuple[Line, ...]
    measured: tuple[str, ...] = ("histogram",)

    @property
    def spent(self) -> float:
        """What the ledger adds up to."""
        return float(sum((line.rho for line in self.ledger), Fraction(0)))


Mechanism = Callable[[Sequence[int], int, Fraction, Noise], Output]
"""From codes of rows, number of cells, rho and a source of noise to an output."""


def _counts(codes: Sequence[int], n_cells: int) -> list[int]:
    return [int(count) for count in np.bincount(np.asarray(codes, dtype=int), minlength=n_cells)]


def _output(noisy: Sequence[float], sigma: float, rho: Fraction) -> Output:
    numbers = {f"cell {cell}": float(count) for cell, count in enumerate(noisy)}
    return Output(numbers, (Line("histogram", "discrete-gaussian", 1, sigma, rho),))


def honest(codes: Sequence[int], n_cells: int, rho: Fraction, noise: Noise) -> Output:
    """Release a noisy histogram. The mechanism that all others here are broken copies of."""
    noisy, sigma = noise(_counts(codes, n_cells), rho)
    return _output(noisy, sigma, rho)


def noise_halved(codes: Sequence[int], n_cells: int, rho: Fraction, noise: Noise) -> Output:
    """Claim sigma, draw sigma / 2."""
    noisy, sigma = noise(_counts(codes, n_cells), rho * 4)
    return _output(noisy, sigma * 2, rho)


def domain_from_data(codes: Sequence[int], n_cells: int, rho: Fraction, noise: Noise) -> Output:
    """Release cells that occur in the table, and no others."""
    counts = _counts(codes, n_cells)
    noisy, sigma = noise(counts, rho)
    whole = _output(noisy, sigma, rho)
    seen = {f"cell {cell}" for cell, count in enumerate(counts) if count}
    kept = {name: value for name, value in whole.numbers.items() if name in seen}
    return Output(kept, whole.ledger)


def seed_fixed(codes: Sequence[int], n_cells: int, rho: Fraction, noise: Noise) -> Output:
    """Draw the noise from a generator with a fixed seed."""
    counts = _counts(codes, n_cells)
    sigma = float(1 / (2 * rho)) ** 0.5
    drawn = np.random.default_rng(7).normal(0, sigma, n_cells)
    return _output([round(c + d) for c, d in zip(counts, drawn, strict=True)], sigma, rho)


_OF_THE_PROCESS = np.random.default_rng(7)


def seed_of_the_process(codes: Sequence[int], n_cells: int, rho: Fraction, noise: Noise) -> Output:
    """Draw the noise from one generator that starts alike in every process."""
    counts = _counts(codes, n_cells)
    sigma = float(1 / (2 * rho)) ** 0.5
    drawn = _OF_THE_PROCESS.normal(0, sigma, n_cells)
    return _output([round(c + d) for c, d in zip(counts, drawn, strict=True)], sigma, rho)


def sensitivity_wrong(codes: Sequence[int], n_cells: int, rho: Fraction, noise: Noise) -> Output:
    """Count a row in two cells, and say that it moves one count by one."""
    twice = [*codes, *((code + 1) % n_cells for code in codes)]
    noisy, sigma = noise(_counts(twice, n_cells), rho)
    return _output(noisy, sigma, rho)


def measured_twice(codes: Sequence[int], n_cells: int, rho: Fraction, noise: Noise) -> Output:
    """Measure the histogram a second time for the price of one."""
    first, second = (honest(codes, n_cells, rho, noise) for _ in range(2))
    again = {f"again {name}": value for name, value in second.numbers.items()}
    return Output({**first.numbers, **again}, first.ledger, ("histogram", "histogram"))


def charged_nothing(codes: Sequence[int], n_cells: int, rho: Fraction, noise: Noise) -> Output:
    """Release a histogram and charge zero."""
    made = honest(codes, n_cells, rho, noise)
    line = made.ledger[0]
    return Output(
        made.numbers, (Line(line.what, line.mechanism, line.sensitivity, line.scale, Fraction(0)),)
    )


def charged_twice(codes: Sequence[int], n_cells: int, rho: Fraction, noise: Noise) -> Output:
    """Write the one measurement into the ledger twice."""
    made = honest(codes, n_cells, rho, noise)
    return Output(made.numbers, made.ledger * 2)


def record_count_exact(codes: Sequence[int], n_cells: int, rho: Fraction, noise: Noise) -> Output:
    """Release the number of rows as it is, beside the noisy histogram."""
    made = honest(codes, n_cells, rho, noise)
    return Output({**made.numbers, "rows": float(len(codes))}, made.ledger)


BROKEN: dict[str, Mechanism] = {
    "noise halved": noise_halved,
    "domain read from data": domain_from_data,
    "seed fixed": seed_fixed,
    "sensitivity wrong": sensitivity_wrong,
    "measured twice, charged once": measured_twice,
    "charged zero": charged_nothing,
    "charged twice": charged_twice,
    "record count exact": record_count_exact,
}
