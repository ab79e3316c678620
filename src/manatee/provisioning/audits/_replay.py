"""Budgets that write down what a mechanism does, and ones that play it back.

A mechanism that sees private data through its budget alone (`measure`, `select`) can be audited
without chance: record a run on one table, then run it on a neighbour and answer every question as
before. Whatever it asks must then be the same question with the same price, and the private
numbers that it brings must differ by no more than the sensitivity that it states. Where the
questions differ, something private steered the mechanism past its budget.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

import numpy as np
import numpy.typing as npt

from manatee.errors import ProvisioningError
from manatee.provisioning.audits._types import Finding
from manatee.provisioning.noise import Budget, Charge

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_TOLERANCE = 1e-9
"""Relative; scores are sums of floats."""


@dataclass(frozen=True)
class Call:
    """One question to a budget.

    Attributes:
        private: What was brought: exact counts or scores. For generated tables only.
        released: What came back: noisy counts, or the index of a choice.
    """

    kind: Literal["measure", "select"]
    what: str
    rho: Fraction
    sensitivity: float
    scale: float
    private: Floats
    released: Floats

    @property
    def question(self) -> tuple[object, ...]:
        """Everything that must not depend on private data."""
        return self.kind, self.what, self.rho, self.sensitivity, self.private.shape


@dataclass
class RecordingBudget(Budget):
    """A budget that remembers everything asked of it."""

    calls: list[Call] = field(default_factory=list)

    def measure(
        self,
        counts: Sequence[int] | Counts,
        rho: Fraction,
        *,
        what: str,
        sensitivity: int = 1,
    ) -> tuple[Floats, float]:
        """Measure as `Budget.measure`, and remember it."""
        noisy, scale = super().measure(counts, rho, what=what, sensitivity=sensitivity)
        self._remember("measure", what, rho, sensitivity, counts, noisy)
        return noisy, scale

    def select(
        self,
        scores: Sequence[float] | Floats,
        rho: Fraction,
        *,
        what: str,
        sensitivity: float = 1,
    ) -> int:
        """Select as `Budget.select`, and remember it."""
        chosen = super().select(scores, rho, what=what, sensitivity=sensitivity)
        self._remember("select", what, rho, sensitivity, scores, chosen)
        return chosen

    def _own(self, rho: Fraction) -> Budget:
        """Return a part that writes into the same memory."""
        return RecordingBudget(rho, calls=self.calls)

    def _remember(
        self,
        kind: Literal["measure", "select"],
        what: str,
        rho: Fraction,
        sensitivity: float,
        private: object,
        released: object,
    ) -> None:
        scale = self.charges[-1].scale
        self.calls.append(
            Call(
                kind,
                what,
                rho,
                sensitivity,
                scale,
                np.array(private, dtype=np.float64),
                np.array(released, dtype=np.float64),
            )
        )


@dataclass
class ReplayingBudget(Budget):
    """A budget that gives recorded answers, and remembers what it was asked this time."""

    tape: Sequence[Call] = ()
    asked: list[Call] = field(default_factory=list)

    def measure(
        self,
        counts: Sequence[int] | Counts,
        rho: Fraction,
        *,
        what: str,
        sensitivity: int = 1,
    ) -> tuple[Floats, float]:
        """Answer as recorded. Raises ProvisioningError if another question was recorded."""
        call = self._answer("measure", what, rho, sensitivity, counts)
        self._charge(Charge(what, "discrete-gaussian", sensitivity, call.scale, rho))
        return call.released.copy(), call.scale

    def select(
        self,
        scores: Sequence[float] | Floats,
        rho: Fraction,
        *,
        what: str,
        sensitivity: float = 1,
    ) -> int:
        """Answer as recorded. Raises ProvisioningError if another question was recorded."""
        call = self._answer("select", what, rho, sensitivity, scores)
        self._charge(Charge(what, "noisy-max-gumbel", sensitivity, call.scale, rho))
        return int(call.released)

    def _own(self, rho: Fraction) -> Budget:
        """Return a part that plays on from where this one is."""
        return ReplayingBudget(rho, tape=self.tape, asked=self.asked)

    def _answer(
        self,
        kind: Literal["measure", "select"],
        what: str,
        rho: Fraction,
        sensitivity: float,
        private: object,
    ) -> Call:
        if len(self.asked) >= len(self.tape):
            raise _OtherQuestionError("a question more than was recorded.")
        recorded = self.tape[len(self.asked)]
        asked = Call(
            kind,
            what,
            rho,
            sensitivity,
            recorded.scale,
            np.array(private, dtype=np.float64),
            recorded.released,
        )
        if asked.question != recorded.question:
            raise _OtherQuestionError(f"{what!r} where {recorded.what!r} was recorded.")
        self.asked.append(asked)
        return recorded


class _OtherQuestionError(ProvisioningError):
    """The mechanism asked something else on the neighbouring table."""


def check_sensitivities(
    run: Callable[[Budget], object],
    run_on_neighbour: Callable[[Budget], object],
    rho: Fraction,
) -> Finding:
    """Run a mechanism on a table, then on a neighbour with the same answers; compare exactly.

    Counts may differ by the stated sensitivity in the L2 norm, scores by it in each place. There
    is no chance in the verdict; another run takes another path through the answers.

    Args:
        run: Runs the mechanism on a generated table, with the given budget.
        run_on_neighbour: The same on the table with one privacy unit added or removed.
        rho: The budget.
    """
    recorder = RecordingBudget(rho)
    run(recorder)
    player = ReplayingBudget(rho, tape=recorder.calls)
    try:
        run_on_neighbour(player)
    except _OtherQuestionError as error:
        return _finding(f"private data steers the questions: {error.message}", recorder, 0.0)
    if len(player.asked) < len(recorder.calls):
        return _finding("private data steers the questions: one is missing.", recorder, 0.0)
    worst = 0.0
    for first, second in zip(recorder.calls, player.asked, strict=True):
        moved = np.abs(first.private - second.private)
        size = float(np.sqrt((moved**2).sum()) if first.kind == "measure" else moved.max(initial=0))
        worst = max(worst, size / first.sensitivity)
        if size > first.sensitivity * (1 + _TOLERANCE):
            why = f"{first.what}: one privacy unit moves it by more than its sensitivity."
            return _finding(why, recorder, worst)
    return _finding("", recorder, worst)


def _finding(wrong: str, recorder: RecordingBudget, worst: float) -> Finding:
    why = wrong or "every question is the same, and moves by its sensitivity at most."
    numbers = {"questions": float(len(recorder.calls)), "largest move per sensitivity": worst}
    return Finding("sensitivities", not wrong, why, 0.0, numbers)
