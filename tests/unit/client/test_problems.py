import msgspec
import pytest

from manatee.client._problems import error_of
from manatee.client._streams import read_events
from manatee.errors import (
    KeyDeniedError,
    MalformedError,
    ManateeError,
    ServiceUnreachableError,
    all_errors,
    meaning,
)
from manatee.records import JobEvent, Problem


def problem(code: str, **more: object) -> bytes:
    members = {"type": "t", "title": "t", "status": 400, "code": code, "detail": "why"}
    return msgspec.json.encode(Problem(**members | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "kind", [kind for kind in all_errors() if kind.__module__ == "manatee.errors"]
)
def test_every_error_comes_back_as_its_own_class(kind: type[ManateeError]) -> None:
    assert type(error_of(meaning(kind).http_status, problem(kind.code, check="c"))) is kind


def test_a_denied_key_keeps_its_check() -> None:
    error = error_of(403, problem("key-denied", detail="[binding] no", check="binding"))
    assert isinstance(error, KeyDeniedError)
    assert (error.check, error.message) == ("binding", "[binding] no")


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}"])
def test_answers_of_strangers_are_no_answers(body: bytes) -> None:
    assert isinstance(error_of(502, body), ServiceUnreachableError)


def test_heartbeats_are_passed_over_and_half_events_never_yielded() -> None:
    event = JobEvent(seq=1, at="2026-01-01T00:00:00Z", kind="state", state="created")
    data = msgspec.json.encode(event).decode()
    lines = [": still here", "", "id: 1", "event: state", f"data: {data}", "", f"data: {data}"]
    assert list(read_events(lines)) == [event]


def test_an_event_that_is_not_one_is_refused() -> None:
    with pytest.raises(MalformedError):
        list(read_events(['data: {"seq": 1}', ""]))
