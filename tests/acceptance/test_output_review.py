"""Outputs under review: sealed to the reviewer by the guest, and for the researcher by her."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from manatee._clock import system_clock
from manatee.cli._local_room import (
    BROKER,
    PROJECT,
    PROVIDER,
    RESEARCHER,
    LocalRoom,
    make_local_room,
)
from manatee.cli._people import Identity, new_researcher_identity, read_approver_key
from manatee.cli._provider import BrokerAddress, PrivacyBudget, prepare_dataset, publish
from manatee.cli._researcher import Work, submit
from manatee.cli._services import running_service
from manatee.client import ManateeClient
from manatee.contracts import parse_contract
from manatee.errors import ConflictError, ManifestError, NotVerifiedError, SealingError
from manatee.outputs import output_policy
from manatee.policy import sign_approval
from manatee.provisioning import insurance_contract_text, insured_persons
from manatee.records import JobAnswer, OutputFile, Review, RunOutputs, digest_bytes
from manatee.runtime import runtime_digest
from manatee.sealing import open_outputs, seal_outputs
from manatee.settings import load_settings
from manatee.testing import notebook_of

from .conftest import run_manatee

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("review")]


@dataclass(frozen=True)
class Story:
    """A running room whose outputs wait for a reviewer."""

    room: LocalRoom
    url: str
    reviewer: Identity
    reviewer_file: Path
    researcher: ManateeClient
    provider: ManateeClient

    def waiting_job(self, folder: Path, number: int) -> JobAnswer:
        """Submit, approve and wait until the guest is done."""
        (folder / "work").mkdir()
        (folder / "work" / "notebook.ipynb").write_text(
            notebook_of(
                "import manatee",
                "print('rows:', manatee.dataset('insurance').count_rows() // 100 * 100)",
            )
        )
        work = Work(
            workspace=folder / "work",
            notebook="notebook.ipynb",
            parameters={},
            datasets=("insurance",),
            declared_outputs=(),
            purpose=f"to be reviewed, number {number}",
            project=PROJECT,
            researcher=RESEARCHER,
            recipient=self.room.identity.recipient,
        )
        job = submit(
            work, client=self.researcher, runtime=runtime_digest(self.room.settings.runtime)
        )
        approval = sign_approval(
            read_approver_key(self.room.approver_key).raw,
            provider=PROVIDER,
            approver=PROVIDER,
            job_digest=job.job_digest,
            at=system_clock(),
        )
        self.provider.approve(job.id, approval)
        for event in self.researcher.events(job.id):
            if event.state == "awaiting_release":
                break
        job = self.researcher.job(job.id)
        assert job.state == "awaiting_release", job
        return job

    def command(self, token: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run_manatee(*arguments, MANATEE_URL=self.url, MANATEE_TOKEN=token)

    def review(self, *arguments: str) -> Any:
        done = self.command(self.room.provider_token, "review", *arguments, "-o", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("review")
    runtime = load_settings().runtime
    reviewer = new_researcher_identity(folder / "reviewer.json")
    policy = output_policy((reviewer.recipient,))
    room = make_local_room(
        folder / "room",
        runtime=runtime,
        runtime_digest=runtime_digest(runtime),
        label="synthetic",
        output_policy=policy,
    )
    text = insurance_contract_text()
    with (
        running_service(room.settings, log=folder / "service.log") as url,
        ManateeClient(url, room.researcher_token) as researcher,
        ManateeClient(url, room.provider_token) as provider,
    ):
        prepare_dataset(
            insured_persons(400, seed=3),
            parse_contract(text.encode()),
            folder / "insurance",
            provider=PROVIDER,
            label="synthetic",
            contract_text=text,
            broker=BrokerAddress(BROKER, f"{url}/keybroker", room.broker_custody),
            budget=PrivacyBudget(epsilon=1.0, delta=1e-9),
            output_policy=policy,
            progress=lambda _: None,
        )
        publish(provider, folder / "insurance", lambda _: None)
        room.agree(url, ("insurance",))
        yield Story(room, url, reviewer, folder / "reviewer.json", researcher, provider)


def store_of(story: Story) -> Callable[[str], bytes]:
    """Return what reads any blob as a curious operator would: straight from the disk."""

    def read(digest: str) -> bytes:
        name = digest.removeprefix("sha256:")
        found = list(story.room.settings.home.rglob(name))
        assert found, "no such blob on the disk"
        return found[0].read_bytes()

    return read


def test_from_the_guest_to_the_reviewer_to_the_researcher(story: Story, tmp_path: Path) -> None:
    job = story.waiting_job(tmp_path, 1)
    with pytest.raises(ConflictError):
        story.researcher.download_outputs(job.id, tmp_path / "early.age")
    assert [item["id"] for item in story.review("list")] == [job.id]
    identity = ("--identity", str(story.reviewer_file))
    shown = story.review("open", job.id, *identity, "--out", str(tmp_path / "look"))
    assert shown["checks"]
    assert all(check["passed"] for check in shown["checks"])
    outputs = tmp_path / "look" / "outputs"
    assert "rows: 400" in (outputs / "notebook.ipynb").read_text()
    verified = run_manatee("verify", str(tmp_path / "look"), "--trust", str(story.room.trust))
    assert verified.returncode == 0, verified.stdout + verified.stderr

    done = story.review("approve", job.id, *identity, "--reason", "rounded counts only")
    assert done["state"] in ("awaiting_release", "released")
    story.researcher.wait(job.id)
    assert story.researcher.job(job.id).state == "released"
    fetched = story.command(
        story.room.researcher_token,
        *("job", "fetch", job.id, "--bundle", str(tmp_path / "mine")),
        *("--identity", str(story.room.folder / "researcher" / "identity.json")),
    )
    assert fetched.returncode == 0, fetched.stderr
    assert "rows: 400" in (tmp_path / "mine" / "outputs" / "notebook.ipynb").read_text()
    verified = run_manatee("verify", str(tmp_path / "mine"), "--trust", str(story.room.trust))
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert story.review("list") == []


def test_an_operator_who_hands_the_outputs_over_early_hands_over_nothing(
    story: Story, tmp_path: Path
) -> None:
    job = story.waiting_job(tmp_path, 2)
    story.provider.download_outputs(job.id, tmp_path / "sealed.age")
    sealed = (tmp_path / "sealed.age").read_bytes()
    assert sealed == store_of(story)(digest_bytes(sealed))
    with pytest.raises(SealingError):
        open_outputs(sealed, story.room.identity.identity)
    assert open_outputs(sealed, story.reviewer.identity)
    # a yes that brings nothing for the researcher, or what was never uploaded, is none
    for digest in (None, digest_bytes(b"never uploaded")):
        with pytest.raises(ManifestError):
            story.provider.review(
                job.id, Review(decision="approve", reason="yes", outputs_digest=digest)
            )
    refused = story.command(story.room.provider_token, "review", "reject", job.id, "--reason", " ")
    assert refused.returncode == 5
    assert story.researcher.job(job.id).state == "awaiting_release"
    story.review("reject", job.id, "--reason", "too few people in one group")
    ended = story.researcher.wait(job.id)
    assert (ended.state, ended.message) == ("rejected", "too few people in one group")
    with pytest.raises(ConflictError):
        story.researcher.download_outputs(job.id, tmp_path / "late.age")


def test_outputs_that_the_store_swapped_are_not_shown_to_the_reviewer(
    story: Story, tmp_path: Path
) -> None:
    from manatee.releasing import check_outputs, open_for_review

    job = story.waiting_job(tmp_path, 3)
    item = open_for_review(story.provider, job.id, identity=story.reviewer.identity)
    files = (OutputFile(path="notebook.ipynb", data=b"{}"),)
    swapped = RunOutputs(files, salt=item.outputs.salt)
    sealed = seal_outputs(swapped, (story.reviewer.recipient,))
    with pytest.raises(NotVerifiedError, match="not those"):
        check_outputs(open_outputs(sealed, story.reviewer.identity), item.run)
    with pytest.raises(NotVerifiedError):
        check_outputs(RunOutputs(salt=item.outputs.salt), item.run)
    with pytest.raises(NotVerifiedError):
        check_outputs(RunOutputs(item.outputs.files), item.run)
    check_outputs(item.outputs, item.run)
    story.review("reject", job.id, "--reason", "a test")
