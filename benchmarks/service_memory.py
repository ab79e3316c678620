"""Peak memory of `manatee serve`: idle, and with jobs waiting in the queue.

    python benchmarks/service_memory.py [--jobs 100]

Reads VmHWM (peak resident set) of the service process; prints MiB as JSON. The jobs wait for
approval, so no guest runs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

from clean_room_overhead import Room

from manatee.cli._local_room import PROJECT, RESEARCHER, make_local_room
from manatee.cli._researcher import Work, submit
from manatee.cli._services import running_service
from manatee.records import parse_json
from manatee.runtime import runtime_digest
from manatee.settings import load_settings
from manatee.testing import notebook_of


def peak(pid: int) -> float:
    """Return a process's peak resident set in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("no VmHWM in /proc")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100)
    options = parser.parse_args()
    runtime_folder = load_settings().runtime
    digest = runtime_digest(runtime_folder)
    folder = Path(tempfile.mkdtemp(prefix="manatee-benchmark-"))
    try:
        room = make_local_room(
            folder / "room", runtime=runtime_folder, runtime_digest=digest, label="synthetic"
        )
        source = folder / "work" / "notebook.ipynb"
        source.parent.mkdir()
        source.write_text(notebook_of("pass"))
        with running_service(room.settings, log=folder / "service.log") as url:
            pid = parse_json((room.settings.home / "service.json").read_bytes())["pid"]
            time.sleep(3)
            idle = peak(pid)
            client = Room(room, url, digest).researcher
            for number in range(1, options.jobs + 1):
                work = Work(
                    workspace=source.parent,
                    notebook=source.name,
                    parameters={},
                    datasets=("insurance",),
                    declared_outputs=(),
                    purpose=f"benchmark {number}",
                    project=PROJECT,
                    researcher=RESEARCHER,
                    recipient=room.identity.recipient,
                )
                submit(work, client=client, runtime=digest)
            while any(job.state in {"created", "checking"} for job in client.jobs()):
                time.sleep(0.1)
            loaded = peak(pid)
        print(json.dumps({"idle_mib": idle, "loaded_mib": loaded, "jobs": options.jobs}, indent=2))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
