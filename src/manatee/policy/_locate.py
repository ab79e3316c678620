"""Where a validation error is: the Cedar engine names only the policy, people need the place."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any

from manatee.policy._problems import Problem, Span, problem
from manatee.policy._syntax import Node, Policy, conjuncts, expressions, walk
from manatee.policy._vocabulary import (
    ACTION,
    CHECKS,
    DATASET,
    ORGANISATION,
    RELEASE_KEY,
    RESEARCHER,
    TCB_COMPONENTS,
)

MAX_PROBLEMS = 20
"""Most problems reported at once."""

_MISSING = re.compile(r"attribute `(?P<name>[^`]*)`.*not found", re.DOTALL)
_UNSAFE = re.compile(r"access to optional attribute `(?P<name>[^`]*)`", re.DOTALL)
_ENTITY_TYPE = re.compile(r"unrecognized entity type `(?P<name>[^`]*)`")
_ACTION = re.compile(r"unrecognized action `(?P<name>.*)`")
_FOLLOWS = "unable to find an applicable action"
"""Said of a scope in addition to what is wrong with it."""

_ENTITY_ATTRIBUTES = ("name", "organisation", "provider", "version", "label")


def locate(
    engine: Any, schema: Any, text: str, policies: tuple[Policy, ...], result: Any
) -> tuple[Problem, ...]:
    """Turn the engine's validation errors into problems with places and hints.

    Args:
        engine: The Cedar module.
        schema: Its schema handle.
        text: The policy text.
        policies: The text as trees.
        result: What the engine's validation answered.
    """
    found: list[Problem] = []
    for error in result.errors[:MAX_PROBLEMS]:
        said = error.error.partition(f"for policy `{error.policy_id}`, ")[2] or error.error
        policy = next((p for p in policies if f"policy{p.number}" == error.policy_id), None)
        if policy is None:
            found.append(problem(text, Span(0, 0), said))
            continue
        if _FOLLOWS in said and len(result.errors) > 1:
            continue
        span, message, hint = _place(engine, schema, text, policy, said)
        found.append(problem(text, span, message, hint))
    unique = tuple(sorted(dict.fromkeys(found), key=lambda item: (item.line, item.column)))
    return unique or (problem(text, Span(0, 0), "the engine refuses this policy."),)


def _place(engine: Any, schema: Any, text: str, policy: Policy, said: str) -> tuple[Span, str, str]:
    if missing := _MISSING.search(said):
        name = missing["name"].rpartition(".")[2]
        for node in expressions(policy):
            if node.op in {"attribute", "has"} and node.value == name:
                return _last_part(text, node, name), *_unknown(node, name)
    if unsafe := _UNSAFE.search(said):
        name = unsafe["name"].rpartition(".")[2]
        span = _first_attribute(policy, name) or policy.span
        return span, f"{name} may be missing.", f"Write … has {name} && before it."
    if kind := _ENTITY_TYPE.search(said):
        span = _named(text, policy, kind["name"])
        return span, f"there is no entity type {kind['name']}.", _did_you_mean_type(kind["name"])
    if action := _ACTION.search(said):
        span = policy.action.span
        return span, f"there is no action {action['name']}.", f'Write {ACTION}::"{RELEASE_KEY}".'
    span = _failing_conjunct(engine, schema, text, policy, said) or policy.span
    return span, said.rstrip(".") + ".", ""


def _unknown(node: Node, name: str) -> tuple[str, str]:
    base = node.args[0]
    if base.op == "attribute" and base.value == "approvals":
        return (
            f"approvals of {name} are not counted: no key of theirs is named.",
            "Name approver keys of that organisation, or correct its name.",
        )
    known: tuple[str, ...] = _ENTITY_ATTRIBUTES
    if base.op == "variable" and base.value == "context":
        known = tuple(CHECKS)
    elif base.op == "attribute" and base.value == "tcb":
        known = TCB_COMPONENTS
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"Did you mean {close[0]}?" if close else "Known: " + ", ".join(known) + "."
    return f"there is no attribute {name}.", hint


def _did_you_mean_type(name: str) -> str:
    known = (RESEARCHER, DATASET, ORGANISATION, ACTION)
    close = get_close_matches(name, known, n=1, cutoff=0.3)
    return f"Did you mean {close[0]}?" if close else "Known: " + ", ".join(known) + "."


def _last_part(text: str, node: Node, name: str) -> Span:
    start = text.rfind(name, node.span.start, node.span.end)
    return Span(start, start + len(name)) if start >= 0 else node.span


def _first_attribute(policy: Policy, name: str) -> Span | None:
    for node in expressions(policy):
        if node.op == "attribute" and node.value == name:
            return node.span
    return None


def _named(text: str, policy: Policy, name: str) -> Span:
    start = text.find(name, policy.span.start, policy.span.end)
    return Span(start, start + len(name)) if start >= 0 else policy.span


def _failing_conjunct(
    engine: Any, schema: Any, text: str, policy: Policy, said: str
) -> Span | None:
    """Find the first condition of which the engine says this.

    Conditions are added one by one, so that those that make later ones safe stay in place.
    """
    written = ""
    for condition in policy.conditions:
        before = ""
        for part in conjuncts(condition.body):
            source = text[part.span.start : part.span.end]
            trial = f"{before}{source}"
            attempt = f"permit (principal, action, resource){written} {condition.kind} {{{trial}}};"
            result = engine.validate_policies(attempt, schema)
            if any(error.error.endswith(said) for error in result.errors):
                return _narrow(engine, schema, text, part)
            if result.validation_passed:
                before = f"{trial} && "
        written += f" {condition.kind} {{{before}true}}" if condition.kind == "when" else ""
    return None


def _narrow(engine: Any, schema: Any, text: str, node: Node) -> Span:
    """Return the smallest Boolean part of an expression that is wrong by itself."""
    best = node.span
    for part in walk(node):
        if part.op in {"==", "!=", "<", "<=", ">", ">=", "in", "has", "like", "is", "call"}:
            source = text[part.span.start : part.span.end]
            trial = f"permit (principal, action, resource) when {{{source}}};"
            inside = part.span.end - part.span.start < best.end - best.start
            if inside and not engine.validate_policies(trial, schema).validation_passed:
                best = part.span
    return best
