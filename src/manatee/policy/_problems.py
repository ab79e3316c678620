"""What is wrong with a policy text, and where."""

from __future__ import annotations

from dataclasses import dataclass

from manatee.errors import PolicyError


@dataclass(frozen=True)
class Span:
    """Part of a text: first character and the one after the last, counted from 0."""

    start: int
    end: int


@dataclass(frozen=True)
class Problem:
    """One thing wrong, for a person who edits the text.

    Attributes:
        line: From 1; 0 if it has no place.
        column: From 1, in characters.
        source: The whole line.
        length: How many characters of it are meant.
        message: What is wrong.
        hint: What to do, or empty.
    """

    line: int
    column: int
    source: str
    length: int
    message: str
    hint: str = ""


class PolicyProblemError(Exception):
    """A problem with its place, while a text is being read; never leaves the package."""

    def __init__(self, span: Span, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.span = span
        self.message = message
        self.hint = hint


def position(text: str, offset: int) -> tuple[int, int]:
    """Return line and column of an offset, both from 1."""
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def problem(text: str, span: Span, message: str, hint: str = "") -> Problem:
    """Make a problem out of its place in the text."""
    line, column = position(text, span.start)
    source = text.split("\n")[line - 1]
    length = max(1, min(span.end - span.start, len(source) - column + 1))
    return Problem(line, column, source[:200], min(length, 200), message, hint)


def policy_error(problems: tuple[Problem, ...], *, quoted: str = "") -> PolicyError:
    """Make the error that reports problems, the first one in full.

    Args:
        problems: At least one.
        quoted: The expression that is meant, if the message shall hold it.
    """
    first = problems[0]
    more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
    place = f"line {first.line}, column {first.column}: " if first.line else ""
    return PolicyError(f"policy: {place}{first.message}{more}", hint=quoted or first.hint)
