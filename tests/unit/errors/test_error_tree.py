"""Each error says what it is, what it means outside and whether a retry is worth it."""

from __future__ import annotations

import inspect
import re

import pytest

import manatee.errors
from manatee.errors import (
    AppraisalRefusedError,
    AppraisalUnavailableError,
    BrokerUnreachableError,
    DamagedBlobError,
    InputError,
    KeyDeniedError,
    MalformedError,
    ManateeError,
    NotVerifiedError,
    all_errors,
    meaning,
)

EVERY = [
    kind
    for _, kind in inspect.getmembers(manatee.errors, inspect.isclass)
    if issubclass(kind, ManateeError)
]
each_error = pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)


@each_error
def test_an_error_has_a_name_a_docstring_and_a_code_of_its_own(kind: type[ManateeError]) -> None:
    assert kind.__name__.endswith("Error")
    assert kind.__doc__
    assert "code" in vars(kind), "a class without its own code would answer with its base's"
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.code)


def test_codes_are_distinct() -> None:
    codes = [kind.code for kind in EVERY]
    assert len(set(codes)) == len(codes)


def test_all_errors_lists_every_class_root_first() -> None:
    own = [kind for kind in all_errors() if kind.__module__ == "manatee.errors"]
    assert own[0] is ManateeError
    assert set(own) == set(EVERY)
    assert len(own) == len(EVERY)


@each_error
def test_every_error_has_a_meaning_in_range(kind: type[ManateeError]) -> None:
    found = meaning(kind)
    assert 400 <= found.http_status <= 599
    assert 1 <= found.exit_code <= 125, "above are the shell's own codes"
    if found.http_status == 500:
        defects = {ManateeError, DamagedBlobError}
        assert kind in defects, "what nobody foresaw, and bytes that we have lost"


@each_error
def test_only_a_failure_of_the_moment_is_worth_a_retry(kind: type[ManateeError]) -> None:
    if issubclass(kind, InputError):
        assert not kind.retryable
    if kind.retryable:
        assert meaning(kind).http_status in {408, 429, 503, 507}


def test_refused_unavailable_and_malformed_are_three_different_things() -> None:
    three = (AppraisalRefusedError, AppraisalUnavailableError, MalformedError)
    assert [kind.retryable for kind in three] == [False, True, False]
    for kind in three:
        assert not any(issubclass(kind, other) for other in three if other is not kind)


def test_a_class_not_in_the_table_means_what_its_nearest_base_means() -> None:
    class OddBrokerError(BrokerUnreachableError):
        """A test's own."""

        code = "odd"

    assert meaning(OddBrokerError("x")) == meaning(BrokerUnreachableError)
    assert meaning(NotVerifiedError("x")).exit_code == 10


def test_text_is_message_and_hint() -> None:
    assert str(ManateeError("broken.")) == "broken."
    assert str(ManateeError("broken.", hint="Mend it.")) == "broken. Mend it."


def test_a_denial_names_its_check() -> None:
    denied = KeyDeniedError("approval", "nobody approved.", hint="Ask.")
    assert denied.check == "approval"
    assert str(denied) == "[approval] nobody approved. Ask."
