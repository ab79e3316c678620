"""Time and memory of measuring a table and drawing a twin of it, whole, by MST.

A Parquet file of mixed columns is coded into blocks on disk, measured, and as many rows are drawn
and written to Parquet, in chunks; every table is a process of its own. Rows are varied at twelve
columns, columns at `--wide-rows` rows: groups of twelve that lean on one hidden number each.

    python benchmarks/provisioning_scale.py [--rows 1000000 10000000] [--columns 12 24 48 96]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from time import perf_counter, process_time

HERE = Path(__file__).resolve()
CHUNK_ROWS = 1 << 16


def _memory() -> float:
    """Return this process's peak in MiB; `ru_maxrss` would count the parent's peak too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def _write(path: Path, n_rows: int, groups: int) -> None:
    """Write the file: a table of its own for every group, joined side by side."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from _tables import BATCH_ROWS, write_table

    if groups == 1:
        write_table(path, n_rows)
        return
    parts = [path.with_suffix(f".{group}") for group in range(groups)]
    for group, part in enumerate(parts):
        write_table(part, n_rows, seed=group)
    files = [pq.ParquetFile(part) for part in parts]
    schema = pa.schema(
        [
            field.with_name(_name(field.name, group))
            for group, file in enumerate(files)
            for field in file.schema_arrow
        ]
    )
    with pq.ParquetWriter(path, schema) as writer:
        for batches in zip(*(file.iter_batches(BATCH_ROWS) for file in files), strict=True):
            arrays = [array for batch in batches for array in batch.columns]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
    for part in parts:
        part.unlink()


def _name(column: str, group: int) -> str:
    return column if group == 0 else f"{column}_{group}"


def _one(path: Path, groups: int, mechanism: str) -> None:
    """Be the process that is measured."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from _tables import COLUMNS

    from manatee.contracts import Table, arrow_schema, decode
    from manatee.provisioning.counting import BlockCounter
    from manatee.provisioning.noise import Budget, rho_for
    from manatee.provisioning.synthesis import fit
    from manatee.provisioning.tables._source import AdmittedTable

    columns = tuple(
        replace(column, name=_name(column.name, group))
        for group in range(groups)
        for column in COLUMNS
    )
    table = Table("visits", columns)
    schema = arrow_schema(table)
    found = {"imports_mib": _memory()}
    sampler = np.random.default_rng(0)
    used, begun = process_time(), perf_counter()
    with BlockCounter(columns, AdmittedTable(table, path).batches(), folder=path.parent) as counter:
        found["coding"], begun = perf_counter() - begun, perf_counter()
        budget = Budget(Fraction(rho_for(epsilon=1.0, delta=1e-9)))
        model = fit(counter, mechanism=mechanism, budget=budget)  # type: ignore[arg-type]
        found["measuring"], begun = perf_counter() - begun, perf_counter()
    left = max(round(model.total), 1)
    with pq.ParquetWriter(path.with_suffix(".twin"), schema) as writer:
        while left > 0:
            codes = model.draw(min(left, CHUNK_ROWS), sampler)
            left -= CHUNK_ROWS
            values = [decode(codes[column.name], column, sampler) for column in columns]
            writer.write_batch(pa.RecordBatch.from_arrays(values, schema=schema))
    found["drawing"] = perf_counter() - begun
    found["cpu"] = process_time() - used
    found["peak_mib"] = _memory()
    path.with_suffix(".twin").unlink()
    print(json.dumps(found))


def _measure(path: Path, groups: int, asked: argparse.Namespace) -> dict[str, float] | None:
    command = [sys.executable, str(HERE), "--one", str(path), str(groups), asked.mechanism]
    try:
        done = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, timeout=asked.timeout
        )
    except subprocess.TimeoutExpired:
        return None
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, nargs="*", default=[1_000_000, 10_000_000])
    parser.add_argument("--columns", type=int, nargs="*", default=[12, 24, 48, 96])
    parser.add_argument("--wide-rows", type=int, default=100_000)
    parser.add_argument("--mechanism", default="mst", choices=["mst", "aim"])
    parser.add_argument("--timeout", type=float, default=1800.0, help="seconds for one table")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        _one(Path(asked.one[0]), int(asked.one[1]), asked.one[2])
        return
    if any(n_columns % 12 for n_columns in asked.columns):
        raise SystemExit("columns come in groups of twelve.")
    cases = [(n_rows, 12) for n_rows in asked.rows]
    cases += [(asked.wide_rows, n_columns) for n_columns in asked.columns]
    print("| rows | columns | coding s | measuring s | drawing s | CPU s | MiB | MiB at start |")
    print("|" + " --- |" * 8)
    for n_rows, n_columns in cases:
        with tempfile.TemporaryDirectory(prefix="manatee-scale-") as folder:
            path = Path(folder) / "visits.parquet"
            _write(path, n_rows, n_columns // 12)
            found = _measure(path, n_columns // 12, asked)
        if found is None:
            print(
                f"| {n_rows:,} | {n_columns} | not done after {asked.timeout:.0f} s |", flush=True
            )
            continue
        times = (f"{found[name]:.1f}" for name in ("coding", "measuring", "drawing", "cpu"))
        sizes = (f"{found[name]:.0f}" for name in ("peak_mib", "imports_mib"))
        print(f"| {n_rows:,} | {n_columns} | " + " | ".join((*times, *sizes)) + " |", flush=True)


if __name__ == "__main__":
    main()
