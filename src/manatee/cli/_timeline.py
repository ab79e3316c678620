"""The live timeline: each step with its state and its time, on standard error.

On a terminal the table is redrawn in place; elsewhere each finished step is one plain line.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.table import Table

from manatee._clock import monotonic

Update = Callable[[str], None]
"""Shows what a running step is doing now."""

_MARKS = {
    "waiting": "·",
    "running": "▶",
    "done": "✓",
    "failed": "✗",
}


@dataclass
class Step:
    """One line of the timeline; `seconds` is None until it has ended."""

    stage: str
    title: str
    state: str = "waiting"
    detail: str = ""
    seconds: float | None = None
    started: float = field(default=0.0, repr=False)


class Timeline:
    """Steps of a story, shown while they happen and kept for the report."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.steps: list[Step] = []
        self._console = Console(stderr=True, quiet=quiet, highlight=False)
        self._live: Live | None = None
        self._started = monotonic()

    def __enter__(self) -> Timeline:
        """Start drawing, if there is a terminal to draw on."""
        if self._console.is_terminal and not self._console.quiet:
            self._live = Live(
                get_renderable=self._table, console=self._console, refresh_per_second=8
            )
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop drawing; the last state stays on the screen."""
        if self._live is not None:
            self._live.stop()

    @property
    def seconds(self) -> float:
        """Wall time since the timeline was made, in seconds."""
        return monotonic() - self._started

    @contextmanager
    def step(self, stage: str, title: str) -> Iterator[Update]:
        """Run one step; it is marked failed if the block raises.

        Yields:
            A function that shows what the step is doing.
        """
        step = Step(stage=stage, title=title, state="running", started=monotonic())
        self.steps.append(step)

        def update(detail: str) -> None:
            step.detail = detail

        try:
            yield update
        except BaseException:
            self._end(step, "failed")
            raise
        self._end(step, "done")

    def _end(self, step: Step, state: str) -> None:
        step.state, step.seconds = state, monotonic() - step.started
        if self._live is None:
            mark = _MARKS[state]
            text = f"{mark} {step.seconds:6.1f} s  {step.stage:<12} {step.title}"
            line = text + (f" — {step.detail}" if step.detail else "")
            self._console.print(line, markup=False, soft_wrap=True)
            sys.stderr.flush()

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(width=1)
        table.add_column(justify="right", width=8)
        table.add_column(style="dim", width=12)
        table.add_column(ratio=1)
        colours = {"done": "green", "failed": "red", "running": "yellow"}
        for step in self.steps:
            taken = monotonic() - step.started if step.seconds is None else step.seconds
            detail = f"  [dim]{step.detail}[/dim]" if step.detail else ""
            colour = colours.get(step.state, "white")
            table.add_row(
                f"[{colour}]{_MARKS[step.state]}[/]",
                f"{taken:.1f} s",
                step.stage,
                f"{step.title}{detail}",
            )
        return table
