"""`manatee sign-in` and `manatee token`: tokens for oneself, without the operator."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from manatee._clock import monotonic, system_clock, timestamp
from manatee.cli._options import Output, open_client
from manatee.cli._output import Format, print_json, print_rows
from manatee.errors import AuthenticationError, MalformedError, SettingsError
from manatee.records import (
    DevicePoll,
    IssuedToken,
    NewToken,
    Redemption,
    Scope,
    SecondFactor,
    SignIn,
)
from manatee.settings import load_settings

if TYPE_CHECKING:
    from manatee.client import SignInClient

SCOPES = get_args(Scope)
ScopeNames = Annotated[
    list[str] | None, typer.Option("--scope", help="One of: " + ", ".join(SCOPES) + ". Repeatable.")
]


def sign_in(
    name: Annotated[str, typer.Argument(help="Name of your account.")] = "",
    invitation: Annotated[
        bool, typer.Option(help="You have an invitation of the operator; it is asked for.")
    ] = False,
    device: Annotated[
        bool, typer.Option(help="At the identity provider; confirm it in any browser.")
    ] = False,
    browser: Annotated[
        bool,
        typer.Option(help="On the service's own page: passkey, password or identity provider."),
    ] = False,
    scope: ScopeNames = None,
    output: Output = Format.TABLE,
) -> None:
    """Sign in and print a token for half a day, or for eight hours by --browser.

    Only the token goes to standard output: export MANATEE_TOKEN=$(manatee sign-in NAME)
    """
    from manatee.client import SignInClient

    url = load_settings().url
    if not url:
        raise SettingsError("MANATEE_URL is not set.", hint="The operator tells you the URL.")
    if browser:
        from manatee.cli._browser_sign_in import sign_in_by_browser

        if name or invitation or device or scope:
            raise MalformedError("--browser goes with nothing else: the page asks.")
        made = sign_in_by_browser(
            url,
            program="command line",
            say=lambda address: typer.echo(f"Open {address}", err=True),
        )
        _show(made, output)
        return
    if not name and (invitation or not device):
        raise MalformedError("the name of your account is missing.", hint="manatee sign-in NAME")
    with SignInClient(url) as client:
        code = _ask("Invitation", hidden=True) if invitation else ""
        if device:
            made = _by_device(client, name, code)
        else:
            made = _by_password(client, name, code, scopes_named(scope))
    _show(made, output)


def _by_password(
    client: SignInClient, name: str, invitation: str, scopes: tuple[Scope, ...]
) -> IssuedToken:
    if invitation:
        password = _ask("New password", hidden=True)
        if _ask("Once more", hidden=True) != password:
            raise MalformedError("the two passwords differ.", hint="Nothing was changed.")
        _show_factor(client.redeem(Redemption(name=name, invitation=invitation, password=password)))
    else:
        password = _ask("Password", hidden=True)
    code = _ask("Code of your authenticator app, or a recovery code")
    return client.sign_in(SignIn(name=name, password=password, code=code, scopes=scopes))


def _by_device(client: SignInClient, name: str, invitation: str) -> IssuedToken:
    begun = client.begin_device()
    typer.echo(f"Open {begun.url} and confirm the code {begun.user_code}.", err=True)
    deadline = monotonic() + begun.expires_in
    pause = begun.interval
    while monotonic() < deadline:
        time.sleep(pause)
        poll = DevicePoll(flow=begun.flow, invitation=invitation, name=name or None)
        state = client.poll_device(poll)
        if state.token is not None:
            return state.token
        pause = max(pause, state.interval)
    raise AuthenticationError("nobody confirmed the sign-in in time.", hint="Begin again.")


def _ask(what: str, *, hidden: bool = False) -> str:
    if sys.stdin.isatty():
        return str(typer.prompt(what, hide_input=hidden, err=True))
    line = sys.stdin.readline()
    if not line:
        raise MalformedError(f"standard input ended where this was asked for: {what}.")
    return line.rstrip("\r\n")


def _show_factor(factor: SecondFactor) -> None:
    typer.echo("Put this into your authenticator app; it is shown this once:", err=True)
    typer.echo(f"  {factor.totp_uri}", err=True)
    typer.echo("If you lose the app, each of these codes signs you in once:", err=True)
    for code in factor.recovery_codes:
        typer.echo(f"  {code}", err=True)


def _show(made: IssuedToken, output: Format) -> None:
    if output is Format.JSON:
        print_json(made)
        return
    typer.echo(made.token)
    typer.echo(f"It counts until {made.entry.expires_at}.", err=True)


def scopes_named(names: list[str] | None) -> tuple[Scope, ...]:
    """Return scopes as a person gave them.

    Raises:
        MalformedError: One is none.
    """
    unknown = sorted(set(names or ()) - set(SCOPES))
    if unknown:
        raise MalformedError(f"no such scope: {', '.join(unknown)}.", hint=", ".join(SCOPES))
    return cast("tuple[Scope, ...]", tuple(names or ()))


def token_list(output: Output = Format.TABLE) -> None:
    """List your tokens that have not expired, without the tokens themselves."""
    with open_client() as client:
        found = client.tokens()
    if output is Format.JSON:
        print_json(found)
        return
    print_rows(
        ("id", "label", "scopes", "until", "last used on"),
        [
            (item.id, item.label, " ".join(item.scopes), item.expires_at, item.last_used_on or "")
            for item in found.tokens
        ],
    )


def token_new(
    label: Annotated[str, typer.Argument(help="One line that you will know it by.")],
    scope: ScopeNames = None,
    days: Annotated[int, typer.Option(min=1, max=365, help="Its life.")] = 30,
    output: Output = Format.TABLE,
) -> None:
    """Make a token for a program, for no more than it needs, and print it once."""
    until = timestamp(system_clock() + timedelta(days=days))
    scopes = scopes_named(scope)
    if not scopes:
        raise MalformedError("a token needs at least one --scope.", hint=", ".join(SCOPES))
    with open_client() as client:
        made = client.new_token(NewToken(label=label, scopes=scopes, expires_at=until))
    _show(made, output)


def token_revoke(
    token_id: Annotated[str, typer.Argument(help="As `manatee token list` shows it.")],
) -> None:
    """Make one of your tokens worthless at once."""
    with open_client() as client:
        client.revoke_token(token_id)


def account_invite(
    name: Annotated[str, typer.Argument(help="Name of the account.")],
    output: Output = Format.TABLE,
) -> None:
    """Print a code by which somebody sets up signing in: good for a day, and once."""
    from manatee.cli._accounts import invite

    settings = load_settings()
    code = invite(settings.home, name, database_url=settings.database_url)
    if output is Format.JSON:
        print_json({"name": name, "invitation": code})
    else:
        typer.echo(code)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    app.command("sign-in")(sign_in)
    group = typer.Typer(no_args_is_help=True, help="Your own API tokens.")
    group.command("list")(token_list)
    group.command("new")(token_new)
    group.command("revoke")(token_revoke)
    app.add_typer(group, name="token")
