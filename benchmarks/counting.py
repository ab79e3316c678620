"""Counting all 66 pairs of a table of twelve columns, against what synthesis libraries do.

Every measurement is a process of its own: seconds and peak resident memory. `coding` turns the
Parquet file into codes; `counting` counts them. Libraries code with pandas and count with
pandas.crosstab's group-by or numpy.histogramdd on codes held in memory; they run in another
interpreter that has pandas and polars:

    python benchmarks/counting.py --others /path/to/venv/bin/python [--rows 1000000 10000000]
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

HERE = Path(__file__).resolve().parent

OTHERS = r"""
import itertools, json, resource, sys
from time import perf_counter
import numpy as np

path, how, facts = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
names = list(facts)
pairs = list(itertools.combinations(names, 2))
begun = perf_counter()

def coded(column, name):
    import pandas as pd
    about = facts[name]
    missing = column.isna().to_numpy()
    if about["categories"]:
        codes = pd.Categorical(column, categories=about["categories"]).codes.astype(np.int64)
    elif about["edges"] is None:
        codes = column.fillna(False).to_numpy().astype(np.int64)
    else:
        if about["type"] == "date":
            numbers = pd.to_datetime(column).to_numpy().astype("datetime64[D]").astype(np.float64)
        elif about["type"] == "timestamp":
            plain = column.dt.tz_localize(None).to_numpy().astype("datetime64[us]")
            numbers = plain.astype(np.int64) / 1e6
        else:
            numbers = column.to_numpy().astype(np.float64)
        codes = np.digitize(numbers, about["edges"])
    return np.where(missing, about["n_cells"] - 1, codes)

if how == "polars":
    import polars as pl
    def cell(name):
        about, column = facts[name], pl.col(name)
        if about["categories"]:
            cell = column.replace_strict(about["categories"], range(len(about["categories"])),
                                         return_dtype=pl.Int32)
        elif about["edges"] is None:
            cell = column.cast(pl.Int32)
        else:
            if about["type"] == "timestamp":
                column = column.dt.epoch("us") / 1e6
            elif about["type"] == "date":
                column = column.cast(pl.Int32)
            breaks = about["edges"]
            cell = column.cast(pl.Float64).cut(breaks, left_closed=True).to_physical()
        return cell.cast(pl.Int32).fill_null(about["n_cells"] - 1).alias(name)
    frame = pl.read_parquet(path).select([cell(name) for name in names])
else:
    import pandas as pd
    frame = pd.read_parquet(path)
    frame = pd.DataFrame({name: coded(frame[name], name) for name in names})
coding = perf_counter() - begun
begun = perf_counter()
checks = 0
for a, b in pairs:
    if how == "crosstab":
        found = frame.groupby([a, b]).size().to_numpy()
    elif how == "value_counts":
        found = frame[[a, b]].value_counts().to_numpy()
    elif how == "histogramdd":
        bins = [np.arange(facts[name]["n_cells"] + 1) for name in (a, b)]
        found = np.histogramdd(frame[[a, b]].to_numpy(), bins)[0].ravel()
    else:
        found = frame.group_by([a, b]).len()["len"].to_numpy()
    checks += int((found.astype(np.int64) ** 2).sum())
print(json.dumps({"coding": coding, "counting": perf_counter() - begun, "check": checks % 2**40,
                  "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def _ours(path: Path, how: str) -> None:
    """Measure one of our counters and print what was found."""
    import duckdb
    from _tables import COLUMNS, TABLE

    from manatee.provisioning.counting import BlockCounter, Counts, SqlCounter
    from manatee.provisioning.tables._source import AdmittedTable

    pairs = list(itertools.combinations([column.name for column in COLUMNS], 2))
    begun = perf_counter()
    count: Callable[[], list[Counts]]
    if how == "blocks":
        counter = BlockCounter(COLUMNS, AdmittedTable(TABLE, path).batches())
        count = lambda: counter.count(pairs)  # noqa: E731
    else:
        connection = duckdb.connect(config={"memory_limit": "1GB"})
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE VIEW visits AS FROM read_parquet('{path}')")
        count = lambda: SqlCounter(COLUMNS, connection, "visits", dialect="duckdb").count(pairs)  # noqa: E731
    coding = perf_counter() - begun
    begun = perf_counter()
    found = count()
    counting = perf_counter() - begun
    check = sum(int((counts**2).sum()) for counts in found) % 2**40
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"coding": coding, "counting": counting, "check": check, "peak": peak}))


def _facts() -> str:
    from _tables import COLUMNS

    from manatee.contracts import edges, n_cells

    return json.dumps(
        {
            column.name: {
                "type": column.type,
                "categories": list(column.categories),
                "edges": [float(edge) for edge in edges(column)[1:-1]] if column.numeric else None,
                "n_cells": n_cells(column),
            }
            for column in COLUMNS
        }
    )


def _measure(command: list[str]) -> dict[str, float]:
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=HERE)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _runs(path: Path, others: str | None) -> Iterator[tuple[str, dict[str, float]]]:
    for how in ("blocks", "duckdb"):
        command = [sys.executable, str(HERE / "counting.py"), "--one", how, "--table", str(path)]
        yield how, _measure(command)
    for how in ("polars", "crosstab", "value_counts", "histogramdd") if others else ():
        yield how, _measure([str(others), "-c", OTHERS, str(path), how, _facts()])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--others", help="an interpreter with pandas, pyarrow and polars")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--table", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        _ours(arguments.table, arguments.one)
        return
    from _tables import write_table

    peaks: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="manatee-counting-") as folder:
        for n_rows in arguments.rows:
            path = Path(folder) / f"{n_rows}.parquet"
            write_table(path, n_rows)
            print(f"{n_rows:,} rows")
            blocks: dict[str, float] = {}
            for how, found in _runs(path, arguments.others):
                blocks = blocks or found
                if found["check"] != blocks["check"]:
                    raise SystemExit(f"{how} counted something else")
                peaks.setdefault(how, []).append(found["peak"])
                whole = (found["coding"] + found["counting"]) / (
                    blocks["coding"] + blocks["counting"]
                )
                print(
                    f"  {how:13} coding {found['coding']:7.2f} s  counting "
                    f"{found['counting']:7.2f} s ({found['counting'] / blocks['counting']:6.1f}x; "
                    f"whole {whole:5.1f}x)  peak {found['peak']:7.0f} MiB",
                    flush=True,
                )
    for how, found_peaks in peaks.items():
        print(f"memory growth {how:13} {found_peaks[-1] / found_peaks[0]:5.2f}x")


if __name__ == "__main__":
    main()
