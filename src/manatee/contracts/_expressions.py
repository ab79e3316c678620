"""The language of constraints: conditions over the columns of one row.

Written like Python and read by Python's own parser, of which only this is let through: `and`,
`or`, `not`, comparisons, `+ - *`, column names, numbers, quoted text, `True`, `False`,
`date('2026-01-31')`, `timestamp('2026-01-31T00:00:00Z')` and `missing(column)`. Nothing is ever
executed as Python.

Logic has three values, as in SQL: a comparison with a missing value is unknown, and a rule that
is unknown for a row is kept by it. Numbers are compared on the columns' lines as 64-bit floats;
`==` and `!=` allow a relative difference of `TOLERANCE`.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

from manatee.contracts._model import Constraint, Table
from manatee.errors import ContractError

TOLERANCE = 1e-9
"""Relative difference below which two numbers are equal: sums of money in floats differ by 1e-16
of their size, and never mean to."""

MAX_EXPRESSION = 2000
MAX_NODES = 300

Kind = Literal["number", "date", "timestamp", "text", "truth"]

_KINDS: dict[str, Kind] = {
    "integer": "number",
    "decimal": "number",
    "float": "number",
    "date": "date",
    "timestamp": "timestamp",
    "category": "text",
    "boolean": "truth",
}


@dataclass(frozen=True)
class Node:
    """A checked expression.

    Attributes:
        op: `column`, `number`, `text`, `truth`, `missing`, `not`, `and`, `or`, a comparison
            (`==`, `!=`, `<`, `<=`, `>`, `>=`) or an arithmetic sign (`+`, `-`, `*`).
        value: The column's name, or the constant on its line.
    """

    op: str
    kind: Kind
    parts: tuple[Node, ...] = ()
    value: str | float | bool = ""

    def columns(self) -> frozenset[str]:
        """Return the names of the columns that the expression reads."""
        own = {str(self.value)} if self.op in {"column", "missing"} else set()
        return frozenset(own.union(*(part.columns() for part in self.parts)))


def compile_constraint(constraint: Constraint, table: Table) -> Node:
    """Return a constraint as one condition, true, false or unknown for every row.

    Raises:
        ContractError: Not of the language, an unknown column, or types that do not fit.
    """
    what = f"constraint {constraint.name!r} of table {table.name!r}"
    found = parse_expression(constraint.text, table, what=what)
    if constraint.given is None:
        return found
    given = parse_expression(constraint.given, table, what=f"what is given of {what}")
    return Node("or", "truth", (Node("not", "truth", (given,)), found))


def parse_expression(text: str, table: Table, *, what: str) -> Node:
    """Return a condition over a table's columns. Raises as `compile_constraint`."""
    if len(text) > MAX_EXPRESSION:
        raise ContractError(f"{what} is longer than {MAX_EXPRESSION} characters.")
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ContractError(f"{what} is not an expression.", hint=_HINT) from error
    if sum(1 for _ in ast.walk(tree)) > MAX_NODES:
        raise ContractError(f"{what} has more than {MAX_NODES} parts.")
    node = _Reader(table, what).read(tree.body)
    if node.kind != "truth":
        raise ContractError(f"{what} is not a condition.", hint=_HINT)
    return node


_HINT = "For example: death >= event, or total == part_a + part_b."

_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
_SIGNS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*"}


class _Reader:
    def __init__(self, table: Table, what: str) -> None:
        self._table = table
        self._what = what

    def _refuse(self, why: str) -> ContractError:
        return ContractError(f"{self._what}: {why}.", hint=_HINT)

    def read(self, node: ast.expr) -> Node:
        match node:
            case ast.BoolOp():
                op = "and" if isinstance(node.op, ast.And) else "or"
                parts = tuple(self._truth(part) for part in node.values)
                return Node(op, "truth", parts)
            case ast.UnaryOp(op=ast.Not()):
                return Node("not", "truth", (self._truth(node.operand),))
            case ast.UnaryOp(op=ast.USub()):
                zero = Node("number", "number", value=0.0)
                return self._arithmetic("-", zero, self.read(node.operand))
            case ast.Compare():
                return self._compare(node)
            case ast.BinOp():
                sign = _SIGNS.get(type(node.op))
                if sign is None:
                    raise self._refuse("only +, - and * are known")
                return self._arithmetic(sign, self.read(node.left), self.read(node.right))
            case ast.Name():
                return self._column(node.id)
            case ast.Constant():
                return self._constant(node.value)
            case ast.Call():
                return self._call(node)
        raise self._refuse("it has a part that is not of the language")

    def _truth(self, node: ast.expr) -> Node:
        found = self.read(node)
        if found.kind != "truth":
            raise self._refuse("`and`, `or` and `not` stand between conditions")
        return found

    def _column(self, name: str) -> Node:
        try:
            column = self._table.column(name)
        except KeyError as error:
            raise self._refuse(f"{name!r} is no column of the table") from error
        if column.type not in _KINDS:
            raise self._refuse(f"{name!r} is {column.type}; only missing({name}) can be asked")
        return Node("column", _KINDS[column.type], value=name)

    def _constant(self, value: object) -> Node:
        if isinstance(value, bool):
            return Node("truth", "truth", value=value)
        if isinstance(value, int | float):
            if not abs(value) <= 2**53:
                raise self._refuse("a number is beyond 2**53")
            return Node("number", "number", value=float(value))
        if isinstance(value, str):
            return Node("text", "text", value=value)
        raise self._refuse("it has a constant that is not of the language")

    def _compare(self, node: ast.Compare) -> Node:
        sides = [self.read(side) for side in (node.left, *node.comparators)]
        found = []
        for op, left, right in zip(node.ops, sides, sides[1:], strict=False):
            sign = _COMPARISONS.get(type(op))
            if sign is None:
                raise self._refuse("`in` and `is` are not known")
            if left.kind != right.kind:
                raise self._refuse(f"a {left.kind} is compared with a {right.kind}")
            if left.kind in {"text", "truth"} and sign not in {"==", "!="}:
                raise self._refuse(f"a {left.kind} has no order")
            found.append(Node(sign, "truth", (left, right)))
        return found[0] if len(found) == 1 else Node("and", "truth", tuple(found))

    def _arithmetic(self, sign: str, left: Node, right: Node) -> Node:
        kinds = (left.kind, right.kind)
        if kinds == ("number", "number"):
            return Node(sign, "number", (left, right))
        if sign == "-" and left.kind == right.kind and left.kind in {"date", "timestamp"}:
            return Node("-", "number", (left, right))
        if sign in "+-" and left.kind in {"date", "timestamp"} and right.kind == "number":
            return Node(sign, left.kind, (left, right))
        raise self._refuse(f"{left.kind} {sign} {right.kind} means nothing")

    def _call(self, node: ast.Call) -> Node:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if len(node.args) != 1 or node.keywords:
            raise self._refuse("a function takes one argument")
        argument = node.args[0]
        if name == "missing" and isinstance(argument, ast.Name):
            if all(column.name != argument.id for column in self._table.columns):
                raise self._refuse(f"{argument.id!r} is no column of the table")
            return Node("missing", "truth", value=argument.id)
        if name in {"date", "timestamp"} and isinstance(argument, ast.Constant):
            return self._moment(name, argument.value)
        raise self._refuse("the functions are date('…'), timestamp('…') and missing(column)")

    def _moment(self, name: str, value: object) -> Node:
        try:
            if name == "date":
                days = (date.fromisoformat(str(value)) - date(1970, 1, 1)).days
                return Node("number", "date", value=float(days))
            moment = datetime.fromisoformat(str(value))
        except ValueError as error:
            raise self._refuse(f"{name}(…) holds no {name}") from error
        if moment.tzinfo is None:
            raise self._refuse("a time stamp must say its time zone")
        try:
            seconds = moment.astimezone(UTC).timestamp()
        except OverflowError as error:
            raise self._refuse("a time stamp must lie in the years 1 to 9999, in UTC") from error
        return Node("number", "timestamp", value=seconds)
