"""Array types of the reports."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

Progress = Callable[[str, float], None]
"""Told what is being done and which part of the whole is behind (0 to 1)."""
