"""What an operator meets at 3 a.m.: the service dies, guests go on, nothing runs twice."""

import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from manatee._clock import system_clock
from manatee.bundle import read_bundle, read_trust, verify_bundle
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
from manatee.errors import ManateeError
from manatee.keybroker import BrokerStore
from manatee.policy import sign_approval
from manatee.provisioning import insurance_contract_text, insured_persons
from manatee.records import JobAnswer
from manatee.releasing import fetch_bundle
from manatee.runtime import runtime_digest
from manatee.settings import load_settings
from manatee.testing import notebook_of

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("room")]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> LocalRoom:
    runtime = load_settings().runtime
    made = make_local_room(
        tmp_path_factory.mktemp("night") / "room",
        runtime=runtime,
        runtime_digest=runtime_digest(runtime),
        label="synthetic",
    )
    # one port for all lives of the service: the catalogue names the key broker by its URL
    made = replace(made, settings=replace(made.settings, port=free_port()))
    text = insurance_contract_text()
    with running_service(made.settings, log=made.folder / "service.log") as url:
        prepare_dataset(
            insured_persons(200, seed=3),
            parse_contract(text.encode()),
            made.folder / "provider" / "insurance",
            provider=PROVIDER,
            label="synthetic",
            contract_text=text,
            broker=BrokerAddress(BROKER, f"{url}/keybroker", made.broker_custody),
            budget=PrivacyBudget(epsilon=1.0, delta=1e-9),
            progress=lambda _: None,
        )
        with ManateeClient(url, made.provider_token) as client:
            publish(client, made.folder / "provider" / "insurance", lambda _: None)
        assert made.agree(url, ("insurance",)).state == "open"
    return made


@dataclass(frozen=True)
class Service:
    """One life of the service, with a client of each person."""

    researcher: ManateeClient
    provider: ManateeClient


Start = Callable[[], AbstractContextManager[Service]]


@pytest.fixture
def start(room: LocalRoom) -> Start:
    @contextmanager
    def life() -> Iterator[Service]:
        with (
            running_service(room.settings, log=room.folder / "service.log") as url,
            ManateeClient(url, room.researcher_token) as researcher,
            ManateeClient(url, room.provider_token) as provider,
        ):
            yield Service(researcher, provider)

    return life


def submitted(
    room: LocalRoom, service: Service, folder: Path, *sources: str, purpose: str
) -> JobAnswer:
    (folder / "work").mkdir()
    (folder / "work" / "notebook.ipynb").write_text(notebook_of(*sources))
    work = Work(
        workspace=folder / "work",
        notebook="notebook.ipynb",
        parameters={},
        datasets=("insurance",),
        declared_outputs=(),
        purpose=purpose,
        project=PROJECT,
        researcher=RESEARCHER,
        recipient=room.identity.recipient,
    )
    return submit(work, client=service.researcher, runtime=runtime_digest(room.settings.runtime))


def approve(room: LocalRoom, service: Service, job: JobAnswer) -> None:
    approval = sign_approval(
        read_approver_key(room.approver_key).raw,
        provider=PROVIDER,
        approver=PROVIDER,
        job_digest=job.job_digest,
        at=system_clock(),
    )
    until(service, job, {"awaiting_approval"})
    service.provider.approve(job.id, approval)


def until(service: Service, job: JobAnswer, states: set[str]) -> JobAnswer:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = service.researcher.job(job.id)
        if found.state in states:
            return found
        time.sleep(0.05)
    raise AssertionError(f"still {found.state}")


def kill_service(room: LocalRoom) -> None:
    pid = json.loads((room.settings.home / "service.json").read_bytes())["pid"]
    os.kill(pid, signal.SIGKILL)


def grants(room: LocalRoom, job: JobAnswer) -> list[dict[str, Any]]:
    store = BrokerStore(room.settings.home / "keybroker" / "broker.db")
    try:
        bodies = [json.loads(entry.body) for entry in store.decisions()]
    finally:
        store.close()
    return [body for body in bodies if body.get("job_digest") == job.job_digest]


def test_a_service_killed_while_a_guest_runs_takes_it_up_again(
    room: LocalRoom, start: Start, tmp_path: Path
) -> None:
    with start() as service:
        job = submitted(
            room,
            service,
            tmp_path,
            "import time, manatee\nn = manatee.dataset('insurance').count_rows()\ntime.sleep(4)",
            "print(n > 100)",
            purpose="killed while running",
        )
        approve(room, service, job)
        until(service, job, {"running"})
        kill_service(room)
    with start() as service:
        ended = until(service, job, {"released", "failed"})
        assert (ended.state, ended.attempt) == ("released", 1)
        bundle = tmp_path / "bundle"
        fetch_bundle(service.researcher, job.id, identity=room.identity.identity, folder=bundle)
    verification = verify_bundle(
        read_bundle(bundle), trust=read_trust(room.trust), at=system_clock()
    )
    verification.require()
    assert [body["outcome"] for body in grants(room, job)] == ["released"]


def test_a_job_is_not_lost_when_the_service_dies_before_approval(
    room: LocalRoom, start: Start, tmp_path: Path
) -> None:
    with start() as service:
        job = submitted(room, service, tmp_path, "pass", purpose="killed before approval")
        kill_service(room)
    with start() as service:
        approve(room, service, job)
        assert until(service, job, {"released", "failed"}).state == "released"


def test_cancel_ends_a_running_guest_and_leaves_no_trace(
    room: LocalRoom, start: Start, tmp_path: Path
) -> None:
    with start() as service:
        job = submitted(
            room,
            service,
            tmp_path,
            "import time\ntime.sleep(60)",
            purpose="cancelled while running",
        )
        approve(room, service, job)
        until(service, job, {"running"})
        service.researcher.cancel(job.id)
        assert until(service, job, {"cancelled", "released", "failed"}).state == "cancelled"
    assert list((room.settings.home / "sandbox" / "guests").iterdir()) == []


def test_an_unapproved_job_gets_no_key_even_if_the_operator_pushes_it_on(
    room: LocalRoom, start: Start, tmp_path: Path
) -> None:
    """The operator edits its own database; the key broker counts signatures, not states."""
    import sqlite3

    with start() as service:
        job = submitted(room, service, tmp_path, "pass", purpose="pushed on by the operator")
        until(service, job, {"awaiting_approval"})
    database = sqlite3.connect(room.settings.home / "manatee.db")
    database.execute("UPDATE jobs SET state = 'approved', due_at = 0 WHERE id = ?", (job.id,))
    database.commit()
    database.close()
    with start() as service:
        ended = until(service, job, {"released", "failed"})
    assert ended.state == "failed"
    assert ended.exit is not None
    assert ended.exit.check == "approvals"
    assert [body["outcome"] for body in grants(room, job)] == ["denied"]


def test_a_failing_cell_says_where_and_what_class_and_nothing_else(
    room: LocalRoom, start: Start, tmp_path: Path
) -> None:
    canary = "canary-7Q2"
    with start() as service:
        job = submitted(
            room,
            service,
            tmp_path,
            "x = 1",
            f"y = 2\nraise ValueError('{canary}' + str(x))",
            purpose="fails in cell 2",
        )
        approve(room, service, job)
        ended = until(service, job, {"released", "failed"})
        answer = msgspec.json.encode(ended).decode()
    assert ended.state == "failed"
    assert ended.exit is not None
    assert (ended.exit.cell, ended.exit.line, ended.exit.exception_class) == (2, 2, "ValueError")
    assert f"{canary}1" not in answer
    assert f"{canary}1" not in (room.folder / "service.log").read_text()


def test_a_printed_private_row_does_not_leave(
    room: LocalRoom, start: Start, tmp_path: Path
) -> None:
    with start() as service:
        job = submitted(
            room,
            service,
            tmp_path,
            "import manatee\nprint(manatee.dataset('insurance').head(1).to_pylist())",
            purpose="prints a row",
        )
        approve(room, service, job)
        ended = until(service, job, {"released", "failed"})
        with pytest.raises(ManateeError):
            service.researcher.download_outputs(job.id, tmp_path / "outputs.age")
    assert ended.state == "failed"
    assert ended.exit is not None
    assert ended.exit.check == "private-rows"


def test_one_notebook_submitted_twice_is_one_job(
    room: LocalRoom, start: Start, tmp_path: Path
) -> None:
    with start() as service:
        job = submitted(room, service, tmp_path, "pass", purpose="submitted twice")
        shutil.rmtree(tmp_path / "work")
        with pytest.raises(ManateeError, match=job.id):
            submitted(room, service, tmp_path, "pass", purpose="submitted twice")
