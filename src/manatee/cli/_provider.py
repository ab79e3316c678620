"""What a data provider does: seal a table, make its twin, publish both, approve jobs.

A prepared data set is a folder that can be looked at before anything is published:

    sealed/              the private table, encrypted; safe to hand to the operator
    twin/                the low-risk twin, in the clear
    publication.json     what the catalogue will say: digests, contract, privacy statement, rules
    privacy-statement.txt  the same statement in plain words
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from manatee.errors import ConflictError, SettingsError
from manatee.outputs import DEFAULT_POLICY
from manatee.records import (
    DatasetManifest,
    DatasetPublication,
    Label,
    OutputPolicy,
    canonical_json,
    read_record,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from manatee.client import ManateeClient
    from manatee.custody import KeyCustody
    from manatee.provisioning import Contract


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
    progress: Callable[[str], None],
) -> DatasetPublication:
    """Seal a table, make its twin and write the prepared folder: whole, or not at all.

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
        progress: Told what is being done.

    Raises:
        ConflictError: The folder exists.
        KeyReleaseError: The broker's custody is away or refused to wrap.
        ProvisioningError: The twin cannot be made within the budget.
        SealingError: The sealed table did not pass the scan for plaintext.
    """
    from manatee.custody import wrap_data_key
    from manatee.provisioning import contract_digest, in_words, make_twin, schema_digest
    from manatee.sealing import new_data_key, seal_table, write_plain

    if folder.exists():
        raise ConflictError(f"{folder} exists.", hint="Remove it or choose another folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for part in ("sealed", "twin"):
            (staging / part).mkdir()
        progress("sealing the table, column by column")
        key = new_data_key()
        bare = DatasetManifest(
            name=contract.name,
            provider=provider,
            label=label,
            schema_digest=schema_digest(contract),
            contract_digest=contract_digest(contract),
            files=seal_table(table, staging / "sealed", key),
        )
        wrapped = wrap_data_key(key, bare, broker.broker_id, broker.custody)
        sealed = msgspec.structs.replace(bare, wrapped_key=wrapped)
        progress("making the twin")
        twin = make_twin(
            table,
            contract,
            epsilon=budget.epsilon,
            delta=budget.delta,
            progress=lambda step, part: progress(f"{step} ({part:.0%})"),
        )
        publication = DatasetPublication(
            dataset=sealed,
            twin=DatasetManifest(
                name=contract.name,
                provider=provider,
                label="synthetic",
                schema_digest=sealed.schema_digest,
                contract_digest=sealed.contract_digest,
                files=write_plain(twin.table, staging / "twin"),
            ),
            contract=contract_text,
            privacy_statement=msgspec.to_builtins(twin.statement),
            output_policy=output_policy,
            broker_id=broker.broker_id,
            broker_url=broker.url,
        )
        (staging / "publication.json").write_bytes(canonical_json(publication))
        (staging / "privacy-statement.txt").write_text(in_words(twin.statement))
        staging.chmod(0o755)
        os.rename(staging, folder)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return publication


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
            f"{folder} holds no prepared data set.", hint="Make one with `manatee provision`."
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
    return client.publish(publication).version
