"""Code cells as Python: IPython's own syntax is taken out, line by line, and told apart."""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass
from typing import Any

_SHELL = re.compile(r"^\s*(?:[A-Za-z_][\w, ]*=\s*)?!|^\s*%(?:sx|system|sh)\b")
_INSTALL = re.compile(r"^\s*[!%]\s*(?:\S*/)?(?:python\S*\s+-m\s+)?(?:pip3?|uv|conda|mamba)\b")
_MAGIC = re.compile(r"^\s*(?:[A-Za-z_]\w*\s*=\s*)?%(?!%)")
_HELP = re.compile(r"^\s*\?|\?\s*$")
_SHELLS = frozenset({"bash", "sh", "script", "system", "sx", "perl", "ruby"})


MAX_CODE = 30_000
"""Characters of a cell that are looked at; Python's parser takes 1 s for as much of the worst."""


@dataclass(frozen=True)
class Cell:
    """One code cell.

    Attributes:
        tree: Its Python; None where it is not Python.
        problem: Why not, with its line.
        shell: Lines that call a shell.
        installs: Lines that install packages.
        ran: Its execution count as saved; None: it was not run.
        too_long: It was not looked at.
    """

    number: int
    tree: ast.Module | None
    problem: tuple[str, int | None] | None
    shell: tuple[int, ...]
    installs: tuple[int, ...]
    ran: int | None
    too_long: bool = False


def read_cell(number: int, cell: dict[str, Any]) -> Cell:
    """Read one code cell of a notebook that `check_notebook` accepted."""
    source = cell.get("source", "")
    text = "".join(source) if isinstance(source, list) else str(source)
    count = cell.get("execution_count")
    ran = count if isinstance(count, int) else None
    if len(text) > MAX_CODE:
        return Cell(number, None, None, (), (), ran, too_long=True)
    first = text.lstrip().split(None, 1)[0] if text.strip() else ""
    if first.startswith("%%"):
        shell = (1,) if first[2:] in _SHELLS or first.startswith("%%!") else ()
        return Cell(number, None, None, shell, (), ran)
    kept, shells, installs = [], [], []
    for line_number, line in enumerate(text.split("\n"), start=1):
        if _INSTALL.search(line):
            installs.append(line_number)
        elif _SHELL.search(line):
            shells.append(line_number)
        elif not _MAGIC.search(line) and not _HELP.search(line):
            kept.append(line)
            continue
        kept.append(line[: len(line) - len(line.lstrip())] + "pass")
    tree, problem = _parse("\n".join(kept))
    return Cell(number, tree, problem, tuple(shells), tuple(installs), ran)


def _parse(text: str) -> tuple[ast.Module | None, tuple[str, int | None] | None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # top-level await is IPython's, too
            flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            tree = compile(text, "<cell>", "exec", flags=flags, dont_inherit=True)
    except SyntaxError as error:
        return None, (error.msg, error.lineno)
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        return None, (type(error).__name__, None)
    return (tree, None) if isinstance(tree, ast.Module) else (None, ("not a module", None))
