"""One pseudonym secret for several providers, chosen by none of them.

1. `begin`: each provider draws a share and publishes a commitment to it (SHA-256 over project,
   provider, age recipient, nonce and share).
2. `share`: having everyone's commitment, each encrypts its share to each other's recipient (age).
   The commitments are then fixed: one that changes later is refused.
3. `accept`: each opens the others' shares, compares them with their commitments, and derives the
   secret from all shares. It is written only when the fingerprint that another provider read
   aloud is the same.

Attacks named: a provider that waits to choose its share after seeing others' (the commitment
binds it); one that repeats another's commitment as its own (recipient and name are inside; each
must differ); someone between them who swaps recipients or shares (the secrets then differ, and so
do the fingerprints read aloud); a share of another ceremony (the transcript is inside the
ciphertext). Not prevented: a provider that learns the secret first may walk away and begin anew,
visibly; and any one provider can publish the secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyrage

from manatee.errors import ConflictError, MalformedError, SealingError
from manatee.provisioning.pets._project_keys import (
    SECRET_BYTES,
    derive,
    fingerprint,
    read_private,
    write_private,
)

FORMAT = "manatee-pseudonym-ceremony/1"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_HEX = re.compile(r"[0-9a-f]{64}")
_STATE = frozenset({"format", "project", "provider", "share", "nonce", "identity", "transcript"})
_COMMITMENT = frozenset({"format", "project", "provider", "recipient", "commitment"})
_SHARE = frozenset({"transcript", "provider", "share", "nonce"})


def begin(state: Path, *, project: str, provider: str) -> str:
    """Draw a share, keep it in a new private file, and return the commitment for the others.

    Raises:
        MalformedError: A name that is not of a-z, 0-9, '.', '_' and '-'.
        ConflictError: The file exists: a ceremony is not begun twice.
    """
    if not _NAME.fullmatch(project) or not _NAME.fullmatch(provider):
        raise MalformedError("project and provider must be of a-z, 0-9, '.', '_' and '-'.")
    identity = pyrage.x25519.Identity.generate()
    kept = {
        "format": FORMAT,
        "project": project,
        "provider": provider,
        "share": secrets.token_bytes(SECRET_BYTES).hex(),
        "nonce": secrets.token_bytes(SECRET_BYTES).hex(),
        "identity": str(identity),
        "transcript": "",
    }
    write_private(state, json.dumps(kept))
    return json.dumps(_own(kept))


def _own(kept: Mapping[str, str]) -> dict[str, str]:
    recipient = str(pyrage.x25519.Identity.from_str(kept["identity"]).to_public())
    public = {
        "format": FORMAT,
        "project": kept["project"],
        "provider": kept["provider"],
        "recipient": recipient,
    }
    return {**public, "commitment": _commitment(public, kept["nonce"], kept["share"])}


def _commitment(public: Mapping[str, str], nonce: str, share: str) -> str:
    parts = [FORMAT, public["project"], public["provider"], public["recipient"], nonce, share]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def share(state: Path, commitments: Sequence[str]) -> dict[str, str]:
    """Fix the commitments and return the own share, encrypted for each other provider by name.

    Args:
        state: The file that `begin` made.
        commitments: Those of all the others, as `begin` returned them there.

    Raises:
        MalformedError: No commitments of one project, or two of one provider or recipient.
        ConflictError: Other commitments than those this ceremony was fixed to.
    """
    kept = _kept(state)
    everyone = _everyone(kept, commitments)
    transcript = _transcript(everyone)
    if kept["transcript"] not in {"", transcript}:
        raise ConflictError(
            "the commitments differ from those the share was given out for.",
            hint="Someone changed theirs; begin a new ceremony, all of you.",
        )
    write_private(state, json.dumps({**kept, "transcript": transcript}), replace=True)
    message = {
        "transcript": transcript,
        "provider": kept["provider"],
        "share": kept["share"],
        "nonce": kept["nonce"],
    }
    return {
        name: _seal(json.dumps(message), public["recipient"])
        for name, public in everyone.items()
        if name != kept["provider"]
    }


def _seal(text: str, recipient: str) -> str:
    to = pyrage.x25519.Recipient.from_str(recipient)
    return base64.b64encode(pyrage.encrypt(text.encode(), [to])).decode()


def accept(
    state: Path, commitments: Sequence[str], shares: Sequence[str], *, heard: str | None, key: Path
) -> str:
    """Derive the common secret; write it once its fingerprint was heard from another provider.

    Args:
        state: The file that `begin` made.
        commitments: As for `share`.
        shares: One from each other provider, encrypted for this one.
        heard: The fingerprint another provider read aloud; None to only compute one's own.
        key: The secret's new file.

    Returns:
        The own fingerprint, to be read aloud.

    Raises:
        SealingError: A share that does not open.
        ConflictError: A share that is not the committed one, is missing or of another ceremony;
            a fingerprint that differs; or `key` exists.
    """
    kept = _kept(state)
    everyone = _everyone(kept, commitments)
    transcript = _transcript(everyone)
    if kept["transcript"] != transcript:
        raise ConflictError(
            "the commitments are not those this provider gave its share out for.",
            hint="Run `share` first, with the same commitments.",
        )
    found = {kept["provider"]: bytes.fromhex(kept["share"])}
    for sealed in shares:
        name, part = _open(kept, everyone, transcript, sealed)
        if name in found:
            raise ConflictError("a provider's share is there twice, or is one's own.")
        found[name] = part
    if set(found) != set(everyone):
        raise ConflictError("a share of every provider is needed.")
    secret = derive(
        b"".join(found[name] for name in sorted(found)),
        b"ceremony",
        kept["project"].encode(),
        salt=bytes.fromhex(transcript),
    )
    own = fingerprint(secret)
    if heard is not None:
        if not hmac.compare_digest(heard.replace(" ", "").encode(), own.replace(" ", "").encode()):
            raise ConflictError(
                "the fingerprints differ: you do not hold the same secret. Nothing was written.",
                hint="Somebody may stand between you; begin a new ceremony over another channel.",
            )
        write_private(key, secret.hex())
    return own


def _open(
    kept: Mapping[str, str], everyone: Mapping[str, Mapping[str, str]], transcript: str, sealed: str
) -> tuple[str, bytes]:
    identity = pyrage.x25519.Identity.from_str(kept["identity"])
    try:
        text = pyrage.decrypt(base64.b64decode(sealed, validate=True), [identity])
    except (pyrage.DecryptError, ValueError) as error:
        raise SealingError("a share did not open: meant for someone else, or damaged.") from error
    message = _parse(bytes(text).decode(errors="replace"), _SHARE, what="a share")
    public = everyone.get(message["provider"])
    if public is None or message["transcript"] != transcript:
        raise ConflictError("a share belongs to another ceremony.")
    if not _HEX.fullmatch(message["share"]) or not _HEX.fullmatch(message["nonce"]):
        raise MalformedError("a share must be 32 bytes.")
    told = _commitment(public, message["nonce"], message["share"])
    if not hmac.compare_digest(told, public["commitment"]):
        raise ConflictError(
            "a share is not the one its provider committed to.",
            hint="That provider may have tried to choose the secret; ask, and begin anew.",
        )
    return message["provider"], bytes.fromhex(message["share"])


def _kept(state: Path) -> dict[str, str]:
    kept = _parse(read_private(state), _STATE, what="the ceremony's file")
    if kept["format"] != FORMAT:
        raise MalformedError(f"the ceremony's file must be of the format {FORMAT}.")
    return kept


def _everyone(kept: Mapping[str, str], texts: Sequence[str]) -> dict[str, dict[str, str]]:
    found = {kept["provider"]: _own(kept)}
    for text in texts:
        public = _parse(text, _COMMITMENT, what="a commitment")
        if public["format"] != FORMAT or public["project"] != kept["project"]:
            raise MalformedError("a commitment is of another project or format.")
        try:
            pyrage.x25519.Recipient.from_str(public["recipient"])
        except pyrage.RecipientError as error:
            raise MalformedError("a commitment names no age recipient.") from error
        if not _NAME.fullmatch(public["provider"]) or not _HEX.fullmatch(public["commitment"]):
            raise MalformedError("a commitment needs a provider's name and 64 hex digits.")
        repeated = any(
            public[part] == other[part]
            for other in found.values()
            for part in ("provider", "recipient", "commitment")
        )
        if repeated:
            raise MalformedError("two commitments share a provider, recipient or value.")
        found[public["provider"]] = public
    if len(found) < 2:
        raise MalformedError("a ceremony needs at least two providers.")
    return found


def _transcript(everyone: Mapping[str, Mapping[str, str]]) -> str:
    text = json.dumps([sorted(everyone[name].items()) for name in sorted(everyone)])
    return hashlib.sha256(text.encode()).hexdigest()


def _parse(text: str, names: frozenset[str], *, what: str) -> dict[str, str]:
    try:
        found = json.loads(text) if len(text) <= 65_536 else None
    except (ValueError, RecursionError):
        found = None  # without the cause: it could quote a secret
    if not isinstance(found, dict) or set(found) != names:
        raise MalformedError(f"{what} is not one.")
    if not all(isinstance(part, str) for part in found.values()):
        raise MalformedError(f"{what} is not one.")
    return dict(found)
