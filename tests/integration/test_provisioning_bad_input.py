"""Bad input at `manatee provision`: a clear error, nothing half made or spent, no value told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer.testing

from manatee.budgets import BudgetLedger
from manatee.cli._app import app
from manatee.errors import ManateeError

CANARY = "Quetzalcoatl"
CONTRACT = """
format: manatee-data-contract/2
name: clinic
label: synthetic
privacy_unit: row
tables:
  - name: visits
    key: [id]
    columns:
      - {name: id, type: identifier, holds: integer}
      - {name: age, type: integer, range: [0, 99], bins: 10}
      - {name: cost, type: decimal, range: [0, 999], decimals: 2}
      - {name: ward, type: category, categories: [north, south]}
"""
SPEC = """
format: manatee-provisioning-spec/1
contract: clinic
budget: {epsilon: 1, delta: 0.000001}
tables: {visits: {synthesis: {mechanism: mst}}}
"""
HEADER = "id,age,cost,ward\n"
ROWS = "".join(f"{n},{n % 90},{n}.50,north\n" for n in range(200))


def csv(text: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "visits.csv").write_bytes(text.encode() if isinstance(text, str) else text)
        return folder / "visits.csv"

    return write


def raw(data: bytes, name: str = "visits.csv") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return write


def cut_off(folder: Path) -> Path:
    table = pa.table(
        {"id": list(range(9)), "age": [1] * 9, "cost": [1.0] * 9, "ward": ["north"] * 9}
    )
    pq.write_table(table, folder / "visits.parquet")
    data = (folder / "visits.parquet").read_bytes()
    (folder / "visits.parquet").write_bytes(data[:-40])
    return folder / "visits.parquet"


TABLES: dict[str, Callable[[Path], Path]] = {
    "no rows": csv(HEADER),
    "an empty file": raw(b""),
    "a column too few": csv("id,age,cost\n1,2,3.00\n"),
    "a column too many": csv(f"id,age,cost,ward,name\n1,2,3.00,north,{CANARY}\n"),
    "a category nobody listed": csv(HEADER + ROWS + f"999,1,1.00,{CANARY}\n"),
    "an age out of range": csv(HEADER + ROWS + "999,777,1.00,north\n"),
    "a missing value": csv(HEADER + ROWS + "999,,1.00,north\n"),
    "a text for a number": csv(HEADER + ROWS + f"999,{CANARY},1.00,north\n"),
    "a key that is there twice": csv(HEADER + ROWS + "7,1,1.00,north\n"),
    "a decimal that overflows": csv(HEADER + ROWS + "999,1,9" + "9" * 60 + ".00,north\n"),
    "a decimal of more places": csv(HEADER + ROWS + "999,1,1.005,north\n"),
    "mixed encodings": raw((HEADER + ROWS).encode() + f"999,1,1.00,{CANARY}é\n".encode("latin-1")),
    "a NUL": raw((HEADER + ROWS).encode() + b"999,1,1.00,nor\x00th\n"),
    "a line cut short": csv(HEADER + ROWS + "999,1\n"),
    "a header in another language": csv("nr,alter,kosten,station\n" + ROWS),
    "a Parquet file cut short": cut_off,
    "no Parquet file": raw(b"PAR1" + b"\x00" * 50 + b"PAR1", "visits.parquet"),
    "a file of no known kind": raw(b"\x89PNG\r\n", "visits.png"),
    "a file that is not there": lambda folder: folder / "gone.csv",
}

BUDGETS = ["0", "-1", ".inf", ".nan", "1e400", "one", "101"]


@pytest.fixture
def ledger(tmp_path: Path) -> BudgetLedger:
    (tmp_path / "contract.yaml").write_text(CONTRACT)
    (tmp_path / "spec.yaml").write_text(SPEC)
    made = BudgetLedger(tmp_path / "budget.sqlite")
    made.set_limit("clinic", epsilon=3, delta=1e-5)
    return made


def refused(folder: Path, table: Path) -> str:
    """Run the command; return what it said. Anything but an error of ours fails the test."""
    before = {path.name for path in folder.iterdir()}
    done = typer.testing.CliRunner().invoke(
        app,
        [
            *("provision", str(folder / "contract.yaml"), str(folder / "spec.yaml")),
            *("--table", f"visits={table}", "--out", str(folder / "twin")),
            *("--ledger", str(folder / "budget.sqlite"), "--attack-twins", "0"),
        ],
    )
    assert isinstance(done.exception, ManateeError), done.output
    left = {path.name for path in folder.iterdir()} - before
    assert left <= {"secret.key"}, "the provider's secret is made on first use; nothing else stays"
    return str(done.exception) + done.output


@pytest.mark.parametrize("case", TABLES)
def test_a_bad_table_costs_nothing_and_says_nothing_private(
    ledger: BudgetLedger, tmp_path: Path, case: str
) -> None:
    said = refused(tmp_path, TABLES[case](tmp_path))
    assert ledger.spent("clinic").charges == 0
    assert CANARY not in said
    assert "777" not in said
    assert len(said) > 20


@pytest.mark.parametrize("epsilon", BUDGETS)
def test_a_budget_that_means_nothing_is_refused(
    ledger: BudgetLedger, tmp_path: Path, epsilon: str
) -> None:
    text = SPEC.replace("epsilon: 1,", f"epsilon: {epsilon},")
    (tmp_path / "spec.yaml").write_text(text)
    said = refused(tmp_path, csv(HEADER + ROWS)(tmp_path))
    assert ledger.spent("clinic").charges == 0
    assert "epsilon" in said


def test_a_delta_that_lets_rows_be_published_is_warned_of_with_the_reason(
    ledger: BudgetLedger, tmp_path: Path
) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC.replace("0.000001", "0.00001"))
    contract = CONTRACT.replace("    key: [id]\n", "    key: [id]\n    rows: public\n")
    (tmp_path / "contract.yaml").write_text(contract)
    rows = "".join(f"{n},{n % 90},5.50,north\n" for n in range(120_000))
    table = csv(HEADER + rows)(tmp_path)
    done = typer.testing.CliRunner().invoke(
        app,
        [
            *("provision", str(tmp_path / "contract.yaml"), str(tmp_path / "spec.yaml")),
            *("--table", f"visits={table}", "--out", str(tmp_path / "twin")),
            *("--ledger", str(tmp_path / "budget.sqlite"), "--attack-twins", "0", "-o", "json"),
        ],
    )
    assert done.exit_code == 0, done.output
    (warning,) = json.loads(done.stdout)["statement"]["warnings"]
    assert "delta" in warning
