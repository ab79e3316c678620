"""Looks whether people, what they are, and what they prove it with are as was decided."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from manatee.errors import MalformedError
from manatee.records import Quota, digest_bytes, digest_record, unbase64
from manatee.store._audited_trail import BROKEN, CHANGED, GONE, STRANGE, Problem, Trail
from manatee.store._credentials import invitation_digest, password_digest
from manatee.store._moments import moment_of
from manatee.store._passkeys import passkey_digest
from manatee.store._schema import (
    AccountRow,
    AllowanceRow,
    ApprovalKeyRow,
    InvitationRow,
    LinkRow,
    MembershipRow,
    OrganisationRow,
    PasskeyRow,
    PasswordRow,
    TokenRow,
)
from manatee.store._tokens import issued_digest


def people(trail: Trail, session: Session) -> Iterator[Problem]:
    """Yield what is wrong with accounts, organisations and memberships."""
    accounts = {row.name: row for row in session.scalars(select(AccountRow))}
    organisations = dict(
        session.execute(select(OrganisationRow.name, OrganisationRow.created_at)).all()
    )
    yield from (
        (f"accounts {name}", GONE) for name in sorted(trail.accounts.keys() - accounts.keys())
    )
    for name, account in sorted(accounts.items()):
        home = trail.accounts.get(name)
        if home is None and not trail.left_out(account.created_at):
            yield f"accounts {name}", STRANGE
        elif home not in (None, account.organisation):
            yield f"accounts {name}", CHANGED
        elif account.disabled is not (name in trail.disabled):
            yield f"accounts {name}", "is disabled or not, other than was decided"
    for name in sorted(trail.organisations - organisations.keys()):
        yield f"organisations {name}", GONE
    for name in sorted(organisations.keys() - trail.organisations):
        if not trail.left_out(organisations[name]):
            yield f"organisations {name}", STRANGE
    members = {
        (row.account, row.organisation, row.role): row.expires_at
        for row in session.scalars(select(MembershipRow))
    }
    for key, until in trail.members.items():
        where = f"memberships {'/'.join(key)}"
        if key not in members:
            yield where, GONE
        elif until != _until(members[key]):
            yield where, CHANGED
    for key in sorted(members.keys() - trail.members.keys()):
        made_at = accounts[key[0]].created_at if key[0] in accounts else "9"
        if not trail.left_out(made_at):
            yield f"memberships {'/'.join(key)}", STRANGE


def secrets(trail: Trail, session: Session) -> Iterator[Problem]:
    """Yield what is wrong with tokens, invitations, credentials and approvers' keys."""
    created = dict(session.execute(select(AccountRow.name, AccountRow.created_at)).all())

    def strange(account: str) -> bool:
        return not trail.left_out(created.get(account, "9"))

    for token in session.scalars(select(TokenRow)):
        issued = trail.tokens.get(token.account, set())
        # of before events named whose, what for and until when
        plain = digest_bytes(token.digest.encode())
        if not issued & {issued_digest(token), plain} and strange(token.account):
            yield f"tokens of {token.account}", STRANGE
    for invitation in session.scalars(select(InvitationRow)):
        if trail.invitations.get(invitation.account) != invitation_digest(invitation):
            yield f"invitations of {invitation.account}", STRANGE
    for password in session.scalars(select(PasswordRow)):
        expected = trail.passwords.get(password.account)
        if expected is None and strange(password.account):
            yield f"passwords of {password.account}", STRANGE
        elif expected not in (None, password_digest(password)):
            yield f"passwords of {password.account}", CHANGED
    for passkey in session.scalars(select(PasskeyRow)):
        known = trail.passkeys.get(passkey.account, set())
        if passkey_digest(passkey) not in known and strange(passkey.account):
            yield f"passkeys of {passkey.account}", STRANGE
    linked = dict(
        session.execute(select(LinkRow.account, func.count()).group_by(LinkRow.account)).all()
    )
    for account in sorted(linked.keys() | trail.links.keys()):
        found, wanted = linked.get(account, 0), trail.links.get(account, 0)
        if found != wanted and (found < wanted or strange(account)):
            yield f"identity_links of {account}", STRANGE if found > wanted else GONE
    yield from _approvers(trail, session)


def _approvers(trail: Trail, session: Session) -> Iterator[Problem]:
    made = dict(session.execute(select(OrganisationRow.name, OrganisationRow.created_at)).all())
    found = set()
    for key in session.scalars(select(ApprovalKeyRow)):
        where = f"approval_keys of {key.provider}"
        try:
            pair = key.provider, digest_bytes(unbase64(key.public_key))
        except MalformedError:
            yield where, BROKEN
            continue
        found.add(pair)
        if pair not in trail.approvers and not trail.left_out(made.get(key.provider, "9")):
            yield where, STRANGE
    for provider, _ in sorted(trail.approvers - found):
        yield f"approval_keys of {provider}", GONE


def quotas(trail: Trail, session: Session) -> Iterator[Problem]:
    """Yield which limits are not those that were set."""
    found = {}
    for row in session.scalars(select(AllowanceRow)):
        limits = Quota(
            jobs=row.max_jobs,
            guest_seconds=row.max_guest_seconds,
            stored_bytes=row.max_stored_bytes,
        )
        found[row.kind, row.name] = digest_record(limits)
    none = digest_record(Quota())
    for key in sorted(found.keys() | trail.quotas.keys()):
        known = key in trail.quotas
        wanted = trail.quotas.get(key, none)
        if found.get(key, none) != wanted and (known or not trail.allow_older):
            yield f"allowances {'/'.join(key)}", CHANGED


def _until(seconds: float | None) -> str:
    return "" if seconds is None else moment_of(seconds)
