from __future__ import annotations

from pathlib import Path

import pytest

from manatee.testing import Installation


@pytest.fixture
def place(tmp_path: Path) -> Installation:
    return Installation(tmp_path)
