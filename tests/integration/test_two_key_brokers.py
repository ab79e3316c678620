"""One job, two providers: their brokers are processes of their own, with policies of their own.

The guests are real, in bubblewrap with a software TPM each; policies change by the commands.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from manatee._clock import system_clock
from manatee.attestation import ReferenceValues, TpmReference
from manatee.bundle import TrustAnchors, read_bundle, verify_bundle
from manatee.cli._accounts import add_account, trust_approver
from manatee.cli._people import new_approver_key, new_researcher_identity
from manatee.cli._projects import agree_together, plain_project
from manatee.cli._provider import publish
from manatee.cli._researcher import Work, submit
from manatee.cli._services import running_service
from manatee.cli._tee import tee_named
from manatee.client import ManateeClient
from manatee.custody import open_custody, wrap_data_key
from manatee.ledger import LogTrust
from manatee.outputs import DEFAULT_POLICY
from manatee.policy import sign_approval
from manatee.records import (
    DatasetManifest,
    DatasetPublication,
    JobAnswer,
    Tier,
    canonical_json,
    digest_bytes,
    digest_record,
    read_record,
    to_base64,
)
from manatee.releasing import fetch_bundle
from manatee.runtime import runtime_digest
from manatee.sealing import new_data_key, seal_table, write_plain
from manatee.settings import Settings
from manatee.testing._notebooks import notebook_of

RUNTIME = Path(__file__).parents[2] / "runtimes" / "tabular" / ".venv"
MISSING = [name for name in ("swtpm", "swtpm_setup", "setpriv", "bwrap") if not shutil.which(name)]
MISSING += [] if find_spec("tpm2_pytss") else ["tpm2_pytss"]
MISSING += [] if (RUNTIME / "bin" / "python").exists() else ["the tabular runtime"]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"not here: {', '.join(MISSING)}"),
    pytest.mark.xdist_group("tpm"),
]

ENVIRONMENT = {"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
ONLY_IN_THE_POLICY = "somebody-the-policy-names"
LIFE = timedelta(hours=1)


def manatee(*arguments: str | Path) -> str:
    """Run a command as the provider does; what it prints."""
    command = [sys.executable, "-m", "manatee.cli", *map(str, arguments)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass
class Provider:
    """One data provider: its broker's folder, its keys, and its data set."""

    name: str
    folder: Path
    runtime: str
    references: ReferenceValues
    url: str = ""

    def set_up(self) -> None:
        manatee("keybroker", "init", self.broker, "--id", f"{self.name}-broker")
        self.approver = new_approver_key(self.folder / "approver.json")
        policy_key = new_approver_key(self.folder / "policy-key.json")
        manatee("keybroker", "trust", self.broker, self.name, policy_key.public_key)
        (self.folder / "references.json").write_bytes(canonical_json(self.references))

    @property
    def broker(self) -> Path:
        return self.folder / "broker"

    def set_policy(self, version: int, template: str, **parameters: Any) -> None:
        """Write, sign and install a policy: three commands."""
        given = {
            "project": "study",
            "researchers": ["ada"],
            "minimum_tier": "software-tpm",
            "runtimes": [self.runtime],
            "output_policies": [digest_record(DEFAULT_POLICY)],
            "approvals": {self.name: 1},
        } | parameters
        cedar = self.folder / f"release-{version}.cedar"
        signed = self.folder / f"policy-{version}.json"
        (self.folder / "parameters.json").write_text(json.dumps(given))
        text = manatee("policy", "new", template, self.folder / "parameters.json")
        cedar.write_text(text)
        sign = ["policy", "sign", str(cedar), str(signed), "--provider", self.name]
        sign += ["--version", str(version), "--key", str(self.folder / "policy-key.json")]
        manatee(*sign, "--approver", f"{self.name}={self.approver.public_key}")
        said = manatee("keybroker", "policy", self.broker, signed, self.folder / "references.json")
        assert said.startswith(f"version {version};")

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Run the broker until the block ends."""
        process = subprocess.Popen(
            [sys.executable, "-m", "manatee.cli", "keybroker", "serve", self.broker, "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=ENVIRONMENT,
        )
        assert process.stdout is not None
        try:
            with process.stdout:
                self.url = process.stdout.readline().strip()
                assert self.url.startswith("http://"), "the key broker did not start"
                yield
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0

    def publish(self, client: ManateeClient) -> None:
        """Seal a table of made-up numbers under this broker's key, and publish it."""
        place = self.folder / "prepared"
        for part in ("sealed", "twin"):
            (place / part).mkdir(parents=True)
        table = pa.table({"age": [20 + number % 60 for number in range(200)]})
        key = new_data_key()
        bare = DatasetManifest(
            name=f"data-of-{self.name}",
            provider=self.name,
            label="synthetic",
            schema_digest=digest_bytes(b"schema"),
            contract_digest=digest_bytes(b"contract"),
            files=seal_table(table, place / "sealed", key),
        )
        wrapped = wrap_data_key(key, bare, f"{self.name}-broker", open_custody(self.broker))
        publication = DatasetPublication(
            dataset=msgspec.structs.replace(bare, wrapped_key=wrapped),
            twin=msgspec.structs.replace(bare, files=write_plain(table, place / "twin")),
            contract="columns: []",
            privacy_statement={"method": "made up"},
            output_policy=DEFAULT_POLICY,
            broker_id=f"{self.name}-broker",
            broker_url=self.url,
        )
        (place / "publication.json").write_bytes(canonical_json(publication))
        publish(client, place, lambda _text: None)

    def approve(self, client: ManateeClient, job: JobAnswer) -> None:
        approval = sign_approval(
            self.approver.raw,
            provider=self.name,
            approver=self.name,
            job_digest=job.job_digest,
            at=system_clock(),
        )
        client.approve(job.id, approval)

    def decisions(self) -> list[dict[str, Any]]:
        """Return what `manatee keybroker log` says, oldest first."""
        text = manatee("keybroker", "log", self.broker, "-o", "json").strip()
        found, decoder = [], json.JSONDecoder()
        while text:
            item, end = decoder.raw_decode(text)
            found.append(item)
            text = text[end:].strip()
        return found

    def log_trust(self) -> LogTrust:
        said = manatee("keybroker", "log-key", self.broker)
        return read_record(said.encode(), LogTrust, what="log key")


@dataclass
class Room:
    """Two providers, a researcher and the service between them."""

    folder: Path
    runtime: str
    references: ReferenceValues
    providers: tuple[Provider, Provider]
    clients: dict[str, ManateeClient]
    work: Work
    identity: str
    submissions: int = 0

    def run(self, **changes: Any) -> JobAnswer:
        """Submit the notebook, have both approve it, and wait for its end."""
        self.submissions += 1
        work = replace(self.work, submission=self.submissions, **changes)
        job = submit(work, client=self.clients["ada"], runtime=self.runtime)
        for provider in self.providers:
            provider.approve(self.clients[provider.name], job)
        return self.clients["ada"].wait(job.id)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    folder = tmp_path_factory.mktemp("room")
    home = folder / "home"
    home.mkdir(mode=0o700)
    tee = tee_named("software-tpm")
    runtime = runtime_digest(RUNTIME, cache=home / "sandbox" / "runtime-cache")
    references = ReferenceValues(
        runtime_digests=(runtime,),
        roots={"software-tpm": (to_base64(tee.root(home)),)},
        tpm=TpmReference(),
    )
    tokens = {"ada": add_account(home, "ada", ("researcher",), life=LIFE)}
    identity = new_researcher_identity(folder / "identity.json")
    providers = []
    for name in ("clinic", "insurer"):
        (folder / name).mkdir()
        provider = Provider(name, folder / name, runtime, references)
        provider.set_up()
        tokens[name] = add_account(home, name, ("data_provider",), life=LIFE)
        trust_approver(home, name, provider.approver.public_key)
        providers.append(provider)
    clinic, insurer = providers
    clinic.set_policy(1, "named-researchers")
    insurer.set_policy(1, "named-researchers", researchers=["ada", ONLY_IN_THE_POLICY])
    workspace = folder / "workspace"
    workspace.mkdir()
    (workspace / "notebook.ipynb").write_text(
        notebook_of(
            "import manatee",
            "tables = [manatee.dataset(f'data-of-{name}').to_table() "
            "for name in ('clinic', 'insurer')]",
            "print(all(table.num_rows > 10 for table in tables))",
        )
    )
    settings = Settings(home=home, port=0, runtime=RUNTIME, tee="software-tpm")
    with ExitStack() as stack:
        for provider in providers:
            stack.enter_context(provider.serving())
        url = stack.enter_context(running_service(settings, log=folder / "service.log"))
        clients = {
            name: stack.enter_context(ManateeClient(url, token)) for name, token in tokens.items()
        }
        for provider in providers:
            provider.publish(clients[provider.name])
        parties = {"ada": 0, "clinic": 1, "insurer": 1}
        project = plain_project(
            "study", "to compare", parties, ("data-of-clinic", "data-of-insurer"), LIFE
        )
        others = {name: clients[name] for name in ("ada", "insurer")}
        assert agree_together(project, clients["clinic"], others).state == "open"
        yield Room(
            folder,
            runtime,
            references,
            (clinic, insurer),
            clients,
            Work(
                workspace=workspace,
                notebook="notebook.ipynb",
                parameters={},
                datasets=("data-of-clinic", "data-of-insurer"),
                declared_outputs=(),
                purpose="to compare",
                project="study",
                researcher="ada",
                recipient=identity.recipient,
                backend_kind=tee.backend_kind,
            ),
            identity.identity,
        )


def test_one_provider_changes_its_policy_and_the_next_job_gets_no_key_from_it(room: Room) -> None:
    clinic, insurer = room.providers
    # both let the first job have their keys
    job = room.run()
    assert job.state == "released", (job, (room.folder / "service.log").read_text()[-3000:])
    bundle = room.folder / "bundle"
    fetch_bundle(room.clients["ada"], job.id, identity=room.identity, folder=bundle)
    anchors = TrustAnchors(
        minimum_tier=Tier.SOFTWARE_TPM,
        reference_values=room.references,
        approvers={item.name: (item.approver.public_key,) for item in room.providers},
        broker_logs={f"{item.name}-broker": item.log_trust() for item in room.providers},
    )
    verification = verify_bundle(read_bundle(bundle), trust=anchors, at=system_clock())
    verification.require()
    shown = {item.name: item.reason for item in verification.checks}
    assert shown["keys"] == "2 key(s) by 2 broker(s)"
    assert shown["decisions"] == "entry 1 of 2, entry 1 of 2"
    # the insurer takes its yes back for the future: a signed policy of a higher version
    insurer.set_policy(2, "named-researchers", researchers=[ONLY_IN_THE_POLICY])
    refused = room.run()
    assert refused.state == "failed"
    assert refused.exit is not None
    assert (refused.cause, refused.exit.check) == (refused.exit.cause, "researcher")
    # the researcher learns which check failed, and nothing of the policy
    seen = msgspec.json.encode(refused) + b"".join(
        msgspec.json.encode(event) for event in room.clients["ada"].events(refused.id)
    )
    assert ONLY_IN_THE_POLICY.encode() not in seen
    assert b"permit" not in seen
    # the provider reads the check and the line of its policy
    said = [item["decision"] for item in insurer.decisions()]
    assert [(item["outcome"], item["policy_version"], item.get("check")) for item in said] == [
        ("rules-taken", 1, None),
        ("released", 1, ""),
        ("rules-taken", 2, None),
        ("denied", 0, "researcher"),
    ]
    assert any(ONLY_IN_THE_POLICY in line for line in insurer.decisions()[-1]["reasons"])
    # the other provider's policy did not change, nor did its answer
    assert "denied" not in {item["decision"]["outcome"] for item in clinic.decisions()}
    # an older policy does not come back, by whatever way
    with pytest.raises(AssertionError, match="older than 2"):
        manatee(
            "keybroker",
            "policy",
            insurer.broker,
            insurer.folder / "policy-1.json",
            insurer.folder / "references.json",
        )
    # and with a third version the job runs again
    insurer.set_policy(3, "named-researchers")
    assert room.run().state == "released"
    assert insurer.decisions()[-1]["decision"]["policy_version"] == 3


def test_a_demand_for_hardware_is_one_providers_own(room: Room) -> None:
    clinic, insurer = room.providers
    clinic.set_policy(2, "named-researchers", minimum_tier="hardware")
    refused = room.run()
    assert refused.state == "failed"
    assert refused.exit is not None
    assert refused.exit.check == "tier"
    assert clinic.decisions()[-1]["decision"]["check"] == "tier"
    clinic.set_policy(3, "named-researchers")
    assert room.run().state == "released"
    assert insurer.decisions()[-1]["decision"]["outcome"] == "released"
