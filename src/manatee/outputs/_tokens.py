"""Outputs as the row scan sees them: pieces of text, each a set of words and printed numbers.

A row can be printed on one line, over consecutive lines (a pandas Series, an indented JSON object)
or down a column (a transposed table, JSON by columns). So a *piece* is a line, a window over
consecutive tokens, or the n-th tokens of lines of equal length.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from manatee.errors import TooLargeError
from manatee.outputs._subject import (
    TEXT_FILE_TYPES,
    Subject,
    cell_outputs,
    cell_text,
    ending,
    mime_bundle,
)

MAX_TOKENS = 1_000_000
"""Most tokens of all outputs together; more is not checked and therefore does not leave."""

_TOKEN = re.compile(
    r"(?P<number>\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?![^\W_])|(?P<word>[^\W_]+)", re.UNICODE
)
_GROUPED = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\d,])")
_UNICODE_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_LINE_ESCAPE = re.compile(r"\\+[nr]")
_MAX_DECIMALS = 8


@dataclass(frozen=True)
class Number:
    """A printed number: its value, and to how many decimals it was printed (at most 8)."""

    value: float
    decimals: int


Token = str | Number
"""A word in lower case, or a number. A number's digits are words, too: codes look like numbers."""


@dataclass(frozen=True)
class Place:
    """Where text stands: the cell's or the file's number, from 1."""

    kind: str
    number: int


@dataclass(frozen=True)
class Piece:
    """Tokens that stand together, in order."""

    place: Place
    tokens: tuple[tuple[Token, ...], ...]
    """For each printed token what it may be read as."""


def _number(text: str, negative: bool) -> Number:
    mantissa, _, exponent = text.lower().partition("e")
    decimals = len(mantissa.partition(".")[2]) - int(exponent or 0)
    value = float(text)
    return Number(-value if negative else value, min(max(decimals, 0), _MAX_DECIMALS))


def text_lines(text: str) -> list[str]:
    """Return a text's lines; escapes, as in JSON and in the repr of a string, are undone."""
    if "\\" in text:
        text = _UNICODE_ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
        text = _LINE_ESCAPE.sub("\n", text).replace("\\t", "\t")
    return text.splitlines()


def read_tokens(line: str) -> list[tuple[Token, ...]]:
    """Split a line at everything that is neither letter nor digit; decimals stay whole."""
    found: list[tuple[Token, ...]] = []
    plain = _GROUPED.sub(lambda match: match[0].replace(",", ""), line) if "," in line else line
    for part in (line,) if plain == line else (line, plain):
        for match in _TOKEN.finditer(part):
            start = match.start()
            if match["number"] and len(match["number"]) <= 40:
                text = match["number"]
                sign = part[start - 1 : start] == "-" and not part[max(start - 2, 0)].isalnum()
                exponent = text.lower().partition("e")[2]
                if len(exponent) > 4:
                    continue
                found.append((_number(text, sign), *text.lower().split(".")))
            else:
                found.append((match[0].lower(),))
    return found


def _json_rows(value: Any) -> Iterator[str]:
    """Yield, as lines, the n-th values of members of equal length (tables stored by column)."""
    if isinstance(value, list):
        for part in value:
            yield from _json_rows(part)
    if not isinstance(value, dict):
        return
    columns = [
        list(part.values()) if isinstance(part, dict) else part
        for part in value.values()
        if isinstance(part, dict | list)
    ]
    if len(columns) > 1 and len({len(column) for column in columns}) == 1:
        for row in zip(*columns, strict=True):
            yield " ".join(json.dumps(cell, ensure_ascii=False) for cell in row)
    for part in value.values():
        yield from _json_rows(part)


def _texts(subject: Subject) -> Iterator[list[tuple[Place, str]]]:
    """Yield units of consecutive lines: the whole notebook is one, each file is one."""
    lines: list[tuple[Place, str]] = []
    for item in cell_outputs(subject):
        place = Place("cell", item.cell)
        for mime, content in mime_bundle(item.output).items():
            lines += [(place, line) for line in text_lines(cell_text(mime, content) or "")]
            if mime == "application/json":
                lines += [(place, line) for line in _json_rows(content)]
    yield lines
    for number, file in enumerate(subject.files, start=1):
        if ending(file.path) not in TEXT_FILE_TYPES:
            continue
        text = file.data.decode("utf-8", errors="replace")
        place = Place("file", number)
        yield [(place, line) for line in text_lines(text)]
        if ending(file.path) == ".json":
            try:
                yield [(place, line) for line in _json_rows(json.loads(text))]
            except (ValueError, RecursionError):
                continue


def _unit_pieces(
    lines: list[tuple[Place, list[tuple[Token, ...]]]], window: int
) -> Iterator[Piece]:
    flat: list[tuple[Place, tuple[Token, ...]]] = []
    block: list[tuple[Place, list[tuple[Token, ...]]]] = []
    for place, tokens in [*lines, (Place("cell", 0), [])]:
        if 1 < len(tokens) <= window:
            yield Piece(place, tuple(tokens))
        flat += [(place, token) for token in tokens]
        if block and len(block[0][1]) != len(tokens):
            if len(block) > 1:
                for column in zip(*(line for _, line in block), strict=True):
                    for start in range(0, len(column), window // 2):
                        yield Piece(block[0][0], tuple(column[start : start + window]))
            block = []
        if tokens:
            block.append((place, tokens))
    for start in range(0, len(flat), window // 2):
        part = flat[start : start + window]
        yield Piece(part[0][0], tuple(token for _, token in part))


def pieces(subject: Subject, window: int) -> Iterator[Piece]:
    """Yield every piece of every output.

    Args:
        subject: The outputs.
        window: Tokens of a window; a row must fit into half of it.

    Raises:
        TooLargeError: The outputs hold more than `MAX_TOKENS` tokens.
    """
    count = 0
    for unit in _texts(subject):
        lines = []
        for place, line in unit:
            tokens = read_tokens(line)
            count += len(tokens)
            if count > MAX_TOKENS:
                raise TooLargeError(f"the outputs hold more than {MAX_TOKENS} words and numbers.")
            lines.append((place, tokens))
        yield from _unit_pieces(lines, window)
