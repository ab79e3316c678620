"""Seal the tables that a twin was made from, each beside its twin, ready to be published."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from manatee.cli._provider import BrokerAddress, PrivacyBudget
from manatee.comparison import check_order
from manatee.contracts import (
    arrow_schema,
    contract_digest,
    parse_contract,
    schema_digest,
)
from manatee.custody import wrap_data_key
from manatee.errors import ConflictError, SettingsError
from manatee.outputs import DEFAULT_POLICY
from manatee.provisioning import comparison_order
from manatee.provisioning.runs import (
    check_schema,
    in_words,
    read_statement,
    rows_and_digest,
)
from manatee.records import (
    DatasetManifest,
    DatasetPublication,
    FileEntry,
    Label,
    OutputPolicy,
    TwinComparison,
    canonical_json,
    digest_file,
    parse_json,
)
from manatee.sealing import new_data_key, seal_table, write_plain

REPORT = "report.html"

if TYPE_CHECKING:
    from manatee.provisioning.runs import Where
    from manatee.provisioning.tables import AdmittedTable


def seal_tables(
    twin: Path,
    where: Where,
    out: Path,
    *,
    provider: str,
    broker: BrokerAddress,
    secret: bytes,
    label: Label | None = None,
    output_policy: OutputPolicy = DEFAULT_POLICY,
    twin_report: PrivacyBudget | None = None,
    progress: Callable[[str], None],
) -> tuple[Path, ...]:
    """Seal every table that has a twin; writes the prepared folders whole, or not at all.

    A contract with one table becomes the data set of its name in `out`; one with several becomes
    a data set `CONTRACT.TABLE` each, in folders of `out`.

    Args:
        twin: A folder made by `manatee provision`.
        where: The private tables, from where the twin was made.
        out: Must not exist.
        provider: The provider's account name.
        broker: To whom data keys are wrapped; the keys themselves are kept nowhere.
        secret: The provider's secret, which the twin's data digest was made with.
        label: Another than the contract's; to treat made-up data as real.
        output_policy: Rules for the outputs of every job on these tables.
        twin_report: What one run may spend on a report of where the twin misled; None: nothing.
        progress: Told what is being done.

    Raises:
        ConflictError: `out` exists, or the tables are not those the twin was made from.
        SchemaMismatchError: A table and its twin differ in their Arrow schema.
        SettingsError: `twin` is no twin folder.
        ProvisioningError: A twin report cannot be kept to that price.
        SealingError: The sealed table did not pass the scan for plaintext.
    """
    if out.exists():
        raise ConflictError(f"{out} exists.", hint="Remove it or choose another folder.")
    contract_text, run = _read_run(twin)
    contract = parse_contract(contract_text)
    out.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    made = tuple(t.name for t in contract.tables if (twin / "twin" / f"{t.name}.parquet").exists())
    try:
        progress("checking that the twin was made from these tables")
        with rows_and_digest(where, contract, secret) as (source, digest):
            if digest != run["data_digest"]:
                raise ConflictError(
                    "these are not the tables that the twin was made from.",
                    hint="Give the same tables and secret, or make a new twin.",
                )
            folders = [staging] if len(contract.tables) == 1 else [staging / n for n in made]
            names = (
                [contract.name]
                if len(contract.tables) == 1
                else [f"{contract.name}.{name}" for name in made]
            )
            for name, dataset, folder in zip(made, names, folders, strict=True):
                progress(f"sealing {dataset}, column by column")
                order = None
                if twin_report is not None:
                    order = comparison_order(
                        contract,
                        contract.table(name),
                        epsilon=twin_report.epsilon,
                        delta=twin_report.delta,
                    )
                    check_order(order, arrow_schema(contract.table(name)))
                publication = _seal(
                    source.table(name),
                    twin,
                    folder,
                    bare=DatasetManifest(
                        name=dataset,
                        provider=provider,
                        label=label or contract.label,
                        schema_digest=schema_digest(contract.table(name)),
                        contract_digest=contract_digest(contract),
                        files=(),
                    ),
                    broker=broker,
                    contract_text=contract_text.decode(),
                    output_policy=output_policy,
                    comparison=order,
                )
                (folder / "publication.json").write_bytes(canonical_json(publication))
                (folder / "privacy-statement.txt").write_text(in_words(read_statement(twin)))
        staging.chmod(0o755)
        os.rename(staging, out)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return tuple(out / folder.relative_to(staging) for folder in folders)


def _read_run(twin: Path) -> tuple[bytes, dict[str, str]]:
    try:
        contract = (twin / "contract.yaml").read_bytes()
        run = parse_json((twin / "run.json").read_bytes())
    except OSError as error:
        raise SettingsError(
            f"{twin} holds no twin.", hint="Make one with `manatee provision`."
        ) from error
    if not isinstance(run, dict) or "done" not in run.get("done", ()):
        raise SettingsError(f"the run of {twin} is not done.")
    return contract, run


def _seal(
    table: AdmittedTable,
    twin: Path,
    folder: Path,
    *,
    bare: DatasetManifest,
    broker: BrokerAddress,
    contract_text: str,
    output_policy: OutputPolicy,
    comparison: TwinComparison | None,
) -> DatasetPublication:
    copy = twin / "twin" / f"{table.table.name}.parquet"
    check_schema(pq.read_schema(copy), arrow_schema(table.table), what="the twin")
    for part in ("sealed", "twin"):
        (folder / part).mkdir(parents=True)
    key = new_data_key()
    rows = pa.RecordBatchReader.from_batches(table.schema, table.batches())
    files = seal_table(rows, folder / "sealed", key)
    manifest = msgspec.structs.replace(bare, files=files, comparison=comparison)
    wrapped = wrap_data_key(key, manifest, broker.broker_id, broker.custody)
    with pq.ParquetFile(copy) as open_twin:
        plain = write_plain(
            pa.RecordBatchReader.from_batches(open_twin.schema_arrow, open_twin.iter_batches()),
            folder / "twin",
        )
    return DatasetPublication(
        dataset=msgspec.structs.replace(manifest, wrapped_key=wrapped),
        twin=msgspec.structs.replace(bare, label="synthetic", files=plain),
        contract=contract_text,
        privacy_statement=msgspec.to_builtins(read_statement(twin)),
        output_policy=output_policy,
        broker_id=broker.broker_id,
        broker_url=broker.url,
        report=_report(twin, folder),
    )


def _report(twin: Path, folder: Path) -> FileEntry | None:
    """Copy the shareable report, if the run made one."""
    if not (twin / REPORT).exists():
        return None
    shutil.copyfile(twin / REPORT, folder / REPORT)
    digest, size = digest_file(folder / REPORT)
    return FileEntry(path=REPORT, sha256=digest, size=size)
