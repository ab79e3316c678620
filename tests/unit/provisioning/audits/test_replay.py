"""A run replayed on a neighbouring table shows wrong sensitivities and private steering."""

from fractions import Fraction

import numpy as np
import pytest

from manatee.provisioning.audits import RecordingBudget, audit_fit, check_sensitivities
from manatee.provisioning.noise import Budget

RHO = Fraction(1, 2)
ROWS = np.array([0, 0, 1, 1, 1, 2])
MORE = np.append(ROWS, 3)


def histogram(rows):
    return np.bincount(rows, minlength=4)


def sound(rows, budget):
    """Measure, then choose the cell that the measurement missed most, twice over."""
    noisy, _ = budget.measure(histogram(rows), RHO / 2, what="counts")
    scores = np.abs(histogram(rows) - np.rint(noisy))
    chosen = budget.select(scores, RHO / 4, what="choice")
    part = budget.part(RHO / 4)
    part.measure([histogram(rows)[chosen]], RHO / 4, what="again")
    budget.join(part, where="part")
    return {}


def counts_rows_twice(rows, budget):
    budget.measure(2 * histogram(rows), RHO, what="counts")
    return {}


def squared_scores(rows, budget):
    """An L1 score where the square was accounted for: fine for small counts, wrong for others."""
    budget.select(histogram(rows).astype(float) ** 2 + 3 * (rows.sum() > 6), RHO, what="choice")
    return {}


def cells_from_the_data(rows, budget):
    budget.measure(np.bincount(rows), RHO, what="counts")
    return {}


def budget_from_the_data(rows, budget):
    budget.measure(histogram(rows), RHO / len(rows), what="counts")
    return {}


def one_more_for_a_rare_row(rows, budget):
    budget.measure(histogram(rows), RHO / 2, what="counts")
    if 3 in rows:
        budget.measure([1], RHO / 2, what="rare")
    return {}


def on(mechanism, rows):
    return lambda budget: mechanism(rows, budget)


def test_a_sound_mechanism_passes_on_every_path():
    for _ in range(20):
        assert check_sensitivities(on(sound, ROWS), on(sound, MORE), RHO).passed
        assert check_sensitivities(on(sound, MORE), on(sound, ROWS), RHO).passed


@pytest.mark.parametrize("mechanism", [counts_rows_twice, squared_scores])
def test_a_sensitivity_that_is_too_small_is_found(mechanism):
    finding = check_sensitivities(on(mechanism, ROWS), on(mechanism, MORE), RHO)
    assert not finding.passed
    assert "more than its sensitivity" in finding.why
    assert finding.numbers["largest move per sensitivity"] >= 2


@pytest.mark.parametrize(
    "mechanism", [cells_from_the_data, budget_from_the_data, one_more_for_a_rare_row]
)
@pytest.mark.parametrize("rows", [(ROWS, MORE), (MORE, ROWS)])
def test_private_steering_is_found_in_both_directions(mechanism, rows):
    first, second = rows
    finding = check_sensitivities(on(mechanism, first), on(mechanism, second), RHO)
    assert not finding.passed
    assert "steers" in finding.why


def test_a_person_of_three_rows_needs_a_sensitivity_of_three():
    def measured(rows, sensitivity):
        return lambda budget: budget.measure(
            histogram(rows), RHO, what="counts", sensitivity=sensitivity
        )

    more = np.append(ROWS, [3, 3, 3])
    assert check_sensitivities(measured(ROWS, 3), measured(more, 3), RHO).passed
    assert not check_sensitivities(measured(ROWS, 2), measured(more, 2), RHO).passed


def test_recording_changes_nothing_about_what_is_spent():
    recorder = RecordingBudget(RHO)
    sound(ROWS, recorder)
    plain = Budget(RHO)
    sound(ROWS, plain)
    assert recorder.spent == plain.spent == RHO
    assert [c.what for c in recorder.charges] == [c.what for c in plain.charges]
    assert [call.what for call in recorder.calls] == ["counts", "choice", "again"]


def test_a_whole_mechanism_passes_and_its_exact_row_count_is_caught():
    def leaky(rows):
        return lambda budget: {**sound(rows, budget), "rows": float(len(rows))}

    honest = audit_fit(on(sound, ROWS), on(sound, MORE), rho=RHO, trials=300)
    assert all(finding.passed for finding in honest), honest
    assert {f.audit for f in honest} == {"distinguisher", "residuals", "charges", "sensitivities"}
    found = audit_fit(leaky(ROWS), leaky(MORE), rho=RHO, trials=300)
    assert [finding.audit for finding in found if not finding.passed] == ["distinguisher"]


def test_an_unspent_budget_does_not_add_up():
    half = on(
        lambda rows, budget: dict(a=budget.measure(histogram(rows), RHO / 2, what="c")[1]), ROWS
    )
    found = audit_fit(half, half, rho=RHO, trials=60)
    assert "charges" in {finding.audit for finding in found if not finding.passed}
