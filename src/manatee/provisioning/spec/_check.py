"""What only shows when all tables of a specification are seen together."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from manatee.contracts import Contract, ForeignKey, Table
from manatee.errors import ContractError
from manatee.provisioning.pets import Generalise, Keep, Pseudonym, RowPlan
from manatee.provisioning.spec._model import Spec, SynthesisTable, TablePlan

Refuse = Callable[[str, str, str], ContractError]
"""Of (table, message, hint): the error with the table's place."""


def check_tables(contract: Contract, tables: Mapping[str, TablePlan], refuse: Refuse) -> None:
    """Refuse tables that do not fit each other or the contract's promises.

    Raises:
        ContractError: Names the table's place and the rule.
    """
    for name, plan in tables.items():
        table = contract.table(name)
        if isinstance(plan, RowPlan):
            _check_rows(table, plan, refuse)
        for link in table.references:
            _check_link(contract, table, link, tables, refuse)


def _check_rows(table: Table, plan: RowPlan, refuse: Refuse) -> None:
    if table.rows == "protected":
        raise refuse(
            table.name,
            f"a row for each row of {table.name!r} shows their number, which the contract protects",
            "Write `rows: public` in the contract if it may be known, or use synthesis or dummy.",
        )
    raw = (Keep, Generalise)
    quasi = [c.name for c in table.columns if c.sensitivity == "quasi-identifying"]
    told = [name for name in quasi if isinstance(plan.columns[name], raw)]
    if told and plan.protect is None:
        raise refuse(
            table.name,
            f"quasi-identifying columns are released without protect: {', '.join(told)}",
            "Add protect: {k_anonymity: 5, max_suppressed: 0.05}, or treat them otherwise.",
        )
    if plan.protect is not None and not told:
        raise refuse(table.name, "protect has no quasi-identifying column to group by", "")
    diversity = plan.protect.diversity if plan.protect else None
    if diversity is not None:
        treated = plan.columns.get(diversity.column)
        if not isinstance(treated, raw):
            raise refuse(
                table.name,
                f"l_diversity needs a column that is kept or generalised, not {diversity.column!r}",
                "A column that is suppressed or randomised has no values to be diverse.",
            )
        if diversity.column in told:
            raise refuse(table.name, "l_diversity of a quasi-identifying column means nothing", "")
    if any(link.table == table.name for link in table.references) and (plan.sample or plan.protect):
        raise refuse(table.name, "leaving out rows of a table that references itself", "")


def _check_link(
    contract: Contract,
    table: Table,
    link: ForeignKey,
    tables: Mapping[str, TablePlan],
    refuse: Refuse,
) -> None:
    plan, parent = tables[table.name], tables.get(link.table)
    if parent is None:
        if isinstance(plan, RowPlan):
            return
        raise refuse(
            table.name, f"{table.name!r} references {link.table!r}, which is not released", ""
        )
    if type(plan) is not type(parent):
        raise refuse(
            table.name,
            f"{table.name!r} and {link.table!r} would not join: released in different ways",
            "Use the same way for tables that reference each other.",
        )
    if not isinstance(plan, RowPlan) or not isinstance(parent, RowPlan):
        return
    for own, other in zip(link.columns, contract.table(link.table).key, strict=True):
        here, there = plan.columns[own], parent.columns[other]
        same = here == there and isinstance(here, Pseudonym | Keep)
        alike = table.column(own), contract.table(link.table).column(other)
        width = {min(column.max_length, 32) for column in alike}
        if not same or len({column.holds for column in alike}) > 1 or len(width) > 1:
            raise refuse(
                table.name,
                f"{table.name}.{own} and {link.table}.{other} would no longer join",
                "Give both the same pseudonym key, and the same max_length in the contract.",
            )
    if parent.sample != plan.sample and parent.sample is not None:
        raise refuse(
            table.name,
            f"{link.table!r} is sampled, so {table.name!r} would reference rows left out",
            "Give both the same sample: children follow their parents.",
        )


def delta_warnings(contract: Contract, spec: Spec, *, rows: Mapping[str, int]) -> tuple[str, ...]:
    """Return warnings where delta is too large for what everyone knows of the number of people.

    Args:
        contract: Says who is protected: with the privacy unit `person` the table of persons
            counts, otherwise each table.
        spec: The specification.
        rows: Numbers of rows that everyone may know, by table: public or released; never private.
    """
    if spec.budget is None:
        return ()
    delta, persons = spec.budget.delta, contract.privacy_unit.table
    return tuple(
        f"delta = {delta:g} is not below one over the number of rows of table {name!r} "
        f"({found}, as everyone may know): a mechanism that publishes one row at random would keep "
        f"that promise. Choose a delta well below {1 / found:.1g}."
        for name, found in rows.items()
        if isinstance(spec.tables.get(name), SynthesisTable)
        and persons in {None, name}
        and found > 0
        and delta * found >= 1
    )
