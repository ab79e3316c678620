"""What a synthesis is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Mechanism = Literal["mst", "aim", "task"]

Progress = Callable[[str, float], None]
"""Told what is being done and which part of the whole is behind (0 to 1)."""


@dataclass(frozen=True)
class Task:
    """What a twin is to be good for: predicting one column from others.

    Attributes:
        target: The column to predict.
        features: The columns it is predicted from.
    """

    target: str
    features: tuple[str, ...]


def silent(_step: str, _part: float) -> None:
    """Tell nobody."""
