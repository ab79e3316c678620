"""The folder an operator fills: one file for each piece of collateral.

Each file holds the bytes with where and when they came from. Reading takes the bytes apart anew, so
that a file changed by hand says nothing that its bytes do not.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from manatee._clock import parse_timestamp, timestamp
from manatee.attestation import Endorsements
from manatee.collateral._item import MAX_ITEM_BYTES, Item, ItemKind
from manatee.collateral._read import read_item
from manatee.errors import ConflictError, MalformedError, ManateeError, NotFoundError, StoreError
from manatee.records import Base64, Record, canonical_json, read_record, to_base64, unbase64
from manatee.records._base import Moment

MAX_ITEMS = 4096

_NEEDS: dict[str, frozenset[ItemKind]] = {
    "amd-sev-snp": frozenset({ItemKind.CERTIFICATE, ItemKind.REVOCATION_LIST}),
    "intel-tdx": frozenset({ItemKind.TDX_COLLATERAL}),
    "aws-nitro": frozenset({ItemKind.CERTIFICATE, ItemKind.REVOCATION_LIST}),
    "gcp-confidential-space": frozenset({ItemKind.JWKS}),
    "azure-maa": frozenset({ItemKind.JWKS}),
    "nvidia-nras": frozenset({ItemKind.JWKS}),
    "nvidia-gpu": frozenset({ItemKind.RIM, ItemKind.OCSP}),
}
"""What evidence of a kind may need. Kinds not listed get everything."""


class _File(Record, frozen=True, kw_only=True):
    format_version: Literal[1]
    kind: ItemKind
    name: str
    source: str
    kept_at: Moment
    held: bool
    data: Base64


@dataclass(frozen=True)
class Kept:
    """An item in the cache.

    Attributes:
        item: The item, read anew.
        source: Address or file it came from.
        kept_at: When it was put here.
        held: Whether it waits for a person; what is held is never handed out.
    """

    item: Item
    source: str
    kept_at: datetime
    held: bool


class Collateral:
    """A folder of collateral. Holds no file open and needs no network."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def open(cls, folder: Path) -> Collateral:
        """Open a folder, making it on first use.

        Raises:
            StoreError: It cannot be made.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        except OSError as error:
            raise StoreError(f"the folder {folder} cannot be made ({error.strerror}).") from error
        return cls(folder)

    def kept(self) -> tuple[Kept, ...]:
        """Return everything in the folder, in order of kind and name.

        Raises:
            MalformedError: A file is damaged; the message names it.
            StoreError: A file cannot be read.
        """
        paths = sorted(self._folder.glob("*.json"))
        if len(paths) > MAX_ITEMS:
            raise StoreError(f"the folder holds over {MAX_ITEMS} files.")
        found = [self._read(path) for path in paths]
        return tuple(sorted(found, key=lambda one: (one.item.kind, one.item.name, one.held)))

    def endorsements(self, *evidence_kinds: str) -> Endorsements:
        """Return what is here for appraisal; without arguments for every kind of evidence.

        Nothing is left out for being old: the appraisal judges that at its own time. What is held
        is left out.

        Raises:
            MalformedError, StoreError: See `kept`.
        """
        everything = frozenset(ItemKind)
        wanted = [_NEEDS.get(kind, everything) for kind in evidence_kinds] or [everything]
        given = [one.item for one in self.kept() if not one.held]
        given = [item for item in given if any(item.kind in some for some in wanted)]

        def data_of(kind: ItemKind) -> tuple[bytes, ...]:
            return tuple(item.data for item in given if item.kind is kind)

        documents = {ItemKind.TDX_COLLATERAL, ItemKind.JWKS, ItemKind.RIM, ItemKind.OCSP}
        return Endorsements(
            certificates=data_of(ItemKind.CERTIFICATE),
            revocations=data_of(ItemKind.REVOCATION_LIST),
            documents={item.name: item.data for item in given if item.kind in documents},
        )

    def put(
        self, items: Sequence[Item], *, at: datetime, source: str, held: bool = False
    ) -> tuple[Kept, ...]:
        """Keep items, replacing those of the same name. All are checked before any is written.

        Args:
            items: Read by `read_item`.
            at: Now.
            source: Address or file, for people.
            held: Whether a person must accept them before they are handed out. What is already
                here, byte for byte and accepted, is not held again.

        Raises:
            ConflictError: A newer document of that name is here.
            StoreError: The folder cannot be written.
        """
        written = []
        with self._locked():
            present = {
                (one.item.kind, one.item.name): one.item for one in self.kept() if not one.held
            }
            for item in items:
                _check_not_older(item, present.get((item.kind, item.name)))
            for item in items:
                known = present.get((item.kind, item.name))
                hold = held and (known is None or known.data != item.data)
                self._write(item, at=at, source=source, held=hold)
                written.append(Kept(item, source, at, hold))
        return tuple(written)

    def accept(self, name: str, sha256: str, *, at: datetime) -> Kept:
        """Hand out from now on what was held: a person compared its digest with the vendor's.

        Args:
            name: As `kept` shows it.
            sha256: Digest of the data, hexadecimal, from another source than the download.
            at: Now.

        Raises:
            NotFoundError: Nothing held has that name and digest.
        """
        with self._locked():
            for one in self.kept():
                if one.held and one.item.name == name and one.item.digest == sha256.lower():
                    self._write(one.item, at=at, source=one.source, held=False)
                    self._path(one.item, held=True).unlink(missing_ok=True)
                    return Kept(one.item, one.source, at, held=False)
        raise NotFoundError(
            "nothing that is held has this name and digest.",
            hint="See what is held: manatee attest collateral show.",
        )

    def _path(self, item: Item, *, held: bool) -> Path:
        short = hashlib.sha256(item.name.encode()).hexdigest()[:32]
        return self._folder / f"{item.kind.value}-{short}{'.held' if held else ''}.json"

    def _read(self, path: Path) -> Kept:
        try:
            size = path.stat().st_size
            data = path.read_bytes() if size <= 2 * MAX_ITEM_BYTES else b""
        except OSError as error:
            raise StoreError(f"{path.name} cannot be read ({error.strerror}).") from error
        try:
            file = read_record(data, _File, what=path.name, max_bytes=2 * MAX_ITEM_BYTES)
            kept_at = parse_timestamp(file.kept_at)
            label = file.name.partition("/")[2]
            if file.kind is ItemKind.TDX_COLLATERAL:
                label = ""
            item = read_item(unbase64(file.data), file.kind, name=label)
        except (ManateeError, ValueError) as error:
            raise MalformedError(
                f"{path.name} in the collateral folder is damaged.",
                hint="Remove it and fetch or import it again.",
            ) from error
        if item.name != file.name or path != self._path(item, held=file.held):
            raise MalformedError(
                f"{path.name} in the collateral folder holds something else than its name says.",
                hint="Remove it and fetch or import it again.",
            )
        return Kept(item, file.source, kept_at, file.held)

    def _write(self, item: Item, *, at: datetime, source: str, held: bool) -> None:
        file = _File(
            format_version=1,
            kind=item.kind,
            name=item.name,
            source=source,
            kept_at=timestamp(at),
            held=held,
            data=to_base64(item.data),
        )
        path = self._path(item, held=held)
        part = self._folder / f".{path.name}.{secrets.token_hex(4)}"
        try:
            with part.open("xb") as stream:
                stream.write(canonical_json(file))
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(path)
        except OSError as error:
            raise StoreError(f"{path.name} cannot be written ({error.strerror}).") from error
        finally:
            part.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other writers out, in this process and others."""
        try:
            descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise StoreError(
                f"the folder {self._folder} cannot be opened ({error.strerror})."
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _check_not_older(item: Item, present: Item | None) -> None:
    """Check that nothing older takes the place of something newer: revocation must not go back."""
    if present is None or present.issued is None or item.issued is None:
        return
    if item.issued < present.issued:
        raise ConflictError(
            f"a newer {item.kind.value} of {item.title} is here already; the older one is refused."
        )
