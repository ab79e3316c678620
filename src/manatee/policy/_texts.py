"""Finitely many texts that stand for all: enough to tell any two policies apart.

A policy can ask of a text only whether it equals one written in the policy, equals another text
of the request, or is `like` a pattern. Texts that answer all patterns and forms alike are in one
class, and a request has only so many texts; so all literals, and as many texts of each class as
a request has, suffice. They are found by walking the product of the patterns' automata,
shortest texts first. (z3's own texts and expressions are not used: its time limit does not hold
there.)
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable

Pattern = tuple[str | None, ...]
"""Parts of the right side of a `like`; None is its star."""

MAX_STEPS = 1_000_000
"""Most steps of single automata while texts are looked for: a few seconds."""

NAME_FORM = re.compile(r"[a-z0-9][a-z0-9._-]*")
DIGEST_FORM = re.compile(r"sha256:[0-9a-f]{64}")

_PREFIX = "sha256:"
_DIGEST_LENGTH = len(_PREFIX) + 64
_LETTERS = "a0z-X "
"""One letter of every kind that forms tell apart: hexadecimal, digit, of names, other."""

_State = tuple[int, int, tuple[frozenset[int], ...]]


class TooManyTextsError(Exception):
    """The patterns are too many or too entangled to be compared; never leaves the package."""


def matches(pattern: Pattern, text: str) -> bool:
    """Whether a text is `like` a pattern."""
    tokens = _tokens(pattern)
    places = _closure(tokens, {0})
    for letter in text:
        places = _step(tokens, places, letter)
    return len(tokens) in places


def text_domain(
    literals: Iterable[str], patterns: Iterable[Pattern], *, spare: int, digests: bool
) -> tuple[str, ...]:
    """Return the texts, each once: first the literals, then others by length.

    Args:
        literals: Texts that policies compare with.
        patterns: Of every `like`.
        spare: How many texts a request has at most.
        digests: Whether one of them is a digest.

    Raises:
        TooManyTextsError: Over `MAX_STEPS`.
    """
    known = dict.fromkeys(literals)
    walk = _Walk([_tokens(pattern) for pattern in dict.fromkeys(patterns)], digests)
    ending = Counter(walk.end(text) for text in known)
    most = spare + max(ending.values(), default=0)
    kept: Counter[_State] = Counter()
    seen: Counter[_State] = Counter()
    queue: deque[tuple[str, _State]] = deque([("", walk.start)])
    found: list[str] = []
    steps = 0
    while queue:
        text, state = queue.popleft()
        if seen[state] >= most:
            continue
        seen[state] += 1
        if text not in known and kept[state] < spare:
            kept[state] += 1
            found.append(text)
        for letter in walk.letters:
            steps += walk.cost
            if steps > MAX_STEPS:
                raise TooManyTextsError
            following = walk.step(state, letter)
            if seen[following] < most:
                queue.append((text + letter, following))
    return (*known, *found)


class _Walk:
    """The product of all automata: form of a name, form of a digest, and every pattern."""

    def __init__(self, patterns: list[list[str | None]], digests: bool) -> None:
        self._patterns = patterns
        self._digests = digests
        self.cost = len(patterns) + 2
        written = {letter for tokens in patterns for letter in tokens if letter is not None}
        prefix = set(_PREFIX) if digests else set()
        self.letters = tuple(dict.fromkeys((*_LETTERS, *sorted(written), *sorted(prefix))))
        places = tuple(_closure(tokens, {0}) for tokens in patterns)
        self.start: _State = (0, 0, places)

    def step(self, state: _State, letter: str) -> _State:
        """Return the state after one more letter."""
        name, digest, places = state
        first = letter.isascii() and (letter.islower() or letter.isdigit())
        name = 1 if name != 2 and (first or (name == 1 and letter in "._-")) else 2
        if self._digests:
            digest = self._digest(digest, letter)
        stepped = tuple(
            _step(tokens, place, letter)
            for tokens, place in zip(self._patterns, places, strict=True)
        )
        return name, digest, stepped

    @staticmethod
    def _digest(read: int, letter: str) -> int:
        if 0 <= read < len(_PREFIX):
            return read + 1 if letter == _PREFIX[read] else -1
        return read + 1 if 0 <= read < _DIGEST_LENGTH and letter in "0123456789abcdef" else -1

    def end(self, text: str) -> _State:
        """Return the state after a whole text."""
        state = self.start
        for letter in text:
            state = self.step(state, letter)
        return state


def _tokens(pattern: Pattern) -> list[str | None]:
    found: list[str | None] = []
    for part in pattern:
        found.extend([None] if part is None else part)
    return found


def _closure(tokens: list[str | None], places: set[int]) -> frozenset[int]:
    closed = set(places)
    for place in places:
        while place < len(tokens) and tokens[place] is None:
            place += 1
            closed.add(place)
    return frozenset(closed)


def _step(tokens: list[str | None], places: frozenset[int], letter: str) -> frozenset[int]:
    after = set()
    for place in places:
        if place < len(tokens):
            if tokens[place] is None:
                after.add(place)
            elif tokens[place] == letter:
                after.add(place + 1)
    return _closure(tokens, after)
