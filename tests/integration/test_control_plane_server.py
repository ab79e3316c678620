"""The service as a process: it starts on a free port and ends in order when told to."""

import signal
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import httpx
import pytest

from manatee.api import create_app, serve, serve_in_thread
from manatee.errors import SettingsError
from manatee.testing import ControlPlane

PROGRAM = """
import sys
from pathlib import Path
from manatee.api import create_app, serve
from manatee.testing import ControlPlane

plane = ControlPlane(Path(sys.argv[1]))
job = plane.submit()
app = create_app(plane.store, plane.settings, plane.clock, runtimes=[])
started = lambda url: print(url, plane.tokens["alice"], job.id, flush=True)
with plane.reconciler():
    serve(app, host="127.0.0.1", port=0, on_started=started)
plane.store.close()
print("ended in order", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_open_streams_and_then_the_process_in_order(
    tmp_path: Path, number: signal.Signals
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    url, token, job_id = process.stdout.readline().split()
    headers = {"authorization": f"Bearer {token}"}
    address = f"{url}/v1/jobs/{job_id}/events"
    with httpx.stream("GET", address, headers=headers, trust_env=False) as response:
        lines = response.iter_lines()
        assert next(lines) == "id: 1"
        process.send_signal(number)
        for _ in lines:
            pass
    rest, _ = process.communicate(timeout=20)
    assert rest == "ended in order\n"
    assert process.returncode == 0


def test_answers_on_a_kept_connection_do_not_wait_for_an_acknowledgement(tmp_path: Path) -> None:
    plane = ControlPlane(tmp_path)
    app = create_app(plane.store, plane.settings, plane.clock, runtimes=[])
    times = []
    with (
        serve_in_thread(app) as base,
        httpx.Client(base_url=base, trust_env=False) as line,
    ):
        for _ in range(40):
            began = perf_counter()
            assert line.get("/healthz").status_code == 200
            times.append(perf_counter() - began)
    plane.store.close()
    # without TCP_NODELAY every one takes the 40 ms for which the kernel holds an ACK back
    assert min(times[20:]) < 0.03


def test_an_address_that_cannot_be_listened_on_is_told() -> None:
    async def app(*_: object) -> None:
        """Serve nothing."""

    with pytest.raises(SettingsError, match="cannot listen"):
        serve(app, host="192.0.2.1", port=1)
