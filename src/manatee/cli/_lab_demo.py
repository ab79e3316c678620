"""The clean room of `manatee lab --demo`: one provider, one researcher, made-up people's data."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from manatee._clock import system_clock
from manatee.cli._demo import BUDGET, GENERATOR_SEED
from manatee.cli._lab import DeskFiles
from manatee.cli._local_room import BROKER, PROJECT, PROVIDER, LocalRoom, make_local_room
from manatee.cli._people import read_approver_key
from manatee.cli._provider import BrokerAddress, prepare_dataset, publish
from manatee.cli._services import SANDBOX_FOLDER, running_service
from manatee.client import ManateeClient
from manatee.errors import ConflictError, ManateeError
from manatee.policy import sign_approval
from manatee.records import JobAnswer
from manatee.runtime import runtime_digest
from manatee.settings import Settings

MARKER = ".manatee-lab-demo"
LOOK_SECONDS = 1.0
DATASET = "insurance"


@dataclass(frozen=True)
class DemoRoom:
    """A running demo room and what a researcher needs to use it."""

    room: LocalRoom
    url: str
    desk: Path
    runtime_digest: str

    def provider(self) -> ManateeClient:
        """Return the data provider's client."""
        return ManateeClient(self.url, self.room.provider_token)

    def researcher(self) -> ManateeClient:
        """Return the researcher's client."""
        return ManateeClient(self.url, self.room.researcher_token)


@contextmanager
def demo_room(
    folder: Path, settings: Settings, *, progress: Callable[[str], None]
) -> Iterator[DemoRoom]:
    """Set up a room in a folder, with a service that runs while the block runs.

    Effects: replaces the folder if an earlier demo made it.

    Raises:
        ConflictError: The folder is something else.
        RuntimeEnvironmentError: The runtime is missing or unlocked.
    """
    if folder.exists():
        if not (folder / MARKER).exists():
            raise ConflictError(f"{folder} is not an earlier demo.", hint="Choose another --dir.")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARKER).write_text("Made by `manatee lab --demo`, which may replace this folder.\n")
    progress("measuring the runtime")
    place = folder / "room"
    digest = runtime_digest(
        settings.runtime, cache=place / "home" / SANDBOX_FOLDER / "runtime-cache"
    )
    room = make_local_room(
        place, runtime=settings.runtime, runtime_digest=digest, label="synthetic"
    )
    with ExitStack() as stack:
        progress("starting the service")
        url = stack.enter_context(running_service(room.settings, log=folder / "service.log"))
        made = DemoRoom(room, url, folder / "desk", digest)
        progress("making the twin and sealing the table")
        _publish(made)
        DeskFiles(
            folder=made.desk,
            url=url,
            token=room.researcher_token,
            identity=room.identity,
            trust=room.trust,
            runtime_digest=digest,
            projects=(PROJECT,),
            tee=room.settings.tee,
            runtime=settings.runtime,
        ).write()
        _keep_provider(folder, made)
        yield made


def _keep_provider(folder: Path, made: DemoRoom) -> None:
    """Keep what a person needs to act as the data provider, in a file a shell can read."""
    lines = [
        f"MANATEE_URL={made.url}",
        f"MANATEE_TOKEN={made.room.provider_token}",
        f"# manatee approve JOB --key {made.room.approver_key}",
    ]
    path = folder / "provider.env"
    path.touch(mode=0o600)
    path.write_text("\n".join(lines) + "\n")


def _publish(made: DemoRoom) -> None:
    from manatee.contracts import parse_contract
    from manatee.provisioning import insurance_contract_text, insured_persons

    text = insurance_contract_text()
    folder = made.room.folder / "provider" / DATASET
    prepare_dataset(
        insured_persons(1338, seed=GENERATOR_SEED),
        parse_contract(text.encode()),
        folder,
        provider=PROVIDER,
        label="synthetic",
        contract_text=text,
        broker=BrokerAddress(BROKER, f"{made.url}/keybroker", made.room.broker_custody),
        budget=BUDGET,
        progress=lambda _: None,
    )
    with made.provider() as provider:
        publish(provider, folder, lambda _: None)
    made.room.agree(made.url, (DATASET,))


def approve_as_provider(provider: ManateeClient, key: Path, job: JobAnswer) -> None:
    """Approve a job with the approver key in a file, as the demo's data provider."""
    approval = sign_approval(
        read_approver_key(key).raw,
        provider=PROVIDER,
        approver=PROVIDER,
        job_digest=job.job_digest,
        at=system_clock(),
    )
    provider.approve(job.id, approval)


@contextmanager
def yes_to_everything(made: DemoRoom) -> Iterator[None]:
    """Approve every job while the block runs: the demo's provider has nothing to protect."""
    stop = threading.Event()

    def look() -> None:
        with made.provider() as provider:
            while not stop.wait(LOOK_SECONDS):
                try:
                    for job in provider.job_page().jobs:
                        if job.state == "awaiting_approval":
                            approve_as_provider(provider, made.room.approver_key, job)
                except ManateeError:
                    continue  # cancelled meanwhile, or the service is busy: the next look tells

    thread = threading.Thread(target=look, name="provider", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
