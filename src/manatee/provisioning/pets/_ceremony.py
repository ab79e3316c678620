"""One pseudonym secret for several providers, chosen by none of them.

1. `begin`: each provider draws a share and publishes a commitment to it (SHA-256 over project,
   provider, age recipient, nonce and share).
2. `share`: having everyone's commitment, each encrypts its share to each other's recipient (age).
   The commitments are then fixed: one that changes later is refused.
3. `accept`: each opens the others' shares, compares them with their commitments, and derives the
   secret from all shares. Each reads its own code aloud, over a channel where the others know its
   voice; the secret is written only when the codes heard from all others are right. Then the
   share is forgotten, so that nobody who steals the machine later can do the ceremony again.

Attacks named: one who only reads along (shares are encrypted, commitments hide them); a provider
that waits to choose its share after seeing others' (the commitment binds it); one that repeats
another's commitment as its own (recipient and name are inside; each must differ); someone between
them who swaps recipients or shares (the secrets differ, and so do the codes: 80 bits, which the
commitments leave one try to guess); a share of another ceremony (the transcript is inside the
ciphertext); a person who types what their own screen shows (each provider's code is another). Not
prevented: a provider that learns the secret first may walk away and begin anew, visibly; and any
one provider can publish the secret.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import pyrage

from manatee.errors import ConflictError, MalformedError
from manatee.provisioning.pets._ceremony_parts import (
    FORMAT,
    Commitment,
    Kept,
    check_kept,
    check_name,
    commitment,
    everyone,
    open_share,
    read_part,
    seal_share,
    transcript,
)
from manatee.provisioning.pets._private_files import read_private, write_private
from manatee.provisioning.pets._project_keys import (
    SECRET_BYTES,
    SharedKey,
    derive,
    grouped,
    write_shared_key,
)

CODE_DIGITS = 20
"""Hexadecimal digits that are read aloud: 80 bits."""


def begin(state: Path, *, project: str, provider: str) -> str:
    """Draw a share, keep it in a new private file, and return the commitment for the others.

    Raises:
        MalformedError: A name that is not of a-z, 0-9, '.', '_' and '-'.
        ConflictError: The file exists: a ceremony is not begun twice.
        SettingsError: The file cannot be written.
    """
    check_name(project, what="the project's name")
    check_name(provider, what="the provider's name")
    kept = Kept(
        format=FORMAT,
        project=project,
        provider=provider,
        share=secrets.token_bytes(SECRET_BYTES).hex(),
        nonce=secrets.token_bytes(SECRET_BYTES).hex(),
        identity=str(pyrage.x25519.Identity.generate()),
    )
    write_private(state, msgspec.json.encode(kept).decode())
    return msgspec.json.encode(commitment(kept)).decode()


def provider_of(state: Path) -> str:
    """Return whose ceremony a file of `begin` is. Raises as `share` for a file that is none."""
    return _kept(state).provider


def share(state: Path, commitments: Sequence[str]) -> dict[str, str]:
    """Fix the commitments and return the own share, encrypted for each other provider by name.

    May be called again with the same commitments.

    Args:
        state: The file that `begin` made.
        commitments: Those of all the others, as `begin` returned them there.

    Raises:
        MalformedError: No commitments of one project, or two of one provider or recipient.
        ConflictError: Other commitments than those this ceremony was fixed to.
        SettingsError: The state cannot be read or written.
    """
    kept = _kept(state)
    others = tuple(read_part(text, Commitment, what="a commitment") for text in commitments)
    found = everyone(kept, others)
    told = transcript(found)
    if kept.others and transcript(everyone(kept, kept.others)) != told:
        raise ConflictError(
            "the commitments differ from those the share was given out for.",
            hint="Someone changed theirs; begin a new ceremony, all of you.",
        )
    fixed = msgspec.structs.replace(kept, others=others)
    write_private(state, msgspec.json.encode(fixed).decode(), replace=True)
    return {
        name: seal_share(kept, told, public.recipient)
        for name, public in found.items()
        if name != kept.provider
    }


def accept(state: Path, shares: Sequence[str], *, heard: Mapping[str, str], key: Path) -> str:
    """Derive the common secret; write it once the codes of all others were heard.

    Effects: with `heard`, writes `key` and removes `state`; without, writes nothing.

    Args:
        state: The file that `begin` made.
        shares: One from each other provider, encrypted for this one.
        heard: What each other provider read aloud, by name; empty to only learn one's own code.
        key: The shared key's new file.

    Returns:
        The code of this provider, to be read aloud to all others.

    Raises:
        SealingError: A share that does not open.
        MalformedError: Codes of other providers than those that take part.
        ConflictError: A share that is not the committed one, is missing or of another ceremony;
            a code that differs; or `key` exists.
        SettingsError: The state cannot be read, or the key not written.
    """
    kept = _kept(state)
    if not kept.others:
        raise ConflictError(
            "this provider has not given its share out.",
            hint="Run `share` first, with the commitments of all others.",
        )
    found = everyone(kept, kept.others)
    opened = {kept.provider: bytes.fromhex(kept.share)}
    for sealed in shares:
        name, part = open_share(kept, found, sealed)
        if name in opened:
            raise ConflictError("a provider's share is there twice, or is one's own.")
        opened[name] = part
    missing = sorted(set(found) - set(opened))
    if missing:
        raise ConflictError(f"a share of every provider is needed; missing: {', '.join(missing)}.")
    secret = derive(
        b"".join(opened[name] for name in sorted(opened)),
        b"ceremony",
        kept.project.encode(),
        salt=bytes.fromhex(transcript(found)),
    )
    own = code(secret, kept.provider)
    if heard:
        others = {public.provider: code(secret, public.provider) for public in kept.others}
        _compare(heard, others, own)
        write_shared_key(key, SharedKey(kept.project, secret))
        state.unlink()
    return own


def code(secret: bytes, provider: str) -> str:
    """Return what a provider reads aloud; it reveals nothing of the secret or others' codes."""
    told = hashlib.sha256(derive(secret, b"spoken", provider.encode())).hexdigest()
    return grouped(told[:CODE_DIGITS])


def _compare(heard: Mapping[str, str], codes: Mapping[str, str], own: str) -> None:
    if set(heard) != set(codes):
        raise MalformedError(
            f"the codes of {', '.join(sorted(codes))} are needed, heard from each of them."
        )
    for name in sorted(codes):
        if _same(heard[name], own):
            raise MalformedError(
                f"this provider's own code was given as that of {name!r}.",
                hint=f"Ask {name} to read aloud what their screen shows.",
            )
        if not _same(heard[name], codes[name]):
            raise ConflictError(
                f"the code of {name!r} is not the one expected: you do not hold the same secret. "
                "Nothing was written.",
                hint="Read it once more. If it still differs, somebody may stand between you: "
                "begin a new ceremony over another channel.",
            )


def _same(heard: str, told: str) -> bool:
    plain = "".join(heard.lower().replace("-", " ").split())
    return hmac.compare_digest(plain.encode(), told.replace(" ", "").encode())


def _kept(state: Path) -> Kept:
    kept = read_part(read_private(state), Kept, what="the ceremony's private file")
    if kept.format != FORMAT:
        raise MalformedError(f"the ceremony's private file must be of the format {FORMAT}.")
    check_kept(kept)
    return kept
