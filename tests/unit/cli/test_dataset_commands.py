"""A researcher looks at a data set's columns, a sample of its twin, and the provider's report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer.testing

from manatee.cli import _dataset_commands
from manatee.cli._app import app
from manatee.errors import ConflictError, ManateeError, NotFoundError
from manatee.records import CatalogueEntry, FileEntry, digest_bytes
from manatee.testing import ControlPlane

PAGE = b"<!doctype html><title>report</title>"


@dataclass
class Service:
    """What the catalogue's client answers; the HTTP side has tests of its own."""

    entry: CatalogueEntry

    def dataset(self, _name: str) -> CatalogueEntry:
        return self.entry

    def download_twin(self, _entry: CatalogueEntry, folder: Path) -> tuple[Path, ...]:
        table = pa.table({"age": [30, None, 50], "region": ["north", "south", "north"]})
        pq.write_table(table, folder / "t.parquet")
        return (folder / "t.parquet",)

    def download_report(self, entry: CatalogueEntry, target: Path) -> bool:
        if entry.publication.report is not None:
            target.write_bytes(PAGE)
        return entry.publication.report is not None


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    found = Service(ControlPlane(tmp_path).entry)
    monkeypatch.setattr(_dataset_commands, "open_client", lambda: found)
    return found


def manatee(*arguments: str) -> str:
    done = typer.testing.CliRunner().invoke(app, ["dataset", *arguments])
    if isinstance(done.exception, ManateeError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_sample_shows_rows_of_the_twin(service: Service) -> None:
    lines = manatee("sample", "insurance", "--rows", "2").splitlines()
    assert [line.split("\t") for line in lines] == [
        ["AGE", "REGION"],
        ["30", "north"],
        ["", "south"],
    ]


def test_the_report_is_saved_and_nothing_is_overwritten(service: Service, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="without a report"):
        manatee("report", "insurance", "--out", str(tmp_path / "r.html"))
    report = FileEntry(path="report.html", sha256=digest_bytes(PAGE), size=len(PAGE))
    publication = msgspec.structs.replace(service.entry.publication, report=report)
    service.entry = msgspec.structs.replace(service.entry, publication=publication)
    manatee("report", "insurance", "--out", str(tmp_path / "r.html"))
    assert (tmp_path / "r.html").read_bytes() == PAGE
    with pytest.raises(ConflictError):
        manatee("report", "insurance", "--out", str(tmp_path / "r.html"))
