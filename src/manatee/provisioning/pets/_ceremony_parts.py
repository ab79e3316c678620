"""What providers send each other in a ceremony, and what each keeps: read strictly."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec
import pyrage

from manatee.errors import ConflictError, MalformedError, SealingError

FORMAT = "manatee-pseudonym-ceremony/1"
MAX_PART_BYTES = 65_536
MIN_PROVIDERS = 2

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_HEX = re.compile(r"[0-9a-f]{64}")


class Commitment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Public: who takes part, the age recipient, and the digest that binds the share."""

    format: str
    project: str
    provider: str
    recipient: str
    commitment: str


class Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Private: a provider's share, its age identity, and the others it was given out to."""

    format: str
    project: str
    provider: str
    share: str
    nonce: str
    identity: str
    others: tuple[Commitment, ...] = ()


class Share(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """For one other provider's eyes: a share and what opens its commitment."""

    transcript: str
    provider: str
    share: str
    nonce: str


Everyone = Mapping[str, Commitment]
"""The commitments of all who take part, one's own too, by provider."""

_Part = TypeVar("_Part", Commitment, Kept, Share)


def check_name(text: str, *, what: str) -> None:
    """Refuse what is no name; names become parts of file names. Raises MalformedError."""
    if not _NAME.fullmatch(text):
        raise MalformedError(
            f"{what} must be 1 to 63 characters of a-z, 0-9, '.', '_' and '-', beginning with a "
            "letter or digit."
        )


def check_kept(kept: Kept) -> None:
    """Refuse a damaged private file. Raises MalformedError, without the cause, as `read_part`."""
    try:
        pyrage.x25519.Identity.from_str(kept.identity)
        whole = bool(_HEX.fullmatch(kept.share) and _HEX.fullmatch(kept.nonce))
    except pyrage.IdentityError:
        whole = False
    if not whole:
        raise MalformedError(
            "the ceremony's private file is damaged.", hint="Begin a new ceremony, all of you."
        )


def read_part(text: str, kind: type[_Part], *, what: str) -> _Part:
    """Read one part. Raises MalformedError, without the cause: it could quote a secret."""
    if len(text) <= MAX_PART_BYTES:
        try:
            return msgspec.json.decode(text, type=kind)
        except (msgspec.DecodeError, RecursionError):
            pass
    raise MalformedError(f"{what} was expected and is not one.", hint="Was the file cut short?")


def commitment(kept: Kept) -> Commitment:
    """Return what a provider publishes about its share."""
    recipient = str(pyrage.x25519.Identity.from_str(kept.identity).to_public())
    public = Commitment(
        format=FORMAT,
        project=kept.project,
        provider=kept.provider,
        recipient=recipient,
        commitment="",
    )
    return msgspec.structs.replace(public, commitment=_digest(public, kept.nonce, kept.share))


def _digest(public: Commitment, nonce: str, share: str) -> str:
    parts = [FORMAT, public.project, public.provider, public.recipient, nonce, share]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def everyone(kept: Kept, others: tuple[Commitment, ...]) -> Everyone:
    """Return all who take part, by provider.

    Raises:
        MalformedError: Another project or format, no name, recipient or digest, fewer than two
            providers, or two with the same name, recipient or digest.
    """
    found = {kept.provider: commitment(kept)}
    for public in others:
        if public.format != FORMAT:
            raise MalformedError(f"a commitment must be of the format {FORMAT}.")
        if public.project != kept.project:
            raise MalformedError(
                f"a commitment of project {kept.project!r} was expected, and one is of another.",
                hint="Every provider must begin with the same --project.",
            )
        check_name(public.provider, what="a provider's name")
        try:
            pyrage.x25519.Recipient.from_str(public.recipient)
        except pyrage.RecipientError as error:
            raise MalformedError("a commitment names no age recipient.") from error
        if not _HEX.fullmatch(public.commitment):
            raise MalformedError("a commitment must be 64 hexadecimal digits.")
        if any(_alike(public, other) for other in found.values()):
            raise MalformedError(
                "two commitments share a provider, recipient or value.",
                hint="Give the commitment of each other provider once, and not your own.",
            )
        found[public.provider] = public
    if len(found) < MIN_PROVIDERS:
        raise MalformedError("a ceremony needs at least two providers.")
    return found


def _alike(one: Commitment, other: Commitment) -> bool:
    return (
        one.provider == other.provider
        or one.recipient == other.recipient
        or one.commitment == other.commitment
    )


def transcript(found: Everyone) -> str:
    """Return the digest of all commitments."""
    lines = [msgspec.to_builtins(found[name]) for name in sorted(found)]
    return hashlib.sha256(json.dumps(lines, sort_keys=True).encode()).hexdigest()


def seal_share(kept: Kept, of: str, recipient: str) -> str:
    """Encrypt one's own share for one recipient, for the ceremony with that transcript."""
    share = Share(transcript=of, provider=kept.provider, share=kept.share, nonce=kept.nonce)
    to = pyrage.x25519.Recipient.from_str(recipient)
    return base64.b64encode(pyrage.encrypt(msgspec.json.encode(share), [to])).decode()


def open_share(kept: Kept, found: Everyone, sealed: str) -> tuple[str, bytes]:
    """Open another provider's share and hold it to its commitment.

    Returns:
        The provider's name and 32 bytes.

    Raises:
        SealingError: It does not open.
        MalformedError: What was opened is no share.
        ConflictError: It is of another ceremony, or not the one that was committed to.
    """
    identity = pyrage.x25519.Identity.from_str(kept.identity)
    try:
        text = pyrage.decrypt(base64.b64decode(sealed.strip(), validate=True), [identity])
    except (pyrage.DecryptError, binascii.Error, ValueError) as error:
        raise SealingError(
            "a share did not open: meant for someone else, or damaged.",
            hint="Give the shares that the others made for you.",
        ) from error
    share = read_part(bytes(text).decode(errors="replace"), Share, what="a share")
    public = found.get(share.provider)
    if public is None or share.transcript != transcript(found):
        raise ConflictError(
            "a share belongs to another ceremony.",
            hint="Every provider must have given the same commitments to `share`.",
        )
    if not _HEX.fullmatch(share.share) or not _HEX.fullmatch(share.nonce):
        raise MalformedError("a share must be 32 bytes.")
    if not hmac.compare_digest(_digest(public, share.nonce, share.share), public.commitment):
        raise ConflictError(
            "a share is not the one its provider committed to.",
            hint="That provider may have tried to choose the secret; ask, and begin anew.",
        )
    return share.provider, bytes.fromhex(share.share)
