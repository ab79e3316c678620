"""One BagIt bag (RFC 8493) in one ZIP file, the same bytes every time it is made."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

from manatee.errors import BundleError, ConflictError

_EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The earliest time ZIP can say: the bag's own files carry the times that matter."""


def _manifest(files: Mapping[str, bytes]) -> bytes:
    lines = (f"{hashlib.sha512(data).hexdigest()}  {name}\n" for name, data in files.items())
    return "".join(lines).encode()


def _encoded(path: str) -> str:
    """Write a path as bag manifests demand (RFC 8493, section 2.1.3)."""
    return path.replace("%", "%25").replace("\n", "%0A").replace("\r", "%0D")


def write_bag(path: Path, payload: Mapping[str, bytes], *, name: str, identifier: str) -> None:
    """Write a bag whose payload manifest and tag manifest use SHA-512.

    Args:
        path: The ZIP file; it must not exist.
        payload: Path below `data/` to bytes.
        name: The bag's folder, the only entry at the top of the ZIP file.
        identifier: `External-Identifier` of the bag.

    Raises:
        ConflictError: The file exists.
        BundleError: It cannot be written; nothing is left behind.
    """
    data = {f"data/{item}": payload[item] for item in sorted(payload)}
    size = sum(map(len, data.values()))
    tags = {
        "bagit.txt": b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
        "bag-info.txt": (
            f"External-Identifier: {identifier}\nPayload-Oxum: {size}.{len(data)}\n"
        ).encode(),
        "manifest-sha512.txt": _manifest({_encoded(item): data[item] for item in data}),
    }
    tags["tagmanifest-sha512.txt"] = _manifest(tags)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(temporary, "x", zipfile.ZIP_DEFLATED) as archive:
            for item, content in (tags | data).items():
                archive.writestr(zipfile.ZipInfo(f"{name}/{item}", _EARLIEST), content)
        os.link(temporary, path)
    except FileExistsError as error:
        raise ConflictError(f"{path} exists; it is never overwritten.") from error
    except OSError as error:
        raise BundleError(f"{path} cannot be written ({error.strerror}).") from error
    finally:
        temporary.unlink(missing_ok=True)
