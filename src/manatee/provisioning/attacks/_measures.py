"""How well scores tell members from others, with intervals, and what that says of epsilon."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from manatee.provisioning.attacks._coding import Floats
from manatee.provisioning.audits import (
    best_advantage,
    best_auc,
    best_tpr,
    lower_limit,
    upper_limit,
)

CONFIDENCE = 0.95
"""Level of the intervals that are shown; the verdict has a false-alarm rate of its own."""

LOW_FPR = 0.01
_BOOTSTRAPS = 400

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Interval:
    """A measured number, its interval at `CONFIDENCE`, and the most that the guarantee allows."""

    value: float
    low: float
    high: float
    bound: float


@dataclass(frozen=True)
class AttackResult:
    """What one attack achieved.

    Attributes:
        attack: Its name.
        auc: Area under the curve; interval by bootstrap over persons.
        advantage: tpr - fpr of "the upper half of the scores are members"; Clopper-Pearson.
        tpr_at_low_fpr: Members found while 1% of the others are accused; Clopper-Pearson.
        epsilon_at_least: What the guesses prove, with confidence 1 - `false_alarm`.
        epsilon: What the statement promises.
        n_guesses: Guesses that `epsilon_at_least` rests on.
        curve: Points (fpr, tpr) for a picture.
    """

    attack: str
    auc: Interval
    advantage: Interval
    tpr_at_low_fpr: Interval
    epsilon_at_least: float
    epsilon: float
    delta: float
    false_alarm: float
    n_persons: int
    n_guesses: int
    curve: tuple[tuple[float, float], ...]

    @property
    def within(self) -> bool:
        """Whether the attack did not refute the promise."""
        return self.epsilon_at_least <= self.epsilon


def judge(
    attack: str,
    scores: list[Floats],
    members: list[Flags],
    *,
    epsilon: float,
    delta: float,
    false_alarm: float,
    sampler: np.random.Generator,
) -> AttackResult:
    """Return how an attack fared on one or more twins.

    Args:
        attack: Its name.
        scores: Per twin, one score per person; higher says "member".
        members: Per twin, who was in; each person independently with chance 1/2.
        epsilon: What the statement promises.
        delta: The same.
        false_alarm: Chance that an attack on a twin that keeps its promise is said to refute it.
        sampler: Breaks ties and draws bootstrap samples.
    """
    flat = np.concatenate([_ranks(item, sampler) for item in scores])
    truth = np.concatenate(members)
    inside, outside = flat[truth], flat[~truth]
    lower, guesses = _epsilon(scores, members, delta=delta, error=false_alarm, sampler=sampler)
    return AttackResult(
        attack=attack,
        auc=_auc(inside, outside, best_auc(epsilon=epsilon, delta=delta), sampler),
        advantage=_advantage(inside, outside, best_advantage(epsilon=epsilon, delta=delta)),
        tpr_at_low_fpr=_low_fpr(
            inside, outside, float(best_tpr(LOW_FPR, epsilon=epsilon, delta=delta))
        ),
        epsilon_at_least=lower,
        epsilon=epsilon,
        delta=delta,
        false_alarm=false_alarm,
        n_persons=len(flat),
        n_guesses=guesses,
        curve=_curve(inside, outside),
    )


def _ranks(scores: Floats, sampler: np.random.Generator) -> Floats:
    """Return ranks in (0, 1), ties at random: twins of one attack can then be put together."""
    order = np.lexsort((sampler.random(len(scores)), scores))
    ranks = np.empty(len(scores))
    ranks[order] = (np.arange(len(scores)) + 0.5) / len(scores)
    return ranks


def _area(inside: Floats, outside: Floats) -> float:
    below = np.searchsorted(np.sort(outside), inside, side="left")
    ties = np.searchsorted(np.sort(outside), inside, side="right") - below
    return float((below + ties / 2).mean() / len(outside))


def _auc(inside: Floats, outside: Floats, bound: float, sampler: np.random.Generator) -> Interval:
    again = [
        _area(
            sampler.choice(inside, len(inside)),
            sampler.choice(outside, len(outside)),
        )
        for _ in range(_BOOTSTRAPS)
    ]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(again, [tail, 1 - tail])
    return Interval(_area(inside, outside), float(low), float(high), bound)


def _advantage(inside: Floats, outside: Floats, bound: float) -> Interval:
    tail = (1 - CONFIDENCE) / 4  # two rates, two sides each
    hits, alarms = int((inside > 0.5).sum()), int((outside > 0.5).sum())
    low = lower_limit(hits, len(inside), tail) - upper_limit(alarms, len(outside), tail)
    high = upper_limit(hits, len(inside), tail) - lower_limit(alarms, len(outside), tail)
    return Interval(hits / len(inside) - alarms / len(outside), low, high, bound)


def _low_fpr(inside: Floats, outside: Floats, bound: float) -> Interval:
    threshold = np.quantile(outside, 1 - LOW_FPR, method="higher")
    hits, tail = int((inside > threshold).sum()), (1 - CONFIDENCE) / 2
    return Interval(
        hits / len(inside),
        lower_limit(hits, len(inside), tail),
        upper_limit(hits, len(inside), tail),
        bound,
    )


def _curve(inside: Floats, outside: Floats) -> tuple[tuple[float, float], ...]:
    # Below a few accused persons a rate means nothing.
    rates = np.geomspace(min(1.0, max(1e-3, 5 / len(outside))), 1.0, 60)
    cuts = np.quantile(outside, 1 - rates, method="higher")
    found = [(float(r), float((inside > cut).mean())) for r, cut in zip(rates, cuts, strict=True)]
    return (*found[:-1], (1.0, 1.0))


_GUESSED = ((0.5, 0.5), (0.1, 0.0), (0.02, 0.0))
"""Parts of the persons of whom an attacker says "in" and "out"; fixed beforehand, tested apart.
Leaks about a few show where only the surest guesses are made."""


def _epsilon(
    scores: list[Floats],
    members: list[Flags],
    *,
    delta: float,
    error: float,
    sampler: np.random.Generator,
) -> tuple[float, int]:
    best, n_guesses = 0.0, 0
    for share_in, share_out in _GUESSED:
        right = total = n_persons = 0
        for score, member in zip(scores, members, strict=True):
            ranks = _ranks(score, sampler)
            said_in, said_out = ranks > 1 - share_in, ranks < share_out
            right += int((said_in & member).sum() + (said_out & ~member).sum())
            total += int(said_in.sum() + said_out.sum())
            n_persons += len(member)
        found = epsilon_from_guesses(
            right, total, n_persons, delta=delta, error=error / len(_GUESSED)
        )
        if found >= best:
            best, n_guesses = found, total
    return best, n_guesses


def epsilon_from_guesses(
    right: int, guesses: int, n_persons: int, *, delta: float, error: float
) -> float:
    """Return the greatest epsilon that so many right guesses refute.

    Each of `n_persons` was put into the table by a fair coin of their own; of `guesses` of the
    coins the attacker said how they fell. Under (epsilon, delta), right guesses are at most as
    many as heads of a coin with chance e^epsilon / (1 + e^epsilon), up to a term in delta.
    Source: Steinke, Nasr, Jagielski 2023, theorem 5.2 (one run, many coins). Coins of several
    twins count together where the guesses for one use no other's coins.
    """
    low, high = 0.0, 50.0
    if _chance_of_guesses(right, guesses, n_persons, low, delta) > error:
        return 0.0
    for _ in range(50):
        middle = (low + high) / 2
        if _chance_of_guesses(right, guesses, n_persons, middle, delta) <= error:
            low = middle
        else:
            high = middle
    return low


def _chance_of_guesses(
    right: int, guesses: int, n_persons: int, epsilon: float, delta: float
) -> float:
    heads = 1 / (1 + math.exp(-epsilon))
    tail = float(stats.binom.sf(right - 1, guesses, heads))
    steps = np.arange(1, right + 1)
    before = stats.binom.sf(right - steps - 1, guesses, heads) - tail
    steepest = float((before / steps).max(initial=0.0))
    return min(1.0, tail + 2 * n_persons * delta * steepest)
