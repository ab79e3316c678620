"""`manatee verify BUNDLE`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from manatee.cli._options import Output
from manatee.cli._output import Format, print_json
from manatee.cli._verify import as_json, print_verification
from manatee.cli._verify import verify as verify_folder
from manatee.errors import NotVerifiedError, meaning


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
