"""The outer sandbox as an argument list for bubblewrap: the fixed file system of a guest. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from manatee.records import ResourceClass

GUEST_RUN = Path("/run/manatee")
GUEST_UID = 1000
_TMP_BYTES = 64 << 20

PASSWD = f"guest:x:{GUEST_UID}:{GUEST_UID}:guest:/tmp:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n"
GROUP = f"guest:x:{GUEST_UID}:\nnogroup:x:65534:\n"

_ENVIRONMENT = {
    "HOME": "/tmp",  # noqa: S108 - the guest's own tmpfs
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
}
_ETC = ("ld.so.cache", "localtime", "fonts", "alternatives")


@dataclass(frozen=True)
class GuestView:
    """What a guest sees, beside the system's libraries.

    Attributes:
        read_only: Path in the guest to the source to bind there.
        channel: The guest channel's socket, or None.
        kernel_groups: Control groups the guest may join, in order.
        path: Folders searched for programs.
    """

    read_only: Mapping[Path, Path]
    channel: Path | None
    kernel_groups: Sequence[Path]
    path: str = "/usr/bin:/bin"


def system_arguments() -> list[str]:
    """Return the binds of the host's libraries: read-only, and only what programs need."""
    arguments = ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64"):
        host = Path("/") / name
        if host.is_symlink():
            arguments += ["--symlink", f"usr/{name}", f"/{name}"]
        elif host.is_dir():
            arguments += ["--ro-bind", str(host), str(host)]
    for name in _ETC:
        arguments += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    return arguments


def guest_arguments(view: GuestView, resources: ResourceClass) -> list[str]:
    """Return bubblewrap's arguments for a guest, without the program.

    Every namespace is new, there is no network interface but an unconnected loopback, and nothing
    of the host can be written. A nested sandbox can still be made inside.
    """
    arguments = [
        *("--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc"),
        *("--unshare-uts", "--unshare-cgroup", "--hostname", "guest"),
        *("--die-with-parent", "--new-session", "--clearenv"),
        *("--uid", str(GUEST_UID), "--gid", str(GUEST_UID), "--cap-drop", "ALL"),
        *("--proc", "/proc", "--dev", "/dev"),
    ]
    for size, where in (
        (_TMP_BYTES, "/tmp"),  # noqa: S108 - inside the guest
        (resources.scratch_bytes, "/scratch"),
        (resources.agent_memory_bytes, "/vault"),
    ):
        arguments += ["--size", str(size), "--tmpfs", where]
    arguments += system_arguments()
    for target, source in view.read_only.items():
        arguments += ["--ro-bind", str(source), str(target)]
    if view.channel is not None:
        arguments += ["--bind", str(view.channel), str(GUEST_RUN / "channel.sock")]
    for number, group in enumerate(view.kernel_groups):
        arguments += ["--bind", str(group), str(GUEST_RUN / "cgroup" / str(number))]
    for name, value in {**_ENVIRONMENT, "PATH": view.path}.items():
        arguments += ["--setenv", name, value]
    return [*arguments, "--remount-ro", "/", "--chdir", "/scratch"]
