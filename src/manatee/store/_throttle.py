"""Rates of attempts to sign in, counted in the database: all processes of the API share them.

An address has one, against many names tried from one place. An account has one for all addresses
it is not known at, so that a stranger's guesses use up the strangers' attempts: whoever signed in
from an address before has attempts of their own there. Passkeys and identity providers are not
counted by account, since nothing about them can be guessed.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math

from sqlalchemy import delete
from sqlalchemy.orm import Session

from manatee.errors import TooManyAttemptsError
from manatee.identity import Rate, next_free
from manatee.store._schema import KnownAddressRow, RateRow

PER_ACCOUNT = Rate(burst=5, seconds=30)
PER_ADDRESS = Rate(burst=20, seconds=3)

KNOWN_SECONDS = 90 * 86400
"""How long an address stays known."""


def _network(address: str) -> str:
    """Return what one caller has: an IPv4 address, or an IPv6 network of 64 bits."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _known(name: str, address: str) -> str:
    return _digest("known", name, _network(address))


def take_attempt(session: Session, now: float, *, address: str, name: str | None = None) -> None:
    """Take one attempt, in a transaction of its own and before any work is done.

    Args:
        session: Of a write transaction.
        now: The present moment, in seconds.
        address: From which it comes.
        name: Of the account, whether there is one or not; None: not told.

    Raises:
        TooManyAttemptsError: Not now; says after how many seconds. Nothing was taken.
    """
    rates = [(_digest("address", _network(address)), PER_ADDRESS)]
    if name is not None:
        seen = session.get(KnownAddressRow, _known(name, address))
        fresh = seen is not None and seen.seen_at > now - KNOWN_SECONDS
        whose = ("pair", name, _network(address)) if fresh else ("account", name)
        rates.append((_digest(*whose), PER_ACCOUNT))
    taken: list[tuple[str, float]] = []
    wait = 0.0
    for digest, rate in rates:
        row = session.get(RateRow, digest)
        free_at, seconds = next_free(rate, row.free_at if row else 0.0, now)
        taken.append((digest, free_at))
        wait = max(wait, seconds)
    if wait > 0:
        raise TooManyAttemptsError(
            "too many attempts to sign in.", retry_seconds=max(1, math.ceil(wait))
        )
    for digest, free_at in taken:
        session.merge(RateRow(digest=digest, free_at=free_at))
    session.execute(delete(RateRow).where(RateRow.free_at < now))


def remember_address(session: Session, now: float, *, account: str, address: str) -> None:
    """Keep that the account was signed in to from there, and let its attempts there be free."""
    session.merge(KnownAddressRow(digest=_known(account, address), account=account, seen_at=now))
    pair = _digest("pair", account, _network(address))
    session.execute(delete(RateRow).where(RateRow.digest == pair))
    session.execute(
        delete(KnownAddressRow).where(
            KnownAddressRow.account == account, KnownAddressRow.seen_at < now - KNOWN_SECONDS
        )
    )
