"""Log proofs, checkpoints, keys and bundles: what is read has no other encoding."""

from collections.abc import Iterator

from manatee.errors import MalformedError
from manatee.ledger import (
    COSIGNATURE,
    ED25519,
    EMPTY_ROOT,
    Checkpoint,
    LogProof,
    LogTrust,
    NoteSigner,
    cosign,
    leaf_hash,
    parse_checkpoint,
    parse_key,
    parse_log_proof,
    parse_note,
    sign_checkpoint,
    verify_consistency,
    verify_cosignature,
    verify_log_proof,
)
from manatee.ledger._writer import decode_bundle, encode_bundle

LOG = NoteSigner("log.example/fuzz", ED25519, bytes(31) + b"\1")
WITNESS = NoteSigner("witness.example", COSIGNATURE, bytes(31) + b"\2")
TRUST = LogTrust(origin=LOG.name, log_key=str(LOG.key), witnesses=(str(WITNESS.key),))


def seeds() -> Iterator[bytes]:
    for size, root in ((0, EMPTY_ROOT), (1, leaf_hash(b"entry")), (2**40, bytes(32))):
        signed = sign_checkpoint(Checkpoint(LOG.name, size, root), LOG)
        signed = signed.with_signatures((cosign(signed, WITNESS, moment=1_700_000_000),))
        yield b"\x00" + signed.encode()
        yield b"\x01" + LogProof(0, (), signed).encode()
        yield b"\x01" + LogProof(5, (bytes(32),) * 40, signed).encode()
    yield b"\x02" + str(LOG.key).encode()
    yield b"\x02" + str(WITNESS.key).encode()
    yield b"\x03" + encode_bundle((b"", b"a", b"bc" * 200))
    yield b"\x04\x05\x09" + bytes(96)


def one(data: bytes) -> None:
    kind, rest = data[:1], data[1:]
    match kind:
        case b"\x00":
            assert parse_note(rest).encode() == rest
            signed = parse_checkpoint(rest)
            assert signed.encode() == rest
            verify_cosignature(signed, WITNESS.key)
        case b"\x01":
            assert parse_log_proof(rest).encode() == rest
            verify_log_proof(rest, b"another entry", TRUST)
            raise AssertionError("an entry that is in no log was proved")
        case b"\x02":
            text = rest.decode("utf-8", "replace")
            assert str(parse_key(text)) == text
        case b"\x03":
            assert encode_bundle(decode_bundle(rest, 3)) == rest
        case b"\x04" if len(rest) > 2:
            hashes = [rest[at : at + 32] for at in range(2, len(rest), 32)]
            verify_consistency(rest[0], rest[1], hashes, b"\1" * 32, b"\2" * 32)
            raise AssertionError("roots that nobody computed were proved")
        case _:
            raise MalformedError("no such choice.")
