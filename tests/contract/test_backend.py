"""The backend contract: each sentence of `Backend`'s docstrings, on the fake and the real one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pytest

from manatee.backends import (
    Assurance,
    Backend,
    GuestInputs,
    GuestState,
    GuestStatus,
    Handle,
    SandboxBackend,
)
from manatee.errors import BackendError, RuntimeEnvironmentError
from manatee.records import (
    RESOURCE_CLASSES,
    Cause,
    DatasetManifest,
    DatasetUse,
    Digest,
    FileEntry,
    GuestPlan,
    JobManifest,
    OutputPolicy,
    canonical_json,
    dataset_version,
    digest_bytes,
    digest_record,
    read_record,
)
from manatee.runtime import runtime_digest
from manatee.testing import GuestScript, MemoryBackend, MemoryPlace

RUNTIME = Path(__file__).parents[2] / "runtimes" / "tabular" / ".venv"

# Runs in the guest in place of the executor and does what the job's parameters say. Written
# against the documented guest channel only.
GUEST_PROGRAM = """
import http.client, json, os, socket, time
plan = json.load(open("/run/manatee/plan.json"))
story = plan["manifest"]["parameters"]
class Channel(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("/run/manatee/channel.sock")
channel = Channel("guest")
def say(method, path, body):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    channel.request(method, path, body)
    answer = channel.getresponse()
    return answer.status, answer.read()
for seq in range(1, story.get("events", 0) + 1):
    assert say("POST", "/v1/events", {"seq": seq, "phase": "running"})[0] == 204
if story.get("asks"):
    say("POST", "/v1/brokers/clinic/release", {})
while not os.path.exists("/run/manatee/datasets/table/go") and story.get("waits"):
    time.sleep(0.01)
if story.get("dies"):
    os._exit(3)
assert say("PUT", "/v1/outputs", b"sealed outputs")[0] == 204
result = {"job_digest": story["digest"], "attempt": plan["attempt"],
          "exit": {"succeeded": True, "cells_run": 1, "cells_total": 1}}
if "digest" in story:
    pass
assert say("PUT", "/v1/result", result)[0] == 204
"""


class Stage(Protocol):
    """What the suite needs of a place beside the contract."""

    kind: str

    def backend(self) -> Backend: ...
    def inputs(self, **story: Any) -> GuestInputs: ...
    def let_go(self, handle: Handle) -> None: ...
    def launched(self) -> list[str]: ...


def _inputs(folder: Path, kind: str, runtime: Path, digest: Digest, story: dict[str, Any]) -> Any:
    attempt = story.pop("attempt", 1)
    stage = story.pop("stage", "secure")
    dataset = DatasetManifest(
        name="table",
        provider="clinic",
        label="synthetic",
        schema_digest=digest_bytes(b"schema"),
        contract_digest=digest_bytes(b"contract"),
        files=(FileEntry(path="part.bin", sha256=digest_bytes(b"rows"), size=4),),
    )
    table = folder / "table"
    table.mkdir(exist_ok=True)
    (table / "part.bin").write_bytes(b"rows")
    (folder / "workspace.tar").write_bytes(b"workspace")
    policy = OutputPolicy(
        name="strict",
        max_total_bytes=1000,
        max_files=4,
        max_cell_text_characters=100,
        allowed_mime_types=("text/plain",),
        allowed_file_types=(".csv",),
        row_match_margin_bits=8,
        release="automatic",
    )
    manifest = JobManifest(
        stage=stage,
        project="study",
        researcher="ada",
        purpose="contract",
        runtime_digest=digest,
        workspace_digest=digest_bytes(b"workspace"),
        entry_notebook="main.ipynb",
        parameters=story,
        datasets=(DatasetUse(name="table", version=dataset_version(dataset)),),
        output_policy_digest=digest_record(policy),
        output_recipients=("age1recipient",),
        resource_class="tiny",
        backend_kind=kind,
    )
    return GuestInputs(
        plan=GuestPlan(
            manifest=manifest, attempt=attempt, datasets=(dataset,), output_policy=policy
        ),
        resources=RESOURCE_CLASSES["tiny"],
        workspace=folder / "workspace.tar",
        datasets={"table": table},
        runtime=runtime,
        broker_urls={} if stage == "rehearsal" else {"clinic": "http://127.0.0.1:9"},
    )
