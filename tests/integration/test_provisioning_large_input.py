"""Tables and contracts of extreme shape at the real command: bounded time and memory, no trace."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manatee.budgets import BudgetLedger
from manatee.provisioning.runs import read_statement

SPEC = """
format: manatee-provisioning-spec/1
contract: clinic
budget: {epsilon: 1, delta: 0.000001}
tables: {visits: {synthesis: {mechanism: mst}}}
"""
ADDRESS_SPACE_BYTES = 6 << 30
"""What one command may map: numerical libraries map much more than they touch."""

SECONDS = 120


def provision(folder: Path, columns: str, table: pa.Table) -> subprocess.CompletedProcess[str]:
    """Run the command on a contract with these columns, with bounded memory and time."""
    (folder / "spec.yaml").write_text(SPEC)
    (folder / "contract.yaml").write_text(
        "format: manatee-data-contract/2\nname: clinic\nlabel: synthetic\nprivacy_unit: row\n"
        f"tables:\n  - name: visits\n    columns:\n{columns}"
    )
    pq.write_table(table, folder / "visits.parquet")
    BudgetLedger(folder / "budget.sqlite").set_limit("clinic", epsilon=1, delta=1e-6)
    home = folder / "home"  # libraries keep their caches there
    home.mkdir()
    limits = (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES)
    return subprocess.run(
        [
            *(sys.executable, "-m", "manatee.cli", "provision"),
            *(str(folder / "contract.yaml"), str(folder / "spec.yaml")),
            *("--table", str(folder / "visits.parquet"), "--out", str(folder / "twin")),
            *("--ledger", str(folder / "budget.sqlite"), "--attack-twins", "0", "-o", "json"),
        ],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "OPENBLAS_NUM_THREADS": "2"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limits),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def refusal(folder: Path, done: subprocess.CompletedProcess[str]) -> str:
    """Return what a refused run said; it must have left and spent nothing."""
    assert done.returncode not in (0, 1), done.stderr  # 1 would be an error nobody foresaw
    assert BudgetLedger(folder / "budget.sqlite").spent("clinic").charges == 0
    left = {path.name for path in folder.iterdir()}
    assert left <= {
        *("contract.yaml", "spec.yaml", "visits.parquet", "budget.sqlite", "secret.key", "home")
    }
    return str(json.loads(done.stdout)["error"])


def flags(n_columns: int) -> tuple[str, pa.Table]:
    names = [f"flag{place}" for place in range(n_columns)]
    listed = "".join(f"      - {{name: {name}, type: boolean}}\n" for name in names)
    values = pa.array([True, False] * 50)
    return listed, pa.table({name: values for name in names})


def test_more_columns_than_a_contract_may_have_are_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path, provision(tmp_path, *flags(5001)))
    assert "columns must be 1 to 5000" in said


def test_a_contract_of_ten_million_categories_is_refused_before_it_is_parsed(
    tmp_path: Path,
) -> None:
    values = ",".join(f"c{place}" for place in range(10_000_000))
    columns = f"      - {{name: code, type: category, categories: [{values}]}}\n"
    said = refusal(tmp_path, provision(tmp_path, columns, pa.table({"code": ["c1"] * 100})))
    assert "contract" in said


def test_a_column_of_three_million_different_texts_is_refused_without_one_of_them(
    tmp_path: Path,
) -> None:
    columns = "      - {name: code, type: category, categories: [a, b]}\n"
    codes = pa.array(range(3_000_000)).cast(pa.string())
    said = refusal(tmp_path, provision(tmp_path, columns, pa.table({"code": codes})))
    assert "is not among its categories" in said
    assert "2999" not in said


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("one row", {"age": [41], "ward": ["north"]}),
        ("constant columns", {"age": [41] * 5000, "ward": ["north"] * 5000}),
    ],
)
def test_a_table_that_says_next_to_nothing_still_makes_a_twin(
    tmp_path: Path, name: str, rows: dict[str, list[object]]
) -> None:
    columns = (
        "      - {name: age, type: integer, range: [0, 99], bins: 10}\n"
        "      - {name: ward, type: category, categories: [north, south]}\n"
    )
    done = provision(tmp_path, columns, pa.table(rows))
    assert done.returncode == 0, f"{name}: {done.stderr}"
    assert read_statement(tmp_path / "twin").epsilon == 1
    assert BudgetLedger(tmp_path / "budget.sqlite").spent("clinic").charges == 1
