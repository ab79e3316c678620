"""Joins the kernel's cgroups, sets its limits and becomes bubblewrap. A script on its own.

    python -I -S _join.py CGROUPS SECCOMP LIMITS COMMAND...

CGROUPS is a folder of cgroup folders, SECCOMP a compiled filter that the command finds open as
descriptor 10, LIMITS is `name=value,…` with names of the resource module. Imports nothing of ours:
it starts in a few milliseconds, and whatever fails here ends in exit status 125, never in a kernel
that runs with less than all of it.
"""

import os
import resource
import sys

SECCOMP_DESCRIPTOR = 10
REFUSED = 125


def join_and_execute(cgroups: str, seccomp: str, limits: str, command: list[str]) -> None:
    """Do it, or raise OSError or ValueError before anything was executed."""
    folders = sorted(os.listdir(cgroups))
    if not folders:
        raise ValueError("no cgroup")
    for folder in folders:
        target = os.open(f"{cgroups}/{folder}/cgroup.procs", os.O_WRONLY)
        os.write(target, b"0")
        os.close(target)
    for limit in limits.split(","):
        name, _, value = limit.partition("=")
        resource.setrlimit(getattr(resource, name), (int(value), int(value)))
    os.dup2(os.open(seccomp, os.O_RDONLY), SECCOMP_DESCRIPTOR, inheritable=True)
    os.execvp(command[0], command)  # noqa: S606  # no shell is meant


if __name__ == "__main__":
    try:
        join_and_execute(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
    except (OSError, ValueError, AttributeError, IndexError) as error:
        print(f"refused: {error}", file=sys.stderr)
    sys.exit(REFUSED)
