"""What was decided, by whom and when: the entries of the installation's audit log."""

from typing import Literal

from manatee.records._base import Count, Moment, Name, Record
from manatee.records._digests import DigestText

AuditAction = Literal[
    "account-added",
    "account-disabled",
    "account-enabled",
    "token-issued",
    "tokens-revoked",
    "account-invited",
    "credential-set",
    "credential-removed",
    "approver-added",
    "organisation-added",
    "member-set",
    "member-ended",
    "quota-set",
    "dataset-published",
    "project-proposed",
    "project-agreed",
    "project-stopped",
    "job-submitted",
    "job-approved",
    "job-rejected",
    "job-cancelled",
    "key-requested",
    "key-released",
    "key-denied",
    "key-failed",
    "outputs-reviewed",
    "job-ended",
]

LOCAL_OPERATOR = "local-operator"
"""Who acts on the machine that holds the database, with no token."""

SERVICE = "service"
"""Who acts where nobody decides: the reconcilers."""


class AuditEvent(Record, frozen=True, kw_only=True):
    """One decision. Holds names and digests: no value, no secret, nothing that code can choose.

    Attributes:
        number: From 1, without gaps; its entry in the log has the index below.
        at: When.
        actor: The account that acted, or `LOCAL_OPERATOR`, or `SERVICE`.
        action: What was done.
        outcome: How it went, in a word that the action has: a role, a decision, a state; of keys,
            the broker that was asked.
        organisation: For or about which.
        project: In which.
        job: About which.
        datasets: About which.
        person: About whom.
        digest: Of what was decided on: the manifest, approval, review, project, publication,
            quota, token, invitation, password or passkey as it is kept; of a job that ended, of its
            whole history and what it left; of keys that a broker released, of
            the entry that its own log holds.
    """

    format_version: Literal[1] = 1
    number: Count
    at: Moment
    actor: Name
    action: AuditAction
    outcome: str = ""
    organisation: Name | None = None
    project: Name | None = None
    job: str | None = None
    datasets: tuple[Name, ...] = ()
    person: Name | None = None
    digest: DigestText | None = None


class AuditPage(Record, frozen=True, kw_only=True):
    """Audit events in order; `next_after` asks for the next page, None ends.

    Newest first, it is the next page's `before`.

    `logged` says how many events the log holds so far; those after it follow in a moment.
    """

    events: tuple[AuditEvent, ...]
    next_after: int | None
    logged: Count
