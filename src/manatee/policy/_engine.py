"""The Cedar engine: text is read twice, validated against the closed schema, then evaluated.

Cedar ignores a policy whose evaluation fails, a `forbid` too, so a misspelt `forbid` that nobody
validated forbids nothing. Here nothing is evaluated that was not validated, and a request whose
evaluation says anything but a plain Allow is denied. `cedarpy` is imported late: guests do not
have it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from manatee.errors import SettingsError
from manatee.policy._cedar_json import policy_json
from manatee.policy._locate import locate
from manatee.policy._parser import parse
from manatee.policy._problems import PolicyProblemError, Problem, Span, policy_error, problem
from manatee.policy._syntax import Policy, expressions
from manatee.policy._texts import NAME_FORM
from manatee.policy._vocabulary import schema_text


@dataclass(frozen=True)
class CompiledPolicies:
    """Policies that were read, agreed upon and validated; only these are ever evaluated.

    `engine` and `schema` are handles of the Cedar engine.
    """

    text: str
    policies: tuple[Policy, ...]
    organisations: tuple[str, ...]
    engine: Any
    schema: Any


@dataclass(frozen=True)
class Outcome:
    """What Cedar said of one request. `allowed` is False whenever there is an error.

    `deciding` holds the policies that decided: the permits that allowed, or the forbids that
    denied; none where no permit applied.
    """

    allowed: bool
    deciding: tuple[Policy, ...]
    errors: tuple[str, ...]


def cedar() -> Any:
    """Return the Cedar engine's module.

    Raises:
        SettingsError: It is not installed.
    """
    try:
        import cedarpy
    except ImportError as error:
        raise SettingsError(
            "release policies need the Cedar engine, which is not installed.",
            hint="pip install 'manatee[policy]'",
        ) from error
    return cedarpy


def _validate(
    text: str, organisations: tuple[str, ...]
) -> tuple[CompiledPolicies | None, tuple[Problem, ...]]:
    try:
        policies = parse(text)
    except PolicyProblemError as error:
        return None, (problem(text, error.span, error.message, error.hint),)
    engine = cedar()
    try:
        schema = engine.Schema.from_str(schema_text(organisations))
        handle = engine.PolicySet.from_str(text)
        theirs = json.loads(engine.policies_to_json_str(text))
    except ValueError as error:
        said = str(error).splitlines()[-1][:200]
        return None, (problem(text, Span(0, 0), f"Cedar does not read this: {said}."),)
    problems = _disagreements(text, policies, theirs)
    if not problems:
        result = engine.validate_policies(text, schema)
        if not result.validation_passed or result.errors:
            problems = locate(engine, schema, text, policies, result)
    if problems:
        return None, problems
    return CompiledPolicies(text, policies, organisations, handle, schema), ()


def _disagreements(
    text: str, policies: tuple[Policy, ...], theirs: dict[str, Any]
) -> tuple[Problem, ...]:
    """Compare both readings; any difference makes the text unusable."""
    static = theirs.get("staticPolicies", {})
    if theirs.get("templates") or theirs.get("templateLinks") or len(static) != len(policies):
        return (problem(text, Span(0, 0), "this text is read in two ways; it is refused."),)
    return tuple(
        problem(text, policy.span, f"{policy.name} is read in two ways; it is refused.")
        for policy in policies
        if static.get(f"policy{policy.number}") != policy_json(policy)
    )


def named_organisations(text: str) -> tuple[str, ...]:
    """Return the organisations whose approvals a text counts; none if it cannot be read."""
    try:
        policies = parse(text)
    except PolicyProblemError:
        return ()
    found = {
        str(node.value)
        for policy in policies
        for node in expressions(policy)
        if node.op == "attribute"
        and node.args[0].op == "attribute"
        and node.args[0].value == "approvals"
    }
    return tuple(sorted(name for name in found if NAME_FORM.fullmatch(name) and len(name) <= 63))


def find_problems(text: str, organisations: tuple[str, ...]) -> tuple[Problem, ...]:
    """Return everything wrong with a policy text; empty if it may be used.

    Args:
        text: Cedar.
        organisations: Whose approvals it may count.

    Raises:
        SettingsError: The Cedar engine is not installed.
    """
    return _validate(text, organisations)[1]


def compile_policies(text: str, organisations: tuple[str, ...]) -> CompiledPolicies:
    """Make a text usable.

    Raises:
        PolicyError: It is refused as written; the message gives line and column.
        SettingsError: The Cedar engine is not installed.
    """
    compiled, problems = _validate(text, organisations)
    if compiled is None or problems:
        raise policy_error(problems)
    return compiled


def evaluate(
    compiled: CompiledPolicies, request: dict[str, Any], entities: list[dict[str, Any]]
) -> Outcome:
    """Ask Cedar one request.

    Args:
        compiled: Validated policies.
        request: Principal, action, resource and context, in Cedar's JSON form.
        entities: With their attributes and parents, in Cedar's JSON form.
    """
    try:
        answer = cedar().is_authorized(request, compiled.engine, entities, schema=compiled.schema)
        errors = tuple(str(error) for error in answer.diagnostics.errors)
        ids = tuple(str(name) for name in answer.diagnostics.reasons)
        plain_allow = answer.decision.name == "Allow"
    except (ValueError, TypeError, KeyError) as error:
        return Outcome(False, (), (f"Cedar could not answer: {type(error).__name__}",))
    by_id = {f"policy{policy.number}": policy for policy in compiled.policies}
    if not set(ids) <= set(by_id):
        errors = (*errors, "Cedar named a policy that is not in the text")
    deciding = tuple(by_id[name] for name in ids if name in by_id)
    permitted = bool(deciding) and all(policy.effect == "permit" for policy in deciding)
    return Outcome(plain_allow and permitted and not errors, deciding, errors)
