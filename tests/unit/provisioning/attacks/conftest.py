"""Columns of the generated insurance table, as a contract has them."""

import pytest

from manatee.contracts import Column

COLUMNS = (
    Column("age", "integer", minimum=18, maximum=64, bins=16),
    Column("sex", "category", categories=("female", "male")),
    Column("bmi", "decimal", minimum=10, maximum=60, bins=20, decimals=3),
    Column("children", "integer", minimum=0, maximum=5, bins=6),
    Column("smoker", "category", categories=("no", "yes")),
    Column("region", "category", categories=("northeast", "northwest", "southeast", "southwest")),
    Column("charges", "decimal", minimum=0, maximum=100_000, bins=40, decimals=5),
)


@pytest.fixture(scope="session")
def columns():
    return COLUMNS
