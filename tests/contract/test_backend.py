"""The backend contract: each sentence of `Backend`'s docstrings, on the fake and the real one."""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from manatee.backends import (
    Backend,
    GuestInputs,
    GuestState,
    GuestStatus,
    Handle,
    Plan,
    SandboxBackend,
)
from manatee.errors import BackendError, RuntimeEnvironmentError
from manatee.records import (
    RESOURCE_CLASSES,
    Cause,
    DatasetManifest,
    DatasetUse,
    Digest,
    FileEntry,
    GuestEvent,
    GuestPlan,
    JobManifest,
    OutputPolicy,
    canonical_json,
    dataset_version,
    digest_bytes,
    digest_record,
    read_record,
)
from manatee.runtime import runtime_digest
from manatee.testing import MEMORY_BROKER, GuestScript, MemoryBackend, MemoryPlace

RUNTIME = Path(__file__).parents[2] / "runtimes" / "tabular" / ".venv"

# Runs in the guest in place of the executor and does what the job's parameters say. Written
# against the documented guest channel only.
GUEST_PROGRAM = """
import http.client, json, os, socket, time
from manatee.records import GuestPlan, digest_record, read_record
plan = read_record(open("/run/manatee/plan.json", "rb").read(), GuestPlan, what="plan")
story = plan.manifest.parameters
class Channel(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("/run/manatee/channel.sock")
channel = Channel("guest")
def say(method, path, body):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    channel.request(method, path, body)
    answer = channel.getresponse()
    answer.read()
    return answer.status
for seq in range(1, story["events"] + 1):
    assert say("POST", "/v1/events", {"seq": seq, "phase": "running"}) == 204
if story["asks"]:
    assert say("POST", "/v1/brokers/clinic/release", {}) == 503
    assert say("POST", "/v1/brokers/clinic/release", {}) == 409
while story["waits"] and not os.path.exists("/run/manatee/datasets/table/go"):
    time.sleep(0.01)
if story["dies"]:
    os._exit(3)
assert say("PUT", "/v1/outputs", b"sealed outputs") == 204
result = {"job_digest": digest_record(plan.manifest), "attempt": plan.attempt,
          "exit": {"succeeded": True, "cells_run": 1, "cells_total": 1}}
assert say("PUT", "/v1/result", result) == 204
"""

STORY = {"events": 1, "asks": False, "waits": False, "dies": False}


def _inputs(
    folder: Path, kind: str, runtime: Path, digest: Digest, story: dict[str, Any]
) -> GuestInputs:
    attempt = story.pop("attempt", 1)
    stage = story.pop("stage", "secure")
    dataset = DatasetManifest(
        name="table",
        provider="clinic",
        label="synthetic",
        schema_digest=digest_bytes(b"schema"),
        contract_digest=digest_bytes(b"contract"),
        files=(FileEntry(path="part.bin", sha256=digest_bytes(b"rows"), size=4),),
    )
    table = folder / "table"
    table.mkdir(exist_ok=True)
    (table / "part.bin").write_bytes(b"rows")
    (folder / "workspace.tar").write_bytes(b"workspace")
    policy = OutputPolicy(
        name="strict",
        max_total_bytes=1000,
        max_files=4,
        max_cell_text_characters=100,
        allowed_mime_types=("text/plain",),
        allowed_file_types=(".csv",),
        row_match_margin_bits=8,
        release="automatic",
    )
    manifest = JobManifest(
        stage=stage,
        project="study",
        researcher="ada",
        purpose="contract",
        runtime_digest=digest,
        workspace_digest=digest_bytes(b"workspace"),
        entry_notebook="main.ipynb",
        parameters=story,
        datasets=(DatasetUse(name="table", version=dataset_version(dataset)),),
        output_policy_digest=digest_record(policy),
        output_recipients=("age1recipient",),
        resource_class="tiny",
        backend_kind=kind,
    )
    return GuestInputs(
        plan=GuestPlan(
            manifest=manifest, attempt=attempt, datasets=(dataset,), output_policy=policy
        ),
        resources=RESOURCE_CLASSES["tiny"],
        workspace=folder / "workspace.tar",
        datasets={"table": table},
        runtime=runtime,
        broker_urls={} if stage == "rehearsal" else {"clinic": "http://127.0.0.1:9"},
    )


class Place:
    """A place where guests run, with what the suite needs beside the contract."""

    kind: str
    broker = "clinic"
    runtime = RUNTIME
    digest: Digest

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: list[tuple[Backend, Handle]] = []

    def backend(self) -> Backend:
        """A new instance, as after a restart of the control plane."""
        raise NotImplementedError

    def inputs(self, **story: Any) -> GuestInputs:
        return _inputs(self.folder, self.kind, self.runtime, self.digest, {**STORY, **story})

    def start(self, **story: Any) -> tuple[Backend, Handle]:
        backend = self.backend()
        handle = backend.launch(self.prepare(backend.plan(self.inputs(**story))))
        self.seen.append((backend, handle))
        return backend, handle

    def prepare(self, plan: Plan) -> Plan:
        return plan

    def turn(self, handle: Handle) -> None:
        """Let time pass for guests that do not live by themselves."""

    def let_go(self) -> None:
        (self.folder / "table" / "go").touch()

    def until(self, handle: Handle, wanted: Callable[[GuestStatus], bool]) -> GuestStatus:
        backend = self.backend()
        give_up = time.monotonic() + 30
        while not wanted(status := backend.status(handle)):
            assert time.monotonic() < give_up, f"still {status}"
            self.turn(handle)
            time.sleep(0.01)
        return status

    def ended(self, handle: Handle) -> GuestStatus:
        return self.until(handle, lambda status: status.state.ended)

    def running(self, handle: Handle) -> GuestStatus:
        self.until(handle, lambda _: bool(self.backend().events(handle, 0)))
        return self.until(handle, lambda status: status.state is GuestState.RUNNING)


class InMemory(Place):
    kind = "memory"
    broker = MEMORY_BROKER
    runtime = Path("/nowhere")
    digest = digest_bytes(b"runtime")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.place = MemoryPlace(folder, at_once=False)

    def backend(self) -> Backend:
        return MemoryBackend(self.place, runtime_digest=self.digest)

    def prepare(self, plan: Plan) -> Plan:
        story = plan.inputs.plan.manifest.parameters
        script = GuestScript(
            end=GuestState.FAILED if story["dies"] else GuestState.SUCCEEDED,
            cause=Cause.GUEST_LOST if story["dies"] else None,
            key_requested=bool(story["asks"]),
        )
        self.place.script(digest_record(plan.inputs.plan.manifest), script)
        return plan

    def turn(self, handle: Handle) -> None:
        guest = self.place.guest(handle.guest_name)
        assert guest is not None
        story = guest.plan.inputs.plan.manifest.parameters
        if guest.status.state is not GuestState.RUNNING:
            if self.place.advance(handle.guest_name) is GuestState.RUNNING:
                for seq in range(2, int(str(story["events"])) + 1):
                    self.place.emit(handle.guest_name, GuestEvent(seq=seq, phase="running"))
        elif not story["waits"] or (self.folder / "table" / "go").exists():
            self.place.advance(handle.guest_name)


class InSandbox(Place):
    kind = "sandbox"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        cache = folder.parent / "runtime-cache"
        self.digest = runtime_digest(RUNTIME, cache=cache)
        shutil.copytree(cache, folder / "home" / "runtime-cache")

    def backend(self) -> Backend:
        return SandboxBackend(
            self.folder / "home",
            self.folder / "device",
            executor_argv=("-I", "-c", GUEST_PROGRAM),
        )


@pytest.fixture(params=[InMemory, pytest.param(InSandbox, marks=pytest.mark.sandbox)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    found: Place = request.param(tmp_path)
    yield found
    for handle in found.backend().list_orphans(frozenset()):
        found.backend().cleanup(handle)


def test_a_probe_says_that_guests_can_run_here(place: Place) -> None:
    found = place.backend().probe()
    assert (found.usable, found.missing, found.kind) == (True, (), place.kind)
    assert found.assurance is place.backend().assurance


def test_a_plan_is_a_function_of_its_inputs(place: Place) -> None:
    first = place.backend().plan(place.inputs())
    assert place.backend().plan(place.inputs()) == first
    assert first.runtime_digest == place.digest
    assert place.backend().plan(place.inputs(attempt=2)).guest_name != first.guest_name
    assert place.backend().plan(place.inputs(events=2)).guest_name != first.guest_name
    assert place.backend().list_orphans(frozenset()) == []


def test_a_plan_for_another_runtime_is_refused(place: Place) -> None:
    place.inputs()
    story = dict(STORY)
    wrong = _inputs(place.folder, place.kind, place.runtime, digest_bytes(b"other"), story)
    with pytest.raises(RuntimeEnvironmentError):
        place.backend().plan(wrong)


def test_a_plan_refuses_parts_that_do_not_belong_together(place: Place) -> None:
    good = place.inputs()
    other_policy = msgspec.structs.replace(good.plan.output_policy, max_files=99)
    other_data = msgspec.structs.replace(good.plan.datasets[0], label="real")
    replace = msgspec.structs.replace
    broken = [
        dataclasses.replace(good, resources=RESOURCE_CLASSES["small"]),
        dataclasses.replace(good, datasets={}),
        dataclasses.replace(good, datasets={**good.datasets, "more": place.folder}),
        dataclasses.replace(good, plan=replace(good.plan, output_policy=other_policy)),
        dataclasses.replace(good, plan=replace(good.plan, datasets=(other_data,))),
        dataclasses.replace(good, plan=replace(good.plan, datasets=good.plan.datasets * 2)),
        dataclasses.replace(
            place.inputs(stage="rehearsal"), broker_urls={"clinic": "http://127.0.0.1:9"}
        ),
        dataclasses.replace(
            good,
            plan=replace(good.plan, manifest=replace(good.plan.manifest, backend_kind="other")),
        ),
    ]
    for inputs in broken:
        with pytest.raises(BackendError):
            place.backend().plan(inputs)


def test_a_guest_runs_and_leaves_a_result_and_outputs(place: Place) -> None:
    backend, handle = place.start()
    assert place.ended(handle) == GuestStatus(GuestState.SUCCEEDED)
    left = backend.collect(handle)
    assert left.result.job_digest == digest_record(place.inputs().plan.manifest)
    assert left.result.exit.succeeded
    assert left.outputs is not None
    assert left.outputs.read_bytes() == b"sealed outputs"
    assert backend.collect(handle) == left, "collecting is idempotent"


def test_a_second_launch_finds_the_running_guest(place: Place) -> None:
    _, handle = place.start(waits=True)
    place.running(handle)
    again = place.backend()
    assert again.launch(again.plan(place.inputs(waits=True))) == handle
    place.let_go()
    assert place.ended(handle).state is GuestState.SUCCEEDED
    assert [event.seq for event in again.events(handle, 0)] == [1], "one guest spoke, once"


def test_a_second_launch_after_the_end_starts_nothing(place: Place) -> None:
    _, handle = place.start(dies=True)
    before = place.ended(handle)
    again = place.backend()
    assert again.launch(again.plan(place.inputs(dies=True))) == handle
    assert again.status(handle) == before
    assert [event.seq for event in again.events(handle, 0)] == [1]


def test_concurrent_launches_start_one_guest(place: Place) -> None:
    plan = place.prepare(place.backend().plan(place.inputs(waits=True)))
    with ThreadPoolExecutor(4) as pool:
        handles = list(pool.map(lambda _: place.backend().launch(plan), range(4)))
    assert len(set(handles)) == 1
    place.running(handles[0])
    place.let_go()
    assert place.ended(handles[0]).state is GuestState.SUCCEEDED
    assert [event.seq for event in place.backend().events(handles[0], 0)] == [1]


def test_a_guest_nobody_launched_is_lost_and_everything_else_leaves_it_so(place: Place) -> None:
    backend = place.backend()
    handle = Handle(kind=place.kind, guest_name=backend.plan(place.inputs()).guest_name)
    assert backend.status(handle).state is GuestState.LOST
    assert backend.events(handle, 0) == []
    backend.cancel(handle)
    backend.cleanup(handle)
    assert backend.status(handle).state is GuestState.LOST
    with pytest.raises(BackendError):
        backend.collect(handle)


def test_an_ended_guest_stays_ended(place: Place) -> None:
    backend, handle = place.start(dies=True)
    first = place.ended(handle)
    assert first.state is GuestState.FAILED
    assert first.cause is Cause.GUEST_LOST
    backend.cancel(handle)
    assert [place.backend().status(handle) for _ in range(3)] == [first] * 3
    with pytest.raises(BackendError):
        backend.collect(handle)


def test_events_come_in_order_and_only_those_asked_for(place: Place) -> None:
    backend, handle = place.start(events=5)
    place.ended(handle)
    assert [event.seq for event in backend.events(handle, 0)] == [1, 2, 3, 4, 5]
    assert [event.seq for event in backend.events(handle, 3)] == [4, 5]
    assert backend.events(handle, 5) == []


def test_nothing_is_collected_from_a_running_guest(place: Place) -> None:
    backend, handle = place.start(waits=True)
    place.running(handle)
    with pytest.raises(BackendError):
        backend.collect(handle)


def test_a_cancelled_guest_fails_within_seconds(place: Place) -> None:
    backend, handle = place.start(waits=True)
    place.running(handle)
    backend.cancel(handle)
    status = place.until(handle, lambda found: found.state.ended)
    assert status == GuestStatus(GuestState.FAILED, Cause.CANCELLED)


def test_a_cleaned_up_guest_is_lost_and_no_longer_listed(place: Place) -> None:
    backend, handle = place.start(waits=True)
    place.running(handle)
    backend.cleanup(handle)
    assert backend.status(handle).state is GuestState.LOST
    assert backend.events(handle, 0) == []
    assert backend.list_orphans(frozenset()) == []
    backend.cleanup(handle)


def test_guests_nobody_claims_are_listed_from_launch_to_cleanup(place: Place) -> None:
    backend, handle = place.start()
    assert backend.list_orphans(frozenset()) == [handle]
    assert backend.list_orphans(frozenset({handle.guest_name})) == []
    place.ended(handle)
    assert backend.list_orphans(frozenset({"guest-other"})) == [handle]


def test_a_handle_is_good_after_a_restart(place: Place) -> None:
    _, handle = place.start(waits=True)
    place.running(handle)
    stored = canonical_json(handle)
    taken_up = read_record(stored, Handle, what="handle")
    place.let_go()
    assert place.ended(taken_up).state is GuestState.SUCCEEDED
    assert place.backend().collect(taken_up).outputs is not None


def test_a_wish_for_keys_is_seen_and_never_forgotten(place: Place) -> None:
    backend, handle = place.start(asks=True, waits=True)
    seen = place.until(handle, lambda status: status.key_requested)
    assert [(request.broker_id, request.answer) for request in seen.keys] == [(place.broker, None)]
    assert seen.allowed == frozenset()
    backend.cancel(handle)
    assert place.ended(handle) == GuestStatus(GuestState.FAILED, Cause.CANCELLED, seen.keys)


def test_a_wish_for_keys_goes_out_once_it_is_allowed(place: Place) -> None:
    backend, handle = place.start(asks=True, waits=True)
    seen = place.until(handle, lambda status: status.key_requested)
    for _ in range(2):
        backend.allow_keys(handle, "somebody-else")
    assert backend.status(handle).allowed == frozenset()
    for _ in range(2):
        backend.allow_keys(handle, place.broker)
    assert place.backend().status(handle).allowed == frozenset({place.broker})
    assert place.backend().status(handle).keys == seen.keys
    place.let_go()
    assert place.ended(handle).state is GuestState.SUCCEEDED


def test_no_wish_is_allowed_before_it_is_made_or_after_the_guest(place: Place) -> None:
    backend, handle = place.start(waits=True)
    place.running(handle)
    backend.allow_keys(handle, place.broker)
    assert backend.status(handle).allowed == frozenset()
    backend.cleanup(handle)
    backend.allow_keys(handle, place.broker)
    assert backend.status(handle) == GuestStatus(GuestState.LOST, Cause.GUEST_LOST)


def test_no_key_was_requested_by_a_guest_that_did_not_ask(place: Place) -> None:
    _, handle = place.start()
    assert place.ended(handle).key_requested is False


def test_the_fake_plays_lost_and_unreachable_guests(tmp_path: Path) -> None:
    place = InMemory(tmp_path)
    backend, handle = place.start(waits=True)
    place.running(handle)
    place.place.reachable = False
    assert backend.status(handle) == GuestStatus(GuestState.UNKNOWN)
    place.place.reachable = True
    place.place.lose(handle.guest_name)
    assert backend.status(handle).state is GuestState.LOST
