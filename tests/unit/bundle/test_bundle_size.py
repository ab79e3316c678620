"""A bundle is somebody else's: what it makes a reader hold is bounded."""

from __future__ import annotations

from pathlib import Path

import pytest

from manatee.bundle import _folder, read_bundle
from manatee.errors import BundleError
from manatee.testing import Installation


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Installation(tmp_path).write_run(tmp_path / "bundle")


def test_many_files_of_allowed_size_are_too_much_together(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [path.stat().st_size for path in (bundle / "outputs").iterdir()]
    monkeypatch.setattr(_folder, "MAX_FOLDER_BYTES", sum(sizes))
    assert read_bundle(bundle).outputs
    monkeypatch.setattr(_folder, "MAX_FOLDER_BYTES", sum(sizes) - 1)
    with pytest.raises(BundleError, match="larger than"):
        read_bundle(bundle)


def test_a_folder_of_endless_empty_files_is_refused(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_folder, "MAX_ENTRIES", 5)
    for number in range(6):
        (bundle / "outputs" / f"{number}").touch()
    with pytest.raises(BundleError, match="over 5 entries"):
        read_bundle(bundle)
