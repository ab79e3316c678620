"""The folder of a run: hidden while it grows, renamed once at the end, written whole or not at all.

Next to `OUT` lies `.OUT.run` as long as the run is not done. Everything in it is written beside
its place, synced and renamed, so that a run that dies between any two steps leaves files that are
whole. `run.json` says first what will be done, and then, step by step, what was.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from manatee.errors import ConflictError, MalformedError, ProvisioningError
from manatee.records import canonical_json, parse_json

RECORD = "run.json"


class RunFolder:
    """One run's folder before it is renamed."""

    def __init__(self, out: Path) -> None:
        self.out = out.absolute()
        self.path = self.out.with_name(f".{self.out.name}.run")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other process out of this run.

        Raises:
            ConflictError: Another process is at it.
            ProvisioningError: The disk is full, or the folder cannot be written.
        """
        lock = self.out.with_name(f".{self.out.name}.lock")
        with written(), _locked(lock):
            yield

    def start(self, record: dict[str, Any], *, resume: bool) -> dict[str, Any]:
        """Write the record of a new run, or read the one that was interrupted.

        Args:
            record: What will be done; `inputs` must be the same when a run is resumed.
            resume: Whether an interrupted run is expected.

        Raises:
            ConflictError: The folder is there; or an interrupted run is there and `resume` is
                not said, or there is none, or it had other inputs.
        """
        if self.out.exists():
            raise ConflictError(f"{self.out} exists.", hint="Remove it or choose another folder.")
        if (self.path / RECORD).exists():
            found = self.read()
            if not resume:
                raise ConflictError(
                    f"a run for {self.out} was interrupted.",
                    hint="Add --resume. To give it up, remove the hidden folder "
                    f"{self.path.name}; what it has committed stays spent.",
                )
            if found.get("inputs") != record["inputs"]:
                raise ConflictError(
                    "the interrupted run had another contract, spec, options or release of "
                    "ManaTEE.",
                    hint="Give the same again, or remove its hidden folder "
                    f"{self.path.name}; what it has committed stays spent.",
                )
            return found
        if resume:
            raise ConflictError(f"no run for {self.out} was interrupted.", hint="Leave --resume.")
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(parents=True, mode=0o700)
        self.save(record)
        return record

    def read(self) -> dict[str, Any]:
        """Return the run's record. Raises MalformedError for anything else."""
        found = parse_json((self.path / RECORD).read_bytes())
        if not isinstance(found, dict):
            raise MalformedError(f"{self.path / RECORD} is not the record of a run.")
        return found

    def save(self, record: dict[str, Any]) -> None:
        """Write the run's record."""
        self.write(RECORD, canonical_json(record) + b"\n")

    def write(self, name: str, data: bytes, *, mode: int = 0o644) -> None:
        """Write one file whole: beside its place, synced, renamed."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)

    def empty(self, name: str) -> Path:
        """Return a folder within, emptied of what an interrupted step has left there."""
        path = self.path / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path

    def finish(self) -> None:
        """Give the folder its name; it is readable by others only now."""
        for path in self.path.rglob("*"):
            if path.is_file():
                sync_file(path)
        self.path.chmod(0o755)
        self.path.rename(self.out)
        sync_folder(self.out.parent)

    def remove(self) -> None:
        """Forget a run that has measured nothing."""
        shutil.rmtree(self.path, ignore_errors=True)


def sync_file(path: Path) -> None:
    """Have a file's bytes on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Have a folder's names on the disk."""
    sync_file(path)


@contextmanager
def written() -> Iterator[None]:
    """Turn errors of the disk into ours."""
    try:
        yield
    except OSError as error:
        raise ProvisioningError(
            f"the run's folder cannot be written: {error.strerror or 'unknown reason'}.",
            hint="Make room, then run again with --resume; nothing half-written was published.",
        ) from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # whoever held it before has removed the file: a lock on that holds nobody off
            if os.stat(path).st_ino != os.fstat(stream.fileno()).st_ino:
                raise BlockingIOError
        except (BlockingIOError, FileNotFoundError) as error:
            raise ConflictError("another process is at this run.") from error
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
