"""A provisioning run: from private tables to a folder that may be shown.

Order of steps, each written down when it is done: check, reserve, commit, twin, statement,
reports, done. The budget is reserved before anything is measured and committed before the first
noise is drawn. So a run that fails before the commit costs nothing, and one that dies after it has
spent, and spends nothing more when it is resumed: its released numbers are in the journal.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from manatee._clock import Clock, system_clock, timestamp
from manatee.budgets import BudgetLedger, Charge
from manatee.contracts import contract_digest
from manatee.errors import ProvisioningError
from manatee.provisioning.noise import Budget, rho_for
from manatee.provisioning.pets import SharedKey
from manatee.provisioning.runs._dress import check_dress
from manatee.provisioning.runs._folder import RunFolder, written
from manatee.provisioning.runs._journal import Journal, JournalledBudget
from manatee.provisioning.runs._make import make_dummies, synthesise_tables, treat_tables
from manatee.provisioning.runs._order import Order, Progress, onwards
from manatee.provisioning.runs._private import (
    Private,
    Where,
    digest_of,
    n_rows,
    names_of,
    opened,
    still_there,
)
from manatee.provisioning.runs._pseudonym_keys import pseudonym_keys
from manatee.provisioning.runs._report_pages import make_reports
from manatee.provisioning.runs._secret import derived
from manatee.provisioning.runs._statement import PrivacyStatement, TableRecord, in_words
from manatee.provisioning.runs._write_statement import make_statement
from manatee.records import canonical_json, digest_bytes, digest_record

FORMAT = "manatee-provisioning-run/1"
JOURNAL = "released.jsonl"
STEPS = ("check", "reserve", "commit", "twin", "statement", "reports", "done")

Checkpoint = Callable[[str], None]


def silent(_step: str, _part: float) -> None:
    """Tell nobody."""


def _pass(_where: str) -> None:
    """Go on."""


@dataclass(frozen=True)
class Desk:
    """What a provider's machine brings to a run.

    Attributes:
        ledger: Where the budget is kept.
        secret: The provider's secret, 32 bytes.
        shared: A pseudonym key that several providers agreed on; None: pseudonyms of its own.
        noise: Makes the budget that draws noise; another than `Budget` needs a `stamp`.
        attack_twins: Twins that membership attacks are tried on for the provider's own report.
        stamp: Printed on the statement; not empty where the noise protects nobody.
        checkpoint: Told after everything that was written down; tests interrupt here.
    """

    ledger: BudgetLedger
    secret: bytes = field(repr=False)
    shared: SharedKey | None = None
    clock: Clock = system_clock
    noise: Callable[[Fraction], Budget] = Budget
    stamp: str = ""
    attack_twins: int = 0
    checkpoint: Checkpoint = _pass


@dataclass(frozen=True)
class Outcome:
    """A finished run."""

    folder: Path
    run: str
    statement: PrivacyStatement
    report_passed: bool


def provision(
    order: Order,
    where: Where,
    out: Path,
    *,
    desk: Desk,
    resume: bool = False,
    progress: Progress = silent,
) -> Outcome:
    """Make a twin folder from private tables.

    Effects: reserves and commits budget; writes `out` at the end, and nothing there before.

    Args:
        order: What to make.
        where: The private tables, as `open_source` takes them, or one to be counted in place.
        out: Must not exist.
        desk: Ledger, secret and noise.
        resume: Go on with the run for `out` that was interrupted.
        progress: Told what is being done.

    Raises:
        BudgetError: The data set's budget does not allow it; nothing was measured.
        ConflictError: The folder exists, or a run was interrupted (or was not, with `resume`).
        SchemaMismatchError: A table breaks the contract; nothing was spent.
        TableError: A table cannot be read; nothing was spent.
        ProvisioningError: The twin cannot be made within the budget, or the disk is full.
        SettingsError: A shared pseudonym key that is not for this specification.
    """
    pseudonym_keys(order, desk.secret, desk.shared)
    folder = RunFolder(out)
    with folder.held():
        record = folder.start(_record(order, desk), resume=resume)
        desk.checkpoint("start")
        run = _Run(order, folder, record, desk, progress)
        try:
            return run.play(where)
        except BaseException:
            run.give_back()
            raise


def _record(order: Order, desk: Desk) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "run": secrets.token_hex(16),
        "dataset": order.contract.name,
        "inputs": {
            "contract": digest_record(contract_digest(order.contract)),
            "contract_text": digest_bytes(order.contract_text),
            "spec": digest_bytes(order.spec_text),
            "shared_key": desk.shared.fingerprint if desk.shared else "",
            "stamp": desk.stamp,
            "versions": versions(),
        },
        "steps": list(STEPS),
        "done": [],
        "started_at": timestamp(desk.clock()),
    }


def versions() -> dict[str, str]:
    """Return the versions that decide what a run measures."""
    return {name: version(name) for name in ("manatee", "numpy", "opendp", "pyarrow")}


class _Run:
    def __init__(
        self,
        order: Order,
        folder: RunFolder,
        record: dict[str, Any],
        desk: Desk,
        progress: Progress,
    ) -> None:
        self._order = order
        self._folder = folder
        self._record = record
        self._desk = desk
        self._progress = onwards(progress)
        self._id: str = record["run"]
        self._paid = False
        self._keys = pseudonym_keys(order, desk.secret, desk.shared)

    def play(self, where: Where) -> Outcome:
        order, desk = self._order, self._desk
        self._progress("reading and checking the tables", 0.0)
        own = self._folder.empty("private")
        key = derived(desk.secret, f"rows-left-out/{self._id}")
        with opened(where, order, own, key) as source:
            self._check(source, where, own)
            charges = self._charges()
            self._paid = bool(charges)
            desk.ledger.reserve(self._id, charges)
            self._done("reserve")
            still_there(source)
            desk.ledger.commit(self._id)
            self._done("commit")
            budget, tables = self._make_twin(source, own)
            statement = self._state(source, budget, tables)
            passed = self._report(source, budget, statement)
        shutil.rmtree(own, ignore_errors=True)
        self._folder.write("contract.yaml", order.contract_text)
        self._folder.write("spec.yaml", order.spec_text)
        self._done("done", finished_at=timestamp(desk.clock()))
        self._folder.finish()
        desk.checkpoint("renamed")
        self._progress("done", 1.0)
        return Outcome(self._folder.out, self._id, statement, passed)

    def give_back(self) -> None:
        """Give the budget back if nothing can have been measured; keep the folder otherwise."""
        state = self._desk.ledger.state(self._id)
        if state is None or (state != "committed" and self._desk.ledger.release(self._id)):
            self._folder.remove()

    def _done(self, step: str, **found: Any) -> None:
        if step not in self._record["done"]:
            self._record["done"].append(step)
            self._record |= found
            self._folder.save(self._record)
        self._desk.checkpoint(step)

    def _check(self, source: Private, where: Where, own: Path) -> None:
        self._progress("digesting the tables", 0.1)
        missing = [name for name in self._order.private if name not in names_of(source)]
        if missing:
            raise ProvisioningError(
                f"table {missing[0]!r} is to be read and was not given.",
                hint=f"Add --table {missing[0]}=PATH.",
            )
        if self._order.contract.privacy_unit.kind == "row":
            digest = digest_of(source, self._desk.secret)
        else:
            with opened(where, self._order, own, b"", whole=True) as every:
                digest = digest_of(every, self._desk.secret)
        if self._record.get("data_digest", digest) != digest:
            raise ProvisioningError(
                "the tables are not those of the interrupted run.",
                hint="Give the same tables, or start a new run; what was committed stays spent.",
            )
        self._done("check", data_digest=digest)

    def _charges(self) -> list[Charge]:
        order = self._order
        found: list[Charge] = []
        kind = order.contract.privacy_unit.kind
        if order.synthesis:
            what = f"synthesis of {', '.join(order.synthesis)}"
            found.append(Charge(order.contract.name, kind, self._rho(), what))
        for name in order.rows:
            cost = order.row_cost(name)
            if cost is None or cost > 0:
                found.append(Charge(order.contract.name, kind, cost, f"rows of {name}"))
        return found

    def _rho(self) -> Fraction:
        if self._order.epsilon is None or self._order.delta is None:
            raise ProvisioningError(
                "synthesis needs a budget.", hint="Say epsilon and delta in the specification."
            )
        return Fraction(rho_for(epsilon=self._order.epsilon, delta=self._order.delta))

    def _make_twin(self, source: Private, own: Path) -> tuple[Budget | None, list[TableRecord]]:
        order, desk = self._order, self._desk
        twin = self._folder.empty("twin")
        sampler = np.random.default_rng()  # draws from released numbers only; adds no privacy
        budget: Budget | None = None
        if order.synthesis:
            journal = Journal(
                self._folder.path / JOURNAL,
                answered=lambda what: desk.checkpoint(f"measured {what}"),
            )
            budget = JournalledBudget(self._rho(), journal=journal, within=desk.noise)
            synthesise_tables(
                order,
                source,
                twin,
                spill=own,
                budget=budget,
                sampler=sampler,
                progress=lambda step, part: self._progress(step, 0.15 + 0.55 * part),
            )
        records = [
            *treat_tables(order, source, twin, spill=own, keys=self._keys, progress=self._progress),
            *make_dummies(order, twin, sampler=sampler),
        ]
        self._progress("checking that the twin wears the real tables' schema", 0.72)
        files = {name: twin / f"{name}.parquet" for name in order.tables}
        broken = check_dress(order.contract, files, folder=own, treated=order.rows)
        self._done("twin")
        records = [msgspec.structs.replace(r, broken=broken.get(r.table, {})) for r in records]
        return budget, records

    def _state(
        self, source: Private, budget: Budget | None, tables: list[TableRecord]
    ) -> PrivacyStatement:
        public = [
            name
            for name in self._order.synthesis
            if self._order.contract.table(name).rows == "public"
        ]
        statement = make_statement(
            self._order,
            budget,
            tables,
            twin=self._folder.path / "twin",
            data_digest=self._record["data_digest"],
            ledger=self._desk.ledger if self._paid else None,
            stamp=self._desk.stamp,
            versions=versions(),
            public_rows={name: n_rows(source, name) for name in public},
        )
        self._folder.write("statement.json", canonical_json(statement) + b"\n")
        self._folder.write("statement.txt", in_words(statement).encode())
        self._done("statement")
        return statement

    def _report(self, source: Private, budget: Budget | None, statement: PrivacyStatement) -> bool:
        self._progress("writing the reports", 0.75)
        pages = make_reports(
            self._order,
            source,
            self._folder.path / "twin",
            statement,
            released=Journal(self._folder.path / JOURNAL).answers if budget else (),
            attack_twins=self._desk.attack_twins,
            progress=lambda step, part: self._progress(step, 0.75 + 0.24 * part),
        )
        for name, text in pages.shareable.items():
            self._folder.write(name, text.encode())
        for name, text in pages.private.items():
            self._folder.write(name, text.encode(), mode=0o600)
        self._done("reports")
        return pages.passed


def read_statement(folder: Path) -> PrivacyStatement:
    """Read the statement of a twin folder. Raises ProvisioningError for no such folder."""
    with written():
        data = (folder / "statement.json").read_bytes()
    return msgspec.json.decode(data, type=PrivacyStatement)
