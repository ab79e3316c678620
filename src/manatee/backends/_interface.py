"""The seam between the control plane and the places where guests run.

Process sandboxes, virtual machines, Kubernetes and clouds fill it. The docstrings are contracts:
`tests/contract/test_backend.py` runs them on every implementation and on the in-memory fake. The
reconciler may crash between any two lines, so every method but `probe` and `plan` is idempotent,
and a `Handle` is plain data that a new process can take up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from pathlib import Path
from typing import Protocol

from manatee.records import (
    Cause,
    Digest,
    GuestEvent,
    GuestPlan,
    GuestResult,
    KeyRequest,
    Record,
    ResourceClass,
)


class Assurance(IntEnum):
    """How strongly a backend walls a guest off from its host's other work; ordered.

    It says nothing about attestation: that is the tier a verifier computes from evidence.
    """

    NONE = 0
    PROCESS = 1
    SANDBOX = 2
    VM = 3
    TEE = 4


@dataclass(frozen=True)
class Capabilities:
    """What a real smoke run showed. `usable` is false as soon as anything is missing."""

    kind: str
    assurance: Assurance
    usable: bool
    missing: tuple[str, ...] = ()
    """One sentence each: what is missing and how to get it."""
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class GuestInputs:
    """Everything a guest is made from. Paths are on the host and are only read.

    Attributes:
        workspace: The deterministic workspace archive (digest checked by the guest).
        datasets: Data set name to the folder that holds the files of its manifest.
        runtime: The runtime folder (a virtual environment).
        broker_urls: Broker id to base URL, for the relay. Empty in a rehearsal.
    """

    plan: GuestPlan
    resources: ResourceClass
    workspace: Path
    datasets: Mapping[str, Path]
    runtime: Path
    broker_urls: Mapping[str, str]


@dataclass(frozen=True)
class Plan:
    """A launch, fixed down to what will be measured; made without side effects.

    Attributes:
        guest_name: Deterministic per job digest and attempt; two plans for the same attempt
            have the same name.
        runtime_digest: What the guest will be measured to run. `launch` refuses if the runtime
            on disk is another.
        rendered: The backend's own manifest or argument list, for people and golden tests.
    """

    guest_name: str
    runtime_digest: Digest
    inputs: GuestInputs
    rendered: tuple[str, ...]


class Handle(Record, frozen=True, kw_only=True):
    """Names a guest; stored with the job and good after a restart."""

    kind: str
    guest_name: str


class GuestState(Enum):
    """Where a guest is. LOST: it should exist and does not. UNKNOWN: could not be asked now."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    LOST = "lost"
    UNKNOWN = "unknown"

    @property
    def ended(self) -> bool:
        """Whether the guest is gone and will say no more."""
        return self in {GuestState.SUCCEEDED, GuestState.FAILED, GuestState.LOST}


@dataclass(frozen=True)
class GuestStatus:
    """State and, for FAILED and LOST, the cause seen from outside the guest.

    SUCCEEDED means that the guest delivered a result and ended by itself; whether the notebook
    succeeded stands in that result.

    Attributes:
        keys: Which brokers the guest asked for keys, in the order of their names, and what they
            answered. None is ever forgotten: once there is one, the attempt is never repeated.
        allowed: The brokers to which `allow_keys` lets requests go out.
    """

    state: GuestState
    cause: Cause | None = None
    keys: tuple[KeyRequest, ...] = ()
    allowed: frozenset[str] = frozenset()

    @property
    def key_requested(self) -> bool:
        """Whether the guest asked any broker for a key."""
        return bool(self.keys)


@dataclass(frozen=True)
class Collected:
    """What a guest left: its result and the file of sealed outputs, if it made one."""

    result: GuestResult
    outputs: Path | None


class Backend(Protocol):
    """A place where guests run."""

    kind: str
    assurance: Assurance

    def probe(self) -> Capabilities:
        """Try the isolation for real and say what is missing.

        Effects: starts and removes one throw-away guest. Never raises for a missing piece.
        """

    def plan(self, inputs: GuestInputs) -> Plan:
        """Fix a launch. Pure: same inputs, same plan; touches neither guest nor network.

        Raises:
            RuntimeEnvironmentError: The runtime's digest is not the manifest's.
            BackendError: The inputs do not belong together.
        """

    def launch(self, plan: Plan) -> Handle:
        """Start the guest, or find it started.

        State before: any. A second call with the same plan, from any process, starts nothing
        new, also when the guest has ended meanwhile. What follows: QUEUED, STARTING, RUNNING or
        an ended state. When this returns, the guest will be listed by `list_orphans` until
        `cleanup`.

        Raises:
            BackendUnavailableError: Isolation cannot be had; nothing was started.
        """

    def status(self, handle: Handle) -> GuestStatus:
        """Observe the guest.

        State before: any. A guest nobody launched, or that was cleaned up, is LOST. An ended
        guest stays in the same ended state until `cleanup`. UNKNOWN only when the place itself
        could not be asked; the caller asks again.
        """

    def events(self, handle: Handle, after: int) -> list[GuestEvent]:
        """Return the guest's progress events with `seq` > `after`, in order, each once.

        State before: any. Unknown guests have none.
        """

    def collect(self, handle: Handle) -> Collected:
        """Return what the guest left.

        State before: SUCCEEDED. Idempotent until `cleanup`.

        Raises:
            BackendError: The guest is in another state or its result does not parse.
        """

    def allow_keys(self, handle: Handle, broker_id: str) -> None:
        """Let the guest's one request for keys go out to a broker: until then it waits.

        State before: any; unknown and ended guests are left as they are. The caller has recorded
        the request durably, and that the job's project takes it, before.
        """

    def cancel(self, handle: Handle) -> None:
        """Kill the guest with everything in it.

        State before: any; unknown and ended guests are left as they are. What follows: FAILED
        with cause CANCELLED within seconds, seen by `status`.
        """

    def cleanup(self, handle: Handle) -> None:
        """Remove every trace of the guest: processes, limits, files. Kills it if it still runs.

        State before: any. What follows: LOST.
        """

    def list_orphans(self, claimed: frozenset[str]) -> list[Handle]:
        """Return handles of all guests here whose name is not in `claimed`.

        The sweeper passes the names that live attempts claim and cleans up the rest.
        """
