"""A log, two witnesses, a static server, a mirror: each a process of its own, over loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from manatee.errors import ForkError, LedgerError
from manatee.ledger import (
    ED25519,
    EntryLog,
    Ledger,
    LogReader,
    LogTrust,
    Monitor,
    WitnessAddress,
    collect_cosignatures,
    create_log,
    parse_key,
    parse_witnesses,
    read_source,
    signer_in,
    verify_log_proof,
)

MANATEE = str(Path(sys.executable).parent / "manatee")


@contextmanager
def service(*arguments: str | Path, lines: int) -> Iterator[list[str]]:
    """Run a command until the block ends; gives the first lines it prints."""
    running = subprocess.Popen(
        [MANATEE, "ledger", *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"},
    )
    assert running.stdout is not None
    try:
        with running.stdout:
            printed = [running.stdout.readline().strip() for _ in range(lines)]
            assert all(printed), "the service did not start"
            yield printed
    finally:
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) == 0


def witness(folder: Path, name: str, log_key: str) -> tuple[str | Path, ...]:
    return ("witness", folder, "--name", name, "--log", log_key, "--port", "0")


def test_a_log_is_witnessed_served_mirrored_and_its_fork_found(tmp_path: Path) -> None:
    signer = signer_in(tmp_path / "log-key.json", "example.org/log", ED25519)
    log, mirror = tmp_path / "log", tmp_path / "mirror"
    create_log(log, signer)
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                service(*witness(tmp_path / name, f"{name}.example", str(signer.key)), lines=2)
            )
            for name in ("w1", "w2")
        ]
        asked = [WitnessAddress(url, parse_key(key)) for key, url in started]
        trust = LogTrust(
            origin=signer.name,
            log_key=str(signer.key),
            witnesses=tuple(key for key, _ in started),
            quorum=2,
        )
        with Ledger.open(log, signer) as ledger:
            for batch in (3, 300):
                ledger.append([b"entry %d" % number for number in range(batch)])
                assert collect_cosignatures(ledger, asked) == {}
        ((url,),) = [stack.enter_context(service("serve", log, "--port", "0", lines=1))]
        (tmp_path / "trust.json").write_text(
            json.dumps(
                {
                    "origin": trust.origin,
                    "log_key": trust.log_key,
                    "witnesses": list(trust.witnesses),
                    "quorum": 2,
                }
            )
        )
        done = subprocess.run(
            [MANATEE, "ledger", "mirror", url, mirror, "--trust", tmp_path / "trust.json"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert "303 entries" in done.stdout
        assert (mirror / "checkpoint").read_bytes() == (log / "checkpoint").read_bytes()
        proof = LogReader(read_source(url)).proof(302).encode()
        found = verify_log_proof(proof, b"entry 299", trust)
        assert [name for name, _ in found.cosigners] == ["w1.example", "w2.example"]

    # the operator starts the log anew with the same key; witnesses restart with what they knew
    rival = tmp_path / "rival"
    create_log(rival, signer)
    with service(*witness(tmp_path / "w1", "w1.example", str(signer.key)), lines=2) as (key, url):
        assert key == started[0][0]  # its key outlives it
        with Ledger.open(rival, signer) as ledger:
            ledger.append([b"other %d" % number for number in range(400)])
            problems = collect_cosignatures(ledger, [WitnessAddress(url, parse_key(key))])
        assert "answered 422" in problems["w1.example"]
    alone = LogTrust(origin=signer.name, log_key=str(signer.key))
    with pytest.raises(ForkError):
        Monitor(mirror, alone).look(read_source(str(rival)))


def test_a_log_of_runs_is_cosigned_by_a_witness_and_readers_may_demand_it(tmp_path: Path) -> None:
    signer = signer_in(tmp_path / "runs-key.json", "example.org/runs", ED25519)
    alone = EntryLog(tmp_path / "runs", signer)
    alone.prove(b"run 0")
    with service(*witness(tmp_path / "w", "w.example", str(signer.key)), lines=2) as (key, url):
        trust = LogTrust(origin=signer.name, log_key=str(signer.key), witnesses=(key,), quorum=1)
        watched = EntryLog(tmp_path / "runs", signer, parse_witnesses(f"{key}@{url}"))
        for number in range(3):
            entry = b"run %d" % number
            found = verify_log_proof(watched.prove(entry), entry, trust)
            assert [name for name, _ in found.cosigners] == ["w.example"]
    # the witness is gone: proofs still come, and a reader who demands it is told
    proof = watched.prove(b"run 3")
    with pytest.raises(LedgerError, match="1 are needed"):
        verify_log_proof(proof, b"run 3", trust)
    assert verify_log_proof(proof, b"run 3", alone.trust()).cosigners == ()
