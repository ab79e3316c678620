"""How often do the audits catch planted defects, and how often do they cry wolf?

Three parts: every planted defect and the honest mechanism, repeated; the honest mechanism at a
false-alarm rate that is large enough to be measured; the synthesis mechanisms as a whole, with
what is proven about what they spend. Run:

    python benchmarks/audit.py --repeats 100 --trials 400 --fit-trials 400
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from manatee.provisioning.audits import audit_counts, audit_fit
from manatee.provisioning.audits._broken import BROKEN, honest
from manatee.provisioning.counting import Attribute, MemoryCounter
from manatee.provisioning.noise import Budget
from manatee.provisioning.synthesis import Mechanism, Task, fit

LARGE_RATE = 0.05


def noise(counts: Sequence[int], rho: Fraction) -> tuple[list[int], float]:
    noisy, sigma = Budget(rho).measure(list(counts), rho, what="histogram")
    return [int(count) for count in noisy], sigma


def planted(repeats: int, trials: int) -> dict[str, Any]:
    """Return, per mechanism, how many of the repeats each audit refuted."""
    found = {}
    for name, mechanism in {"honest": honest, **BROKEN}.items():
        refuted: Counter[str] = Counter()
        started = time.perf_counter()
        for _ in range(repeats):
            failed = [
                f.audit for f in audit_counts(mechanism, noise, trials=trials) if not f.passed
            ]
            refuted.update([*failed, *(["any"] if failed else [])])
        seconds = (time.perf_counter() - started) / repeats
        found[name] = {"times": repeats, **refuted, "seconds": round(seconds, 2)}
    return found


def false_alarms(repeats: int, trials: int) -> dict[str, Any]:
    """Return how often each audit refutes the honest mechanism at the rate `LARGE_RATE`."""
    refuted: Counter[str] = Counter()
    for _ in range(repeats):
        found = audit_counts(honest, noise, trials=trials, false_alarm=LARGE_RATE)
        refuted.update(finding.audit for finding in found if not finding.passed)
    return {"stated": LARGE_RATE, "times": repeats, **refuted}


ATTRIBUTES = (
    Attribute("illness", 3, False, 3),
    Attribute("age", 8, True, 8),
    Attribute("rare", 2, False, 2),
)


def fits(trials: int, rho: Fraction) -> dict[str, Any]:
    """Audit every synthesis mechanism on a row that is alone in its cell of every column."""
    sampler = np.random.default_rng(0)
    codes = {
        "illness": sampler.integers(0, 2, 60),
        "age": sampler.integers(0, 6, 60),
        "rare": np.zeros(60, dtype=np.int64),
    }
    canary = {"illness": 2, "age": 7, "rare": 1}
    more = {name: np.append(values, canary[name]) for name, values in codes.items()}
    found: dict[str, Any] = {}
    mechanisms: tuple[Mechanism, ...] = ("mst", "aim", "task")
    for mechanism in mechanisms:
        started = time.perf_counter()
        findings = audit_fit(
            _fitted(codes, mechanism), _fitted(more, mechanism), rho=rho, trials=trials
        )
        found[mechanism] = {
            "refuted by": [f.audit for f in findings if not f.passed],
            "rho claimed": float(rho),
            "rho at least": round(findings[0].numbers["rho at least"], 4),
            "epsilon at least": round(findings[0].numbers["epsilon at least"], 3),
            "seconds": round(time.perf_counter() - started, 1),
        }
    return found


def _fitted(
    codes: Mapping[str, Any], mechanism: Mechanism
) -> Callable[[Budget], Mapping[str, float]]:
    counter = MemoryCounter(ATTRIBUTES, {k: v.astype(np.uint8) for k, v in codes.items()})
    task = Task("rare", ("illness", "age")) if mechanism == "task" else None
    return lambda budget: {
        "total": fit(counter, mechanism=mechanism, budget=budget, task=task).total
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--fit-trials", type=int, default=400)
    parser.add_argument("--fit-rho", type=Fraction, default=Fraction(1, 2))
    asked = parser.parse_args()
    print(json.dumps({"planted": planted(asked.repeats, asked.trials)}, indent=1), flush=True)
    alarms = false_alarms(asked.repeats, asked.trials)
    print(json.dumps({"false alarms": alarms}, indent=1), flush=True)
    print(json.dumps({"whole fits": fits(asked.fit_trials, asked.fit_rho)}, indent=1))


if __name__ == "__main__":
    main()
