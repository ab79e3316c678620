"""The reference page of rights, rendered from the table."""

from __future__ import annotations

from typing import get_args

from manatee.records import Role
from manatee.rights._matrix import MATRIX, Standing

_WORDS = {
    Standing.SELF: "own",
    Standing.HOME: "own organisation's",
    Standing.PARTY: "as another party",
    Standing.OTHER: "any",
}


def rights_page() -> str:
    """Return the rights matrix as a Markdown table: a row an action, a column a role."""
    roles: tuple[Role, ...] = get_args(Role)
    lines = [
        "| action | " + " | ".join(role.replace("_", " ") for role in roles) + " |",
        "| --- |" + " --- |" * len(roles),
    ]
    for action, cells in MATRIX.items():
        row = []
        for role in roles:
            allowed = cells.get(role, frozenset())
            row.append(", ".join(_WORDS[item] for item in Standing if item in allowed) or "–")
        lines.append(f"| {action.value} | " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"
