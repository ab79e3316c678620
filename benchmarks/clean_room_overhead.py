"""What the clean room costs: submit to released output, over plain nbclient, in one run.

    python benchmarks/clean_room_overhead.py [--seconds 20] [--pairs 3]

Two notebooks: one that computes for about `--seconds` and one that is empty. Each is run through
the whole clean room (submission, approval by API, guest, attestation, key release, output check,
sealing, release, download) and, in turn, by nbclient alone with the same runtime. Prints the
ratio of medians for the first, the difference of medians for the second, and as JSON every run.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from manatee._clock import system_clock
from manatee.cli._local_room import (
    BROKER,
    PROJECT,
    PROVIDER,
    RESEARCHER,
    LocalRoom,
    make_local_room,
)
from manatee.cli._people import read_approver_key
from manatee.cli._provider import BrokerAddress, PrivacyBudget, prepare_dataset, publish
from manatee.cli._researcher import Work, submit
from manatee.cli._services import running_service
from manatee.client import ManateeClient
from manatee.contracts import parse_contract
from manatee.policy import sign_approval
from manatee.provisioning import insurance_contract_text, insured_persons
from manatee.releasing import fetch_bundle
from manatee.runtime import runtime_digest, runtime_python
from manatee.settings import load_settings
from manatee.testing import notebook_of

BUSY = """
import time, hashlib
rounds, state = 0, b"seed"
while rounds < {rounds}:
    state = hashlib.sha256(state * 64).digest()
    rounds += 1
print(rounds)
"""

CALIBRATE = """
import time, hashlib
state, rounds, start = b"seed", 0, time.perf_counter()
while time.perf_counter() - start < 2:
    for _ in range(1000):
        state = hashlib.sha256(state * 64).digest()
    rounds += 1000
print(int(rounds / (time.perf_counter() - start)))
"""

PLAIN = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, kernel_name="python3", timeout=900).execute()
nbformat.write(notebook, sys.argv[2])
"""


class Room:
    """A running clean room with one small data set."""

    def __init__(self, room: LocalRoom, url: str, runtime: str) -> None:
        self.room = room
        self.runtime = runtime
        self.provider = ManateeClient(url, room.provider_token)
        self.researcher = ManateeClient(url, room.researcher_token)
        self.approver = read_approver_key(room.approver_key)
        text = insurance_contract_text()
        prepared = room.folder / "provider" / "insurance"
        prepare_dataset(
            insured_persons(1338, seed=1),
            parse_contract(text.encode()),
            prepared,
            provider=PROVIDER,
            label="synthetic",
            contract_text=text,
            broker=BrokerAddress(BROKER, f"{url}/keybroker", room.broker_custody),
            budget=PrivacyBudget(epsilon=1.0, delta=1e-9),
            progress=lambda _: None,
        )
        publish(self.provider, prepared, lambda _: None)
        room.agree(url, ("insurance",))

    def run(self, source: Path, submission: int) -> dict[str, float]:
        """Run one notebook from submission to opened outputs; returns seconds per phase."""
        work = Work(
            workspace=source.parent,
            notebook=source.name,
            parameters={},
            datasets=("insurance",),
            declared_outputs=(),
            purpose="benchmark",
            project=PROJECT,
            researcher=RESEARCHER,
            recipient=self.room.identity.recipient,
            submission=submission,
        )
        marks: dict[str, float] = {}
        start = time.perf_counter()
        job = submit(work, client=self.researcher, runtime=self.runtime)
        approval = sign_approval(
            self.approver.raw,
            provider=PROVIDER,
            approver=PROVIDER,
            job_digest=job.job_digest,
            at=system_clock(),
        )
        while self.provider.job(job.id).state != "awaiting_approval":
            time.sleep(0.005)
        self.provider.approve(job.id, approval)
        for event in self.researcher.events(job.id):
            name = event.state if event.progress is None else event.progress.phase
            marks.setdefault(name, time.perf_counter() - start)
        state = self.researcher.job(job.id).state
        if state != "released":
            raise SystemExit(f"benchmark job ended {state}")
        bundle = self.room.folder / f"bundle-{source.parent.name}-{submission}"
        fetch_bundle(self.researcher, job.id, identity=self.room.identity.identity, folder=bundle)
        marks["total"] = time.perf_counter() - start
        return marks


def plain(python: Path, source: Path) -> float:
    """Run one notebook by nbclient alone; returns seconds, interpreter start included."""
    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        subprocess.run(
            [python, "-c", PLAIN, source, Path(scratch) / "out.ipynb"],
            check=True,
            capture_output=True,
        )
        return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    runtime_folder = load_settings().runtime
    python = runtime_python(runtime_folder)
    rate = int(
        subprocess.run([python, "-c", CALIBRATE], check=True, capture_output=True, text=True).stdout
    )
    folder = Path(tempfile.mkdtemp(prefix="manatee-benchmark-"))
    try:
        work = {}
        for name, sources in (
            ("busy", [BUSY.format(rounds=int(rate * options.seconds))]),
            ("empty", ["pass"]),
        ):
            work[name] = folder / "work" / name / "notebook.ipynb"
            work[name].parent.mkdir(parents=True)
            work[name].write_text(notebook_of(*sources))
        digest = runtime_digest(runtime_folder)
        room = make_local_room(
            folder / "room", runtime=runtime_folder, runtime_digest=digest, label="synthetic"
        )
        figures: dict[str, Any] = {}
        with running_service(room.settings, log=folder / "service.log") as url:
            clean_room = Room(room, url, digest)
            clean_room.run(work["empty"], 1000)  # warm-up
            for name, source in work.items():
                runs: list[dict[str, Any]] = []
                for pair in range(1, options.pairs + 1):
                    marks = clean_room.run(source, pair)
                    alone = plain(python, source)
                    runs.append({"clean_room": marks, "nbclient": alone})
                    print(f"{name}: {marks['total']:.2f} s over {alone:.2f} s", file=sys.stderr)
                ours = statistics.median(run["clean_room"]["total"] for run in runs)
                theirs = statistics.median(run["nbclient"] for run in runs)
                figures[name] = {
                    "clean_room_seconds": ours,
                    "nbclient_seconds": theirs,
                    "ratio": ours / theirs,
                    "overhead_seconds": ours - theirs,
                    "runs": runs,
                }
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(figures, indent=2))
    print(
        f"busy notebook: {figures['busy']['ratio']:.3f} of plain nbclient; "
        f"empty notebook: {figures['empty']['overhead_seconds']:.2f} s on top",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
