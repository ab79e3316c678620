"""A data set whose key was wrapped anew is the same version, with another wrapped key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from manatee.errors import ConflictError
from manatee.records import DatasetPublication, to_base64
from manatee.testing import ControlPlane

replace = msgspec.structs.replace


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ControlPlane]:
    made = ControlPlane(tmp_path)
    yield made
    made.store.close()


def rewrapped(publication: DatasetPublication) -> DatasetPublication:
    assert publication.dataset.wrapped_key is not None
    key = replace(publication.dataset.wrapped_key, ciphertext=to_base64(b"wrapped anew"))
    return replace(publication, dataset=replace(publication.dataset, wrapped_key=key))


def test_a_rewrapped_key_takes_the_old_ones_place_in_the_same_version(plane: ControlPlane) -> None:
    before = plane.entry
    changed = rewrapped(before.publication)
    after = plane.store.datasets.publish(changed)
    assert (after.version, after.published_at) == (before.version, before.published_at)
    name = changed.dataset.name
    assert plane.store.datasets.get(name, before.version).publication == changed
    assert len(plane.store.datasets.latest()) == 1


def test_nothing_else_of_a_version_changes_along_with_its_wrapped_key(plane: ControlPlane) -> None:
    before = plane.entry
    changed = replace(rewrapped(before.publication), broker_url="http://127.0.0.1:10")
    with pytest.raises(ConflictError, match="published before"):
        plane.store.datasets.publish(changed)
    assert plane.store.datasets.get(changed.dataset.name) == before
