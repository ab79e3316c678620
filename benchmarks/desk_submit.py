"""From pressing submit to reading the outputs, beside jupyter-scheduler on the same machine.

    python benchmarks/desk_submit.py --peer PYTHON [--pairs 3] [--seconds 5]

The same notebook goes, in turns, through ManaTEE (sandbox on, keys released to attested simulated
evidence, outputs checked, sealed, fetched and opened; the provider approves at once) and through
jupyter-scheduler, which runs it in the server's own environment with nothing around it. Two
notebooks: an empty one, and one that computes for so many seconds.

`--peer` names the Python of a virtual environment with jupyter-scheduler and ipykernel.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import httpx
from clean_room_overhead import BUSY, CALIBRATE, Room
from scheduling import peer_server

from manatee.cli._local_room import make_local_room
from manatee.cli._services import running_service
from manatee.runtime import runtime_digest, runtime_python
from manatee.settings import load_settings
from manatee.testing import notebook_of


def theirs(line: httpx.Client) -> float:
    """Return the seconds that one job takes from its submission until it has ended well."""
    body = {
        "input_uri": "notebook.ipynb",
        "name": "one",
        "runtime_environment_name": "",
        "output_formats": ["ipynb"],
    }
    began = time.perf_counter()
    job = line.post("/scheduler/jobs", json=body).raise_for_status().json()["job_id"]
    while time.perf_counter() - began < 300:
        status = line.get(f"/scheduler/jobs/{job}").raise_for_status().json()["status"]
        if status == "COMPLETED":
            return time.perf_counter() - began
        # STOPPED is also said of a job whose process has not written that it ended
        if status == "FAILED":
            raise SystemExit(f"jupyter-scheduler: the job ended {status}")
        time.sleep(0.02)
    raise SystemExit("jupyter-scheduler did not end its job")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    asked = parser.parse_args()
    runtime = load_settings().runtime
    python = runtime_python(runtime)
    counted = subprocess.run([python, "-c", CALIBRATE], check=True, capture_output=True, text=True)
    digest = runtime_digest(runtime)
    print("| notebook | ManaTEE s | jupyter-scheduler s | ratio |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        room = make_local_room(
            folder / "room", runtime=runtime, runtime_digest=digest, label="synthetic"
        )
        with running_service(room.settings, log=folder / "service.log") as url:
            clean_room = Room(room, url, digest)
            for name, source in (
                ("empty", "pass"),
                (
                    f"{asked.seconds:g} s of work",
                    BUSY.format(rounds=int(int(counted.stdout) * asked.seconds)),
                ),
            ):
                text = notebook_of(source)
                place = folder / name.replace(" ", "-") / "notebook.ipynb"
                place.parent.mkdir()
                place.write_text(text)
                pairs = []
                with peer_server(asked.peer, json.dumps(json.loads(text))) as line:
                    theirs(line)  # warm-up
                    clean_room.run(place, 1000)
                    for number in range(1, asked.pairs + 1):
                        pairs.append((clean_room.run(place, number)["total"], theirs(line)))
                ours, peer = (statistics.median(side) for side in zip(*pairs, strict=True))
                print(f"| {name} | {ours:.2f} | {peer:.2f} | {ours / peer:.2f} |")


if __name__ == "__main__":
    main()
