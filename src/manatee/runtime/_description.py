"""What a runtime is, as one record; the record's digest is the runtime digest."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from pathlib import Path
from typing import Literal

from manatee.errors import MalformedError, RuntimeEnvironmentError, TooLargeError
from manatee.records import (
    Digest,
    DigestText,
    Record,
    canonical_json,
    digest_file,
    digest_record,
    read_record,
)
from manatee.runtime._layout import read_layout
from manatee.runtime._tree import fingerprint, list_entries, refuse_path_files, tree_digest


class RuntimeDescription(Record, frozen=True, kw_only=True):
    """A runtime. Two folders with the same description run the same code."""

    format_version: Literal[1] = 1
    implementation: str
    python: str
    platform: str
    lock_sha256: DigestText
    tree_sha256: DigestText


class _Remembered(Record, frozen=True, kw_only=True):
    fingerprint: str
    tree_sha256: DigestText


def _remembered(path: Path, seen: str) -> str | None:
    try:
        found = read_record(path.read_bytes(), _Remembered, what="runtime cache")
    except (OSError, MalformedError, TooLargeError):
        return None  # a cache that cannot be read is no cache
    return found.tree_sha256 if found.fingerprint == seen else None


def _remember(path: Path, note: _Remembered) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(canonical_json(note))
        temporary.replace(path)
    except OSError as error:
        raise RuntimeEnvironmentError(
            f"the runtime cache {path.parent} cannot be written: {error.strerror}.",
            hint="Give a folder that this process owns.",
        ) from error


def describe_runtime(folder: Path, *, cache: Path | None = None) -> RuntimeDescription:
    """Measure a runtime.

    Args:
        folder: The virtual environment.
        cache: Folder where the digest of the files is kept as long as no file's size, times,
            inode or mode changes. Whoever can write to it decides what is measured.

    Raises:
        RuntimeEnvironmentError: There is no runtime, it is not locked, or it would run code that
            is not measured.
    """
    layout = read_layout(folder)
    refuse_path_files(layout)
    entries = list_entries(layout)
    seen = fingerprint(entries)
    tree: str | None = None
    note = None
    if cache is not None:
        key = hashlib.sha256(os.fsencode(layout.folder)).hexdigest()[:32]
        note = cache / f"runtime-{key}.json"
        tree = _remembered(note, seen)
    if tree is None:
        tree = tree_digest(entries)
        if note is not None:
            _remember(note, _Remembered(fingerprint=seen, tree_sha256=tree))
    return RuntimeDescription(
        implementation=layout.implementation,
        python=layout.version,
        platform=f"{sys.platform}-{platform.machine()}",
        lock_sha256=digest_file(layout.lock)[0],
        tree_sha256=tree,
    )


def runtime_digest(folder: Path, *, cache: Path | None = None) -> Digest:
    """Return the digest by which manifests, evidence and policies name a runtime.

    Raises as `describe_runtime` does.
    """
    return digest_record(describe_runtime(folder, cache=cache))
