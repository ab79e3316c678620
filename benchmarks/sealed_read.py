"""How much slower is reading a sealed table than reading the same table in plain Parquet?

The plain file is written as pyarrow writes it by default (1 MiB pages), the sealed one as
`seal_table` does, so that no setting chosen for sealing slows what it is compared with.
Every read is a process of its own; plain and sealed reads alternate, so that whatever else the
machine does falls on both. Whole table, `iter_batches`, every column. Run:

    python benchmarks/sealed_read.py --gib 1 --rounds 5
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from manatee.provisioning import insured_persons
from manatee.sealing import TABLE_FILE, new_data_key, seal_table, write_plain

ROWS = 1 << 16
GIB = 1 << 30

READER = """
import sys, time
from pathlib import Path
from manatee.sealing._kms import decryption
import pyarrow.parquet as pq
key = bytes.fromhex(sys.stdin.read())
properties = decryption(key) if key else None
started = time.perf_counter()
with pq.ParquetFile(sys.argv[1], decryption_properties=properties, pre_buffer=False) as table:
    size = sum(batch.nbytes for batch in table.iter_batches(batch_size=1 << 16))
print(time.perf_counter() - started, size)
"""


def random_rows(seed: int) -> pa.RecordBatch:
    """Return the worst case: numbers that do not compress, so most time goes into bytes."""
    sampler = np.random.default_rng(seed)
    columns = {f"n{number}": sampler.integers(0, 1 << 40, ROWS) for number in range(3)}
    floats = {f"x{number}": sampler.normal(size=ROWS) for number in range(3)}
    return pa.record_batch({name: pa.array(c) for name, c in {**columns, **floats}.items()})


def insurance_rows(seed: int) -> pa.RecordBatch:
    """Return rows of the examples' table: small integers, categories, decimals."""
    return insured_persons(ROWS, seed=seed).to_batches()[0]


TABLES: dict[str, Callable[[int], pa.RecordBatch]] = {
    "insurance": insurance_rows,
    "random": random_rows,
}


def batches(table: str, n_bytes: int) -> Iterator[pa.RecordBatch]:
    """Yield generated rows until `n_bytes` of Arrow data are there."""
    made = seed = 0
    while made < n_bytes:
        batch = TABLES[table](seed)
        made += batch.nbytes
        seed += 1
        yield batch


def stream(table: str, n_bytes: int) -> pa.RecordBatchReader:
    """Return the table as a stream; the same for the same arguments."""
    return pa.RecordBatchReader.from_batches(TABLES[table](0).schema, batches(table, n_bytes))


def read(folder: Path, key: bytes) -> tuple[float, int]:
    """Read a table in a new process; return seconds and bytes of Arrow data."""
    done = subprocess.run(
        [sys.executable, "-c", READER, str(folder / TABLE_FILE)],
        input=key.hex(),
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, size = done.stdout.split()
    return float(seconds), int(size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=1.0, help="Arrow data of the table, in GiB")
    parser.add_argument("--table", choices=sorted(TABLES), default="insurance")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of reads; one more warms up")
    arguments = parser.parse_args()
    n_bytes = int(arguments.gib * GIB)
    key = new_data_key()
    with tempfile.TemporaryDirectory() as scratch:
        plain, sealed = Path(scratch, "plain"), Path(scratch, "sealed")
        for folder in (plain, sealed):
            folder.mkdir()
        write_plain(stream(arguments.table, n_bytes), plain)
        seal_table(stream(arguments.table, n_bytes), sealed, key)
        pairs = [(read(plain, b""), read(sealed, key)) for _ in range(arguments.rounds + 1)][1:]
    size = pairs[0][0][1]
    plain_seconds = statistics.median(first[0] for first, _ in pairs)
    sealed_seconds = statistics.median(second[0] for _, second in pairs)
    ratio = statistics.median(second[0] / first[0] for first, second in pairs)
    result = {
        "table": arguments.table,
        "arrow_bytes": size,
        "rounds": arguments.rounds,
        "plain_seconds": round(plain_seconds, 4),
        "sealed_seconds": round(sealed_seconds, 4),
        "ratio": round(ratio, 4),
    }
    print(json.dumps(result))
    print(
        f"plain {size / plain_seconds / (1 << 20):.0f} MiB/s, "
        f"sealed {size / sealed_seconds / (1 << 20):.0f} MiB/s, "
        f"sealed takes {ratio:.3f} times as long (medians of {arguments.rounds} pairs)"
    )


if __name__ == "__main__":
    main()
