"""The closed vocabulary of release policies: what Cedar text may speak of, and under which check.

The schema is the file `release.cedarschema` beside this module. Only the organisations whose
approvals are counted differ from policy to policy; they are filled in as typed attributes, so a
misspelt one is an error of the text and not a count of nothing.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

NAMESPACE = "ManaTEE"

ORGANISATION = f"{NAMESPACE}::Organisation"
RESEARCHER = f"{NAMESPACE}::Researcher"
DATASET = f"{NAMESPACE}::Dataset"
ACTION = f"{NAMESPACE}::Action"
RELEASE_KEY = "ReleaseKey"

TIER_RANKS = {"hardware": 4, "hardware-vtpm": 3, "software-tpm": 2, "simulated": 1}
"""A tier as a number; more is better. A policy may use either form."""

UNKNOWN_HIGH = 2**53 - 1
"""Stands for an unknown number where less is better (age, privilege level, earlier uses)."""

UNKNOWN_LOW = -1
"""Stands for an unknown number where more is better (security versions, budget left)."""

UNKNOWN_TEXT = ""
"""Stands for an unknown text, such as the chip of evidence that names none."""

UNKNOWN_MEMBER = "unknown"
"""Only member of a set that evidence says nothing about, where an empty set would be good news."""

TCB_COMPONENTS = (
    "bootloader",
    "tee",
    "snp",
    "microcode",
    "fmc",
    *(f"tee-svn-{number}" for number in range(16)),
    "firmware",
)
"""Security versions a policy may set floors for, as verifiers name them: SEV-SNP, TDX, TPM."""

CHECKS = {
    "at": "dates",
    "evidence_kind": "kind",
    "tier": "tier",
    "tier_rank": "tier",
    "measurements": "measurements",
    "runtime_digest": "runtime",
    "output_policy_digest": "output-policy",
    "project": "project",
    "purpose": "purpose",
    "backend_kind": "backend",
    "attempt": "attempt",
    "platform": "platform",
    "chip_id": "chip",
    "tcb": "tcb",
    "tcb_status": "tcb",
    "advisories": "advisories",
    "debug": "debug",
    "migration": "migration",
    "vmpl": "vmpl",
    "collateral_age_seconds": "collateral",
    "gpu": "gpu",
    "approvals": "approvals",
    "earlier_uses": "uses",
    "epsilon_micro_left": "budget",
    "insecure_settings": "insecure-settings",
}
"""Attribute of the context to the name under which its refusal is known outside."""


@lru_cache(maxsize=64)
def schema_text(organisations: tuple[str, ...]) -> str:
    """Return the Cedar schema for policies that count approvals of these organisations.

    Args:
        organisations: Names (`records.Name`), which need no escaping.
    """
    text = (files("manatee.policy") / "release.cedarschema").read_text(encoding="utf-8")
    components = ", ".join(f'"{name}": Long' for name in TCB_COMPONENTS)
    counts = ", ".join(f'"{name}": Long' for name in organisations)
    return text.replace("__TCB_COMPONENTS__", components).replace("__ORGANISATIONS__", counts)
