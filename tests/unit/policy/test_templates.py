"""Templates: each allows its case, and each of its conditions refuses alone, under its name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from manatee.errors import MalformedError, PolicyError
from manatee.policy import (
    TEMPLATES,
    TemplateParameters,
    compile_policies,
    find_problems,
    render_template,
)
from manatee.policy._decide import failed_check
from manatee.policy._engine import evaluate
from manatee.policy._explain import explain_policies
from manatee.policy._request import assemble, moment
from manatee.policy._vocabulary import TCB_COMPONENTS, TIER_RANKS, UNKNOWN_HIGH, UNKNOWN_LOW
from manatee.records import Tier, canonical_json, digest_bytes, read_record

ORGANISATIONS = ("clinic", "insurer")
RUNTIME, OUTPUTS, OTHER = (digest_bytes(word) for word in (b"runtime", b"outputs", b"other"))
NOW = datetime(2026, 3, 1, tzinfo=UTC)

EVERYTHING: dict[str, Any] = {
    "project": "charges",
    "researchers": ("ada", "bob"),
    "runtimes": (RUNTIME,),
    "output_policies": (OUTPUTS,),
    "approvals": {"insurer": 1},
    "evidence_kinds": ("sev-snp",),
    "platform": "Milan",
    "floors": {"snp": 23, "microcode": 213},
    "maximum_vmpl": 1,
    "maximum_collateral_age_seconds": 86400,
    "maximum_uses": 3,
    "minimum_epsilon_micro": 500_000,
}


def parameters(name: str, **members: Any) -> TemplateParameters:
    needed = {key: EVERYTHING[key] for key in TEMPLATES[name].needs if key in EVERYTHING}
    if name == "two-organisations":
        needed["approvals"] = {"insurer": 1, "clinic": 2}
    return TemplateParameters(**(needed | members))


def verdict(text: str, **members: Any) -> str:
    """Return `allowed`, or the name of the check that failed."""
    context: dict[str, Any] = {
        "at": moment("2026-03-01T00:00:00Z"),
        "evidence_kind": "sev-snp",
        "tier": "hardware",
        "measurements": [],
        "platform": "Milan",
        "chip_id": "",
        "tcb": dict.fromkeys(TCB_COMPONENTS, UNKNOWN_LOW) | {"snp": 23, "microcode": 213},
        "tcb_status": "",
        "advisories": [],
        "debug": False,
        "migration": False,
        "vmpl": 1,
        "collateral_age_seconds": 86400,
        "gpu": False,
        "insecure_settings": [],
        "runtime_digest": RUNTIME,
        "output_policy_digest": OUTPUTS,
        "project": "charges",
        "purpose": "means",
        "backend_kind": "sandbox",
        "attempt": 1,
        "approvals": {"insurer": 1, "clinic": 2},
        "earlier_uses": 2,
        "epsilon_micro_left": 500_000,
    }
    context |= {key: value for key, value in members.items() if key in context}
    context["tier_rank"] = TIER_RANKS[context["tier"]]
    request = assemble(
        researcher=members.get("researcher", "ada"),
        organisation=None,
        dataset={
            "provider": "insurer",
            "name": "patients",
            "version": OTHER,
            "label": members.get("label", "synthetic"),
        },
        context=context,
    )
    compiled = compile_policies(text, ORGANISATIONS)
    outcome = evaluate(compiled, request.request, request.entities)
    assert not outcome.errors
    return "allowed" if outcome.allowed else failed_check(explain_policies(compiled, request))


JOB = [
    ({"project": "other"}, "project"),
    ({"researcher": "eve"}, "researcher"),
    ({"tier": "hardware-vtpm"}, "tier"),
    ({"runtime_digest": OTHER}, "runtime"),
    ({"output_policy_digest": OTHER}, "output-policy"),
    ({"approvals": {"insurer": 0, "clinic": 9}}, "approvals"),
]
CASES = {
    "named-researchers": JOB,
    "one-run-per-approval": [
        *JOB,
        ({"attempt": 2}, "attempt"),
        ({"attempt": UNKNOWN_HIGH}, "attempt"),
    ],
    "hardware-tcb-floors": [
        *JOB,
        ({"evidence_kind": "tdx"}, "kind"),
        ({"platform": "Genoa"}, "platform"),
        ({"tcb": dict.fromkeys(TCB_COMPONENTS, 300) | {"snp": 22}}, "tcb"),
        ({"tcb": dict.fromkeys(TCB_COMPONENTS, 300) | {"microcode": 212}}, "tcb"),
        ({"tcb": dict.fromkeys(TCB_COMPONENTS, UNKNOWN_LOW)}, "tcb"),
        ({"vmpl": 2}, "vmpl"),
        ({"vmpl": UNKNOWN_HIGH}, "vmpl"),
        ({"collateral_age_seconds": 86401}, "collateral"),
        ({"collateral_age_seconds": UNKNOWN_HIGH}, "collateral"),
    ],
    "two-organisations": [*JOB, ({"approvals": {"insurer": 9, "clinic": 1}}, "approvals")],
    "limited-use": [
        *JOB,
        ({"earlier_uses": 3}, "uses"),
        ({"earlier_uses": UNKNOWN_HIGH}, "uses"),
        ({"epsilon_micro_left": 499_999}, "budget"),
        ({"epsilon_micro_left": UNKNOWN_LOW}, "budget"),
    ],
    "synthetic-rehearsal": [
        ({"project": "other"}, "project"),
        ({"tier": "software-tpm"}, "tier"),
        ({"runtime_digest": OTHER}, "runtime"),
        ({"output_policy_digest": OTHER}, "output-policy"),
        ({"label": "real"}, "label"),
    ],
}


def test_every_template_is_tried() -> None:
    assert set(CASES) == set(TEMPLATES)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_is_sound_cedar_and_allows_its_case(name: str) -> None:
    text = render_template(name, parameters(name))
    assert find_problems(text, ORGANISATIONS) == ()
    assert verdict(text) == "allowed"


@pytest.mark.parametrize(
    ("name", "members", "check"),
    [(name, members, check) for name, cases in CASES.items() for members, check in cases],
)
def test_each_condition_refuses_alone_and_under_its_name(
    name: str, members: dict[str, Any], check: str
) -> None:
    assert verdict(render_template(name, parameters(name)), **members) == check


def test_a_lower_tier_is_a_choice_written_down() -> None:
    text = render_template(
        "synthetic-rehearsal",
        parameters("synthetic-rehearsal", minimum_tier=Tier.SOFTWARE_TPM),
    )
    assert verdict(text, tier="software-tpm") == "allowed"
    assert verdict(text, tier="simulated") == "tier"


def test_floors_hold_on_hardware_only_whatever_the_minimum_tier() -> None:
    given = parameters("hardware-tcb-floors", minimum_tier=Tier.SIMULATED)
    assert verdict(render_template("hardware-tcb-floors", given), tier="hardware-vtpm") == "tier"


def test_open_advisories_that_are_not_tolerated_refuse() -> None:
    given = parameters("hardware-tcb-floors", tolerated_advisories=("INTEL-SA-1",))
    text = render_template("hardware-tcb-floors", given)
    assert verdict(text) == "allowed"
    assert verdict(text, advisories=["INTEL-SA-1"]) == "allowed"
    for unwanted in (["INTEL-SA-1", "INTEL-SA-2"], ["unknown"]):
        assert verdict(text, advisories=unwanted) == "advisories"


@pytest.mark.parametrize(
    ("name", "key"),
    [(name, key) for name, item in TEMPLATES.items() for key in item.needs if key in EVERYTHING],
)
def test_a_parameter_left_out_is_an_error_and_no_condition_left_out(name: str, key: str) -> None:
    bare = msgspec.structs.replace(parameters(name), **{key: getattr(TemplateParameters(), key)})
    with pytest.raises(PolicyError, match=key):
        render_template(name, bare)


@pytest.mark.parametrize(
    ("name", "members", "message"),
    [
        ("no-such", {}, "no template"),
        ("named-researchers", {"maximum_uses": 1}, "does not take maximum_uses"),
        ("named-researchers", {"tolerated_advisories": ("x",)}, "does not take"),
        ("synthetic-rehearsal", {"researchers": ("ada",)}, "does not take researchers"),
        ("two-organisations", {"approvals": {"insurer": 2}}, "2 organisations"),
        ("hardware-tcb-floors", {"floors": {"snpp": 1}}, "no TCB component snpp"),
        ("hardware-tcb-floors", {"floors": {"snp >= 0 || true": 1}}, "no TCB component"),
    ],
)
def test_what_does_not_fit_a_template_is_refused(
    name: str, members: dict[str, Any], message: str
) -> None:
    given = parameters(name, **members) if name in TEMPLATES else TemplateParameters()
    with pytest.raises(PolicyError, match=message):
        render_template(name, given)


@pytest.mark.parametrize(
    "members",
    [
        {"project": 'x" || true || "'},
        {"researchers": ['ada"']},
        {"platform": 'Milan"'},
        {"evidence_kinds": ["a\\"]},
        {"approvals": {'a"]': 1}},
        {"approvals": {"insurer": 0}},
        {"floors": {"snp": -1}},
        {"runtimes": ["*"]},
        {"more": 1},
    ],
)
def test_parameters_cannot_carry_cedar(members: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        read_record(canonical_json(members), TemplateParameters, what="parameters")
