"""The coded file of private rows: nobody else's to read, and gone whatever happens."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from manatee.contracts import Column
from manatee.errors import ProvisioningError
from manatee.provisioning.counting import Attribute, BlockCounter, MemoryCounter

COLUMN = Column("x", "integer", minimum=0, maximum=9, bins=10)


def batch(*values: int) -> pa.RecordBatch:
    return pa.record_batch({"x": pa.array(values, pa.int64())})


def test_the_coded_file_has_no_name_and_is_for_this_user_alone(tmp_path: Path) -> None:
    with BlockCounter([COLUMN], [batch(1, 2)], folder=tmp_path) as counter:
        assert list(tmp_path.iterdir()) == []
        assert stat.S_IMODE(os.fstat(counter._file.fileno()).st_mode) == 0o600


def test_closing_forgets_the_table(tmp_path: Path) -> None:
    counter = BlockCounter([COLUMN], [batch(1, 2)], folder=tmp_path)
    counter.close()
    with pytest.raises(ValueError, match="closed"):
        counter.count([("x",)])


def test_a_stream_that_breaks_off_leaves_no_open_file(tmp_path: Path) -> None:
    def broken() -> Iterator[pa.RecordBatch]:
        yield batch(1)
        raise ProvisioningError("broke off")

    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(ProvisioningError, match="broke off"):
        BlockCounter([COLUMN], broken(), folder=tmp_path)
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_a_full_disk_is_reported_as_such() -> None:
    def full() -> Iterator[pa.RecordBatch]:
        yield batch(1)
        raise OSError(28, "No space left on device")

    with pytest.raises(ProvisioningError, match="coded table cannot be written"):
        BlockCounter([COLUMN], full())


def test_blocks_stay_small_however_large_the_batches_are() -> None:
    with BlockCounter([COLUMN], [batch(*range(10)), batch(*([3] * 200_000))]) as counter:
        assert max(counter._lengths) == 1 << 16
        (counts,) = counter.count([("x",)])
    assert counts.tolist() == [1, 1, 1, 200_001, 1, 1, 1, 1, 1, 1]


def test_counting_twice_gives_the_same() -> None:
    with BlockCounter([COLUMN], [batch(1, 1, 2)]) as counter:
        first, second = counter.count([("x",)]), counter.count([("x",)])
    assert (first[0] == second[0]).all()


def test_codes_of_different_lengths_are_refused() -> None:
    attributes = (Attribute("a", 2, False, 2), Attribute("b", 2, False, 2))
    codes = {"a": np.zeros(2, np.uint8), "b": np.zeros(3, np.uint8)}
    with pytest.raises(ProvisioningError, match="different lengths"):
        MemoryCounter(attributes, codes)
