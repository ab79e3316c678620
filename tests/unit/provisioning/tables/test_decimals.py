"""Decimals at the ends of their range, where a careless conversion lands one float beside."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from manatee.contracts import Column, Contract, Table, from_line, to_line
from manatee.provisioning.tables import open_source


@pytest.mark.parametrize("places", [1, 2, 5, 9])
def test_a_decimal_lies_on_its_line_at_the_nearest_float(places: int) -> None:
    column = Column("x", "decimal", minimum=-9, maximum=9, bins=4, decimals=places)
    exact = [Decimal(unit).scaleb(-places) for unit in range(-3000, 3000)]
    found = to_line(pa.array(exact, pa.decimal128(20, places)), column)
    assert found.tolist() == [float(value) for value in exact]
    back = from_line(found, column)
    assert back.to_pylist() == [min(max(value, Decimal(-9)), Decimal(9)) for value in exact]


def test_a_decimal_at_the_end_of_its_range_is_within_it(tmp_path: Path) -> None:
    for limit in np.arange(1, 100) / 10:
        column = Column("x", "decimal", minimum=0, maximum=float(limit), bins=2, decimals=1)
        (tmp_path / "t.csv").write_text(f"x\n{limit}\n")
        contract = Contract("c", "synthetic", (Table("t", (column,)),))
        with open_source({"t": tmp_path / "t.csv"}, contract) as source:
            assert source.table("t").read()["x"].to_pylist() == [Decimal(str(limit))]
