"""A log's side of witnessing: ask each witness, keep the cosignatures that hold."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from manatee._clock import monotonic
from manatee.errors import (
    LedgerError,
    MalformedError,
    ServiceUnreachableError,
    SettingsError,
)
from manatee.ledger._checkpoint import parse_decimal, verify_cosignature
from manatee.ledger._growth import Growth
from manatee.ledger._ledger import Ledger
from manatee.ledger._note import COSIGNATURE, NoteKey, NoteSignature, parse_key, parse_signatures
from manatee.ledger._sources import TIMEOUT_SECONDS, check_address, request
from manatee.ledger._witness import MAX_REQUEST_BYTES, SIZE_TYPE

MAX_AT_ONCE = 16
"""Witnesses that are asked at the same time."""


@dataclass(frozen=True)
class WitnessAddress:
    """A witness: where it is asked, and the key its answers are believed under."""

    url: str
    key: NoteKey


def parse_witnesses(text: str) -> tuple[WitnessAddress, ...]:
    """Read witnesses as a setting names them: `KEY@URL`, separated by commas.

    Raises:
        SettingsError: One has no key of a witness, or no http address; or stands twice.
    """
    found = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        key, separator, url = item.partition("@http")
        try:
            parsed = parse_key(key)
        except MalformedError as error:
            raise SettingsError(f"a witness is given as KEY@URL; {error.message}") from error
        if not separator or parsed.algorithm != COSIGNATURE:
            raise SettingsError("a witness is given as KEY@URL, with the key of a witness.")
        check_address(f"http{url}")
        found.append(WitnessAddress(f"http{url}", parsed))
    if len({item.key.public for item in found}) != len(found):
        raise SettingsError("a witness is named twice.")
    return tuple(found)


def collect_cosignatures(
    ledger: Ledger, witnesses: Iterable[WitnessAddress], *, timeout: float = TIMEOUT_SECONDS
) -> dict[str, str]:
    """Have the present checkpoint cosigned and publish what holds.

    All are asked at the same time. Effects: network; the ledger's checkpoint file gains the
    cosignatures. A witness that is away or refuses stops nobody else: whether they are enough is
    for whoever verifies to say.

    Args:
        ledger: The log; its checkpoint does not change meanwhile.
        witnesses: Whom to ask.
        timeout: Seconds for all of it, however many they are and however slow.

    Returns:
        Name of each witness that did not cosign, and why.
    """
    asked = tuple(witnesses)
    found: list[NoteSignature] = []
    problems: dict[str, str] = {}
    if not asked:
        return problems
    ends = monotonic() + timeout
    pool = ThreadPoolExecutor(min(len(asked), MAX_AT_ONCE), thread_name_prefix="witness")
    try:
        answers = [(witness, pool.submit(_ask, ledger, witness, ends)) for witness in asked]
        for witness, answer in answers:
            try:
                found.append(answer.result(max(0.0, ends - monotonic())))
            except TimeoutError:
                problems[witness.key.name] = f"no answer within {timeout:g} seconds."
            except (LedgerError, MalformedError, ServiceUnreachableError, SettingsError) as error:
                problems[witness.key.name] = error.message
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # each ends by itself when its time is up
    if found:
        ledger.add_cosignatures(tuple(found))
    return problems


def _ask(ledger: Ledger, witness: WitnessAddress, ends: float) -> NoteSignature:
    signed = ledger.checkpoint()
    status, media_type, body = _post(ledger, witness, 0, ends)
    if status == 409 and media_type == SIZE_TYPE and body.endswith(b"\n"):
        known = parse_decimal(body[:-1].decode("ascii", "replace"), what="the witness's size")
        if known > signed.checkpoint.size:
            raise LedgerError(f"witness {witness.key.name} has seen a larger tree of this log.")
        status, media_type, body = _post(ledger, witness, known, ends)
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
    ledger: Ledger, witness: WitnessAddress, old_size: int, ends: float
) -> tuple[int, str, bytes]:
    left = ends - monotonic()
    if left <= 0:
        raise ServiceUnreachableError(f"witness {witness.key.name} did not answer in time.")
    signed = ledger.checkpoint()
    proof = ledger.reader.consistency(old_size, signed.checkpoint.size)
    return request(
        witness.url,
        "add-checkpoint",
        body=Growth(old_size, proof, signed).encode(),
        at_most=MAX_REQUEST_BYTES,
        timeout=left,
    )
