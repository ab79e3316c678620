"""The Five Safes RO-Crate of a run: each demand of the profile (0.4), and nothing unverified."""

from __future__ import annotations

import hashlib
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from manatee.bundle import (
    NOTHING_TRUSTED,
    BundleContents,
    Verification,
    crate_payload,
    export_crate,
    read_bundle,
    verify_bundle,
)
from manatee.errors import ConflictError, NotVerifiedError
from manatee.testing import Installation

Graph = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[BundleContents, Verification]:
    folder = tmp_path_factory.mktemp("place")
    place = Installation(folder)
    contents = read_bundle(place.write_run(folder / "run"))
    return contents, verify_bundle(contents, trust=place.anchors(), at=place.clock())


@pytest.fixture(scope="module")
def payload(run: tuple[BundleContents, Verification]) -> dict[str, bytes]:
    return crate_payload(*run)


@pytest.fixture(scope="module")
def graph(payload: dict[str, bytes]) -> Graph:
    document = json.loads(payload["ro-crate-metadata.json"])
    return {entity["@id"]: entity for entity in document["@graph"]}


def mentioned(graph: Graph, kind: str) -> list[dict[str, Any]]:
    found = [graph[item["@id"]] for item in graph["./"]["mentions"]]
    return [item for item in found if item["@type"] == kind]


def test_nothing_is_exported_that_did_not_verify(
    run: tuple[BundleContents, Verification], tmp_path: Path
) -> None:
    contents, _ = run
    at = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    doubted = verify_bundle(contents, trust=NOTHING_TRUSTED, at=at)
    with pytest.raises(NotVerifiedError):
        export_crate(tmp_path / "crate.zip", contents, doubted)
    assert list(tmp_path.iterdir()) == []


def test_the_root_names_profile_workflow_and_project(graph: Graph) -> None:
    root = graph["./"]
    assert root["conformsTo"] == {"@id": "https://w3id.org/5s-crate/0.4"}
    assert graph["https://w3id.org/5s-crate/0.4"]["@type"] == "Profile"
    workflow = graph[root["mainEntity"]["@id"]]
    assert workflow["@type"] == "Dataset"
    assert "workflow-ro-crate" in workflow["conformsTo"]["@id"]
    assert graph[root["sourceOrganization"]["@id"]]["@type"] == "Project"


def test_one_action_made_the_outputs_for_a_person_of_the_project(graph: Graph) -> None:
    (action,) = mentioned(graph, "CreateAction")
    assert action["instrument"] == graph["./"]["mainEntity"]
    person = graph[action["agent"]["@id"]]
    assert person["@type"] == "Person"
    assert person["memberOf"] == [graph["./"]["sourceOrganization"]]
    assert action["actionStatus"] == "http://schema.org/CompletedActionStatus"
    assert {item["@id"] for item in action["result"]} == {
        "run/outputs/notebook.ipynb",
        "run/outputs/table.csv",
    }
    assert [graph[item["@id"]]["@type"] for item in action["object"]] == ["DigitalDocument"]


def test_sign_off_validation_and_disclosure_are_assessments(graph: Graph) -> None:
    found = {item["additionalType"]["@id"]: item for item in mentioned(graph, "AssessAction")}
    assert {name.partition("#")[2] for name in found} == {
        "SignOff",
        "ValidationCheck",
        "DisclosureCheck",
    }
    for item in found.values():
        assert {"@id": "./"} in (
            item["object"] if isinstance(item["object"], list) else [item["object"]]
        )
        assert graph[item["agent"]["@id"]]["@type"] in {"Person", "SoftwareApplication"}
    assert found["https://w3id.org/shp#SignOff"]["endTime"] == "2026-03-01T12:00:00Z"


def test_the_crate_says_that_a_simulated_tee_is_none(graph: Graph) -> None:
    assert "NOT A TEE" in graph["./"]["description"]
    assert "NOT A TEE" in graph["#guest"]["description"]


def test_every_reference_inside_leads_somewhere(graph: Graph, payload: dict[str, bytes]) -> None:
    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["@id"]] if set(value) == {"@id"} else []
            return own + [name for item in value.values() for name in references(item)]
        if isinstance(value, list):
            return [name for item in value for name in references(item)]
        return []

    inside = {
        name
        for entity in graph.values()
        for name in references(entity)
        if not name.startswith("http")
    }
    assert inside <= set(graph)
    files = {name for name, entity in graph.items() if entity["@type"] == "File"}
    assert files == {name for name in payload if name.startswith("run/")}


def test_the_bundle_lies_in_the_crate_unchanged(
    run: tuple[BundleContents, Verification], payload: dict[str, bytes]
) -> None:
    assert payload["run/run.dsse.json"] == run[0].envelope
    assert payload["run/evidence.json"] == run[0].evidence
    assert payload["run/outputs/table.csv"] == run[0].outputs["table.csv"]


def test_the_zip_holds_one_bag_whose_checksums_hold(
    run: tuple[BundleContents, Verification], tmp_path: Path
) -> None:
    export_crate(tmp_path / "a.zip", *run)
    export_crate(tmp_path / "b.zip", *run)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    (bag,) = {name.partition("/")[0] for name in files}
    assert b"External-Identifier: urn:uuid:" in files[f"{bag}/bag-info.txt"]
    for manifest, wanted in (
        ("manifest-sha512.txt", {name for name in files if f"{bag}/data/" in name}),
        (
            "tagmanifest-sha512.txt",
            {f"{bag}/{name}" for name in ("bagit.txt", "bag-info.txt", "manifest-sha512.txt")},
        ),
    ):
        listed = [line.split("  ", 1) for line in files[f"{bag}/{manifest}"].decode().splitlines()]
        assert {f"{bag}/{name}" for _, name in listed} == wanted
        for digest, name in listed:
            assert hashlib.sha512(files[f"{bag}/{name}"]).hexdigest() == digest


def test_an_existing_file_is_never_overwritten(
    run: tuple[BundleContents, Verification], tmp_path: Path
) -> None:
    (tmp_path / "crate.zip").write_bytes(b"mine")
    with pytest.raises(ConflictError):
        export_crate(tmp_path / "crate.zip", *run)
    assert (tmp_path / "crate.zip").read_bytes() == b"mine"
    assert len(list(tmp_path.iterdir())) == 1
