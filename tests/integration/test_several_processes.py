"""One installation in several processes: `manatee serve --only api` and `--only reconciler`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from manatee.cli._app import app
from manatee.cli._processes import hold_alone, refuse_embedded_broker
from manatee.cli._services import environment_of
from manatee.errors import SettingsError
from manatee.jobs import JobState
from manatee.runtime import runtime_digest
from manatee.settings import Settings, load_settings
from manatee.testing import ControlPlane


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    # the store of `ControlPlane` is this home's
    made = load_settings({})
    return replace(made, home=tmp_path / "store", port=0, database_url=database_url)


@pytest.fixture
def plane(tmp_path: Path, database_url: str) -> Iterator[ControlPlane]:
    made = ControlPlane(tmp_path, database_url=database_url)
    yield made
    made.store.close()


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def start(settings: Settings, part: str) -> subprocess.Popen[str]:
    with (settings.home.parent / f"{part}.log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "manatee.cli", "serve", "--only", part],
            env={"PATH": os.environ["PATH"], **environment_of(settings)},
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )


def wait_until(what: str, process: subprocess.Popen[str], is_so: object) -> None:
    assert callable(is_so)
    give_up = time.monotonic() + 60
    while not is_so():
        assert process.poll() is None, f"it ended before {what}"
        assert time.monotonic() < give_up, f"never {what}"
        time.sleep(0.05)


def test_an_api_takes_jobs_in_and_a_reconciler_beside_it_brings_them_on(
    settings: Settings, plane: ControlPlane, started: list[subprocess.Popen[str]]
) -> None:
    try:
        runtime_digest(settings.runtime)
    except Exception:  # noqa: BLE001  # whatever is wrong with it
        pytest.skip("no runtime here")
    api = start(settings, "api")
    started.append(api)
    announced = settings.home / "service.json"
    wait_until("it listens", api, announced.exists)
    url = json.loads(announced.read_text())["url"]
    assert httpx.get(f"{url}/readyz", trust_env=False).status_code == 200
    job = plane.submit()
    time.sleep(1.0)
    assert plane.state(job) is JobState.CREATED  # nobody is there to bring it on

    reconciler = start(settings, "reconciler")
    started.append(reconciler)
    # its runtime is not installed here: the checks of the server reject it
    wait_until("it is checked", reconciler, lambda: plane.state(job) is JobState.REJECTED)
    reconciler.send_signal(signal.SIGTERM)
    assert reconciler.wait(30) == 0
    assert announced.exists()  # it is the API's
    api.send_signal(signal.SIGTERM)
    assert api.wait(30) == 0
    assert not announced.exists()


def test_a_part_alone_refuses_an_embedded_key_broker(
    tmp_path: Path,
) -> None:
    settings = replace(Settings(), home=tmp_path)
    refuse_embedded_broker(settings)
    (tmp_path / "keybroker").mkdir()
    (tmp_path / "keybroker" / "broker.json").write_text("{}")
    with pytest.raises(SettingsError, match="one process alone"):
        refuse_embedded_broker(settings)


def test_a_key_broker_is_run_by_one_process_until_it_ends(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from manatee.cli._processes import hold_alone;"
        "hold_alone(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(SettingsError, match="another process runs the key broker"):
            hold_alone(tmp_path)
        other.kill()
    hold_alone(tmp_path)


def test_an_unknown_part_is_refused() -> None:
    assert CliRunner().invoke(app, ["serve", "--only", "everything"]).exit_code == 2
