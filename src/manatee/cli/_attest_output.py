"""What `manatee attest` answers: claims, checks and outcome, for people and machines."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any

import msgspec

from manatee._clock import timestamp
from manatee.attestation import AttestationResult, Claims, Mark

_MARKS = {Mark.PASSED: "✓", Mark.FAILED: "✗", Mark.NOT_APPLICABLE: "–"}
_COLOURS = {Mark.PASSED: "green", Mark.FAILED: "bold red", Mark.NOT_APPLICABLE: "dim"}
_MAX_SHOWN = 200
"""Longest bytes shown in full; longer ones are shown by their size."""


def plain(value: object, depth: int = 0) -> Any:
    """Return any claim as plain JSON values: bytes as hexadecimal, large ones by their size."""
    if depth > 6:
        return "…"
    if isinstance(value, bytes):
        return value.hex() if len(value) <= _MAX_SHOWN else f"{len(value)} bytes"
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(name): plain(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item, depth + 1) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [item.name for item in dataclasses.fields(value)]
        return {name: plain(getattr(value, name), depth + 1) for name in names}
    if isinstance(value, msgspec.Struct):
        names = list(value.__struct_fields__)
        return {name: plain(getattr(value, name), depth + 1) for name in names}
    return type(value).__name__


def result_json(result: AttestationResult, at: datetime) -> dict[str, Any]:
    """Return the whole outcome for machines."""
    return {
        "kind": result.kind,
        "accepted": result.accepted,
        "tier": result.tier.value,
        "at": timestamp(at),
        "claims": None if result.claims is None else plain(result.claims),
        "checks": [
            {
                "name": item.name,
                "title": item.title,
                "outcome": item.mark.value,
                "reason": item.reason,
            }
            for item in result.checks
        ],
    }


def fact_rows(claims: Claims) -> list[tuple[str, str]]:
    """Return what people look for first, as names and values; empty ones left out."""
    facts: list[tuple[str, str]] = [
        ("platform", claims.platform),
        ("chip", claims.chip_id),
        ("runtime", claims.runtime_digest or "unknown"),
        ("job", claims.job_digest or ""),
        ("issued", timestamp(claims.issued_at) if claims.issued_at else "undated"),
        ("collateral from", timestamp(claims.collateral_from) if claims.collateral_from else ""),
        ("debug", "on" if claims.debug else "off"),
        ("migration", "possible" if claims.migration else "off"),
        ("privilege level", "" if claims.vmpl is None else str(claims.vmpl)),
        ("TCB status", claims.tcb_status),
        ("TCB", ", ".join(f"{name} {value}" for name, value in claims.tcb.items())),
        ("advisories", ", ".join(claims.advisories)),
    ]
    return [*((name, value) for name, value in facts if value), *claims.measurements.items()]


def detail_rows(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Return plain values as dotted names and texts."""
    if isinstance(value, dict):
        parts = [detail_rows(item, f"{prefix}{name}.") for name, item in value.items()]
        return [row for part in parts for row in part]
    if isinstance(value, list):
        parts = [detail_rows(item, f"{prefix}{number}.") for number, item in enumerate(value)]
        return [row for part in parts for row in part]
    return [(prefix.rstrip("."), "" if value is None else str(value))]


def print_result(result: AttestationResult) -> None:
    """Print kind, tier and facts, each check with mark, title and reason, then the outcome."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    facts = Table(box=None, pad_edge=False, show_header=False)
    facts.add_column(no_wrap=True)
    facts.add_column(ratio=1, overflow="fold")
    rows = [] if result.claims is None else fact_rows(result.claims)
    for name, value in [("kind", result.kind), ("tier", result.tier.value), *rows]:
        facts.add_row(Text(name, style="dim"), Text(_printable(value)))
    console.print(facts)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(width=1)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    for item in result.checks:
        table.add_row(
            Text(_MARKS[item.mark], style=_COLOURS[item.mark]),
            Text(item.title),
            Text(_printable(item.reason), style="dim"),
        )
    console.print(table)
    failed = [item.name for item in result.checks if item.mark is Mark.FAILED]
    if result.accepted:
        console.print(Text(f"ACCEPTED at assurance tier {result.tier.value}", style="bold green"))
    else:
        text = f"REFUSED: {len(failed)} check(s) failed: {', '.join(failed)}"
        console.print(Text(text, style="bold red"))


def _printable(text: str) -> str:
    """Return text that cannot move a terminal's cursor: evidence is written by strangers."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
