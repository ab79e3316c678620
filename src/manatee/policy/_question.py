"""A request written by hand, to ask a policy what it would say; what is left out is unknown."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from manatee.policy._request import CedarRequest, assemble, moment
from manatee.policy._vocabulary import (
    TCB_COMPONENTS,
    TIER_RANKS,
    UNKNOWN_HIGH,
    UNKNOWN_LOW,
    UNKNOWN_MEMBER,
)
from manatee.records import DigestText, Label, Record, Tier
from manatee.records._base import Moment, Name, Text

High = Annotated[int, msgspec.Meta(ge=0, le=UNKNOWN_HIGH)]
Low = Annotated[int, msgspec.Meta(ge=UNKNOWN_LOW, le=UNKNOWN_HIGH)]


class PolicyQuestion(Record, frozen=True, kw_only=True):
    """One request for one data set's key, in the words of the policy vocabulary.

    Attributes are those of `release.cedarschema`. What has a default is, if left out, what a
    broker would make of evidence that does not say it.
    """

    researcher: Name
    organisation: Name | None = None
    dataset: Name
    dataset_version: DigestText
    label: Label
    at: Moment
    tier: Tier
    project: Name
    purpose: Text
    runtime_digest: DigestText
    output_policy_digest: DigestText
    backend_kind: Name
    evidence_kind: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    measurements: dict[str, str] = msgspec.field(default_factory=dict)
    platform: str = ""
    chip_id: str = ""
    tcb: dict[str, Low] = msgspec.field(default_factory=dict)
    tcb_status: str = ""
    advisories: tuple[str, ...] = (UNKNOWN_MEMBER,)
    debug: bool = False
    migration: bool = False
    vmpl: High = UNKNOWN_HIGH
    collateral_age_seconds: High = UNKNOWN_HIGH
    gpu: bool = False
    insecure_settings: tuple[str, ...] = ()
    attempt: High = UNKNOWN_HIGH
    approvals: dict[Name, Annotated[int, msgspec.Meta(ge=0, le=50)]] = msgspec.field(
        default_factory=dict
    )
    earlier_uses: High = UNKNOWN_HIGH
    epsilon_micro_left: Low = UNKNOWN_LOW


def question_request(
    question: PolicyQuestion, *, provider: str, organisations: tuple[str, ...]
) -> CedarRequest:
    """Return the Cedar request of a question.

    Args:
        question: As read.
        provider: Whose data set it is taken to be.
        organisations: Whose approvals the policy counts; nobody else's are told to it.
    """
    plain = msgspec.to_builtins(question)
    context: dict[str, Any] = {
        name: plain[name]
        for name in (
            "evidence_kind",
            "tier",
            "platform",
            "chip_id",
            "tcb_status",
            "debug",
            "migration",
            "vmpl",
            "collateral_age_seconds",
            "gpu",
            "runtime_digest",
            "output_policy_digest",
            "project",
            "purpose",
            "backend_kind",
            "attempt",
            "earlier_uses",
            "epsilon_micro_left",
        )
    }
    context |= {
        "at": moment(question.at),
        "tier_rank": TIER_RANKS[question.tier.value],
        "measurements": sorted(f"{name}:{value}" for name, value in question.measurements.items()),
        "tcb": {name: question.tcb.get(name, UNKNOWN_LOW) for name in TCB_COMPONENTS},
        "advisories": sorted(set(question.advisories)),
        "insecure_settings": sorted(set(question.insecure_settings)),
        "approvals": {name: question.approvals.get(name, 0) for name in organisations},
    }
    return assemble(
        researcher=question.researcher,
        organisation=question.organisation,
        dataset={
            "provider": provider,
            "name": question.dataset,
            "version": question.dataset_version,
            "label": question.label,
        },
        context=context,
    )
