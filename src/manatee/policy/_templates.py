"""Policies for the usual cases, written out as Cedar from a closed record of parameters.

A template is a choice of conditions. Every condition it has is needed: a parameter that is
missing or empty is an error, never a condition left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import msgspec

from manatee.errors import PolicyError
from manatee.policy._vocabulary import RELEASE_KEY, TCB_COMPONENTS, TIER_RANKS
from manatee.records import DigestText, Record, Tier
from manatee.records._base import Count, Name
from manatee.records._forms import form

Word = Annotated[
    str,
    form(
        r"^[A-Za-z0-9][A-Za-z0-9 ._:-]{0,99}\Z",
        "a word: letters, digits, space and . _ : - (at most 100)",
    ),
]
"""A vendor's word, such as a platform or an advisory; needs no escaping in Cedar."""


class TemplateParameters(Record, frozen=True, kw_only=True):
    """What templates are filled with. Each names those it takes; any other is an error.

    Attributes:
        project: The one project.
        researchers: People who may ask.
        minimum_tier: Weakest assurance tier.
        runtimes: Digests of runtimes that may see the data.
        output_policies: Digests of output policies a job may run under.
        approvals: Organisation to how many of its keys must have approved the very job.
        evidence_kinds: Kinds of evidence that are accepted.
        platform: Product for which the floors are meant.
        floors: TCB component to its lowest accepted security version.
        maximum_vmpl: Highest accepted privilege level.
        maximum_collateral_age_seconds: Oldest accepted collateral.
        tolerated_advisories: Vendor advisories that may be open; any other refuses.
        maximum_uses: How often a researcher may use a data set for the project.
        minimum_epsilon_micro: Privacy budget that must be left, in millionths of epsilon.
    """

    project: Name | None = None
    researchers: tuple[Name, ...] = ()
    minimum_tier: Tier = Tier.HARDWARE
    runtimes: tuple[DigestText, ...] = ()
    output_policies: tuple[DigestText, ...] = ()
    approvals: dict[Name, Annotated[int, msgspec.Meta(ge=1, le=50)]] = msgspec.field(
        default_factory=dict
    )
    evidence_kinds: tuple[Word, ...] = ()
    platform: Word | None = None
    floors: dict[str, Count] = msgspec.field(default_factory=dict)
    maximum_vmpl: Annotated[int, msgspec.Meta(ge=0, le=3)] | None = None
    maximum_collateral_age_seconds: Count | None = None
    tolerated_advisories: tuple[Word, ...] = ()
    maximum_uses: Annotated[int, msgspec.Meta(ge=1)] | None = None
    minimum_epsilon_micro: Count | None = None


@dataclass(frozen=True)
class Template:
    """One usual case.

    Attributes:
        name: As commands call it.
        title: What it allows, in one sentence.
        needs: Parameters it must be given, in the order of its conditions.
        fixed: Conditions that are always there.
        approvers: How many organisations must be named in `approvals`.
    """

    name: str
    title: str
    needs: tuple[str, ...]
    fixed: tuple[str, ...] = ()
    approvers: int = 1


_JOB = ("project", "researchers", "minimum_tier", "runtimes", "output_policies", "approvals")

TEMPLATES = {
    item.name: item
    for item in (
        Template(
            "named-researchers",
            "Named people may run approved jobs of one project as often as they are approved.",
            _JOB,
        ),
        Template(
            "one-run-per-approval",
            "Each approval is good for one run: a job that failed is approved again.",
            _JOB,
            fixed=("context.attempt == 1",),
        ),
        Template(
            "hardware-tcb-floors",
            "Approved jobs on hardware of one product, patched at least as far as given.",
            (
                *_JOB,
                "evidence_kinds",
                "platform",
                "floors",
                "maximum_vmpl",
                "maximum_collateral_age_seconds",
            ),
            fixed=('context.tier == "hardware"',),
        ),
        Template(
            "two-organisations",
            "Two or more organisations must each approve the very job.",
            _JOB,
            approvers=2,
        ),
        Template(
            "limited-use",
            "Approved jobs, each data set a limited number of times and within its budget.",
            (*_JOB, "maximum_uses", "minimum_epsilon_micro"),
        ),
        Template(
            "synthetic-rehearsal",
            "Anybody of a project may run on data labelled synthetic, without approval.",
            ("project", "minimum_tier", "runtimes", "output_policies"),
            fixed=('resource.label == "synthetic"',),
            approvers=0,
        ),
    )
}


def _set(values: tuple[str, ...]) -> str:
    return "[" + ", ".join(f'"{value}"' for value in values) + "]"


_LINES: dict[str, Callable[[TemplateParameters], list[str]]] = {
    "project": lambda given: [f'context.project == "{given.project}"'],
    "researchers": lambda given: [f"{_set(given.researchers)}.contains(principal.name)"],
    "minimum_tier": lambda given: [f"context.tier_rank >= {TIER_RANKS[given.minimum_tier.value]}"],
    "runtimes": lambda given: [f"{_set(given.runtimes)}.contains(context.runtime_digest)"],
    "output_policies": lambda given: [
        f"{_set(given.output_policies)}.contains(context.output_policy_digest)"
    ],
    "approvals": lambda given: [
        f'context.approvals["{name}"] >= {count}' for name, count in sorted(given.approvals.items())
    ],
    "evidence_kinds": lambda given: [
        f"{_set(given.evidence_kinds)}.contains(context.evidence_kind)"
    ],
    "platform": lambda given: [f'context.platform == "{given.platform}"'],
    "floors": lambda given: [
        f'context.tcb["{name}"] >= {least}' for name, least in sorted(given.floors.items())
    ],
    "maximum_vmpl": lambda given: [f"context.vmpl <= {given.maximum_vmpl}"],
    "maximum_collateral_age_seconds": lambda given: [
        f"context.collateral_age_seconds <= {given.maximum_collateral_age_seconds}"
    ],
    "tolerated_advisories": lambda given: [
        f"{_set(given.tolerated_advisories)}.containsAll(context.advisories)"
        if given.tolerated_advisories
        else "context.advisories.isEmpty()"
    ],
    "maximum_uses": lambda given: [f"context.earlier_uses < {given.maximum_uses}"],
    "minimum_epsilon_micro": lambda given: [
        f"context.epsilon_micro_left >= {given.minimum_epsilon_micro}"
    ],
}

_OPTIONAL = ("tolerated_advisories",)
"""Parameters that `hardware-tcb-floors` takes but may do without."""


def render_template(name: str, parameters: TemplateParameters) -> str:
    """Return a template's Cedar text.

    Args:
        name: One of `TEMPLATES`.
        parameters: All that the template needs and nothing else.

    Raises:
        PolicyError: There is no such template, a parameter is missing, or one is not the
            template's.
    """
    template = TEMPLATES.get(name)
    if template is None:
        raise PolicyError(f"no template {name[:60]}.", hint="Known: " + ", ".join(TEMPLATES) + ".")
    plain = TemplateParameters()
    taken = list(template.needs)
    for field in parameters.__struct_fields__:
        value = getattr(parameters, field)
        if field == "minimum_tier":
            continue
        if field in template.needs and value in (None, (), {}):
            raise PolicyError(f"template {name}: {field} is missing; nothing is assumed for it.")
        if field not in template.needs and value != getattr(plain, field):
            if field not in _OPTIONAL or "floors" not in template.needs:
                raise PolicyError(f"template {name} does not take {field}.")
            taken.append(field)
    if len(parameters.approvals) < template.approvers:
        raise PolicyError(f"template {name}: {template.approvers} organisations must approve.")
    for component in parameters.floors:
        if component not in TCB_COMPONENTS:
            raise PolicyError(
                f"template {name}: no TCB component {component[:60]}.",
                hint="Known: " + ", ".join(TCB_COMPONENTS) + ".",
            )
    lines = [line for field in taken for line in _LINES[field](parameters)]
    conditions = " &&\n  ".join((*lines, *template.fixed))
    return (
        f"// {template.title}\n"
        f'@id("{template.name}")\n'
        f'permit (\n  principal,\n  action == ManaTEE::Action::"{RELEASE_KEY}",\n  resource\n)\n'
        f"when {{\n  {conditions}\n}};\n"
    )
