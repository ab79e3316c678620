"""`manatee demo`: the whole story on one machine, every part of it the real thing.

Six act: the operator, who runs the service in a process of its own; the data provider; the
researcher; the guest, which is nobody; a witness of the log of runs; and the auditor. What is not
real is the TEE: the evidence is simulated, or quoted by a software TPM, and every screen says so.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manatee.bundle import Verification
from manatee.cli._local_room import (
    BROKER,
    PROJECT,
    PROVIDER,
    PURPOSE,
    RESEARCHER,
    make_local_room,
)
from manatee.cli._provider import BrokerAddress, PrivacyBudget, prepare_dataset, publish
from manatee.cli._researcher import (
    RehearsalOutcome,
    Work,
    describe_event,
    describe_exit,
    explain_failure,
    rehearse,
    submit,
)
from manatee.cli._services import SANDBOX_FOLDER, run_log, running_service
from manatee.cli._tee import tee_named
from manatee.cli._timeline import Timeline
from manatee.cli._twin_report import Misled, misled_by_twins
from manatee.cli._verify import verify
from manatee.cli._witness import running_witness, witness_key
from manatee.errors import (
    BackendUnavailableError,
    ConflictError,
    JobFailedError,
    ManifestError,
    NotebookError,
)
from manatee.records import (
    DatasetPublication,
    JobAnswer,
    Label,
    OutputFile,
    parse_json,
)
from manatee.releasing import fetch_bundle
from manatee.runtime import runtime_digest
from manatee.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

    from manatee.client import ManateeClient
    from manatee.contracts import Contract

BUDGET = PrivacyBudget(epsilon=1.0, delta=1e-9)
LIMIT = PrivacyBudget(epsilon=2.0, delta=1e-9)
"""Of the twin and of all reports on where it misled."""

REPORT = PrivacyBudget(epsilon=0.5, delta=1e-9)
"""What one run may spend on such a report."""

MARKER = ".manatee-demo"
GENERATOR_SEED = 2026


@dataclass(frozen=True)
class DemoOptions:
    """What the person asked for. `table` None means the generated one."""

    folder: Path
    table: Path | None = None
    contract: Path | None = None
    n_records: int | None = None
    workspace: Path | None = None
    tee: str = "simulated"


@dataclass(frozen=True)
class DemoOutcome:
    """Everything the demo made, for the terminal, the report and `-o json`."""

    folder: Path
    label: Label
    publication: DatasetPublication
    rehearsal: RehearsalOutcome
    job: JobAnswer
    outputs: tuple[OutputFile, ...]
    verification: Verification
    misled: tuple[Misled, ...]
    timeline: Timeline

    @property
    def bundle(self) -> Path:
        """The run bundle's folder."""
        return self.folder / "bundle"

    @property
    def trust(self) -> Path:
        """The trust file that goes with it."""
        return self.folder / "trust.json"


def figures(files: tuple[OutputFile, ...]) -> dict[str, Any]:
    """Return what the notebook published as `figures.json`; empty where it did not."""
    for file in files:
        if file.path == "figures.json":
            found = parse_json(file.data)
            return found if isinstance(found, dict) else {}
    return {}


def _prepare_folder(folder: Path) -> None:
    if folder.exists():
        if not (folder / MARKER).exists():
            raise ConflictError(
                f"{folder} exists and is not an earlier demo.", hint="Choose another --dir."
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / "home").mkdir(mode=0o700)
    (folder / MARKER).write_text("Made by `manatee demo`, which may replace this folder.\n")


def _example() -> Path:
    example = Path(__file__).resolve().parents[3] / "examples" / "insurance"
    if not (example / "notebook.ipynb").exists():
        raise NotebookError(
            "the example notebook is not here.",
            hint="It comes with a checkout of the repository; or give --workspace.",
        )
    return example


@dataclass(frozen=True)
class _Input:
    """The private table, its contract as parsed and as written, and its label."""

    table: pa.Table
    contract: Contract
    contract_text: str
    label: Label
    spec: bytes | None


def _read_input(options: DemoOptions) -> _Input:
    from manatee.contracts import parse_contract, read_contract
    from manatee.provisioning import (
        insurance_contract_text,
        insurance_spec_text,
        insured_persons,
        read_table,
    )

    if options.contract is None:
        text = insurance_contract_text()
        contract = parse_contract(text.encode())
        spec = insurance_spec_text().encode()
    else:
        contract = read_contract(options.contract)
        text = options.contract.read_text()
        spec = None  # by MST, which knows of no task
    if options.table is None:
        table = insured_persons(options.n_records or 1338, seed=GENERATOR_SEED)
        return _Input(table, contract, text, "synthetic", spec)
    table = read_table(options.table, contract)
    table = table.slice(0, options.n_records)
    # whatever the contract says: a table of somebody's own is treated as about people who exist
    return _Input(table, contract, text, "real", spec)


@contextmanager
def _service(settings: Settings, folder: Path, timeline: Timeline) -> Iterator[str]:
    with ExitStack() as stack:
        with timeline.step("operator", "Start the service (`manatee serve`)") as update:
            url = stack.enter_context(running_service(settings, log=folder / "service.log"))
            update(url)
        yield url


@contextmanager
def _watched(settings: Settings, folder: Path, timeline: Timeline) -> Iterator[Settings]:
    """Have a witness, a process of its own, cosign the log of runs."""
    with ExitStack() as stack:
        with timeline.step("witness", "Watch the log of runs (`manatee ledger witness`)") as update:
            log_key = run_log(settings.home).trust().log_key
            key, url = stack.enter_context(running_witness(folder / "witness", log_key))
            update(f"{key.partition('+')[0]} at {url}")
        yield replace(settings, run_log_witnesses=f"{key}@{url}")


def run_demo(options: DemoOptions, settings: Settings, timeline: Timeline) -> DemoOutcome:
    """Play the story from the private table to the verified bundle.

    Effects: replaces `options.folder` if an earlier demo made it; starts and stops a service.

    Raises:
        BackendUnavailableError: Isolation cannot be had here.
        JobFailedError: The job ended without a release.
        ManateeError: Any step's own error.
    """
    folder = options.folder.absolute()
    home = folder / "home"
    with timeline.step("provider", "Read the private table and its contract") as update:
        given = _read_input(options)
        contract, label = given.contract, given.label
        rows, columns = given.table.shape
        update(f"{rows} rows, {columns} columns, labelled {label}")
    _prepare_folder(folder)
    sandbox = home / SANDBOX_FOLDER
    tee = tee_named(options.tee)
    backend = tee.backend(folder / "rehearsal", home)

    with timeline.step("operator", "Try the sandbox") as update:
        found = backend.probe()
        if not found.usable:
            raise BackendUnavailableError(
                "the sandbox cannot be had here: " + " ".join(found.missing),
                hint="`manatee doctor` shows what is missing and how to get it.",
            )
        update(f"{found.kind}: namespaces, no network, seccomp, limits")
    with timeline.step("operator", "Measure the runtime") as update:
        runtime = runtime_digest(settings.runtime, cache=sandbox / "runtime-cache")
        update(runtime)

    with timeline.step("everyone", "Make keys, accounts and the key broker's policy") as update:
        room = make_local_room(
            folder,
            runtime=settings.runtime,
            runtime_digest=runtime,
            label=label,
            tee=tee,
            witness=witness_key(folder / "witness"),
        )
        _account(folder / "provider" / "budget.sqlite", home / "keybroker", contract.name)
        insecure = ", ".join(room.settings.insecure())
        update(f"INSECURE, for this demo: {insecure}" if insecure else f"tier {tee.tier.value}")

    with (
        _watched(room.settings, folder, timeline) as watched,
        _service(watched, folder, timeline) as url,
    ):
        from manatee.client import ManateeClient

        provider = ManateeClient(url, room.provider_token)
        researcher = ManateeClient(url, room.researcher_token)
        with timeline.step("provider", "Seal the table; make its twin") as update:
            publication = prepare_dataset(
                given.table,
                contract,
                folder / "provider" / contract.name,
                provider=PROVIDER,
                label=label,
                contract_text=given.contract_text,
                broker=BrokerAddress(BROKER, f"{url}/keybroker", room.broker_custody),
                budget=BUDGET,
                limit=LIMIT,
                twin_report=REPORT,
                spec=given.spec,
                progress=update,
            )
            how = "for its task" if given.spec else "MST"
            update(f"{how}, epsilon {BUDGET.epsilon:g}, delta {BUDGET.delta:g}")
        with timeline.step("provider", "Publish ciphertext and twin") as update:
            update(publish(provider, folder / "provider" / contract.name, update))
        with timeline.step("both", "Agree on the clean room") as update:
            agreed = room.agree(url, (contract.name,))
            update(f"project {agreed.project.name} is {agreed.state}: {agreed.digest}")

        workspace = folder / "researcher" / "workspace"
        shutil.copytree(options.workspace or _example(), workspace, symlinks=True)
        work = Work(
            workspace=workspace,
            notebook="notebook.ipynb",
            parameters={},
            datasets=(contract.name,),
            declared_outputs=("figures.json", "figure.png"),
            purpose=PURPOSE,
            project=PROJECT,
            researcher=RESEARCHER,
            recipient=room.identity.recipient,
            backend_kind=tee.backend_kind,
            twin_report=True,
        )
        with timeline.step("researcher", "Rehearse the notebook on the twin") as update:
            rehearsal = rehearse(
                work,
                client=researcher,
                backend=backend,
                runtime=settings.runtime,
                identity=room.identity.identity,
                progress=update,
            )
            _keep(folder / "twin-outputs", rehearsal.files)
            if not rehearsal.exit.succeeded:
                raise JobFailedError(
                    f"the rehearsal failed: {describe_exit(rehearsal.exit)}.",
                    hint=f"Its notebook, error and all, is in {folder / 'twin-outputs'}.",
                )
            update(_summary(rehearsal.files))
        with timeline.step("researcher", "Submit the same notebook for the real data") as update:
            job = submit(work, client=researcher, runtime=runtime)
            update(f"job_digest {job.job_digest}")
        with timeline.step("provider", "Approve that digest (`manatee approve`)") as update:
            _approve(job, url, room.provider_token, room.approver_key)
            update(f"{job.id}, signed by {PROVIDER}")
        job = _follow(researcher, job, timeline)
        with timeline.step("researcher", "Fetch outputs and proof") as update:
            outputs = fetch_bundle(
                researcher, job.id, identity=room.identity.identity, folder=folder / "bundle"
            )
            update(f"{len(outputs)} files, {_summary(outputs)}")
        with timeline.step("researcher", "See where the twin misled") as update:
            misled = misled_by_twins(researcher, job.id)
            update(_misled(misled))
    with timeline.step("auditor", "Verify the run bundle, offline") as update:
        verification = verify(folder / "bundle", room.trust)
        verification.require()
        update(f"{len(verification.checks)} checks; {tee.tier.value.upper()}, not hardware")
    return DemoOutcome(
        folder=folder,
        label=label,
        publication=publication,
        rehearsal=rehearsal,
        job=job,
        outputs=outputs,
        verification=verification,
        misled=misled,
        timeline=timeline,
    )


def _account(ledger: Path, broker: Path, dataset: str) -> None:
    """Let the key broker account in the ledger that the twin is charged in."""
    from manatee.budgets import BudgetLedger
    from manatee.keybroker import use_ledger

    BudgetLedger(ledger).set_limit(dataset, epsilon=LIMIT.epsilon, delta=LIMIT.delta)
    use_ledger(broker, ledger, {})


def _summary(files: tuple[OutputFile, ...]) -> str:
    found = figures(files)
    return (
        f"RMSE {found['rmse_usd']:,.0f} USD"
        if isinstance(found.get("rmse_usd"), int | float)
        else ""
    )


def _misled(reports: tuple[Misled, ...]) -> str:
    return "; ".join(
        f"{item.count('misled')} of {len(item.findings)} shares and types, "
        f"{item.count('cannot tell')} drowned in noise; rho {item.report.rho}"
        for item in reports
    )


def _keep(folder: Path, files: tuple[OutputFile, ...]) -> None:
    for file in files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)


def _approve(job: JobAnswer, url: str, token: str, key: Path) -> None:
    """Approve as a provider does, by the command, in a process of its own."""
    command = [sys.executable, "-m", "manatee.cli", "approve", job.id]
    command += ["--digest", job.job_digest, "--key", str(key)]
    done = subprocess.run(
        command,
        env={"MANATEE_URL": url, "MANATEE_TOKEN": token, "MANATEE_HOME": str(key.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ManifestError(f"`manatee approve` failed: {done.stderr.strip()}")


_GUEST_STEPS = {
    "launching": "Launch the guest",
    "attesting": "Attest; get the data key from the key broker",
    "running": "Decrypt inside the guest; run the notebook, no network",
    "output_check": "Check the outputs; seal them to the researcher; sign the result",
}


def _follow(client: ManateeClient, job: JobAnswer, timeline: Timeline) -> JobAnswer:
    """Show each state of the job as a step until it has ended.

    Raises:
        JobFailedError: It ended without a release.
    """
    with ExitStack() as stack:
        update = stack.enter_context(timeline.step("service", "Check, build"))
        for event in client.events(job.id):
            if event.kind == "progress" and event.progress is not None:
                progress = event.progress
                if progress.cell is not None:
                    update(describe_event(progress.phase, progress.cell, progress.cells_total))
            elif event.state in _GUEST_STEPS:
                stack.close()
                update = stack.enter_context(timeline.step("guest", _GUEST_STEPS[event.state]))
        ended = client.job(job.id)
        if ended.state != "released":
            raise explain_failure(ended)
    return ended
