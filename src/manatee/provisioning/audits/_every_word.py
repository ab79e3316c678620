"""Local privacy audited without chance: every word there is, fed once, and all answers counted.

A treatment that takes one word of random bytes for each value is run on each value of its column
with every word of that width. How often each answer comes is then its probability, exactly, and so
is every likelihood ratio. Nothing is assumed about the code, but where its bytes come from.
"""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pyarrow as pa

from manatee.contracts import Column
from manatee.errors import ProvisioningError
from manatee.provisioning.audits._types import Finding
from manatee.provisioning.pets import Context, Treatment

MAX_WIDTH = 3
"""Bytes of a word at most: 2**24 words take seconds, 2**32 would take an hour."""

_AT_ONCE = 1 << 20


class _EndOfWordsError(Exception):
    """More words were asked for than there are."""

    def __init__(self, missing: int) -> None:
        super().__init__(f"{missing} words too many")
        self.missing = missing


class _EveryWord:
    """A source of bytes that gives every word of a width once, from the last to the first.

    The last words are those a draw rejects: they are out of the way when the batches begin.
    """

    def __init__(self, width: int) -> None:
        self.left = 256**width
        self._width = width

    def __call__(self, size: int) -> bytes:
        n_words, rest = divmod(size, self._width)
        if rest:
            raise ProvisioningError(
                f"the treatment does not draw words of {self._width} bytes.",
                hint="Say another width, or audit a treatment that takes one word a value.",
            )
        if n_words > self.left:
            raise _EndOfWordsError(n_words - self.left)
        words = np.arange(self.left - 1, self.left - 1 - n_words, -1).astype("<u4")
        self.left -= n_words
        return words.view(np.uint8).reshape(-1, 4)[:, : self._width].tobytes()


def check_every_word(
    treatment: Treatment, column: Column, values: pa.Array, epsilon: Fraction, *, width: int
) -> Finding:
    """Refute that a local treatment is `epsilon`-differentially private for each value.

    Args:
        treatment: Accepts the column; draws from its context's source, one word a value.
        column: Of few values.
        values: All of them, once each.
        epsilon: Claimed for one value, any two values being neighbours.
        width: Bytes of a word, 1 to 3.

    Raises:
        ProvisioningError: Another width, or the treatment draws no words of it.
    """
    if not 1 <= width <= MAX_WIDTH:
        raise ProvisioningError(f"a word must be of 1 to {MAX_WIDTH} bytes.")
    counts = [_answers(treatment, column, value, values.type, width) for value in values]
    words = {sum(count.values()) for count in counts}
    answers = set().union(*counts)
    ratios = [_ratio([count[answer] for count in counts]) for answer in answers]
    worst = max((ratio for ratio in ratios if ratio is not None), default=Fraction(1))
    never = sum(ratio is None for ratio in ratios)
    told = []
    if len(words) > 1:
        told.append("values use different numbers of words")
    if never:
        told.append(f"{never} answers are given for some values and never for others")
    if worst > _below_exp(epsilon):
        told.append("an answer tells two values apart beyond the claim")
    return Finding(
        "every word",
        not told,
        ("; ".join(told) or "no answer tells two values apart beyond the claim") + ".",
        0.0,
        {
            "words": float(min(words)),
            "answers": float(len(answers)),
            "largest likelihood ratio": float(worst),
            "epsilon at least": math.log(worst) if not never else math.inf,
            "epsilon claimed": float(epsilon),
        },
    )


def _answers(
    treatment: Treatment, column: Column, value: pa.Scalar, kind: pa.DataType, width: int
) -> Counter[object]:
    """Return how many words lead to each answer for one value."""
    source = _EveryWord(width)
    run = treatment.begin(column, Context(source=source))
    found: Counter[object] = Counter()
    while source.left:
        size, here = min(_AT_ONCE, source.left), source.left
        while size:
            try:
                answers = run.apply(pa.repeat(pa.scalar(value.as_py(), kind), size))
                break
            except _EndOfWordsError as end:  # so many words were rejected
                size, source.left = size - end.missing, here
        if not size:
            break
        if source.left == here:
            raise ProvisioningError("the treatment takes no bytes from its context's source.")
        for pair in answers.value_counts().to_pylist():
            found[pair["values"]] += pair["counts"]
    return found


def _ratio(counts: list[int]) -> Fraction | None:
    """Return the largest ratio; None if it has no bound."""
    return Fraction(max(counts), min(counts)) if min(counts) else None


def _below_exp(exponent: Fraction) -> Fraction:
    """Return a partial sum of the exponential series: a little below e**exponent.

    Written anew, so that a mistake in what is audited is not repeated here.
    """
    terms = 60 + 4 * math.ceil(exponent)
    return sum((exponent**n / math.factorial(n) for n in range(terms)), Fraction(0))
