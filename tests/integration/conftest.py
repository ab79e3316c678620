"""Real guests for the integration tests: the sandbox backend with the real executor inside."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pyarrow as pa
import pytest

from manatee.backends import GuestInputs, GuestState, Handle, SandboxBackend
from manatee.outputs import DEFAULT_POLICY
from manatee.records import (
    RESOURCE_CLASSES,
    DatasetManifest,
    DatasetUse,
    GuestPlan,
    GuestResult,
    JobManifest,
    ResourceClass,
    dataset_version,
    digest_bytes,
    digest_record,
)
from manatee.runtime import runtime_digest
from manatee.sealing import new_identity, open_outputs, write_plain
from manatee.workspace import pack

RUNTIME = Path(__file__).parents[2] / "runtimes" / "tabular" / ".venv"

ROWS = {"age": [31, 45, 52, 28], "code": ["a17", "b22", "c31", "d48"]}


@dataclasses.dataclass
class Left:
    """What a guest left, opened with the recipient's identity."""

    result: GuestResult
    files: dict[str, bytes]
    seconds: float
    events: list[Any]

    @property
    def exit(self) -> Any:
        return self.result.exit

    @property
    def cells(self) -> list[dict[str, Any]]:
        notebook = json.loads(self.files["notebook.ipynb"])
        return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]

    def json(self, name: str) -> Any:
        return json.loads(self.files[name])


class Guests:
    """Starts notebooks in real guests and waits for what they leave."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.backend = SandboxBackend(folder / "home", folder / "home" / "simulated-tee")
        self.identity, self.recipient = new_identity()
        self.runtime_digest = runtime_digest(RUNTIME, cache=folder / "runtime-cache")
        self.handles: list[Handle] = []
        twin = folder / "twin"
        twin.mkdir()
        files = write_plain(pa.table(ROWS), twin)
        self.twin = DatasetManifest(
            name="insurance",
            provider="clinic",
            label="synthetic",
            schema_digest=digest_bytes(b"schema"),
            contract_digest=digest_bytes(b"contract"),
            files=files,
        )
        self.count = 0

    def start(
        self,
        *cells: str,
        outputs: tuple[str, ...] = (),
        resources: ResourceClass = RESOURCE_CLASSES["tiny"],
        metadata: dict[str, Any] | None = None,
        parameters: dict[str, Any] | None = None,
        entry: str = "main.ipynb",
        **manifest: Any,
    ) -> Handle:
        """Launch a rehearsal of a notebook with these code cells."""
        self.count += 1
        workspace = self.folder / f"workspace-{self.count}"
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={
                "kernelspec": {"name": "python3", "display_name": "Python 3"},
                **(metadata or {}),
            },
        )
        (workspace / entry).parent.mkdir(parents=True)
        nbformat.write(notebook, workspace / entry)
        archive = self.folder / f"workspace-{self.count}.tar"
        digest = pack(workspace, archive)
        job = JobManifest(
            stage="rehearsal",
            project="study",
            researcher="ada",
            purpose=f"hostile suite {self.count}",
            runtime_digest=self.runtime_digest,
            workspace_digest=digest,
            entry_notebook=entry,
            parameters=parameters or {},
            datasets=(DatasetUse(name="insurance", version=dataset_version(self.twin)),),
            declared_outputs=outputs,
            output_policy_digest=digest_record(DEFAULT_POLICY),
            output_recipients=(self.recipient,),
            resource_class="tiny",
            backend_kind="sandbox",
        )
        inputs = GuestInputs(
            plan=GuestPlan(
                manifest=job, attempt=1, datasets=(self.twin,), output_policy=DEFAULT_POLICY
            ),
            resources=resources,
            workspace=archive,
            datasets={"insurance": self.folder / "twin"},
            runtime=RUNTIME,
            broker_urls={},
        )
        handle = self.backend.launch(self.backend.plan(inputs))
        self.handles.append(handle)
        return handle

    def wait(self, handle: Handle, seconds: float = 90) -> Left:
        """Wait until the guest ended with a result, and open what it left."""
        began = time.monotonic()
        while not (status := self.backend.status(handle)).state.ended:
            assert time.monotonic() < began + seconds, "the guest does not end"
            time.sleep(0.02)
        log = self.folder / "home" / "guests" / handle.guest_name
        said = "".join(
            path.read_text(errors="replace") for path in sorted(log.glob("*log*")) if path.is_file()
        )
        assert status.state is GuestState.SUCCEEDED, (status, said)
        collected = self.backend.collect(handle)
        files = {}
        if collected.outputs is not None:
            opened = open_outputs(collected.outputs.read_bytes(), self.identity)
            files = {file.path: file.data for file in opened.files}
        events = self.backend.events(handle, 0)
        return Left(collected.result, files, time.monotonic() - began, events)

    def run(self, *cells: str, **options: Any) -> Left:
        """Start and wait."""
        return self.wait(self.start(*cells, **options))

    def clean(self) -> None:
        """Remove every guest."""
        for handle in self.handles:
            self.backend.cleanup(handle)


@pytest.fixture(scope="module")
def guests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guests]:
    place = Guests(tmp_path_factory.mktemp("guests"))
    if not place.backend.probe().usable:
        pytest.skip("guests cannot run here: " + " ".join(place.backend.probe().missing))
    yield place
    place.clean()
