"""What appraisal costs: median time per kind on one core, and what hostile input can take.

    python benchmarks/appraisal.py [--seconds 2]

For each piece of evidence in `appraisal_cases.py`: the median time of one appraisal on one core,
its slowest mutation (one flipped bit at each 16th byte or, of large evidence, at 400 places;
truncations; padding), and for TDX the ratio to `dcap_qvl.verify` alone, in interleaved pairs. For
each registered kind: the slowest 1 MiB of hostile input and the most memory that Python allocated
while refusing it. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import dcap_qvl
from appraisal_cases import EXPECTED, REFERENCE_VALUES, Case, cases, media_type

from manatee.attestation import Endorsements, verifier_of, verifiers
from manatee.errors import ManateeError
from manatee.records import Evidence, to_base64

MEBIBYTE = 1 << 20


def timed(work: Callable[[], object], seconds: float) -> list[float]:
    taken: list[float] = []
    end = perf_counter() + seconds
    while perf_counter() < end or len(taken) < 5:
        begun = perf_counter()
        work()
        taken.append(perf_counter() - begun)
    return taken


def mutations(data: bytes) -> Iterator[tuple[str, bytes]]:
    for at in range(0, len(data), max(16, len(data) // 400)):
        changed = bytearray(data)
        changed[at] ^= 1 << (at // 16 % 7)
        yield f"bit at byte {at}", bytes(changed)
    for part in (1, len(data) // 4, len(data) // 2, len(data) - 1):
        yield f"first {part} bytes", data[:part]
    yield "padded to 1 MiB", data + bytes(MEBIBYTE - len(data))


def measure(case: Case, seconds: float) -> dict[str, Any]:
    if not case.appraise():
        raise SystemExit(f"{case.name}: its signatures do not hold.")
    taken = timed(case.appraise, seconds)
    slowest, name, let_through = 0.0, "", 0
    for label, data in mutations(case.data):
        begun = perf_counter()
        let_through += case.appraise(data)
        if (spent := perf_counter() - begun) > slowest:
            slowest, name = spent, label
    return {
        "median_ms": round(1e3 * statistics.median(taken), 3),
        "appraisals_per_second": round(1 / statistics.median(taken)),
        "slowest_mutation_ms": round(1e3 * slowest, 3),
        "slowest_mutation": name,
        # a quote padded with zeros may lose one of them, and some members of JSON nobody signs
        "mutations_whose_signatures_held": let_through,
    }


def against_library(case: Case, seconds: float) -> dict[str, Any]:
    document = case.endorsements.documents["intel-tdx/b0c06f000000"].decode()
    moment = int(case.at.timestamp())

    def alone() -> None:
        # reading the collateral belongs to it: both start from the same bytes
        dcap_qvl.verify(case.data, dcap_qvl.QuoteCollateralV3.from_json(document), moment)

    ours: list[float] = []
    library: list[float] = []
    end = perf_counter() + 2 * seconds
    while perf_counter() < end:
        for work, taken in ((case.appraise, ours), (alone, library)):
            begun = perf_counter()
            work()
            taken.append(perf_counter() - begun)
    ratio = statistics.median(ours) / statistics.median(library)
    return {
        "dcap_qvl_alone_ms": round(1e3 * statistics.median(library), 3),
        "ratio": round(ratio, 2),
        "goal": 1.5,
    }


def hostile() -> dict[str, bytes]:
    return {
        "zeros": bytes(MEBIBYTE),
        "ones": b"\xff" * MEBIBYTE,
        "brackets": b"[" * MEBIBYTE,
        "objects": b'{"a":' * (MEBIBYTE // 5),
        "arrays (CBOR)": b"\x81" * MEBIBYTE,
        "maps (CBOR)": b"\xa1\x01" * (MEBIBYTE // 2),
        "XML": b"<a>" * (MEBIBYTE // 3),
        "certificates (PEM)": b"-----BEGIN CERTIFICATE-----\n" * (MEBIBYTE // 28),
        "long string (CBOR)": b"\x5b\x3f" + b"\xff" * (MEBIBYTE - 2),
        "dots": b"a." * (MEBIBYTE // 2),
    }


def refusal(kind: str) -> dict[str, Any]:
    """Measure refusing hostile input, each twice: for time alone, then for memory."""
    slowest, peak = 0.0, 0
    for data in hostile().values():
        case = Case(kind, media_type(kind), data, datetime(2026, 1, 1, tzinfo=UTC))
        begun = perf_counter()
        held = case.appraise()
        slowest = max(slowest, perf_counter() - begun)
        if held:
            raise SystemExit(f"{kind}: hostile input was taken for evidence.")
        evidence = Evidence(media_type=case.media_type, payload=to_base64(data))
        verifier = verifier_of(evidence)
        tracemalloc.start()
        try:
            verifier.appraise(
                evidence,
                at=case.at,
                expected_binding=EXPECTED,
                reference_values=REFERENCE_VALUES,
                endorsements=Endorsements(),
                max_age_seconds=None,
            )
        except ManateeError:
            pass
        finally:
            peak = max(peak, tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    return {"slowest_ms": round(1e3 * slowest, 3), "peak_mib": round(peak / MEBIBYTE, 2)}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=2.0, help="time per kind of evidence")
    seconds = arguments.parse_args().seconds
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    answer: dict[str, Any] = {"evidence": {}, "hostile_1_mib": {}}
    for case in cases():
        found = measure(case, seconds)
        if case.name.startswith("tdx/"):
            found |= against_library(case, seconds)
        answer["evidence"][case.name] = found
    for verifier in verifiers():
        answer["hostile_1_mib"][verifier.kind] = refusal(verifier.kind)
    print(json.dumps(answer, indent=2))


if __name__ == "__main__":
    main()
