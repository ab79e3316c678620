"""The place where the campaign's guests run: one process that survives, guests that are processes.

The place keeps the contract of `manatee.backends.Backend`. Each guest writes into the journal when
it starts and asks the key broker for its key; so what really happened is known apart from what the
control plane believes.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec

from manatee.attestation import SimulatedClaims, SimulatedDevice
from manatee.backends import (
    Assurance,
    Capabilities,
    Collected,
    GuestInputs,
    GuestState,
    GuestStatus,
    Handle,
    Plan,
    check_inputs,
    guest_name,
)
from manatee.errors import BackendError, ServiceUnreachableError
from manatee.records import (
    Cause,
    GuestEvent,
    GuestPlan,
    GuestResult,
    KeyRequest,
    ReleaseRequest,
    binding,
    canonical_json,
    digest_record,
    read_record,
    report_data,
    to_base64,
    unbase64,
)
from manatee.sealing import new_session_keys
from manatee.testing._control_plane import guest_result

SOCKET = "place.sock"
DOWN = "place-is-down"
JOURNAL = "journal"
GUESTS = "guests"
SWEEP_SECONDS = 1.0
BROKER_ID = "hospital"
"""Also the name of the provider."""


def fate_of(job_digest: str) -> str:
    """Say how the guests of a job go; nine of ten end well."""
    number = int(job_digest.removeprefix("sha256:")[:8], 16) % 20
    return {0: "fails", 1: "vanishes early", 2: "vanishes late"}.get(number, "succeeds")


def outputs_of(job_digest: str) -> bytes:
    """Return what stands for the sealed outputs of a job."""
    return f"sealed outputs of {job_digest}".encode()


@dataclass(frozen=True)
class PlaceConfig:
    """Where the place is, and the key broker its guests ask."""

    folder: Path
    broker_url: str
    guest_seconds: float = 0.3


def write_journal(folder: Path, word: str, name: str) -> None:
    """Append one line; whole, whoever else writes."""
    descriptor = os.open(folder / JOURNAL, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, f"{word} {name}\n".encode())
    os.close(descriptor)


def read_journal(folder: Path) -> list[tuple[str, str]]:
    """Return the journal's words and names."""
    text = (folder / JOURNAL).read_text() if (folder / JOURNAL).exists() else ""
    return [(line.split()[0], line.split()[1]) for line in text.splitlines()]


# --- the place's own process ----------------------------------------------------------------------


class _Place:
    def __init__(self, config: PlaceConfig) -> None:
        self.config = config
        self.guests = config.folder / GUESTS
        self.guests.mkdir(exist_ok=True)
        self.device = SimulatedDevice.open(config.folder / "broker" / "device", _now)

    def serve(self) -> None:
        """Answer one request at a time, for ever. Single-threaded, so it may fork."""
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.config.folder / SOCKET))
            listener.listen(256)
            while True:
                line, _ = listener.accept()
                with line, contextlib.suppress(OSError), line.makefile("rw") as stream:
                    asked = json.loads(stream.readline() or '{"do": "nothing"}')
                    answer = getattr(self, asked.pop("do"))(**asked)
                    stream.write(json.dumps(answer) + "\n")

    def nothing(self) -> None:
        """Answer who hung up."""

    def launch(self, name: str, plan: str) -> None:
        folder = self.guests / name
        try:
            folder.mkdir()
        except FileExistsError:
            return
        pid = os.fork()
        if pid == 0:
            try:
                _Guest(self.config, self.device, folder, plan.encode()).run()
            except Exception:  # noqa: BLE001  # it goes to the log; the guest is gone
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(0)
        (folder / "pid").write_text(str(pid))

    def status(self, name: str) -> list[Any]:
        folder = self.guests / name
        if not folder.exists():
            return ["lost", "guest_lost", "nothing", False]
        alive = self._alive(folder)
        asked = (folder / "asked").read_text() if (folder / "asked").exists() else "nothing"
        allowed = (folder / "allowed").exists()
        if (folder / "ended").exists():
            state, cause = (folder / "ended").read_text().split()
            return [state, None if cause == "-" else cause, asked, allowed]
        found = ["running", None] if alive else ["lost", "guest_lost"]
        return [*found, asked, allowed]

    def _alive(self, folder: Path) -> bool:
        with contextlib.suppress(ChildProcessError, FileNotFoundError):
            return os.waitpid(int((folder / "pid").read_text()), os.WNOHANG)[0] == 0
        return False

    def allow_keys(self, name: str) -> None:
        folder = self.guests / name
        if (folder / "asked").exists() and self._alive(folder):
            (folder / "allowed").touch()

    def events(self, name: str) -> list[Any]:
        path = self.guests / name / "events"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def collect(self, name: str) -> str | None:
        path = self.guests / name / "result"
        return path.read_text() if path.exists() else None

    def cancel(self, name: str) -> None:
        folder = self.guests / name
        if self._kill(folder) and not (folder / "ended").exists():
            (folder / "ended").write_text("failed cancelled")

    def _kill(self, folder: Path) -> bool:
        if not folder.exists() or not self._alive(folder):
            return False
        pid = int((folder / "pid").read_text())
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return True

    def cleanup(self, name: str) -> None:
        self._kill(self.guests / name)
        shutil.rmtree(self.guests / name, ignore_errors=True)

    def list_guests(self) -> list[str]:
        return sorted(item.name for item in self.guests.iterdir())


def _now() -> Any:
    from manatee._clock import system_clock

    return system_clock()


def run_place(config: PlaceConfig) -> None:
    """Be the place."""
    with (config.folder / "logs" / "place.log").open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    _Place(config).serve()


class _Guest:
    def __init__(
        self, config: PlaceConfig, device: SimulatedDevice, folder: Path, plan: bytes
    ) -> None:
        self.config, self.device, self.folder = config, device, folder
        self.plan = read_record(plan, GuestPlan, what="plan", max_bytes=len(plan))
        self.job_digest = digest_record(self.plan.manifest)
        self.fate = fate_of(self.job_digest)

    def run(self) -> None:
        write_journal(self.config.folder, "start", self.folder.name)
        self._say(1, "attesting")
        time.sleep(self.config.guest_seconds / 2)
        if self.fate == "vanishes early" and self.plan.attempt == 1:
            return
        (self.folder / "asked").touch()
        while not (self.folder / "allowed").exists():
            time.sleep(0.02)
        granted = self._get_key()
        (self.folder / "answer").write_text("released" if granted else "denied")
        (self.folder / "answer").replace(self.folder / "asked")
        if not granted:
            self._end("failed", "key_denied")
            return
        if self.fate == "vanishes late":
            return
        self._say(2, "running")
        time.sleep(self.config.guest_seconds / 2)
        result = guest_result(
            self.plan, succeeded=self.fate != "fails", sealed=outputs_of(self.job_digest)
        )
        (self.folder / "result").write_bytes(canonical_json(result))
        write_journal(self.config.folder, "end", self.folder.name)
        self._end("succeeded", "-")

    def _say(self, seq: int, phase: str) -> None:
        with (self.folder / "events").open("a") as file:
            file.write(json.dumps({"seq": seq, "phase": phase}) + "\n")

    def _end(self, state: str, cause: str) -> None:
        (self.folder / "new").write_text(f"{state} {cause}")
        (self.folder / "new").replace(self.folder / "ended")

    def _get_key(self) -> bool:
        """Ask the broker once, as the executor does; say whether it granted the key."""
        with httpx.Client(base_url=self.config.broker_url, trust_env=False, timeout=60) as line:
            body = canonical_json({"kind": "simulated", "job_digest": self.job_digest})
            nonce = unbase64(
                line.post("/v1/challenge", content=body, headers=_JSON).json()["nonce"]
            )
            _private, public = new_session_keys()
            bound = binding(
                purpose="key-release",
                audience=BROKER_ID,
                nonce=nonce,
                job_digest=self.job_digest,
                session_key=public,
            )
            claims = SimulatedClaims(
                runtime_digest=self.plan.manifest.runtime_digest,
                job_digest=self.job_digest,
                debug=False,
            )
            request = ReleaseRequest(
                nonce=to_base64(nonce),
                job_digest=self.job_digest,
                attempt=self.plan.attempt,
                session_key=to_base64(public),
                evidence=(self.device.quote(report_data(bound), claims),),
                manifest=self.plan.manifest,
                datasets=self.plan.datasets,
                approvals=self.plan.approvals,
            )
            answer = line.post("/v1/release", content=canonical_json(request), headers=_JSON)
        word = "key" if answer.status_code == 200 else "denied"
        write_journal(self.config.folder, word, self.job_digest)
        return answer.status_code == 200


_JSON = {"content-type": "application/json"}

# --- the side of the control plane ----------------------------------------------------------------


def _answered() -> bool:
    return False


class PlaceBackend:
    """`Backend` over the place. While the file `place-is-down` is there it cannot be asked.

    Where `unanswered` says so, the answer to one question after a guest's status is lost: the guest
    lives, and whatever else is asked of the place works.
    """

    kind = "place"
    assurance = Assurance.NONE

    def __init__(self, folder: Path, unanswered: Callable[[], bool] = _answered) -> None:
        self._folder = folder
        self._unanswered = unanswered

    def _ask(self, do: str, **members: str) -> Any:
        if (self._folder / DOWN).exists():
            raise ServiceUnreachableError("the place where guests run does not answer.")
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(30)
                line.connect(str(self._folder / SOCKET))
                with line.makefile("rw") as stream:
                    stream.write(json.dumps({"do": do} | members) + "\n")
                    stream.flush()
                    return json.loads(stream.readline())
        except (OSError, ValueError) as error:
            raise ServiceUnreachableError("the place where guests run went away.") from error

    def probe(self) -> Capabilities:
        return Capabilities(kind=self.kind, assurance=self.assurance, usable=True)

    def plan(self, inputs: GuestInputs) -> Plan:
        check_inputs(inputs, kind=self.kind)
        name = guest_name(digest_record(inputs.plan.manifest), inputs.plan.attempt)
        return Plan(name, inputs.plan.manifest.runtime_digest, inputs, ())

    def launch(self, plan: Plan) -> Handle:
        self._ask("launch", name=plan.guest_name, plan=canonical_json(plan.inputs.plan).decode())
        return Handle(kind=self.kind, guest_name=plan.guest_name)

    def status(self, handle: Handle) -> GuestStatus:
        if self._unanswered():
            write_journal(self._folder, "unknown", handle.guest_name)
            return GuestStatus(GuestState.UNKNOWN)
        try:
            state, cause, asked, allowed = self._ask("status", name=handle.guest_name)
        except ServiceUnreachableError:
            return GuestStatus(GuestState.UNKNOWN)
        keys = (
            () if asked == "nothing" else (KeyRequest(broker_id=BROKER_ID, answer=asked or None),)
        )
        return GuestStatus(
            GuestState(state),
            None if cause is None else Cause(cause),
            keys,
            frozenset({BROKER_ID} if allowed else ()),
        )

    def events(self, handle: Handle, after: int) -> list[GuestEvent]:
        found = self._ask("events", name=handle.guest_name)
        events = [msgspec.convert(item, GuestEvent) for item in found]
        return [event for event in events if event.seq > after]

    def collect(self, handle: Handle) -> Collected:
        text = self._ask("collect", name=handle.guest_name)
        if text is None:
            raise BackendError("only a guest that succeeded has a result to collect.")
        result = read_record(text.encode(), GuestResult, what="result", max_bytes=len(text))
        outputs = self._folder / "collected" / f"{handle.guest_name}-{os.getpid()}.age"
        outputs.parent.mkdir(exist_ok=True)
        outputs.write_bytes(outputs_of(result.job_digest))
        return Collected(result, outputs)

    def allow_keys(self, handle: Handle, broker_id: str) -> None:
        assert broker_id == BROKER_ID
        self._ask("allow_keys", name=handle.guest_name)

    def cancel(self, handle: Handle) -> None:
        self._ask("cancel", name=handle.guest_name)

    def cleanup(self, handle: Handle) -> None:
        self._ask("cleanup", name=handle.guest_name)

    def list_orphans(self, claimed: frozenset[str]) -> list[Handle]:
        return [
            Handle(kind=self.kind, guest_name=name)
            for name in self._ask("list_guests")
            if name not in claimed
        ]
