"""Which known guest image the measured values belong to."""

from __future__ import annotations

from collections.abc import Mapping

from manatee.attestation._interface import Check, check
from manatee.attestation._reference import ReferenceValues
from manatee.records import Digest


def match_image(
    kind: str,
    measurements: Mapping[str, str],
    reference_values: ReferenceValues,
    *,
    required: tuple[str, ...],
) -> tuple[Digest | None, Check]:
    """Find the image that measured values belong to.

    An image counts only if it names every required measurement, agrees in every one it names, and
    holds a runtime that the reference values list.

    Args:
        kind: Evidence kind.
        measurements: What the evidence claims, name to hexadecimal.
        reference_values: The relying party's.
        required: Measurements without which an image says nothing. Must not be empty.

    Returns:
        The runtime in the image, or None; and the check `image`.
    """
    for image in reference_values.images:
        if (
            image.kind == kind
            and required
            and set(required) <= set(image.measurements)
            and all(measurements.get(name) == want for name, want in image.measurements.items())
            and image.runtime_digest in reference_values.runtime_digests
        ):
            return Digest(image.runtime_digest), _image_check(True)
    return None, _image_check(False)


def _image_check(passed: bool) -> Check:
    return check(
        "image",
        "Guest image is a known one",
        passed,
        good="every measurement is that of a known image whose runtime is allowed",
        bad="the measurements are not those of any image among the reference values",
    )
