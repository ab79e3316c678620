"""Guests as process sandboxes on this machine: bubblewrap, seccomp and control groups.

Each guest has a folder (`_guest_folder`) and a host process of its own (`manatee.guesthost`),
which outlives the service that launched it. This module only starts that process and reads what
it writes, so any number of services may share the folders.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path

from manatee._clock import Clock, monotonic, system_clock
from manatee.backends._bubblewrap import GuestView, guest_arguments
from manatee.backends._cgroups import GuestGroups, Hierarchy
from manatee.backends._guest_folder import GuestFolder, make_spec, write_whole
from manatee.backends._interface import (
    Assurance,
    Capabilities,
    Collected,
    GuestInputs,
    GuestState,
    GuestStatus,
    Handle,
    Plan,
)
from manatee.backends._naming import check_inputs, guest_name
from manatee.errors import BackendError, BackendUnavailableError, RuntimeEnvironmentError
from manatee.records import Cause, EvidenceKind, GuestEvent, canonical_json, digest_record
from manatee.runtime import runtime_digest, runtime_roots

EXECUTOR_ARGV = ("-I", "-m", "manatee.executor", "/run/manatee")
"""What the runtime's interpreter is started with in the guest."""

_NAME = re.compile(r"guest-[0-9a-f]{32}-[0-9]{1,4}")
_START_SECONDS = 60.0
"""Longest a host process may take until it has the lock; beyond it, the guest is given up."""

_STOP_SECONDS = 10.0
_PAUSE_SECONDS = 0.005
_PATH = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


SANDBOX_KINDS: dict[EvidenceKind, str] = {"simulated": "sandbox", "tpm2": "sandbox-tpm"}
"""Device to the backend kind that job manifests name."""


class SandboxBackend:
    """`Backend` over process sandboxes.

    Its assurance is PROCESS: the walls are the kernel's namespaces, seccomp and control groups.

    Args:
        home: Folder of the installation; guests live in `<home>/guests`.
        device_folder: The TEE device's folder: simulated, or of software TPMs.
        device: What makes the guests' evidence. It is never detected and never fallen back from;
            guests of a backend with a TPM are of another kind, `sandbox-tpm`, which the job names.
        executor_argv: What the runtime's interpreter runs in the guest.
        clock: Tells a launch that never came to be from one that is just happening.
    """

    assurance = Assurance.PROCESS

    def __init__(
        self,
        home: Path,
        device_folder: Path,
        *,
        device: EvidenceKind = "simulated",
        executor_argv: tuple[str, ...] = EXECUTOR_ARGV,
        clock: Clock = system_clock,
    ) -> None:
        self._guests = home.absolute() / "guests"
        self._runtime_cache = home.absolute() / "runtime-cache"
        self._device_folder = device_folder
        self._device = device
        self.kind = SANDBOX_KINDS[device]
        self._executor_argv = executor_argv
        self._clock = clock
        self._usable = False

    def probe(self) -> Capabilities:
        """See `Backend.probe`."""
        try:
            smoke = subprocess.run(
                [sys.executable, "-I", "-m", "manatee.guesthost", "--smoke"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_START_SECONDS,
                check=False,
                cwd="/",
                env=_PATH,
            )
        except (OSError, subprocess.TimeoutExpired):
            missing: tuple[str, ...] = ("the throw-away guest did not end in time.",)
        else:
            missing = tuple(line for line in smoke.stdout.splitlines() if line)
            if smoke.returncode != 0 and not missing:
                missing = ("the throw-away guest's host process failed.",)
        self._usable = not missing
        return Capabilities(
            kind=self.kind,
            assurance=self.assurance,
            usable=not missing,
            missing=missing,
            details={"isolation": "namespaces, seccomp and control groups by bubblewrap"},
        )

    def plan(self, inputs: GuestInputs) -> Plan:
        """See `Backend.plan`."""
        check_inputs(inputs, kind=self.kind)
        manifest = inputs.plan.manifest
        measured = runtime_digest(inputs.runtime, cache=self._runtime_cache)
        if measured != manifest.runtime_digest:
            raise RuntimeEnvironmentError(
                f"the runtime at {inputs.runtime} is {measured}, "
                f"the manifest asks for {manifest.runtime_digest}.",
                hint="Sync the runtime from its lock file, or submit the job anew.",
            )
        view = GuestView(
            read_only={root: root for root in runtime_roots(inputs.runtime)},
            channel=None,
            kernel_groups=(),
        )
        return Plan(
            guest_name=guest_name(digest_record(manifest), inputs.plan.attempt),
            runtime_digest=measured,
            inputs=inputs,
            rendered=("bwrap", *guest_arguments(view, inputs.resources), *self._executor_argv),
        )

    def launch(self, plan: Plan) -> Handle:
        """See `Backend.launch`."""
        handle = Handle(kind=self.kind, guest_name=plan.guest_name)
        folder = self._folder(handle)
        if folder.started_file.exists() or folder.ended() is not None:
            return handle
        if not self._usable and not (found := self.probe()).usable:
            raise BackendUnavailableError(" ".join(found.missing))
        if runtime_digest(plan.inputs.runtime, cache=self._runtime_cache) != plan.runtime_digest:
            raise RuntimeEnvironmentError(
                "the runtime on disk changed since the launch was planned.", hint="Plan it again."
            )
        self._write_down(plan, folder)
        self._start_host(folder)
        give_up = monotonic() + _START_SECONDS
        while not folder.started_file.exists() and folder.ended() is None:
            if folder.refusal_file.exists():
                reason = folder.refusal_file.read_text()
                self._remove_folder(folder)
                raise BackendUnavailableError(reason)
            if not folder.exists():
                raise BackendUnavailableError("the guest was refused or removed meanwhile.")
            if monotonic() > give_up:
                raise BackendError(
                    "the guest's host process did not come up.",
                    hint=f"See {folder.host_log_file}.",
                )
            time.sleep(_PAUSE_SECONDS)
        return handle

    def status(self, handle: Handle) -> GuestStatus:
        """See `Backend.status`."""
        folder = self._folder(handle)
        if not folder.exists():
            return GuestStatus(GuestState.LOST, Cause.GUEST_LOST)
        if (ended := folder.ended()) is not None:
            return ended
        started = folder.started_file.exists()
        if folder.held():
            state = GuestState.RUNNING if started else GuestState.STARTING
            return folder.status(state)
        # the host process may have said its last word between the two looks
        if (ended := folder.ended()) is not None:
            return ended
        if folder.started_file.exists():
            if not started:  # it started and went between two looks: look again
                return self.status(handle)
            return folder.status(GuestState.LOST, Cause.GUEST_LOST)
        if self._waited_too_long(folder) and self._end_unstarted(folder, Cause.BACKEND):
            return self.status(handle)
        return GuestStatus(GuestState.QUEUED)

    def events(self, handle: Handle, after: int) -> list[GuestEvent]:
        """See `Backend.events`."""
        return self._folder(handle).events(after)

    def collect(self, handle: Handle) -> Collected:
        """See `Backend.collect`."""
        folder = self._folder(handle)
        if self.status(handle).state is not GuestState.SUCCEEDED:
            raise BackendError("only a guest that succeeded has a result to collect.")
        outputs = folder.outputs_file
        return Collected(folder.result(), outputs if outputs.exists() else None)

    def allow_keys(self, handle: Handle, broker_id: str) -> None:
        """See `Backend.allow_keys`."""
        folder = self._folder(handle)
        if folder.exists() and folder.ended() is None:
            folder.allow_key_request(broker_id)

    def cancel(self, handle: Handle) -> None:
        """See `Backend.cancel`."""
        folder = self._folder(handle)
        if not folder.exists() or folder.ended() is not None:
            return
        write_whole(folder.cancel_file, b"")
        self._end_unstarted(folder, Cause.CANCELLED)

    def cleanup(self, handle: Handle) -> None:
        """See `Backend.cleanup`.

        Raises:
            BackendError: The guest does not die.
        """
        folder = self._folder(handle)
        if not folder.path.exists():
            return
        self.cancel(handle)
        give_up = monotonic() + _STOP_SECONDS
        while folder.held() and monotonic() < give_up:
            time.sleep(_PAUSE_SECONDS)
        self._remove_traces(folder)  # its host process may have died without doing so
        if folder.held():
            raise BackendError(
                f"the host process of {handle.guest_name} does not end.", hint="Kill it by hand."
            )
        self._remove_folder(folder)

    def list_orphans(self, claimed: frozenset[str]) -> list[Handle]:
        """See `Backend.list_orphans`."""
        if not self._guests.exists():
            return []
        names = (item.name for item in sorted(self._guests.iterdir()))
        return [
            Handle(kind=self.kind, guest_name=name)
            for name in names
            if _NAME.fullmatch(name) and name not in claimed
        ]

    def _folder(self, handle: Handle) -> GuestFolder:
        if handle.kind != self.kind or not _NAME.fullmatch(handle.guest_name):
            raise BackendError("the handle is not one of this backend.")
        return GuestFolder(self._guests / handle.guest_name)

    def _write_down(self, plan: Plan, folder: GuestFolder) -> None:
        """Make the guest's folder with the launch in it, unless it is there."""
        if folder.exists():
            return
        fresh = GuestFolder(self._guests / f".new-{secrets.token_hex(8)}")
        fresh.path.mkdir(parents=True, mode=0o700)
        spec = make_spec(
            plan,
            runtime_cache=self._runtime_cache,
            device_folder=self._device_folder,
            device=self._device,
            executor_argv=self._executor_argv,
        )
        write_whole(fresh.spec_file, canonical_json(spec))
        try:
            fresh.path.rename(folder.path)
        except OSError as error:
            shutil.rmtree(fresh.path, ignore_errors=True)
            if not folder.exists():  # else another launch of the same guest was first
                raise BackendError("the guest's folder cannot be made.") from error

    def _start_host(self, folder: GuestFolder) -> None:
        """Start the host process, detached from this one; a second one finds the lock taken."""
        with folder.host_log_file.open("ab") as log:
            # the shell ends at once, so the host process is nobody's child that must be waited for
            subprocess.run(
                [
                    "/bin/sh",
                    "-c",
                    '"$@" &',
                    "sh",
                    sys.executable,
                    "-I",
                    "-m",
                    "manatee.guesthost",
                    str(folder.path),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                check=True,
                cwd="/",
                env=_PATH,
            )

    def _waited_too_long(self, folder: GuestFolder) -> bool:
        made = folder.spec_file.stat().st_mtime
        return self._clock().timestamp() - made > _START_SECONDS

    def _end_unstarted(self, folder: GuestFolder, cause: Cause) -> bool:
        """Settle that a guest which never started never will."""
        with folder.locked() as free:
            if free and not folder.started_file.exists():
                folder.write_ended("failed", cause)
                return True
        return False

    def _remove_traces(self, folder: GuestFolder) -> None:
        traces = folder.traces()
        if traces is None:
            return
        staging = Path(traces.staging)
        hierarchies = tuple(
            Hierarchy(Path(text[1:]), frozenset(), unified=text[0] == "2") for text in traces.groups
        )
        GuestGroups(staging.name, hierarchies).remove()
        shutil.rmtree(staging, ignore_errors=True)

    def _remove_folder(self, folder: GuestFolder) -> None:
        trash = self._guests / f".old-{secrets.token_hex(8)}"
        try:
            os.rename(folder.path, trash)
        except FileNotFoundError:
            return
        shutil.rmtree(trash, ignore_errors=True)
