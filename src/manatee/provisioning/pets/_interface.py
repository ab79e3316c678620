"""What every treatment of a column promises: checks, a typed result, and a record in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from manatee.contracts import Column
from manatee.provisioning.pets._exact import ByteSource, from_system
from manatee.provisioning.pets._project_keys import ProjectKey


@dataclass(frozen=True)
class TreatmentRecord:
    """What was done to one column, for the statement that travels with the twin.

    Attributes:
        guarantee: The formal guarantee in words, or "no formal guarantee".
        epsilon: Under local differential privacy, of the column's values in all rows of one
            privacy unit; None where there is no guarantee.
        not_protected: What someone may still learn.
        parameters: Public constants; those of a mechanism suffice to debias its values.
        released: Estimates computed from randomised values alone.
    """

    column: str
    treatment: str
    guarantee: str
    epsilon: float | None
    not_protected: tuple[str, ...]
    parameters: Mapping[str, float | int | str] = field(default_factory=dict)
    released: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Context:
    """What treatments may use beside the values.

    Attributes:
        keys: The keys of this project, by name.
        source: Of uniform bytes; another than the operating system's protects nobody.
    """

    keys: Mapping[str, ProjectKey] = field(default_factory=dict)
    source: ByteSource = from_system


def local_words(epsilon: float, rows: int, how: str) -> str:
    """Return the guarantee of a locally randomised column in words."""
    told = f"{epsilon:.12g}"
    if rows == 1:
        return f"{told}-local differential privacy of each value ({how})"
    return (
        f"{told}-local differential privacy of a person's values together, {told}/{rows} of each "
        f"in at most {rows} rows ({how})"
    )


class Running(Protocol):
    """A treatment at work on one column, batch after batch."""

    def apply(self, values: pa.Array) -> pa.Array:
        """Return the treated values, of the same type and number."""
        ...

    def record(self) -> TreatmentRecord:
        """Return what was done; called after the last batch."""
        ...


class Treatment(Protocol):
    """How one column is treated: parameters only, no state."""

    @property
    def name(self) -> str:
        """Its word in a specification."""
        ...

    def check(self, column: Column) -> None:
        """Refuse a column this treatment is wrong for. Raises ProvisioningError."""
        ...

    def begin(self, column: Column, context: Context) -> Running:
        """Start on a column that `check` accepted."""
        ...
