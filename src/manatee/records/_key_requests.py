"""A guest's request to a key broker, as the service on the way sees it."""

from __future__ import annotations

from typing import Literal

from manatee.records._base import Name, Record
from manatee.records._digests import DigestText

KeyAnswer = Literal["released", "denied", "failed"]
"""What a broker answered: keys, a refusal, or that it could not decide."""


class KeyRequest(Record, frozen=True, kw_only=True):
    """One request for keys, of which a guest makes one per broker.

    Attributes:
        broker_id: Whom the guest asked.
        answer: What came back; None while nothing did. A broker that was not reached gave none.
        decision: SHA-256 of the entry that the broker's own log holds about a release.
    """

    broker_id: Name
    answer: KeyAnswer | None = None
    decision: DigestText | None = None


class KeyRequests(Record, frozen=True, kw_only=True):
    """All requests of one job, by broker."""

    requests: tuple[KeyRequest, ...] = ()
