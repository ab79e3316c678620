"""The rights matrix. The API asks `decide`; the reference page is rendered from `MATRIX`.

What is not in the table is refused. What a caller may not even look at is hidden: the API answers
as if it did not exist, so that nobody learns of other organisations' work by asking.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum
from types import MappingProxyType

from manatee.records import Role


class Standing(Enum):
    """How a person, as a member of one organisation, stands to the thing asked for."""

    SELF = "self"
    """The person's own job."""
    HOME = "home"
    """The organisation's own: its data set, a job or project that uses its data, its members."""
    PARTY = "party"
    """The organisation takes part in the project, without data in it."""
    OTHER = "other"
    """Anything in the installation."""


class Action(Enum):
    """What is asked for."""

    SEE_ORGANISATION = "see an organisation and its members"
    ADD_ORGANISATION = "add an organisation"
    MANAGE_MEMBERS = "add or end a membership"
    SET_QUOTA = "set a quota"
    SEE_PROJECT = "see a project"
    PROPOSE_PROJECT = "propose a project"
    AGREE_PROJECT = "agree to a project"
    STOP_PROJECT = "stop a project"
    SEE_DATASET = "see a data set and its twin"
    PUBLISH_DATASET = "publish a data set"
    SEE_JOB = "see a job"
    SUBMIT_JOB = "submit a job"
    CANCEL_JOB = "cancel a job"
    READ_CODE = "read a job's code"
    READ_RESULT = "read a job's run statement"
    READ_OUTPUTS = "download sealed outputs"
    APPROVE_JOB = "approve or reject a job"
    REVIEW_OUTPUTS = "decide on the release of outputs"
    READ_AUDIT = "read the audit trail"
    READ_METRICS = "read metrics"


class Verdict(Enum):
    """Answer of the matrix."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    HIDDEN = "hidden"


_HOME = frozenset({Standing.HOME})
_PARTY = frozenset({Standing.PARTY})
_ROOM = _HOME | _PARTY
_SELF = frozenset({Standing.SELF})
_ANY = frozenset({Standing.OTHER})
_A = Action

MATRIX: Mapping[Action, Mapping[Role, frozenset[Standing]]] = MappingProxyType(
    {
        _A.SEE_ORGANISATION: {
            "researcher": _HOME,
            "data_provider": _HOME,
            "output_reviewer": _HOME,
            "auditor": _HOME,
            "operator": _ANY,
        },
        _A.ADD_ORGANISATION: {"operator": _ANY},
        _A.MANAGE_MEMBERS: {"operator": _ANY},
        _A.SET_QUOTA: {"operator": _ANY},
        _A.SEE_PROJECT: {
            "researcher": _ROOM,
            "data_provider": _ROOM,
            "output_reviewer": _ROOM,
            "auditor": _ROOM,
            "operator": _ANY,
        },
        _A.PROPOSE_PROJECT: {"researcher": _ROOM, "data_provider": _ROOM},
        _A.AGREE_PROJECT: {"researcher": _PARTY, "data_provider": _ROOM},
        _A.STOP_PROJECT: {"researcher": _ROOM, "data_provider": _ROOM, "operator": _ANY},
        _A.SEE_DATASET: {
            "researcher": _ROOM,
            "data_provider": _ROOM,
            "output_reviewer": _ROOM,
            "auditor": _ROOM,
            "operator": _ANY,
        },
        _A.PUBLISH_DATASET: {"data_provider": _HOME},
        _A.SEE_JOB: {
            "researcher": _SELF,
            "data_provider": _HOME,
            "output_reviewer": _HOME,
            "auditor": _ROOM,
            "operator": _ANY,
        },
        _A.SUBMIT_JOB: {"researcher": _ROOM},
        _A.CANCEL_JOB: {"researcher": _SELF, "operator": _ANY},
        _A.READ_CODE: {"researcher": _SELF, "data_provider": _HOME, "output_reviewer": _HOME},
        _A.READ_RESULT: {
            "researcher": _SELF,
            "data_provider": _HOME,
            "output_reviewer": _HOME,
            "auditor": _ROOM,
        },
        _A.READ_OUTPUTS: {"researcher": _SELF, "output_reviewer": _HOME},
        _A.APPROVE_JOB: {"data_provider": _HOME},
        _A.REVIEW_OUTPUTS: {"output_reviewer": _HOME},
        _A.READ_AUDIT: {"auditor": _ROOM, "operator": _ANY},
        _A.READ_METRICS: {"auditor": _ANY, "operator": _ANY},
    }
)

_SEEN_BY: Mapping[Action, Action] = MappingProxyType(
    {
        _A.STOP_PROJECT: _A.SEE_PROJECT,
        _A.AGREE_PROJECT: _A.SEE_PROJECT,
        _A.SUBMIT_JOB: _A.SEE_PROJECT,
        _A.CANCEL_JOB: _A.SEE_JOB,
        _A.READ_CODE: _A.SEE_JOB,
        _A.READ_RESULT: _A.SEE_JOB,
        _A.READ_OUTPUTS: _A.SEE_JOB,
        _A.APPROVE_JOB: _A.SEE_JOB,
        _A.REVIEW_OUTPUTS: _A.SEE_JOB,
        _A.SEE_ORGANISATION: _A.SEE_ORGANISATION,
        _A.SEE_PROJECT: _A.SEE_PROJECT,
        _A.SEE_DATASET: _A.SEE_DATASET,
        _A.SEE_JOB: _A.SEE_JOB,
    }
)
"""Who may not do the first is told so if the second is allowed, and finds nothing if not.

What is not in here concerns nothing that could be hidden."""


def _allows(roles: Collection[Role], action: Action, standings: Collection[Standing]) -> bool:
    cells = MATRIX.get(action, {})
    return any(not cells.get(role, frozenset()).isdisjoint(standings) for role in roles)


def decide(
    held: Collection[tuple[Collection[Role], Collection[Standing]]], action: Action
) -> Verdict:
    """Return whether somebody may do this.

    Args:
        held: For each organisation that the person belongs to: the roles in it, lapsed ones left
            out, and how the person stands to the thing as its member. `OTHER` need not be named.
        action: What is asked for.
    """
    every = [(roles, {*standings, Standing.OTHER}) for roles, standings in held]
    if any(_allows(roles, action, standings) for roles, standings in every):
        return Verdict.ALLOWED
    seeing = _SEEN_BY.get(action)
    if seeing is None:
        return Verdict.REFUSED
    seen = any(_allows(roles, seeing, standings) for roles, standings in every)
    return Verdict.REFUSED if seen else Verdict.HIDDEN
