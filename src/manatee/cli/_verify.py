"""`manatee verify`: a run bundle, checked offline, for people and machines."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from manatee._clock import system_clock
from manatee.attestation import Mark
from manatee.bundle import (
    NOTHING_TRUSTED,
    Verification,
    read_bundle,
    read_trust,
    verify_bundle,
)
from manatee.records import Tier

_MARKS = {Mark.PASSED: "✓", Mark.FAILED: "✗", Mark.NOT_APPLICABLE: "–"}
_COLOURS = {Mark.PASSED: "green", Mark.FAILED: "bold red", Mark.NOT_APPLICABLE: "dim"}


def verify(folder: Path, trust: Path | None) -> Verification:
    """Verify a bundle against a trust file, or against nothing at all.

    Raises:
        BundleError: The folder is not a run bundle.
        SettingsError: The trust file cannot be read.
    """
    anchors = NOTHING_TRUSTED if trust is None else read_trust(trust)
    return verify_bundle(read_bundle(folder), trust=anchors, at=system_clock())


def headline(verification: Verification) -> str:
    """Return the one sentence a reader must not miss."""
    if not verification.verified:
        failed = [item.name for item in verification.checks if item.mark is Mark.FAILED]
        return f"NOT VERIFIED: {len(failed)} check(s) failed: {', '.join(failed)}"
    if verification.simulated:
        return (
            "VERIFIED, BUT SIMULATED: a simulated TEE is not hardware. "
            "Nothing kept this machine's operator from reading the data."
        )
    if verification.tier is Tier.SOFTWARE_TPM:
        return (
            "VERIFIED AT TIER SOFTWARE-TPM: the protocol held; a software TPM isolates nothing. "
            "Nothing kept this machine's operator from reading the data."
        )
    return f"VERIFIED at assurance tier {verification.tier.value if verification.tier else '?'}"


def as_json(verification: Verification) -> dict[str, Any]:
    """Return the whole outcome for machines."""
    return {
        "verified": verification.verified,
        "headline": headline(verification),
        "tier": verification.tier.value if verification.tier else None,
        "simulated": verification.simulated,
        "job_digest": verification.job_digest,
        "insecure_settings": list(verification.insecure_settings),
        "checks": [
            {
                "name": item.name,
                "title": item.title,
                "outcome": item.mark.value,
                "reason": item.reason,
            }
            for item in verification.checks
        ],
    }


def print_verification(verification: Verification) -> None:
    """Print the checks as a table with marks, titles and reasons, then the headline."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    width = None if sys.stdout.isatty() else 160
    console = Console(width=width, highlight=False)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(width=1)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    for item in verification.checks:
        colour = _COLOURS[item.mark]
        table.add_row(
            Text(_MARKS[item.mark], style=colour), Text(item.title), Text(item.reason, style="dim")
        )
    console.print(table)
    for name in verification.insecure_settings:
        console.print(Text(f"! insecure setting on: {name}", style="bold yellow"))
    style = "bold red" if not verification.verified else "bold green"
    if verification.verified and verification.tier in (Tier.SIMULATED, Tier.SOFTWARE_TPM):
        style = "bold yellow"
    console.print(Text(headline(verification), style=style))
