"""The reports' pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from manatee.provisioning.attacks import RANGE, AttackResult
from manatee.provisioning.audits import best_tpr
from manatee.provisioning.reports._svg import BOUND, GRID, INK, MUTED, REAL, TWIN, picture
from manatee.provisioning.reports._task import TaskUtility
from manatee.provisioning.reports._types import Floats

WIDTH = 9.9
"""Inches of a picture as wide as the page, so that letters are of one size everywhere."""

SMALLEST_DIGITS = 6.0
"""Points; numbers that would have to be smaller are left out of a heat map."""

MISSING = "missing"
MOST_PANELS = 24
MOST_CELLS = 24
_FEW = 8
_SHORT = 7
_TICK: dict[str, Any] = {"ha": "right", "va": "top", "fontsize": 9, "color": MUTED}
_ONE_SIDED = LinearSegmentedColormap.from_list("one", ["#f3f1ec", "#e3a36a", "#a83c0a", "#4d1503"])
_TWO_SIDED = LinearSegmentedColormap.from_list("two", ["#0b3c78", "#f3f1ec", "#8f2d06"])


Panel = tuple[str, Sequence[str], Sequence[float] | None, Sequence[float], float]
"""A column: name, cells, shares of the reference (None for none), of the twin, error."""


def columns_picture(name: str, panels: Sequence[Panel], *, reference: str) -> Markup:
    """Draw small pictures of columns: the reference filled, the twin as a line over it."""
    shown = panels[:MOST_PANELS]
    across = min(3, len(shown))
    down = math.ceil(len(shown) / across)

    def draw(figure: Figure) -> None:
        axes = figure.subplots(down, across, squeeze=False)
        for place, panel in enumerate(shown):
            _column(axes.flat[place], panel)
        for empty in axes.flat[len(shown) :]:
            empty.set_axis_off()
        found: dict[str, Any] = {}
        for axis in axes.flat[: len(shown)]:
            for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
                found.setdefault(label, handle)
        texts = {"reference": reference, "twin": "twin", "error": "its noise, ± 2 sd"}
        figure.legend(
            [found[label] for label in texts if label in found],
            [texts[label] for label in texts if label in found],
            loc="outside upper left",
            ncols=3,
        )

    return picture(
        name,
        (WIDTH / 3 * across, 2.15 * down + 0.45),
        draw,
        title="Every column, twin over " + reference,
        text=f"{len(shown)} small charts, one per column, with the share of rows in each cell. "
        "The same numbers are in the table of columns below and in the JSON file.",
    )


def _column(axis: Axes, panel: Panel) -> None:
    title, cells, reference, twin, error = panel
    places = np.arange(len(cells))
    if reference is not None:
        axis.bar(places, reference, width=0.9, color=REAL, alpha=0.45, label="reference")
        if error > 0:
            low = np.maximum(np.asarray(reference) - 2 * error, 0)
            axis.vlines(
                places,
                low,
                np.asarray(reference) + 2 * error,
                color=REAL,
                linewidth=1,
                label="error",
            )
    edges = np.arange(len(cells) + 1) - 0.5
    axis.stairs(list(twin), edges, color=TWIN, linewidth=1.8, label="twin")
    axis.set_title(title if len(title) <= 28 else title[:27] + "…")
    axis.set_xlim(-0.6, len(cells) - 0.4)
    axis.set_ylim(bottom=0)
    axis.yaxis.set_major_formatter(lambda value, _place: f"{100 * value:.3g}%")
    axis.yaxis.set_major_locator(MaxNLocator(nbins=4))
    axis.grid(axis="y", color=GRID, linewidth=0.5)
    axis.set_axisbelow(True)
    _label_cells(axis, cells)


def _label_cells(axis: Axes, cells: Sequence[str]) -> None:
    last = len(cells) - 1
    if sum(RANGE in cell for cell in cells) > 1:
        # Numbers: label where some cells start, so that the axis reads like a scale.
        starts = [cell.split(RANGE)[0] for cell in cells]
        n_labels = 5 if max(map(len, starts)) <= _SHORT else 3
        places = list(range(0, last, math.ceil(len(cells) / n_labels)))
        axis.set_xticks([p - 0.45 for p in places], [starts[p] for p in places], ha="left")
    elif len(cells) <= _FEW:
        short = [cell if len(cell) <= 11 else cell[:10] + "…" for cell in cells]
        axis.set_xticks(range(len(cells)), short)
        if len(cells) > 3 and max(map(len, short)) > 5:
            axis.tick_params(axis="x", labelrotation=25)
        return
    else:
        axis.set_xticks([0], ["first category"], ha="left")
    if cells[-1] == MISSING:
        axis.text(last + 0.5, -0.06, MISSING, transform=axis.get_xaxis_transform(), **_TICK)


def matrix_picture(
    name: str,
    columns: Sequence[str],
    matrices: Sequence[tuple[str, Floats]],
    *,
    signed: bool,
    title: str,
    text: str,
) -> Markup:
    """Draw one or more square matrices side by side as heat maps with their numbers."""
    kept = min(len(columns), MOST_CELLS)
    names = [column if len(column) <= 14 else column[:13] + "…" for column in columns[:kept]]
    across = len(matrices)
    side = (WIDTH - 1.2) / 3 if across > 1 else 1.2 + min(4.0, 0.5 * kept)
    points = 72 * side / max(1, kept)
    digits, letters = min(9.0, points / 3.2), min(9.0, 0.75 * points)

    def draw(figure: Figure) -> None:
        axes = figure.subplots(1, across, squeeze=False)[0]
        for number, (axis, (heading, matrix)) in enumerate(zip(axes, matrices, strict=True)):
            shown = np.asarray(matrix)[:kept, :kept]
            low = -1 if signed else 0
            top = 1.0 if signed else max(0.3, float(shown.max(initial=0)))
            axis.pcolormesh(
                shown,
                cmap=_TWO_SIDED if signed else _ONE_SIDED,
                vmin=low,
                vmax=top,
                edgecolor="#fefefe",
                linewidth=0.6,
            )
            _numbers(axis, shown, top, digits, signed=signed)
            axis.set_title(heading)
            axis.set_aspect("equal")
            axis.invert_yaxis()
            axis.tick_params(length=0)
            axis.spines[:].set_visible(False)
            axis.set_xticks(np.arange(kept) + 0.5, names, rotation=45, ha="right", fontsize=letters)
            shown_names = names if number == 0 else [""] * kept
            axis.set_yticks(np.arange(kept) + 0.5, shown_names, fontsize=letters)

    width = WIDTH if across > 1 else side + 1.2
    return picture(name, (width, side + 1.4), draw, title=title, text=text)


def _numbers(axis: Axes, matrix: Floats, top: float, size: float, *, signed: bool) -> None:
    if size < SMALLEST_DIGITS:
        return
    for (row, column), value in np.ndenumerate(matrix):
        strong = abs(value) > (0.5 if signed else 0.45 * top)
        shown = f"{value:.2f}".replace("0.", ".").replace("-.00", ".00")
        axis.text(
            column + 0.5,
            row + 0.5,
            shown,
            ha="center",
            va="center",
            fontsize=size,
            color="#ffffff" if strong else "#201812",
        )


def task_picture(name: str, task: TaskUtility) -> Markup:
    """Draw the errors of models trained on twin and real rows, and of guessing."""
    models = task.models

    def draw(figure: Figure) -> None:
        axis = figure.subplots()
        places = np.arange(len(models))[::-1]
        for place, model in zip(places, models, strict=True):
            bars = [(0.17, model.real, REAL, "trained on real rows")]
            if model.twin is not None:
                bars.append((-0.17, model.twin, TWIN, "trained on the twin"))
            for offset, value, color, label in bars:
                axis.barh(
                    place + offset,
                    value,
                    0.3,
                    color=color,
                    alpha=0.8,
                    label=label if place == places[0] else None,
                )
                axis.text(value, place + offset, f" {value:,.4g}", va="center", fontsize=9)
        axis.axvline(task.guessing, color=INK, linestyle="--", linewidth=1.2, label="guessing")
        axis.set_yticks(places, [model.model for model in models])
        axis.set_ylim(-0.6, len(models) - 0.4)
        axis.set_xlim(0, 1.18 * max(task.guessing, *(m.twin or m.real for m in models)))
        axis.xaxis.set_major_formatter(lambda value, _place: f"{value:,.6g}")
        axis.set_xlabel(f"{task.measure} on real rows (lower is better)")
        axis.tick_params(axis="y", labelcolor=INK, length=0)
        figure.legend(loc="outside upper left", ncols=3)

    return picture(
        name,
        (WIDTH, 0.8 * len(models) + 1.1),
        draw,
        title=f"Errors of models that predict {task.target}",
        text="Bars per model for training on real rows and on the twin, and a line for guessing. "
        "The numbers are in the table below.",
    )


def attack_picture(name: str, attacks: Sequence[AttackResult]) -> Markup:
    """Draw true- over false-positive rates of attacks, with what the guarantee allows."""
    first = attacks[0]
    dashes = ["-", "--", ":", "-."]

    def draw(figure: Figure) -> None:
        axis = figure.subplots()
        rates = np.geomspace(1e-3, 1, 200)
        allowed = best_tpr(rates, epsilon=first.epsilon, delta=first.delta)
        axis.fill_between(rates, rates, allowed, color=BOUND, alpha=0.25, linewidth=0)
        axis.plot(rates, allowed, color=INK, linewidth=1.4, label="most that the promise allows")
        axis.plot(rates, rates, color=MUTED, linewidth=1, linestyle=":", label="guessing")
        for number, attack in enumerate(attacks):
            points = [point for point in attack.curve if point[1] > 0]
            fpr, tpr = np.array(points or [(1.0, 1.0)]).T
            axis.plot(
                fpr,
                tpr,
                color=TWIN if number % 2 else REAL,
                linestyle=dashes[(number // 2) % len(dashes)],
                linewidth=1.6,
                label=attack.attack,
            )
        axis.set(xscale="log", yscale="log", xlim=(1e-3, 1), ylim=(1e-3, 1.05))
        ticks, labels = [1e-3, 1e-2, 1e-1, 1], ["0.1%", "1%", "10%", "100%"]
        axis.set_xticks(ticks, labels)
        axis.set_yticks(ticks, labels)
        axis.minorticks_off()
        axis.grid(color=GRID, linewidth=0.5)
        axis.set_xlabel("others who are accused of being in the table")
        axis.set_ylabel("members who are found")
        figure.legend(loc="outside right upper")

    return picture(
        name,
        (WIDTH, 4.6),
        draw,
        title="What attackers achieve, and what the promise allows",
        text="Curves of members found over others accused, on logarithmic scales, one per attack, "
        "with the curve that no attack can rise above on average. The numbers are in the table.",
    )
