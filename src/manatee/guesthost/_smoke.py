"""A throw-away guest that tries the isolation for real and says what does not hold."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

from manatee._clock import monotonic
from manatee.backends._bubblewrap import GROUP, PASSWD, GuestView, guest_arguments
from manatee.backends._cgroups import GuestGroups, own_hierarchies
from manatee.errors import BackendError
from manatee.guesthost._host import STAGING_ROOT
from manatee.guesthost._process import SandboxedProcess
from manatee.guesthost._staging import Staging, guest_uid
from manatee.records import resource_class

_SECONDS = 20.0

_PROGRAM = r"""
for file in /run/manatee/cgroup/*/cgroup.procs; do echo 0 > "$file" || exit 11; done
[ "$(tail -n +3 /proc/net/dev | grep -vc ' *lo:')" = 0 ] || exit 12
[ "$(id -u)" = 1000 ] || exit 13
(: > /usr/probe) 2>/dev/null && exit 14
bwrap --ro-bind / / --unshare-all --unshare-user --disable-userns --proc /proc --dev /dev true \
  || exit 15
exit 0
"""

_MEANING: dict[int | None, str] = {
    None: (
        "bubblewrap cannot start a guest: user namespaces may be off. Try "
        "`sysctl user.max_user_namespaces=10000`, on Debian `sysctl "
        "kernel.unprivileged_userns_clone=1`, on Ubuntu 24.04 `sysctl "
        "kernel.apparmor_restrict_unprivileged_userns=0` or an AppArmor profile for bwrap."
    ),
    11: (
        "a guest cannot join its kernel's control group: start the service with `systemd-run "
        "--user --scope -p Delegate=yes …` or as root."
    ),
    12: "a guest sees a network interface: the network namespace does not isolate.",
    13: "a guest has not the user id it was given.",
    14: "a guest can write to the system's files.",
    15: (
        "a second sandbox cannot be made inside a guest: install bubblewrap 0.8 or later "
        "(`apt install bubblewrap`) and allow nested user namespaces."
    ),
}


def missing_for_guests(*, root: bool) -> list[str]:
    """Start and remove one throw-away guest.

    Args:
        root: Whether this process is root.

    Returns:
        One sentence for each thing that does not work; empty if guests can run here.
    """
    token = f"manatee-{secrets.token_hex(8)}"
    uid = guest_uid(token) if root else None
    resources = resource_class("tiny")
    staging = Staging(STAGING_ROOT / token, uid, STAGING_ROOT / f"{token}-copies")
    try:
        groups = GuestGroups(token, own_hierarchies())
        try:
            groups.create(resources, uid)
            staging.open()
            view = GuestView(
                read_only={
                    Path("/etc/passwd"): staging.file("passwd", PASSWD.encode()),
                    Path("/etc/group"): staging.file("group", GROUP.encode()),
                },
                channel=None,
                kernel_groups=groups.kernel_groups(),
            )
            process = SandboxedProcess(
                arguments=guest_arguments(view, resources),
                program=["/bin/sh", "-c", _PROGRAM],
                groups=groups,
                resources=resources,
                uid=uid,
                log=None,
            )
            ending = process.wait(until=monotonic() + _SECONDS, cancelled=lambda: False)
        finally:
            groups.remove()
            staging.close()
    except BackendError as error:
        return [str(error)]
    if ending.exit_code == 0 and ending.cause is None:
        return []
    found = _MEANING.get(ending.exit_code, f"the throw-away guest ended with {ending.exit_code}.")
    return [found]


def missing_programs() -> list[str]:
    """Return what must be installed first, one sentence each."""
    wanted = {"bwrap": "bubblewrap", "setpriv": "util-linux"}
    return [
        f"{program} is not installed: `apt install {package}`."
        for program, package in wanted.items()
        if shutil.which(program) is None
    ]
