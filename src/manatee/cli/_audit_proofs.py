"""What an auditor checks of the service's word: each event's place, and that there is one log."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from manatee.errors import ForkError, LedgerError, NotFoundError, SettingsError

if TYPE_CHECKING:
    from manatee.client import ManateeClient
    from manatee.ledger import Checkpoint, LogTrust, SignedCheckpoint
    from manatee.records import AuditEvent

_WAIT_SECONDS = 10.0
"""How long an event of a moment ago may take into the log."""

_TRIES = 20
"""A log that grows between two questions is asked again."""


def prove_events(
    client: ManateeClient, events: Sequence[AuditEvent], trust: LogTrust, kept: Path | None
) -> SignedCheckpoint:
    """Prove that events are in the log at the places of their numbers, all in one log.

    Args:
        client: The auditor's.
        events: As the service lists them.
        trust: Which log to believe.
        kept: A checkpoint file from the last time; it becomes the newest one once all holds. It is
            made where there is none.

    Returns:
        The newest checkpoint.

    Raises:
        ForkError: The log signed trees that do not follow from one another.
        LedgerError: An event is not in the log, or elsewhere; or the log is shorter than it was.
        SettingsError: The file cannot be read or written.
    """
    trees = [_place_of(client, event, trust) for event in events]
    if kept is not None and (before := _read_kept(kept, trust)) is not None:
        trees.append(before)
    newest = _follow_up(client, trees, trust)
    if kept is not None:
        _keep(kept, newest)
    return newest


def _place_of(client: ManateeClient, event: AuditEvent, trust: LogTrust) -> Checkpoint:
    """Prove an event's place; returns the tree that it was proved in."""
    from manatee._clock import monotonic
    from manatee.ledger import parse_log_proof, verify_log_proof
    from manatee.records import canonical_json

    deadline = monotonic() + _WAIT_SECONDS
    while True:
        try:
            proof = client.audit_proof(event.number)
            break
        except NotFoundError:
            if monotonic() > deadline:
                raise
            time.sleep(0.2)
    held = verify_log_proof(proof, canonical_json(event), trust)
    if held.index != event.number - 1:
        raise LedgerError(
            f"event {event.number} stands in the log in another place than its number says."
        )
    return parse_log_proof(proof).signed.checkpoint


def _follow_up(
    client: ManateeClient, trees: Sequence[Checkpoint], trust: LogTrust
) -> SignedCheckpoint:
    """Check that one tree follows from all of these; returns it."""
    from manatee.ledger import EMPTY_ROOT, Checkpoint, verify_growth

    known: dict[int, Checkpoint] = {}
    for tree in trees:
        if known.setdefault(tree.size, tree).root != tree.root:
            raise ForkError(f"the log signed two trees of {tree.size} events.")
    begin = known or {0: Checkpoint(trust.origin, 0, EMPTY_ROOT)}
    for _ in range(_TRIES):
        grown = [
            verify_growth(client.audit_growth(size), tree, trust) for size, tree in begin.items()
        ]
        sizes = {item.checkpoint.size for item in grown}
        if len(sizes) == 1:
            if len({item.checkpoint.root for item in grown}) > 1:
                raise ForkError(f"the log signed two trees of {sizes.pop()} events.")
            return grown[0]
    raise LedgerError("the log grew faster than it could be looked at.", hint="Try again.")


def _read_kept(path: Path, trust: LogTrust) -> Checkpoint | None:
    from manatee.ledger import parse_checkpoint, parse_key, verify_checkpoint

    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}).") from error
    signed = parse_checkpoint(data)
    return verify_checkpoint(signed, origin=trust.origin, key=parse_key(trust.log_key))


def _keep(path: Path, newest: SignedCheckpoint) -> None:
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_bytes(newest.encode())
        temporary.replace(path)
    except OSError as error:
        raise SettingsError(f"{path} cannot be written ({error.strerror}).") from error
