"""What do attacks achieve against twins, and against a leaky baseline?

The baseline is a twin that is half of the table: attacks that do not catch it are worth nothing.
With `--table` a CSV file of the insurance contract is attacked, else generated persons; with
`--published` another twin of the same table is searched for copies. Run:

    python benchmarks/attacks.py --epsilon 1 10 --twins 16
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from manatee.contracts import Column
from manatee.provisioning import insurance_contract, insured_persons, make_twin, read_table
from manatee.provisioning.attacks import (
    AttackResult,
    TwinMaker,
    check_verbatim,
    membership_attacks,
)


def columns_of(contract: Any) -> list[Column]:
    names = ("minimum", "maximum", "bins", "decimals", "categories", "nullable")
    table = contract.only if hasattr(contract, "only") else contract
    return [
        Column(column.name, column.type, **{name: getattr(column, name) for name in names})
        for column in table.columns
    ]


def half_of_the_table(seed: int) -> TwinMaker:
    sampler = np.random.default_rng(seed)
    return lambda table: table.take(
        pa.array(sampler.choice(table.num_rows, table.num_rows // 2, replace=False))
    )


def dp_twin(epsilon: float, delta: float) -> TwinMaker:
    return lambda table: make_twin(table, insurance_contract(), epsilon=epsilon, delta=delta).table


def shown(results: Sequence[AttackResult]) -> dict[str, Any]:
    found = {}
    for result in results:
        numbers = asdict(result)
        found[result.attack] = {
            **{
                name: {key: round(value, 3) for key, value in numbers[name].items()}
                for name in ("auc", "advantage", "tpr_at_low_fpr")
            },
            "epsilon at least": round(result.epsilon_at_least, 2),
            "within": result.within,
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--published", type=Path)
    parser.add_argument("--rows", type=int, default=1338)
    parser.add_argument("--epsilon", type=float, nargs="+", default=[1.0, 10.0])
    parser.add_argument("--delta", type=float, default=1e-9)
    parser.add_argument("--twins", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    contract = insurance_contract()
    columns = columns_of(contract)
    table = (
        read_table(asked.table, contract)
        if asked.table
        else insured_persons(asked.rows, seed=asked.seed)
    )
    if asked.published:
        published = read_table(asked.published, contract)
        check = check_verbatim(lambda name: table[name], published, columns)
        print(json.dumps({"published": [asdict(f) for f in check.findings]}, indent=1), flush=True)
    made: dict[str, tuple[TwinMaker, float]] = {
        "half of the table": (half_of_the_table(asked.seed), asked.epsilon[0])
    }
    for epsilon in asked.epsilon:
        made[f"twin, epsilon {epsilon:g}"] = dp_twin(epsilon, asked.delta), epsilon
    for name, (make, epsilon) in made.items():
        started = time.perf_counter()
        results = membership_attacks(
            table,
            columns,
            make,
            epsilon=epsilon,
            delta=asked.delta,
            sampler=np.random.default_rng(asked.seed),
            n_twins=asked.twins,
            max_persons=2000,
        )
        seconds = round(time.perf_counter() - started, 1)
        print(json.dumps({name: shown(results), "seconds": seconds}, indent=1), flush=True)


if __name__ == "__main__":
    main()
