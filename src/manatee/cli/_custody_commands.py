"""Commands of the data provider's key custody."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from manatee.cli._options import Output
from manatee.cli._output import Format, print_json, print_rows
from manatee.errors import SettingsError

if TYPE_CHECKING:
    from manatee.custody import CustodyDescription, KeySettings

_KeyFile = Annotated[
    Path | None,
    typer.Option("--key", help="JSON with kind and settings of a key; else an age identity."),
]
_Generate = Annotated[
    bool, typer.Option("--generate", help="Make the key in its PKCS#11 token first.")
]


def _settings(folder: Path, file: Path | None, *, generate: bool) -> KeySettings | None:
    from manatee.custody import generate_key, read_key_settings

    if file is None:
        if generate:
            raise SettingsError("--generate makes the key that --key describes; name one.")
        return None
    settings = read_key_settings(file)
    if generate:
        generate_key(settings, folder)
    return settings


def _print(keys: tuple[CustodyDescription, ...], output: Format) -> None:
    if output is Format.JSON:
        print_json([_as_json(key) for key in keys])
        return
    rows = [
        (
            key.key_id,
            key.kind,
            "retired" if key.retired else "newest" if key is keys[-1] else "in use",
            "yes" if key.exportable else "no",
            key.where,
            key.key,
        )
        for key in keys
    ]
    print_rows(("id", "kind", "state", "exportable", "where", "key"), rows)


def _as_json(key: CustodyDescription) -> dict[str, object]:
    return {
        "key_id": key.key_id,
        "kind": key.kind,
        "key": key.key,
        "where": key.where,
        "exportable": key.exportable,
        "retired": key.retired,
    }


def init(
    folder: Path,
    key: _KeyFile = None,
    generate: _Generate = False,
    output: Output = Format.TABLE,
) -> None:
    """Say where a key broker's key-encryption key lives: in a file here, or where --key says."""
    from manatee.custody import create_custody

    _print(create_custody(folder, _settings(folder, key, generate=generate)).describe_all(), output)


def show(folder: Path, output: Output = Format.TABLE) -> None:
    """Show the keys of a custody; no secret is read or shown. Asks each place about its key."""
    from manatee.custody import open_custody

    _print(open_custody(folder).describe_all(), output)


def rotate(
    folder: Path,
    key: _KeyFile = None,
    generate: _Generate = False,
    output: Output = Format.TABLE,
) -> None:
    """Add a key, of any kind, and wrap under it from now on; older ones still unwrap."""
    from manatee.custody import add_key

    _print(add_key(folder, _settings(folder, key, generate=generate)).describe_all(), output)


def retire(
    folder: Path,
    key_id: str,
    undo: Annotated[bool, typer.Option("--undo", help="Take it back into use.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Take an older key out of use: what is still wrapped under it is denied. Deletes nothing."""
    from manatee.custody import retire_key

    _print(retire_key(folder, key_id, retired=not undo).describe_all(), output)


def rewrap(
    folder: Path,
    prepared: Annotated[list[Path], typer.Argument(help="Folders made by `manatee seal`.")],
) -> None:
    """Move the data keys of prepared data sets under the newest key; their versions stay."""
    import msgspec

    from manatee.cli._provider import read_publication
    from manatee.custody import open_custody, rewrap_data_key
    from manatee.records import canonical_json, dataset_version

    custody = open_custody(folder)
    for path in prepared:
        publication = read_publication(path)
        wrapped = rewrap_data_key(publication.dataset, custody)
        dataset = msgspec.structs.replace(publication.dataset, wrapped_key=wrapped)
        changed = msgspec.structs.replace(publication, dataset=dataset)
        temporary = path / f".publication.json.{os.getpid()}"
        temporary.write_bytes(canonical_json(changed))
        temporary.replace(path / "publication.json")
        done = "rewrapped" if changed != publication else "already under the newest key"
        typer.echo(f"{path}: {done}; version {dataset_version(dataset)}")


def test(folder: Path) -> None:
    """Wrap a throw-away key with the newest key and unwrap it again, for real."""
    from manatee.custody import open_custody
    from manatee.errors import SealingError
    from manatee.records import DATA_KEY_BYTES

    custody = open_custody(folder)
    found = custody.describe()
    typer.echo(f"{found.key_id}: {found.where}")
    data_key = secrets.token_bytes(DATA_KEY_BYTES)
    wrapped = custody.wrap(data_key, b"manatee custody test")
    typer.echo(f"wrapped: {len(wrapped)} bytes")
    if not secrets.compare_digest(custody.unwrap(wrapped, b"manatee custody test"), data_key):
        raise SealingError("the custody gave back another key than it was given.")
    typer.echo("unwrapped: the same key came back")
    try:
        custody.unwrap(wrapped, b"another context")
    except SealingError:
        typer.echo("another context: refused, as it must be")
        return
    raise SealingError("the custody opened a key under another context than its own.")


def add_to(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    custody = typer.Typer(no_args_is_help=True, help="Where the key broker's keys live.")
    for command in (init, show, rotate, retire, rewrap, test):
        custody.command()(command)
    app.add_typer(custody, name="custody")
