"""A run bundle on disk: plain files that anyone can open.

run.dsse.json   in-toto Statement of the run, signed in the guest
evidence.json   evidence of purpose `result`, binding that signature's key
manifest.json   the job manifest; its SHA-256 is the job digest
workspace/      the code that ran
outputs/        what came out, the executed notebook among it
outputs.salt    opens the commitments by which the statement names the outputs
log.tlog-proof  where the run stands in a transparency log; a bundle may be without one
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from manatee.bundle._statement import read_statement
from manatee.errors import BundleError, ConflictError, InputError
from manatee.records import (
    MAX_JSON_BYTES,
    Digest,
    GuestResult,
    RunOutputs,
    canonical_json,
    salt_text,
    unbase64,
)
from manatee.workspace import SKIPPED_NAMES, SKIPPED_SUFFIXES, pack, unpack

MAX_OUTPUT_BYTES = 512 << 20
"""Largest output file that is read back, in bytes."""

_PLAIN_FILES = ("run.dsse.json", "evidence.json", "manifest.json")
SALT_FILE = "outputs.salt"
_MAX_SALT_BYTES = 1 << 10
_FOLDERS = ("workspace", "outputs")
MAX_FOLDER_BYTES = 2 << 30
"""Cap of all files of one folder of a bundle, in bytes: a reader's memory holds them."""

MAX_ENTRIES = 20_000
"""Cap of files and folders in one folder of a bundle."""

LOG_PROOF = "log.tlog-proof"
_KNOWN = frozenset((*_PLAIN_FILES, *_FOLDERS, SALT_FILE, LOG_PROOF))
MAX_LOG_PROOF_BYTES = 64 << 10


@dataclass(frozen=True)
class BundleContents:
    """A bundle's bytes, read but not believed.

    Attributes:
        workspace_digest: Digest of the workspace packed again; None where it cannot be packed.
        workspace_problem: Why not.
        salt: The text of the file `outputs.salt`.
        unexpected: Names of entries that no bundle has.
        log_proof: Proof of inclusion in a transparency log, if the bundle has one.
    """

    envelope: bytes
    evidence: bytes
    manifest: bytes
    workspace_digest: Digest | None
    workspace_problem: str
    workspace_files: Mapping[str, bytes]
    outputs: Mapping[str, bytes]
    salt: bytes
    unexpected: tuple[str, ...]
    log_proof: bytes | None = None


def write_bundle(
    folder: Path,
    *,
    result: GuestResult,
    workspace_archive: Path,
    outputs: RunOutputs,
    log_proof: bytes | None = None,
) -> None:
    """Write a bundle as a new folder: whole, or not at all.

    Raises:
        ConflictError: The folder exists.
        BundleError: The result carries no proof, an output's path leads out of the bundle, or the
            bundle cannot be written.
        WorkspaceError: The archive is not the manifest's.
    """
    if result.envelope is None or result.evidence is None:
        raise BundleError("the run left no signed statement; there is nothing to prove.")
    if folder.exists():
        raise ConflictError(f"{folder} exists.", hint="Choose another folder.")
    envelope = unbase64(result.envelope)
    statement, _, _ = read_statement(envelope)
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        (staging / "run.dsse.json").write_bytes(envelope)
        (staging / "evidence.json").write_bytes(canonical_json(result.evidence))
        if log_proof is not None:
            (staging / LOG_PROOF).write_bytes(log_proof)
        (staging / "manifest.json").write_bytes(canonical_json(statement.predicate.manifest))
        unpack(
            workspace_archive,
            staging / "workspace",
            expected=statement.predicate.manifest.workspace_digest,
        )
        (staging / "outputs").mkdir()
        (staging / SALT_FILE).write_bytes(salt_text(outputs.salt))
        for output in outputs.files:
            path = staging / "outputs" / output.path
            if output.path.startswith("/") or ".." in path.parts:
                raise BundleError("an output's path leads out of the bundle.")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(output.data)
        staging.chmod(0o755)
        staging.rename(folder)
    except OSError as error:
        shutil.rmtree(staging, ignore_errors=True)
        raise BundleError(f"the bundle cannot be written ({error.strerror}).") from error
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def _read(path: Path, limit: int) -> bytes:
    try:
        # not blocking: a pipe in a file's place would hold the reader for ever
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise BundleError(f"{path.name} of the bundle is not a plain file.")
            data = stream.read(limit + 1)
    except OSError as error:
        raise BundleError(f"{path.name} is missing from the bundle or unreadable.") from error
    if len(data) > limit:
        raise BundleError(f"{path.name} is larger than {limit} bytes.")
    return data


def _tree(folder: Path) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    left = MAX_FOLDER_BYTES
    for path in _entries(folder):
        kind = path.lstat().st_mode
        if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
            raise BundleError(f"{folder.name}/ holds a link, pipe, socket or device.")
        if stat.S_ISREG(kind):
            data = _read(path, min(MAX_OUTPUT_BYTES, left))
            left -= len(data)
            files[path.relative_to(folder).as_posix()] = data
    return files


def _entries(folder: Path) -> list[Path]:
    found = list(islice(folder.rglob("*"), MAX_ENTRIES + 1))
    if len(found) > MAX_ENTRIES:
        raise BundleError(f"{folder.name}/ of the bundle holds over {MAX_ENTRIES} entries.")
    return sorted(found)


def _stowaways(folder: Path) -> list[str]:
    """Name what no check of contents would look at.

    Packing leaves some names out, so they are not covered by the workspace's digest; and a folder
    without files has no bytes to compare.
    """
    found = [item.name for item in folder.iterdir() if item.name not in _KNOWN]
    for path in _entries(folder / "workspace"):
        if path.name in SKIPPED_NAMES or path.name.endswith(SKIPPED_SUFFIXES):
            found.append(path.relative_to(folder).as_posix())
    for path in _entries(folder / "outputs"):
        if path.is_dir() and not any(path.iterdir()):
            found.append(path.relative_to(folder).as_posix())
    return sorted(found)


def read_bundle(folder: Path) -> BundleContents:
    """Read a bundle without believing anything in it.

    Raises:
        BundleError: It is not a bundle: a file is missing, unreadable, a link or other special
            file, or too large.
    """
    if not folder.is_dir():
        raise BundleError(f"{folder} is not a run bundle: it is no folder.")
    plain = {name: _read(folder / name, 4 * MAX_JSON_BYTES) for name in _PLAIN_FILES}
    for name in _FOLDERS:
        if not (folder / name).is_dir() or (folder / name).is_symlink():
            raise BundleError(f"the bundle has no folder {name}/.")
    problem, digest = "", None
    with tempfile.TemporaryDirectory() as scratch:
        try:
            digest = pack(folder / "workspace", Path(scratch) / "workspace.tar")
        except InputError as error:
            problem = error.message
    try:
        return BundleContents(
            envelope=plain["run.dsse.json"],
            evidence=plain["evidence.json"],
            manifest=plain["manifest.json"],
            workspace_digest=digest,
            workspace_problem=problem,
            workspace_files=_tree(folder / "workspace"),
            outputs=_tree(folder / "outputs"),
            salt=_read(folder / SALT_FILE, _MAX_SALT_BYTES),
            unexpected=tuple(_stowaways(folder)),
            log_proof=_read(folder / LOG_PROOF, MAX_LOG_PROOF_BYTES)
            if (folder / LOG_PROOF).is_symlink() or (folder / LOG_PROOF).exists()
            else None,
        )
    except OSError as error:
        raise BundleError(f"the bundle cannot be read ({error.strerror}).") from error
