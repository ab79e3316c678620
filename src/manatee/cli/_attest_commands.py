"""`manatee attest`: look at evidence, verify it offline, and keep vendors' collateral."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from manatee._clock import system_clock
from manatee.attestation import ExpectedBinding, appraise
from manatee.cli import _collateral_commands
from manatee.cli._attest_input import (
    NO_REFERENCE_VALUES,
    NOTHING_EXPECTED,
    expected_binding,
    read_endorsements,
    read_evidence,
    read_moment,
    read_policy,
)
from manatee.cli._attest_output import (
    detail_rows,
    plain,
    print_result,
    result_json,
)
from manatee.cli._attest_parse import parse_evidence
from manatee.cli._options import Output
from manatee.cli._output import Format, print_json, print_rows
from manatee.errors import AppraisalRefusedError, AppraisalUnavailableError, meaning

_attest = typer.Typer(
    help="Evidence of TEEs: inspect it, verify it offline, keep vendors' collateral.",
    no_args_is_help=True,
)

File = Annotated[Path, typer.Argument(help="Evidence record (JSON), or with --kind raw bytes.")]
Kind = Annotated[str, typer.Option("--kind", help="Kind of raw evidence, such as intel-tdx.")]
At = Annotated[str, typer.Option("--at", help="Moment to judge at, UTC; now if not given.")]
Given = Annotated[
    list[str] | None,
    typer.Option(
        "--endorsement",
        help="FILE of certificates, crl=FILE, or NAME=FILE for a document; may be repeated.",
    ),
]
Folder = Annotated[Path | None, typer.Option("--collateral", help="Collateral folder.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    _attest.add_typer(_collateral_commands.commands, name="collateral")
    app.add_typer(_attest, name="attest")


@_attest.command("inspect")
def inspect(
    file: File,
    kind: Kind = "",
    at: At = "",
    endorsement: Given = None,
    collateral: Folder = None,
    output: Output = Format.TABLE,
) -> None:
    """Show what evidence says, without believing it: no policy is applied, nothing is accepted."""
    evidence = read_evidence(file, kind)
    moment = read_moment(at) if at else system_clock()
    fields = plain(parse_evidence(evidence))
    try:
        result = appraise(
            evidence,
            at=moment,
            expected_binding=NOTHING_EXPECTED,
            reference_values=NO_REFERENCE_VALUES,
            max_age_seconds=None,
            endorsements=read_endorsements(endorsement or (), collateral, kind),
        )
    except (AppraisalUnavailableError, AppraisalRefusedError) as error:
        sys.stderr.write(f"Signatures were not checked: {error.message}\n")
        claims = None
    else:
        claims = None if result.claims is None else plain(result.claims)
    answer = {"media_type": evidence.media_type, "claims": claims, "fields": fields}
    if output is Format.JSON:
        print_json(answer)
        return
    rows = detail_rows({"fields": fields} if claims is None else {"claims": claims})
    print_rows(("name", "value"), [("media type", evidence.media_type), *rows])
    sys.stderr.write("Nothing of this is accepted: see manatee attest verify.\n")


@_attest.command("verify")
def verify(
    file: File,
    policy: Annotated[Path, typer.Option(help="Reference values, JSON.")],
    kind: Kind = "",
    at: At = "",
    nonce: Annotated[str, typer.Option(help="Nonce the evidence must carry, hexadecimal.")] = "",
    nonce_text: Annotated[str, typer.Option(help="Nonce of a token, as text.")] = "",
    report_data: Annotated[str, typer.Option(help="64 bytes of report data, hexadecimal.")] = "",
    binding: Annotated[
        str, typer.Option(help="Bytes whose hash the evidence must carry, hexadecimal.")
    ] = "",
    max_age_seconds: Annotated[
        int | None, typer.Option(min=0, help="Oldest dated evidence accepted.")
    ] = None,
    endorsement: Given = None,
    collateral: Folder = None,
    output: Output = Format.TABLE,
) -> None:
    """Verify evidence offline against reference values: every check, with its reason.

    Exit code 0: accepted; 7: refused, or collateral is missing; 2: not evidence of that kind.
    """
    expected: ExpectedBinding = expected_binding(
        nonce=nonce, nonce_text=nonce_text, report_data=report_data, binding=binding
    )
    reference_values = read_policy(policy)
    evidence = read_evidence(file, kind)
    moment = read_moment(at) if at else system_clock()
    result = appraise(
        evidence,
        at=moment,
        expected_binding=expected,
        reference_values=reference_values,
        max_age_seconds=max_age_seconds,
        endorsements=read_endorsements(endorsement or (), collateral, kind),
    )
    if output is Format.JSON:
        print_json(result_json(result, moment))
    else:
        print_result(result)
    if not result.accepted:
        raise typer.Exit(meaning(AppraisalRefusedError).exit_code)
