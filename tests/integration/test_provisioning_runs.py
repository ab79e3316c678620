"""A provisioning run is killed between any two steps, and spends its budget once."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from manatee.budgets import BudgetLedger
from manatee.contracts import arrow_schema
from manatee.errors import BudgetError, ConflictError, ProvisioningError, SchemaMismatchError
from manatee.provisioning.runs import (
    Desk,
    Order,
    Outcome,
    insecure_fixed,
    make_order,
    provider_secret,
    provision,
)

CONTRACT = b"""
format: manatee-data-contract/1
name: visits
label: real
privacy_unit: row
columns:
  - {name: age, type: integer, range: [0, 99], bins: 10}
  - {name: ward, type: category, categories: [north, south]}
"""
SPEC = b"""
format: manatee-provisioning-spec/1
contract: visits
budget: {epsilon: 1, delta: 0.000001}
tables:
  visits:
    synthesis: {mechanism: mst}
"""
FILES = {
    "contract.yaml",
    "provider-report.html",
    "provider-report.json",
    "released.jsonl",
    "report.html",
    "report.json",
    "run.json",
    "spec.yaml",
    "statement.json",
    "statement.txt",
    "twin/visits.parquet",
}
CHECKPOINTS = (
    "start",
    "check",
    "reserve",
    "commit",
    "measured column age",
    "measured column ward",
    "measured pair age, ward",
    "twin",
    "statement",
    "reports",
    "done",
    "renamed",
)


@dataclass(frozen=True)
class Provider:
    """A provider's table, ledger and secret."""

    folder: Path
    order: Order
    desk: Desk

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def run(self, *, resume: bool = False, order: Order | None = None) -> Outcome:
        where = {"visits": self.folder / "visits.csv"}
        return provision(order or self.order, where, self.out, desk=self.desk, resume=resume)

    def stopping(self, checkpoint: Callable[[str], None]) -> Provider:
        return replace(self, desk=replace(self.desk, checkpoint=checkpoint))

    def journal(self) -> bytes:
        for folder in (self.out, self.folder / ".out.run"):
            if (folder / "released.jsonl").exists():
                return (folder / "released.jsonl").read_bytes()
        return b""


def write_table(path: Path, *, last: int = 50) -> None:
    ages = [20 + place % 60 for place in range(499)] + [last]
    wards = ["north" if place % 3 else "south" for place in range(500)]
    pyarrow.csv.write_csv(pa.table({"age": ages, "ward": wards}), path)


@pytest.fixture
def provider(tmp_path: Path) -> Provider:
    write_table(tmp_path / "visits.csv")
    ledger = BudgetLedger(tmp_path / "budget.sqlite")
    ledger.set_limit("visits", epsilon=1.2, delta=1e-6)
    desk = Desk(ledger, provider_secret(tmp_path / "secret.key"))
    return Provider(tmp_path, make_order(CONTRACT, SPEC), desk)


def in_child(work: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_self_at(where: str) -> Callable[[str], None]:
    def checkpoint(reached: str) -> None:
        if reached == where:
            os.kill(os.getpid(), signal.SIGKILL)

    return checkpoint


def test_the_checkpoints_below_are_all_there_are(provider: Provider) -> None:
    seen: list[str] = []
    made = provider.stopping(seen.append).run()
    assert tuple(seen) == CHECKPOINTS
    assert made.statement.epsilon == 1
    assert made.statement.budget is not None
    assert made.statement.budget.releases == 1
    twin = pq.read_table(provider.out / "twin" / "visits.parquet")
    assert twin.schema.equals(arrow_schema(provider.order.contract.only), check_metadata=True)


@pytest.mark.parametrize("where", CHECKPOINTS[:-1])
def test_killed_anywhere_a_run_resumes_and_spends_once(provider: Provider, where: str) -> None:
    died = in_child(provider.stopping(kill_self_at(where)).run)
    assert died == -signal.SIGKILL
    assert not provider.out.exists(), "nothing is published before the end"
    released = provider.journal()
    with pytest.raises(ConflictError, match="interrupted"):
        provider.run()
    made = provider.run(resume=True)
    assert provider.journal().startswith(released), "what was released is used, not drawn anew"
    spent = provider.desk.ledger.spent("visits")
    assert (spent.charges, spent.held) == (1, 0)
    assert len(made.statement.measurements) == 3
    assert not (provider.folder / ".out.run").exists()
    published = {str(p.relative_to(provider.out)) for p in provider.out.rglob("*") if p.is_file()}
    assert published == FILES, "nothing of an interrupted step is left, private rows least of all"


def test_killed_at_every_step_in_turn_it_still_spends_once(provider: Provider) -> None:
    for place, where in enumerate(CHECKPOINTS[:-1]):
        died = in_child(
            lambda at=where, again=place > 0: provider.stopping(  # type: ignore[misc]
                kill_self_at(at)
            ).run(resume=again)
        )
        assert died == -signal.SIGKILL
    provider.run(resume=True)
    assert provider.desk.ledger.spent("visits").charges == 1
    assert len(provider.journal().splitlines()) == 3


def test_a_table_that_breaks_its_contract_costs_nothing(provider: Provider) -> None:
    write_table(provider.folder / "visits.csv", last=100)
    with pytest.raises(SchemaMismatchError):
        provider.run()
    assert provider.desk.ledger.spent("visits").charges == 0
    write_table(provider.folder / "visits.csv")
    provider.run()


def test_without_budget_left_nothing_is_measured(provider: Provider) -> None:
    provider.run()
    second = replace(provider, folder=provider.folder / "second")
    second.folder.mkdir()
    write_table(second.folder / "visits.csv")
    with pytest.raises(BudgetError, match="is left"):
        second.run()
    assert second.journal() == b""
    assert not second.out.exists()


def test_a_run_is_not_resumed_with_other_rows(provider: Provider) -> None:
    in_child(provider.stopping(kill_self_at("commit")).run)
    write_table(provider.folder / "visits.csv", last=51)
    with pytest.raises(ProvisioningError, match="not those of the interrupted run"):
        provider.run(resume=True)


def test_a_run_is_not_resumed_with_another_specification(provider: Provider) -> None:
    in_child(provider.stopping(kill_self_at("commit")).run)
    other = make_order(CONTRACT, SPEC.replace(b"mst", b"aim"))
    with pytest.raises(ConflictError, match="another contract, spec"):
        provider.run(resume=True, order=other)


def test_released_numbers_of_another_run_are_not_taken(provider: Provider) -> None:
    in_child(provider.stopping(kill_self_at("measured column ward")).run)
    path = provider.folder / ".out.run" / "released.jsonl"
    path.write_bytes(path.read_bytes().replace(b"column age", b"column all"))
    with pytest.raises(ProvisioningError, match="asks for other measurements"):
        provider.run(resume=True)


def test_a_line_cut_off_by_a_power_cut_is_drawn_anew(provider: Provider) -> None:
    in_child(provider.stopping(kill_self_at("measured column ward")).run)
    path = provider.folder / ".out.run" / "released.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    provider.run(resume=True)
    assert provider.journal().startswith(whole[: whole.index(b"\n")])


def test_a_full_disk_publishes_nothing_and_the_run_resumes(provider: Provider) -> None:
    def full(reached: str) -> None:
        if reached == "statement":
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ProvisioningError, match="No space left"):
        provider.stopping(full).run()
    assert not provider.out.exists()
    provider.run(resume=True)
    assert provider.desk.ledger.spent("visits").charges == 1


def test_nothing_is_left_of_a_run_on_a_disk_that_was_full_before_any_noise(
    provider: Provider,
) -> None:
    def full(reached: str) -> None:
        if reached == "check":
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ProvisioningError):
        provider.stopping(full).run()
    assert not (provider.folder / ".out.run").exists()
    assert provider.desk.ledger.spent("visits").charges == 0


def test_two_processes_do_not_make_one_folder(provider: Provider) -> None:
    def during(reached: str) -> None:
        if reached == "twin":
            with pytest.raises(ConflictError, match="another process"):
                provider.run(resume=True)

    provider.stopping(during).run()


def test_fixed_noise_is_stamped_wherever_it_is_shown(provider: Provider) -> None:
    desk = replace(provider.desk, noise=insecure_fixed(7), stamp="fixed noise")
    made = replace(provider, desk=desk).run()
    assert made.statement.stamp == "NOT PRIVATE: test"
    assert "NOT PRIVATE: test" in (provider.out / "statement.txt").read_text()
    assert "protects nobody" in (provider.out / "statement.txt").read_text()
    assert "NOT PRIVATE: test" in (provider.out / "report.html").read_text()


def test_only_the_provider_reads_what_was_computed_from_real_rows(provider: Provider) -> None:
    provider.run()
    assert (provider.out / "provider-report.html").stat().st_mode & 0o077 == 0
    run = json.loads((provider.out / "run.json").read_bytes())
    assert "visits.csv" not in json.dumps(run), "paths of private tables are nobody's business"
