"""One thing that pre-flight found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "hint"]
"""`error`: it cannot run. `warning`: it will most likely fail or surprise. `hint`: think of it."""


@dataclass(frozen=True)
class Finding:
    """What was found, where, and what to do.

    Attributes:
        code: Stable text for machines, such as `import`.
        message: One sentence; may quote names from the notebook's code, never from data.
        cell: Number of the code cell, from 1; None: the notebook as a whole.
        line: Line within the cell, from 1.
    """

    severity: Severity
    code: str
    message: str
    advice: str
    cell: int | None = None
    line: int | None = None
