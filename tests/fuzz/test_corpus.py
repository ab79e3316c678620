"""Every parser of hostile bytes fails with our errors only, in bounded time: inputs that are kept.

The inputs were found by the fuzzer (docs/how-to/fuzz-the-parsers.md); here they are replayed, with
the recorded evidence they grew from and a few mutations of both.
"""

import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from fuzz_targets import Target, load_target, target_names

A_MEGABYTE = 1 << 20
SLOWEST_SECONDS = 5


@pytest.fixture(scope="module", params=target_names())
def target(request: pytest.FixtureRequest) -> Target:
    return load_target(request.param)


def mutations(data: bytes) -> tuple[bytes, ...]:
    half, quarter = len(data) // 2, len(data) // 4
    broken = bytearray(data)
    if broken:
        broken[half] ^= 0xFF
    return (
        data[:half],
        data[:quarter],
        data[:-1],
        data + b"\0",
        data + b"A",
        bytes(broken),
        data * 2,
    )


def test_a_corpus_is_kept_for_every_target_and_none_else(target: Target) -> None:
    assert target.corpus()
    kept = {path.name for path in (Path(__file__).parent / "corpus").iterdir()}
    assert kept == set(target_names())


def test_kept_inputs_raise_our_errors_only(target: Target) -> None:
    for data in target.corpus():
        target.run(data)
        for mutated in mutations(data):
            target.run(mutated)


def test_recorded_evidence_and_its_mutations_raise_our_errors_only(target: Target) -> None:
    seeds = tuple(target.seeds())
    assert seeds
    for data in seeds:
        target.run(data)
        for mutated in mutations(data):
            target.run(mutated)


@pytest.mark.parametrize(
    "filling", [b"\0", b"\xff", b"[", b'{"a":', b"\x9f", b"\x81", b"-", b"(", b"A."]
)
def test_a_megabyte_is_answered_quickly(target: Target, filling: bytes) -> None:
    whole = filling * (A_MEGABYTE // len(filling))
    start = next(iter(target.seeds()))
    for data in (whole, b"\1" + whole, start + whole):
        before = time.monotonic()
        target.run(data)
        assert time.monotonic() - before < SLOWEST_SECONDS
