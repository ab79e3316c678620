"""Words of Cedar text with their places, and what no policy text may hold.

The Cedar engine ends the whole process on a few hundred nested brackets, and its errors carry no
positions. So text is cut into words here first, with every limit checked, before the engine sees
it (Cedar language reference, "Grammar").
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum

from manatee.policy._problems import PolicyProblemError, Span

MAX_POLICY_BYTES = 64 << 10
"""Cap of a policy's Cedar text, in bytes of UTF-8."""

MAX_BRACKETS = 32
"""Deepest nesting of ( [ {. The engine's stack ends between 400 and 800."""

MAX_TOKENS = 20_000
"""Most words and signs in one policy text."""


class Kind(Enum):
    """What a token is."""

    NAME = "name"
    TEXT = "text"
    NUMBER = "number"
    SIGN = "sign"
    END = "end"


@dataclass(frozen=True)
class Token:
    """One word or sign. `value` of a text is decoded, except `raw`, which keeps its escapes."""

    kind: Kind
    value: str
    span: Span
    raw: str = ""


_WORDS = re.compile(
    r"(?P<space>[ \t\n]+|//[^\n]*)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<number>[0-9]+)"
    r'|(?P<text>"(?:[^"\\\n]|\\.)*")'
    r"|(?P<sign>::|==|!=|<=|>=|&&|\|\||[@()\[\]{},;:.<>!+\-*?])"
)
_ESCAPE = re.compile(r"\\(?:u\{(?P<code>[0-9A-Fa-f]{1,6})\}|x(?P<hex>[0-7][0-9A-Fa-f])|(?P<one>.))")
_PLAIN = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "'": "'", '"': '"'}
_CLOSING = {")": "(", "]": "[", "}": "{"}


def _forbidden(character: str) -> bool:
    """Whether a character is invisible, changes the order of others, or ends lines on its own."""
    if character in "\n\t":
        return False
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def decode_text(raw: str, span: Span, *, pattern: bool = False) -> str:
    """Return what a text between quotes stands for.

    Args:
        raw: Without the quotes.
        span: Where it stands.
        pattern: Keep an escaped star as it is, as the right side of `like` needs.

    Raises:
        PolicyProblemError: An escape is unknown or stands for an invisible character.
    """

    def one(match: re.Match[str]) -> str:
        if match["code"] or match["hex"]:
            number = int(match["code"] or match["hex"], 16)
            if number > 0x10FFFF or _forbidden(chr(number)):
                raise PolicyProblemError(
                    span, "this text escapes a character that cannot be seen or does not exist."
                )
            return chr(number)
        if pattern and match["one"] == "*":
            return "\\*"
        if match["one"] not in _PLAIN:
            raise PolicyProblemError(
                span, "unknown escape in a text.", "Known: \\n \\r \\t \\\\ \\\" \\' \\u{…}."
            )
        return _PLAIN[match["one"]]

    return _ESCAPE.sub(one, raw)


def _check_characters(text: str) -> None:
    if len(text.encode("utf-8", errors="surrogatepass")) > MAX_POLICY_BYTES:
        raise PolicyProblemError(
            Span(0, 0), f"the policy is over {MAX_POLICY_BYTES >> 10} KiB.", "Split or shorten it."
        )
    for place, character in enumerate(text):
        if _forbidden(character):
            raise PolicyProblemError(
                Span(place, place + 1),
                f"character U+{ord(character):04X} cannot be seen or reorders what is read.",
                "Remove it.",
            )


def tokens(text: str) -> tuple[Token, ...]:
    """Cut Cedar text into tokens, the last of kind END.

    Raises:
        PolicyProblemError: Over a limit, an invisible character, brackets that do not match, or
            a sign Cedar does not have.
    """
    _check_characters(text)
    found: list[Token] = []
    opened: list[Token] = []
    place = 0
    while place < len(text):
        match = _WORDS.match(text, place)
        if match is None:
            hint = "End the text with a quote on the same line." if text[place] == '"' else ""
            if not text[place].isascii():
                hint = "Write it as \\u{…} inside a text, or keep it to comments."
            raise PolicyProblemError(Span(place, place + 1), "Cedar has no such sign here.", hint)
        place = match.end()
        if match["space"]:
            continue
        span = Span(match.start(), match.end())
        if not match[0].isascii():
            raise PolicyProblemError(
                span,
                "a letter outside ASCII may look like another one.",
                "Write it as \\u{…}; comments may hold any letter.",
            )
        kind = Kind(match.lastgroup)
        if kind is Kind.TEXT:
            raw = match[0][1:-1]
            # `\*` is known to patterns only; the parser decodes for the place it finds
            found.append(Token(kind, raw, span, raw=raw))
        else:
            found.append(Token(kind, match[0], span))
        if match[0] in "([{":
            opened.append(found[-1])
            if len(opened) > MAX_BRACKETS:
                raise PolicyProblemError(span, f"brackets are nested deeper than {MAX_BRACKETS}.")
        elif match[0] in _CLOSING:
            if not opened:
                raise PolicyProblemError(span, f"this {match[0]} closes nothing.")
            if opened[-1].value != _CLOSING[match[0]]:
                raise PolicyProblemError(
                    opened[-1].span, f"this {opened[-1].value} is closed by {match[0]}."
                )
            opened.pop()
        if len(found) > MAX_TOKENS:
            raise PolicyProblemError(span, f"the policy has more than {MAX_TOKENS} words.")
    if opened:
        raise PolicyProblemError(opened[-1].span, f"this {opened[-1].value} is never closed.")
    found.append(Token(Kind.END, "", Span(len(text), len(text))))
    return tuple(found)
