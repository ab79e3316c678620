"""`manatee custody`: where the broker's key lives, seen from the shell."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from manatee.cli._app import app
from manatee.custody import open_custody, unwrap_data_key, wrap_data_key
from manatee.errors import CustodyDeniedError, MalformedError, SettingsError
from manatee.outputs import DEFAULT_POLICY
from manatee.records import DatasetPublication, canonical_json, dataset_version, read_record
from manatee.testing import Installation

KEY = bytes(range(32))


def manatee(*arguments: str | Path) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if done.exception is not None:
        raise done.exception
    return done.stdout


@pytest.fixture
def broker(tmp_path: Path) -> Path:
    manatee("custody", "init", tmp_path / "broker")
    return tmp_path / "broker"


def test_a_new_custody_passes_its_own_test(broker: Path) -> None:
    said = manatee("custody", "test", broker)
    assert "the same key came back" in said
    assert "another context: refused" in said


def test_show_lists_keys_oldest_first_and_no_secret(broker: Path) -> None:
    manatee("custody", "rotate", broker)
    said = manatee("custody", "show", broker, "-o", "json")
    first, second = json.loads(said)
    assert second["key_id"] == open_custody(broker).describe().key_id
    manatee("custody", "retire", broker, first["key_id"])
    assert json.loads(manatee("custody", "show", broker, "-o", "json"))[0]["retired"]
    for output in (said, manatee("custody", "show", broker), manatee("custody", "test", broker)):
        assert "AGE-SECRET-KEY" not in output


def test_rewrap_moves_a_prepared_data_set_and_keeps_its_version(
    broker: Path, tmp_path: Path
) -> None:
    plain = msgspec.structs.replace(Installation(tmp_path).dataset, wrapped_key=None)
    wrapped = wrap_data_key(KEY, plain, "insurer-broker", open_custody(broker))
    publication = DatasetPublication(
        dataset=msgspec.structs.replace(plain, wrapped_key=wrapped),
        twin=msgspec.structs.replace(plain, label="synthetic"),
        contract="name: claims",
        privacy_statement={},
        output_policy=DEFAULT_POLICY,
        broker_id="insurer-broker",
        broker_url="https://broker.example",
    )
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    (prepared / "publication.json").write_bytes(canonical_json(publication))

    assert "already under the newest key" in manatee("custody", "rewrap", broker, prepared)
    old = open_custody(broker).describe().key_id
    manatee("custody", "rotate", broker)
    said = manatee("custody", "rewrap", broker, prepared)
    assert dataset_version(publication.dataset) in said
    manatee("custody", "retire", broker, old)

    data = (prepared / "publication.json").read_bytes()
    moved = read_record(data, DatasetPublication, what="publication.json").dataset
    assert dataset_version(moved) == dataset_version(publication.dataset)
    assert unwrap_data_key(moved, open_custody(broker)) == KEY
    with pytest.raises(CustodyDeniedError):
        unwrap_data_key(publication.dataset, open_custody(broker))


def test_a_key_described_wrongly_or_not_at_all_changes_nothing(
    broker: Path, tmp_path: Path
) -> None:
    before = (broker / "custody.json").read_bytes()
    (tmp_path / "key.json").write_text('{"kind": "pkcs11", "id": "hsm", "pin": "1234"}')
    with pytest.raises(MalformedError):
        manatee("custody", "rotate", broker, "--key", tmp_path / "key.json")
    with pytest.raises(SettingsError, match="no settings"):
        manatee("custody", "rotate", broker, "--key", tmp_path / "absent.json")
    with pytest.raises(SettingsError, match="--generate"):
        manatee("custody", "rotate", broker, "--generate")
    assert (broker / "custody.json").read_bytes() == before


def test_a_data_set_is_wrapped_to_a_recipient_or_a_custody_never_to_both_or_none(
    broker: Path, tmp_path: Path
) -> None:
    common = ["seal", tmp_path / "twin", "--table", tmp_path / "t.csv", "--out", tmp_path / "out"]
    options = "--provider p --broker-id b --broker-url https://b.example"
    recipient = open_custody(broker).describe().key
    for choice in ([], ["--custody", broker, "--broker-recipient", recipient]):
        with pytest.raises(SettingsError, match="one of the two"):
            manatee(*common, *options.split(), *choice)
