"""Differentially private synthesis of one flat table: MST, AIM, and for a declared task."""

from __future__ import annotations

from manatee.provisioning.synthesis._fit import fit
from manatee.provisioning.synthesis._histograms import Histogram
from manatee.provisioning.synthesis._interface import Mechanism, Progress, Task, silent
from manatee.provisioning.synthesis._synthesiser import Synthesiser

__all__ = ["Histogram", "Mechanism", "Progress", "Synthesiser", "Task", "fit", "silent"]
