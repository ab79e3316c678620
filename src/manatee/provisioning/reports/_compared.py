"""What a comparison with the real tables says: private, it stays with the provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from manatee.contracts import Contract, Table
from manatee.provisioning.attacks import AttackResult, VerbatimCheck, check_verbatim
from manatee.provisioning.reports._integrity import (
    LinkFinding,
    RuleFinding,
    check_links,
    check_rules,
    missing_shares,
)
from manatee.provisioning.reports._losses import RareCategories, Tails, rare_categories, tails
from manatee.provisioning.reports._promise import Promise
from manatee.provisioning.reports._rows import SAMPLED_ROWS, Rows
from manatee.provisioning.reports._similarity import (
    Associations,
    Marginal,
    Pairs,
    compare_associations,
    compare_columns,
    compare_pairs,
)
from manatee.provisioning.reports._task import (
    TASK_ROWS,
    TaskLike,
    TaskUtility,
    default_task,
    task_utility,
)
from manatee.provisioning.reports._types import Progress


@dataclass(frozen=True)
class ComparedTable:
    """Everything about one table and its twin. `sampled` rows of each were compared."""

    table: str
    real_rows: int
    twin_rows: int
    real_sampled: int
    twin_sampled: int
    marginals: tuple[Marginal, ...]
    pairs: Pairs
    associations: Associations
    tasks: tuple[TaskUtility, ...]
    rare: tuple[RareCategories, ...]
    tails: tuple[Tails, ...]
    missing_real: Mapping[str, float]
    missing_twin: Mapping[str, float]
    verbatim: VerbatimCheck

    @property
    def mean_tvd(self) -> float:
        """Mean distance over single columns."""
        return float(np.mean([item.tvd for item in self.marginals])) if self.marginals else 0.0

    @property
    def worst(self) -> Marginal | None:
        """The column that differs most beyond chance."""
        return max(self.marginals, key=lambda item: item.tvd - item.chance, default=None)


@dataclass(frozen=True)
class ComparedNumbers:
    """The provider's report's numbers."""

    dataset: str
    contract_version: int
    label: str
    promise: Promise
    tables: tuple[ComparedTable, ...]
    rules: tuple[RuleFinding, ...]
    links_real: tuple[LinkFinding, ...]
    links_twin: tuple[LinkFinding, ...]
    attacks: tuple[AttackResult, ...]

    @property
    def copies(self) -> tuple[str, ...]:
        """What failed the check for copies, as `table.column`."""
        return tuple(
            f"{table.table}.{finding.what}"
            for table in self.tables
            for finding in table.verbatim.findings
            if finding.verdict == "failed"
        )

    @property
    def broken(self) -> int:
        """Rows that break a rule of the contract, all rules together."""
        return sum(rule.broken for rule in self.rules)

    @property
    def refuted(self) -> tuple[str, ...]:
        """Attacks that did better than the promise allows."""
        return tuple(item.attack for item in self.attacks if not item.within)


def compared_numbers(
    contract: Contract,
    real: Mapping[str, Rows],
    twin: Mapping[str, Rows],
    promise: Promise,
    *,
    tasks: Mapping[str, Sequence[TaskLike]],
    attacks: Sequence[AttackResult],
    sampler: np.random.Generator,
    progress: Progress,
) -> ComparedNumbers:
    """Compare the real tables with their twins."""
    tables = []
    for number, table in enumerate(contract.tables):
        progress(f"comparing table {table.name}", number / len(contract.tables))
        tables.append(
            _compare(table, real[table.name], twin[table.name], tasks.get(table.name), sampler)
        )
    return ComparedNumbers(
        dataset=contract.name,
        contract_version=contract.version,
        label=contract.label,
        promise=promise,
        tables=tuple(tables),
        rules=check_rules(contract, twin),
        links_real=check_links(contract, real),
        links_twin=check_links(contract, twin),
        attacks=tuple(attacks),
    )


def _compare(
    table: Table,
    real: Rows,
    twin: Rows,
    tasks: Sequence[TaskLike] | None,
    sampler: np.random.Generator,
) -> ComparedTable:
    names = [column.name for column in table.columns if column.cellular]
    theirs = real.sample(names, SAMPLED_ROWS, sampler)
    ours = twin.sample(names, SAMPLED_ROWS, sampler)
    whole = twin.sample([column.name for column in table.columns], SAMPLED_ROWS, sampler)
    if tasks is None:
        wanted = default_task(table)
        tasks = [wanted] if wanted else []
    few = [Rows(sample).sample(names, TASK_ROWS, sampler) for sample in (theirs, ours)]
    utilities = [task_utility(few[0], few[1], table.columns, task) for task in tasks]
    check = check_verbatim(real.column, whole, table.columns)
    return ComparedTable(
        table=table.name,
        real_rows=real.n_rows,
        twin_rows=twin.n_rows,
        real_sampled=theirs.num_rows,
        twin_sampled=ours.num_rows,
        marginals=compare_columns(theirs, ours, table.columns),
        pairs=compare_pairs(theirs, ours, table.columns),
        associations=compare_associations(theirs, ours, table.columns),
        tasks=tuple(found for found in utilities if found is not None),
        rare=rare_categories(theirs, ours, table.columns),
        tails=tails(theirs, ours, table.columns),
        missing_real=missing_shares(table, real),
        missing_twin=missing_shares(table, twin),
        verbatim=check,
    )
