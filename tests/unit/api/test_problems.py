import msgspec
import pytest

from manatee.api._problems import problem, title_of
from manatee.errors import KeyDeniedError, ManateeError, all_errors, meaning
from manatee.records import Problem, read_record


@pytest.mark.parametrize("kind", all_errors())
def test_every_error_has_its_status_code_and_title(kind: type[ManateeError]) -> None:
    error = kind("c", "m", hint="h") if issubclass(kind, KeyDeniedError) else kind("m", hint="h")
    answer = problem(error)
    assert answer.media_type == "application/problem+json"
    body = read_record(bytes(answer.body), Problem, what="problem")
    assert answer.status_code == body.status == meaning(kind).http_status
    assert (body.code, body.hint) == (kind.code, "h")
    assert body.title == title_of(kind) != ""


def test_a_denied_key_names_its_check() -> None:
    body = msgspec.json.decode(problem(KeyDeniedError("tier", "too low")).body)
    assert body["check"] == "tier"
