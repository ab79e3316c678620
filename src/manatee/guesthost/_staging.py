"""A place from which an unprivileged guest can be given files that only we may reach.

Started by root, the guest runs under a user id that nobody else has, so bubblewrap can reach no
source below a private folder. We therefore make a mount namespace of our own and bind every
source into one staging folder on a tmpfs there; nothing of it is seen outside, and all of it
vanishes with this process. (A user namespace alone would not do: started by root, it maps the
guest to the host's root.)
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from manatee.errors import BackendUnavailableError

_CLONE_NEWNS = 0x00020000
_MS_NOSUID, _MS_NODEV = 0x2, 0x4
_MNT_DETACH = 2
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000

_FIRST_UID = 1_900_000_000
_UIDS = 100_000_000
"""Range of the guests' user ids: above what distributions, containers and systemd hand out."""


def guest_uid(guest_name: str) -> int:
    """Return a host user id for a guest that no account has."""
    seed = int.from_bytes(hashlib.sha256(guest_name.encode()).digest()[:8], "big")
    while True:
        uid = _FIRST_UID + seed % _UIDS
        try:
            pwd.getpwuid(uid)
        except KeyError:
            return uid
        seed += 1


def _mount(source: str, target: Path, kind: str | None, flags: int, data: str | None) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    given = (source.encode(), os.fsencode(target), kind.encode() if kind else None)
    if libc.mount(*given, ctypes.c_ulong(flags), data.encode() if data else None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _enter_private_namespace() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    _mount("none", Path("/"), None, _MS_REC | _MS_PRIVATE, None)


def _open_to_all(path: Path) -> bool:
    mode = path.stat().st_mode
    if not stat.S_ISDIR(mode):
        return bool(mode & stat.S_IROTH)
    return bool(mode & stat.S_IROTH and mode & stat.S_IXOTH) and all(
        _open_to_all(item) for item in path.iterdir()
    )


def _readable_copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
        paths = [target, *target.rglob("*")]
    else:
        shutil.copyfile(source, target)
        paths = [target]
    for path in paths:
        path.chmod(0o755 if path.is_dir() else 0o444)


@dataclass
class Staging:
    """The staging folder of one guest.

    Attributes:
        folder: An empty folder that everybody may pass through.
        uid: The guest's user id on the host; None where the guest runs as ourselves.
        copies: Where sources are copied to that the guest's user could not read.
    """

    folder: Path
    uid: int | None
    copies: Path
    _count: int = 0

    def open(self) -> None:
        """Prepare the folder.

        Effects: as root, puts this process into a mount namespace of its own. Call it before
        any thread is started.

        Raises:
            BackendUnavailableError: The namespace cannot be had.
        """
        self.folder.mkdir(mode=0o700)
        self.folder.chmod(0o711)
        if self.uid is None:
            return
        try:
            _enter_private_namespace()
            _mount("tmpfs", self.folder, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=711,size=64m")
        except OSError as error:
            raise BackendUnavailableError(
                f"no mount namespace of our own: {error.strerror}.",
                hint="Root needs CAP_SYS_ADMIN here; or start the service as an ordinary user.",
            ) from error

    def close(self) -> None:
        """Remove the folder. Idempotent."""
        if self.uid is not None:
            ctypes.CDLL(None).umount2(os.fsencode(self.folder), _MNT_DETACH)
        shutil.rmtree(self.folder, ignore_errors=True)

    def file(self, name: str, data: bytes) -> Path:
        """Write a small file for the guest."""
        path = self.folder / name
        path.write_bytes(data)
        path.chmod(0o444)
        return path

    def source(self, path: Path, *, check: bool = True) -> Path:
        """Return where bubblewrap finds a source.

        Args:
            path: On the host.
            check: Copy what the guest's user may not read. Off for large trees that are
                readable to all anyway.

        Raises:
            BackendUnavailableError: It cannot be staged.
        """
        if self.uid is None:
            return path
        self._count += 1
        target = self.folder / str(self._count)
        try:
            if check and not _open_to_all(path):
                self.copies.mkdir(exist_ok=True)
                copy = self.copies / str(self._count)
                _readable_copy(path, copy)
                path = copy
            if path.is_dir():
                target.mkdir()
            else:
                target.touch()
            _mount(str(path), target, None, _MS_BIND | _MS_REC, None)
        except OSError as error:
            raise BackendUnavailableError(f"{path} cannot be staged: {error.strerror}.") from error
        return target


def privilege_drop(uid: int | None) -> list[str]:
    """Return the arguments before bubblewrap that give up every privilege of root."""
    if uid is None:
        return ["setpriv", "--no-new-privs", "--"]
    return [
        *("setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups"),
        *("--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "--"),
    ]
