"""The provisioning specification: what is released of each table, and how.

Format: `docs/reference/provisioning-spec.md`.
"""

from __future__ import annotations

from manatee.provisioning.spec._check import delta_warnings
from manatee.provisioning.spec._model import (
    DummyTable,
    PrivacyBudget,
    Spec,
    SynthesisTable,
    TablePlan,
    TaskPlan,
)
from manatee.provisioning.spec._parse import FORMAT, parse_spec

__all__ = [
    "FORMAT",
    "DummyTable",
    "PrivacyBudget",
    "Spec",
    "SynthesisTable",
    "TablePlan",
    "TaskPlan",
    "delta_warnings",
    "parse_spec",
]
