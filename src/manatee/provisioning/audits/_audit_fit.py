"""All audits of a whole mechanism that spends a budget, on one pair of neighbouring tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

import numpy as np

from manatee.provisioning.audits._charges import check_charges
from manatee.provisioning.audits._distinguish import FALSE_ALARM, distinguish
from manatee.provisioning.audits._replay import Call, RecordingBudget, check_sensitivities
from manatee.provisioning.audits._residuals import check_residuals
from manatee.provisioning.audits._types import Claim, Finding, Released
from manatee.provisioning.noise import Budget

Fit = Callable[[Budget], Mapping[str, float]]
"""Runs a mechanism on a fixed generated table with this budget. Returns whatever it releases
beside its answers from the budget, such as the twin's number of rows; often nothing."""

REPLAYS = 10
"""Paths through the mechanism on which sensitivities are compared."""


def audit_fit(
    fit: Fit,
    fit_neighbour: Fit,
    *,
    rho: Fraction,
    contribution: int = 1,
    trials: int = 300,
    false_alarm: float = FALSE_ALARM,
) -> list[Finding]:
    """Audit a mechanism that sees private data through its budget.

    Args:
        fit: Runs it on a table.
        fit_neighbour: Runs it on that table with one privacy unit more.
        rho: What it may spend, and claims.
        contribution: Rows of that unit.
        trials: Runs per table for the distinguisher.
        false_alarm: Chance of each statistical audit to refute a correct mechanism.

    Returns:
        Findings of the distinguisher, residuals, charges, and sensitivities.
    """
    recorded: list[RecordingBudget] = []

    def run(mechanism: Fit) -> Released:
        budget = RecordingBudget(rho)
        extra = mechanism(budget)
        recorded.append(budget)
        return {**_numbers(budget.calls), **extra}

    found = [
        distinguish(
            lambda: run(fit),
            lambda: run(fit_neighbour),
            Claim(float(rho)),
            trials=trials,
            false_alarm=false_alarm,
        )
    ]
    noise = np.concatenate(
        [
            ((call.released - call.private) / call.scale).ravel()
            for budget in recorded[:20]
            for call in budget.calls
            if call.kind == "measure"
        ]
    )
    found.append(check_residuals(noise.tolist(), [0.0] * len(noise), 1.0, false_alarm=false_alarm))
    last = recorded[-1]
    paid = {charge.what for charge in last.charges}
    found.append(
        check_charges(
            last.charges,
            rho=float(rho),
            # A part of a budget is charged under a name that ends in the measurement's own.
            released=[
                next((name for name in paid if name.endswith(call.what)), call.what)
                if call.what not in paid
                else call.what
                for call in last.calls
            ],
            contribution=contribution,
        )
    )
    replays = [check_sensitivities(fit, fit_neighbour, rho) for _ in range(REPLAYS)]
    found.append(next((finding for finding in replays if not finding.passed), replays[-1]))
    return found


def _numbers(calls: list[Call]) -> dict[str, float]:
    found = {}
    for call in calls:
        if call.kind == "select":
            found[f"{call.what}: {int(call.released)}"] = 1.0
        else:
            places = enumerate(call.released.ravel())
            found.update({f"{call.what} [{place}]": float(value) for place, value in places})
    return found
