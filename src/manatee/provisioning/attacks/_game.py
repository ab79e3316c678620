"""Membership inference: put people in by coin flips, make twins, let attackers guess.

The game is the one the guarantee speaks of: one row added or removed. Every attack knows all
persons and the mechanism, and sees twins only. Attacks with shadows also see half of the twins
together with who was in them, as an attacker who makes such twins of people they know; they are
judged on the other half.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from manatee.contracts import Column
from manatee.errors import ProvisioningError
from manatee.provisioning.attacks._coding import Codes, Floats
from manatee.provisioning.attacks._densities import SCORES, Points, points_of, unusual
from manatee.provisioning.attacks._measures import AttackResult, Flags, judge

TwinMaker = Callable[[pa.Table], pa.Table]
"""Makes a twin with fresh noise; the mechanism under attack."""

Progress = Callable[[str, float], None]
"""Told what is being done and which part of the whole is behind (0 to 1)."""

FEWEST_TWINS = 4
"""Fewest twins of a game: half of them are shadows."""

FALSE_ALARM = 1e-6
"""Chance that a mechanism that keeps its promise is refuted, per attack."""

MAX_PERSONS = 1000
MAX_TWIN_ROWS = 4000
"""Rows of a twin that an attack looks at; more are sampled. Time grows with the product."""

UNUSUAL_SHARE = 0.05


def membership_attacks(
    table: pa.Table,
    columns: Sequence[Column],
    make: TwinMaker,
    *,
    epsilon: float,
    delta: float,
    sampler: np.random.Generator,
    n_twins: int = 8,
    max_persons: int = MAX_PERSONS,
    false_alarm: float = FALSE_ALARM,
    progress: Progress = lambda _step, _part: None,
) -> list[AttackResult]:
    """Attack a mechanism on samples of a table.

    Args:
        table: Persons who may be members, one row each; the attacked tables hold about half.
        columns: The contract's columns.
        make: The mechanism; called `n_twins` times.
        epsilon: What its statement promises for one row.
        delta: The same.
        sampler: Decides who is in. Never the mechanism's noise.
        n_twins: Twins; the second half judges the attacks with shadows.
        max_persons: Persons are sampled down to this number.
        false_alarm: Chance that an attack refutes a mechanism that keeps its promise.
        progress: Told after every twin.

    Returns:
        One result per attack; every one of them stays with the provider.

    Raises:
        ProvisioningError: Fewer than 4 twins or 40 persons.
    """
    if n_twins < FEWEST_TWINS or table.num_rows < 40:
        raise ProvisioningError("membership attacks need at least 4 twins and 40 persons.")
    if table.num_rows > max_persons:
        table = table.take(pa.array(_some(table.num_rows, max_persons, sampler)))
    persons = points_of(table, columns)
    twins: list[Points] = []
    members: list[Flags] = []
    for number in range(n_twins):
        progress(f"making twin {number + 1} of {n_twins}", number / n_twins)
        chosen = sampler.random(table.num_rows) < 0.5
        twin = make(table.filter(pa.array(chosen)))
        if twin.num_rows > MAX_TWIN_ROWS:
            twin = twin.take(pa.array(_some(twin.num_rows, MAX_TWIN_ROWS, sampler)))
        members.append(chosen)
        twins.append(points_of(twin, columns))
    progress("attacking", 1.0)
    scores = {name: [score(twin, persons) for twin in twins] for name, score in SCORES.items()}
    rare = unusual(persons, UNUSUAL_SHARE)
    half = n_twins // 2
    shadows = _shadow_scores(scores, members, half)
    attempts: dict[str, tuple[list[Floats], list[Flags]]] = {
        **{name: (found, members) for name, found in scores.items()},
        "shadow twins": (shadows, members[half:]),
        "shadow twins, unusual people": (
            [found[rare] for found in shadows],
            [chosen[rare] for chosen in members[half:]],
        ),
        "density by kernels, unusual people": (
            [found[rare] for found in scores["density by kernels"]],
            [chosen[rare] for chosen in members],
        ),
    }
    return [
        judge(
            name,
            found,
            truth,
            epsilon=epsilon,
            delta=delta,
            false_alarm=false_alarm,
            sampler=sampler,
        )
        for name, (found, truth) in attempts.items()
    ]


def _some(n_records: int, wanted: int, sampler: np.random.Generator) -> Codes:
    return np.sort(sampler.choice(n_records, wanted, replace=False)).astype(np.int64)


def _shadow_scores(
    scores: dict[str, list[Floats]], members: list[Flags], half: int
) -> list[Floats]:
    """Return likelihood ratios for each twin of the second half, learned on the first.

    Per person and score: in shadows with and without the person, the score is taken as normal
    with one variance, and the means differ by what the person does to it (after Carlini et al.
    2022). A few shadows say little about one person: what they say is shrunk towards the average
    person by as much as its own noise explains.
    """
    inside = np.stack(members[:half])
    n_in = inside.sum(axis=0)
    both = (n_in > 0) & (n_in < half)
    found = [np.zeros(inside.shape[1]) for _ in members[half:]]
    for values in scores.values():
        # Standardised per twin: a shadow's overall level says nothing about a person.
        level = np.stack([(item - item.mean()) / (item.std() + 1e-12) for item in values])
        shadows = level[:half]
        variance = float((shadows - shadows.mean(axis=0)).var()) + 1e-12
        middle = _shrunk(shadows.mean(axis=0), np.full(len(n_in), variance / half))
        centred = shadows - shadows.mean(axis=0)
        means_in = np.where(inside, centred, 0).sum(axis=0) / np.maximum(n_in, 1)
        means_out = np.where(inside, 0, centred).sum(axis=0) / np.maximum(half - n_in, 1)
        effect = np.full(len(n_in), centred[inside].mean() - centred[~inside].mean())
        if both.any():
            noise = variance * (1 / n_in[both] + 1 / (half - n_in[both]))
            effect[both] = _shrunk((means_in - means_out)[both], noise)
        for place, values_of_twin in enumerate(level[half:]):
            found[place] += effect * (values_of_twin - middle - effect / 2) / variance
    return found


def _shrunk(values: Floats, noise: Floats) -> Floats:
    """Return values drawn towards their mean by the part of their spread that is noise."""
    true_spread = max(0.0, float(values.var() - noise.mean()))
    mean = float(values.mean())
    found: Floats = mean + (values - mean) * true_spread / (true_spread + noise + 1e-12)
    return found
