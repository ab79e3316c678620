"""The kernel never runs with less than all of its confinement."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from manatee.errors import BackendError
from manatee.executor import Places, _join
from manatee.executor._kernel_sandbox import kernel_argv
from manatee.executor._limits_seen import KernelCgroups
from manatee.records import RESOURCE_CLASSES

TINY = RESOURCE_CLASSES["tiny"]


def argv(tmp_path: Path) -> list[str]:
    return kernel_argv(
        Places(run=Path("/run/manatee")),
        TINY,
        datasets=("insurance",),
        session=tmp_path / "session.json",
        seccomp=tmp_path / "seccomp.bpf",
        connection=tmp_path / "connection.json",
        folder="/workspace",
    )


@pytest.mark.parametrize(
    "word",
    [
        "--unshare-user",
        "--unshare-pid",
        "--unshare-net",
        "--unshare-ipc",
        "--unshare-uts",
        "--unshare-cgroup",
        "--disable-userns",
        "--assert-userns-disabled",
        "--new-session",
        "--die-with-parent",
        "--clearenv",
        "--seccomp",
    ],
)
def test_every_wall_is_asked_for(tmp_path: Path, word: str) -> None:
    assert word in argv(tmp_path)


def test_the_view_holds_neither_channel_nor_plan_nor_the_whole_vault(tmp_path: Path) -> None:
    words = argv(tmp_path)
    sources = [words[n + 1] for n, word in enumerate(words) if word in {"--bind", "--ro-bind"}]
    assert "/vault/insurance" in sources
    for hidden in ("/vault", "/scratch", "/run", "/run/manatee", "/", "/proc"):
        assert hidden not in sources
    assert not [source for source in sources if "channel" in source or "plan" in source]


def join(*, cgroups: Path, seccomp: Path, limits: str) -> subprocess.CompletedProcess[str]:
    script = Path(_join.__file__)
    return subprocess.run(
        [
            *(sys.executable, "-I", "-S", str(script), str(cgroups), str(seccomp), limits),
            *("/bin/sh", "-c", "echo ran; ulimit -c; cat /proc/self/fd/10"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "cgroup" / "0").mkdir(parents=True)
    (tmp_path / "cgroup" / "0" / "cgroup.procs").touch()
    (tmp_path / "seccomp").write_text("bpf")
    return {"cgroups": tmp_path / "cgroup", "seccomp": tmp_path / "seccomp"}


def test_the_joiner_joins_limits_and_hands_over_the_filter(parts: dict[str, Path]) -> None:
    done = join(**parts, limits="RLIMIT_CORE=0")
    assert done.stdout.split() == ["ran", "0", "bpf"]
    assert (parts["cgroups"] / "0" / "cgroup.procs").read_text() == "0"


def test_without_a_cgroup_nothing_is_executed(parts: dict[str, Path]) -> None:
    (parts["cgroups"] / "0" / "cgroup.procs").unlink()
    done = join(**parts, limits="RLIMIT_CORE=0")
    assert (done.returncode, done.stdout) == (_join.REFUSED, "")


def test_with_no_folder_of_cgroups_nothing_is_executed(parts: dict[str, Path]) -> None:
    (parts["cgroups"] / "0" / "cgroup.procs").unlink()
    (parts["cgroups"] / "0").rmdir()
    done = join(**parts, limits="RLIMIT_CORE=0")
    assert (done.returncode, done.stdout) == (_join.REFUSED, "")
    with pytest.raises(BackendError):
        KernelCgroups(parts["cgroups"])


def test_without_a_filter_nothing_is_executed(parts: dict[str, Path]) -> None:
    parts["seccomp"].unlink()
    done = join(**parts, limits="RLIMIT_CORE=0")
    assert (done.returncode, done.stdout) == (_join.REFUSED, "")


def test_with_an_unknown_limit_nothing_is_executed(parts: dict[str, Path]) -> None:
    done = join(**parts, limits="RLIMIT_NONSENSE=0")
    assert (done.returncode, done.stdout) == (_join.REFUSED, "")


def test_counters_of_both_versions_are_read(tmp_path: Path) -> None:
    for number, files in enumerate(
        (
            {"memory.events": "low 0\noom 4\noom_kill 2\n", "cpu.stat": "usage_usec 1500000\n"},
            {"memory.oom_control": "under_oom 0\noom_kill 1\n"},
            {"pids.events": "max 7\n"},
        )
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "cgroup.procs").write_text(f"{os.getpid()}\n")
        for name, text in files.items():
            (folder / name).write_text(text)
    cgroups = KernelCgroups(tmp_path)
    usage = cgroups.usage()
    assert (usage.oom_kills, usage.forks_denied, usage.cpu_seconds) == (3, 7, 1.5)
    assert cgroups.processes() == {os.getpid()}


def test_the_executors_memory_is_closed_to_its_own_user() -> None:
    code = (
        "import ctypes, resource\n"
        "from manatee.executor._protect import protect_memory\n"
        "protect_memory()\n"
        "print(ctypes.CDLL(None).prctl(3), *resource.getrlimit(resource.RLIMIT_CORE))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "0", "0"]


def test_a_runtime_below_tmp_is_not_hidden_by_the_kernels_own_tmp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.prefix", "/tmp/checkout/.venv")
    words = argv(tmp_path)
    runtime = words.index("/tmp/checkout/.venv")
    assert words[runtime - 1] == "--ro-bind"
    assert words.index("/tmp") < runtime
