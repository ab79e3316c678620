"""Tables of extreme shapes: very wide, and with very many different values."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from manatee.contracts import Column, Contract, Table
from manatee.provisioning.tables import open_source

N_DISTINCT = 10_000_000
SCRIPT = """
import sys
from pathlib import Path
import pyarrow.compute as pc
from manatee.contracts import Column, Contract, Table
from manatee.provisioning.tables import open_source
town = Column("town", "category", categories=("0", "rest"), other="rest")
contract = Contract("c", "synthetic", (Table("t", (town,)),))
with open_source({"t": Path(sys.argv[1])}, contract, folder=Path(sys.argv[2])) as source:
    batches = source.table("t").batches()
    known = sum(pc.sum(pc.equal(batch["town"], "0")).as_py() for batch in batches)
# not ru_maxrss: it goes over from the process that started this one
status = Path("/proc/self/status").read_text()
print(known, int(status.split("VmHWM:")[1].split()[0]) // 1024)
"""


def test_five_thousand_columns(tmp_path: Path) -> None:
    columns = tuple(
        Column(f"c{place}", "integer", minimum=0, maximum=9, bins=10) for place in range(5000)
    )
    header = ",".join(column.name for column in columns)
    line = ",".join(str(place % 10) for place in range(5000))
    (tmp_path / "t.csv").write_text("\n".join([header, *[line] * 50, ""]))
    contract = Contract("c", "synthetic", (Table("t", columns),))
    with open_source({"t": tmp_path / "t.csv"}, contract) as source:
        found = source.table("t").read()
    assert found.shape == (50, 5000)
    assert found["c4997"].to_pylist() == [7] * 50


def test_ten_million_different_categories_fold_into_other_in_bounded_memory(
    tmp_path: Path,
) -> None:
    schema = pa.schema([("town", pa.string())])
    step = 1 << 19
    with pa.parquet.ParquetWriter(tmp_path / "t.parquet", schema, use_dictionary=False) as writer:
        for start in range(0, N_DISTINCT, step):
            places = pa.array(range(start, min(start + step, N_DISTINCT))).cast(pa.string())
            writer.write_batch(pa.record_batch([places], schema=schema))
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "t.parquet"), str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    known, peak_mib = (int(word) for word in done.stdout.split())
    assert known == 1
    assert peak_mib < 600
