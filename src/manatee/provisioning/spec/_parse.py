"""Reading a specification, strictly: every refusal names line, column and rule."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import yaml

from manatee.contracts import Contract, Table
from manatee.contracts import _yaml as strict
from manatee.errors import ContractError
from manatee.provisioning.pets import MAX_DUMMY_ROWS, Diversity, Protect, RowPlan, shares
from manatee.provisioning.spec._check import check_tables
from manatee.provisioning.spec._model import (
    DummyTable,
    PrivacyBudget,
    Spec,
    SynthesisTable,
    TablePlan,
    TaskPlan,
)
from manatee.provisioning.spec._treatments import parse_treatment

FORMAT = "manatee-provisioning-spec/1"
MAX_BUDGET_EPSILON = 100.0
MAX_DELTA = 0.001
MAX_TWIN_ROWS = 1_000_000_000


def parse_spec(data: bytes, contract: Contract) -> Spec:
    """Parse a specification and hold it against its contract.

    Raises:
        ContractError: Names the place, the rule and what to do.
    """
    root = strict.parse_document(data)
    names = frozenset({"format", "contract", "purpose", "budget", "tables"})
    found = _members(root, names, {"format", "contract", "tables"}, what="the specification")
    if strict.text(found["format"], what="format") != FORMAT:
        raise strict.refuse(found["format"], f"format must be {FORMAT}.")
    if strict.text(found["contract"], what="contract") != contract.name:
        raise strict.refuse(found["contract"], f"contract must be {contract.name}.")
    known = frozenset(table.name for table in contract.tables)
    nodes = strict.members(found["tables"], known, what="tables (of this contract)")
    if not nodes:
        raise strict.refuse(found["tables"], "tables must name at least one table.")
    plans = {
        table.name: _table(nodes[table.name], table)
        for table in contract.tables
        if table.name in nodes
    }

    def refuse(name: str, message: str, hint: str) -> ContractError:
        return strict.refuse(nodes[name], message + ".", hint=hint)

    check_tables(contract, plans, refuse)
    synthesised = any(isinstance(plan, SynthesisTable) for plan in plans.values())
    if synthesised != ("budget" in found):
        raise strict.refuse(
            found.get("budget", root),
            "a budget belongs to synthesis: one is needed with it, and none without.",
            hint="budget: {epsilon: 1, delta: 0.000000001}",
        )
    budget = _budget(found["budget"]) if synthesised else None
    purpose = strict.text(found["purpose"], what="purpose") if "purpose" in found else ""
    return Spec(contract.name, plans, budget, purpose)


def _members(
    node: yaml.Node, allowed: frozenset[str], needed: set[str], *, what: str
) -> dict[str, yaml.Node]:
    found = strict.members(node, allowed, what=what)
    for name in sorted(needed - set(found)):
        raise strict.refuse(node, f"{what} misses {name!r}.")
    return found


def _budget(node: yaml.Node) -> PrivacyBudget:
    needed = {"epsilon", "delta"}
    found = _members(node, frozenset(needed), needed, what="budget")
    epsilon = strict.number(found["epsilon"], what="epsilon")
    delta = strict.number(found["delta"], what="delta")
    if not 0 < epsilon <= MAX_BUDGET_EPSILON:
        raise strict.refuse(found["epsilon"], "epsilon must be above 0 and at most 100.")
    if not 0 < delta <= MAX_DELTA:
        raise strict.refuse(
            found["delta"],
            "delta must be above 0 and at most 0.001.",
            hint="Well below one over the number of rows, such as 0.000000001.",
        )
    return PrivacyBudget(epsilon, delta)


def _table(node: yaml.Node, table: Table) -> TablePlan:
    allowed = frozenset({"synthesis", "dummy", "columns", "sample", "protect"})
    found = strict.members(node, allowed, what="a table")
    ways = {"synthesis", "dummy", "columns"} & set(found)
    if len(ways) != 1:
        raise strict.refuse(node, "a table needs exactly one of synthesis, dummy and columns.")
    if "columns" not in found and len(found) > 1:
        raise strict.refuse(node, "sample and protect belong to columns.")
    if "dummy" in found:
        parts = _members(found["dummy"], frozenset({"rows"}), {"rows"}, what="dummy")
        return DummyTable(_count(parts["rows"], MAX_DUMMY_ROWS, what="rows"))
    return _synthesis(found["synthesis"], table) if "synthesis" in found else _rows(found, table)


def _count(node: yaml.Node, most: int, *, what: str, least: int = 1) -> int:
    value = strict.integer(node, what=what)
    if not least <= value <= most:
        raise strict.refuse(node, f"{what} must be {least} to {most}.")
    return value


def _choice(node: yaml.Node, options: tuple[str, ...], *, what: str) -> Any:
    value = strict.text(node, what=what)
    if value not in options:
        raise strict.refuse(node, f"{what} must be one of {', '.join(options)}.")
    return value


def _synthesis(node: yaml.Node, table: Table) -> SynthesisTable:
    allowed = frozenset({"mechanism", "task", "rows"})
    found = _members(node, allowed, {"mechanism"}, what="synthesis")
    mechanism = _choice(found["mechanism"], ("mst", "aim", "task"), what="mechanism")
    if (mechanism == "task") != ("task" in found):
        raise strict.refuse(node, "a task belongs to the mechanism task, and it to a task.")
    rows = _count(found["rows"], MAX_TWIN_ROWS, what="rows") if "rows" in found else None
    return SynthesisTable(mechanism, _task(found["task"], table) if "task" in found else None, rows)


def _task(node: yaml.Node, table: Table) -> TaskPlan:
    needed = {"target", "features", "kind"}
    found = _members(node, frozenset(needed), needed, what="task")
    names = tuple(column.name for column in table.columns if column.cellular)
    target = _choice(found["target"], names, what="target")
    nodes = strict.items(found["features"], what="features")
    features = tuple(_choice(item, names, what="a feature") for item in nodes)
    if not features or len(set(features)) != len(features) or target in features:
        raise strict.refuse(found["features"], "features must be others than the target, once each")
    kind = _choice(found["kind"], ("regression", "classification"), what="kind")
    if kind == "regression" and not table.column(target).numeric:
        raise strict.refuse(found["kind"], "a regression needs a number as its target.")
    return TaskPlan(target, features, kind)


def _rows(found: dict[str, yaml.Node], table: Table) -> RowPlan:
    names = frozenset(column.name for column in table.columns)
    nodes = strict.members(found["columns"], names, what="columns (of this table)")
    missing = [column.name for column in table.columns if column.name not in nodes]
    if missing:
        raise strict.refuse(
            found["columns"],
            f"columns without a treatment: {', '.join(missing)}.",
            hint="Every column needs one; suppress takes a column out.",
        )
    columns = {
        column.name: parse_treatment(nodes[column.name], column, shares(table))
        for column in table.columns
    }
    sample = _sample(found["sample"]) if "sample" in found else None
    return RowPlan(
        columns, sample, _protect(found["protect"], names) if "protect" in found else None
    )


def _share(node: yaml.Node, *, what: str, least: float) -> float:
    value = strict.number(node, what=what)
    if not least <= value < 1:
        raise strict.refuse(node, f"{what} must be at least {least:g} and below 1.")
    return value


def _sample(node: yaml.Node) -> Fraction:
    found = _members(node, frozenset({"rate"}), {"rate"}, what="sample")
    return Fraction(_share(found["rate"], what="rate", least=1e-6))


def _protect(node: yaml.Node, names: frozenset[str]) -> Protect:
    needed = {"k_anonymity", "max_suppressed"}
    found = _members(node, frozenset({*needed, "l_diversity"}), needed, what="protect")
    k = _count(found["k_anonymity"], 10_000, what="k_anonymity", least=2)
    share = _share(found["max_suppressed"], what="max_suppressed", least=0.0)
    if "l_diversity" not in found:
        return Protect(k, share)
    node = found["l_diversity"]
    parts = _members(node, frozenset({"column", "l", "kind"}), {"column", "l"}, what="l_diversity")
    column = _choice(parts["column"], tuple(sorted(names)), what="column")
    least = strict.number(parts["l"], what="l")
    if not 1 < least <= k:
        raise strict.refuse(parts["l"], "l must be above 1 and at most k.")
    kind = _choice(parts["kind"], ("distinct", "entropy"), what="kind") if "kind" in parts else None
    return Protect(k, share, Diversity(column, least, kind or "distinct"))
