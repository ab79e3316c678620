"""Copies are found, and what chance gives is not called a copy."""

import numpy as np
import pyarrow as pa
import pytest

from manatee.contracts import Column
from manatee.provisioning import insured_persons
from manatee.provisioning.attacks import check_verbatim

REAL = insured_persons(1338, seed=4)
OTHERS = insured_persons(1200, seed=5)


def check(twin, columns, real=REAL, **options):
    return check_verbatim(lambda name: real[name], twin, columns, **options)


def by_name(found):
    return {finding.what: finding for finding in found.findings}


def drawn_evenly(column, cells, sampler, places=None):
    """Values as a twin's are drawn: evenly within the cells that other people fall into."""
    low = np.floor(places / cells) * cells
    step = 10.0**-column.decimals
    return np.round((low + sampler.uniform(0, cells, len(places))) / step) * step


def test_other_people_are_no_copies(columns):
    found = check(OTHERS, columns)
    assert found.passed
    assert by_name(found)["charges"].verdict == "passed"
    assert by_name(found)["rows"].verdict == "passed"


def test_what_chance_explains_is_not_tested(columns):
    found = by_name(check(OTHERS, columns))
    assert found["age"].verdict == found["children"].verdict == "not tested"
    assert found["age"].share > 0.9


def test_a_twin_whose_every_charge_is_verbatim_is_flagged(columns):
    """The domain was read from the data: nobody's row, but everybody's charge."""
    charges = REAL["charges"].take(np.random.default_rng(0).integers(0, 1338, OTHERS.num_rows))
    place = OTHERS.column_names.index("charges")
    found = check(OTHERS.set_column(place, "charges", charges), columns)
    assert not found.passed
    assert by_name(found)["charges"].share == 1
    assert by_name(found)["charges"].verdict == "failed"
    assert by_name(found)["rows"].verdict == "passed"


def test_three_copied_rows_among_a_thousand_are_flagged(columns):
    found = check(pa.concat_tables([OTHERS, REAL.slice(7, 3)]), columns)
    assert by_name(found)["rows"].verdict == "failed"
    assert by_name(found)["charges"].verdict == "failed"


def test_chance_is_what_an_even_draw_gives_and_the_false_alarm_rate_holds():
    """A coarse grid, where many values match by chance; 300 twins at a rate of 1%.

    Three alarms are expected at most (Hoeffding's bound is on the safe side); 14 have a chance
    below 1e-5.
    """
    column = Column("x", "decimal", minimum=0, maximum=100, bins=10, decimals=2)
    sampler = np.random.default_rng(1)
    real = pa.table({"x": np.round(sampler.gamma(2, 12, 2000).clip(0, 99.99), 2)})
    shares, alarms = [], 0
    for _ in range(300):
        places = sampler.gamma(2, 12, 500).clip(0, 99.99)
        twin = pa.table({"x": np.round(drawn_evenly(column, 10.0, sampler, places), 2)})
        found = by_name(check(twin, [column], real, false_alarm=0.01))["x"]
        shares.append((found.share, found.expected))
        alarms += found.verdict == "failed"
    share, expected = np.mean(shares, axis=0)
    assert 0.02 < expected < 0.5
    assert share == pytest.approx(expected, rel=0.03)
    assert alarms <= 13


def test_real_values_off_the_grid_are_found_when_copied():
    """The real table has more decimals than the twin may have: only a copy can match."""
    column = Column("x", "decimal", minimum=0, maximum=10, bins=5, decimals=1)
    real = pa.table({"x": np.random.default_rng(2).uniform(0, 10, 50)})
    assert by_name(check(real.slice(0, 9), [column], real))["x"].verdict == "failed"
    even = pa.table({"x": np.round(np.arange(40) * 0.25, 1)})
    assert by_name(check(even, [column], real))["x"].share == 0


def test_one_shared_free_text_is_a_copy():
    columns = [Column("note", "text", max_length=40), Column("id", "identifier", holds="text")]
    real = pa.table({"note": ["fell off a horse", "came late"], "id": ["p1", "p2"]})
    fine = pa.table({"note": ["words", "words"], "id": ["x1", None]})
    assert check(fine, columns, real).passed
    found = check(pa.table({"note": ["words", "came late"], "id": ["x1", "x2"]}), columns, real)
    assert by_name(found)["note"].verdict == "failed"
    assert by_name(found)["id"].verdict == "passed"


def test_missing_values_are_no_copies():
    column = Column("x", "decimal", minimum=0, maximum=10, decimals=5, nullable=True)
    real = pa.table({"x": pa.array([1.23456, None, None])})
    twin = pa.table({"x": pa.array([None] * 100, pa.float64())})
    found = check(twin, [column], real)
    assert by_name(found)["x"].verdict == "not tested"
    assert by_name(found)["rows"].verdict != "failed"
