from __future__ import annotations

import pyarrow as pa
import pytest

from manatee.testing import visits


@pytest.fixture
def persons() -> pa.Table:
    return visits(
        person=[1, 1, 1, 2, None],
        smoker=["yes", "no", "no", None, "yes"],
        town=["rome", "pisa", "rome", "rome", "rome"],
        bmi=[None, 22.0, None, 24.0, None],
    )
