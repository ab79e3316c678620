"""Checkpoints: what a log signs about its tree, and what witnesses add (C2SP tlog-checkpoint)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from manatee.errors import LedgerError, MalformedError
from manatee.ledger._hashing import EMPTY_ROOT, HASH_BYTES
from manatee.ledger._note import (
    COSIGNATURE,
    ED25519,
    Note,
    NoteKey,
    NoteSignature,
    NoteSigner,
    check_name,
    parse_note,
    verify_note,
)
from manatee.ledger._proofs import MAX_TREE_SIZE
from manatee.records import to_base64, unbase64

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


def parse_decimal(text: str, *, what: str) -> int:
    """Read a decimal number without leading zeroes.

    Raises:
        MalformedError: It is none, or over 2**63-1.
    """
    if not _DECIMAL.fullmatch(text) or int(text) > MAX_TREE_SIZE:
        raise MalformedError(f"{what} must be a decimal number up to 2**63-1.")
    return int(text)


def parse_hash(text: str) -> bytes:
    """Read a base64 Merkle hash. Raises MalformedError."""
    data = unbase64(text)
    if len(data) != HASH_BYTES:
        raise MalformedError("a Merkle hash must be 32 bytes.")
    return data


@dataclass(frozen=True)
class Checkpoint:
    """Origin, size and root of a log at one moment."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the note text, without extension lines: we write none."""
        return f"{self.origin}\n{self.size}\n{to_base64(self.root)}\n"


@dataclass(frozen=True)
class SignedCheckpoint:
    """A checkpoint in its note. Nothing is verified by having one."""

    checkpoint: Checkpoint
    note: Note

    def encode(self) -> bytes:
        """Return the note's bytes."""
        return self.note.encode()

    def with_signatures(self, more: tuple[NoteSignature, ...]) -> SignedCheckpoint:
        """Return it with further signatures; one by the same key replaces the older."""
        new = {(item.name, item.key_id) for item in more}
        kept = tuple(item for item in self.note.signatures if (item.name, item.key_id) not in new)
        return SignedCheckpoint(self.checkpoint, Note(self.note.text, (*kept, *more)))


def sign_checkpoint(checkpoint: Checkpoint, signer: NoteSigner) -> SignedCheckpoint:
    """Sign a checkpoint as its log. Whoever calls must never sign two that do not agree."""
    text = checkpoint.text()
    signature = NoteSignature(signer.name, signer.key.key_id, signer.sign(text.encode()))
    return SignedCheckpoint(checkpoint, Note(text, (signature,)))


def parse_checkpoint(data: bytes) -> SignedCheckpoint:
    """Read a checkpoint note strictly, verifying no signature.

    Raises:
        MalformedError: It is not a checkpoint, or it carries extension lines, which nobody signs
            for who only watches sizes and roots.
    """
    note = parse_note(data)
    lines = note.text.split("\n")[:-1]
    if len(lines) != 3:
        raise MalformedError("a checkpoint has three lines: origin, size and root.")
    checkpoint = Checkpoint(
        check_name(lines[0]), parse_decimal(lines[1], what="a tree size"), parse_hash(lines[2])
    )
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise MalformedError("a checkpoint of an empty tree has another root.")
    return SignedCheckpoint(checkpoint, note)


def verify_checkpoint(signed: SignedCheckpoint, *, origin: str, key: NoteKey) -> Checkpoint:
    """Check that a checkpoint is one of a log.

    Raises:
        LedgerError: It is another log's, or the log's signature does not hold.
    """
    if signed.checkpoint.origin != origin:
        raise LedgerError("the checkpoint is another log's.")
    if key.algorithm != ED25519:
        raise LedgerError("a log's key must be an Ed25519 key of type 1.")
    verify_note(signed.note, key)
    return signed.checkpoint


def _cosigned(text: str, moment: int) -> bytes:
    return f"cosignature/v1\ntime {moment}\n{text}".encode()


def cosign(signed: SignedCheckpoint, signer: NoteSigner, *, moment: int) -> NoteSignature:
    """Return a witness's cosignature (C2SP tlog-cosignature, Ed25519).

    Args:
        signed: A checkpoint that the witness found consistent with all it saw before.
        signer: The witness's key, of type `COSIGNATURE`.
        moment: Seconds since the epoch; above zero.
    """
    if signer.algorithm != COSIGNATURE or not 0 < moment <= MAX_TREE_SIZE:
        raise LedgerError("a cosignature needs a witness's key and a time.")
    signature = signer.sign(_cosigned(signed.note.text, moment))
    return NoteSignature(signer.name, signer.key.key_id, moment.to_bytes(8, "big") + signature)


def verify_cosignature(signed: SignedCheckpoint, key: NoteKey) -> int | None:
    """Return when a witness cosigned, in seconds since the epoch; None: it did not.

    Raises:
        LedgerError: A signature claims to be the witness's and does not hold.
    """
    signature = signed.note.by(key)
    if signature is None:
        return None
    moment = int.from_bytes(signature.data[:8], "big")
    if (
        key.algorithm != COSIGNATURE
        or len(signature.data) != 72
        or not 0 < moment <= MAX_TREE_SIZE
        or not key.holds(signature.data[8:], _cosigned(signed.note.text, moment))
    ):
        raise LedgerError(f"the cosignature of {key.name} does not hold.")
    return moment
