"""What changed in the code since the last time it was approved, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from manatee.console._notebooks import cells_of
from manatee.errors import MalformedError

CONTEXT = 3
"""Equal lines shown around a change."""

MAX_LINES = 4000
"""Of one file that are compared."""


@dataclass(frozen=True)
class Row:
    """One line on either side; `kind` is same, changed, added, removed or gap."""

    kind: str
    left_number: int | None
    left: str
    right_number: int | None
    right: str


@dataclass(frozen=True)
class FileDiff:
    """One file. `state` is same, changed, added or removed."""

    path: str
    state: str
    rows: tuple[Row, ...]


def lines_of(path: Path) -> list[str]:
    """Return a file's lines; of a notebook its cells' code, of what is no text a word."""
    data = path.read_bytes()
    if path.suffix == ".ipynb":
        try:
            cells = cells_of(data)
        except MalformedError:
            return ["not a notebook"]
        lines = []
        for cell in cells:
            lines += [f"# --- cell {cell.number}, {cell.kind}", *cell.source.splitlines(), ""]
    else:
        try:
            lines = data.decode().splitlines()
        except UnicodeDecodeError:
            return [f"not text, {len(data)} bytes"]
    return lines[:MAX_LINES] + (["… the rest is not shown"] if len(lines) > MAX_LINES else [])


def compare_folders(before: Path | None, after: Path) -> tuple[FileDiff, ...]:
    """Compare two workspaces; without an earlier one every line is new."""
    old = _files(before) if before is not None else {}
    new = _files(after)
    return tuple(
        compare_lines(
            name,
            lines_of(old[name]) if name in old else None,
            lines_of(new[name]) if name in new else None,
        )
        for name in sorted(old.keys() | new.keys())
    )


def _files(folder: Path) -> dict[str, Path]:
    return {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def compare_lines(path: str, before: list[str] | None, after: list[str] | None) -> FileDiff:
    """Compare two versions of one file; None: there is no such version."""
    left, right = before or [], after or []
    if before is not None and after is not None and left == right:
        return FileDiff(path, "same", ())
    rows: list[Row] = []
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    for group in matcher.get_grouped_opcodes(CONTEXT):
        if rows:
            rows.append(Row("gap", None, "", None, ""))
        for tag, left_from, left_to, right_from, right_to in group:
            rows += _rows(tag, left, right, left_from, left_to, right_from, right_to)
    state = "added" if before is None else "removed" if after is None else "changed"
    return FileDiff(path, state, tuple(rows))


def _rows(
    tag: str, left: list[str], right: list[str], i: int, i_end: int, j: int, j_end: int
) -> list[Row]:
    kind = {"equal": "same", "replace": "changed", "delete": "removed", "insert": "added"}[tag]
    made = []
    for offset in range(max(i_end - i, j_end - j)):
        has_left, has_right = i + offset < i_end, j + offset < j_end
        made.append(
            Row(
                kind,
                i + offset + 1 if has_left else None,
                left[i + offset] if has_left else "",
                j + offset + 1 if has_right else None,
                right[j + offset] if has_right else "",
            )
        )
    return made
