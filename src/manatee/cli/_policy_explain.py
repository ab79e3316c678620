"""How explanations of policies and their differences are printed."""

from __future__ import annotations

import typer

from manatee._clock import parse_timestamp
from manatee.cli._output import Format, print_json
from manatee.cli._policy_files import PolicyFile
from manatee.errors import KeyDeniedError, MalformedError, meaning
from manatee.policy import (
    Counterexample,
    PolicyExplanation,
    PolicyQuestion,
    evaluate,
    explain_policies,
    failed_check,
    guard_guest,
    in_force,
    question_request,
)

_MARKS = {True: "✓", False: "✗", None: "–"}


def _before_cedar(policy: PolicyFile, question: PolicyQuestion) -> tuple[str, str] | None:
    """Return check and reason if no policy would be asked at all."""
    try:
        guard_guest(
            debug=question.debug,
            migration=question.migration,
            tier=question.tier,
            labels=(question.label,),
            insecure_settings=question.insecure_settings,
        )
    except KeyDeniedError as error:
        return error.check, error.message
    try:
        at = parse_timestamp(question.at)
    except ValueError as error:
        raise MalformedError("request: `at` is an impossible time.") from error
    if policy.document is not None and not in_force(policy.document, at):
        return "dates", "the policy is not in force then."
    return None


def _lines(explained: tuple[PolicyExplanation, ...]) -> list[str]:
    lines = []
    for item in explained:
        word = "applies" if item.applies else "does not apply"
        lines.append(f"{_MARKS[item.applies]} {item.effect} {item.name} {word} (line {item.line})")
        for part in item.conditions:
            lines.append(f"    {_MARKS[part.holds]} {part.line}:{part.column} {part.text}")
    return lines


def explain_file(
    policy: PolicyFile, question: PolicyQuestion, provider: str, output: Format
) -> None:
    """Print why a request is allowed or denied; end with the exit code of a denial if it is."""
    compiled = policy.compiled()
    if policy.document is not None:
        provider = policy.document.provider
    request = question_request(question, provider=provider, organisations=compiled.organisations)
    guarded = _before_cedar(policy, question)
    outcome = evaluate(compiled, request.request, request.entities)
    explained = explain_policies(compiled, request)
    allowed = guarded is None and outcome.allowed
    if guarded is not None:
        check = guarded[0]
    elif allowed:
        check = ""
    else:
        check = "policy" if outcome.errors else failed_check(explained)
    if output is Format.JSON:
        print_json({"allowed": allowed, "check": check, "policies": [
            {"name": item.name, "effect": item.effect, "line": item.line, "applies": item.applies,
             "conditions": [
                 {"text": part.text, "line": part.line, "column": part.column,
                  "holds": part.holds, "check": part.check}
                 for part in item.conditions]}
            for item in explained]})  # fmt: skip
    else:
        typer.echo("allowed" if allowed else f"denied, check: {check}")
        if guarded is not None:
            typer.echo(f"✗ before any policy: {guarded[1]}")
        for line in (*_lines(explained), *(f"✗ {error}" for error in outcome.errors)):
            typer.echo(line)
    if not allowed:
        raise typer.Exit(meaning(KeyDeniedError).exit_code)


def print_counterexample(found: Counterexample, output: Format) -> None:
    """Print a request that NEW allows and OLD does not."""
    if output is Format.JSON:
        print_json({"verdict": "more", "request": list(found.words),
                    "context": found.new.context})  # fmt: skip
        return
    typer.echo("NEW allows a request that OLD does not:")
    for line in found.words:
        typer.echo(f"  {line}")
    if not found.old_in_force:
        typer.echo("OLD is not in force then.")
    typer.echo("OLD:")
    for line in _lines(found.why_denied) or ["  no policy"]:
        typer.echo(f"  {line}")
    typer.echo("NEW:")
    for line in _lines(tuple(item for item in found.why_allowed if item.applies)):
        typer.echo(f"  {line}")
