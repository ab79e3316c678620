"""Blobs in an object store: Amazon S3 and whatever speaks its protocol, Google's, Azure's.

Only whole objects ever show under a digest: an upload in parts counts when it is completed, and it
is completed after its bytes were digested once more on the way out. Then the object is read back
and checked; only after that is a blob acknowledged.

Messages say nothing of what the store answered: its text quotes addresses and access keys. For the
same reason the library's exceptions are not chained to ours.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from manatee.errors import DamagedBlobError, SettingsError, StoreError, StoreRefusedError
from manatee.records import Digest
from manatee.store._blobs._checked import checked
from manatee.store._blobs._disk import disk
from manatee.store._blobs._pieces import PIECE_BYTES, Pieces

if TYPE_CHECKING:
    from obstore.store import ObjectStore

PART_BYTES = 8 << 20
"""Bytes of a part of an upload. S3 takes 10,000 parts: 78 GiB, over the cap of one blob."""

PARTS_AT_ONCE = 4
"""Parts under way at one time; with the size of a part, the memory an upload takes."""

WINDOW_BYTES = 8 * PIECE_BYTES
"""Bytes of one request when reading; no request waits for a slow reader."""

TRIED = "tried-by-manatee-doctor"
"""Object that `try_out` overwrites."""

UPLOAD_TRIES = 2
"""Uploads of one blob before it is told that the store does not keep what it is given."""

_SCHEMES = ("s3", "gs", "az")


def objects_at(
    url: str, *, patience: timedelta = timedelta(seconds=30), again: int = 4
) -> ObjectsPlace:
    """Return the place a URL names. Connects to nothing.

    Credentials, region and endpoint come from the environment variables of the store's own tools
    (`AWS_…`, `GOOGLE_…`, `AZURE_STORAGE_…`).

    Args:
        url: `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`; with `+http`
            after the first word, as in `s3+http://`, requests may go out unencrypted.
        patience: Longest time for one request, which has at most `PART_BYTES`.
        again: How often a request is repeated that failed for reasons that may pass.

    Raises:
        SettingsError: Not such a URL, or the library is not installed.
    """
    try:
        parts = urlsplit(url)
        scheme, plus, clear = parts.scheme.partition("+")
        wrong = scheme not in _SCHEMES or not parts.hostname or clear != ("http" if plus else "")
        extra = parts.username or parts.password or parts.query or parts.fragment or parts.port
    except ValueError:
        wrong, extra = True, None
    if wrong or extra:
        # the value is not quoted: somebody may have put a secret into it
        raise SettingsError(
            "MANATEE_BLOB_STORE_URL must be s3://, gs:// or az:// with a bucket and a prefix, "
            "nothing else.",
            hint="Credentials and endpoint go into the environment, as the store's tools read it.",
        )
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError as error:
        raise SettingsError(
            "object stores need a library that is not installed.",
            hint="Install manatee[objects].",
        ) from error
    options: dict[str, Any] = {
        "client_options": {
            "timeout": patience,
            "connect_timeout": min(patience, _CONNECT),
            "allow_http": bool(clear),
        },
        "retry_config": {
            "max_retries": again,
            "retry_timeout": patience,
            "backoff": {"init_backoff": _BACKOFF, "max_backoff": 20 * _BACKOFF, "base": 2},
        },
    }
    if scheme == "s3":
        options["config"] = {"checksum_algorithm": "SHA256"}  # the server checks each part
    try:
        store = from_url(f"{scheme}://{parts.netloc}{parts.path}", **options)
    except (BaseError, ValueError):
        raise SettingsError(
            "the object store of MANATEE_BLOB_STORE_URL cannot be used as it is configured.",
            hint="Check the environment variables of the store's own tools.",
        ) from None
    return ObjectsPlace(store)


_CONNECT = timedelta(seconds=5)
_BACKOFF = timedelta(milliseconds=100)
_NO_BUCKET = r"status code: 404"
_REFUSED = r"status code: 40[13]"


@contextlib.contextmanager
def _remote() -> Iterator[None]:
    from obstore import exceptions

    refused = (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)
    try:
        yield
    except refused:
        raise _refused() from None
    except (FileNotFoundError, exceptions.NotFoundError):
        raise _AbsentError from None
    except (exceptions.BaseError, OSError) as error:
        # a listing has no kinds of errors of its own for these
        if re.search(_NO_BUCKET, str(error)):
            raise _AbsentError from None
        if re.search(_REFUSED, str(error)):
            raise _refused() from None
        raise StoreError(
            "the object store cannot be reached, or answered with a failure of its own.",
            hint="Try again; see that it runs and that its endpoint is right.",
        ) from None


class _AbsentError(Exception):
    """No such object, or no such bucket: the store's answer is the same."""


class ObjectsPlace:
    """Keeps each blob as one object named by its digest."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def _key(self, digest: Digest) -> str:
        name = digest.removeprefix("sha256:")
        return f"{name[:2]}/{name}"

    def accept(self, staged: Path, digest: Digest, pieces: Pieces) -> None:
        """Upload the staged file and read it back; see `Place.accept`."""
        for _ in range(UPLOAD_TRIES):
            if self._kept(digest, pieces):
                return
            self._upload(staged, digest, pieces)
        if not self._kept(digest, pieces):
            raise StoreError(
                "the object store does not keep the bytes it is given.",
                hint="Try again; if it stays so, the store is broken.",
            )

    def _kept(self, digest: Digest, pieces: Pieces) -> bool:
        try:
            for _ in checked(self, digest, pieces):
                pass
            if pieces.size == 0:
                self._head(digest)
        except DamagedBlobError:
            return False
        return True

    def _upload(self, staged: Path, digest: Digest, pieces: Pieces) -> None:
        import obstore

        with disk(), staged.open("rb") as file:
            source = _Outgoing(file, digest)
            one = pieces.size <= PART_BYTES
            content = b"".join(source) if one else source
            try:
                with _remote():
                    obstore.put(
                        self._store,
                        self._key(digest),
                        content,
                        use_multipart=not one,
                        chunk_size=PART_BYTES,
                        max_concurrency=PARTS_AT_ONCE,
                    )
            except _AbsentError:
                raise _no_bucket() from None

    def _head(self, digest: Digest) -> None:
        import obstore

        try:
            with _remote():
                obstore.head(self._store, self._key(digest))
        except _AbsentError:
            self.probe()
            raise DamagedBlobError("a stored blob is gone from the object store.") from None

    def read(self, digest: Digest, start: int, end: int) -> Iterator[bytes]:
        """Yield bytes of the object, one window a request; see `Place.read`."""
        import obstore

        while start < end:
            stop = min(start + WINDOW_BYTES, end)
            try:
                with _remote():
                    window = obstore.get_range(
                        self._store, self._key(digest), start=start, end=stop
                    )
            except _AbsentError:
                self.probe()
                raise DamagedBlobError(
                    "a stored blob is gone from the object store.",
                    hint="Upload it again, or restore it from a backup.",
                ) from None
            yield window.to_bytes()
            start = stop

    def link(self, _digest: Digest, _target: Path) -> bool:
        """Say no: an object has to be copied; see `Place.link`."""
        return False

    def probe(self) -> None:
        """List one object; see `Place.probe`."""
        import obstore

        try:
            with _remote():
                next(iter(obstore.list(self._store, chunk_size=1)), None)
        except _AbsentError:
            raise _no_bucket() from None

    def try_out(self) -> None:
        """Write one small object of a name that no blob has, and read it back.

        Raises:
            StoreRefusedError: There is no such bucket, or it does not let this installation in.
            StoreError: It cannot be reached, or gives back other bytes than it was given.
        """
        import obstore

        self.probe()
        given = secrets.token_bytes(32)
        try:
            with _remote():
                obstore.put(self._store, TRIED, given)
                kept = bytes(obstore.get_range(self._store, TRIED, start=0, end=len(given)))
        except _AbsentError:
            raise _no_bucket() from None
        if kept != given:
            raise StoreError("the object store gives back other bytes than it was given.")


def _refused() -> StoreRefusedError:
    return StoreRefusedError(
        "the object store does not let this installation in.",
        hint="Check its credentials, and their rights to list, read and write below the prefix.",
    )


def _no_bucket() -> StoreRefusedError:
    return StoreRefusedError(
        "the object store has no such bucket.",
        hint="Make the bucket MANATEE_BLOB_STORE_URL names, or correct the URL.",
    )


class _Outgoing:
    """A staged file's bytes, digested on their way out; fails before the last of them is sent."""

    def __init__(self, file: Any, digest: Digest) -> None:
        self._file = file
        self._digest = digest

    def __iter__(self) -> Iterator[bytes]:
        state = hashlib.sha256()
        held = b""
        while chunk := self._file.read(PIECE_BYTES):
            state.update(chunk)
            if held:
                yield held
            held = chunk
        if f"sha256:{state.hexdigest()}" != self._digest:
            raise StoreError("the staged file changed on its disk.", hint="Upload again.")
        yield held
