"""Several keys in one custody: which wraps, which unwraps, and how patient it is."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from manatee.custody import HeldKey, KeyRing
from manatee.custody._limits import ATTEMPTS
from manatee.errors import (
    CustodyDeniedError,
    CustodyUnavailableError,
    ManateeError,
    SealingError,
    SettingsError,
    meaning,
)

KEY = bytes(32)


@dataclass
class Scripted:
    """A key that fails so often, then hands back what it was given, or `opened`."""

    failures: list[ManateeError] = field(default_factory=list)
    opened: bytes | None = None
    reference = "scripted"
    where = "in a test"

    def exportable(self) -> bool:
        self._fail()
        return False

    def seal(self, data_key: bytes, binding: bytes) -> bytes:
        self._fail()
        return data_key

    def open(self, sealed: bytes, binding: bytes) -> bytes:
        self._fail()
        return sealed if self.opened is None else self.opened

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop()


def ring(*held: HeldKey) -> tuple[KeyRing, list[float]]:
    pauses: list[float] = []
    return KeyRing(held, pause=pauses.append), pauses


def away(times: int) -> list[ManateeError]:
    return [CustodyUnavailableError("away.") for _ in range(times)]


def test_a_place_that_recovers_is_asked_again_after_growing_pauses() -> None:
    custody, pauses = ring(HeldKey("k", "age", Scripted(away(ATTEMPTS - 1))))
    assert custody.unwrap(custody.wrap(KEY, b""), b"") == KEY
    assert pauses == [0.2, 0.4]


def test_a_place_that_stays_away_is_asked_no_more_than_three_times() -> None:
    key = Scripted(away(10))
    custody, pauses = ring(HeldKey("k", "age", key))
    with pytest.raises(CustodyUnavailableError):
        custody.wrap(KEY, b"")
    assert (10 - len(key.failures), len(pauses)) == (3, 2)


@pytest.mark.parametrize("error", [SealingError("x."), CustodyDeniedError("x.")])
def test_a_refusal_is_not_repeated(error: ManateeError) -> None:
    custody, pauses = ring(HeldKey("k", "age", Scripted([error])))
    with pytest.raises(type(error)):
        custody.wrap(KEY, b"")
    assert pauses == []


@pytest.mark.parametrize("opened", [b"", bytes(31), bytes(33), bytes(64)])
def test_an_answer_of_another_length_is_no_data_key(opened: bytes) -> None:
    custody, _ = ring(HeldKey("k", "age", Scripted(opened=opened)))
    with pytest.raises(SealingError):
        custody.unwrap(custody.wrap(KEY, b""), b"")


def test_a_custody_without_keys_or_with_one_id_twice_is_refused() -> None:
    twice = (HeldKey("k", "age", Scripted()), HeldKey("k", "pkcs11", Scripted()))
    for held in ((), twice):
        with pytest.raises(SettingsError):
            KeyRing(held)


def test_a_blob_of_another_kind_or_key_id_is_not_tried() -> None:
    custody, _ = ring(HeldKey("k", "age", Scripted()))
    for other in (HeldKey("k", "pkcs11", Scripted()), HeldKey("l", "age", Scripted())):
        blob = KeyRing([other]).wrap(KEY, b"")
        with pytest.raises(SealingError, match="does not hold"):
            custody.unwrap(blob, b"")


def test_a_retired_newest_key_wraps_nothing() -> None:
    custody, _ = ring(HeldKey("k", "age", Scripted(), retired=True))
    with pytest.raises(CustodyDeniedError, match="retired"):
        custody.wrap(KEY, b"")
    assert custody.describe().retired


def test_unavailable_is_worth_a_retry_and_denied_is_not() -> None:
    assert (CustodyUnavailableError.retryable, CustodyDeniedError.retryable) == (True, False)
    assert meaning(CustodyUnavailableError).http_status == 503
    assert meaning(CustodyDeniedError).http_status == 403
