"""Control groups: where each controller lives under v1, v2 and a hybrid, and what is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from manatee.backends._cgroups import GuestGroups, Hierarchy, find_hierarchies
from manatee.errors import BackendUnavailableError
from manatee.records import RESOURCE_CLASSES

V1 = """\
9:memory:/jobs/one
8:pids:/
3:cpu,cpuacct:/
2:freezer:/
"""
V1_MOUNTS = """\
30 24 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
31 24 0:27 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
32 24 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
"""


def test_v1_has_one_group_per_hierarchy_and_joined_controllers_share_one() -> None:
    assert find_hierarchies(V1, V1_MOUNTS) == (
        Hierarchy(Path("/sys/fs/cgroup/memory/jobs/one"), frozenset({"memory"}), False),
        Hierarchy(Path("/sys/fs/cgroup/pids"), frozenset({"pids"}), False),
        Hierarchy(Path("/sys/fs/cgroup/cpu,cpuacct"), frozenset({"cpu", "cpuacct"}), False),
    )


def test_inside_a_container_the_mount_shows_only_the_containers_part() -> None:
    mounts = V1_MOUNTS.replace("0:26 / ", "0:26 /jobs ")
    assert find_hierarchies(V1, mounts)[0].base == Path("/sys/fs/cgroup/memory/one")


def unified(tmp_path: Path, controllers: str, path: str = "/user/scope") -> tuple[str, str, Path]:
    base = tmp_path / path.lstrip("/")
    base.mkdir(parents=True)
    (base / "cgroup.controllers").write_text(controllers + "\n")
    mounts = f"30 24 0:26 / {tmp_path} rw - cgroup2 cgroup2 rw,nsdelegate\n"
    return f"0::{path}\n", mounts, base


def test_v2_has_one_group(tmp_path: Path) -> None:
    membership, mounts, base = unified(tmp_path, "cpuset cpu io memory pids")
    (found,) = find_hierarchies(membership, mounts)
    assert found == Hierarchy(base, frozenset({"memory", "pids", "cpu"}), True)


def test_v2_a_service_that_moved_aside_still_finds_its_own_group(tmp_path: Path) -> None:
    membership, mounts, base = unified(tmp_path, "cpu memory pids")
    moved = membership.replace("/user/scope", "/user/scope/manatee-host")
    (found,) = find_hierarchies(moved, mounts)
    assert found.base == base


def test_a_hybrid_takes_each_controller_where_it_lives(tmp_path: Path) -> None:
    membership, mounts, _ = unified(tmp_path, "pids cpu")
    memory = V1_MOUNTS.splitlines()[0] + "\n"
    found = find_hierarchies("9:memory:/\n" + membership, memory + mounts)
    assert [(item.unified, item.controllers) for item in found] == [
        (False, frozenset({"memory"})),
        (True, frozenset({"pids", "cpu"})),
    ]


def test_a_missing_controller_is_named_and_nothing_is_run_without_it(tmp_path: Path) -> None:
    membership, mounts, _ = unified(tmp_path, "cpu pids")
    with pytest.raises(BackendUnavailableError, match="memory") as caught:
        find_hierarchies(membership, mounts)
    assert "systemd-run --user --scope -p Delegate=yes" in caught.value.hint


def test_v2_limits_are_set_on_the_guest_and_once_it_moved_on_its_kernel(tmp_path: Path) -> None:
    _, _, base = unified(tmp_path, "cpu memory pids")
    (base / "cgroup.subtree_control").write_text("cpu memory pids")
    top = base / "manatee-x"
    top.mkdir()
    (top / "cgroup.procs").write_text("")
    (top / "cgroup.subtree_control").write_text("")
    groups = GuestGroups(
        "manatee-x", (Hierarchy(base, frozenset({"cpu", "memory", "pids"}), unified=True),)
    )
    tiny = RESOURCE_CLASSES["tiny"]
    groups.create(tiny, None)
    total = tiny.kernel_memory_bytes + tiny.agent_memory_bytes
    assert (top / "memory.max").read_text() == str(total)
    assert not (top / "kernel" / "memory.max").exists(), "children cannot be limited yet"
    assert groups.settles
    groups.settle(tiny)
    assert (top / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    assert (top / "kernel" / "memory.max").read_text() == str(tiny.kernel_memory_bytes)
    assert (top / "kernel" / "pids.max").read_text() == str(tiny.kernel_pids)
    assert (top / "kernel" / "cpu.max").read_text() == f"{tiny.cpus * 100_000} 100000"


def test_groups_that_cannot_be_made_are_refused(tmp_path: Path) -> None:
    groups = GuestGroups("x", (Hierarchy(tmp_path / "gone", frozenset({"memory"}), False),))
    with pytest.raises(BackendUnavailableError):
        groups.create(RESOURCE_CLASSES["tiny"], None)


def test_an_agent_killed_for_memory_is_told_from_a_kernel(tmp_path: Path) -> None:
    groups = GuestGroups("x", (Hierarchy(tmp_path, frozenset({"memory"}), unified=True),))
    events = tmp_path / "x" / "agent" / "memory.events"
    events.parent.mkdir(parents=True)
    events.write_text("oom 3\noom_kill 0\n")
    assert not groups.agent_was_oom_killed()
    events.write_text("oom 3\noom_kill 1\n")
    assert groups.agent_was_oom_killed()
