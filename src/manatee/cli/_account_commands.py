"""Accounts that exist already: who there is, letting nobody act as one, ending its links."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from manatee.cli._options import Output, open_client
from manatee.cli._output import Format, print_json, print_rows
from manatee.settings import load_settings

if TYPE_CHECKING:
    from manatee.store import Store


@contextmanager
def _store() -> Iterator[Store]:
    from manatee._clock import system_clock
    from manatee.store import open_store

    settings = load_settings()
    store = open_store(settings.home, clock=system_clock, database_url=settings.database_url)
    try:
        yield store
    finally:
        store.close()


def account_list(output: Output = Format.TABLE) -> None:
    """List all accounts, on this machine."""
    with _store() as store:
        found = store.accounts.states()
    if output is Format.JSON:
        rows = [
            {"name": name, "organisation": home, "disabled": disabled}
            for name, home, disabled in found
        ]
        print_json({"accounts": rows})
        return
    print_rows(
        ("name", "organisation", "state"),
        [(name, home, "disabled" if disabled else "") for name, home, disabled in found],
    )


def account_disable(name: str) -> None:
    """Let nobody act as an account any more, by whatever way, and end its tokens at once.

    Its jobs go on: end memberships, cancel the jobs or stop the project as well if they should not.
    """
    with _store() as store:
        store.accounts.disable(name)


def account_enable(name: str) -> None:
    """Let the owner of a disabled account sign in again; its old tokens stay ended."""
    with _store() as store:
        store.accounts.enable(name)


def account_unlink(name: str) -> None:
    """Let no person of an identity provider or hub act as an account, and end its tokens."""
    with _store() as store:
        store.accounts.require(name)
        store.links.unlink(name)


def passkey_list(output: Output = Format.TABLE) -> None:
    """List your passkeys; they are added on the service's page /account."""
    with open_client() as client:
        found = client.passkeys()
    if output is Format.JSON:
        print_json(found)
        return
    print_rows(
        ("id", "label", "since"),
        [(item.id, item.label, item.created_at) for item in found.passkeys],
    )


def passkey_remove(passkey_id: str) -> None:
    """Let one of your passkeys sign nobody in any more."""
    with open_client() as client:
        client.remove_passkey(passkey_id)


def add_to(account: typer.Typer, app: typer.Typer) -> None:
    """Add these commands to the group of accounts and to the tree."""
    account.command("list")(account_list)
    account.command("disable")(account_disable)
    account.command("enable")(account_enable)
    account.command("unlink")(account_unlink)
    passkey = typer.Typer(no_args_is_help=True, help="Your own passkeys.")
    passkey.command("list")(passkey_list)
    passkey.command("remove")(passkey_remove)
    app.add_typer(passkey, name="passkey")
