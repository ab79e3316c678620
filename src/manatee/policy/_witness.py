"""A request that the solver found, for the Cedar engine and for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from manatee._clock import timestamp
from manatee.policy._request import CedarRequest, assemble, moment
from manatee.policy._symbols import NUMBERS, OTHER_TEXTS, SETS, TEXTS, TRUTHS, Symbols
from manatee.policy._vocabulary import TCB_COMPONENTS, TIER_RANKS, UNKNOWN_HIGH, UNKNOWN_LOW

PREFER_MILLISECONDS = 500
"""How long the solver may look for a more readable value of one unknown."""

MAX_WISHES = 60
"""Most unknowns for which a more readable value is looked for."""

_DIGEST = "sha256:" + "0" * 64

_PLAIN: dict[str, Any] = {
    "principal": "somebody",
    "resource": "some-data",
    "organisation": "some-organisation",
    "provider": "some-provider",
    "version": _DIGEST,
    "label": "synthetic",
    "evidence_kind": "sev-snp",
    "tier": "hardware",
    "platform": "",
    "chip_id": "",
    "tcb_status": "",
    "runtime_digest": _DIGEST,
    "output_policy_digest": _DIGEST,
    "project": "some-project",
    "purpose": "some purpose",
    "backend_kind": "some-backend",
    "tier_rank": 4,
    "vmpl": 0,
    "collateral_age_seconds": 0,
    "attempt": 1,
    "earlier_uses": 0,
    "epsilon_micro_left": 0,
    "debug": False,
    "migration": False,
    "gpu": False,
    "has organisation": False,
    "at": 1_767_225_600,
}
"""Value of whatever neither policy mentions, and of what may as well be it. `at` is 2026-01-01."""

_WORDS = {
    "label": "the data set's label",
    "provider": "the data set's provider",
    "version": "the data set's version",
    "evidence_kind": "kind of evidence",
    "tier": "assurance tier",
    "tier_rank": "rank of the tier",
    "platform": "platform",
    "chip_id": "chip",
    "tcb_status": "TCB status",
    "runtime_digest": "runtime",
    "output_policy_digest": "output policy",
    "project": "project",
    "purpose": "purpose",
    "backend_kind": "backend",
    "vmpl": "privilege level (VMPL)",
    "collateral_age_seconds": "age of the collateral in seconds",
    "attempt": "attempt",
    "earlier_uses": "earlier uses of the data set",
    "epsilon_micro_left": "privacy budget left, in millionths of epsilon",
    "gpu": "GPU evidence",
    "measurements": "measurements",
    "advisories": "open advisories",
    "insecure_settings": "insecure settings",
}


PLAIN_TEXTS = tuple(value for value in _PLAIN.values() if isinstance(value, str))
"""Texts that must be among those of a comparison."""


def prefer(symbols: Symbols, solver: Any) -> Any:
    """Return a model of a satisfiable solver, with plain values wherever they will do."""
    z3 = symbols.z3
    model = solver.model()
    solver.set("timeout", PREFER_MILLISECONDS)
    wanted = [
        known == _constant(symbols, name)
        for name, known in symbols.known.items()
        if name in _PLAIN and name != "tier_rank"
    ]
    wanted += [
        z3.Not(known) for known in symbols.known.values() if z3.is_bool(known)
    ]  # sets hold as little as will do
    for wish in wanted[:MAX_WISHES]:
        solver.push()
        solver.add(wish)
        if solver.check() == z3.sat:
            model = solver.model()
        else:
            solver.pop()
    return model


def _constant(symbols: Symbols, name: str) -> Any:
    value = _PLAIN[name]
    if isinstance(value, bool):
        return symbols.z3.BoolVal(value)
    return symbols.z3.IntVal(value) if isinstance(value, int) else symbols.literal(value)


@dataclass(frozen=True)
class Witness:
    """Values of a request. `mentioned` are the unknowns that either policy looks at."""

    values: dict[str, Any]
    sets: dict[str, tuple[str, ...]]
    counts: tuple[dict[str, int], dict[str, int]]
    mentioned: frozenset[str]

    @property
    def seconds(self) -> int:
        """The request's moment in seconds since 1970."""
        return int(self.values["at"])

    @property
    def organisation(self) -> str | None:
        """The researcher's organisation, or None."""
        known = self.values["has organisation"]
        return str(self.values["organisation"]) if known else None

    def request(self, side: int, organisations: tuple[str, ...]) -> CedarRequest:
        """Return the request as one side sees it.

        Args:
            side: 0 for OLD, 1 for NEW.
            organisations: Whose approvals that side counts.
        """
        at = timestamp(datetime.fromtimestamp(self.seconds, UTC))
        context: dict[str, Any] = {name: self.values[name] for name in (*TEXTS, *NUMBERS, *TRUTHS)}
        context |= {name: list(self.sets[name]) for name in SETS}
        context["at"] = moment(at)
        context["tcb"] = {
            name: self.values.get(f"tcb {name}", UNKNOWN_LOW) for name in TCB_COMPONENTS
        }
        context["approvals"] = {name: self.counts[side].get(name, 0) for name in organisations}
        return assemble(
            researcher=self.values["principal"],
            organisation=self.organisation,
            dataset={
                "provider": self.values["provider"],
                "name": self.values["resource"],
                "version": self.values["version"],
                "label": self.values["label"],
            },
            context=context,
        )

    def words(self) -> tuple[str, ...]:
        """Return the request in plain words: who asks, then what either policy looks at."""
        member = "" if self.organisation is None else f" of {self.organisation}"
        lines = [
            f"{self.values['principal']}{member} asks for the key of data set"
            f" {self.values['resource']}"
        ]
        if "at" in self.mentioned:
            lines.append(f"at {timestamp(datetime.fromtimestamp(self.seconds, UTC))}")
        for name, words in _WORDS.items():
            if name in SETS:
                asked = any(known.startswith(f"{name} ") for known in self.mentioned)
                if asked or self.sets[name]:
                    lines.append(f"{words}: {', '.join(self.sets[name]) or 'none'}")
            elif name != "tier_rank" and (
                name in self.mentioned or self.values[name] != _PLAIN[name]
            ):
                lines.append(f"{words}: {_said(self.values[name])}")
        for name in TCB_COMPONENTS:
            if f"tcb {name}" in self.mentioned:
                lines.append(f"security version of {name}: {_said(self.values[f'tcb {name}'])}")
        lines.extend(self._approvals())
        return tuple(lines)

    def _approvals(self) -> list[str]:
        lines = []
        for name in sorted(set(self.counts[0]) | set(self.counts[1])):
            old, new = (counts.get(name, 0) for counts in self.counts)
            if old == new:
                lines.append(f"valid approvals by {name}: {new}")
            else:
                lines.append(f"valid approvals by {name}: OLD counts {old}, NEW counts {new}")
        return lines


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value in {UNKNOWN_LOW, UNKNOWN_HIGH}:
        return "unknown"
    return (
        ascii(value) if isinstance(value, str) and not value.isprintable() else str(value) or '""'
    )


def read_witness(symbols: Symbols, model: Any, provider: str | None) -> Witness:
    """Return the request of a model.

    Args:
        symbols: The unknowns.
        model: z3's.
        provider: Whose data, or None.
    """
    z3 = symbols.z3
    values = dict(_PLAIN)
    if provider is not None:
        values["provider"] = provider
    for name, known in symbols.known.items():
        found = model.eval(known, model_completion=True)
        if z3.is_bool(found):
            values[name] = z3.is_true(found)
        elif name in TEXTS or name in OTHER_TEXTS:
            values[name] = symbols.texts[found.as_long()]
        else:
            values[name] = found.as_long()
    values["tier_rank"] = TIER_RANKS[values["tier"]]
    sets = {name: _held(symbols, values, name) for name in SETS}
    counts: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for side in (0, 1):
        for name in symbols.counted:
            count = model.eval(symbols.approvals(name, side), model_completion=True)
            counts[side][name] = count.as_long()
    return Witness(values, sets, counts, frozenset(symbols.asked))


def _held(symbols: Symbols, values: dict[str, Any], name: str) -> tuple[str, ...]:
    held = [text for text in symbols.members[name] if values.get(symbols.label(name, text))]
    if values.get(symbols.label(name, None)):
        other = "something-else"
        while other in symbols.members[name]:
            other += "-still"
        held.append(other)
    return tuple(held)
