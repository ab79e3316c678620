"""What a provisioning specification says, as frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from manatee.provisioning.pets import RowPlan


@dataclass(frozen=True)
class TaskPlan:
    """What the twin will be used for: a target to be predicted from features."""

    target: str
    features: tuple[str, ...]
    kind: Literal["regression", "classification"]


@dataclass(frozen=True)
class SynthesisTable:
    """Rows drawn from a differentially private model; `rows` None for the noisy number."""

    mechanism: Literal["mst", "aim", "task"]
    task: TaskPlan | None = None
    rows: int | None = None


@dataclass(frozen=True)
class DummyTable:
    """Rows made from the contract alone."""

    rows: int


@dataclass(frozen=True)
class PrivacyBudget:
    """What all synthesis together may spend."""

    epsilon: float
    delta: float


TablePlan = SynthesisTable | DummyTable | RowPlan


@dataclass(frozen=True)
class Spec:
    """A parsed specification; `tables` names those released, in the contract's order."""

    contract: str
    tables: Mapping[str, TablePlan]
    budget: PrivacyBudget | None = None
    purpose: str = ""
