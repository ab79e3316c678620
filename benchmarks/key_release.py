"""A whole key release over a software TPM with three brokers, against the three quotes alone.

    python benchmarks/key_release.py [--rounds 30]

Peer: the same TPM asked for three quotes in the same round. What is above it is challenge, policy,
grants, logs with their proofs, and HPKE, three times, each on disk before it is answered.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from manatee.records import digest_bytes
from manatee.testing import Providers
from manatee.tpm import SoftwareTpms


def now() -> datetime:
    return datetime.now(UTC)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    whole, quotes = [], []
    with tempfile.TemporaryDirectory() as scratch:
        tpms = SoftwareTpms(Path(scratch) / "tpm", now)
        root = tpms.root()
        for number in range(rounds):
            folder = Path(scratch) / f"round-{number}"
            providers = Providers(folder, ("a", "b", "c"), root=root, clock=now)
            brokers = [providers.broker(place) for place in providers.places]
            run = Path(scratch) / f"r{number}"
            run.mkdir()
            with tpms.power_on(run) as device:
                device.measure_runtime(providers.places[0].runtime_digest)
                device.measure_job(providers.job_digest)
                began = time.perf_counter()
                for place, broker in zip(providers.places, brokers, strict=True):
                    asked = providers.ask(place, broker, device.quote)
                    answer = providers.release(broker, asked)
                    (key,) = place.open_keys(asked, answer)
                    assert key == place.data_key
                whole.append(time.perf_counter() - began)
                began = time.perf_counter()
                for _ in brokers:
                    device.quote(bytes.fromhex(digest_bytes(b"nonce").removeprefix("sha256:")))
                quotes.append(time.perf_counter() - began)
    total, alone = statistics.median(whole), statistics.median(quotes)
    print(f"rounds                         {rounds}")
    print(f"three brokers, whole release   {total * 1000:.1f} ms (worst {max(whole) * 1000:.1f})")
    print(f"three TPM quotes alone         {alone * 1000:.1f} ms")
    print(f"ratio                          {total / alone:.1f}")


if __name__ == "__main__":
    main()
