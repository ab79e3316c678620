"""Trees in Cedar's own JSON form, to compare our reading of a text with the engine's."""

from __future__ import annotations

from typing import Any

from manatee.policy._syntax import Node, Policy, Scope

_METHODS = {"contains", "containsAll", "containsAny", "getTag", "hasTag"}


def _entity(node: Node) -> dict[str, str]:
    return {"type": node.value[0], "id": node.value[1]}


def expression_json(node: Node) -> Any:
    """Return an expression in Cedar's JSON policy format."""
    parts = [expression_json(part) for part in node.args]
    match node.op:
        case "value":
            return {"Value": node.value}
        case "entity":
            return {"Value": {"__entity": _entity(node)}}
        case "variable":
            return {"Var": node.value}
        case "set":
            return {"Set": parts}
        case "record":
            return {"Record": dict(zip(node.value, parts, strict=True))}
        case "attribute":
            return {".": {"left": parts[0], "attr": node.value}}
        case "has":
            return {"has": {"left": parts[0], "attr": node.value}}
        case "like":
            return {"like": {"left": parts[0], "pattern": _pattern(node.value)}}
        case "is":
            within = {"in": parts[1]} if len(parts) == 2 else {}
            return {"is": {"left": parts[0], "entity_type": node.value, **within}}
        case "if":
            return {"if-then-else": {"if": parts[0], "then": parts[1], "else": parts[2]}}
        case "!" | "neg":
            return {node.op: {"arg": parts[0]}}
        case "call":
            return _call(node.value, parts)
    return {node.op: {"left": parts[0], "right": parts[1]}}


def _pattern(parts: tuple[str | None, ...]) -> list[Any]:
    """Return a pattern's parts, one for each letter."""
    found: list[Any] = []
    for part in parts:
        found.extend(["Wildcard"] if part is None else [{"Literal": letter} for letter in part])
    return found


def _call(name: str, parts: list[Any]) -> Any:
    method = name.removeprefix(".")
    if method == name:
        return {name: parts}
    if method in _METHODS and len(parts) == 2:
        return {method: {"left": parts[0], "right": parts[1]}}
    if method == "isEmpty" and len(parts) == 1:
        return {method: {"arg": parts[0]}}
    return {method: parts}


def _scope(scope: Scope) -> dict[str, Any]:
    match scope.op:
        case "any":
            return {"op": "All"}
        case "==":
            return {"op": "==", "entity": _entity(scope.entities[0])}
        case "is":
            return {"op": "is", "entity_type": scope.entity_type}
        case "is-in":
            within = {"entity": _entity(scope.entities[0])}
            return {"op": "is", "entity_type": scope.entity_type, "in": within}
        case "in-list" if len(scope.entities) > 1:
            return {"op": "in", "entities": [_entity(entity) for entity in scope.entities]}
    return {"op": "in", "entity": _entity(scope.entities[0])}


def policy_json(policy: Policy) -> dict[str, Any]:
    """Return a policy in Cedar's JSON policy format."""
    found: dict[str, Any] = {
        "effect": policy.effect,
        "principal": _scope(policy.principal),
        "action": _scope(policy.action),
        "resource": _scope(policy.resource),
        "conditions": [
            {"kind": condition.kind, "body": expression_json(condition.body)}
            for condition in policy.conditions
        ],
    }
    if policy.annotations:
        found["annotations"] = policy.annotations
    return found
