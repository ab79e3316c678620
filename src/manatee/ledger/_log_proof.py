"""Proof that an entry is in a log, checked offline (C2SP tlog-proof v1)."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from manatee.errors import LedgerError, MalformedError
from manatee.ledger._checkpoint import (
    Checkpoint,
    SignedCheckpoint,
    parse_checkpoint,
    parse_decimal,
    parse_hash,
    verify_checkpoint,
    verify_cosignature,
)
from manatee.ledger._hashing import leaf_hash
from manatee.ledger._note import COSIGNATURE, MAX_NOTE_BYTES, NoteKey, parse_key
from manatee.ledger._proofs import verify_inclusion
from manatee.records import Record, to_base64

HEADER = "c2sp.org/tlog-proof@v1"
MAX_PROOF_HASHES = 63


class LogTrust(Record, frozen=True, kw_only=True):
    """Which log a reader believes, and how many witnesses must have seen the same tree.

    Attributes:
        origin: The log's name, first line of its checkpoints.
        log_key: Its verifier key (`name+id+key`).
        witnesses: Verifier keys of the witnesses that count.
        quorum: How many of them must have cosigned. 0 trusts the log's own word not to show
            different trees to different people.
    """

    origin: str
    log_key: str
    witnesses: tuple[str, ...] = ()
    quorum: int = msgspec.field(default=0)

    def keys(self) -> tuple[NoteKey, tuple[NoteKey, ...]]:
        """Return the keys, read.

        Raises:
            MalformedError: One is not a key, one stands twice, or the quorum cannot be met.
        """
        witnesses = tuple(parse_key(text) for text in self.witnesses)
        if len({key.public for key in witnesses}) != len(witnesses):
            raise MalformedError("a witness stands twice among the trusted ones.")
        if any(key.algorithm != COSIGNATURE for key in witnesses):
            raise MalformedError("a witness's key must be of type 4.")
        if not 0 <= self.quorum <= len(witnesses):
            raise MalformedError("the quorum asks for more witnesses than are trusted.")
        return parse_key(self.log_key), witnesses


@dataclass(frozen=True)
class LogProof:
    """An entry's place in a signed tree. Nothing is verified by having one."""

    index: int
    hashes: tuple[bytes, ...]
    signed: SignedCheckpoint

    def encode(self) -> bytes:
        """Return the text of the proof."""
        lines = [HEADER, f"index {self.index}", *map(to_base64, self.hashes), "", ""]
        return "\n".join(lines).encode() + self.signed.encode()


@dataclass(frozen=True)
class LoggedEntry:
    """What a proof that held shows.

    Attributes:
        index: Of the entry.
        tree_size: Of the tree it was proved in.
        cosigners: Name of each trusted witness that cosigned, and when (seconds since the epoch).
    """

    index: int
    tree_size: int
    cosigners: tuple[tuple[str, int], ...]


def parse_log_proof(data: bytes) -> LogProof:
    """Read a proof strictly, verifying nothing. Extra data is refused: we write none.

    Raises:
        MalformedError: It is not a proof, or too large.
    """
    if len(data) > MAX_NOTE_BYTES:
        raise MalformedError(f"a log proof has over {MAX_NOTE_BYTES} bytes.")
    head, separator, note = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise MalformedError("a log proof's head is not ASCII.") from error
    if not separator or lines[0] != HEADER or len(lines) < 2:
        raise MalformedError(f"a log proof begins with {HEADER} and an index.")
    if not lines[1].startswith("index ") or len(lines) > 2 + MAX_PROOF_HASHES:
        raise MalformedError("a log proof's index is missing, or it has too many hashes.")
    return LogProof(
        index=parse_decimal(lines[1].removeprefix("index "), what="a log proof's index"),
        hashes=tuple(parse_hash(line) for line in lines[2:]),
        signed=parse_checkpoint(note),
    )


def verify_trusted(
    signed: SignedCheckpoint, trust: LogTrust
) -> tuple[Checkpoint, tuple[tuple[str, int], ...]]:
    """Check that a tree is a trusted log's, and that enough witnesses saw it.

    Returns:
        The checkpoint, and the trusted witnesses that cosigned it, with the moment of each.

    Raises:
        MalformedError: The trust cannot be read.
        LedgerError: It is another log's, a signature does not hold, or too few cosigned.
    """
    log_key, witnesses = trust.keys()
    checkpoint = verify_checkpoint(signed, origin=trust.origin, key=log_key)
    # witnesses vouch that everybody is shown this tree
    times = ((key.name, verify_cosignature(signed, key)) for key in witnesses)
    cosigners = tuple((name, moment) for name, moment in times if moment is not None)
    if len(cosigners) < trust.quorum:
        raise LedgerError(
            f"{len(cosigners)} trusted witness(es) cosigned the tree; {trust.quorum} are needed."
        )
    return checkpoint, cosigners


def verify_log_proof(proof: bytes, entry: bytes, trust: LogTrust) -> LoggedEntry:
    """Check that a trusted log holds an entry, and that enough witnesses saw that tree.

    Opens no file and no connection. The caller must still check that the entry is the one it
    means: the proof says where bytes stand, not what they are.

    Raises:
        MalformedError: The proof or the trust cannot be read.
        LedgerError: The entry is not in the tree, the tree is another log's, a signature does not
            hold, or too few witnesses cosigned.
    """
    parsed = parse_log_proof(proof)
    # 1. the tree is the log's, and enough witnesses saw it
    checkpoint, cosigners = verify_trusted(parsed.signed, trust)
    # 2. the entry is in that tree
    verify_inclusion(
        leaf_hash(entry), parsed.index, checkpoint.size, parsed.hashes, checkpoint.root
    )
    return LoggedEntry(parsed.index, checkpoint.size, cosigners)
