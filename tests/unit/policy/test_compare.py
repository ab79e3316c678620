"""Comparing policies: proof of nothing more, a request that shows more, or `cannot tell`."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from manatee.errors import ManateeError, PolicyError, SettingsError
from manatee.policy import Comparison, PolicySide, compare, compile_policies
from manatee.policy import _compare as compare_module
from manatee.policy._engine import Outcome

ORGANISATIONS = ("clinic", "insurer")
JANUARY, JULY, DECEMBER = (f"2026-{month}-01T00:00:00Z" for month in ("01", "07", "12"))


def permit(condition: str) -> str:
    return f"permit (principal, action, resource) when {{ {condition} }};\n"


def forbid(condition: str) -> str:
    return permit(condition).replace("permit", "forbid")


EVERYTHING = permit("true")


def side(text: str, **members: Any) -> PolicySide:
    return PolicySide(compile_policies(text, ORGANISATIONS), **members)


def outcome(old: str, new: str) -> Comparison:
    return compare(side(old), side(new))


def shown(old: str, new: str) -> tuple[str, ...]:
    found = outcome(old, new).counterexample
    assert found is not None
    return found.words


SAME = [
    ("", ""),
    ("", forbid("true")),
    (EVERYTHING, ""),
    (EVERYTHING, EVERYTHING),
    (permit("context.tier_rank >= 4"), permit('context.tier == "hardware"')),
    (permit("context.tier_rank >= 2"), permit('context.tier != "simulated"')),
    (permit("context.vmpl < 2"), permit("context.vmpl <= 1")),
    (permit("context.vmpl <= 1"), permit("context.vmpl + 1 <= 2")),
    (permit("context.gpu"), permit("!(!context.gpu)")),
    (permit("true"), permit("!context.debug && !context.migration")),
    (permit("!context.debug"), EVERYTHING),
    (permit("context.gpu") + permit("!context.gpu"), EVERYTHING),
    (permit("if context.gpu then true else context.vmpl == 0"),
     permit("context.gpu || context.vmpl == 0")),
    (permit('context.project like "char*"'), permit('context.project like "char*es"')),
    (permit('context.project like "*a*"'), permit('context.project == "charges"')),
    (permit('["A", "B"].containsAll(context.advisories)'), permit("context.advisories.isEmpty()")),
    (permit('context.measurements.containsAny(["a", "b"])'),
     permit('context.measurements.containsAll(["b", "a"])')),
    (permit('["ada", "bob"].contains(principal.name)'),
     'permit (principal == ManaTEE::Researcher::"ada", action, resource);'),
    (permit('principal in ManaTEE::Organisation::"x"'),
     permit('principal has organisation && principal.organisation == "x"')),
    (permit('principal has organisation && principal.organisation == "x"'),
     'permit (principal is ManaTEE::Researcher in ManaTEE::Organisation::"x", action, resource);'),
    (permit('context.at < datetime("2026-07-01")'),
     permit('context.at <= datetime("2026-06-30T23:59:59Z")')),
    (permit("context.attempt >= 1"), EVERYTHING),
    (permit('resource.label == "real" || resource.label == "synthetic"'), EVERYTHING),
    (permit("context.approvals.insurer + context.approvals.clinic >= 2"),
     permit('context.approvals["insurer"] >= 1 && context.approvals["clinic"] >= 1')),
    (permit("context.tier_rank * 2 >= 8"), permit("context.tier_rank > 3")),
    (permit("context.gpu || context.vmpl + 9223372036854775807 < 0"), permit("context.gpu")),
    (permit('if principal has organisation then principal.organisation == "x" else true'),
     permit("!(principal has organisation)")),
    # an error anywhere denies, here as in the broker
    (permit("context.vmpl > 5"), EVERYTHING + forbid("context.vmpl <= 5")),
    (EVERYTHING + forbid("context.vmpl + 9223372036854775807 > 0"),
     permit("context.vmpl + 9223372036854775807 < 0")),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), SAME)
def test_a_policy_that_allows_nothing_more_is_proved_to(old: str, new: str) -> None:
    assert outcome(old, new) == Comparison(proved=True, counterexample=None)


MORE = [
    (permit("principal has organisation"),
     permit('if principal has organisation then principal.organisation == "x" else true'), None),
    (permit("context.gpu"), permit("!context.gpu || context.vmpl + 9223372036854775807 < 0"),
     "GPU evidence: no"),
    (permit("context.gpu"), permit("if context.gpu then true else context.vmpl + 1 == 1"),
     "GPU evidence: no"),
    (permit("context.gpu"),
     permit("if context.gpu then context.vmpl + 9223372036854775807 < 0 else context.vmpl == 0"),
     "GPU evidence: no"),
    ("", EVERYTHING, None),
    (permit("context.tier_rank >= 4"), permit("context.tier_rank >= 3"),
     "assurance tier: hardware-vtpm"),
    (permit("context.vmpl < 2"), permit("context.vmpl <= 2"), "privilege level (VMPL): 2"),
    (permit("context.vmpl <= 3"), EVERYTHING, "privilege level (VMPL): 4"),
    (EVERYTHING + forbid('context.project == "embargo"'), EVERYTHING, "project: embargo"),
    (EVERYTHING + forbid("context.gpu"), EVERYTHING + forbid("context.vmpl > 1 && context.gpu"),
     None),
    (permit('["A"].containsAll(context.advisories)'), permit('!context.advisories.contains("B")'),
     "open advisories: something-else"),
    (permit('context.measurements.contains("a")'), permit('context.measurements == ["b"]'),
     "measurements: b"),
    (permit('context.project == "charges"'), permit('context.project like "charges*"'), None),
    (permit('principal in ManaTEE::Organisation::"x"'),
     permit('principal has organisation && principal.organisation like "x*"'), None),
    (permit('context.at < datetime("2026-07-01")'),
     permit('context.at <= datetime("2026-07-01")'), "at 2026-07-01T00:00:00Z"),
    (permit('context.approvals["insurer"] >= 2'),
     permit('context.approvals["insurer"] >= 1 && context.approvals["clinic"] >= 1'),
     "valid approvals by insurer: 1"),
    (permit("context.earlier_uses < 3"), permit("context.earlier_uses <= 3"),
     "earlier uses of the data set: 3"),
    (permit("context.epsilon_micro_left >= 0"), EVERYTHING,
     "privacy budget left, in millionths of epsilon: unknown"),
    (permit("context.tcb.snp >= 23"), permit("context.tcb.snp >= 22"),
     "security version of snp: 22"),
    (permit("context.project == context.backend_kind"),
     permit("context.project == context.backend_kind || context.project == principal.name"), None),
    (EVERYTHING + forbid("context.vmpl + 9223372036854775807 < 0"),
     EVERYTHING, None),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "said"), MORE)
def test_a_policy_that_allows_more_is_shown_by_a_request(
    old: str, new: str, said: str | None
) -> None:
    found = outcome(old, new).counterexample
    assert found is not None
    assert said is None or said in found.words
    assert any(item.applies and item.effect == "permit" for item in found.why_allowed)


def test_a_request_is_told_by_who_asks_for_what() -> None:
    words = shown("", 'permit (principal == ManaTEE::Researcher::"eve", action, resource);')
    assert words == ("eve asks for the key of data set some-data",)


def test_requests_that_cannot_reach_the_policy_are_no_counterexamples() -> None:
    below = permit("context.tier_rank >= 4")
    assert outcome(below, below + permit("context.debug || context.migration")).proved
    unnamed = '!context.insecure_settings.contains("insecure_accept_simulated_evidence")'
    assert outcome(below, below + permit(f'context.tier == "simulated" && {unnamed}')).proved
    real = permit('resource.label == "real" && context.tier_rank < 4')
    words = shown(below, below + real)
    assert "insecure settings: insecure_release_real_data_below_hardware" in words


OUTSIDE = [
    ("context.vmpl * context.vmpl > 4", "context.vmpl * context.vmpl"),
    ('context.at.offset(duration("1h")) > context.at', 'context.at.offset(duration("1h"))'),
    ('context.at < datetime("2026-01-01T00:00:00+0100")', 'datetime("2026-01-01T00:00:00+0100")'),
    ('ip("10.0.0.1").isLoopback()', 'ip("10.0.0.1").isLoopback()'),
    ("context.advisories.containsAny(context.measurements)",
     "context.advisories.containsAny(context.measurements)"),
    ("context.advisories.contains(context.project)",
     "context.project"),
    ("{a: 1}.a == 1", "{a: 1}.a"),
]  # fmt: skip


@pytest.mark.parametrize(("condition", "expression"), OUTSIDE)
@pytest.mark.parametrize("which", ["OLD", "NEW"])
def test_what_cannot_be_compared_is_named_with_its_place(
    condition: str, expression: str, which: str
) -> None:
    odd = permit("true") + "\n" + permit(condition)
    old, new = (odd, EVERYTHING) if which == "OLD" else (EVERYTHING, odd)
    with pytest.raises(PolicyError, match=f"line 3, column .*in {which}: .*outside") as caught:
        outcome(old, new)
    assert caught.value.hint == expression


def test_too_many_patterns_cannot_be_compared() -> None:
    many = permit(" || ".join(f'context.purpose like "*x{n}*y{n}*"' for n in range(40)))
    with pytest.raises(PolicyError, match="too many"):
        outcome(many, many)


# --- signed policies: dates, providers and approver keys are compared too ---


def test_a_longer_life_is_more() -> None:
    old = side(EVERYTHING, dates=(JANUARY, JULY))
    new = side(EVERYTHING, dates=(JANUARY, DECEMBER))
    assert compare(new, old).proved
    found = compare(old, new).counterexample
    assert found is not None
    assert not found.old_in_force


def test_what_else_is_allowed_is_told_before_a_longer_life() -> None:
    old = side(permit("context.gpu"), dates=(JANUARY, JULY))
    found = compare(old, side(EVERYTHING, dates=(JANUARY, DECEMBER))).counterexample
    assert found is not None
    assert found.old_in_force
    assert "GPU evidence: no" in found.words


NEEDS_ONE = permit('context.approvals["insurer"] >= 1')


def keys(*names: str) -> dict[str, frozenset[str]]:
    return {"insurer": frozenset(names), "clinic": frozenset()}


def test_one_more_approver_key_is_more_and_one_fewer_is_not() -> None:
    one, two = (side(NEEDS_ONE, approver_keys=keys(*names)) for names in ("g", "gh"))
    assert compare(two, one).proved
    assert compare(one, one).proved
    found = compare(one, two).counterexample
    assert found is not None
    assert "valid approvals by insurer: OLD counts 0, NEW counts 1" in found.words


def test_a_key_exchanged_for_another_is_more() -> None:
    one, other = (side(NEEDS_ONE, approver_keys=keys(name)) for name in ("g", "h"))
    assert not compare(one, other).proved


def test_more_approvals_than_there_are_keys_are_never_given() -> None:
    two = permit('context.approvals["insurer"] >= 2')
    assert compare(side("", approver_keys=keys("g")), side(two, approver_keys=keys("g"))).proved


def test_policies_of_two_providers_are_not_compared() -> None:
    with pytest.raises(PolicyError, match="two providers"):
        compare(side("", provider="insurer"), side("", provider="bank"))


def test_the_provider_of_a_signed_policy_is_known() -> None:
    own = permit('resource.provider == "insurer"')
    assert compare(side(own, provider="insurer"), side(EVERYTHING, provider="insurer")).proved
    assert not outcome(own, EVERYTHING).proved


# --- the comparison itself fails closed ---


def test_a_solver_that_finds_no_end_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    import z3

    monkeypatch.setattr(z3.Solver, "check", lambda *_: z3.unknown)
    assert outcome(EVERYTHING, EVERYTHING) == Comparison(proved=False, counterexample=None)


def test_a_counterexample_the_engine_denies_is_our_defect_and_no_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compare_module, "evaluate", lambda *_: Outcome(False, (), ()))
    with pytest.raises(ManateeError, match="does not agree") as caught:
        outcome("", EVERYTHING)
    assert type(caught.value) is ManateeError


def test_without_the_solver_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "z3", None)
    with pytest.raises(SettingsError, match="z3") as caught:
        outcome("", "")
    assert caught.value.hint == "pip install 'manatee[policy]'"
