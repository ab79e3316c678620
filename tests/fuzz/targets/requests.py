"""What strangers send to a key broker, and the records of a bundle: strict JSON into records."""

from collections.abc import Iterator
from typing import Any

from examples import example

from manatee import records
from manatee.attestation import ReferenceValues
from manatee.attestation._endorsements import endorsements_of
from manatee.errors import MalformedError
from manatee.records import Evidence, Record, canonical_json, read_record


def _is_record(item: Any) -> bool:
    return isinstance(item, type) and issubclass(item, Record) and item is not Record


NAMED = (getattr(records, name) for name in sorted(records.__all__))
KINDS: tuple[Any, ...] = (ReferenceValues, *filter(_is_record, NAMED))


def seeds() -> Iterator[bytes]:
    for number, kind in enumerate(KINDS):
        yield bytes([number]) + canonical_json(example(kind))


def one(data: bytes) -> None:
    if not data or data[0] >= len(KINDS):
        raise MalformedError("no such choice.")
    found = read_record(data[1:], KINDS[data[0]], what="request")
    again = canonical_json(found)
    assert read_record(again, KINDS[data[0]], what="request", max_bytes=64 << 20) == found
    if isinstance(found, Evidence):
        endorsements_of(found.endorsements)
