"""Commands of the data provider."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from manatee._clock import system_clock
from manatee.cli._options import Output, open_client
from manatee.cli._output import Format, print_json
from manatee.errors import ConflictError, MalformedError
from manatee.policy import sign_approval


def new_approver(path: Path) -> None:
    """Make an approver's signing key and print its public half."""
    from manatee.cli._people import new_approver_key

    typer.echo(new_approver_key(path).public_key)


def publish(folder: Path) -> None:
    """Upload what `manatee seal` prepared and put it into the catalogue; prints versions."""
    from manatee.cli._provider import prepared_folders
    from manatee.cli._provider import publish as publish_folder

    client = open_client()
    for prepared in prepared_folders(folder):
        typer.echo(publish_folder(client, prepared, lambda text: print(text, file=sys.stderr)))


def approve(
    job_id: str,
    key: Annotated[Path, typer.Option(help="Your approver key.")],
    digest: Annotated[
        str | None, typer.Option(help="The job digest you reviewed; refused if it is another.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Approve one job: signs its digest with your key. Good for that digest and nothing else."""
    from manatee.cli._people import read_approver_key
    from manatee.records import digest_record

    client = open_client()
    job = client.job(job_id)
    found = digest_record(job.manifest)
    if found != job.job_digest or (digest is not None and digest != found):
        raise ConflictError(
            "the job is not the one you reviewed: its digest is another.",
            hint="Review it again; `manatee job show` prints the manifest.",
        )
    me = client.whoami().name
    if me not in job.providers:
        raise MalformedError("the job uses no data set of yours.")
    approval = sign_approval(
        read_approver_key(key).raw,
        provider=me,
        approver=me,
        job_digest=found,
        at=system_clock(),
    )
    answer = client.approve(job_id, approval)
    if output is Format.JSON:
        print_json(answer)
    else:
        typer.echo(f"approved {job_id} {found}")


def reject(job_id: str, reason: Annotated[str, typer.Option(help="For the researcher.")]) -> None:
    """Refuse a job that asks for approval; it ends rejected."""
    open_client().reject(job_id, reason)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    app.command()(publish)
    app.command()(approve)
    app.command()(reject)
    app.command("new-approver-key")(new_approver)
