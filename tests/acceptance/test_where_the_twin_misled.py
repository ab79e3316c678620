"""A notebook that went well on the twin fails on the real table: the researcher learns why.

The twin of this provider is schema-only dummy data, so it has no missing values and no rare ward;
the real table has both. What is told of the real table is noisy and paid for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manatee.budgets import BudgetLedger
from manatee.cli._local_room import BROKER, PROJECT, PROVIDER, LocalRoom, make_local_room
from manatee.cli._services import running_service
from manatee.keybroker import use_ledger
from manatee.runtime import runtime_digest
from manatee.settings import load_settings
from manatee.testing import notebook_of

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("misled")]

CONTRACT = """
format: manatee-data-contract/2
name: clinic
label: synthetic
privacy_unit: row
tables:
  - name: clinic
    columns:
      - {name: weight, type: float, range: [0, 200], nullable: true}
      - {name: ward, type: category, categories: [a, b, c]}
"""
SPEC = """
format: manatee-provisioning-spec/1
contract: clinic
tables:
  clinic: {dummy: {rows: 1000}}
"""
EPSILON = "0.9"
FRAIL = """import manatee
weights = manatee.dataset('clinic').to_table()['weight']
assert weights.null_count < 200"""

Manatee = Callable[..., Any]


@dataclass(frozen=True)
class Story:
    room: LocalRoom
    run: Manatee
    ledger: BudgetLedger
    url: str

    def provider(self, *arguments: str) -> Any:
        return self._as(self.room.provider_token, *arguments)

    def researcher(self, *arguments: str) -> Any:
        return self._as(self.room.researcher_token, *arguments)

    def _as(self, token: str, *arguments: str) -> Any:
        return self.run(
            *arguments,
            MANATEE_URL=self.url,
            MANATEE_TOKEN=token,
            MANATEE_HOME=str(self.room.settings.home),
        )

    def job(self, folder: Path, *options: str) -> dict[str, Any]:
        """Submit the frail notebook, approve it, and wait for its end."""
        work = folder / "work"
        work.mkdir(exist_ok=True)
        (work / "notebook.ipynb").write_text(notebook_of(FRAIL))
        identity = self.room.folder / "researcher" / "identity.json"
        done = self.researcher(
            *("submit", str(work), "--dataset", "clinic", "--identity", str(identity)),
            *("--purpose", "weights", "--project", PROJECT, "-o", "json", *options),
        )
        assert done.returncode == 0, done.stderr
        job = json.loads(done.stdout)
        key = ("--key", str(self.room.approver_key))
        done = self.provider("approve", job["id"], "--digest", job["job_digest"], *key)
        assert done.returncode == 0, done.stderr
        self.researcher("job", "watch", job["id"])
        done = self.researcher("job", "show", job["id"])
        return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, manatee: Manatee) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("misled")
    runtime = load_settings().runtime
    room = make_local_room(
        folder / "room", runtime=runtime, runtime_digest=runtime_digest(runtime), label="synthetic"
    )
    desk = folder / "desk"
    desk.mkdir()
    (desk / "contract.yaml").write_text(CONTRACT)
    (desk / "spec.yaml").write_text(SPEC)
    rows = 3000
    real = {
        "weight": [None if row % 10 < 4 else 60.0 + row % 30 for row in range(rows)],
        "ward": ["a" if row % 2 else "b" for row in range(rows)],
    }
    pq.write_table(pa.table(real), desk / "clinic.parquet")
    book = ("--ledger", str(desk / "budget.sqlite"))
    table = ("--table", str(desk / "clinic.parquet"))
    limit = ("budget", "limit", "clinic", "--epsilon", "1", "--delta", "1e-9", *book)
    made = ("provision", str(desk / "contract.yaml"), str(desk / "spec.yaml"))
    for arguments in (limit, (*made, "--out", str(desk / "twin"), *table, *book)):
        done = manatee(*arguments)
        assert done.returncode == 0, done.stderr
    use_ledger(room.settings.home / "keybroker", desk / "budget.sqlite", {})
    with running_service(room.settings, log=folder / "service.log") as url:
        sealed = manatee(
            *("seal", str(desk / "twin"), "--out", str(desk / "sealed"), *table, *book),
            *("--provider", PROVIDER, "--broker-id", BROKER, "--broker-url", f"{url}/keybroker"),
            *("--custody", str(room.settings.home / "keybroker"), "--twin-report", EPSILON),
        )
        assert sealed.returncode == 0, sealed.stderr
        found = Story(room, manatee, BudgetLedger(desk / "budget.sqlite"), url)
        done = found.provider("publish", str(desk / "sealed"))
        assert done.returncode == 0, done.stderr
        assert room.agree(url, ("clinic",)).state == "open"
        yield found


@pytest.fixture(scope="module")
def failed(story: Story, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return story.job(tmp_path_factory.mktemp("first"), "--twin-report")


def test_the_job_fails_and_the_report_says_where_the_twin_misled(
    story: Story, failed: dict[str, Any]
) -> None:
    assert failed["exit"]["exception_class"] == "AssertionError"
    done = story.researcher("twin-report", failed["id"], "-o", "json")
    assert done.returncode == 0, done.stderr
    (report,) = json.loads(done.stdout)
    found = {item["where"]: item for item in report["findings"] if item["what"] != "type"}
    assert found["weight"]["verdict"] == "misled"
    assert 0.3 < found["weight"]["low"] < 0.4 < found["weight"]["high"] < 0.5
    assert found["ward = c"]["verdict"] == "misled"
    types = [item["verdict"] for item in report["findings"] if item["what"] == "type"]
    assert types == ["agrees", "agrees"]


def test_the_report_reads_well_without_json(story: Story, failed: dict[str, Any]) -> None:
    done = story.researcher("twin-report", failed["id"])
    assert done.returncode == 0, done.stderr
    assert "ward = c" in done.stdout
    assert "misled" in done.stdout
    assert "agrees" not in done.stdout
    assert "agrees" in story.researcher("twin-report", failed["id"], "--all").stdout


def test_it_was_paid_for_once_and_the_next_one_is_not_affordable(
    story: Story, failed: dict[str, Any], tmp_path: Path
) -> None:
    spent = story.ledger.spent("clinic")
    assert spent.charges >= 1
    assert 0 < spent.rho < Fraction(1, 10)
    again = story.job(tmp_path, "--twin-report", "--submission", "2")
    assert (again["state"], again["exit"]["check"]) == ("failed", "budget")
    assert story.ledger.spent("clinic").rho == spent.rho


def test_a_job_without_a_report_still_gets_its_key_and_pays_nothing(
    story: Story, failed: dict[str, Any], tmp_path: Path
) -> None:
    before = story.ledger.spent("clinic").rho
    job = story.job(tmp_path, "--submission", "3")
    assert job["exit"]["exception_class"] == "AssertionError"
    assert story.ledger.spent("clinic").rho == before
    done = story.researcher("twin-report", job["id"])
    assert done.returncode != 0
    assert "--twin-report" in done.stderr
