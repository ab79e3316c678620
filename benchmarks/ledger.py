"""A log of a million entries: append rate, proof size and time, memory; against bare hashing.

The bare run hashes the same entries into the same tree and keeps nothing: no file, no signature.
Both run in this process, in turns. Memory is the process's peak, before and after.
"""

import json
import resource
import statistics
import sys
import tempfile
from hashlib import sha256
from pathlib import Path
from random import Random
from time import perf_counter

from manatee.ledger import ED25519, Ledger, LogTrust, create_log, new_signer, verify_log_proof

ENTRY_BYTES = 100
ROUNDS = 3
PROOFS = 500


def batch_of(start: int, count: int) -> list[bytes]:
    return [b"%0*d" % (ENTRY_BYTES, number) for number in range(start, start + count)]


def hash_alone(total: int, batch: int) -> tuple[float, bytes]:
    """Return seconds and root of the tree by `hashlib` alone, a hash for each leaf and node."""
    taken, row = 0.0, []
    for start in range(0, total, batch):
        entries = batch_of(start, min(batch, total - start))
        begun = perf_counter()
        row += [sha256(b"\x00" + entry).digest() for entry in entries]
        taken += perf_counter() - begun
    begun = perf_counter()
    while len(row) > 1:
        odd = row[-1:] if len(row) & 1 else []
        row = [
            sha256(b"\x01" + left + right).digest()
            for left, right in zip(row[::2], row[1::2], strict=False)
        ] + odd
    return taken + perf_counter() - begun, row[0]


def append_all(ledger: Ledger, total: int, batch: int) -> float:
    taken = 0.0
    for start in range(0, total, batch):
        entries = batch_of(start, min(batch, total - start))
        begun = perf_counter()
        ledger.append(entries)
        taken += perf_counter() - begun
    return taken


def peak() -> float:
    """Return the process's peak memory in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(total: int = 1_000_000, batch: int = 10_000) -> None:
    signer = new_signer("example.org/log", ED25519)
    trust = LogTrust(origin=signer.name, log_key=str(signer.key))
    begun_with = grown = peak()
    appended, alone, made, verified, sizes = [], [], [], [], []
    with tempfile.TemporaryDirectory(prefix="manatee-ledger-") as name:
        for number in range(ROUNDS):
            folder = Path(name) / str(number)
            create_log(folder, signer)
            with Ledger.open(folder, signer) as ledger:
                appended.append(append_all(ledger, total, batch))
                root = ledger.checkpoint().checkpoint.root
                if number == 0:  # before the bare run, which keeps a whole row of hashes
                    grown = peak()
                    for index in Random(1).sample(range(total), min(PROOFS, total)):
                        entry = b"%0*d" % (ENTRY_BYTES, index)
                        begun = perf_counter()
                        proof = ledger.proof(index)
                        made.append(perf_counter() - begun)
                        begun = perf_counter()
                        verify_log_proof(proof, entry, trust)
                        verified.append(perf_counter() - begun)
                        sizes.append(len(proof))
            seconds, plain = hash_alone(total, batch)
            alone.append(seconds)
            if plain != root:
                raise SystemExit("the log's root is not that of its entries")
    ratios = [ours / theirs for ours, theirs in zip(appended, alone, strict=True)]
    found = {
        "entries": total,
        "batch": batch,
        "entries_per_second": round(total / statistics.median(appended)),
        "hashing_alone_per_second": round(total / statistics.median(alone)),
        "ratio": round(statistics.median(ratios), 2),
        "ratios": [round(item, 2) for item in ratios],
        "proof_bytes_most": max(sizes),
        "proof_ms": round(statistics.median(made) * 1000, 3),
        "verify_ms": round(statistics.median(verified) * 1000, 3),
        "peak_mib_before": round(begun_with, 1),
        "peak_mib_after_appends": round(grown, 1),
    }
    print(json.dumps(found))
    print(
        f"{found['entries_per_second']} entries/s, {found['ratio']} times bare hashing; "
        f"proof {found['proof_bytes_most']} bytes, {found['proof_ms']} ms, "
        f"verified in {found['verify_ms']} ms"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
