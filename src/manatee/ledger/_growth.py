"""That a log only grew: an old size, a proof and a signed checkpoint, as one text.

The form is the request of C2SP tlog-witness (`add-checkpoint`): what convinces a witness
convinces any reader who kept a checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass

from manatee.errors import ForkError, LedgerError, MalformedError
from manatee.ledger._checkpoint import (
    Checkpoint,
    SignedCheckpoint,
    parse_checkpoint,
    parse_decimal,
    parse_hash,
)
from manatee.ledger._log_proof import MAX_PROOF_HASHES, LogTrust, verify_trusted
from manatee.ledger._note import MAX_NOTE_BYTES
from manatee.ledger._proofs import verify_consistency
from manatee.records import to_base64

MAX_GROWTH_BYTES = MAX_NOTE_BYTES + 8192


@dataclass(frozen=True)
class Growth:
    """A tree, and how it follows from one of `old_size`. Nothing is verified by having one."""

    old_size: int
    hashes: tuple[bytes, ...]
    signed: SignedCheckpoint

    def encode(self) -> bytes:
        """Return the text."""
        lines = [f"old {self.old_size}", *map(to_base64, self.hashes), "", ""]
        return "\n".join(lines).encode() + self.signed.encode()


def parse_growth(data: bytes) -> Growth:
    """Read one strictly, verifying nothing.

    Raises:
        MalformedError: It is none, or too large.
    """
    if len(data) > MAX_GROWTH_BYTES:
        raise MalformedError(f"a request has over {MAX_GROWTH_BYTES} bytes.")
    head, separator, note = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise MalformedError("the request's head is not ASCII.") from error
    if not separator or not lines[0].startswith("old ") or len(lines) > 1 + MAX_PROOF_HASHES:
        raise MalformedError("a request is an old size, a proof and a checkpoint.")
    return Growth(
        old_size=parse_decimal(lines[0].removeprefix("old "), what="the old size"),
        hashes=tuple(parse_hash(line) for line in lines[1:]),
        signed=parse_checkpoint(note),
    )


def verify_growth(data: bytes, old: Checkpoint, trust: LogTrust) -> SignedCheckpoint:
    """Check that a trusted log is what it was at an older checkpoint, with entries appended.

    Args:
        data: What `Growth.encode` made.
        old: A checkpoint of this log that was believed before.
        trust: Which log, and how many witnesses must have seen its tree.

    Returns:
        The newer checkpoint, signed.

    Raises:
        MalformedError: The proof or the trust cannot be read.
        ForkError: The log signed trees that do not follow from one another, as far as this proof
            shows.
        LedgerError: A signature does not hold, too few witnesses cosigned, or it is about another
            tree than the old one.
    """
    growth = parse_growth(data)
    checkpoint, _cosigners = verify_trusted(growth.signed, trust)
    if old.origin != checkpoint.origin or growth.old_size != old.size:
        raise LedgerError("the log proved growth from another tree than was asked about.")
    try:
        verify_consistency(old.size, checkpoint.size, growth.hashes, old.root, checkpoint.root)
    except LedgerError as error:
        raise ForkError(
            f"the log's tree of {checkpoint.size} entries does not follow from the one of "
            f"{old.size} that it signed before.",
            hint="Keep both checkpoints: signed, they are the evidence.",
        ) from error
    return growth.signed
