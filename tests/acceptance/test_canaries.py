"""Planted values are searched for in everything the service keeps and says: none may be there."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import struct
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
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
from manatee.cli._people import read_approver_key
from manatee.cli._provider import BrokerAddress, PrivacyBudget, prepare_dataset, publish
from manatee.cli._researcher import Work, submit
from manatee.cli._services import running_service
from manatee.client import ManateeClient
from manatee.contracts import parse_contract
from manatee.policy import sign_approval
from manatee.provisioning import insurance_contract_text, insured_persons
from manatee.records import JobAnswer
from manatee.releasing import fetch_bundle
from manatee.runtime import runtime_digest
from manatee.settings import load_settings
from manatee.testing import notebook_of

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("canaries")]

VALUE = 54321.98765
"""A charge that one person of the private table has."""

PRINTED = "canary-9381-of-the-outputs"
RAISED = "canary-4417-of-an-error"


@dataclass(frozen=True)
class Played:
    """A room after one job that printed canaries and one that raised them, service stopped."""

    room: LocalRoom
    log: Path
    printed: JobAnswer
    raised: JobAnswer
    outputs: bytes
    salt: bytes


def run(
    room: LocalRoom, url: str, folder: Path, *sources: str, purpose: str
) -> tuple[JobAnswer, ManateeClient]:
    (folder / "work").mkdir(parents=True)
    (folder / "work" / "notebook.ipynb").write_text(notebook_of(*sources))
    researcher = ManateeClient(url, room.researcher_token)
    work = Work(
        workspace=folder / "work",
        notebook="notebook.ipynb",
        parameters={},
        datasets=("insurance",),
        declared_outputs=(),
        purpose=purpose,
        project=PROJECT,
        researcher=RESEARCHER,
        recipient=room.identity.recipient,
    )
    job = submit(work, client=researcher, runtime=runtime_digest(room.settings.runtime))
    approval = sign_approval(
        read_approver_key(room.approver_key).raw,
        provider=PROVIDER,
        approver=PROVIDER,
        job_digest=job.job_digest,
        at=system_clock(),
    )
    with ManateeClient(url, room.provider_token) as provider:
        provider.approve(job.id, approval)
    return researcher.wait(job.id), researcher


def broken_up(word: str) -> str:
    """Return code for a word that does not hold it: code is no secret, and is stored."""
    half = len(word) // 2
    return f"{word[:half]!r} + {word[half:]!r}"


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("canaries")
    runtime = load_settings().runtime
    room = make_local_room(
        folder / "room", runtime=runtime, runtime_digest=runtime_digest(runtime), label="synthetic"
    )
    table = insured_persons(300, seed=5)
    charges = table.column("charges").to_pylist()
    charges[7] = VALUE
    place = table.column_names.index("charges")
    field = table.schema.field("charges")
    table = table.set_column(place, field, pa.array(charges, field.type))
    text = insurance_contract_text()
    with running_service(room.settings, log=folder / "service.log") as url:
        prepare_dataset(
            table,
            parse_contract(text.encode()),
            folder / "insurance",
            provider=PROVIDER,
            label="synthetic",
            contract_text=text,
            broker=BrokerAddress(BROKER, f"{url}/keybroker", room.broker_custody),
            budget=PrivacyBudget(epsilon=1.0, delta=1e-9),
            progress=lambda _: None,
        )
        with ManateeClient(url, room.provider_token) as client:
            publish(client, folder / "insurance", lambda _: None)
        room.agree(url, ("insurance",))
        printed, researcher = run(
            room, url, folder / "one", f"print({broken_up(PRINTED)})", purpose="prints"
        )
        fetch_bundle(
            researcher, printed.id, identity=room.identity.identity, folder=folder / "bundle"
        )
        researcher.close()
        raised, researcher = run(
            room,
            url,
            folder / "two",
            "import manatee",
            "charge = manatee.dataset('insurance').to_table().to_pandas().charges[7]",
            f"raise ValueError({broken_up(RAISED)} + str(charge))",
            purpose="raises",
        )
        researcher.close()
    outputs = (folder / "bundle" / "outputs" / "notebook.ipynb").read_bytes()
    salt = (folder / "bundle" / "outputs.salt").read_bytes()
    return Played(room, folder / "service.log", printed, raised, outputs, salt)


def everything_kept(played: Played) -> dict[str, bytes]:
    """Return every file of the service, and its log."""
    home = played.room.settings.home
    files = {
        str(path.relative_to(home)): path.read_bytes()
        for path in home.rglob("*")
        if path.is_file() and not path.is_symlink()
    }
    assert "manatee.db" in files
    assert any(name.startswith("blobs/") for name in files)
    assert any(name.startswith("run-log/tile") for name in files)
    assert any(name.startswith("audit-log/tile") for name in files)
    return files | {"service.log": played.log.read_bytes()}


def where(files: dict[str, bytes], *needles: bytes) -> list[str]:
    return [name for name, data in files.items() if any(needle in data for needle in needles)]


def test_the_jobs_went_as_planned(played: Played) -> None:
    assert played.printed.state == "released"
    assert PRINTED.encode() in played.outputs, "the researcher has it: the search is for something"
    assert played.raised.state == "failed"
    assert played.raised.exit is not None
    assert played.raised.exit.exception_class == "ValueError"


def test_private_values_are_nowhere(played: Played) -> None:
    files = everything_kept(played)
    text = str(VALUE).encode()
    assert where(files, text, struct.pack("<d", VALUE), struct.pack(">d", VALUE)) == []


def test_outputs_and_error_messages_are_nowhere(played: Played) -> None:
    files = everything_kept(played)
    assert where(files, PRINTED.encode()) == []
    assert where(files, RAISED.encode()) == []


def statements(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return the run statements among files, out of their two wrappings of base64."""
    found = {}
    for name, data in files.items():
        if data.startswith(b"{") and b'"envelope":"' in data:
            envelope = json.loads(base64.b64decode(json.loads(data)["envelope"]))
            found[f"statement in {name}"] = base64.b64decode(envelope["payload"])
    return found


def test_nothing_kept_lets_the_operator_try_guesses_at_an_output(played: Played) -> None:
    files = everything_kept(played)
    stated = statements(files)
    assert len(stated) == 2, "both runs left one"
    salt = played.salt.strip()
    plain, secret = hashlib.sha256(played.outputs).digest(), bytes.fromhex(salt.decode())
    commitment = hmac.new(secret, b"notebook.ipynb\0" + played.outputs, "sha256").hexdigest()
    assert where(stated, commitment.encode()), "the run is bound to its outputs all the same"
    forms = [plain, plain.hex().encode(), base64.b64encode(plain)]
    forms += [secret, salt, base64.b64encode(secret)]
    assert where(files | stated, *forms) == []


def test_tokens_and_keys_of_people_are_nowhere(played: Played) -> None:
    files = everything_kept(played)
    room = played.room
    secrets = [
        room.provider_token.encode(),
        room.researcher_token.encode(),
        room.identity.identity.encode(),
        read_approver_key(room.approver_key).private_key.encode(),
        read_approver_key(room.approver_key).raw,
    ]
    assert where(files, *secrets) == []


def test_the_search_finds_what_is_there(played: Played) -> None:
    """The same search finds the purpose of a job, which the service does keep."""
    found = where(everything_kept(played), b'"purpose":"raises"')
    assert any(name.startswith("manatee.db") for name in found)
