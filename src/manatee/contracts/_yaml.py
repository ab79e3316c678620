"""YAML, strictly: one document of plain mappings, lists and scalars, with lines and columns.

Refused, with the line: aliases and anchors (an alias bomb needs them), tags, duplicate members,
merge keys, deep nesting, several documents, oversized text.
"""

from __future__ import annotations

import yaml

from manatee.errors import ContractError

MAX_YAML_BYTES = 1 << 20
"""Largest document that is read, in bytes; a column takes about 200."""

MAX_DEPTH = 12
"""Deepest nesting that is read; a contract needs 6."""

_PLAIN = "tag:yaml.org,2002:"


def place_of(node: yaml.Node) -> str:
    """Return where a node starts: line and column, from 1."""
    return f"line {int(node.start_mark.line) + 1}, column {int(node.start_mark.column) + 1}"


def refuse(node: yaml.Node, message: str, *, hint: str = "") -> ContractError:
    """Return the error for a node, with its place."""
    return ContractError(f"{place_of(node)}: {message}", hint=hint)


def parse_document(data: bytes) -> yaml.MappingNode:
    """Parse bytes to the node of one mapping; nothing is constructed from it.

    Raises:
        ContractError: Anything else. Names the line where there is one.
    """
    if len(data) > MAX_YAML_BYTES:
        raise ContractError(f"a contract has at most {MAX_YAML_BYTES} bytes.")
    try:
        text = data.decode("utf-8")
        _check_events(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise ContractError("a contract is UTF-8 text.") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = "" if mark is None else f"line {mark.line + 1}: "
        raise ContractError(f"{where}not YAML: {error.problem or error.context}.") from error
    except (yaml.YAMLError, ValueError, IndexError) as error:
        raise ContractError("not YAML.") from error
    if not isinstance(node, yaml.MappingNode):
        raise ContractError("a contract is a YAML mapping.")
    return node


def _check_events(text: str) -> None:
    depth = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        mark = event.start_mark
        line = 0 if mark is None else mark.line + 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise ContractError(f"line {line}: anchors and aliases are not allowed.")
        if getattr(event, "tag", None) is not None:
            raise ContractError(f"line {line}: tags are not allowed.")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
        if depth > MAX_DEPTH or documents > 1:
            what = f"nested deeper than {MAX_DEPTH}" if documents <= 1 else "a second document"
            raise ContractError(f"line {line}: {what}.")


def members(node: yaml.Node, allowed: frozenset[str], *, what: str) -> dict[str, yaml.Node]:
    """Return a mapping's members; refuses unknown and repeated names.

    Raises:
        ContractError: Not such a mapping.
    """
    if not isinstance(node, yaml.MappingNode):
        raise refuse(node, f"{what} must be a mapping.")
    found: dict[str, yaml.Node] = {}
    for key, value in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else None
        if name not in allowed or key.tag != _PLAIN + "str":
            raise refuse(key, f"{what} has a member nobody knows.", hint=_known(allowed))
        if name in found:
            raise refuse(key, f"{what} has the member {name!r} twice.")
        found[name] = value
    return found


def _known(allowed: frozenset[str]) -> str:
    return f"Known members: {', '.join(sorted(allowed))}."


def items(node: yaml.Node, *, what: str) -> list[yaml.Node]:
    """Return the items of a list.

    Raises:
        ContractError: Not a list.
    """
    if not isinstance(node, yaml.SequenceNode):
        raise refuse(node, f"{what} must be a list.")
    return list(node.value)


def text(node: yaml.Node, *, what: str, longest: int = 2000) -> str:
    """Return a string; `yes`, `1` and the like are no strings unless quoted.

    Raises:
        ContractError: Not a string, empty, too long, or with control characters.
    """
    if not isinstance(node, yaml.ScalarNode) or node.tag != _PLAIN + "str":
        raise refuse(node, f"{what} must be text.", hint='Quote it: "yes" and yes differ in YAML.')
    value = str(node.value)
    if not 1 <= len(value) <= longest or any(ord(sign) < 32 and sign != "\n" for sign in value):
        raise refuse(node, f"{what} must have 1 to {longest} characters and no control characters.")
    return value


def integer(node: yaml.Node, *, what: str) -> int:
    """Return an integer written in decimal digits.

    Raises:
        ContractError: Anything else, or beyond 2**53-1.
    """
    value = str(node.value) if isinstance(node, yaml.ScalarNode) else ""
    digits = value.removeprefix("-")
    plain = node.tag == _PLAIN + "int" and digits.isascii() and digits.isdigit()
    if not plain or len(digits) > 16 or (len(digits) > 1 and digits[0] == "0"):
        raise refuse(node, f"{what} must be a whole number.")
    if abs(int(value)) > 2**53 - 1:
        raise refuse(node, f"{what} must lie within 2**53-1.")
    return int(value)


def number(node: yaml.Node, *, what: str) -> float:
    """Return a finite decimal number.

    Raises:
        ContractError: Anything else.
    """
    value = str(node.value) if isinstance(node, yaml.ScalarNode) else ""
    if node.tag not in {_PLAIN + "int", _PLAIN + "float"} or len(value) > 30:
        raise refuse(node, f"{what} must be a number.")
    if not value or set(value) - set("0123456789.-"):
        raise refuse(node, f"{what} must be a number in plain decimal digits.")
    try:
        return float(value)
    except ValueError as error:
        raise refuse(node, f"{what} must be a number.") from error


def boolean(node: yaml.Node, *, what: str) -> bool:
    """Return `true` or `false`, and nothing else that YAML 1.1 takes for them.

    Raises:
        ContractError: Anything else.
    """
    known = {"true": True, "false": False}
    if node.tag != _PLAIN + "bool" or node.value not in known:
        raise refuse(node, f"{what} must be true or false.")
    return known[node.value]
