"""Transparency logs: start one, append, prove, verify; witness, watch and mirror others."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from manatee.cli._options import Output
from manatee.cli._output import Format, print_json
from manatee.errors import SettingsError

Source = Annotated[str, typer.Argument(help="A log: its folder, or the address that serves it.")]
Trust = Annotated[Path, typer.Option(help="JSON: origin, log_key, witnesses, quorum.")]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}).") from error


def init(
    folder: Path, origin: Annotated[str, typer.Option(help="The log's name, such as a domain.")]
) -> None:
    """Start an empty log and print what readers need to believe it.

    The key is written to FOLDER-key.json, beside the folder: the folder itself may be published.
    """
    from manatee.ledger import ED25519, LogTrust, create_log, signer_in

    signer = signer_in(_key_of(folder), origin, ED25519)
    create_log(folder, signer)
    print_json(LogTrust(origin=signer.name, log_key=str(signer.key)))


def _key_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}-key.json")


def append(
    folder: Path, entries: Annotated[list[Path], typer.Argument(help="Files, an entry each.")]
) -> None:
    """Append files to a log; what is printed is durable and signed."""
    from manatee.ledger import ED25519, Ledger, signer_in

    if not _key_of(folder).exists():
        raise SettingsError(f"the log's key {_key_of(folder)} is not here.")
    data = [_read(path) for path in entries]
    with Ledger.open(folder, signer_in(_key_of(folder), "", ED25519)) as ledger:
        for index in ledger.append(data):
            typer.echo(index)


def show(source: Source, output: Output = Format.TABLE) -> None:
    """Show a log's checkpoint and who signed it; nothing is verified."""
    from manatee.ledger import LogReader, read_source

    signed = LogReader(read_source(source)).checkpoint()
    signers = [item.name for item in signed.note.signatures]
    found = {
        "origin": signed.checkpoint.origin,
        "size": signed.checkpoint.size,
        "root": signed.checkpoint.root.hex(),
        "signed_by": signers,
    }
    if output is Format.JSON:
        print_json(found)
        return
    for name, value in found.items():
        typer.echo(f"{name}\t{', '.join(value) if isinstance(value, list) else value}")


def prove(source: Source, index: Annotated[int, typer.Argument(min=0)]) -> None:
    """Print the proof that an entry is in a log (C2SP tlog-proof)."""
    from manatee.ledger import LogReader, read_source

    typer.echo(LogReader(read_source(source)).proof(index).encode().decode(), nl=False)


def verify(proof: Path, entry: Path, trust: Trust, output: Output = Format.TABLE) -> None:
    """Verify offline that a file is an entry of a log you trust. Exit code 14 if it is not."""
    from manatee.ledger import LogTrust, verify_log_proof
    from manatee.records import read_record

    known = read_record(_read(trust), LogTrust, what=str(trust))
    found = verify_log_proof(_read(proof), _read(entry), known)
    answer = {
        "index": found.index,
        "tree_size": found.tree_size,
        "cosigners": [{"name": name, "time": moment} for name, moment in found.cosigners],
    }
    if output is Format.JSON:
        print_json(answer)
    else:
        typer.echo(
            f"entry {found.index} of {found.tree_size}, "
            f"cosigned by {len(found.cosigners)} witness(es) you trust"
        )


def watch(
    source: Source,
    state: Annotated[Path, typer.Option(help="Folder to remember in.")],
    trust: Trust,
    mirror: Annotated[bool, typer.Option(help="Also keep the log's files there.")] = False,
    every: Annotated[int, typer.Option(min=0, help="Seconds between looks; 0: once.")] = 0,
) -> None:
    """Watch a log: every entry seen before must still be there. Exit code 14 on a fork."""
    from manatee.ledger import LogTrust, Monitor, read_source
    from manatee.records import read_record

    known = read_record(_read(trust), LogTrust, what=str(trust))
    monitor = Monitor(state, known)
    while True:
        seen = monitor.look(read_source(source), mirror=mirror)
        typer.echo(f"{seen.size} entries, {seen.size - seen.old_size} new; nothing was taken back")
        if not every:
            return
        time.sleep(every)


def mirror(source: Source, folder: Path, trust: Trust) -> None:
    """Copy a log you trust, or what is new of it; each entry is checked. Exit code 14 on a fork."""
    from manatee.ledger import LogTrust, Monitor, read_source
    from manatee.records import read_record

    known = read_record(_read(trust), LogTrust, what=str(trust))
    seen = Monitor(folder, known).look(read_source(source), mirror=True)
    typer.echo(f"{seen.size} entries in {folder}")


def serve(
    folder: Path,
    host: Annotated[str, typer.Option()] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8768,
) -> None:
    """Serve the public files of a log or mirror until SIGTERM: its checkpoint and its tiles."""
    from manatee.api import serve as run
    from manatee.ledger import LogReader, log_app, read_folder

    LogReader(read_folder(folder)).checkpoint()
    run(log_app(folder), host=host, port=port, on_started=lambda url: print(url, flush=True))


def witness(
    folder: Path,
    name: Annotated[str, typer.Option(help="The witness's name; used when its key is made.")],
    log: Annotated[list[str], typer.Option(help="Verifier key of a log to watch; repeat.")],
    host: Annotated[str, typer.Option()] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8767,
) -> None:
    """Run a witness (C2SP tlog-witness) until SIGTERM; its verifier key is printed first."""
    from manatee._clock import system_clock
    from manatee.api import serve
    from manatee.ledger import COSIGNATURE, Witness, parse_key, signer_in, witness_app

    signer = signer_in(_key_of(folder), name, COSIGNATURE)
    keys = [parse_key(text) for text in log]
    typer.echo(str(signer.key))
    watched = {key.name: key for key in keys}
    app = witness_app(Witness(folder, signer, watched, system_clock))
    serve(app, host=host, port=port, on_started=lambda url: print(url, flush=True))


def add_to(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    ledger = typer.Typer(no_args_is_help=True, help="Transparency logs.")
    for command in (init, append, show, prove, verify, witness, mirror, serve):
        ledger.command()(command)
    ledger.command("monitor")(watch)
    app.add_typer(ledger, name="ledger")
