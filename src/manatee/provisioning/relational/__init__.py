"""Twins of whole contracts: tables that refer to one another, keys, constraints, persons."""

from __future__ import annotations

from manatee.provisioning.relational._generate import generate
from manatee.provisioning.relational._measure import Models, measure, wide_rows
from manatee.provisioning.relational._plan import (
    SynthesisPlan,
    TablePlan,
    Wide,
    shares,
    wides,
)

__all__ = [
    "Models",
    "SynthesisPlan",
    "TablePlan",
    "Wide",
    "generate",
    "measure",
    "shares",
    "wide_rows",
    "wides",
]
