"""What an edited policy newly allows: proof that nothing, or a request that shows it.

z3 looks for a request that NEW allows and OLD does not, among all requests that can reach Cedar.
A request it finds is put to the Cedar engine itself before anybody hears of it. If z3 does not
come to an end, that is said; it is no proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from manatee._clock import parse_timestamp
from manatee.errors import ManateeError, PolicyError
from manatee.policy._encode import Encoder
from manatee.policy._engine import CompiledPolicies, evaluate
from manatee.policy._explain import PolicyExplanation, explain_policies
from manatee.policy._problems import PolicyProblemError, policy_error, problem
from manatee.policy._request import CedarRequest
from manatee.policy._symbols import DIGESTS, OTHER_TEXTS, SETS, TEXTS, Symbols
from manatee.policy._syntax import Policy, expressions, walk
from manatee.policy._texts import TooManyTextsError, text_domain
from manatee.policy._vocabulary import RELEASE_KEY, TIER_RANKS
from manatee.policy._witness import PLAIN_TEXTS, Witness, prefer, read_witness

DEFAULT_SECONDS = 20.0
"""How long the solver may take."""


@dataclass(frozen=True)
class PolicySide:
    """One of two policies to be compared.

    Attributes:
        compiled: Its Cedar text.
        dates: From when to when it is in force, inclusive, as RFC 3339; None: always.
        approver_keys: Organisation to its keys; None: both sides count alike.
        provider: Whose data; None: not said.
    """

    compiled: CompiledPolicies
    dates: tuple[str, str] | None = None
    approver_keys: dict[str, frozenset[str]] | None = None
    provider: str | None = None

    def in_force(self, seconds: int) -> bool:
        """Whether the policy is in force at a moment, in seconds since 1970."""
        return self.dates is None or _seconds(self.dates[0]) <= seconds <= _seconds(self.dates[1])


@dataclass(frozen=True)
class Counterexample:
    """A request that NEW allows and OLD does not; both verdicts are the Cedar engine's.

    Attributes:
        words: The request in plain words, only what either policy looks at.
        old: The request as OLD sees it; `new` as NEW sees it. They differ in counted approvals.
        old_in_force: Whether OLD is in force at that moment.
        why_denied: OLD's policies for it.
        why_allowed: NEW's policies for it.
    """

    words: tuple[str, ...]
    old: CedarRequest
    new: CedarRequest
    old_in_force: bool
    why_denied: tuple[PolicyExplanation, ...]
    why_allowed: tuple[PolicyExplanation, ...]


@dataclass(frozen=True)
class Comparison:
    """Outcome: `proved` that NEW allows nothing more, or a counterexample, or neither."""

    proved: bool
    counterexample: Counterexample | None


def _seconds(text: str) -> int:
    return int(parse_timestamp(text).timestamp())


def compare(old: PolicySide, new: PolicySide, *, seconds: float = DEFAULT_SECONDS) -> Comparison:
    """Compare two policies.

    Args:
        old: The policy in use.
        new: The edited one.
        seconds: How long the solver may take, in seconds.

    Raises:
        PolicyError: One of them says something outside the subset; the message names it and its
            place. Or they are of two providers.
        SettingsError: The solver or the Cedar engine is not installed.
        ManateeError: z3 and the Cedar engine disagree, which is a defect of ours.
    """
    if old.provider != new.provider:
        raise PolicyError("policy: OLD and NEW are of two providers; they cannot be compared.")
    keys = None
    if old.approver_keys is not None and new.approver_keys is not None:
        keys = (old.approver_keys, new.approver_keys)
    policies = (*old.compiled.policies, *new.compiled.policies)
    symbols = Symbols(_members(policies), keys, _texts(policies, new.provider))
    z3 = symbols.z3
    if new.provider is not None:
        symbols.facts.append(symbols.text("provider") == symbols.literal(new.provider))
    allowed = []
    for side, given in enumerate((old, new)):
        formula = _encode(symbols, side, given)
        if given.dates is not None:
            formula = z3.And(formula, _dated(symbols, given.dates))
        allowed.append(formula)
    solver = z3.Solver()
    solver.set("timeout", max(1, int(seconds * 1000)))
    solver.add(*symbols.facts, allowed[1], z3.Not(allowed[0]))
    if old.dates is not None:
        # a policy that is renewed allows later requests; more than that is told first
        solver.push()
        solver.add(_dated(symbols, old.dates))
        if solver.check() != z3.sat:
            solver.pop()
    verdict = solver.check()
    if verdict == z3.unsat:
        return Comparison(proved=True, counterexample=None)
    if verdict != z3.sat:
        return Comparison(proved=False, counterexample=None)
    witness = read_witness(symbols, prefer(symbols, solver), new.provider)
    return Comparison(proved=False, counterexample=_confirm(old, new, witness))


def _dated(symbols: Symbols, dates: tuple[str, str]) -> Any:
    """Return the formula that a request is made within dates, both included."""
    begins, ends = (_seconds(text) * 1000 for text in dates)
    moment = symbols.moment()
    return symbols.z3.And(moment >= begins, moment <= ends)


def _encode(symbols: Symbols, side: int, given: PolicySide) -> Any:
    name = ("OLD", "NEW")[side]
    try:
        return Encoder(symbols, side).allowed(given.compiled.policies)
    except PolicyProblemError as error:
        found = problem(given.compiled.text, error.span, f"in {name}: {error.message}", error.hint)
        quoted = given.compiled.text[error.span.start : error.span.end]
        raise policy_error((found,), quoted=" ".join(quoted.split())[:200]) from error


def _texts(policies: tuple[Policy, ...], provider: str | None) -> tuple[str, ...]:
    """Return texts enough for all that both policies ask of texts."""
    literals = [*PLAIN_TEXTS, *TIER_RANKS, "real", RELEASE_KEY, provider or ""]
    patterns: list[tuple[str | None, ...]] = []
    digests = False
    for policy in policies:
        for scope in (policy.principal, policy.action, policy.resource):
            literals.extend(entity.value[1] for entity in scope.entities)
        for node in expressions(policy):
            if node.op == "value" and isinstance(node.value, str):
                literals.append(node.value)
            elif node.op == "entity":
                literals.append(node.value[1])
            elif node.op == "like":
                patterns.append(node.value)
            digests = digests or (node.op == "attribute" and node.value in DIGESTS)
    try:
        return text_domain(literals, patterns, spare=len(TEXTS) + len(OTHER_TEXTS), digests=digests)
    except TooManyTextsError as error:
        raise PolicyError(
            "policy: the patterns of `like` are too many to be compared.",
            hint="Name the texts, or use fewer patterns.",
        ) from error


def _members(policies: tuple[Policy, ...]) -> dict[str, tuple[str, ...]]:
    """Return every text that either policy looks for in each set of the request."""
    found: dict[str, list[str]] = {name: [] for name in SETS}
    for policy in policies:
        for node in expressions(policy):
            for part in node.args:
                if part.op == "attribute" and part.value in found:
                    found[part.value].extend(
                        item.value
                        for item in walk(node)
                        if item.op == "value" and isinstance(item.value, str)
                    )
    return {name: tuple(texts) for name, texts in found.items()}


def _confirm(old: PolicySide, new: PolicySide, witness: Witness) -> Counterexample:
    """Put the request to the Cedar engine: OLD must deny it, NEW allow it."""
    requests = tuple(
        witness.request(side, given.compiled.organisations) for side, given in enumerate((old, new))
    )
    verdicts = [
        given.in_force(witness.seconds)
        and evaluate(given.compiled, request.request, request.entities).allowed
        for given, request in zip((old, new), requests, strict=True)
    ]
    if verdicts != [False, True]:
        raise ManateeError(
            "the solver found a request on which the Cedar engine does not agree.",
            hint="This is a defect of ManaTEE; neither answer may be relied on.",
        )
    return Counterexample(
        words=witness.words(),
        old=requests[0],
        new=requests[1],
        old_in_force=old.in_force(witness.seconds),
        why_denied=explain_policies(old.compiled, requests[0]),
        why_allowed=explain_policies(new.compiled, requests[1]),
    )
