"""What may be said of a failed cell: nothing the researcher's code could fill with data."""

import pytest

from manatee.executor._exit_status import error_number, failing_line, known_class


@pytest.mark.parametrize("name", ["patient_17", "", "ValueError ", "v" * 500, "a.ValueError"])
def test_a_class_name_of_the_researchers_own_becomes_exception(name: str) -> None:
    assert known_class(name) == "Exception"


@pytest.mark.parametrize("name", ["ValueError", "KeyError", "ArrowInvalid", "XGBoostError"])
def test_a_known_class_is_said(name: str) -> None:
    assert known_class(name) == name


def test_the_line_is_the_innermost_frame_in_the_cell() -> None:
    traceback = [
        "\x1b[31mValueError\x1b[39m  Traceback (most recent call last)",
        "\x1b[36mCell\x1b[39m\x1b[36m \x1b[39m\x1b[32mIn[2]\x1b[39m\x1b[32m, line 4\x1b[39m",
        "Cell In[2], line 2, in f()",
        "Cell In[1], line 9, in g()",
    ]
    assert failing_line(traceback, execution=2, lines=4) == 2


@pytest.mark.parametrize("line", ["Cell In[2], line 5", "Cell In[2], line 0", "Cell In[3], line 1"])
def test_a_line_the_cell_does_not_have_is_not_believed(line: str) -> None:
    assert failing_line([line], execution=2, lines=4) is None


def test_an_errno_is_taken_from_the_beginning_only() -> None:
    assert error_number("[Errno 28] No space left on device") == 28
    assert error_number("patient [Errno 28]") is None
