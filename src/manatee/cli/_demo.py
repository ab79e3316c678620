"""`manatee demo`: the whole story on one machine, every part of it the real thing.

Five people act: the operator, who runs the service in a process of its own; the data provider;
the researcher; the guest, which is nobody; and the auditor. What is not real is the TEE: the
evidence is simulated, and every screen says so.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manatee._clock import system_clock, timestamp
from manatee.attestation import ReferenceValues, SimulatedDevice
from manatee.bundle import TrustAnchors, Verification, write_trust
from manatee.cli._accounts import add_account
from manatee.cli._people import new_approver_key, new_researcher_identity
from manatee.cli._provider import BrokerAddress, PrivacyBudget, prepare_dataset, publish
from manatee.cli._researcher import (
    RehearsalOutcome,
    Work,
    describe_event,
    explain_failure,
    fetch_bundle,
    rehearse,
    submit,
)
from manatee.cli._services import SIMULATED_DEVICE_FOLDER, running_service
from manatee.cli._timeline import Timeline
from manatee.cli._verify import verify
from manatee.errors import BackendUnavailableError, ConflictError, JobFailedError, ManifestError
from manatee.keybroker import create_broker, write_policy
from manatee.outputs import DEFAULT_POLICY
from manatee.policy import ACCEPT_SIMULATED, REAL_BELOW_HARDWARE, ReleasePolicy
from manatee.records import (
    DatasetPublication,
    JobAnswer,
    Label,
    OutputFile,
    Tier,
    digest_record,
    parse_json,
    to_base64,
)
from manatee.runtime import runtime_digest
from manatee.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

    from manatee.client import ManateeClient
    from manatee.provisioning import Contract

PROVIDER = "insurer"
RESEARCHER = "researcher"
BROKER = "insurer-broker"
PROJECT = "charges"
BUDGET = PrivacyBudget(epsilon=1.0, delta=1e-9)
MARKER = ".manatee-demo"
TOKEN_LIFE = timedelta(days=1)


@dataclass(frozen=True)
class DemoOptions:
    """What the person asked for. `table` None means the generated one."""

    folder: Path
    table: Path | None = None
    contract: Path | None = None
    n_records: int | None = None


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
    (folder / MARKER).write_text("Made by `manatee demo`, which may replace this folder.\n")


def _example() -> Path:
    package = Path(__file__).resolve().parents[1]
    for candidate in (
        package / "_examples" / "insurance",
        package.parents[1] / "examples/insurance",
    ):
        if (candidate / "notebook.ipynb").exists():
            return candidate
    raise ConflictError("the example notebook is missing from this installation.")


def _read_input(options: DemoOptions) -> tuple[pa.Table, Contract, Label]:
    from manatee.provisioning import insurance_contract, insured_persons, read_contract, read_table

    contract = read_contract(options.contract) if options.contract else insurance_contract()
    if options.table is None:
        return insured_persons(n_records=options.n_records or 1338), contract, "synthetic"
    return read_table(options.table, contract, max_rows=options.n_records), contract, "real"


@contextmanager
def _service(settings: Settings, folder: Path, timeline: Timeline) -> Iterator[str]:
    with ExitStack() as stack:
        with timeline.step("operator", "Start the service (`manatee serve`)") as update:
            url = stack.enter_context(running_service(settings, log=folder / "service.log"))
            update(url)
        yield url


def run_demo(options: DemoOptions, settings: Settings, timeline: Timeline) -> DemoOutcome:
    """Play the story from the private table to the verified bundle.

    Effects: replaces `options.folder` if an earlier demo made it; starts and stops a service.

    Raises:
        BackendUnavailableError: Isolation cannot be had here.
        JobFailedError: The job ended without a release.
        ManateeError: Any step's own error.
    """
    from manatee.backends import SandboxBackend

    folder = options.folder.absolute()
    home = folder / "home"
    with timeline.step("provider", "Read the private table and its contract") as update:
        table, contract, label = _read_input(options)
        update(f"{table.num_rows} rows, {table.num_columns} columns, labelled {label}")
    _prepare_folder(folder)
    device_folder = home / SIMULATED_DEVICE_FOLDER
    backend = SandboxBackend(folder / "rehearsal", device_folder=device_folder)

    with timeline.step("operator", "Try the sandbox") as update:
        found = backend.probe()
        if not found.usable:
            raise BackendUnavailableError(
                "the sandbox cannot be had here: " + " ".join(found.missing),
                hint="`manatee doctor` shows what is missing and how to get it.",
            )
        update(f"{found.kind}: namespaces, no network, seccomp, limits")
    with timeline.step("operator", "Measure the runtime") as update:
        runtime = runtime_digest(settings.runtime, cache=home / "runtime-digests.json")
        update(runtime)

    insecure = {ACCEPT_SIMULATED: True, REAL_BELOW_HARDWARE: label == "real"}
    tokens = {
        PROVIDER: add_account(home, PROVIDER, ("data_provider",), life=TOKEN_LIFE),
        RESEARCHER: add_account(home, RESEARCHER, ("researcher",), life=TOKEN_LIFE),
    }
    approver = new_approver_key(folder / "provider" / "approver.json")
    identity = new_researcher_identity(folder / "researcher" / "identity.json")
    references = ReferenceValues(
        runtime_digests=(runtime,),
        roots={"simulated": (to_base64(SimulatedDevice.open(device_folder, system_clock).root()),)},
    )
    with timeline.step("provider", "Set up the key broker and its policy") as update:
        broker_key = create_broker(home / "keybroker", BROKER)
        now = system_clock()
        write_policy(
            home / "keybroker",
            ReleasePolicy(
                provider=PROVIDER,
                minimum_tier=Tier.SIMULATED,
                runtime_digests=(runtime,),
                output_policy_digests=(digest_record(DEFAULT_POLICY),),
                projects=(PROJECT,),
                researchers=(RESEARCHER,),
                approver_keys=(approver.public_key,),
                valid_from=timestamp(now - timedelta(minutes=1)),
                valid_until=timestamp(now + TOKEN_LIFE),
            ),
            references,
        )
        on = ", ".join(name for name, value in insecure.items() if value)
        update(f"INSECURE, for this demo: {on}")
    write_trust(
        folder / "trust.json",
        TrustAnchors(
            minimum_tier=Tier.SIMULATED,
            reference_values=references,
            approvers={PROVIDER: (approver.public_key,)},
        ),
    )
    service_settings = Settings(home=home, port=0, runtime=settings.runtime, **insecure)

    with _service(service_settings, folder, timeline) as url:
        from manatee.client import ManateeClient

        provider = ManateeClient(url, tokens[PROVIDER])
        researcher = ManateeClient(url, tokens[RESEARCHER])
        provider.register_approval_key(approver.public_key)
        with timeline.step("provider", "Seal the table; make its twin") as update:
            publication = prepare_dataset(
                table,
                contract,
                folder / "provider" / contract.name,
                provider=PROVIDER,
                label=label,
                broker=BrokerAddress(BROKER, f"{url}/keybroker", broker_key),
                budget=BUDGET,
                progress=update,
            )
            update(f"MST, epsilon {BUDGET.epsilon:g}, delta {BUDGET.delta:g}")
        with timeline.step("provider", "Publish ciphertext and twin") as update:
            update(publish(provider, folder / "provider" / contract.name, update))

        workspace = folder / "researcher" / "workspace"
        shutil.copytree(_example(), workspace)
        work = Work(
            workspace=workspace,
            notebook="notebook.ipynb",
            parameters={},
            datasets=(contract.name,),
            declared_outputs=("figures.json", "figure.png"),
            purpose="How well do age, weight and smoking explain charges?",
            project=PROJECT,
            researcher=RESEARCHER,
            recipient=identity.recipient,
        )
        with timeline.step("researcher", "Rehearse the notebook on the twin") as update:
            rehearsal = rehearse(
                work,
                client=researcher,
                backend=backend,
                runtime=settings.runtime,
                identity=identity.identity,
                progress=update,
            )
            if not rehearsal.exit.succeeded:
                raise JobFailedError(f"the rehearsal failed at cell {rehearsal.exit.cell}.")
            update(_summary(rehearsal.files))
            _keep(folder / "twin-outputs", rehearsal.files)
        with timeline.step("researcher", "Submit the same notebook for the real data") as update:
            job = submit(work, client=researcher, runtime=runtime)
            update(f"job_digest {job.job_digest}")
        with timeline.step("provider", "Approve that digest (`manatee approve`)") as update:
            _approve(job, url, tokens[PROVIDER], folder / "provider" / "approver.json")
            update(f"{job.id}, signed by {PROVIDER}")
        job = _follow(researcher, job, timeline)
        with timeline.step("researcher", "Fetch outputs and proof") as update:
            outputs = fetch_bundle(
                researcher, job.id, identity=identity.identity, folder=folder / "bundle"
            )
            update(f"{len(outputs)} files, {_summary(outputs)}")
    with timeline.step("auditor", "Verify the run bundle, offline") as update:
        verification = verify(folder / "bundle", folder / "trust.json")
        verification.require()
        update(f"{len(verification.checks)} checks; SIMULATED, not hardware")
    return DemoOutcome(
        folder=folder,
        label=label,
        publication=publication,
        rehearsal=rehearsal,
        job=job,
        outputs=outputs,
        verification=verification,
        timeline=timeline,
    )


def _summary(files: tuple[OutputFile, ...]) -> str:
    found = figures(files)
    return f"RMSE {found['rmse']:,.0f}" if isinstance(found.get("rmse"), int | float) else ""


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
        env={"MANATEE_URL": url, "MANATEE_TOKEN": token},
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
                update(describe_event(progress.phase, progress.cell, progress.cells_total))
            elif event.state in _GUEST_STEPS:
                stack.close()
                update = stack.enter_context(timeline.step("guest", _GUEST_STEPS[event.state]))
        ended = client.job(job.id)
        if ended.state != "released":
            raise explain_failure(ended)
    return ended
