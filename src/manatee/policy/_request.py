"""Facts as one Cedar request per data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from manatee._clock import timestamp
from manatee.policy._facts import EvidenceFacts, ReleaseFacts
from manatee.policy._vocabulary import (
    ACTION,
    DATASET,
    ORGANISATION,
    RELEASE_KEY,
    RESEARCHER,
    TCB_COMPONENTS,
    TIER_RANKS,
    UNKNOWN_HIGH,
    UNKNOWN_LOW,
    UNKNOWN_MEMBER,
)
from manatee.records import DatasetManifest, dataset_version


@dataclass(frozen=True)
class CedarRequest:
    """A request and its entities in the Cedar engine's JSON form."""

    request: dict[str, Any]
    entities: list[dict[str, Any]]

    @property
    def context(self) -> dict[str, Any]:
        """What the request knows."""
        found: dict[str, Any] = self.request["context"]
        return found


def uid(kind: str, name: str) -> dict[str, str]:
    """Return an entity's name in the engine's JSON form."""
    return {"type": kind, "id": name}


def moment(text: str) -> dict[str, dict[str, str]]:
    """Return a Cedar datetime in the engine's JSON form."""
    return {"__extn": {"fn": "datetime", "arg": text}}


def assemble(
    *,
    researcher: str,
    organisation: str | None,
    dataset: Mapping[str, str],
    context: dict[str, Any],
) -> CedarRequest:
    """Put a request together.

    Args:
        researcher: Who asks.
        organisation: Theirs, or None.
        dataset: `provider`, `name`, `version` and `label`.
        context: As the schema has it.
    """
    principal = uid(RESEARCHER, researcher)
    resource = uid(DATASET, dataset["name"])
    attributes = {"name": researcher}
    entities: list[dict[str, Any]] = [{"uid": resource, "attrs": dict(dataset), "parents": []}]
    parents = []
    if organisation is not None:
        attributes["organisation"] = organisation
        parents = [uid(ORGANISATION, organisation)]
        entities.append({"uid": parents[0], "attrs": {}, "parents": []})
    entities.append({"uid": principal, "attrs": attributes, "parents": parents})
    request = {
        "principal": principal,
        "action": uid(ACTION, RELEASE_KEY),
        "resource": resource,
        "context": context,
    }
    return CedarRequest(request, entities)


def cedar_request(
    facts: ReleaseFacts,
    evidence: EvidenceFacts,
    dataset: DatasetManifest,
    approvals: Mapping[str, int],
) -> CedarRequest:
    """Return the request for one data set.

    Args:
        facts: Of the whole request.
        evidence: Its evidence.
        dataset: The one asked for.
        approvals: Organisation to its number of valid approvals of this job.
    """
    manifest = facts.manifest
    context: dict[str, Any] = {
        "at": moment(timestamp(facts.at)),
        "evidence_kind": evidence.kind,
        "tier": facts.tier.value,
        "tier_rank": TIER_RANKS[facts.tier.value],
        "measurements": sorted(f"{name}:{value}" for name, value in evidence.measurements.items()),
        "platform": evidence.platform,
        "chip_id": evidence.chip_id,
        "tcb": {name: _low(evidence.tcb.get(name)) for name in TCB_COMPONENTS},
        "tcb_status": evidence.tcb_status,
        "advisories": (
            [UNKNOWN_MEMBER] if evidence.advisories is None else sorted(set(evidence.advisories))
        ),
        "debug": evidence.debug,
        "migration": evidence.migration,
        "vmpl": _high(evidence.vmpl),
        "collateral_age_seconds": _high(evidence.collateral_age_seconds),
        "gpu": evidence.gpu,
        "insecure_settings": sorted(set(facts.insecure_settings)),
        "runtime_digest": manifest.runtime_digest,
        "output_policy_digest": manifest.output_policy_digest,
        "project": manifest.project,
        "purpose": manifest.purpose,
        "backend_kind": manifest.backend_kind,
        "attempt": _high(facts.attempt),
        "approvals": dict(approvals),
        "earlier_uses": _high((facts.earlier_uses or {}).get(dataset.name)),
        "epsilon_micro_left": _low((facts.epsilon_micro_left or {}).get(dataset.name)),
    }
    return assemble(
        researcher=manifest.researcher,
        organisation=facts.organisation,
        dataset={
            "provider": dataset.provider,
            "name": dataset.name,
            "version": dataset_version(dataset),
            "label": dataset.label,
        },
        context=context,
    )


def _high(value: int | None) -> int:
    """Return a number, or the worst one where less is better and it is unknown or impossible."""
    return UNKNOWN_HIGH if value is None or value < 0 else min(value, UNKNOWN_HIGH)


def _low(value: int | None) -> int:
    """Return a number, or the worst one where more is better and it is unknown or impossible."""
    return UNKNOWN_LOW if value is None or value < 0 else min(value, UNKNOWN_HIGH)
