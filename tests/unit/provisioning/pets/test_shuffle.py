"""Treated rows do not stand in the order of the private ones."""

from collections import Counter
from itertools import permutations

import pyarrow as pa
import pytest

from manatee.contracts import Column, Table, arrow_schema
from manatee.errors import ProvisioningError
from manatee.provisioning.pets import shuffled

TABLE = Table(
    "t",
    (
        Column("x", "integer", minimum=0, maximum=99_999),
        Column("c", "category", categories=("a", "b"), nullable=True),
    ),
)
SCHEMA = arrow_schema(TABLE)


def batches(n, size=1000):
    rows = pa.record_batch([list(range(n)), [("a", "b", None)[i % 3] for i in range(n)]], SCHEMA)
    return [rows.slice(start, size) for start in range(0, n, size)]


def order(n, tmp_path, **more):
    made = shuffled(batches(n), SCHEMA, n_rows=n, folder=tmp_path, **more)
    return pa.Table.from_batches(list(made), SCHEMA)


@pytest.mark.parametrize("in_memory", [1 << 20, 700])
def test_every_row_is_there_once_whole_and_of_the_schema(tmp_path, in_memory):
    found = order(5_000, tmp_path, in_memory=in_memory)
    assert found.schema.equals(SCHEMA, check_metadata=True)
    assert found.sort_by("x").equals(pa.Table.from_batches(batches(5_000)))


@pytest.mark.parametrize("in_memory", [1 << 20, 700])
def test_the_new_order_says_nothing_of_the_old_one(tmp_path, in_memory):
    n = 5_000
    found = order(n, tmp_path, in_memory=in_memory)["x"].to_pylist()
    # ranks correlate by chance with a deviation of 1 / sqrt(n - 1): 7 of them, 3e-12 false alarms
    mean = (n - 1) / 2
    covariance = sum((place - mean) * (x - mean) for place, x in enumerate(found))
    assert abs(covariance) < 7 / (n - 1) ** 0.5 * n * (n * n - 1) / 12


@pytest.mark.parametrize("in_memory", [10, 1])
def test_every_order_of_three_rows_is_equally_likely(tmp_path, in_memory):
    n = 1_200
    found = Counter(
        tuple(order(3, tmp_path, in_memory=in_memory)["x"].to_pylist()) for _ in range(n)
    )
    assert set(found) == set(permutations(range(3)))
    # 12.9 a deviation; 7 of them by a binomial's normal limit: 6 * 3e-12 false alarms
    assert all(abs(count - n / 6) < 7 * 12.91 for count in found.values())


def test_all_rows_are_taken_before_the_first_is_given(tmp_path):
    taken = []

    def source():
        for batch in batches(3_000):
            taken.append(batch.num_rows)
            yield batch

    next(iter(shuffled(source(), SCHEMA, n_rows=3_000, folder=tmp_path)))
    assert sum(taken) == 3_000


def test_no_row_gives_no_batch_and_no_file_stays(tmp_path):
    none = [batches(1)[0].slice(0, 0)]
    assert list(shuffled(none, SCHEMA, n_rows=5, folder=tmp_path)) == []
    order(2_000, tmp_path, in_memory=100)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_an_error_of_ours(tmp_path):
    with pytest.raises(ProvisioningError, match="another order"):
        order(3, tmp_path / "none")
