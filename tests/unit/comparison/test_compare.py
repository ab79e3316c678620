"""What the researcher is told: where the twin misled, where not, and where noise hides it."""

from __future__ import annotations

from typing import Any

import msgspec
import pyarrow as pa
import pytest

from manatee.comparison import Finding, arrow_columns, compare, count_exactly
from manatee.errors import MalformedError
from manatee.records import NoisyCounts, TwinReport
from manatee.testing import VISITS_ORDER as ORDER
from manatee.testing import visits as table

TWIN = table(
    smoker=["no"] * 900 + ["yes"] * 100,
    town=["rome"] * 1000,
    bmi=[20.0] * 990 + [None] * 10,
)


def report(scale: float = 2.0, **counts: tuple[int, ...]) -> TwinReport:
    """What a run measured: the twin's own counts where nothing else is given."""
    given: dict[str, Any] = {
        "records": (1000,),
        "missing": (10,),
        "smoker": (900, 100),
        "town": (1000, 0),
        "both": (900, 0, 100, 0),
        **counts,
    }
    shapes = (
        ("records", ()),
        ("missing", ("bmi",)),
        ("smoker", ("smoker",)),
        ("town", ("town",)),
        ("both", ("smoker", "town")),
    )
    return TwinReport(
        dataset="visits",
        rho=ORDER.rho,
        unit="row",
        most_rows=1,
        columns=arrow_columns(TWIN.schema),
        measured=tuple(
            NoisyCounts(
                what=name if name in {"records", "missing"} else "strata",  # type: ignore[arg-type]
                columns=columns,
                counts=given[name],
                scale=scale,
            )
            for name, columns in shapes
        ),
    )


def found(measured: TwinReport, twin: pa.Table = TWIN) -> dict[tuple[str, str], Finding]:
    counted = count_exactly(twin.to_batches(), twin.schema, ORDER)
    findings = compare(measured, ORDER, arrow_columns(twin.schema), counted)
    return {(item.what, item.where): item for item in findings}


def misled(measured: TwinReport, twin: pa.Table = TWIN) -> set[tuple[str, str]]:
    return {key for key, item in found(measured, twin).items() if item.verdict == "misled"}


def test_a_faithful_twin_misled_nowhere() -> None:
    findings = found(report())
    assert {item.verdict for item in findings.values()} == {"agrees"}
    assert len(findings) == 4 + 1 + 2 + 2 + 4


def test_missing_values_in_another_band_are_named() -> None:
    measured = report(missing=(300,))
    assert misled(measured) == {("missing", "bmi")}
    told = found(measured)["missing", "bmi"]
    assert told.twin == "1.00%"
    assert told.low < 0.3 < told.high
    assert 0.2 < told.low
    assert told.real == "29% to 31%"


def test_a_stratum_that_the_twin_has_none_of_is_named() -> None:
    measured = report(town=(950, 50), both=(850, 50, 100, 0))
    assert misled(measured) == {
        ("stratum", "town = elsewhere"),
        ("stratum", "smoker = no and town = elsewhere"),
    }


def test_a_stratum_that_only_the_twin_has_is_named() -> None:
    assert ("stratum", "smoker = yes") in misled(report(smoker=(1000, 0), both=(1000, 0, 0, 0)))


def test_a_type_that_differs_is_named() -> None:
    twin = TWIN.set_column(3, pa.field("bmi", pa.float32()), TWIN["bmi"].cast(pa.float32()))
    told = found(report(), twin)["type", "bmi"]
    assert (told.verdict, told.twin, told.real) == (
        "misled",
        "float, may be missing",
        "double, may be missing",
    )


def test_a_column_that_only_one_of_them_has_is_named() -> None:
    twin = TWIN.append_column("height", pa.array([1.7] * 1000))
    assert found(report(), twin)["type", "height"].real == "no such column"
    assert misled(report(), TWIN.drop_columns(["person"])) == {("type", "person")}


def test_what_drowns_in_noise_is_said_to() -> None:
    findings = found(report(scale=200.0))
    assert findings["missing", "bmi"].verdict == "cannot tell"
    assert findings["stratum", "smoker = yes"].verdict == "cannot tell"
    assert not any(item.verdict == "misled" for item in findings.values())


def test_noise_below_zero_and_beyond_all_rows_stays_a_share() -> None:
    findings = found(report(records=(-50,), missing=(-40,), smoker=(-9, 2000)))
    shares = [item for key, item in findings.items() if key[0] != "type"]
    assert all(0.0 <= item.low <= item.high <= 1.0 for item in shares)


def test_the_intervals_of_a_report_hold_together_as_often_as_is_said() -> None:
    """Drawn anew 400 times. Stated: 95% at least; fewer than 360 by chance: below one in 10^5."""
    from fractions import Fraction

    from manatee.budgets import noisy_counts

    exact = count_exactly(TWIN.to_batches(), TWIN.schema, ORDER)
    share = Fraction(1, 2) / len(exact)
    held = 0
    for _ in range(400):
        drawn = [noisy_counts(item.counts, share, sensitivity=1) for item in exact]
        measured = msgspec.structs.replace(
            report(),
            measured=tuple(
                NoisyCounts(what=item.what, columns=item.columns, counts=counts, scale=scale)
                for item, (counts, scale) in zip(exact, drawn, strict=True)
            ),
        )
        findings = compare(measured, ORDER, arrow_columns(TWIN.schema), exact)
        true = [count / 1000 for item in exact[1:] for count in item.counts]
        shares = [item for item in findings if item.what != "type"]
        held += all(
            item.low <= value <= item.high for item, value in zip(shares, true, strict=True)
        )
    assert held >= 360


REFUSED = {
    "another shape": msgspec.structs.replace(report(), measured=report().measured[:-1]),
    "another price": msgspec.structs.replace(report(), rho="1/3"),
    "no noise": report(scale=0.0),
    "noise that is no number": report(scale=float("nan")),
}


@pytest.mark.parametrize("measured", REFUSED.values(), ids=REFUSED.keys())
def test_a_report_of_something_else_is_refused(measured: TwinReport) -> None:
    with pytest.raises(MalformedError):
        found(measured)
