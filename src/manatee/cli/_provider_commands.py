"""Commands of the data provider."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from manatee._clock import system_clock
from manatee.cli._options import Output, open_client
from manatee.cli._output import Format, print_json
from manatee.errors import ConflictError, MalformedError, SettingsError
from manatee.policy import sign_approval


def new_approver(path: Path) -> None:
    """Make an approver's signing key and print its public half."""
    from manatee.cli._people import new_approver_key

    typer.echo(new_approver_key(path).public_key)


def provision(
    table: Annotated[Path, typer.Argument(help="The private table, CSV.")],
    contract: Annotated[Path, typer.Argument(help="Its contract, YAML.")],
    folder: Annotated[Path, typer.Argument(help="New folder for the prepared data set.")],
    provider: Annotated[str, typer.Option(help="Your account name.")],
    broker_id: Annotated[str, typer.Option(help="Your key broker's name.")],
    broker_url: Annotated[str, typer.Option(help="Where guests reach it.")],
    epsilon: Annotated[float, typer.Option(help="Privacy budget of the twin.")],
    delta: Annotated[float, typer.Option(help="Privacy budget of the twin.")],
    broker_recipient: Annotated[
        str | None, typer.Option(help="age recipient, as `keybroker init` printed it.")
    ] = None,
    custody: Annotated[
        Path | None, typer.Option(help="Or: folder with the broker's custody.json.")
    ] = None,
) -> None:
    """Seal a table and make its differentially private twin, in one folder to look at."""
    from manatee.cli._provider import BrokerAddress, PrivacyBudget, prepare_dataset
    from manatee.custody import open_custody, recipient_custody
    from manatee.provisioning import read_contract, read_table

    if custody is not None and broker_recipient is None:
        ring = open_custody(custody)
    elif broker_recipient is not None and custody is None:
        ring = recipient_custody(broker_recipient)
    else:
        raise SettingsError("say --broker-recipient or --custody: one of the two.")
    parsed = read_contract(contract)
    prepare_dataset(
        read_table(table, parsed),
        parsed,
        folder,
        provider=provider,
        label=parsed.label,
        contract_text=contract.read_text(),
        broker=BrokerAddress(broker_id, broker_url, ring),
        budget=PrivacyBudget(epsilon=epsilon, delta=delta),
        progress=lambda text: print(text, file=sys.stderr),
    )
    typer.echo((folder / "privacy-statement.txt").read_text())


def publish(folder: Path) -> None:
    """Upload a prepared data set and put it into the catalogue; prints its version."""
    from manatee.cli._provider import publish as publish_folder

    typer.echo(publish_folder(open_client(), folder, lambda text: print(text, file=sys.stderr)))


def approve(
    job_id: str,
    key: Annotated[Path, typer.Option(help="Your approver key.")],
    digest: Annotated[
        str | None, typer.Option(help="The job digest you reviewed; refused if it is another.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Approve one job: signs its digest with your key. Good for that digest and nothing else."""
    from manatee.cli._people import read_approver_key
    from manatee.records import digest_record

    client = open_client()
    job = client.job(job_id)
    found = digest_record(job.manifest)
    if found != job.job_digest or (digest is not None and digest != found):
        raise ConflictError(
            "the job is not the one you reviewed: its digest is another.",
            hint="Review it again; `manatee job show` prints the manifest.",
        )
    me = client.whoami().name
    if me not in job.providers:
        raise MalformedError("the job uses no data set of yours.")
    approval = sign_approval(
        read_approver_key(key).raw,
        provider=me,
        approver=me,
        job_digest=found,
        at=system_clock(),
    )
    answer = client.approve(job_id, approval)
    if output is Format.JSON:
        print_json(answer)
    else:
        typer.echo(f"approved {job_id} {found}")


def reject(job_id: str, reason: Annotated[str, typer.Option(help="For the researcher.")]) -> None:
    """Refuse a job that asks for approval; it ends rejected."""
    open_client().reject(job_id, reason)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    app.command()(provision)
    app.command()(publish)
    app.command()(approve)
    app.command()(reject)
    app.command("new-approver-key")(new_approver)
