"""`manatee audit`: who did what and when, each event proved to be in the log; `admin check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from manatee.cli._audit_proofs import prove_events
from manatee.cli._options import Output, open_client
from manatee.cli._output import Format, print_json, print_rows
from manatee.errors import SettingsError
from manatee.settings import load_settings

if TYPE_CHECKING:
    from manatee.ledger import LogTrust, SignedCheckpoint


def audit(
    dataset: Annotated[str | None, typer.Option(help="About this data set.")] = None,
    project: Annotated[str | None, typer.Option(help="In this project.")] = None,
    person: Annotated[str | None, typer.Option(help="By or about this account.")] = None,
    job: Annotated[str | None, typer.Option(help="About this job.")] = None,
    trust: Annotated[
        Path | None,
        typer.Option(help="JSON: origin, log_key, witnesses, quorum. Proves every event."),
    ] = None,
    kept: Annotated[
        Path | None,
        typer.Option(
            help="A checkpoint of yours: the log must have grown from it, then it is the newest."
            " Made if it is not there."
        ),
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """List who did what and when; with --trust, prove that each event is in the audit log.

    Without --trust the list is the service's word.
    """
    if kept is not None and trust is None:
        raise SettingsError("--kept needs --trust: a checkpoint is believed by the log's key.")
    newest = None
    client = open_client()
    events = list(client.audit(dataset=dataset, project=project, person=person, job=job))
    if trust is not None:
        newest = prove_events(client, events, read_log_trust(trust), kept)
    if output is Format.JSON:
        print_json({"proved": trust is not None, "events": events})
        return
    print_rows(
        ("number", "at", "who", "did", "outcome", "organisation", "project", "job", "person"),
        [
            (
                str(event.number),
                event.at,
                event.actor,
                event.action,
                event.outcome,
                event.organisation or "",
                event.project or "",
                event.job or "",
                event.person or "",
            )
            for event in events
        ],
    )
    word = "not proved: give --trust"
    if newest is not None:
        word = f"proved to be in the log of now {newest.checkpoint.size} events"
    typer.echo(f"{len(events)} events, {word}", err=True)


def read_log_trust(path: Path) -> LogTrust:
    """Read which log to believe.

    Raises:
        SettingsError: It cannot be read.
        MalformedError: It is no trust file.
    """
    from manatee.ledger import LogTrust
    from manatee.records import read_record

    try:
        return read_record(path.read_bytes(), LogTrust, what="trust")
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}).") from error


def check(
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Kept from earlier: finds a log that was put back or made anew."),
    ] = None,
    allow_older: Annotated[
        bool,
        typer.Option(
            "--allow-older",
            help="Pass over rows that say they are from before the trail began.",
        ),
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Compare database and audit log: finds rows that were edited, deleted or slipped in.

    Runs on the machine of the service, also while it works. Ends with 10 if anything is found.
    """
    from manatee._clock import system_clock
    from manatee.errors import NotVerifiedError, meaning
    from manatee.sequencer import check_installation, open_audit_log
    from manatee.store import open_store

    kept = None if checkpoint is None else _read_checkpoint(checkpoint)
    settings = load_settings()
    store = open_store(
        settings.home,
        clock=system_clock,
        database_url=settings.database_url,
        blobs_url=settings.blob_store_url,
    )
    try:
        found = list(
            check_installation(
                store,
                open_audit_log(settings.home),
                clock=system_clock,
                kept=kept,
                allow_older=allow_older,
            )
        )
    finally:
        store.close()
    if output is Format.JSON:
        rows = [{"what": item.what, "where": item.where, "problem": item.problem} for item in found]
        print_json({"findings": rows})
    elif found:
        print_rows(("where", "problem"), [(item.where, item.problem) for item in found])
    else:
        typer.echo("database and audit log agree.")
    if found:
        raise typer.Exit(meaning(NotVerifiedError).exit_code)


def _read_checkpoint(path: Path) -> SignedCheckpoint:
    from manatee.ledger import parse_checkpoint

    try:
        return parse_checkpoint(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}).") from error


def trust() -> None:
    """Print what readers need to believe this installation's audit log: pin it elsewhere."""
    from manatee.sequencer import open_audit_log

    print_json(open_audit_log(load_settings().home).trust())
