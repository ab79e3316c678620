"""The panel's TypeScript interfaces against what a real server extension sends."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import msgspec
import pytest
from manatee_lab._handlers import SubmitAsked

from manatee.jobs import JobState
from manatee.records import ExitStatus, GuestEvent, JobAnswer, JobEvent, JobManifest, JobPage

from ._lab import REPOSITORY, Lab

SOURCE = (REPOSITORY / "jupyterlab" / "src" / "models" / "wire.ts").read_text()
_MEMBER = re.compile(r"^  (\w+)(\??):", re.M)


def interface(name: str) -> dict[str, bool]:
    """Return an interface's members, and whether each is always there."""
    found = re.search(rf"export interface {name} {{\n(.*?)\n}}", SOURCE, re.S)
    assert found, name
    return {member: mark == "" for member, mark in _MEMBER.findall(found[1])}


def fits(value: Any, name: str) -> None:
    """Check that an answer has all members an interface promises."""
    wanted = {member for member, always in interface(name).items() if always}
    assert wanted <= value.keys(), f"{name} lacks {wanted - value.keys()}"


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("Job", JobAnswer),
        ("JobPage", JobPage),
        ("JobManifest", JobManifest),
        ("JobEvent", JobEvent),
        ("Progress", GuestEvent),
        ("ExitStatus", ExitStatus),
        ("SubmitRequest", SubmitAsked),
    ],
)
def test_every_member_is_one_of_the_service_s_records(name: str, record: type) -> None:
    known = {field.name for field in msgspec.structs.fields(record)}
    assert interface(name).keys() <= known


def test_states_are_those_of_the_state_machine() -> None:
    found = re.search(r"export type JobState =\n(.*?);", SOURCE, re.S)
    assert found
    assert set(re.findall(r"'(\w+)'", found[1])) == {state.value for state in JobState}


def test_real_answers_fit_their_interfaces(lab: Lab, released: str) -> None:
    base, token = lab.url.split("/lab?token=")
    headers = {"authorization": f"token {token}"}
    with httpx.Client(base_url=f"{base}/manatee/", headers=headers, timeout=30) as http:

        def get(path: str) -> Any:
            answer = http.get(path)
            assert answer.status_code == 200, answer.text
            return answer.json()

        fits(get("info"), "RoomInfo")
        dataset = get("datasets")[0]
        fits(dataset, "Dataset")
        fits(dataset["columns"][0], "Column")
        page = get("jobs")
        fits(page, "JobPage")
        fits(page["jobs"][0], "Job")
        fits(page["jobs"][0]["manifest"], "JobManifest")
        for event in get(f"jobs/{released}/events"):
            fits(event, "JobEvent")
        outputs = get(f"jobs/{released}/outputs")
        fits(outputs, "Outputs")
        fits(outputs["files"][0], "OutputFile")
        attestation = get(f"jobs/{released}/attestation")
        fits(attestation, "Attestation")
        fits(attestation["checks"][0], "Check")
        diff = get(f"jobs/{released}/diff")
        fits(diff, "Diff")
        fits(diff["cells"][0], "DiffCell")
        fits(get(f"jobs/{released}/notebook"), "Place")
        refused = http.get("jobs/job-0000000000000000")
        assert refused.status_code == 404
        assert refused.json()["code"] == "not-found"


def test_nobody_is_answered_without_jupyter_s_token(lab: Lab, released: str) -> None:
    base = lab.url.split("/lab")[0]
    paths = [
        "info",
        "jobs",
        "live",
        f"jobs/{released}",
        f"jobs/{released}/file?path=notebook.ipynb",
    ]
    for path in paths:
        assert httpx.get(f"{base}/manatee/{path}").status_code == 403, path
    answer = httpx.post(f"{base}/manatee/jobs", content=json.dumps({}))
    assert answer.status_code == 403
