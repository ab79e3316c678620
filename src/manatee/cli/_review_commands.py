"""Commands of the output reviewer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from manatee.cli._options import Output, open_client
from manatee.cli._output import Format, print_json, print_rows
from manatee.errors import ConflictError
from manatee.records import JobAnswer

JobId = Annotated[str, typer.Argument(help="Id of the job.")]
IdentityFile = Annotated[
    Path, typer.Option("--identity", help="Your identity, as `manatee new-identity` made it.")
]
Reason = Annotated[str, typer.Option(help="Why; the researcher reads it.")]


def waiting(output: Output = Format.TABLE) -> None:
    """List the jobs whose outputs wait for your decision, the oldest first."""
    found = [job for job in open_client().jobs() if job.state == "awaiting_release"][::-1]
    if output is Format.JSON:
        print_json(found)
        return
    print_rows(
        ("job", "researcher", "project", "data sets", "waits since"),
        [
            (
                job.id,
                job.manifest.researcher,
                job.manifest.project,
                ", ".join(use.name for use in job.manifest.datasets),
                job.updated_at,
            )
            for job in found
        ],
    )


def open_(
    job: JobId,
    identity: IdentityFile,
    out: Annotated[Path, typer.Option(help="New folder: a run bundle, with the outputs in it.")],
    output: Output = Format.TABLE,
) -> None:
    """Open the outputs of a job that waits, as a run bundle that `manatee verify` appraises."""
    from manatee.cli._people import read_identity
    from manatee.releasing import fetch_bundle, open_for_review

    client, secret = open_client(), read_identity(identity).identity
    item = open_for_review(client, job, identity=secret)
    fetch_bundle(client, job, identity=secret, folder=out)
    if output is Format.JSON:
        print_json(item.run.result.disclosure)
        return
    typer.echo(f"{len(item.outputs.files)} files in {out}; nothing has been decided.\n")
    print_rows(
        ("check", "passed", "reason"),
        [
            (check.title, "yes" if check.passed else "NO", check.reason)
            for check in item.run.result.disclosure.checks
        ],
    )


def approve(
    job: JobId, identity: IdentityFile, reason: Reason, output: Output = Format.TABLE
) -> None:
    """Release the outputs of a job: they are sealed for its researcher, here, and uploaded."""
    from manatee.cli._people import read_identity
    from manatee.releasing import approve as release
    from manatee.releasing import open_for_review

    client = open_client()
    item = open_for_review(client, job, identity=read_identity(identity).identity)
    _tell(release(client, item, reason=reason), output)


def reject(job: JobId, reason: Reason, output: Output = Format.TABLE) -> None:
    """Keep the outputs of a job back: it ends rejected."""
    from manatee.releasing import reject as keep_back

    _tell(keep_back(open_client(), job, reason=reason), output)


def _tell(job: JobAnswer, output: Format) -> None:
    if job.state not in ("awaiting_release", "released", "rejected"):
        raise ConflictError(f"the job is {job.state}.")
    if output is Format.JSON:
        print_json(job)
    else:
        typer.echo(f"{job.id} is decided; it is {job.state.replace('_', ' ')}.")


def add_to(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    group = typer.Typer(no_args_is_help=True, help="Outputs that wait for release (reviewer).")
    group.command("list")(waiting)
    group.command("open")(open_)
    group.command("approve")(approve)
    group.command("reject")(reject)
    app.add_typer(group, name="review")
