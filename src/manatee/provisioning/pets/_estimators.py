"""Estimates from randomised columns: what a researcher computes to undo the noise on average."""

from __future__ import annotations

from collections.abc import Mapping

from manatee.errors import ProvisioningError
from manatee.provisioning.pets._interface import TreatmentRecord
from manatee.provisioning.pets._windows import Windows


def debias_frequencies(counts: Mapping[str, int], record: TreatmentRecord) -> dict[str, float]:
    """Return unbiased shares of categories from their counts in a randomised column.

    Works for any set of rows chosen without the column itself, for columns made by randomised
    response. A share may come out below 0 or above 1: that is what unbiased means.

    Args:
        counts: Rows per category (missing included, under any name), of every category.
        record: The column's record in the statement.

    Raises:
        ProvisioningError: Another treatment, or no rows.
    """
    if record.parameters.get("method") != "randomised-response":
        raise ProvisioningError(
            "the values of this column cannot be debiased row by row.",
            hint="Use the shares released in its record.",
        )
    rows = sum(counts.values())
    if not rows:
        raise ProvisioningError("a share needs at least one row.")
    truth = float(record.parameters["chance_of_truth"])
    other = float(record.parameters["chance_other"])
    return {name: (count / rows - other) / (truth - other) for name, count in counts.items()}


def debias_mean(mean: float, record: TreatmentRecord) -> float:
    """Return the unbiased mean of a piecewise column, from the mean of any of its rows.

    Means and results are on the column's line. Whole-number columns add a rounding of at most
    half a unit, magnified as the mean is.

    Raises:
        ProvisioningError: Another treatment.
    """
    if record.treatment != "piecewise":
        raise ProvisioningError(
            "only piecewise columns can be debiased for a choice of rows.",
            hint="Use the mean released in the column's record.",
        )
    of = {name: float(value) for name, value in record.parameters.items()}
    mechanism = Windows(int(of["steps"]), int(of["window"]), int(of["inside"]), int(of["outside"]))
    width = of["maximum"] - of["minimum"]
    cell = (mean - of["minimum"]) / width * (mechanism.cells - 1)
    return of["minimum"] + mechanism.undo(cell) * width / mechanism.steps
