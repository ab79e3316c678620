"""Recorded evidence to start from, by its name below tests/vectors."""

from pathlib import Path

FOLDER = Path(__file__).parents[1] / "vectors"


def vector(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def vectors(pattern: str) -> tuple[bytes, ...]:
    return tuple(path.read_bytes() for path in sorted(FOLDER.glob(pattern)))
