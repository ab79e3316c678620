"""A budget that writes down every released number, so that a run that died never draws it twice.

What is written here went through noise: it is released and may be seen. A run that is resumed
asks the same questions in the same order, because each depends only on earlier answers, and gets
the answers that were already given. A question of another kind than the one written down stops
the run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from manatee.errors import ProvisioningError
from manatee.provisioning.noise import Budget, Charge

Floats = np.ndarray[Any, np.dtype[np.float64]]


class Journal:
    """Released answers, one JSON line each, synced before anyone may act on them."""

    def __init__(self, path: Path, *, answered: Callable[[str], None] = lambda _what: None) -> None:
        """Read what is there; a last line that was cut off was never acted on and is dropped."""
        self._path = path
        self._answered = answered
        self._known: list[dict[str, Any]] = []
        self._place = 0
        data = path.read_bytes() if path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        if whole != data:
            with path.open("r+b") as stream:
                stream.truncate(len(whole))
                os.fsync(stream.fileno())
        try:
            self._known = [json.loads(line) for line in whole.splitlines()]
        except ValueError as error:
            raise ProvisioningError("the run's released numbers were changed.") from error

    def next(self, question: dict[str, Any]) -> dict[str, Any] | None:
        """Return the answer to the next question if it was given before.

        Raises:
            ProvisioningError: Another question was asked before in this place.
        """
        if self._place >= len(self._known):
            return None
        found = self._known[self._place]
        if any(found.get(name) != value for name, value in question.items()):
            raise ProvisioningError(
                "the resumed run asks for other measurements than the interrupted one.",
                hint="Its budget is spent. Remove the hidden folder and start a new run.",
            )
        self._place += 1
        return found

    def add(self, answered: dict[str, Any]) -> None:
        """Write down an answer and have it on the disk."""
        line = json.dumps(answered, allow_nan=False).encode() + b"\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            written = 0
            while written < len(line):
                written += os.write(descriptor, line[written:])
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._known.append(answered)
        self._place += 1
        self._answered(str(answered["what"]))

    @property
    def answers(self) -> tuple[dict[str, Any], ...]:
        """Everything that was released, in order."""
        return tuple(self._known)


@dataclass
class JournalledBudget(Budget):
    """A budget whose answers come from the journal where they were given before."""

    journal: Journal = field(kw_only=True)
    within: Callable[[Fraction], Budget] = field(kw_only=True, default=Budget)
    """Makes the budget that draws the noise of one answer."""

    def measure(
        self,
        counts: Sequence[int] | np.ndarray[Any, np.dtype[np.int64]],
        rho: Fraction,
        *,
        what: str,
        sensitivity: int = 1,
    ) -> tuple[Floats, float]:
        """Release counts, or return what was released. See `Budget.measure`."""
        shape = list(np.shape(counts))
        question = _question("measure", what, rho, sensitivity, shape=shape)
        found = self.journal.next(question)
        if found is None:
            self._require(rho)  # before the noise: an answer in the journal is an answer given
            drawing = self.within(rho)
            noisy, _ = drawing.measure(counts, rho, what=what, sensitivity=sensitivity)
            found = question | _charged(drawing) | {"answer": np.ravel(noisy).tolist()}
            self.journal.add(found)
        self._pay(found)
        return np.array(found["answer"], dtype=np.float64).reshape(shape), float(found["scale"])

    def select(
        self,
        scores: Sequence[float] | Floats,
        rho: Fraction,
        *,
        what: str,
        sensitivity: float = 1,
    ) -> int:
        """Release a choice, or return the one that was released. See `Budget.select`."""
        question = _question("select", what, rho, sensitivity, shape=[len(scores)])
        found = self.journal.next(question)
        if found is None:
            self._require(rho)
            drawing = self.within(rho)
            chosen = drawing.select(scores, rho, what=what, sensitivity=sensitivity)
            found = question | _charged(drawing) | {"answer": chosen}
            self.journal.add(found)
        self._pay(found)
        return int(found["answer"])

    def _own(self, rho: Fraction) -> Budget:
        """Return a part that writes into the same journal."""
        return JournalledBudget(rho, journal=self.journal, within=self.within)

    def _pay(self, found: dict[str, Any]) -> None:
        self._charge(
            Charge(
                what=found["what"],
                mechanism=found["mechanism"],
                sensitivity=found["sensitivity"],
                scale=found["scale"],
                rho=Fraction(found["rho"]),
            )
        )


def _question(
    kind: str, what: str, rho: Fraction, sensitivity: float, *, shape: list[int]
) -> dict[str, Any]:
    return {
        "kind": kind,
        "what": what,
        "rho": str(rho),
        "sensitivity": sensitivity,
        "shape": shape,
    }


def _charged(drawing: Budget) -> dict[str, Any]:
    (charge,) = drawing.charges
    return {"mechanism": charge.mechanism, "scale": charge.scale}
