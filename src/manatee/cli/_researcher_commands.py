"""Commands of the researcher."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from manatee.cli._options import Output, open_client
from manatee.cli._output import Format, print_json, print_rows
from manatee.errors import ConflictError, MalformedError
from manatee.jobs import TERMINAL_STATES
from manatee.records import Scalar
from manatee.settings import load_settings

Workspace = Annotated[Path, typer.Argument(help="Folder with the notebook and all it needs.")]
Notebook = Annotated[str, typer.Option(help="The notebook, inside the workspace.")]
Datasets = Annotated[list[str], typer.Option("--dataset", help="A data set; repeatable.")]
Parameters = Annotated[
    list[str] | None, typer.Option("--param", help="NAME=JSON value; repeatable.")
]
Outputs = Annotated[
    list[str] | None, typer.Option("--declare", help="A file the notebook publishes; repeatable.")
]
IdentityFile = Annotated[Path, typer.Option("--identity", help="Your researcher identity.")]


def new_identity(path: Path) -> None:
    """Make your age identity, to which guests seal your outputs; prints the public half."""
    from manatee.cli._people import new_researcher_identity

    typer.echo(new_researcher_identity(path).recipient)


def datasets(output: Output = Format.TABLE) -> None:
    """List the catalogue."""
    entries = open_client().datasets()
    if output is Format.JSON:
        print_json(list(entries))
        return
    print_rows(
        ("name", "provider", "label", "version"),
        [
            (
                entry.publication.dataset.name,
                entry.publication.dataset.provider,
                entry.publication.dataset.label,
                entry.version,
            )
            for entry in entries
        ],
    )


def _parameters(given: list[str] | None) -> dict[str, Scalar]:
    found: dict[str, Scalar] = {}
    for text in given or []:
        name, sign, value = text.partition("=")
        try:
            parsed = json.loads(value)
        except json.JSONDecodeError:
            parsed = value
        if not sign or not name or isinstance(parsed, list | dict):
            raise MalformedError("--param wants NAME=VALUE with one number, text, true or null.")
        found[name] = parsed
    return found


def rehearse(
    workspace: Workspace,
    dataset: Datasets,
    identity: IdentityFile,
    notebook: Notebook = "notebook.ipynb",
    param: Parameters = None,
    declare: Outputs = None,
    project: Annotated[str, typer.Option()] = "rehearsal",
    resource_class: Annotated[str, typer.Option()] = "small",
    folder: Annotated[Path, typer.Option("--into", help="New folder for the outputs.")] = Path(
        "rehearsal"
    ),
    output: Output = Format.TABLE,
) -> None:
    """Run the notebook on the twins, in the very sandbox and runtime of the secure stage."""
    from manatee.cli._people import read_identity
    from manatee.cli._researcher import Work, describe_exit
    from manatee.cli._researcher import rehearse as run_rehearsal
    from manatee.cli._tee import tee_named

    if folder.exists():
        raise ConflictError(f"{folder} exists.", hint="Choose another with --into.")
    client, settings, me = open_client(), load_settings(), read_identity(identity)
    tee = tee_named(settings.tee)
    outcome = run_rehearsal(
        Work(
            workspace=workspace,
            notebook=notebook,
            parameters=_parameters(param),
            datasets=tuple(dataset),
            declared_outputs=tuple(declare or ()),
            purpose="dress rehearsal on the twin",
            project=project,
            researcher=client.whoami().name,
            recipient=me.recipient,
            resource_class=resource_class,
            backend_kind=tee.backend_kind,
        ),
        client=client,
        backend=tee.backend(settings.home / "rehearsal", settings.home),
        runtime=settings.runtime,
        identity=me.identity,
        progress=lambda text: print(text, file=sys.stderr),
    )
    for file in outcome.files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)
    if output is Format.JSON:
        print_json({"exit": outcome.exit, "folder": str(folder.absolute())})
    else:
        typer.echo(f"{describe_exit(outcome.exit)}; outputs in {folder}")
    if not outcome.exit.succeeded:
        raise typer.Exit(11)


def submit(
    workspace: Workspace,
    dataset: Datasets,
    identity: IdentityFile,
    purpose: Annotated[str, typer.Option(help="What for; the providers read it.")],
    project: Annotated[str, typer.Option()],
    notebook: Notebook = "notebook.ipynb",
    param: Parameters = None,
    declare: Outputs = None,
    resource_class: Annotated[str, typer.Option()] = "small",
    submission: Annotated[int, typer.Option(min=1, help="Raise it to ask for another run.")] = 1,
    twin_report: Annotated[
        bool,
        typer.Option("--twin-report", help="Report where the twin misled; costs privacy budget."),
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Submit a job for the private tables; nothing runs before every provider approved it."""
    from manatee.cli._people import read_identity
    from manatee.cli._researcher import Work
    from manatee.cli._researcher import submit as submit_work
    from manatee.cli._tee import tee_named
    from manatee.runtime import runtime_digest

    client = open_client()
    job = submit_work(
        Work(
            workspace=workspace,
            notebook=notebook,
            parameters=_parameters(param),
            datasets=tuple(dataset),
            declared_outputs=tuple(declare or ()),
            purpose=purpose,
            project=project,
            researcher=client.whoami().name,
            recipient=read_identity(identity).recipient,
            resource_class=resource_class,
            backend_kind=tee_named(load_settings().tee).backend_kind,
            submission=submission,
            twin_report=twin_report,
        ),
        client=client,
        runtime=runtime_digest(load_settings().runtime),
    )
    if output is Format.JSON:
        print_json(job)
    else:
        typer.echo(f"{job.id} {job.job_digest}")


def job_list(output: Output = Format.TABLE) -> None:
    """List your jobs, newest first."""
    found = list(open_client().jobs())
    if output is Format.JSON:
        print_json(found)
        return
    print_rows(
        ("job", "state", "cause", "created", "purpose"),
        [
            (
                job.id,
                job.state,
                job.cause.value if job.cause else "",
                job.created_at,
                job.manifest.purpose,
            )
            for job in found
        ],
    )


def job_show(job_id: str) -> None:
    """Print a job with its whole manifest, as JSON."""
    print_json(open_client().job(job_id))


def job_watch(job_id: str) -> None:
    """Follow a job until it ends; the exit code says how."""
    from manatee.cli._researcher import describe_event, explain_failure

    client = open_client()
    for event in client.events(job_id):
        if event.progress is None:
            typer.echo(f"{event.at} {event.state}")
        else:
            progress = event.progress
            text = describe_event(progress.phase, progress.cell, progress.cells_total)
            typer.echo(f"{event.at}   {text}")
    job = client.job(job_id)
    if job.state != "released":
        raise explain_failure(job)


def job_cancel(job_id: str) -> None:
    """Cancel a job; a running guest is killed."""
    typer.echo(open_client().cancel(job_id).state)


def job_fetch(
    job_id: str,
    identity: IdentityFile,
    bundle: Annotated[Path, typer.Option(help="New folder for the run bundle.")],
) -> None:
    """Download a released job: outputs, code and proof, as one run bundle."""
    from manatee.cli._people import read_identity
    from manatee.cli._researcher import explain_failure
    from manatee.releasing import fetch_bundle

    client = open_client()
    job = client.job(job_id)
    if job.state != "released":
        if job.state in {state.value for state in TERMINAL_STATES}:
            raise explain_failure(job)
        raise ConflictError(f"the job is {job.state}.", hint="`manatee job watch` waits for it.")
    fetch_bundle(client, job_id, identity=read_identity(identity).identity, folder=bundle)
    typer.echo(str(bundle.absolute()))


def add_to(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    app.command()(datasets)
    app.command()(rehearse)
    app.command()(submit)
    app.command("new-identity")(new_identity)
    job = typer.Typer(no_args_is_help=True, help="Follow jobs, fetch what they released.")
    job.command("list")(job_list)
    job.command("show")(job_show)
    job.command("watch")(job_watch)
    job.command("cancel")(job_cancel)
    job.command("fetch")(job_fetch)
    app.add_typer(job, name="job")
