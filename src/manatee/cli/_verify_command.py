"""`manatee verify BUNDLE`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from manatee.cli._options import Output
from manatee.cli._output import Format, print_json
from manatee.cli._verify import as_json, headline, print_verification
from manatee.cli._verify import verify as verify_folder
from manatee.errors import NotVerifiedError, meaning


def export(
    bundle: Annotated[Path, typer.Argument(help="Folder of the run bundle.")],
    crate: Annotated[Path, typer.Argument(help="ZIP file to write.")],
    trust: Annotated[Path, typer.Option(help="Your trust file; only what verifies is exported.")],
) -> None:
    """Export a run bundle that verifies as a Five Safes RO-Crate (a BagIt bag in a ZIP file)."""
    from manatee._clock import system_clock
    from manatee.bundle import export_crate, read_bundle, read_trust, verify_bundle

    contents = read_bundle(bundle)
    verification = verify_bundle(contents, trust=read_trust(trust), at=system_clock())
    export_crate(crate, contents, verification)
    sys.stdout.write(f"{crate}: {headline(verification)}\n")


def verify(
    bundle: Annotated[Path, typer.Argument(help="Folder of the run bundle.")],
    trust: Annotated[
        Path | None, typer.Option(help="Your trust file: roots, runtimes and approvers.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Verify a run bundle offline: what ran, on which data, approved by whom, and what came out.

    Without --trust nothing is trusted, so the bundle can be looked at but never verifies.
    """
    verification = verify_folder(bundle, trust)
    if output is Format.JSON:
        print_json(as_json(verification))
    else:
        print_verification(verification)
    if not verification.verified:
        if trust is None:
            sibling = bundle.absolute().parent / "trust.json"
            found = f" If you trust its maker: --trust {sibling}" if sibling.exists() else ""
            sys.stderr.write(f"No trust file given, so nobody is trusted: --trust FILE.{found}\n")
        raise typer.Exit(meaning(NotVerifiedError).exit_code)
