"""`manatee audit`: who did what and when, each event proved to be in the log; `admin check`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from manatee.cli._options import Output, open_client
from manatee.cli._output import Format, print_json, print_rows
from manatee.errors import LedgerError, NotFoundError, SettingsError
from manatee.settings import load_settings

if TYPE_CHECKING:
    from manatee.client import ManateeClient
    from manatee.ledger import LogTrust, SignedCheckpoint
    from manatee.records import AuditEvent

_WAIT_SECONDS = 10.0
"""How long an event of a moment ago may take into the log."""


def audit(
    dataset: Annotated[str | None, typer.Option(help="About this data set.")] = None,
    project: Annotated[str | None, typer.Option(help="In this project.")] = None,
    person: Annotated[str | None, typer.Option(help="By or about this account.")] = None,
    job: Annotated[str | None, typer.Option(help="About this job.")] = None,
    trust: Annotated[
        Path | None,
        typer.Option(help="JSON: origin, log_key, witnesses, quorum. Proves every event."),
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """List who did what and when; with --trust, prove that each event is in the audit log.

    Without --trust the list is the service's word.
    """
    client = open_client()
    events = list(client.audit(dataset=dataset, project=project, person=person, job=job))
    if trust is not None:
        _prove(client, events, read_log_trust(trust))
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
    word = "proved to be in the log" if trust is not None else "not proved: give --trust"
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


def _prove(client: ManateeClient, events: Sequence[AuditEvent], trust: LogTrust) -> None:
    from manatee._clock import monotonic
    from manatee.ledger import parse_log_proof, verify_log_proof
    from manatee.records import canonical_json

    deadline = monotonic() + _WAIT_SECONDS
    roots: dict[int, bytes] = {}
    for event in events:
        while True:
            try:
                proof = client.audit_proof(event.number)
                break
            except NotFoundError:
                if monotonic() > deadline:
                    raise
                time.sleep(0.2)
        held = verify_log_proof(proof, canonical_json(event), trust)
        tree = parse_log_proof(proof).signed.checkpoint
        if roots.setdefault(tree.size, tree.root) != tree.root:
            raise LedgerError(f"the log signed two trees of {tree.size} events: it is forked.")
        if held.index != event.number - 1:
            raise LedgerError(
                f"event {event.number} stands in the log in another place than its number says."
            )


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
