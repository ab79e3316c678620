"""The run's statement before a tool that is not ours: securesystemslib, as in-toto uses it."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from manatee.testing import Installation


def key_of(key_id: str) -> SSlibKey:
    return SSlibKey(key_id, "ed25519", "ed25519", {"public": key_id})


def test_an_in_toto_user_verifies_and_reads_the_statement(tmp_path: Path) -> None:
    run = Installation(tmp_path).write_run(tmp_path / "run")
    document = json.loads((run / "run.dsse.json").read_bytes())
    key_id = document["signatures"][0]["keyid"]
    envelope = Envelope.from_dict(document)
    assert list(envelope.verify([key_of(key_id)], 1)) == [key_id]
    assert envelope.payload_type == "application/vnd.in-toto+json"
    statement = json.loads(envelope.payload)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert {item["name"] for item in statement["subject"]} == {"notebook.ipynb", "table.csv"}
    assert all(len(item["digest"]["hmacSha256"]) == 64 for item in statement["subject"])


def test_a_changed_statement_does_not_verify_there_either(tmp_path: Path) -> None:
    run = Installation(tmp_path).write_run(tmp_path / "run")
    document = (run / "run.dsse.json").read_bytes()
    plain = json.loads(document)
    key = key_of(plain["signatures"][0]["keyid"])
    payload = base64.b64decode(plain["payload"])
    changed = payload.replace(b"Count claims", b"Count clAims")
    assert changed != payload
    lies = (
        {"payload": base64.b64encode(changed).decode()},
        {"payloadType": "text/plain"},  # CVE-2022-35929
    )
    for lie in lies:
        envelope = Envelope.from_dict(json.loads(document) | lie)
        with pytest.raises(VerificationError):
            envelope.verify([key], 1)
