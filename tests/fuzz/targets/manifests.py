"""NVIDIA's reference manifests (XML): none is read that is not signed as it stands."""

from collections.abc import Iterator
from datetime import UTC, datetime

from manatee.attestation._gpu.manifest import manifest_root, read_manifest
from vectors import vector, vectors

AT = datetime(2026, 6, 1, tzinfo=UTC)
GOOD = vector("nvidia/rim-driver-gh100-550.144.03.xml")
ROOTS = (manifest_root(),)
WANTED = read_manifest(GOOD, ROOTS, at=AT).measurements


def seeds() -> Iterator[bytes]:
    yield from vectors("nvidia/rim-driver-*.xml")
    yield b"<a><b c='d'>e</b></a>"


def one(data: bytes) -> None:
    assert read_manifest(data, ROOTS, at=AT).measurements == WANTED
