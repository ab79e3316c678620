"""The data provider's key broker: make it, give it a policy, run it, read its decisions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from manatee.cli._budget_commands import LedgerPath, ledger_path
from manatee.cli._options import Output
from manatee.cli._output import Format, print_json
from manatee.errors import SettingsError
from manatee.settings import load_settings


def init(
    folder: Path, broker_id: Annotated[str, typer.Option("--id", help="The broker's name.")]
) -> None:
    """Make a key broker and print what data keys are wrapped to.

    A folder that has a key custody (`manatee custody init`) keeps it; else an age identity is
    made and its public recipient printed, for `manatee seal --broker-recipient`.
    """
    from manatee.keybroker import create_broker

    typer.echo(create_broker(folder, broker_id).describe().key)


def trust(
    folder: Path,
    provider: Annotated[str, typer.Argument(help="Whose data keys this broker holds.")],
    public_key: Annotated[str, typer.Argument(help="Its policy key: Ed25519, base64.")],
) -> None:
    """Pin the key under which this broker takes the provider's policies: once, for good."""
    from manatee.keybroker import trust_policy_key

    trust_policy_key(folder, provider, public_key)


def policy(
    folder: Path,
    signed: Annotated[Path, typer.Argument(help="What `manatee policy sign` wrote.")],
    references: Annotated[Path, typer.Argument(help="JSON of reference values for evidence.")],
) -> None:
    """Give a broker a policy and reference values; a running one decides its next request by them.

    Refused, changing nothing: another key's, another provider's, an older version,
    another document of a version it took, one that is not in force, or one that the Cedar schema
    refuses.
    """
    from manatee._clock import system_clock
    from manatee.attestation import ReferenceValues
    from manatee.keybroker import install_policy
    from manatee.policy import SignedPolicy
    from manatee.records import read_record

    given = read_record(_read(signed), SignedPolicy, what=str(signed))
    values = read_record(_read(references), ReferenceValues, what=str(references))
    version = install_policy(folder, given, values, clock=system_clock)
    typer.echo(f"version {version}; it holds from the next request on")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}).") from error


def budget(
    folder: Path,
    ledger: LedgerPath = None,
    price: Annotated[
        list[str] | None,
        typer.Option(help="What each job on a data set costs, NAME=RHO; repeatable."),
    ] = None,
) -> None:
    """Let a broker account in the provider's budget ledger, from its next start on.

    Without one it refuses every job that asks for a twin report, and every policy that asks what
    is left. RHO is zCDP: a decimal or a fraction.
    """
    from fractions import Fraction

    from manatee.keybroker import use_ledger

    prices = {}
    for text in price or ():
        name, _, rho = text.partition("=")
        try:
            prices[name] = Fraction(rho)
        except (ValueError, ZeroDivisionError) as error:
            raise SettingsError("each --price is NAME=RHO, such as visits=1/200.") from error
    book = ledger_path(ledger)
    use_ledger(folder, book, prices)
    typer.echo(f"accounts in {book}; start the broker anew")


def serve(
    folder: Path,
    host: Annotated[str, typer.Option()] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8766,
) -> None:
    """Run a key broker alone, in the provider's own trust domain; until SIGTERM."""
    from manatee.cli._services import serve_key_broker

    serve_key_broker(folder, host=host, port=port, settings=load_settings())


def log(folder: Path, output: Output = Format.TABLE) -> None:
    """Print the broker's decisions, checked, with the reasons that only the provider sees."""
    from manatee.keybroker import BrokerStore
    from manatee.records import parse_json

    store = BrokerStore(folder / "broker.db")
    try:
        reasons = store.reasons()
        for entry in store.decisions():
            why = reasons.get(entry.seq, "").splitlines()
            if output is Format.JSON:
                print_json({"decision": parse_json(entry.body), "reasons": why})
                continue
            typer.echo(entry.body.decode())
            for line in why:
                typer.echo(f"    {line}")
    finally:
        store.close()


def log_key(folder: Path) -> None:
    """Print what readers need to believe this broker's log: for `broker_logs` of a trust file."""
    from manatee.keybroker import decision_log_signer, read_broker_keys
    from manatee.ledger import LogTrust

    signer = decision_log_signer(folder, read_broker_keys(folder).broker_id)
    print_json(LogTrust(origin=signer.name, log_key=str(signer.key)))


def add_to(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    broker = typer.Typer(no_args_is_help=True, help="The data provider's key broker.")
    for command in (init, trust, policy, budget, serve, log):
        broker.command()(command)
    broker.command("log-key")(log_key)
    app.add_typer(broker, name="keybroker")
