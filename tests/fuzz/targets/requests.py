"""What strangers send to a key broker, and bundles' records: strict JSON into records."""

from collections.abc import Iterator
from typing import Any

from manatee.attestation._endorsements import endorsements_of
from manatee.errors import MalformedError
from manatee.records import Evidence, canonical_json, read_record
from manatee.records import _evidence as evidence_records

KINDS: tuple[Any, ...] = tuple(
    item
    for _, item in sorted(vars(evidence_records).items())
    if isinstance(item, type) and item.__module__ == evidence_records.__name__
)


def seeds() -> Iterator[bytes]:
    evidence = {
        "media_type": "application/x",
        "payload": "AAAA",
        "endorsements": [{"name": "certificate", "payload": "AAA="}],
    }
    for number, kind in enumerate(KINDS):
        yield bytes([number]) + canonical_json(evidence if kind is Evidence else {})


def one(data: bytes) -> None:
    if not data or data[0] >= len(KINDS):
        raise MalformedError("no such choice.")
    found = read_record(data[1:], KINDS[data[0]], what="request")
    again = canonical_json(found)
    assert read_record(again, KINDS[data[0]], what="request") == found
    if isinstance(found, Evidence):
        endorsements_of(found.endorsements)
