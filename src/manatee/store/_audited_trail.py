"""What was decided, replayed from the audit trail event by event."""

from __future__ import annotations

from dataclasses import dataclass, field

from manatee.records import AuditEvent, KeyAnswer

Problem = tuple[str, str]
"""Which row, its table first, and what is wrong with it."""

GONE = "was decided and is not there"
STRANGE = "is there and nobody decided it"
CHANGED = "is not what was decided"
BROKEN = "cannot be read"

_KEY_ANSWERS: dict[str, KeyAnswer] = {
    "key-released": "released",
    "key-denied": "denied",
    "key-failed": "failed",
}


@dataclass
class Trail:
    """What the tables must hold by the events taken in so far.

    Attributes:
        allow_older: Pass over rows that say they are from before the first event. Nothing but
            their own word tells, so a row slipped in may say so too.
        tokens: Digests of an account's tokens that were not revoked.
        versions: A data set's versions in their order, each with its publication's digest.
        unversioned: Digests of publications whose event names no version.
        key_answers: A job's brokers that were asked; each one's answer and decision.
    """

    allow_older: bool = False
    first_at: str = ""
    taken_in: int = 0
    accounts: dict[str, str] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)
    organisations: set[str] = field(default_factory=set)
    members: dict[tuple[str, str, str], str] = field(default_factory=dict)
    tokens: dict[str, set[str]] = field(default_factory=dict)
    invitations: dict[str, str] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)
    passkeys: dict[str, set[str]] = field(default_factory=dict)
    links: dict[str, int] = field(default_factory=dict)
    approvers: set[tuple[str, str]] = field(default_factory=set)
    quotas: dict[tuple[str, str], str] = field(default_factory=dict)
    projects: dict[str, tuple[str, str]] = field(default_factory=dict)
    agreed: set[tuple[str, str]] = field(default_factory=set)
    stopped: dict[str, tuple[str, str]] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    unversioned: dict[str, set[str]] = field(default_factory=dict)
    jobs: dict[str, tuple[str, str]] = field(default_factory=dict)
    ended: dict[str, tuple[str, str]] = field(default_factory=dict)
    key_answers: dict[str, dict[str, tuple[KeyAnswer | None, str]]] = field(default_factory=dict)
    approvals: set[tuple[str, str, str]] = field(default_factory=set)
    reviews: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)

    def left_out(self, made_at: str) -> bool:
        """Return whether to pass over a row that says it was made then."""
        return self.allow_older and (not self.first_at or made_at < self.first_at)

    def take_in(self, event: AuditEvent) -> None:
        """Replay the next event."""
        self.first_at = self.first_at or event.at
        self.taken_in = event.number
        person, organisation = event.person or "", event.organisation or ""
        job, project, digest = event.job or "", event.project or "", event.digest or ""
        match event.action:
            case "account-added":
                self.accounts[person] = organisation
            case "account-disabled":
                self.disabled.add(person)
                self.tokens.pop(person, None)
            case "account-enabled":
                self.disabled.discard(person)
                self.tokens.pop(person, None)
            case "organisation-added":
                self.organisations.add(organisation)
            case "member-set":
                role, _, until = event.outcome.partition(" until ")
                self.members[person, organisation, role] = until
            case "member-ended":
                self.members.pop((person, organisation, event.outcome), None)
            case "token-issued" | "tokens-revoked" | "account-invited":
                self._secret(event, person, digest)
            case "credential-set" | "credential-removed":
                self._credential(event, person, digest)
            case "approver-added":
                self.approvers.add((organisation, digest))
            case "quota-set":
                kind = "project" if project else "organisation"
                self.quotas[kind, project or organisation] = digest
            case "project-proposed":
                self.projects[project] = digest, organisation
                self.agreed.add((project, organisation))
            case "project-agreed":
                self.agreed.add((project, organisation))
            case "project-stopped":
                self.stopped[project] = organisation, digest
            case "dataset-published":
                for dataset in event.datasets:
                    if event.outcome:
                        self.versions.setdefault(dataset, {})[event.outcome] = digest
                    else:
                        self.unversioned.setdefault(dataset, set()).add(digest)
            case "job-submitted":
                self.jobs[job] = digest, organisation
            case "key-requested":
                self.key_answers.setdefault(job, {})[event.outcome] = None, digest
            case "key-released" | "key-denied" | "key-failed":
                answer = _KEY_ANSWERS[event.action]
                self.key_answers.setdefault(job, {})[event.outcome] = answer, digest
            case "job-ended":
                self.ended[job] = event.outcome, digest
            case "job-approved":
                self.approvals.add((job, organisation, digest))
            case "outputs-reviewed":
                self.reviews[job, organisation] = event.actor, digest
            case "job-cancelled" | "job-rejected":
                pass

    def _secret(self, event: AuditEvent, person: str, digest: str) -> None:
        match event.action:
            case "token-issued":
                self.tokens.setdefault(person, set()).add(digest)
            case "tokens-revoked" if digest:
                self.tokens.get(person, set()).discard(digest)
            case "tokens-revoked":
                self.tokens.pop(person, None)
            case "account-invited":
                self.invitations[person] = digest
            case _:
                pass

    def _credential(self, event: AuditEvent, person: str, digest: str) -> None:
        match event.action, event.outcome:
            case "credential-set", "password":
                self.passwords[person] = digest
                # a new password ends what was before, and takes the invitation
                self.tokens.pop(person, None)
                self.invitations.pop(person, None)
            case "credential-set", "password-rehashed":
                self.passwords[person] = digest
            case "credential-set", "passkey":
                self.passkeys.setdefault(person, set()).add(digest)
            case "credential-removed", "passkey":
                self.passkeys.get(person, set()).discard(digest)
            case "credential-set", "provider":
                self.links[person] = self.links.get(person, 0) + 1
                if event.actor == person:
                    self.invitations.pop(person, None)
            case "credential-removed", "provider":
                self.links.pop(person, None)
                self.tokens.pop(person, None)
            case _:
                pass
