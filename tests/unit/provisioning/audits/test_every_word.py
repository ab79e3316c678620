"""Local treatments as they are released, replayed word by word; planted defects are refuted."""

from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest

from manatee.contracts import Column
from manatee.errors import ProvisioningError
from manatee.provisioning.audits import check_every_word
from manatee.provisioning.audits._every_word import _below_exp
from manatee.provisioning.pets import Keep, Randomise, RandomiseNumber, _windows
from manatee.provisioning.pets._exact import below_exp
from manatee.provisioning.pets._windows import OUTSIDE, Windows, draw_cells

TRUTH = Column("b", "boolean")
BOTH = pa.array([False, True])


class Told:
    """Planted: a boolean told by a mechanism of given weights."""

    name = "told"

    def __init__(self, mechanism=None, tell=None):
        self._mechanism, self._tell = mechanism, tell

    def check(self, column):
        """Accept any."""

    def begin(self, column, context):
        self._source = context.source
        return self

    def apply(self, values):
        found = values.to_numpy(zero_copy_only=False).astype(np.int64)
        if self._tell:
            return pa.array(self._tell(found, self._source))
        return pa.array(draw_cells(found, self._mechanism, self._source) == 1)


def audit(treatment, *, epsilon=1, width=3, column=TRUTH, values=BOTH):
    return check_every_word(treatment, column, values, Fraction(epsilon), width=width)


def test_the_released_boolean_keeps_its_epsilon_and_spends_all_but_a_millionth():
    finding = audit(Randomise(1.0))
    assert finding.passed
    assert finding.numbers["words"] > 2**23
    assert 1 - 1 / OUTSIDE < finding.numbers["epsilon at least"] <= 1


def test_rows_that_share_an_epsilon_have_a_fifth_each():
    finding = audit(Randomise(1.0, rows=5), epsilon=Fraction(1, 5))
    assert finding.passed
    assert finding.numbers["epsilon at least"] == pytest.approx(0.2, abs=1e-6)
    assert not audit(Randomise(1.0, rows=4), epsilon=Fraction(1, 5)).passed


def test_a_number_told_by_the_piecewise_mechanism_keeps_its_epsilon():
    column = Column("x", "integer", minimum=0, maximum=1)
    finding = audit(RandomiseNumber(1.0, "piecewise"), column=column, values=pa.array([0, 1]))
    assert finding.passed
    assert finding.numbers["answers"] == 2


def test_one_unit_of_weight_too_much_is_refuted():
    honest = Windows(1, 1, 43, 16)  # 16 * e is 43.49
    assert audit(Told(honest), width=1).passed
    assert not audit(Told(Windows(1, 1, 44, 16)), width=1).passed


def test_a_remainder_without_rejection_is_refuted(monkeypatch):
    def biased(limit, size, source):
        return np.frombuffer(source(size), dtype=np.uint8).astype(np.int64) % limit

    honest = Told(Windows(1, 1, 110, 41))  # 41 * e is 111.4
    assert audit(honest, width=1).passed
    monkeypatch.setattr(_windows, "uniform_below", biased)
    finding = audit(honest, width=1)
    assert finding.numbers["words"] == 256
    assert not finding.passed


def test_an_answer_that_gives_a_value_away_is_refuted():
    def tell(found, source):
        words = np.frombuffer(source(len(found)), dtype=np.uint8)
        return (found == 1) & (words > 100)  # "yes" is only said where it is true

    finding = audit(Told(tell=tell), width=1)
    assert not finding.passed
    assert "never for others" in finding.why


def test_a_treatment_that_draws_nothing_is_no_treatment_to_audit():
    with pytest.raises(ProvisioningError, match="takes no bytes"):
        audit(Keep(), width=1)


def test_another_width_of_words_is_refused():
    with pytest.raises(ProvisioningError, match="does not draw words of 2 bytes"):
        audit(Told(tell=lambda found, source: source(3) and found == 1), width=2)
    with pytest.raises(ProvisioningError, match="1 to 3 bytes"):
        audit(Randomise(1.0), width=4)


@pytest.mark.parametrize("epsilon", [Fraction(1, 1000), Fraction(1, 3), Fraction(1), Fraction(20)])
def test_the_bound_of_the_audit_and_of_the_mechanism_agree(epsilon):
    assert _below_exp(epsilon) >= below_exp(epsilon)
    assert _below_exp(epsilon) == pytest.approx(float(np.exp(float(epsilon))), rel=1e-12)
