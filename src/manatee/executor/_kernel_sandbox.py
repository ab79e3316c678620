"""The inner sandbox: what the researcher's kernel may see and use, as one argument list."""

from __future__ import annotations

import sys
from pathlib import Path

from manatee.executor import _join
from manatee.executor._places import DATA, OUTPUTS, SESSION, WORKSPACE, Places
from manatee.records import ResourceClass

OPEN_FILES = 4096
"""Descriptors one process of the kernel may have open."""

_SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc")


def kernel_argv(
    places: Places,
    resources: ResourceClass,
    *,
    datasets: tuple[str, ...],
    session: Path,
    seccomp: Path,
    connection: Path,
    folder: str,
) -> list[str]:
    """Return the command that starts the kernel in its sandbox.

    Args:
        places: The guest's folders.
        resources: Limits.
        datasets: Names of the data sets the kernel sees.
        session: The session file it sees.
        seccomp: The compiled system call filter.
        connection: Jupyter's connection file.
        folder: Working folder as the kernel names it.
    """
    limits = {
        "RLIMIT_CORE": 0,
        "RLIMIT_DATA": -1,  # the driver's own limit ends here; the kernel has its cgroup
        "RLIMIT_CPU": resources.kernel_cpu_seconds,
        "RLIMIT_NOFILE": OPEN_FILES,
        "RLIMIT_FSIZE": resources.scratch_bytes,
    }
    return [
        sys.executable, "-I", "-S", str(Path(_join.__file__)),
        str(places.cgroups),
        str(seccomp),
        ",".join(f"{name}={value}" for name, value in limits.items()),
        "bwrap",
        *_isolation(),
        *_scratch(places),
        *_system(),
        *_view(places, datasets, session, connection),
        *_environment(resources),
        "--chdir", folder,
        "--seccomp", str(_join.SECCOMP_DESCRIPTOR),
        "--",
        *_kernel(connection),
    ]  # fmt: skip


def _isolation() -> list[str]:
    return [
        "--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts",
        "--unshare-cgroup", "--disable-userns", "--assert-userns-disabled",
        "--new-session", "--die-with-parent", "--cap-drop", "ALL",
        "--uid", "1000", "--gid", "1000", "--hostname", "guest",
    ]  # fmt: skip


def _system() -> list[str]:
    """Bind what the guest itself has: the system, the runtime and its interpreter."""
    words: list[str] = []
    for name in _SYSTEM:
        path = Path("/") / name
        if path.is_symlink():
            words += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            words += ["--ro-bind", str(path), str(path)]
    for root in sorted({sys.prefix, sys.base_prefix}):
        if not root.startswith("/usr"):
            words += ["--ro-bind", root, root]
    return words


def _scratch(places: Places) -> list[str]:
    """Bind what may be written; first, for a runtime may lie below /tmp and must not be hidden."""
    words = ["--proc", "/proc", "--dev", "/dev"]
    writable = {
        places.temporary: "/tmp",  # noqa: S108  # the sandbox's own
        places.shared_memory: "/dev/shm",  # noqa: S108
        places.workspace: WORKSPACE,
        places.outputs: OUTPUTS,
        places.sockets: str(places.sockets),
    }
    for source, target in writable.items():
        words += ["--bind", str(source), target]
    return words


def _view(places: Places, datasets: tuple[str, ...], session: Path, connection: Path) -> list[str]:
    words: list[str] = []
    for name in datasets:
        words += ["--ro-bind", str(places.open_dataset(name)), f"{DATA}/{name}"]
    words += ["--ro-bind", str(session), SESSION]
    words += ["--ro-bind", str(connection), str(connection)]
    return [*words, "--remount-ro", "/dev", "--remount-ro", "/"]


def _environment(resources: ResourceClass) -> list[str]:
    variables = {
        "PATH": f"{sys.prefix}/bin:/usr/bin:/bin",
        "HOME": "/tmp",  # noqa: S108
        "LANG": "C.UTF-8",
        "MANATEE_SESSION": SESSION,
        "OMP_NUM_THREADS": str(max(resources.cpus, 1)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "IPYTHONDIR": "/tmp/.ipython",  # noqa: S108
        "MPLCONFIGDIR": "/tmp/.matplotlib",  # noqa: S108
    }
    words = ["--clearenv"]
    for name, value in variables.items():
        words += ["--setenv", name, value]
    return words


def _kernel(connection: Path) -> list[str]:
    return [
        sys.executable, "-I", "-m", "ipykernel_launcher", "-f", str(connection),
        "--HistoryManager.enabled=False",
    ]  # fmt: skip
