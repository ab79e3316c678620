"""Asking a provider what a data contract needs, column by column; nothing but names is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from manatee.contracts import ColumnType, Sensitivity

Ask = Callable[[str, str], str]
"""Takes a question and the answer that an empty line stands for; returns the answer."""

Say = Callable[[str], None]

TYPES: tuple[str, ...] = get_args(ColumnType)
SENSITIVITIES: tuple[str, ...] = get_args(Sensitivity)

_EXAMPLES = {
    "integer": "0",
    "decimal": "0.00",
    "float": "0.0",
    "date": "1900-01-01",
    "timestamp": "2026-01-31T00:00:00Z",
}

_ADVICE = """\
The contract is public. Answer with what everyone in the field knows (round numbers, official
lists), never with what you read off the table. An empty line takes what stands in [brackets].
"""


def interview(
    tables: Mapping[str, Sequence[tuple[str, str | None]]],
    known: Mapping[str, Any],
    *,
    ask: Ask,
    say: Say,
) -> dict[str, Any]:
    """Ask for everything a contract needs that is not known yet.

    Args:
        tables: Columns of each table with their types, None where the file tells none.
        known: Answers that need not be asked for, by place, as `draft_text` takes them.
        ask: Puts a question to a person.
        say: Tells a person something.

    Returns:
        All answers, the known ones included.
    """
    talk = _Talk(dict(known), ask, say)
    say(_ADVICE)
    for table, columns in tables.items():
        say(f"Table {table}, {len(columns)} columns")
        for name, kind in columns:
            talk.column(f"tables.{table}.columns.{name}", kind)
    talk.unit({table: [name for name, _ in columns] for table, columns in tables.items()})
    return talk.answers


class _Talk:
    def __init__(self, answers: dict[str, Any], ask: Ask, say: Say) -> None:
        self.answers = answers
        self._ask = ask
        self._say = say

    def column(self, place: str, kind: str | None) -> None:
        name = place.rpartition(".")[2]
        kind = self._choice(f"{place}.type", f"{name}: type", TYPES, kind or "text")
        if kind in _EXAMPLES:
            self._range(f"{place}.range", name, kind)
        if kind == "decimal":
            self._number(f"{place}.decimals", f"{name}: decimal places", "2")
        if kind == "category":
            self._list(f"{place}.categories", f"{name}: its categories, separated by commas")
        holds = "text"
        if kind == "identifier":
            holds = self._choice(
                f"{place}.holds", f"{name}: identifiers are", ("integer", "text"), "integer"
            )
        if kind == "text" or (kind == "identifier" and holds == "text"):
            self._number(f"{place}.max_length", f"{name}: longest text, in characters", "200")
        if self._yes(f"{place}.nullable", f"{name}: may values be missing?"):
            self.answers[f"{place}.nullable"] = True
        sensitivity = self._choice(
            f"{place}.sensitivity", f"{name}: sensitivity", SENSITIVITIES, "none"
        )
        if sensitivity == "none":
            del self.answers[f"{place}.sensitivity"]

    def unit(self, tables: Mapping[str, Sequence[str]]) -> None:
        """Ask whom the guarantee is for, and how the tables hang together."""
        names = tuple(tables)
        kind = "row"
        if "privacy_unit" not in self.answers:
            kind = self._choice("", "the guarantee is for a", ("row", "person"), "row")
            self.answers["privacy_unit"] = kind
        if kind != "person":
            return
        people = self._choice("", "the table with one row for each person", names, names[0])
        self.answers["privacy_unit"] = {"person": people}
        key = self._choice("", f"{people}: its key", tuple(tables[people]), tables[people][0])
        self.answers[f"tables.{people}.key"] = [key]
        for table in names:
            if table == people:
                continue
            column = self._choice(
                "",
                f"{table}: the column that names the person",
                tuple(tables[table]),
                tables[table][0],
            )
            self.answers[f"tables.{table}.references"] = [{"columns": [column], "table": people}]
            self._number(
                f"tables.{table}.max_rows_per_person", f"{table}: most rows of one person", "1"
            )

    def _choice(self, place: str, question: str, options: Sequence[str], default: str) -> str:
        if place in self.answers:
            return str(self.answers[place])
        while True:
            found = self._ask(f"{question} ({', '.join(options)})", default)
            if found in options:
                if place:
                    self.answers[place] = found
                return found
            self._say(f"One of: {', '.join(options)}.")

    def _range(self, place: str, name: str, kind: str) -> None:
        if place in self.answers:
            return
        while True:
            ends = [
                self._ask(f"{name}: {which} value that anyone may have", "")
                for which in ("least", "greatest")
            ]
            limits = [_limit(end, kind) for end in ends]
            if None not in limits and limits[0] < limits[1]:  # type: ignore[operator]
                self.answers[place] = limits
                return
            self._say(f"Two values such as {_EXAMPLES[kind]}, the first below the second.")

    def _number(self, place: str, question: str, default: str) -> None:
        while place not in self.answers:
            found = self._ask(question, default)
            if found.isdecimal():
                self.answers[place] = int(found)
            else:
                self._say("A whole number.")

    def _list(self, place: str, question: str) -> None:
        while place not in self.answers:
            found = [item.strip() for item in self._ask(question, "").split(",")]
            if all(found) and len(set(found)) == len(found):
                self.answers[place] = found
            else:
                self._say("At least one, each once.")

    def _yes(self, place: str, question: str) -> bool:
        if place in self.answers:
            return False
        while True:
            found = self._ask(f"{question} (y, n)", "n").lower()
            if found in {"y", "yes", "n", "no"}:
                return found.startswith("y")
            self._say("y or n.")


def _limit(text: str, kind: str) -> int | float | str | None:
    """Return one end of a range as a contract writes it; None for what is none."""
    if kind in {"date", "timestamp"}:
        from datetime import datetime

        try:
            datetime.fromisoformat(text)
        except ValueError:
            return None
        return text
    try:
        return int(text) if kind == "integer" else float(text)
    except ValueError:
        return None
