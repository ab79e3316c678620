"""Notebooks that try to get out, to get at what they must not see, or to break the guest.

Every attempt is made for real, in a real guest. Those that must merely fail are made together by
one notebook that writes down what it got; those that break something have a guest of their own.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from manatee.guesthost._staging import guest_uid
from manatee.records import Cause

pytestmark = pytest.mark.sandbox

KILL_ALL = "import os\ntry:\n    os.kill(-1, 9)\nfinally:\n    os.kill(os.getpid(), 9)"

PROBE = """
import ctypes, json, os, socket
libc = ctypes.CDLL(None, use_errno=True)
seen = {}
def attempt(name, action):
    try:
        seen[name] = "got " + repr(action())[:80]
    except BaseException as error:
        seen[name] = "refused " + type(error).__name__
def call(number, *arguments):
    ctypes.set_errno(0)
    wide = [ctypes.c_long(a) if isinstance(a, int) else a for a in (number, *arguments)]
    answer = libc.syscall(*wide)
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer
def connect(family, address, kind=socket.SOCK_STREAM):
    with socket.socket(family, kind) as s:
        s.settimeout(3)
        s.connect(address)
        return "connected"
def send(family, address):
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        return s.sendto(b"x", address)
def write(path, data="x"):
    with open(path, "w") as file:
        return file.write(data)
"""

ATTEMPTS = """
# the network
attempt("ipv4", lambda: connect(socket.AF_INET, ("1.1.1.1", 53)))
attempt("ipv4 datagram", lambda: send(socket.AF_INET, ("1.1.1.1", 53)))
attempt("ipv6", lambda: connect(socket.AF_INET6, ("2606:4700:4700::1111", 53)))
attempt("dns", lambda: socket.getaddrinfo("example.org", 80))
attempt("host's loopback", lambda: connect(socket.AF_INET, ("127.0.0.1", PORT)))
attempt("raw socket", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
attempt("packet socket", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
attempt("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))
attempt("vsock", lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM))
attempt("host's unix socket", lambda: connect(socket.AF_UNIX, UNIX))
attempt("host's abstract socket", lambda: connect(socket.AF_UNIX, ABSTRACT))
attempt("guest channel", lambda: connect(socket.AF_UNIX, "/run/manatee/channel.sock"))
# files that are not its own
for path in ("/etc/shadow", "/home", "/run/manatee/plan.json", "/run/manatee/workspace.tar",
             "/run/manatee/cgroup", "/run/manatee/datasets", "/vault/insurance", "/scratch/outputs",
             "/sys", "/etc/hosts", CANARY, GUESTS):
    attempt("see " + path, lambda: os.listdir(path) if os.path.isdir(path) else open(path).read(1))
import sys, manatee
for path in (manatee.__file__, sys.executable, "/usr/bin/true", "/data/insurance/table.arrow",
             "/run/manatee/session.json", "/data/insurance/more", "/new", "/dev/new", "/etc/new",
             "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger",
             "/proc/1/oom_score_adj", CANARY):
    attempt("write " + path, lambda: write(path))
attempt("chmod of the data", lambda: os.chmod("/data/insurance/table.arrow", 0o777))
# more rights
for name, number, arguments in (
    ("ptrace", 101, (16, 1, 0, 0)), ("ptrace of parent", 101, (16, os.getppid(), 0, 0)),
    ("process_vm_readv", 310, (1, 0, 0, 0, 0, 0)), ("process_vm_writev", 311, (1, 0, 0, 0, 0, 0)),
    ("pidfd_getfd", 438, (0, 0, 0)), ("kcmp", 312, (1, 1, 0, 0, 0)),
    ("unshare user", 272, (0x10000000,)), ("unshare network", 272, (0x40000000,)),
    ("clone user", 56, (0x10000000 | 17, 0, 0, 0, 0)), ("clone3", 435, (0, 0)),
    ("setns", 308, (0, 0)), ("mount", 165, (b"none", b"/tmp", b"tmpfs", 0, 0)),
    ("umount", 166, (b"/tmp", 2)), ("pivot_root", 155, (b"/tmp", b"/tmp")),
    ("chroot", 161, (b"/tmp",)), ("open_tree", 428, (-100, b"/", 1)),
    ("fsopen", 430, (b"tmpfs", 0)),
    ("move_mount", 429, (0, b"", 0, b"", 0)), ("bpf", 321, (0, 0, 0)),
    ("perf_event_open", 298, (0, 0, -1, -1, 0)), ("userfaultfd", 323, (0,)),
    ("io_uring_setup", 425, (1, 0)), ("add_key", 248, (b"user", b"a", b"b", 1, -2)),
    ("request_key", 249, (b"user", b"a", 0, 0)), ("keyctl", 250, (0, -3, 0, 0, 0)),
    ("kexec_load", 246, (0, 0, 0, 0)), ("init_module", 175, (0, 0, b"")),
    ("open_by_handle_at", 304, (-100, 0, 0)), ("personality", 135, (0x0040000,)),
    ("reboot", 169, (0, 0, 0, 0)), ("swapon", 167, (b"/tmp", 0)), ("sethostname", 170, (b"x", 1)),
    ("settimeofday", 164, (0, 0)), ("iopl", 172, (3,)), ("modify_ldt", 154, (0, 0, 0)),
    ("shmget", 29, (0, 4096, 0o1600)), ("quotactl", 179, (0, 0, 0, 0)), ("syslog", 103, (3, 0, 0)),
    ("TIOCSTI", 16, (0, 0x5412, 0)), ("TIOCSTI with high bits", 16, (0, 0x100005412, 0)),
):
    attempt(name, lambda: call(number, *arguments))
    seen["call " + name] = seen.pop(name)
attempt("setuid", lambda: os.setuid(0))
attempt("device node", lambda: os.mknod("/tmp/sda", 0o60600, os.makedev(8, 0)))
# other processes
mine = {int(name) for name in os.listdir("/proc") if name.isdigit()}
seen["processes"] = len(mine)
for pid in mine:
    for fd in os.listdir(f"/proc/{pid}/fd"):
        seen[f"descriptor {pid} {fd}"] = os.readlink(f"/proc/{pid}/fd/{fd}") if pid == 1 else ""
seen["environment of pid 1"] = open("/proc/1/environ").read()
seen["mounts"] = open("/proc/self/mountinfo").read()
seen["capabilities"] = [l.split()[1] for l in open("/proc/self/status") if l.startswith("Cap")]
seen["interfaces"] = [l.split(":")[0].strip() for l in open("/proc/net/dev") if ":" in l]
seen["environment"] = sorted(os.environ)
seen["core"] = __import__("resource").getrlimit(4)
json.dump(seen, open("/outputs/seen.json", "w"))
"""

WORKS = """
import json, threading, multiprocessing, subprocess, concurrent.futures as futures
import numpy, pandas, xgboost, sklearn.linear_model
import matplotlib.pyplot as plt
import manatee
table = manatee.dataset("insurance").to_table().to_pandas()
model = xgboost.XGBRegressor(n_estimators=2).fit(table[["age"]], table["age"])
plt.plot([1, 2]); plt.show()
with futures.ThreadPoolExecutor(4) as pool:
    threads = sum(pool.map(abs, range(10)))
with multiprocessing.get_context("fork").Pool(2) as pool:
    forked = sum(pool.map(abs, range(10)))
with multiprocessing.get_context("spawn").Pool(1) as pool:
    spawned = sum(pool.map(abs, range(10)))
shell = !echo hello
json.dump([threads, forked, spawned, shell[0], len(table), manatee.params()],
          open("/outputs/works.json", "w"))
"""


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("host") / "canary"
    path.write_text("unharmed")
    path.chmod(0o666)
    return path


@pytest.fixture(scope="module", autouse=True)
def host_is_unharmed(guests: Any, canary: Path) -> Iterator[None]:
    yield
    names = {handle.guest_name for handle in guests.handles}
    places = [
        Path(json.loads(path.read_bytes())["staging"]).name
        for path in (guests.folder / "home" / "guests").glob("*/traces.json")
    ]
    assert len(places) == len(names)
    guests.clean()
    assert canary.read_text() == "unharmed"
    assert [name for name in places if _cgroups(name)] == []
    uids = {guest_uid(name) for name in names}
    give_up = time.monotonic() + 5  # the operating system takes a moment to bury the killed
    while _processes(uids) and time.monotonic() < give_up:
        time.sleep(0.01)
    assert _processes(uids) == []


def _cgroups(name: str) -> list[str]:
    found = subprocess.run(
        ["find", "/sys/fs/cgroup", "-type", "d", "-name", name],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.split()


def _processes(uids: set[int]) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if path.stat().st_uid in uids:
                found.append(path.name)
    return found


@pytest.fixture(scope="module", autouse=True)
def endless(guests: Any, host_is_unharmed: None) -> Any:
    """Runs beside all the others, because it takes as long as one cell may."""
    return guests.start("import time\nwhile True:\n    time.sleep(0.05)")


def test_probing_attempts_get_nothing(guests: Any, canary: Path) -> None:
    import socket

    with (
        socket.create_server(("127.0.0.1", 0)) as loopback,
        socket.socket(socket.AF_UNIX) as named,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        where = canary.parent / "host.sock"
        named.bind(str(where))
        named.listen()
        name = f"\0manatee-test-{os.getpid()}"
        abstract.bind(name)
        abstract.listen()
        given = (
            f"PORT = {loopback.getsockname()[1]}\nUNIX = {str(where)!r}\nABSTRACT = {name!r}\n"
            f"CANARY = {str(canary)!r}\nGUESTS = {str(guests.folder)!r}\n"
        )
        left = guests.run(PROBE + given + ATTEMPTS, outputs=("seen.json",))
    assert left.exit.succeeded, left.exit
    seen = left.json("seen.json")
    assert seen.pop("capabilities") == ["0000000000000000"] * 5
    assert seen.pop("interfaces") == ["lo"]
    assert seen.pop("core") == [0, 0]
    assert seen.pop("processes") <= 3
    assert "MANATEE_SESSION" in seen.pop("environment")
    inherited = {item.partition("=")[0] for item in seen.pop("environment of pid 1").split("\0")}
    assert inherited <= {"", "PATH", "HOME", "LANG", "LC_CTYPE", "JPY_PARENT_PID", "PWD"}, inherited
    assert str(guests.folder) not in seen.pop("mounts")
    descriptors = {seen.pop(name) for name in list(seen) if name.startswith("descriptor")}
    assert descriptors <= {"", "/dev/null", "anon_inode:[eventfd]"}
    assert {name: answer for name, answer in seen.items() if answer.startswith("got")} == {}
    calls = {name: answer for name, answer in seen.items() if name.startswith("call ")}
    # by the filter, which answers EPERM, and not because of the arguments
    assert calls.pop("call clone3") == "refused OSError"
    assert set(calls.values()) == {"refused PermissionError"}, calls
    assert len(calls) > 35
    assert len(seen) > 75


def test_numerical_python_threads_and_processes_work_in_the_sandbox(guests: Any) -> None:
    left = guests.run(WORKS, outputs=("works.json",), metadata={})
    assert left.exit.succeeded, left.exit
    assert left.json("works.json") == [45, 45, 45, "hello", 4, {}]
    kinds = {output["output_type"] for output in left.cells[0]["outputs"]}
    assert "display_data" in kinds


def test_a_memory_bomb_is_a_memory_failure(guests: Any) -> None:
    left = guests.run("kept = [bytearray(1 << 24) for _ in range(1000)]")
    assert left.exit.cause is Cause.MEMORY


def test_a_fork_bomb_is_a_processes_failure(guests: Any) -> None:
    left = guests.run(
        "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass"
    )
    assert left.exit.cause is Cause.PROCESSES


def test_filling_the_disk_is_a_disk_failure_and_partial_outputs_are_kept(guests: Any) -> None:
    left = guests.run(
        "print('before')", "with open('/tmp/big', 'wb') as f:\n    f.write(bytes(70 << 20))"
    )
    assert (left.exit.cause, left.exit.cell, left.exit.cells_run) == (Cause.DISK, 2, 1)
    assert left.cells[0]["outputs"][0]["text"] == "before\n"


@pytest.mark.parametrize(
    "flood",
    [
        "while True:\n    print('x' * 1000)",
        "print('x' * 100_000_000)",
        "import os\nwhile True:\n    os.write(2, b'y' * 10_000)",
        "from IPython.display import display\n"
        "while True:\n    display({'text/plain': 'z' * 9999}, raw=True)",
    ],
    ids=["endless prints", "one giant print", "standard error", "displays"],
)
def test_a_flood_of_output_is_cut_off(guests: Any, flood: str) -> None:
    left = guests.run(flood, "print('after')")
    assert left.exit.cause is Cause.OUTPUT_SIZE
    assert left.exit.cells_run == 0


@pytest.mark.parametrize(
    ("code", "cause", "name"),
    [
        ("import os; os._exit(0)", Cause.KERNEL_DIED, None),
        (
            "import os\ntry:\n    os.kill(-1, 9)\nfinally:\n    os.kill(os.getpid(), 9)",
            Cause.KERNEL_DIED,
            None,
        ),
        ("import os; os.kill(os.getppid(), 9); os._exit(1)", Cause.KERNEL_DIED, None),
        ("raise SystemExit('patient 17')", Cause.CELL_ERROR, "SystemExit"),
        ("raise KeyboardInterrupt", Cause.CELL_ERROR, "KeyboardInterrupt"),
        ("class patient_17(Exception): pass\nraise patient_17", Cause.CELL_ERROR, "Exception"),
        ("input('name?')", Cause.CELL_ERROR, "StdinNotImplementedError"),
    ],
    ids=["exit", "kill all", "kill parent", "SystemExit", "interrupt", "class name", "input"],
)
def test_an_abrupt_end_says_only_what_may_be_said(
    guests: Any, code: str, cause: Cause, name: str | None
) -> None:
    left = guests.run(code, "print('after')")
    assert (left.exit.cause, left.exit.exception_class) == (cause, name)
    assert left.exit.cells_run == 0


def test_a_daemon_left_behind_dies_with_the_guest(guests: Any) -> None:
    left = guests.run(
        "import os, time\n"
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        "        while True: time.sleep(1)\n    os._exit(0)\nos.wait()"
    )
    assert left.exit.succeeded


def test_an_output_that_is_a_link_or_a_pipe_stops_the_release(guests: Any) -> None:
    for action in (
        "os.symlink('/vault/insurance/table.arrow', '/outputs/a.csv')",
        "os.symlink('/run', '/outputs/folder')",
        "os.mkfifo('/outputs/a.csv')",
    ):
        left = guests.run(f"import os\n{action}", outputs=("a.csv",))
        assert left.exit.cause is Cause.OUTPUT_POLICY
        assert left.files == {}


def test_undeclared_files_stay_in_the_guest(guests: Any) -> None:
    left = guests.run("open('/outputs/more.csv', 'w').write('a')", outputs=("a.csv",))
    assert set(left.files) == {"notebook.ipynb"}


def test_messages_of_the_kernel_cannot_rewrite_the_notebook(guests: Any) -> None:
    source = (
        "ip = get_ipython()\n"
        "ip.set_next_input('print(1)', replace=True)\n"
        "ip.kernel.session.send(ip.kernel.iopub_socket, 'execute_input',\n"
        "    {'code': 'other', 'execution_count': 99}, parent=ip.kernel.get_parent())\n"
        "ip.execution_count = 77"
    )
    left = guests.run(source, "1 + 1")
    assert ["".join(cell["source"]) for cell in left.cells] == [source, "1 + 1"]
    assert [cell["execution_count"] for cell in left.cells] == [1, 2]


def test_an_endless_loop_ends_at_its_time(guests: Any, endless: Any) -> None:
    left = guests.wait(endless)
    assert (left.exit.cause, left.exit.cell) == (Cause.TIME, 1)
