"""`manatee policy …`: write, check, sign, explain and compare release policies."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from manatee._clock import system_clock, timestamp
from manatee.cli._options import Output
from manatee.cli._output import Format, print_json
from manatee.errors import MalformedError, PolicyError, meaning
from manatee.policy import (
    TEMPLATES,
    PolicyDocument,
    PolicyQuestion,
    Problem,
    TemplateParameters,
    compare,
    render_template,
    sign_policy,
)
from manatee.records import canonical_json, read_record

CANNOT_TELL = meaning(PolicyError).exit_code
"""Exit code of `policy diff` when there is neither proof nor counterexample."""


def new(
    template: Annotated[str, typer.Argument(help="One of: " + ", ".join(TEMPLATES))],
    parameters: Annotated[Path, typer.Argument(help="JSON file with the template's parameters.")],
) -> None:
    """Print a policy for one of the usual cases, as Cedar text to save and edit."""
    from manatee.cli._policy_files import read_bytes

    given = read_record(read_bytes(parameters, "parameters"), TemplateParameters, what="parameters")
    typer.echo(render_template(template, given), nl=False)


def templates(output: Output = Format.TABLE) -> None:
    """List the templates and the parameters each one needs."""
    from manatee.cli._output import print_rows

    if output is Format.JSON:
        print_json({name: {"title": t.title, "needs": list(t.needs)} for name, t in
                    TEMPLATES.items()})  # fmt: skip
        return
    rows = [(name, item.title, ", ".join(item.needs)) for name, item in TEMPLATES.items()]
    print_rows(("template", "allows", "needs"), rows)


def vocabulary() -> None:
    """Print everything a policy may speak of, as a Cedar schema with comments."""
    from manatee.policy import schema_text

    typer.echo(schema_text(("organisation",)), nl=False)


def _show(path: Path, found: Problem) -> str:
    place = f"{path}:{found.line}:{found.column}: {found.message}"
    lines = [place]
    if found.source:
        lines += [f"  {found.source}", "  " + " " * (found.column - 1) + "^" * found.length]
    if found.hint:
        lines.append(f"  {found.hint}")
    return "\n".join(lines)


def check(file: Path, output: Output = Format.TABLE) -> None:
    """Check a policy: everything wrong with it, with its place; nothing means it may be signed."""
    from manatee.cli._policy_files import read_policy_file

    policy = read_policy_file(file)
    problems = policy.problems()
    if output is Format.JSON:
        print_json({"good": not problems, "problems": [
            {"line": item.line, "column": item.column, "message": item.message, "hint": item.hint}
            for item in problems
        ]})  # fmt: skip
    elif problems:
        for item in problems:
            typer.echo(_show(file, item))
    else:
        count = len(policy.compiled().policies)
        counted = ", ".join(policy.organisations) or "nobody"
        policies = "1 policy" if count == 1 else f"{count} policies"
        typer.echo(f"{file}: good. {policies}; counts approvals by: {counted}.")
        if count == 0:
            typer.echo("It allows nothing.")
    if problems:
        raise typer.Exit(meaning(PolicyError).exit_code)


def _approver_keys(given: list[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for item in given:
        organisation, separator, key = item.partition("=")
        if not separator:
            raise MalformedError(
                "an approver is given as ORGANISATION=KEY.",
                hint="KEY is what `manatee new-approver-key` printed.",
            )
        found[organisation] = (*found.get(organisation, ()), key)
    return found


def sign(
    file: Annotated[Path, typer.Argument(help="Cedar text.")],
    signed: Annotated[Path, typer.Argument(help="New file for the signed policy, .json.")],
    key: Annotated[Path, typer.Option(help="Your policy key, made by `new-approver-key`.")],
    provider: Annotated[str, typer.Option(help="Whose data the policy is about.")],
    version: Annotated[int, typer.Option(min=1, help="Higher than the last one signed.")],
    approver: Annotated[
        list[str] | None,
        typer.Option(help="ORGANISATION=PUBLIC KEY whose approvals count; repeat."),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3660, help="In force from now, days.")] = 90,
) -> None:
    """Sign a policy that was checked; brokers take it only with this signature."""
    from manatee.cli._people import read_approver_key
    from manatee.cli._policy_files import read_policy_file
    from manatee.keybroker import write_private
    from manatee.records import to_record

    if signed.suffix != ".json":
        raise MalformedError("the name of a signed policy ends in .json.")
    policy = read_policy_file(file)
    now = system_clock()
    document = to_record(
        {
            "provider": provider,
            "version": version,
            "valid_from": timestamp(now),
            "valid_until": timestamp(now + timedelta(days=days)),
            "approver_keys": {
                name: list(keys) for name, keys in _approver_keys(approver or []).items()
            },
            "cedar": policy.text,
        },
        PolicyDocument,
        what="policy",
    )
    made = sign_policy(read_approver_key(key).raw, document)
    write_private(signed, canonical_json(made))
    typer.echo(f"signed {signed}: version {version}, until {document.valid_until}")


def explain(
    file: Path,
    request: Annotated[Path, typer.Option(help="JSON file: one request; see the guide.")],
    provider: Annotated[str, typer.Option(help="Whose data set it is, if unsigned.")] = "provider",
    output: Output = Format.TABLE,
) -> None:
    """Say why a request would be allowed or denied: each policy, each condition.

    Exit code 0 if it is allowed, 7 if it is denied, as a broker's refusal.
    """
    from manatee.cli._policy_explain import explain_file
    from manatee.cli._policy_files import read_bytes, read_policy_file

    question = read_record(read_bytes(request, "request"), PolicyQuestion, what="request")
    explain_file(read_policy_file(file), question, provider, output)


def diff(
    old: Annotated[Path, typer.Argument(help="The policy in use.")],
    new_policy: Annotated[Path, typer.Argument(metavar="NEW", help="The edited one.")],
    seconds: Annotated[float, typer.Option(min=0.1, max=600, help="For the solver.")] = 20,
    output: Output = Format.TABLE,
) -> None:
    """Say what NEW allows that OLD does not.

    Exit code 0: proof that it is nothing. 1: a request that shows it. 2: it cannot be told.
    """
    from manatee.cli._policy_explain import print_counterexample
    from manatee.cli._policy_files import comparable, read_policy_file

    left, right, text_only = comparable(read_policy_file(old), read_policy_file(new_policy))
    if text_only:
        sys.stderr.write("Only the Cedar text is compared: one file is not a signed policy.\n")
    outcome = compare(left, right, seconds=seconds)
    if outcome.counterexample is not None:
        print_counterexample(outcome.counterexample, output)
        raise typer.Exit(1)
    if not outcome.proved:
        raise PolicyError(
            "the solver came to no end; this is no proof of anything.",
            hint="Give it more --seconds, or make the policies simpler.",
        )
    if output is Format.JSON:
        print_json({"verdict": "nothing-more"})
    else:
        typer.echo("Proved: NEW allows nothing that OLD does not.")


def add_to(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    policy = typer.Typer(no_args_is_help=True, help="Release policies (data provider).")
    for command in (templates, vocabulary, new, check, sign, explain, diff):
        policy.command()(command)
    app.add_typer(policy, name="policy")
