"""What a token must be for, action by action: less than its owner may do, never more."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import get_args

from manatee.records import Scope
from manatee.rights._matrix import Action

ALL_SCOPES: frozenset[Scope] = frozenset(get_args(Scope))

SCOPE_OF: Mapping[Action, Scope] = MappingProxyType(
    {
        Action.SEE_ORGANISATION: "read",
        Action.SEE_PROJECT: "read",
        Action.SEE_DATASET: "read",
        Action.SEE_JOB: "read",
        Action.READ_CODE: "read",
        Action.READ_RESULT: "read",
        Action.READ_OUTPUTS: "read",
        Action.READ_AUDIT: "read",
        Action.READ_METRICS: "read",
        Action.SUBMIT_JOB: "submit",
        Action.CANCEL_JOB: "submit",
        Action.PROPOSE_PROJECT: "project",
        Action.AGREE_PROJECT: "project",
        Action.STOP_PROJECT: "project",
        Action.APPROVE_JOB: "approve",
        Action.REVIEW_OUTPUTS: "review",
        Action.PUBLISH_DATASET: "publish",
        Action.ADD_ORGANISATION: "administer",
        Action.MANAGE_MEMBERS: "administer",
        Action.SET_QUOTA: "administer",
    }
)
"""Every action is in here; one that were not would be refused to every token."""


def in_scope(scopes: frozenset[Scope], action: Action) -> bool:
    """Return whether a token of these scopes is for this."""
    return SCOPE_OF.get(action) in scopes
