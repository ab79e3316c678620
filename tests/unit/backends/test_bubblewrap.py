"""The outer sandbox's argument list: golden for what must never be missing."""

from __future__ import annotations

from pathlib import Path

from manatee.backends._bubblewrap import GuestView, guest_arguments
from manatee.guesthost._staging import guest_uid, privilege_drop
from manatee.records import RESOURCE_CLASSES

TINY = RESOURCE_CLASSES["tiny"]


def arguments() -> list[str]:
    view = GuestView(
        read_only={Path("/run/manatee/plan.json"): Path("/staging/plan.json")},
        channel=Path("/staging/channel.sock"),
        kernel_groups=(Path("/groups/memory"), Path("/groups/pids")),
    )
    return guest_arguments(view, TINY)


def follows(found: list[str], *words: str) -> bool:
    spans = (found[start : start + len(words)] for start in range(len(found)))
    return any(tuple(span) == words for span in spans)


def test_every_namespace_is_new_and_the_guest_dies_with_its_host() -> None:
    found = arguments()
    for space in ("user", "pid", "net", "ipc", "uts", "cgroup"):
        assert f"--unshare-{space}" in found
        assert f"--unshare-{space}-try" not in found, "no silent fallback"
    assert {"--die-with-parent", "--new-session", "--clearenv"} <= set(found)
    assert "--share-net" not in found


def test_only_the_channel_and_the_kernels_groups_are_writable() -> None:
    found = arguments()
    writable = [found[at + 2] for at, word in enumerate(found) if word == "--bind"]
    assert writable == [
        "/run/manatee/channel.sock",
        "/run/manatee/cgroup/0",
        "/run/manatee/cgroup/1",
    ]
    assert follows(found, "--ro-bind", "/staging/plan.json", "/run/manatee/plan.json")
    assert follows(found, "--remount-ro", "/")


def test_every_disk_has_a_size() -> None:
    found = arguments()
    assert follows(found, "--size", str(TINY.scratch_bytes), "--tmpfs", "/scratch")
    assert follows(found, "--size", str(TINY.agent_memory_bytes), "--tmpfs", "/vault")
    disks = [at for at, word in enumerate(found) if word == "--tmpfs"]
    assert all(found[at - 2] == "--size" for at in disks)


def test_started_by_root_the_guest_is_a_user_nobody_else_is() -> None:
    uid = guest_uid("guest-a-1")
    assert uid >= 1_900_000_000
    assert guest_uid("guest-a-1") == uid
    assert guest_uid("guest-a-2") != uid
    found = privilege_drop(uid)
    assert follows(found, "--reuid", str(uid), "--regid", str(uid), "--clear-groups")
    assert "--no-new-privs" in found
    assert "--no-new-privs" in privilege_drop(None)
