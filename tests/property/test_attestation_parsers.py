"""Readers of hostile bytes: whatever is done to good input, only our errors come out."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))
from fuzz_targets import Target, load_target, target_names

MUTATED = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
LARGEST_SEED = 20_000


@pytest.fixture(scope="module", params=target_names())
def target(request: pytest.FixtureRequest) -> Target:
    return load_target(request.param)


@cache
def small_seeds(target: Target) -> list[bytes]:
    """Made once: some seeds are signed with fresh keys, and Hypothesis replays its choices."""
    return [item for item in (*target.corpus(), *target.seeds()) if len(item) <= LARGEST_SEED]


@MUTATED
@given(data=st.data())
def test_changed_seeds_raise_our_errors_only(target: Target, data: st.DataObject) -> None:
    changed = bytearray(data.draw(st.sampled_from(small_seeds(target))))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(changed)))
        end = data.draw(st.integers(start, min(start + 16, len(changed))))
        changed[start:end] = data.draw(st.binary(max_size=16))
    target.run(bytes(changed))


@MUTATED
@given(data=st.binary(max_size=300))
def test_random_bytes_raise_our_errors_only(target: Target, data: bytes) -> None:
    for choice in range(5):
        target.run(bytes([choice]) + data)
