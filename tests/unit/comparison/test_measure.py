"""Measuring a real table for its comparison: what leaves is noisy, and paid for to the last bit."""

from __future__ import annotations

import statistics
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pytest

from manatee.comparison import measure, parts_of
from manatee.errors import MalformedError, SealingError
from manatee.records import MAX_JSON_BYTES, TwinReport, canonical_json, read_record
from manatee.testing import VISITS_ORDER as ORDER
from manatee.testing import VISITS_PER_PERSON as PER_PERSON
from manatee.testing import visits as table


def written(path: Path, rows: pa.Table) -> Path:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, rows.schema) as writer:
        writer.write_table(rows, max_chunksize=2)
    return path


def paid(report: TwinReport) -> float:
    """What the noise of all measurements is worth: sensitivity^2 / (2 scale^2), summed."""
    return sum(report.most_rows**2 / (2 * item.scale**2) for item in report.measured)


def test_the_parts_share_the_price_equally_and_never_go_over_it(
    tmp_path: Path, persons: pa.Table
) -> None:
    for order in (ORDER, PER_PERSON):
        report = measure(written(tmp_path / f"{order.unit}.arrow", persons), "visits", order)
        assert len(report.measured) == parts_of(order)
        assert paid(report) <= Fraction(order.rho)
        assert paid(report) == pytest.approx(float(Fraction(order.rho)), rel=1e-9)


def test_counts_are_noisy_around_what_they_are(tmp_path: Path) -> None:
    """By chance alone this fails in fewer than one of 10^9 runs: six standard deviations."""
    path = written(tmp_path / "table.arrow", table(bmi=[None] * 40))
    found = [measure(path, "visits", ORDER) for _ in range(30)]
    noisy = [report.measured[0].counts[0] for report in found]
    scale = found[0].measured[0].scale
    assert len(set(noisy)) > 1
    assert abs(statistics.mean(noisy) - 40) < 6 * scale / 30**0.5


def test_a_report_is_a_record_that_anybody_can_read(tmp_path: Path, persons: pa.Table) -> None:
    report = measure(written(tmp_path / "table.arrow", persons), "visits", ORDER)
    data = canonical_json(report)
    assert len(data) < MAX_JSON_BYTES
    assert read_record(data, TwinReport, what="report") == report
    assert report.columns[1].name == "smoker"


def test_a_table_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "table.arrow").write_bytes(b"ARROW1 but no table")
    with pytest.raises(SealingError):
        measure(tmp_path / "table.arrow", "visits", ORDER)
    with pytest.raises(SealingError):
        measure(tmp_path / "gone.arrow", "visits", ORDER)


def test_a_column_of_another_type_is_refused_and_nothing_is_measured(tmp_path: Path) -> None:
    rows = pa.table({"bmi": [1.0], "smoker": [[1]], "town": ["rome"]})
    with pytest.raises((MalformedError, SealingError)):
        measure(written(tmp_path / "table.arrow", rows), "visits", ORDER)
