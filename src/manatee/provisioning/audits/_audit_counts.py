"""All audits of one counting mechanism, on a worst-case pair of neighbouring tables."""

from __future__ import annotations

from fractions import Fraction

from manatee.provisioning.audits._broken import Mechanism, Noise, Output
from manatee.provisioning.audits._charges import check_charges
from manatee.provisioning.audits._distinguish import FALSE_ALARM, distinguish
from manatee.provisioning.audits._residuals import check_repeats, check_residuals
from manatee.provisioning.audits._types import Claim, Finding

N_CELLS = 8
CANARY = 6
"""A cell that nobody but the canary is in: reading the domain off the table shows."""

BASE = tuple(cell for cell in range(N_CELLS - 3) for _ in range(5))


def audit_counts(
    mechanism: Mechanism,
    noise: Noise,
    *,
    rho: Fraction = Fraction(1, 2),
    trials: int = 1500,
    false_alarm: float = FALSE_ALARM,
) -> list[Finding]:
    """Audit a mechanism that releases a histogram. Each finding has its own false-alarm rate.

    Args:
        mechanism: What to audit; see `_broken` for its form.
        noise: The source of noise that it is given.
        rho: What it may spend.
        trials: Runs per neighbouring table.
        false_alarm: Chance of each statistical audit to refute a correct mechanism.
    """
    claim = Claim(float(rho), gaussian=True)

    def run(codes: tuple[int, ...]) -> Output:
        return mechanism(codes, N_CELLS, rho, noise)

    found = [
        distinguish(
            lambda: run(BASE).numbers,
            lambda: run((*BASE, CANARY)).numbers,
            claim,
            trials=trials,
            false_alarm=false_alarm,
        )
    ]
    outputs = [run(BASE) for _ in range(max(20, trials // 10))]
    sigma = outputs[0].ledger[0].scale
    exact = {f"cell {cell}": float(BASE.count(cell)) for cell in range(N_CELLS)}
    pairs = [
        (value, exact[name])
        for output in outputs
        for name, value in output.numbers.items()
        if name in exact
    ]
    released, truth = zip(*pairs, strict=True)
    found.append(check_residuals(released, truth, sigma, false_alarm=false_alarm))
    runs = [
        [value for output in outputs[start::2][:10] for value in output.numbers.values()]
        for start in (0, 1)
    ]
    found.append(check_repeats(runs, sigma, false_alarm=false_alarm))
    last = outputs[-1]
    found.append(check_charges(last.ledger, rho=float(rho), released=last.measured))
    return found
