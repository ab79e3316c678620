"""What is looked for in the code of a cell."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from manatee.preflight._findings import Finding

_NETWORK = frozenset(
    "aiohttp boto3 ftplib gcsfs http httpx paramiko requests s3fs smtplib socket telnetlib urllib "
    "urllib3 websocket websockets".split()
)
_URL = re.compile(r"^(?:https?|ftp|s3|gs|gcs|az|abfs|hdfs|ssh)://", re.I)
_READERS = re.compile(r"^(?:open|read_\w+|scan_\w+|load\w*|Path|loadtxt|genfromtxt|urlopen)$")
_CLOCKS = frozenset(
    {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
)
_RANDOM = frozenset(
    "choice choices normal permutation rand randint randn random sample shuffle uniform".split()
)


_MAY_NOT_MATTER = (
    ast.Try,
    ast.TryStar,
    ast.If,
    ast.With,
    ast.AsyncWith,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.Match,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
)
_ASKERS = frozenset("connect delete get head patch post put request urlopen urlretrieve".split())


@dataclass(frozen=True)
class Surroundings:
    """What a notebook may count on.

    Attributes:
        modules: Importable in the runtime; None: not known, nothing is said of imports.
        own: Modules that lie beside the notebook.
        granted: Data sets of the catalogue; None: not known.
    """

    modules: frozenset[str] | None
    own: frozenset[str]
    granted: frozenset[str] | None


def look(tree: ast.Module, cell: int, around: Surroundings) -> Iterator[Finding]:
    """Yield what one cell's code gives away."""
    for statement in tree.body:
        unsure = isinstance(statement, _MAY_NOT_MATTER)
        for node in ast.walk(statement):
            for finding in _look_at(node, cell, around):
                # whoever catches the error, or never gets there, is not stopped by it
                softer = unsure and finding.severity == "error"
                yield replace(finding, severity="warning") if softer else finding


def _look_at(node: ast.AST, cell: int, around: Surroundings) -> Iterator[Finding]:
    line = getattr(node, "lineno", None)
    if isinstance(node, ast.Import):
        for item in node.names:
            yield from _import(item.name, cell, line, around)
    elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        yield from _import(node.module, cell, line, around)
    elif isinstance(node, ast.Call):
        yield from _call(node, cell, line, around)


def datasets_in(tree: ast.Module) -> Iterator[str]:
    """Yield the data sets that a cell names by `manatee.dataset("name")`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (name := _dataset(node)):
            yield name


def sets_a_seed(tree: ast.Module) -> bool:
    """Return whether a cell sets a seed, so that later random numbers can be had again."""
    return any(
        isinstance(node, ast.Call)
        and (_dotted(node.func).endswith("seed") or _dotted(node.func).endswith("set_seed"))
        for node in ast.walk(tree)
    )


def _import(name: str, cell: int, line: int | None, around: Surroundings) -> Iterator[Finding]:
    top = name.partition(".")[0]
    if around.modules is not None and top not in around.modules and top not in around.own:
        yield Finding(
            "error",
            "import",
            f"{top} is not in the runtime.",
            "Do without it, or ask for a runtime that has it; nothing can be installed there.",
            cell,
            line,
        )
    elif top in _NETWORK:
        yield Finding(
            "warning",
            "network",
            f"{top} speaks to the network, and there is none.",
            "Take all you need from data sets and from files beside the notebook.",
            cell,
            line,
        )


def _call(node: ast.Call, cell: int, line: int | None, around: Surroundings) -> Iterator[Finding]:
    name = _dotted(node.func)
    last = name.rpartition(".")[2]
    dataset = _dataset(node)
    if dataset and around.granted is not None and dataset not in around.granted:
        yield Finding(
            "error",
            "data-set",
            f"There is no data set {dataset!r} for you.",
            f"The catalogue has: {', '.join(sorted(around.granted)) or 'none yet'}.",
            cell,
            line,
        )
    for text in _texts(node):
        reads = _READERS.match(last) or name.partition(".")[0] in _NETWORK or last in _ASKERS
        if _URL.match(text) and reads:
            yield Finding(
                "error",
                "network",
                f"{name or 'a call'} asks an address on the network, and there is none.",
                "Put the file beside the notebook, or ask for it as a data set.",
                cell,
                line,
            )
        elif _READERS.match(last) and _leads_out(text):
            yield Finding(
                "warning",
                "path",
                f"{last} is given a path outside of the notebook's folder.",
                "Only that folder is sent; use paths relative to the notebook.",
                cell,
                line,
            )
    yield from _chance(node, name, last, cell, line)


def _chance(node: ast.Call, name: str, last: str, cell: int, line: int | None) -> Iterator[Finding]:
    if any(name == clock or name.endswith(f".{clock}") for clock in _CLOCKS):
        yield Finding(
            "hint",
            "clock",
            f"{name} gives another value in every run.",
            "Make dates parameters if results depend on them.",
            cell,
            line,
        )
    unseeded = last in {"default_rng", "Random", "RandomState"} and not (node.args or node.keywords)
    if unseeded or (last in _RANDOM and re.search(r"\brandom\.", name)):
        yield Finding(
            "hint",
            "random",
            f"{name} gives other numbers in every run.",
            "Set a seed, such as numpy.random.default_rng(7).",
            cell,
            line,
        )


def _dataset(node: ast.Call) -> str:
    """Return the name in `manatee.dataset("name")` or `dataset("name")`; else ''."""
    if _dotted(node.func) not in {"manatee.dataset", "dataset"}:
        return ""
    named = [item.value for item in node.keywords if item.arg == "name"]
    for first in [*node.args[:1], *named]:
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            return first.value
    return ""


def _texts(node: ast.Call) -> Iterator[str]:
    for part in (*node.args, *(item.value for item in node.keywords)):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


def _leads_out(path: str) -> bool:
    return path.startswith(("/", "~")) or ".." in path.replace("\\", "/").split("/")


def _dotted(node: ast.expr) -> str:
    """Return `a.b.c` for such an expression; '' for any other."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return parts[0] if parts else ""
    return ".".join([node.id, *reversed(parts)])
