"""TPMS_ATTEST of a quote (TCG, TPM 2.0 Library, Part 2: 10.12.8, 10.12.12, 10.6.2)."""

from __future__ import annotations

from dataclasses import dataclass

from manatee.attestation._cursor import Cursor
from manatee.errors import AppraisalRefusedError, MalformedError

MAGIC = 0xFF544347
"""TPM_GENERATED_VALUE: a restricted key signs nothing that begins so and the TPM did not make."""

_QUOTE = 0x8018
MAX_ATTEST_BYTES = 1024
MAX_NAME_BYTES = 68
MAX_EXTRA_BYTES = 66
MAX_DIGEST_BYTES = 64
SHA256 = 0x000B
RESETTABLE_PCRS = frozenset({16, 17, 18, 19, 20, 21, 22, 23})
"""Registers that software of some locality can set back while the machine runs."""


@dataclass(frozen=True)
class PcrSelection:
    """One bank's selected registers: hash algorithm id and indices."""

    algorithm: int
    indices: tuple[int, ...]


@dataclass(frozen=True)
class QuoteInfo:
    """What a TPM says in a quote."""

    qualified_signer: bytes
    extra_data: bytes
    clock: int
    reset_count: int
    restart_count: int
    safe: bool
    firmware_version: int
    selections: tuple[PcrSelection, ...]
    pcr_digest: bytes


def parse_attest(data: bytes) -> QuoteInfo:
    """Read a quote's TPMS_ATTEST strictly, verifying nothing.

    Raises:
        MalformedError: It is not one: other magic (CVE-2024-29038), other type, or leftovers.
    """
    if len(data) > MAX_ATTEST_BYTES:
        raise MalformedError(f"a TPM quote has at most {MAX_ATTEST_BYTES} bytes.")
    cursor = Cursor(data, "TPM quote")
    if cursor.number(4, big=True) != MAGIC:
        raise MalformedError("the structure was not made by a TPM: its magic is another.")
    if cursor.number(2, big=True) != _QUOTE:
        raise MalformedError("the TPM attests something that is no quote.")
    signer = cursor.sized(2, big=True, at_most=MAX_NAME_BYTES)
    extra = cursor.sized(2, big=True, at_most=MAX_EXTRA_BYTES)
    clock, resets, restarts = (cursor.number(size, big=True) for size in (8, 4, 4))
    safe = cursor.number(1)
    if safe > 1:
        raise MalformedError("the TPM quote's flag `safe` is neither yes nor no.")
    firmware = cursor.number(8, big=True)
    selections = _selections(cursor)
    digest = cursor.sized(2, big=True, at_most=MAX_DIGEST_BYTES)
    cursor.end()
    return QuoteInfo(
        qualified_signer=signer,
        extra_data=extra,
        clock=clock,
        reset_count=resets,
        restart_count=restarts,
        safe=bool(safe),
        firmware_version=firmware,
        selections=selections,
        pcr_digest=digest,
    )


def _selections(cursor: Cursor) -> tuple[PcrSelection, ...]:
    found = []
    for _ in range(cursor.number(4, big=True)):
        algorithm = cursor.number(2, big=True)
        bits = int.from_bytes(cursor.sized(1, big=True, at_most=4), "little")
        indices = tuple(index for index in range(bits.bit_length()) if bits >> index & 1)
        found.append(PcrSelection(algorithm, indices))
    return tuple(found)


def selected(quote: QuoteInfo, wanted: tuple[int, ...]) -> bool:
    """Whether a quote selects exactly these registers of the SHA-256 bank (CVE-2024-29039)."""
    return bool(wanted) and quote.selections == (PcrSelection(SHA256, tuple(sorted(set(wanted)))),)


def check_not_before(previous: QuoteInfo, now: QuoteInfo) -> None:
    """Check that a TPM did not go back, for whoever keeps the last quote it believed of a TPM.

    TPM 2.0 Library, Part 1, section 36 (clock and counters): the count of resets only rises, the
    count of restarts rises and begins anew with a reset, and the clock only rises, unless power
    was lost; the TPM then says that its clock is not `safe`.

    Raises:
        AppraisalRefusedError: A count or the clock went back, or the quotes are of two keys.
    """
    if now.qualified_signer != previous.qualified_signer:
        raise AppraisalRefusedError("the quotes are of two keys: nothing follows from their order.")
    if (now.reset_count, now.restart_count) < (previous.reset_count, previous.restart_count):
        raise AppraisalRefusedError("the TPM's count of resets or restarts went back.")
    power_lost = now.reset_count > previous.reset_count and not now.safe
    if now.clock < previous.clock and not power_lost:
        raise AppraisalRefusedError("the TPM's clock went back.")
