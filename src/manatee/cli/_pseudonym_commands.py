"""Commands by which several data providers agree on a pseudonym key, for joins across them.

Files are carried by whoever likes, the operator too; codes are read aloud by telephone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from manatee.cli._options import Output
from manatee.cli._output import Format, print_json
from manatee.errors import SettingsError

PRIVATE = "private.json"

_Folder = Annotated[Path, typer.Argument(help="This provider's folder of the ceremony.")]


def begin(
    folder: _Folder,
    project: Annotated[str, typer.Option(help="The same at every provider, such as a study.")],
    provider: Annotated[str, typer.Option(help="This provider's name.")],
    output: Output = Format.TABLE,
) -> None:
    """Draw this provider's share; makes a commitment to send to every other provider."""
    from manatee.provisioning.pets import begin as drawn

    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"the folder {folder} cannot be made.") from error
    text = drawn(folder / PRIVATE, project=project, provider=provider)
    path = _written(folder / f"{provider}.commitment", text)
    if output is Format.JSON:
        print_json({"commitment": str(path)})
        return
    typer.echo(f"Send to every other provider: {path}")
    typer.echo(f"Next: manatee pseudonym-key share {folder} THEIR.commitment ...")


def share(
    folder: _Folder,
    commitments: Annotated[list[Path], typer.Argument(help="Of all other providers.")],
    output: Output = Format.TABLE,
) -> None:
    """Fix who takes part; makes this provider's share for each other one, encrypted for it."""
    from manatee.provisioning.pets import provider_of
    from manatee.provisioning.pets import share as shared

    mine = provider_of(folder / PRIVATE)
    sealed = shared(folder / PRIVATE, [_text(path) for path in commitments])
    made = {
        name: _written(folder / f"{mine}-to-{name}.share", text)
        for name, text in sorted(sealed.items())
    }
    if output is Format.JSON:
        print_json({"shares": {name: str(path) for name, path in made.items()}})
        return
    for name, path in made.items():
        typer.echo(f"Send to {name}: {path}")
    typer.echo(f"Next: manatee pseudonym-key accept {folder} THEIR.share ...")


def accept(
    folder: _Folder,
    shares: Annotated[
        list[Path], typer.Argument(help="Of all other providers, made for this one.")
    ],
    heard: Annotated[
        list[str] | None,
        typer.Option(help="PROVIDER=CODE, as each other provider read it aloud to you."),
    ] = None,
    key: Annotated[Path | None, typer.Option(help="New file for the key; with --heard.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Show the code to read aloud; with --heard of all others, write the key and end."""
    from manatee.provisioning.pets import accept as accepted
    from manatee.provisioning.pets import read_shared_key

    if bool(heard) != (key is not None):
        raise SettingsError(
            "--heard and --key belong together.",
            hint="Without both, this command shows the code to read aloud.",
        )
    codes = _codes(heard or [])
    told = accepted(
        folder / PRIVATE,
        [_text(path) for path in shares],
        heard=codes,
        key=key or folder / "unused",
    )
    if key is not None:
        _show(key, read_shared_key(key).project, read_shared_key(key).fingerprint, output)
    elif output is Format.JSON:
        print_json({"code": told})
    else:
        typer.echo(f"Read aloud to every other provider, by telephone: {told}")
        typer.echo("Hear theirs from a voice you know; type no code that came with the files.")
        typer.echo("Next: the same command with --heard PROVIDER=CODE for each, and --key FILE")


def show(
    key: Annotated[Path, typer.Argument(help="A key that `accept` wrote.")],
    output: Output = Format.TABLE,
) -> None:
    """Show a key's project and fingerprint; never the key."""
    from manatee.provisioning.pets import read_shared_key

    found = read_shared_key(key)
    _show(key, found.project, found.fingerprint, output)


def _show(path: Path, project: str, fingerprint: str, output: Format) -> None:
    if output is Format.JSON:
        print_json({"key": str(path), "project": project, "fingerprint": fingerprint})
        return
    typer.echo(f"Key of project {project}: {path}")
    typer.echo(f"Fingerprint, the same at every provider: {fingerprint}")
    typer.echo(f"Use it with: manatee provision ... --pseudonym-key {path}")


def _codes(texts: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, equals, code = text.partition("=")
        if not equals or not name or not code.strip() or name in found:
            raise SettingsError(
                "each --heard is PROVIDER=CODE, every provider once.",
                hint='For example --heard clinic="1a2b 3c4d 5e6f 7a8b 9c0d".',
            )
        found[name] = code
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read as plain text.") from error


def _written(path: Path, text: str) -> Path:
    try:
        path.write_text(text + "\n", encoding="ascii")
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be written.", hint="Free space, or name another folder."
        ) from error
    return path


def add_to(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    ceremony = typer.Typer(
        no_args_is_help=True, help="A pseudonym key that several providers agree on."
    )
    for command in (begin, share, accept, show):
        ceremony.command()(command)
    app.add_typer(ceremony, name="pseudonym-key")
