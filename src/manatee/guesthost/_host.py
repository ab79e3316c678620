"""The life of one guest, from taking the lock to the word on how it ended."""

from __future__ import annotations

import secrets
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from manatee._clock import Clock, monotonic
from manatee.backends._bubblewrap import GROUP, GUEST_RUN, PASSWD, GuestView, guest_arguments
from manatee.backends._cgroups import GuestGroups, own_hierarchies
from manatee.backends._guest_folder import GuestFolder, GuestSpec, Traces, write_whole
from manatee.errors import BackendError, BackendUnavailableError, ManateeError
from manatee.guesthost._channel import GuestChannel, serve_channel
from manatee.guesthost._device import MeasuringDevice
from manatee.guesthost._process import Ending, SandboxedProcess
from manatee.guesthost._staging import Staging, guest_uid
from manatee.records import Cause, canonical_json
from manatee.runtime import runtime_python, runtime_roots

STAGING_ROOT = Path("/tmp")  # noqa: S108 - a new private folder is made in it; sockets need it short
_PATIENCE_SECONDS = 2.0


@dataclass
class _Place:
    staging: Staging
    groups: GuestGroups

    def remove(self) -> None:
        self.groups.remove()
        self.staging.close()


def _make_place(folder: GuestFolder, spec: GuestSpec, root: bool) -> _Place:
    name = f"manatee-{secrets.token_hex(8)}"
    uid = guest_uid(spec.guest_name) if root else None
    staging = Staging(STAGING_ROOT / name, uid, folder.path / "copies")
    groups = GuestGroups(name, own_hierarchies())
    bases = tuple(f"{2 if item.unified else 1}{item.base}" for item in groups.hierarchies)
    folder.write_traces(Traces(staging=str(staging.folder), groups=bases))
    place = _Place(staging, groups)
    try:
        groups.create(spec.resources, uid)
        staging.open()
    except BackendError:
        place.remove()
        raise
    return place


def _view(spec: GuestSpec, place: _Place) -> GuestView:
    staging = place.staging
    read_only = {
        GUEST_RUN / "plan.json": staging.file("plan.json", canonical_json(spec.plan)),
        GUEST_RUN / "workspace.tar": staging.source(Path(spec.workspace)),
        Path("/etc/passwd"): staging.file("passwd", PASSWD.encode()),
        Path("/etc/group"): staging.file("group", GROUP.encode()),
    }
    for name, path in spec.datasets.items():
        read_only[GUEST_RUN / "datasets" / name] = staging.source(Path(path))
    for part in runtime_roots(Path(spec.runtime)):
        read_only[part] = staging.source(part, check=False)
    return GuestView(
        read_only=read_only,
        channel=staging.folder / "channel.sock",
        kernel_groups=place.groups.kernel_groups(),
        path=f"{spec.runtime}/bin:/usr/bin:/bin",
    )


def _run(
    folder: GuestFolder, spec: GuestSpec, place: _Place, view: GuestView, clock: Clock
) -> Ending:
    secure = spec.plan.manifest.stage == "secure"
    device = MeasuringDevice(spec, clock, place.staging.folder)
    channel = GuestChannel(folder, spec, device if secure else None)
    until = monotonic() + spec.resources.wall_seconds
    stop = serve_channel(place.staging.folder / "channel.sock", channel, place.staging.uid)
    try:
        process = SandboxedProcess(
            arguments=guest_arguments(view, spec.resources),
            program=[str(runtime_python(Path(spec.runtime))), *spec.executor_argv],
            groups=place.groups,
            resources=spec.resources,
            uid=place.staging.uid,
            log=None if secure else folder.log_file,
        )
        try:
            if not device.measure():
                return Ending(Cause.BACKEND, None)
            return process.wait(until=until, cancelled=folder.cancel_file.exists)
        finally:
            process.kill()
    finally:
        device.close()
        stop()


def _outcome(folder: GuestFolder, ending: Ending, place: _Place) -> Cause | None:
    if ending.cause is not None:
        return ending.cause
    if ending.exit_code == 0 and folder.result_file.exists():
        return None
    if place.groups.agent_was_oom_killed():
        return Cause.MEMORY
    return Cause.GUEST_LOST


def host_guest(path: Path, *, root: bool, clock: Clock) -> int:
    """Host the guest of a folder: start it, serve it, end it.

    Args:
        path: The guest's folder, with a launch written down.
        root: Whether this process is root.
        clock: Dates the evidence.

    Returns:
        Exit code: 0, also when there was nothing to do because the guest was started before;
        1 when the launch was refused, with the reason in the folder.
    """
    folder = GuestFolder(path)
    give_up = monotonic() + _PATIENCE_SECONDS
    while not folder.started_file.exists() and monotonic() < give_up:
        with folder.locked() as free:
            if free:
                return _host_locked(folder, root=root, clock=clock)
        time.sleep(0.005)  # an observer looked at the lock just now
    return 0


def _host_locked(folder: GuestFolder, *, root: bool, clock: Clock) -> int:
    if folder.started_file.exists() or folder.ended() is not None:
        return 0
    spec = folder.spec()
    try:
        place = _make_place(folder, spec, root)
        try:
            view = _view(spec, place)
        except ManateeError:
            place.remove()
            raise
    except ManateeError as error:
        write_whole(folder.refusal_file, str(error).encode())
        return 1
    write_whole(folder.started_file, b"")
    cause: Cause | None = Cause.BACKEND
    try:
        cause = _outcome(folder, _run(folder, spec, place, view, clock), place)
    except BackendUnavailableError as error:
        sys.stderr.write(f"{error}\n")
    finally:
        place.remove()
        folder.write_ended("succeeded" if cause is None else "failed", cause)
    return 0
