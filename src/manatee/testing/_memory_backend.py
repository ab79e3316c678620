"""A backend in memory: guests that follow a script, for tests of whatever drives a backend.

It keeps the contract of `manatee.backends.Backend` (the contract suite runs on it). A
`MemoryPlace` stands for the machines where guests live: hand the same place to a second
`MemoryBackend` and a restart of the control plane is played.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

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
from manatee.errors import BackendError, BackendUnavailableError, RuntimeEnvironmentError
from manatee.records import (
    Cause,
    Digest,
    ExitStatus,
    GuestEvent,
    GuestPlan,
    GuestResult,
    KeyAnswer,
    KeyRequest,
    digest_record,
)

MEMORY_BROKER = "memory-broker"
"""The key broker that guests in memory ask."""

_STEPS: Mapping[GuestState, GuestState] = {
    GuestState.QUEUED: GuestState.STARTING,
    GuestState.STARTING: GuestState.RUNNING,
}


@dataclass(frozen=True)
class GuestScript:
    """How one guest goes.

    Attributes:
        exit: What the result says about the notebook, if the guest delivers one.
        outputs: The sealed outputs it leaves; None for none.
        end: SUCCEEDED delivers a result; FAILED and LOST do not.
        cause: Cause of FAILED or LOST, seen from outside.
        key_requested: Whether the guest asks `MEMORY_BROKER` for a key once it runs.
        answer: What it gets from there at its end, if it was allowed to ask.
        result: Makes another result than the plain one, such as one with evidence, or a forged one.
    """

    exit: ExitStatus = field(
        default_factory=lambda: ExitStatus(succeeded=True, cells_run=1, cells_total=1)
    )
    outputs: bytes | None = b"sealed outputs"
    end: GuestState = GuestState.SUCCEEDED
    cause: Cause | None = None
    key_requested: bool = True
    answer: KeyAnswer | None = "released"
    result: Callable[[GuestPlan], GuestResult] | None = None


@dataclass
class MemoryGuest:
    """A guest as the place knows it."""

    plan: Plan
    script: GuestScript
    status: GuestStatus = field(default_factory=lambda: GuestStatus(GuestState.QUEUED))
    events: list[GuestEvent] = field(default_factory=list)


class MemoryPlace:
    """Where guests live; shared by all backends that stand for one installation.

    Attributes:
        at_once: Guests run to their end inside `launch`. Else they stay QUEUED and are moved by
            `advance`.
        reachable: While false, `status` answers UNKNOWN.
        missing: What `probe` reports as missing; while there is any, `launch` refuses.
        launches: Name of every guest really started, in order: two entries of one name would be
            a broken promise.
    """

    def __init__(self, folder: Path, *, at_once: bool = True) -> None:
        self.folder = folder
        self.at_once = at_once
        self.reachable = True
        self.missing: tuple[str, ...] = ()
        self.launches: list[str] = []
        self.default_script = GuestScript()
        self._scripts: dict[str, GuestScript] = {}
        self._guests: dict[str, MemoryGuest] = {}
        self._lock = threading.RLock()

    def script(self, job_digest: str, script: GuestScript, *, attempt: int = 1) -> None:
        """Fix how the guest of one attempt will go, before it is launched."""
        self._scripts[guest_name(job_digest, attempt)] = script

    def guests(self) -> list[str]:
        """Return the names of all guests here, ended ones too."""
        with self._lock:
            return sorted(self._guests)

    def guest(self, name: str) -> MemoryGuest | None:
        """Return a guest, or None where there is none of that name."""
        with self._lock:
            return self._guests.get(name)

    def start(self, plan: Plan) -> None:
        """Start a guest unless one of that name is known."""
        with self._lock:
            if plan.guest_name in self._guests:
                return
            script = self._scripts.get(plan.guest_name, self.default_script)
            self._guests[plan.guest_name] = MemoryGuest(plan, script)
            self.launches.append(plan.guest_name)
            if self.at_once:
                self.finish(plan.guest_name)

    def advance(self, name: str) -> GuestState:
        """Move a guest one state on (QUEUED, STARTING, RUNNING, its scripted end)."""
        with self._lock:
            guest = self._guests[name]
            before = guest.status
            if before.state.ended:
                return before.state
            after = _STEPS.get(before.state, guest.script.end)
            running = after is GuestState.RUNNING
            keys = before.keys
            if running and guest.script.key_requested:
                keys = (KeyRequest(broker_id=MEMORY_BROKER),)
            if after.ended and keys and before.allowed:
                keys = (KeyRequest(broker_id=MEMORY_BROKER, answer=guest.script.answer),)
            guest.status = GuestStatus(
                after,
                guest.script.cause if after is guest.script.end else None,
                keys,
                before.allowed,
            )
            if running:
                self.emit(name, GuestEvent(seq=1, phase="running", cell=1, cells_total=1))
            return after

    def finish(self, name: str) -> GuestState:
        """Move a guest to its scripted end."""
        while not (state := self.advance(name)).ended:
            pass
        return state

    def end(self, name: str, state: GuestState, cause: Cause | None = None) -> None:
        """End a live guest otherwise than scripted; ended ones stay as they are."""
        with self._lock:
            guest = self._guests.get(name)
            if guest is not None and not guest.status.state.ended:
                guest.status = replace(guest.status, state=state, cause=cause)

    def lose(self, name: str) -> None:
        """Let a live guest vanish, as when its machine dies."""
        self.end(name, GuestState.LOST, Cause.GUEST_LOST)

    def request_key(self, name: str) -> None:
        """Let a guest ask for a key now."""
        with self._lock:
            guest = self._guests[name]
            keys = guest.status.keys or (KeyRequest(broker_id=MEMORY_BROKER),)
            guest.status = replace(guest.status, keys=keys)

    def allow_keys(self, name: str, broker_id: str) -> None:
        """Let a live guest's request go out to a broker, if it made one."""
        with self._lock:
            guest = self._guests.get(name)
            if guest is None or guest.status.state.ended:
                return
            if any(request.broker_id == broker_id for request in guest.status.keys):
                guest.status = replace(guest.status, allowed=guest.status.allowed | {broker_id})

    def emit(self, name: str, event: GuestEvent) -> None:
        """Let a guest report progress."""
        with self._lock:
            self._guests[name].events.append(event)

    def remove(self, name: str) -> None:
        """Forget a guest."""
        with self._lock:
            self._guests.pop(name, None)
            (self.folder / f"{name}.age").unlink(missing_ok=True)


class MemoryBackend:
    """`Backend` over a `MemoryPlace`.

    Args:
        place: Where guests live; survives this object.
        kind: Kind it stands for; manifests must ask for the same.
        runtime_digest: What it measures every runtime to be; None believes the manifest.
    """

    def __init__(
        self,
        place: MemoryPlace,
        *,
        kind: str = "memory",
        runtime_digest: Digest | None = None,
    ) -> None:
        self.kind = kind
        self.assurance = Assurance.NONE
        self.place = place
        self._runtime_digest = runtime_digest

    def probe(self) -> Capabilities:
        """See `Backend.probe`."""
        missing = self.place.missing
        return Capabilities(self.kind, self.assurance, usable=not missing, missing=missing)

    def plan(self, inputs: GuestInputs) -> Plan:
        """See `Backend.plan`."""
        check_inputs(inputs, kind=self.kind)
        manifest = inputs.plan.manifest
        measured = self._runtime_digest or Digest(manifest.runtime_digest)
        if measured != manifest.runtime_digest:
            raise RuntimeEnvironmentError(
                f"the runtime is {measured}, the manifest asks for {manifest.runtime_digest}."
            )
        name = guest_name(digest_record(manifest), inputs.plan.attempt)
        return Plan(name, measured, inputs, rendered=("memory", name))

    def launch(self, plan: Plan) -> Handle:
        """See `Backend.launch`."""
        if self.place.missing and self.place.guest(plan.guest_name) is None:
            raise BackendUnavailableError(" ".join(self.place.missing))
        self.place.start(plan)
        return Handle(kind=self.kind, guest_name=plan.guest_name)

    def status(self, handle: Handle) -> GuestStatus:
        """See `Backend.status`."""
        guest = self.place.guest(handle.guest_name)
        if not self.place.reachable:
            return GuestStatus(GuestState.UNKNOWN)
        return GuestStatus(GuestState.LOST, Cause.GUEST_LOST) if guest is None else guest.status

    def events(self, handle: Handle, after: int) -> list[GuestEvent]:
        """See `Backend.events`."""
        guest = self.place.guest(handle.guest_name)
        if guest is None:
            return []
        found = {event.seq: event for event in guest.events if event.seq > after}
        return [found[seq] for seq in sorted(found)]

    def collect(self, handle: Handle) -> Collected:
        """See `Backend.collect`."""
        guest = self.place.guest(handle.guest_name)
        if guest is None or guest.status.state is not GuestState.SUCCEEDED:
            raise BackendError("only a guest that succeeded has a result to collect.")
        plan, script = guest.plan.inputs.plan, guest.script
        if script.result is not None:
            result = script.result(plan)
        else:
            result = GuestResult(
                job_digest=digest_record(plan.manifest), attempt=plan.attempt, exit=script.exit
            )
        if script.outputs is None:
            return Collected(result, outputs=None)
        outputs = self.place.folder / f"{handle.guest_name}.age"
        outputs.write_bytes(script.outputs)
        return Collected(result, outputs)

    def allow_keys(self, handle: Handle, broker_id: str) -> None:
        """See `Backend.allow_keys`."""
        self.place.allow_keys(handle.guest_name, broker_id)

    def cancel(self, handle: Handle) -> None:
        """See `Backend.cancel`."""
        self.place.end(handle.guest_name, GuestState.FAILED, Cause.CANCELLED)

    def cleanup(self, handle: Handle) -> None:
        """See `Backend.cleanup`."""
        self.place.remove(handle.guest_name)

    def list_orphans(self, claimed: frozenset[str]) -> list[Handle]:
        """See `Backend.list_orphans`."""
        return [
            Handle(kind=self.kind, guest_name=name)
            for name in self.place.guests()
            if name not in claimed
        ]
