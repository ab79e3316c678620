"""What a statement promises, in the form that reports show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class MeasurementLike(Protocol):
    """One measurement of a statement."""

    @property
    def what(self) -> str: ...
    @property
    def mechanism(self) -> str: ...
    @property
    def sensitivity(self) -> float: ...
    @property
    def scale(self) -> float: ...
    @property
    def rho(self) -> float: ...


class StatementLike(Protocol):
    """A privacy statement."""

    @property
    def epsilon(self) -> float: ...
    @property
    def delta(self) -> float: ...
    @property
    def rho(self) -> float: ...
    @property
    def privacy_unit(self) -> str: ...
    @property
    def neighbouring_relation(self) -> str: ...
    @property
    def mechanism(self) -> str: ...
    @property
    def measurements(self) -> Sequence[MeasurementLike]: ...
    @property
    def not_protected(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class Measured:
    """One line of what was measured, at what price."""

    what: str
    mechanism: str
    sensitivity: float
    scale: float
    rho: float


@dataclass(frozen=True)
class Promise:
    """A statement's contents.

    Attributes:
        epsilon: None where there is no formal guarantee; then the reports say so.
        unit: Whom the guarantee is for, as in `one row`.
        relation: The neighbouring relation in words.
    """

    epsilon: float | None
    delta: float | None
    rho: float | None
    unit: str
    relation: str
    mechanism: str
    measured: tuple[Measured, ...] = ()
    not_protected: tuple[str, ...] = ()


def promise_of(statement: StatementLike) -> Promise:
    """Return what a privacy statement promises."""
    return Promise(
        epsilon=float(statement.epsilon),
        delta=float(statement.delta),
        rho=float(statement.rho),
        unit=statement.privacy_unit,
        relation=statement.neighbouring_relation,
        mechanism=statement.mechanism,
        measured=tuple(
            Measured(m.what, m.mechanism, float(m.sensitivity), float(m.scale), float(m.rho))
            for m in statement.measurements
        ),
        not_protected=tuple(statement.not_protected),
    )
