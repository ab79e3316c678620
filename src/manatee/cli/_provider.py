"""What a data provider does: seal a table, make its twin, publish both, approve jobs.

A prepared data set is a folder that can be looked at before anything is published:

    sealed/              the private table, encrypted; safe to hand to the operator
    twin/                the low-risk twin, in the clear
    publication.json     what the catalogue will say: digests, contract, privacy statement, rules
    privacy-statement.txt  the same statement in plain words
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from manatee.errors import ConflictError, SettingsError
from manatee.outputs import DEFAULT_POLICY
from manatee.records import (
    DatasetPublication,
    Label,
    OutputPolicy,
    read_record,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from manatee.client import ManateeClient
    from manatee.contracts import Contract
    from manatee.custody import KeyCustody


@dataclass(frozen=True)
class BrokerAddress:
    """Where a key broker is, and the custody under whose newest key data keys are wrapped.

    The custody may be one that only wraps (`custody.recipient_custody`).
    """

    broker_id: str
    url: str
    custody: KeyCustody


@dataclass(frozen=True)
class PrivacyBudget:
    """What the twin may cost: (epsilon, delta) of differential privacy, add/remove one row."""

    epsilon: float
    delta: float


def prepare_dataset(
    table: pa.Table,
    contract: Contract,
    folder: Path,
    *,
    provider: str,
    label: Label,
    contract_text: str,
    broker: BrokerAddress,
    budget: PrivacyBudget,
    output_policy: OutputPolicy = DEFAULT_POLICY,
    limit: PrivacyBudget | None = None,
    twin_report: PrivacyBudget | None = None,
    spec: bytes | None = None,
    progress: Callable[[str], None],
) -> DatasetPublication:
    """Make a table's twin, seal both and write the prepared folder: `provision`, then `seal`.

    Effects: next to `folder` also stand the twin's own folder, a budget ledger with the limit,
    and the provider's secret.

    Args:
        table: The private table; it must keep the contract.
        contract: Schema, ranges and categories, written by the provider.
        contract_text: The same as the provider wrote it, for the catalogue.
        folder: Must not exist yet.
        provider: The provider's account name.
        label: Whether the table is about people who exist.
        broker: To whom the data key is wrapped; the key itself is kept nowhere.
        budget: Privacy budget of the twin.
        output_policy: Rules for the outputs of every job on this table.
        limit: Most that the twin and all runs' reports may cost together; None: the twin alone.
        twin_report: What one run's report of where the twin misled may cost; None: none is made.
        spec: A provisioning specification within `budget`; None: every table by MST.
        progress: Told what is being done.

    Raises:
        ConflictError: The folder exists.
        KeyReleaseError: The broker's custody is away or refused to wrap.
        ProvisioningError: The twin cannot be made within the budget.
        SealingError: The sealed table did not pass the scan for plaintext.
    """
    import pyarrow.parquet as pq

    from manatee.budgets import BudgetLedger
    from manatee.cli._seal import seal_tables
    from manatee.provisioning.runs import (
        Desk,
        make_order,
        provider_secret,
        provision,
        synthesis_order,
    )

    if folder.exists():
        raise ConflictError(f"{folder} exists.", hint="Remove it or choose another folder.")
    home = folder.parent
    home.mkdir(parents=True, exist_ok=True)
    text = contract_text.encode()
    order = (
        synthesis_order(text, epsilon=budget.epsilon, delta=budget.delta)
        if spec is None
        else make_order(text, spec)
    )
    ledger = BudgetLedger(home / "budget.sqlite")
    most = limit or budget
    ledger.set_limit(contract.name, epsilon=most.epsilon, delta=most.delta)
    secret = provider_secret(home / "secret.key")
    with tempfile.TemporaryDirectory(prefix=".private-", dir=home) as scratch:
        given = Path(scratch) / "table.parquet"
        pq.write_table(table, given)
        where = {contract.only.name: given}
        made = provision(
            order,
            where,
            folder.with_name(f"{folder.name}-twin"),
            desk=Desk(ledger, secret),
            progress=lambda step, part: progress(f"{step} ({part:.0%})"),
        )
        seal_tables(
            made.folder,
            where,
            folder,
            provider=provider,
            broker=broker,
            secret=secret,
            label=label,
            output_policy=output_policy,
            twin_report=twin_report,
            progress=progress,
        )
    return read_publication(folder)


def read_publication(folder: Path) -> DatasetPublication:
    """Read a prepared folder.

    Raises:
        SettingsError: It is not one.
        MalformedError: Its publication was changed into something else.
    """
    try:
        data = (folder / "publication.json").read_bytes()
    except OSError as error:
        raise SettingsError(
            f"{folder} holds no prepared data set.", hint="Make one with `manatee seal`."
        ) from error
    return read_record(data, DatasetPublication, what="publication.json")


def publish(client: ManateeClient, folder: Path, progress: Callable[[str], None]) -> str:
    """Upload a prepared data set and put it into the catalogue.

    Idempotent: files that are there are not sent again.

    Returns:
        The data set version.
    """
    publication = read_publication(folder)
    for part, manifest in (("sealed", publication.dataset), ("twin", publication.twin)):
        for entry in manifest.files:
            progress(f"uploading {part}/{entry.path}")
            if client.upload(folder / part / entry.path) != entry.sha256:
                raise ConflictError(f"{part}/{entry.path} is not the file that was prepared.")
    report = publication.report
    if report is not None:
        progress(f"uploading {report.path}")
        if client.upload(folder / report.path) != report.sha256:
            raise ConflictError(f"{report.path} is not the file that was prepared.")
    return client.publish(publication).version


def prepared_folders(folder: Path) -> tuple[Path, ...]:
    """Return the prepared data sets in a folder: itself, or one for each table.

    Raises:
        SettingsError: There is none.
    """
    if (folder / "publication.json").exists():
        return (folder,)
    found = tuple(sorted(path.parent for path in folder.glob("*/publication.json")))
    if not found:
        raise SettingsError(
            f"{folder} holds no prepared data set.", hint="Make one with `manatee seal`."
        )
    return found
