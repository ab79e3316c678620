"""Why Cedar allowed or denied: each policy, each condition, with its place in the text.

An explanation never decides. Every condition is asked alone, so one that needs an earlier one
to make sense (`principal has organisation && …`) may have no answer; then neither do we.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from manatee.policy._engine import CompiledPolicies, cedar
from manatee.policy._problems import Span, position
from manatee.policy._request import CedarRequest
from manatee.policy._syntax import Node, Policy, Scope, conjuncts, disjuncts, walk
from manatee.policy._vocabulary import CHECKS

UNNAMED_CHECK = "policy"
"""Name of a check that speaks of nothing in the vocabulary and has no @check."""

_CHECK_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_PRINCIPAL_CHECKS = {"organisation": "organisation"}
_RESOURCE_CHECKS = {"label": "label", "provider": "provider"}


@dataclass(frozen=True)
class ConditionExplanation:
    """One condition of a policy.

    Attributes:
        text: As written; `not (…)` for a part of an `unless`.
        line: From 1.
        column: From 1.
        holds: None if it cannot be told because it has no value for this request.
        check: The name under which its failure is known outside.
    """

    text: str
    line: int
    column: int
    holds: bool | None
    check: str


@dataclass(frozen=True)
class PolicyExplanation:
    """One policy. It applies if all its conditions hold."""

    name: str
    effect: str
    line: int
    applies: bool
    conditions: tuple[ConditionExplanation, ...]
    check: str

    @property
    def failed(self) -> tuple[ConditionExplanation, ...]:
        """Conditions that do not hold."""
        return tuple(item for item in self.conditions if item.holds is False)


@dataclass(frozen=True)
class _Part:
    question: str
    text: str
    span: Span
    check: str
    expected: bool


def check_of(node: Node, default: str) -> str:
    """Return the name of the check that an expression makes: that of its first attribute."""
    for part in walk(node):
        if part.op in {"attribute", "has"} and part.args[0].op == "variable":
            match part.args[0].value:
                case "context":
                    return CHECKS.get(str(part.value), default)
                case "principal":
                    return _PRINCIPAL_CHECKS.get(str(part.value), "researcher")
                case "resource":
                    return _RESOURCE_CHECKS.get(str(part.value), "dataset")
        elif part.op in {"in", "==", "is"} and part.args[0].op == "variable":
            if part.args[0].value == "principal":
                organisation = any("Organisation" in str(item.value) for item in walk(part))
                return "organisation" if organisation else "researcher"
            if part.args[0].value == "resource":
                return "dataset"
    return default


def _default_check(policy: Policy) -> str:
    named = policy.annotations.get("check", "")
    return named if _CHECK_NAME.fullmatch(named) else ""


def _parts(text: str, policy: Policy) -> tuple[_Part, ...]:
    found = []
    for variable, scope in (("principal", policy.principal), ("resource", policy.resource)):
        if scope.op != "any":
            source = text[scope.span.start : scope.span.end]
            places = ("principal, action, resource").replace(variable, source)
            found.append(
                _Part(
                    f"permit ({places});", source, scope.span, _scope_check(variable, scope), True
                )
            )
    default = _default_check(policy) or UNNAMED_CHECK
    for condition in policy.conditions:
        plain = condition.kind == "when"
        for node in conjuncts(condition.body) if plain else disjuncts(condition.body):
            source = text[node.span.start : node.span.end]
            found.append(
                _Part(
                    f"permit (principal, action, resource) when {{{source}}};",
                    source if plain else f"not ({source})",
                    node.span,
                    check_of(node, default),
                    plain,
                )
            )
    return tuple(found)


def _scope_check(variable: str, scope: Scope) -> str:
    if variable == "resource":
        return "dataset"
    organisation = any("Organisation" in entity.value[0] for entity in scope.entities)
    return "organisation" if organisation else "researcher"


def explain_policies(
    compiled: CompiledPolicies, request: CedarRequest
) -> tuple[PolicyExplanation, ...]:
    """Explain every policy for one request, in the order of the text."""
    return tuple(_explain(compiled, policy, request) for policy in compiled.policies)


def _explain(
    compiled: CompiledPolicies, policy: Policy, request: CedarRequest
) -> PolicyExplanation:
    text = compiled.text
    parts = _parts(text, policy)
    answers = _ask(compiled, [part.question for part in parts], request)
    conditions = []
    for part, answer in zip(parts, answers, strict=True):
        line, column = position(text, part.span.start)
        holds = None if answer is None else answer is part.expected
        shown = " ".join(part.text.split())
        conditions.append(ConditionExplanation(shown, line, column, holds, part.check))

    whole = _ask(compiled, [_as_permit(text, policy)], request)[0]
    return PolicyExplanation(
        name=policy.name,
        effect=policy.effect,
        line=position(text, policy.effect_start)[0],
        applies=whole is True,
        conditions=tuple(conditions),
        check=_default_check(policy) or next((item.check for item in conditions), UNNAMED_CHECK),
    )


def _as_permit(text: str, policy: Policy) -> str:
    scope = text[policy.principal.span.start : policy.resource.span.end]
    conditions = " ".join(text[item.span.start : item.span.end] for item in policy.conditions)
    return f"permit ({scope}) {conditions};"


def _ask(
    compiled: CompiledPolicies, questions: list[str], request: CedarRequest
) -> list[bool | None]:
    """Ask each question as a permit of its own, all in one go; None where it has no value."""
    if not questions:
        return []
    answer = cedar().is_authorized(
        request.request, "\n".join(questions), request.entities, schema=compiled.schema
    )
    errors = " ".join(answer.diagnostics.errors)
    found: list[bool | None] = []
    for number in range(len(questions)):
        if f"policy{number}" in answer.diagnostics.reasons:
            found.append(True)
        elif f"`policy{number}`" in errors or answer.decision.name == "NoDecision":
            found.append(None)
        else:
            found.append(False)
    return found
