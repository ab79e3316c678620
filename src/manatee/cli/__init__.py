"""The command line. Tables for people, `-o json` for machines, exit codes from the error table."""

__all__ = ["main"]


def main() -> None:
    """Run the command that the process's arguments name."""
    from manatee.cli._app import run

    run()
