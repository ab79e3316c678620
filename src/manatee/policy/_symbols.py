"""Every request there could be, as unknowns of z3 with what is true of all of them.

Only what a policy mentions becomes an unknown. What trusted code guarantees of every request that
reaches Cedar (a tier has one rank, guests under debug never ask, one key counts once) is stated
here, so that neither a proof nor a counterexample is about requests that cannot be. `z3` is
imported late: only the comparison of policies needs it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from manatee.errors import SettingsError
from manatee.policy._decide import ACCEPT_SIMULATED, REAL_BELOW_HARDWARE
from manatee.policy._texts import DIGEST_FORM, NAME_FORM
from manatee.policy._vocabulary import TCB_COMPONENTS, TIER_RANKS, UNKNOWN_HIGH, UNKNOWN_LOW

TEXTS = (
    "evidence_kind",
    "tier",
    "platform",
    "chip_id",
    "tcb_status",
    "runtime_digest",
    "output_policy_digest",
    "project",
    "purpose",
    "backend_kind",
)
OTHER_TEXTS = ("principal", "resource", "organisation", "provider", "version", "label")
"""Texts of a request that are not in its context."""

DIGESTS = ("version", "runtime_digest", "output_policy_digest")

NUMBERS = ("tier_rank", "vmpl", "collateral_age_seconds", "attempt", "earlier_uses",
           "epsilon_micro_left")  # fmt: skip
TRUTHS = ("debug", "migration", "gpu")
SETS = ("measurements", "advisories", "insecure_settings")

_NAMES = ("principal", "resource", "provider", "organisation", "project", "backend_kind")
_LAST_SECOND = 253_402_300_799
"""9999-12-31T23:59:59Z in seconds since 1970."""


def z3_module() -> Any:
    """Return the solver's module.

    Raises:
        SettingsError: It is not installed.
    """
    try:
        import z3
    except ImportError as error:
        raise SettingsError(
            "comparing policies needs the solver z3, which is not installed.",
            hint="pip install 'manatee[policy]'",
        ) from error
    return z3


class Symbols:
    """The unknowns of one comparison.

    Args:
        members: Set attribute to every text either policy asks about; the rest of a set is one
            unknown more: whether it holds anything else.
        approver_keys: For each side, organisation to its keys; None: counts are equal.
        texts: What `text_domain` gave for both policies; a text is its number in it.

    Attributes:
        known: Every unknown in use, by name.
        asked: Names of those that a policy looks at.
        counted: Organisations whose approvals a policy looks at.
        facts: What is true of every request.
    """

    def __init__(
        self,
        members: dict[str, tuple[str, ...]],
        approver_keys: tuple[dict[str, frozenset[str]], dict[str, frozenset[str]]] | None,
        texts: tuple[str, ...],
    ) -> None:
        self.z3 = z3_module()
        self.facts: list[Any] = []
        self.members = {name: tuple(dict.fromkeys(members.get(name, ()))) for name in SETS}
        settings = (*self.members["insecure_settings"], ACCEPT_SIMULATED, REAL_BELOW_HARDWARE)
        self.members["insecure_settings"] = tuple(dict.fromkeys(settings))
        self._keys = approver_keys
        self.texts = texts
        self._index = {text: number for number, text in enumerate(texts)}
        self.known: dict[str, Any] = {}
        self.asked: set[str] = set()
        self.counted: tuple[str, ...] = ()
        self._guards()
        self.asked.clear()

    @staticmethod
    def label(name: str, member: str | None) -> str:
        """Return the name of the unknown that says whether a set holds a text."""
        return f"{name} other" if member is None else f"{name} = {member}"

    def _make(
        self, name: str, make: Callable[[str], Any], facts: Callable[[Any], list[Any]]
    ) -> Any:
        self.asked.add(name)
        if name not in self.known:
            self.known[name] = make(name)
            self.facts.extend(facts(self.known[name]))
        return self.known[name]

    def text(self, name: str) -> Any:
        """Return a text attribute of the context, `principal`, `resource` or `organisation`."""
        return self._make(name, self.z3.Int, lambda value: [self._text_fact(name, value)])

    def literal(self, text: str) -> Any:
        """Return a text that stands in a policy."""
        return self.z3.IntVal(self._index[text])

    def among(self, value: Any, wanted: Callable[[str], bool]) -> Any:
        """Return the formula that a text is one of those wanted, as few intervals as will do."""
        z3 = self.z3
        numbers = [number for number, text in enumerate(self.texts) if wanted(text)]
        parts, start = [], 0
        for place, number in enumerate(numbers):
            if place + 1 == len(numbers) or numbers[place + 1] != number + 1:
                parts.append(z3.And(value >= numbers[start], value <= number))
                start = place + 1
        return z3.Or(parts)

    def number(self, name: str) -> Any:
        """Return a number of the context."""
        return self._make(name, self.z3.Int, lambda value: self._number_facts(name, value))

    def truth(self, name: str) -> Any:
        """Return a Boolean of the context, or `has organisation`."""
        refused = {"debug", "migration"}
        return self._make(
            name, self.z3.Bool, lambda value: [self.z3.Not(value)] if name in refused else []
        )

    def moment(self) -> Any:
        """Return `context.at` in milliseconds since 1970; always whole seconds."""
        seconds = self._make("at", self.z3.Int, lambda value: [value >= 0, value <= _LAST_SECOND])
        return seconds * 1000

    def component(self, name: str) -> Any:
        """Return a security version number."""
        if name not in TCB_COMPONENTS:
            raise KeyError(name)
        return self._make(
            f"tcb {name}", self.z3.Int, lambda value: [value >= UNKNOWN_LOW, value <= UNKNOWN_HIGH]
        )

    def holds(self, name: str, member: str | None) -> Any:
        """Return whether a set of the context holds a text; None stands for anything else."""
        return self._make(self.label(name, member), self.z3.Bool, lambda _value: [])

    def approvals(self, organisation: str, side: int) -> Any:
        """Return how many keys of an organisation approved, as one side counts them.

        A key that both sides trust counts for both; others count for their own side only.
        """
        self.counted = tuple(dict.fromkeys((*self.counted, organisation)))
        if self._keys is None:
            return self._bounded(f"approvals {organisation}", 50)
        old, new = (keys.get(organisation, frozenset()) for keys in self._keys)
        alone = (old - new, new - old)[side]
        both = self._bounded(f"approvals {organisation} both", len(old & new))
        return both + self._bounded(f"approvals {organisation} {side}", len(alone))

    def _bounded(self, name: str, most: int) -> Any:
        return self._make(name, self.z3.Int, lambda value: [value >= 0, value <= most])

    # --- what is true of every request ---

    def _guards(self) -> None:
        z3 = self.z3
        tier, label = self.text("tier"), self.text("label")
        allowed = {
            name: self.holds("insecure_settings", name)
            for name in (ACCEPT_SIMULATED, REAL_BELOW_HARDWARE)
        }
        self.facts += [
            z3.Implies(tier == self.literal("simulated"), allowed[ACCEPT_SIMULATED]),
            z3.Or(
                label == self.literal("synthetic"),
                tier == self.literal("hardware"),
                allowed[REAL_BELOW_HARDWARE],
            ),
        ]

    def _text_fact(self, name: str, value: Any) -> Any:
        z3 = self.z3
        if name == "tier":
            rank = self.number("tier_rank")
            ranks = TIER_RANKS.items()
            return z3.Or(
                [z3.And(value == self.literal(tier), rank == number) for tier, number in ranks]
            )
        if name == "label":
            return self.among(value, {"real", "synthetic"}.__contains__)
        if name in _NAMES:
            return self.among(value, lambda text: NAME_FORM.fullmatch(text) is not None)
        if name in DIGESTS:
            return self.among(value, lambda text: DIGEST_FORM.fullmatch(text) is not None)
        unnamed = name in {"purpose", "evidence_kind"}
        return self.among(value, lambda text: not unnamed or text != "")

    def _number_facts(self, name: str, value: Any) -> list[Any]:
        if name == "tier_rank":
            return [value >= 1, value <= 4]
        least = {"attempt": 1, "epsilon_micro_left": UNKNOWN_LOW}.get(name, 0)
        return [value >= least, value <= UNKNOWN_HIGH]
