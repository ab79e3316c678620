"""A measured guest is a known image only if everything the image names is measured so."""

from __future__ import annotations

from typing import Any

import pytest

from manatee.attestation import GuestImage, Mark, ReferenceValues
from manatee.attestation._images import match_image
from manatee.records import digest_bytes

RUNTIME, OTHER = digest_bytes(b"runtime"), digest_bytes(b"other")
MEASURED = {"measurement": "aa" * 48, "host-data": "bb" * 32}


def find(
    *images: GuestImage,
    required: tuple[str, ...] = ("measurement",),
    measured: dict[str, str] | None = None,
    runtimes: tuple[str, ...] = (RUNTIME,),
) -> tuple[Any, Mark]:
    given = ReferenceValues(runtime_digests=runtimes, roots={}, images=images)
    runtime, check = match_image(
        "amd-sev-snp", MEASURED if measured is None else measured, given, required=required
    )
    return runtime, check.mark


def image(kind: str = "amd-sev-snp", runtime: str = RUNTIME, **measurements: str) -> GuestImage:
    named = {name.replace("_", "-"): value for name, value in measurements.items()}
    return GuestImage(kind=kind, measurements=named, runtime_digest=runtime)


def test_a_known_image_gives_its_runtime() -> None:
    assert find(image(measurement="aa" * 48)) == (RUNTIME, Mark.PASSED)
    assert find(image(measurement="aa" * 48, host_data="bb" * 32)) == (RUNTIME, Mark.PASSED)


@pytest.mark.parametrize(
    "known",
    [
        image(),  # names nothing
        image(host_data="bb" * 32),  # not what is required
        image(measurement="ab" * 48),
        image(measurement="AA" * 48),
        image(measurement="aa" * 47),
        image(measurement="aa" * 48, host_data="bc" * 32),  # one of two differs
        image(measurement="aa" * 48, author_key_digest="cc" * 48),  # not measured at all
        image(kind="intel-tdx", measurement="aa" * 48),
        image(runtime=OTHER, measurement="aa" * 48),  # a runtime that is not allowed
    ],
)
def test_an_image_that_differs_in_anything_is_not_it(known: GuestImage) -> None:
    assert find(known) == (None, Mark.FAILED)


def test_no_images_and_no_measurements_match_nothing() -> None:
    assert find() == (None, Mark.FAILED)
    assert find(image(measurement="aa" * 48), measured={}) == (None, Mark.FAILED)
    assert find(image(measurement="aa" * 48), runtimes=()) == (None, Mark.FAILED)


def test_requiring_nothing_matches_nothing() -> None:
    assert find(image(), required=()) == (None, Mark.FAILED)
    assert find(image(measurement="aa" * 48), required=()) == (None, Mark.FAILED)


def test_a_second_image_is_looked_at_too() -> None:
    found = find(image(measurement="ab" * 48), image(measurement="aa" * 48))
    assert found == (RUNTIME, Mark.PASSED)
