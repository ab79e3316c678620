"""Cedar policies as trees whose every node knows its place in the text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from manatee.policy._problems import Span

WILDCARD = None
"""Stands for `*` in the pattern of a `like`."""


@dataclass(frozen=True)
class Node:
    """One expression.

    Attributes:
        op: `value`, `entity`, `variable`, `set`, `record`, `attribute`, `has`, `like`, `is`,
            `if`, `!`, `neg`, a binary operator as written, or `call` for `name(…)` and `.name(…)`.
        span: Where it stands.
        args: Its parts, in the order they are written.
        value: The literal; (type, id) of an entity; the name of a variable, attribute, function
            or entity type; the keys of a record; the pattern of a `like` (texts and WILDCARD).
    """

    op: str
    span: Span
    args: tuple[Node, ...] = ()
    value: Any = None
    depth: int = 1


@dataclass(frozen=True)
class Scope:
    """What a policy says of principal, action or resource before its conditions.

    `op` is `any`, `==`, `in`, `is`, `is-in`, or `in-list` for actions.
    """

    op: str
    span: Span
    entities: tuple[Node, ...] = ()
    entity_type: str = ""


@dataclass(frozen=True)
class Condition:
    """One `when` or `unless`."""

    kind: Literal["when", "unless"]
    body: Node
    span: Span


@dataclass(frozen=True)
class Policy:
    """One `permit` or `forbid`. `number` is its place in the text, from 0."""

    number: int
    effect: Literal["permit", "forbid"]
    annotations: dict[str, str]
    principal: Scope
    action: Scope
    resource: Scope
    conditions: tuple[Condition, ...]
    span: Span
    effect_start: int

    @property
    def name(self) -> str:
        """What people call it: its @id, else its place in the text."""
        return self.annotations.get("id") or f"policy {self.number + 1}"


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and everything in it."""
    open_nodes = [node]
    while open_nodes:
        current = open_nodes.pop()
        yield current
        open_nodes.extend(reversed(current.args))


def expressions(policy: Policy) -> Iterator[Node]:
    """Yield every expression of a policy's conditions."""
    for condition in policy.conditions:
        yield from walk(condition.body)


def conjuncts(node: Node) -> tuple[Node, ...]:
    """Return the parts of `a && b && …` in order; one part if it is no such thing."""
    found: list[Node] = []
    open_nodes = [node]
    while open_nodes:
        current = open_nodes.pop()
        if current.op == "&&":
            open_nodes.extend(reversed(current.args))
        else:
            found.append(current)
    return tuple(found)


def disjuncts(node: Node) -> tuple[Node, ...]:
    """Return the parts of `a || b || …` in order; one part if it is no such thing."""
    found: list[Node] = []
    open_nodes = [node]
    while open_nodes:
        current = open_nodes.pop()
        if current.op == "||":
            open_nodes.extend(reversed(current.args))
        else:
            found.append(current)
    return tuple(found)
