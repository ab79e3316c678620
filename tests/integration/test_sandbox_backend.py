"""The outer sandbox tried from inside by hostile guests, and looked at from outside."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from manatee.attestation import (
    ExpectedBinding,
    ReferenceValues,
    SimulatedDevice,
    appraise,
)
from manatee.backends import (
    Backend,
    GuestInputs,
    GuestState,
    GuestStatus,
    Handle,
    SandboxBackend,
)
from manatee.errors import BackendUnavailableError, RuntimeEnvironmentError
from manatee.records import (
    RESOURCE_CLASSES,
    RESULT_AUDIENCE,
    Cause,
    DatasetManifest,
    DatasetUse,
    Evidence,
    FileEntry,
    GuestPlan,
    JobManifest,
    OutputPolicy,
    binding,
    dataset_version,
    digest_bytes,
    digest_record,
    read_record,
    report_data,
    to_base64,
)
from manatee.runtime import runtime_digest

pytestmark = pytest.mark.sandbox

RUNTIME = Path(__file__).parents[2] / "runtimes" / "tabular" / ".venv"
MIB = 1 << 20

# What every guest below begins with: the channel, and a way to hand findings out as "outputs".
PRELUDE = """
import base64, http.client, json, os, socket, subprocess, sys, time
from manatee.records import GuestPlan, digest_record, read_record
plan = read_record(open("/run/manatee/plan.json", "rb").read(), GuestPlan, what="plan")
class Channel(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("/run/manatee/channel.sock")
def say(method, path, body, headers={}):
    channel = Channel("guest")
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    channel.request(method, path, body, headers)
    answer = channel.getresponse()
    data = answer.read()
    channel.close()
    return answer.status, data
result = {"job_digest": digest_record(plan.manifest), "attempt": plan.attempt,
          "exit": {"succeeded": True, "cells_run": 1, "cells_total": 1}}
def tell(found):
    assert say("PUT", "/v1/outputs", found)[0] == 204
    assert say("PUT", "/v1/result", result)[0] == 204
def ready():
    say("POST", "/v1/events", {"seq": 1, "phase": "running"})
"""


class Room:
    """One installation with one job whose guest runs a given program."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self.digest = runtime_digest(RUNTIME, cache=cache)
        shutil.copytree(cache, folder / "home" / "runtime-cache")
        self.groups_before = control_groups()
        self.mounts_before = Path("/proc/self/mountinfo").read_text()

    def backend(self, program: str = "") -> SandboxBackend:
        return SandboxBackend(
            self.folder / "home",
            self.folder / "device",
            executor_argv=("-I", "-c", PRELUDE + program),
        )

    def inputs(self, *, stage: Any = "secure", **limits: int) -> GuestInputs:
        dataset = DatasetManifest(
            name="table",
            provider="clinic",
            label="synthetic",
            schema_digest=digest_bytes(b"schema"),
            contract_digest=digest_bytes(b"contract"),
            files=(FileEntry(path="part.bin", sha256=digest_bytes(b"rows"), size=4),),
        )
        table = self.folder / "table"
        table.mkdir(exist_ok=True)
        (table / "part.bin").write_bytes(b"rows")
        (table / "part.bin").chmod(0o600)
        (self.folder / "workspace.tar").write_bytes(b"workspace")
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
            purpose="isolation",
            runtime_digest=self.digest,
            workspace_digest=digest_bytes(b"workspace"),
            entry_notebook="main.ipynb",
            datasets=(DatasetUse(name="table", version=dataset_version(dataset)),),
            output_policy_digest=digest_record(policy),
            output_recipients=("age1recipient",),
            resource_class="tiny",
            backend_kind="sandbox",
        )
        plan = GuestPlan(manifest=manifest, attempt=1, datasets=(dataset,), output_policy=policy)
        return GuestInputs(
            plan=plan,
            resources=msgspec.structs.replace(RESOURCE_CLASSES["tiny"], **limits),
            workspace=self.folder / "workspace.tar",
            datasets={"table": table},
            runtime=RUNTIME,
            broker_urls={"clinic": "http://127.0.0.1:9"} if stage == "secure" else {},
        )

    def start(self, program: str, **wanted: Any) -> tuple[Backend, Handle]:
        backend = self.backend(program)
        return backend, backend.launch(backend.plan(self.inputs(**wanted)))

    def run(self, program: str, **wanted: Any) -> tuple[Backend, Handle, GuestStatus]:
        backend, handle = self.start(program, **wanted)
        wait_until(lambda: backend.status(handle).state.ended)
        return backend, handle, backend.status(handle)

    def findings(self, program: str, **wanted: Any) -> Any:
        backend, handle, status = self.run(program, **wanted)
        assert status.state is GuestState.SUCCEEDED
        outputs = backend.collect(handle).outputs
        assert outputs is not None
        return json.loads(outputs.read_bytes())

    def guest_folder(self, handle: Handle) -> Path:
        return self.folder / "home" / "guests" / handle.guest_name

    def traces(self, handle: Handle) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.guest_folder(handle) / "traces.json").read_text())
        return found

    def assert_nothing_is_left(self, traces: dict[str, Any]) -> None:
        name = Path(traces["staging"]).name
        assert not Path(traces["staging"]).exists()
        assert not [path for path in control_groups() if name in path]
        assert name not in Path("/proc/self/mountinfo").read_text()
        assert processes(name) == []


def control_groups() -> set[str]:
    return {str(path) for path in Path("/sys/fs/cgroup").rglob("manatee-*")}


def processes(word: str) -> list[int]:
    """Processes with a word in their command line, or in one of their control groups."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            text = (entry / "cmdline").read_bytes() + (entry / "cgroup").read_bytes()
        except OSError:
            continue
        if word.encode() in text:
            found.append(int(entry.name))
    return found


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "in vain"
        time.sleep(0.01)


@pytest.fixture
def room(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    found = Room(tmp_path, tmp_path_factory.getbasetemp() / "runtime-cache")
    yield found
    for handle in found.backend().list_orphans(frozenset()):
        found.backend().cleanup(handle)


def test_a_guest_has_no_network(room: Room) -> None:
    found = room.findings("""
def reach(where):
    try:
        socket.create_connection(where, timeout=1)
    except OSError as error:
        return error.errno
    return 0
tell({"interfaces": [name for _, name in socket.if_nameindex()],
      "outside": reach(("192.0.2.1", 80))})
""")
    assert found["interfaces"] == ["lo"]
    assert found["outside"] != 0


def test_a_guest_sees_its_inputs_and_nothing_else_of_the_host(room: Room) -> None:
    secret = room.folder / "secret"
    secret.write_text("of the host")
    found = room.findings(f"""
def tried(act):
    try:
        return str(act())
    except OSError:
        return "refused"
tell({{
    "secret": os.path.exists({str(secret)!r}),
    "homes": os.path.exists({str(room.folder / "home")!r}),
    "root": sorted(os.listdir("/")),
    "environment": sorted(os.environ),
    "table": open("/run/manatee/datasets/table/part.bin").read(),
    "workspace": open("/run/manatee/workspace.tar").read(),
    "writes": [tried(lambda: open(path, "w")) for path in (
        "/usr/x", "/x", "/etc/passwd", "/run/manatee/plan.json",
        "/run/manatee/datasets/table/x", sys.prefix + "/x", "/proc/sys/kernel/core_pattern")],
    "processes": [name for name in os.listdir("/proc") if name.isdigit()],
    "uid": os.getuid(), "host": socket.gethostname(),
}})
""")
    assert found["secret"] is False
    assert found["homes"] is False
    assert not {"sys", "boot", "home", "var", "srv", "opt"} & set(found["root"])
    assert found["environment"] == [
        "HOME", "LANG", "PATH", "PWD", "PYTHONDONTWRITEBYTECODE",
    ]  # fmt: skip
    assert (found["table"], found["workspace"]) == ("rows", "workspace")
    assert set(found["writes"]) == {"refused"}
    assert len(found["processes"]) <= 3
    assert (found["uid"], found["host"]) == (1000, "guest")


def test_seen_from_outside_a_guest_is_nobody_and_may_do_nothing(room: Room) -> None:
    backend, handle = room.start("ready(); time.sleep(60)")
    wait_until(lambda: bool(backend.events(handle, 0)))
    name = Path(room.traces(handle)["staging"]).name
    inside = [pid for pid in processes(name) if _status(pid)["NSpid"].split()[1:]]
    assert inside, "the guest's processes are in its control groups"
    for pid in inside:
        status = _status(pid)
        real, effective, saved, file_system = status["Uid"].split()
        assert real == effective == saved == file_system
        assert int(real) >= 1_900_000_000 if os.geteuid() == 0 else int(real) == os.geteuid()
        assert status["Groups"].split() in ([], [real])
        assert status["NoNewPrivs"] == "1"
        assert int(status["CapEff"], 16) == 0 or len(status["NSpid"].split()) == 2
        for namespace in ("net", "pid", "mnt", "ipc", "uts", "user", "cgroup"):
            assert os.readlink(f"/proc/{pid}/ns/{namespace}") != os.readlink(
                f"/proc/self/ns/{namespace}"
            )
    backend.cleanup(handle)


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_an_executor_over_the_memory_limit_is_killed(room: Room) -> None:
    _, _, status = room.run(
        "x = bytearray(200 << 20); time.sleep(9)",
        kernel_memory_bytes=64 * MIB,
        agent_memory_bytes=64 * MIB,
    )
    assert status == GuestStatus(GuestState.FAILED, Cause.MEMORY)


def test_a_greedy_kernel_is_killed_while_the_executor_lives_to_say_so(room: Room) -> None:
    found = room.findings(
        """
greedy = '''
import glob
for path in sorted(glob.glob("/run/manatee/cgroup/*/cgroup.procs")):
    open(path, "w").write("0")
x = bytearray(200 << 20)
'''
tell({"killed_by": -subprocess.run([sys.executable, "-I", "-c", greedy]).returncode})
""",
        kernel_memory_bytes=64 * MIB,
    )
    assert found == {"killed_by": signal.SIGKILL}


def test_a_fork_bomb_in_the_kernels_group_stops_at_its_limit(room: Room) -> None:
    found = room.findings(
        """
bomb = '''
import glob, os, time
for path in sorted(glob.glob("/run/manatee/cgroup/*/cgroup.procs")):
    open(path, "w").write("0")
made = 0
try:
    while made < 500:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        made += 1
except BlockingIOError:
    pass
print(made)
'''
with open("/tmp/out", "w") as out:
    subprocess.run([sys.executable, "-I", "-c", bomb], stdout=out)
tell({"made": int(open("/tmp/out").read())})
""",
        kernel_pids=20,
    )
    assert found == {"made": 19}


def test_scratch_is_a_disk_of_limited_size(room: Room) -> None:
    found = room.findings(
        """
try:
    with open("/scratch/big", "wb") as stream:
        for _ in range(64):
            stream.write(bytes(1 << 20))
    tell({"errno": 0})
except OSError as error:
    tell({"errno": error.errno})
""",
        scratch_bytes=8 * MIB,
    )
    assert found == {"errno": 28}


def test_a_guest_out_of_time_is_killed(room: Room) -> None:
    started = time.monotonic()
    _, _, status = room.run("ready(); time.sleep(60)", wall_seconds=1)
    assert status == GuestStatus(GuestState.FAILED, Cause.TIME)
    assert time.monotonic() - started < 15


def test_a_guest_that_ends_leaves_nothing_behind(room: Room) -> None:
    _, handle, status = room.run("""
if os.fork() == 0:
    os.setsid()
    time.sleep(60)
tell({})
""")
    assert status.state is GuestState.SUCCEEDED
    room.assert_nothing_is_left(room.traces(handle))
    room.backend().cleanup(handle)
    assert list((room.folder / "home" / "guests").iterdir()) == []


def test_a_killed_host_process_takes_its_guest_along(room: Room) -> None:
    backend, handle = room.start("ready(); time.sleep(60)")
    wait_until(lambda: bool(backend.events(handle, 0)))
    traces = room.traces(handle)
    (host,) = processes(f"manatee.guesthost\0{room.guest_folder(handle)}")
    os.kill(host, signal.SIGKILL)
    wait_until(lambda: backend.status(handle).state is GuestState.LOST)
    assert backend.status(handle) == GuestStatus(GuestState.LOST, Cause.GUEST_LOST)
    wait_until(lambda: processes(Path(traces["staging"]).name) == [])
    again = backend.launch(backend.plan(room.inputs()))
    assert backend.status(again).state is GuestState.LOST, "a lost guest is not started again"
    backend.cleanup(handle)
    room.assert_nothing_is_left(traces)


def test_a_runtime_changed_after_planning_is_not_launched(room: Room) -> None:
    runtime = room.folder / "runtime" / ".venv"
    site = runtime / "lib" / "python3.11" / "site-packages"
    site.mkdir(parents=True)
    (runtime / "bin").mkdir()
    shutil.copy(RUNTIME / "pyvenv.cfg", runtime)
    (runtime / "bin" / "python").symlink_to((RUNTIME / "bin" / "python").resolve())
    (runtime.parent / "uv.lock").write_text("version = 1\n")
    (site / "library.py").write_text("ANSWER = 1\n")
    room.digest = runtime_digest(runtime)
    backend = room.backend()
    inputs = room.inputs()
    plan = backend.plan(GuestInputs(**{**vars(inputs), "runtime": runtime}))
    (site / "library.py").write_text("ANSWER = 2\n")
    with pytest.raises(RuntimeEnvironmentError):
        backend.launch(plan)
    assert backend.list_orphans(frozenset()) == []


def test_without_isolation_nothing_is_launched(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = room.backend("tell({})")
    plan = backend.plan(room.inputs())
    # a host without bubblewrap: the host process finds no such program
    monkeypatch.setattr("manatee.backends._sandbox._PATH", {"PATH": "/nonexistent"})
    found = backend.probe()
    assert not found.usable
    assert any("apt install bubblewrap" in line for line in found.missing)
    with pytest.raises(BackendUnavailableError):
        backend.launch(plan)
    assert backend.list_orphans(frozenset()) == []


def test_evidence_names_what_was_measured_and_is_bound_to_what_was_asked(room: Room) -> None:
    job = room.inputs().plan.manifest
    bound = binding(
        purpose="result",
        audience=RESULT_AUDIENCE,
        nonce=bytes(32),
        job_digest=digest_record(job),
        session_key=bytes(32),
    )
    data = to_base64(report_data(bound))
    found = room.findings(f"""
status, body = say("POST", "/v1/evidence", {{"kind": "simulated", "data": {data!r}}})
short = say("POST", "/v1/evidence", {{"kind": "simulated", "data": "AAAA"}})[0]
other = say("POST", "/v1/evidence", {{"kind": "tpm2", "data": {data!r}}})[0]
assert other == 404, other  # the device is of one kind, and no other takes its place
tell({{"status": status, "evidence": body.decode(), "short": short}})
""")
    assert found["status"] == 200
    assert found["short"] >= 400
    now = datetime.now(UTC)
    device = SimulatedDevice.open(room.folder / "device", lambda: now)
    result = appraise(
        read_record(found["evidence"].encode(), Evidence, what="evidence"),
        at=now,
        expected_binding=ExpectedBinding.of(bound),
        reference_values=ReferenceValues(
            runtime_digests=(room.digest,), roots={"simulated": (to_base64(device.root()),)}
        ),
        max_age_seconds=60,
    )
    assert result.require().job_digest == digest_record(job)


def test_a_rehearsal_has_no_device_and_no_broker(room: Room) -> None:
    found = room.findings(
        """
data = base64.b64encode(bytes(64)).decode()
tell({"evidence": say("POST", "/v1/evidence", {"report_data": data})[0],
      "broker": say("POST", "/v1/brokers/clinic/release", {})[0]})
""",
        stage="rehearsal",
    )
    assert found == {"evidence": 404, "broker": 404}


def test_a_hostile_guest_gets_nothing_past_the_channel(room: Room) -> None:
    found = room.findings(
        """
event = {"seq": 5, "phase": "running"}
found = {
    "ok": say("POST", "/v1/events", event)[0],
    "same number": say("POST", "/v1/events", event)[0],
    "unknown member": say("POST", "/v1/events", {**event, "seq": 6, "text": "leak"})[0],
    "free text": say("POST", "/v1/events", {"seq": 6, "phase": "leak"})[0],
    "long": say("POST", "/v1/events", b" " * 5000)[0],
    "address": say("POST", "/v1/../../etc/passwd", b"")[0],
    "method": say("GET", "/v1/result", b"")[0],
    "broker": say("POST", "/v1/brokers/other/release", {})[0],
    "chunked": say("PUT", "/v1/result", b"", {"Transfer-Encoding": "chunked"})[0],
    "length": say("PUT", "/v1/outputs", b"", {"Content-Length": "99999999999"})[0],
    "negative": say("PUT", "/v1/outputs", b"", {"Content-Length": "-1"})[0],
    "another job": say("PUT", "/v1/result", {**result, "job_digest": "sha256:" + "0" * 64})[0],
    "another attempt": say("PUT", "/v1/result", {**result, "attempt": 2})[0],
}
assert say("PUT", "/v1/outputs", found)[0] == 204
assert say("PUT", "/v1/result", result)[0] == 204
assert say("PUT", "/v1/result", result)[0] == 409
assert say("PUT", "/v1/outputs", b"later")[0] == 409
"""
    )
    assert found == {
        "ok": 204,
        "same number": 409,
        "unknown member": 422,
        "free text": 422,
        "long": 413,
        "address": 404,
        "method": 501,
        "broker": 404,
        "chunked": 422,
        "length": 413,
        "negative": 422,
        "another job": 422,
        "another attempt": 422,
    }
