"""A log's side of witnessing: ask each witness, keep the cosignatures that hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from manatee.errors import LedgerError, MalformedError, ServiceUnreachableError
from manatee.ledger._checkpoint import parse_decimal, verify_cosignature
from manatee.ledger._ledger import Ledger
from manatee.ledger._note import NoteKey, NoteSignature, parse_signatures
from manatee.ledger._sources import TIMEOUT_SECONDS, request
from manatee.ledger._witness import MAX_REQUEST_BYTES, SIZE_TYPE
from manatee.records import to_base64


@dataclass(frozen=True)
class WitnessAddress:
    """A witness: where it is asked, and the key its answers are believed under."""

    url: str
    key: NoteKey


def collect_cosignatures(
    ledger: Ledger, witnesses: Iterable[WitnessAddress], *, timeout: float = TIMEOUT_SECONDS
) -> dict[str, str]:
    """Have the present checkpoint cosigned and publish what holds.

    Effects: network; the ledger's checkpoint file gains the cosignatures. A witness that is away
    or refuses stops nobody else: whether they are enough is for whoever verifies to say.

    Returns:
        Name of each witness that did not cosign, and why.
    """
    found: list[NoteSignature] = []
    problems: dict[str, str] = {}
    for witness in witnesses:
        try:
            found.append(_ask(ledger, witness, timeout))
        except (LedgerError, MalformedError, ServiceUnreachableError) as error:
            problems[witness.key.name] = error.message
    if found:
        ledger.add_cosignatures(tuple(found))
    return problems


def _ask(ledger: Ledger, witness: WitnessAddress, timeout: float) -> NoteSignature:
    signed = ledger.checkpoint()
    status, media_type, body = _post(ledger, witness, 0, timeout)
    if status == 409 and media_type == SIZE_TYPE and body.endswith(b"\n"):
        known = parse_decimal(body[:-1].decode("ascii", "replace"), what="the witness's size")
        if known > signed.checkpoint.size:
            raise LedgerError(f"witness {witness.key.name} has seen a larger tree of this log.")
        status, media_type, body = _post(ledger, witness, known, timeout)
    if status != 200:
        reason = body[:200].decode("ascii", "replace").strip()
        raise LedgerError(f"witness {witness.key.name} answered {status}: {reason}")
    try:
        signatures = parse_signatures(body.decode("utf-8").removesuffix("\n").split("\n"))
    except UnicodeDecodeError as error:
        raise MalformedError("a witness's answer is not UTF-8.") from error
    answered = signed.with_signatures(signatures)
    own = answered.note.by(witness.key)
    if own is None or verify_cosignature(answered, witness.key) is None:
        raise LedgerError(f"witness {witness.key.name} answered without its cosignature.")
    return own


def _post(
    ledger: Ledger, witness: WitnessAddress, old_size: int, timeout: float
) -> tuple[int, str, bytes]:
    signed = ledger.checkpoint()
    proof = ledger.reader.consistency(old_size, signed.checkpoint.size)
    head = "\n".join([f"old {old_size}", *map(to_base64, proof), "", ""])
    return request(
        witness.url,
        "add-checkpoint",
        body=head.encode() + signed.encode(),
        at_most=MAX_REQUEST_BYTES,
        timeout=timeout,
    )
