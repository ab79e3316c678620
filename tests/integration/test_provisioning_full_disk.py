"""A real full disk, at every size: a clear error, nothing half made, and the budget spent once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from manatee.budgets import BudgetLedger
from manatee.provisioning import insurance_contract_text, insured_persons
from manatee.provisioning.runs import read_statement

SPEC = """
format: manatee-provisioning-spec/1
contract: insurance
budget: {epsilon: 1, delta: 0.000001}
tables: {insurance: {synthesis: {mechanism: mst}}}
"""
ENOUGH = "64m"


def manatee(*arguments: str, temporary: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "manatee.cli", *arguments],
        env={"PATH": os.environ["PATH"], "HOME": str(temporary), "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own; tests resize it."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={ENOUGH}", "tmpfs", str(place)], check=False
    )
    if done.returncode != 0:
        pytest.skip("mounting a small disk needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def resize(disk: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    folder = tmp_path / "desk"
    folder.mkdir()
    (folder / "contract.yaml").write_text(insurance_contract_text())
    (folder / "spec.yaml").write_text(SPEC)
    import pyarrow.csv

    pyarrow.csv.write_csv(insured_persons(20_000, seed=1), folder / "insurance.csv")
    BudgetLedger(folder / "budget.sqlite").set_limit("insurance", epsilon=1, delta=1e-6)
    return folder


@pytest.mark.parametrize("size", ["16k", "64k", "128k", "512k"])
def test_a_disk_that_fills_up_loses_nothing_and_the_run_goes_on_later(
    disk: Path, desk: Path, size: str
) -> None:
    arguments = [
        *("provision", str(desk / "contract.yaml"), str(desk / "spec.yaml")),
        *("--table", str(desk / "insurance.csv"), "--out", str(disk / "twin")),
        *("--ledger", str(desk / "budget.sqlite"), "--attack-twins", "0", "-o", "json"),
    ]
    resize(disk, size)
    done = manatee(*arguments, temporary=desk)
    assert done.returncode not in (0, 1), done.stderr  # 1 would be an error nobody foresaw
    error = json.loads(done.stdout)["error"]
    assert "disk" in error["message"] + error["hint"] or "space" in error["message"] + error["hint"]
    assert not (disk / "twin").exists()
    ledger = BudgetLedger(desk / "budget.sqlite")
    begun = ledger.spent("insurance").charges
    resize(disk, ENOUGH)
    done = manatee(*arguments, *(["--resume"] if begun else []), temporary=desk)
    assert done.returncode == 0, done.stderr
    assert read_statement(disk / "twin").stamp == ""
    assert ledger.spent("insurance").charges == 1
    assert [path.name for path in disk.iterdir()] == ["twin"]
