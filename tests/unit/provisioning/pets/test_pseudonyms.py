"""Pseudonyms and the ceremony in which several providers come to one secret."""

import base64
import json

import pyarrow as pa
import pyrage
import pytest

from manatee.contracts import Column
from manatee.errors import (
    ConflictError,
    MalformedError,
    ProvisioningError,
    SealingError,
    SettingsError,
)
from manatee.provisioning.pets import (
    Context,
    Pseudonym,
    accept,
    begin,
    fingerprint,
    new_secret,
    project_key,
    read_secret,
    share,
)
from manatee.provisioning.pets._pseudonyms import Collisions

NUMBER = Column("id", "identifier", holds="integer")
TEXT = Column("id", "identifier", holds="text", max_length=40)


def told(column, values, secret=b"s" * 32, project="p", name="person"):
    context = Context({"person": project_key(secret, project=project, name=name)})
    return Pseudonym("person").begin(column, context).apply(values).to_pylist()


def test_pseudonyms_join_within_a_project_and_not_across_projects():
    numbers = pa.array([7, 8, 7, None])
    first, second = told(NUMBER, numbers), told(NUMBER, numbers, project="q")
    assert first[0] == first[2] != first[1]
    assert first[3] is None
    assert not set(first[:3]) & set(second[:3])
    assert not set(first[:3]) & set(told(NUMBER, numbers, name="doctor")[:3])
    assert len(told(TEXT, pa.array(["a"]))[0]) == 32


def test_a_pseudonym_too_short_to_be_unique_is_refused():
    with pytest.raises(ProvisioningError, match="fewer than 16"):
        Pseudonym("k").check(Column("id", "identifier", holds="text", max_length=15))


def test_two_identifiers_with_one_pseudonym_are_refused():
    check = Collisions("id")
    check.add(pa.array([1, 2]))
    check.finish()
    check.add(pa.array([2]))
    with pytest.raises(ProvisioningError, match="share a pseudonym"):
        check.finish()


def test_a_secret_open_to_others_is_refused_and_never_overwritten(tmp_path):
    path = tmp_path / "secret"
    assert new_secret(path) == read_secret(path)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConflictError):
        new_secret(path)
    path.chmod(0o640)
    with pytest.raises(SettingsError, match="only its owner"):
        read_secret(path)


def start(tmp_path, *names):
    return {name: begin(tmp_path / name, project="p", provider=name) for name in names}


def others(table, name):
    return [value for other, value in table.items() if other != name]


def run(tmp_path, *names):
    told = start(tmp_path, *names)
    sealed = {name: share(tmp_path / name, others(told, name)) for name in names}
    return told, {name: [sealed[o][name] for o in names if o != name] for name in names}


def test_three_providers_come_to_one_secret_that_none_chose(tmp_path):
    told, parts = run(tmp_path, "a", "b", "c")
    args = {n: (tmp_path / n, others(told, n), parts[n]) for n in told}
    spoken = {n: accept(*args[n], heard=None, key=tmp_path / f"{n}.key") for n in told}
    assert len(set(spoken.values())) == 1
    assert not (tmp_path / "a.key").exists()
    for name in told:
        accept(*args[name], heard=spoken["a"], key=tmp_path / f"{name}.key")
    secrets = {read_secret(tmp_path / f"{name}.key") for name in told}
    assert len(secrets) == 1
    assert fingerprint(secrets.pop()) == spoken["a"]


def test_a_fingerprint_that_differs_writes_nothing(tmp_path):
    told, parts = run(tmp_path, "a", "b")
    with pytest.raises(ConflictError, match="fingerprints differ"):
        accept(tmp_path / "a", [told["b"]], parts["a"], heard="0000", key=tmp_path / "key")
    assert not (tmp_path / "key").exists()


def test_a_provider_that_chooses_its_share_late_is_refused(tmp_path):
    told, _ = run(tmp_path, "a", "b")
    state = json.loads((tmp_path / "b").read_text())
    late = {k: state[k] for k in ("transcript", "provider", "nonce")} | {"share": "00" * 32}
    to = pyrage.x25519.Recipient.from_str(json.loads(told["a"])["recipient"])
    sealed = base64.b64encode(pyrage.encrypt(json.dumps(late).encode(), [to])).decode()
    with pytest.raises(ConflictError, match="not the one its provider committed to"):
        accept(tmp_path / "a", [told["b"]], [sealed], heard=None, key=tmp_path / "key")


def test_a_commitment_swapped_after_sharing_is_refused(tmp_path):
    _, parts = run(tmp_path, "a", "b")
    (tmp_path / "new").mkdir()
    swapped = begin(tmp_path / "new" / "b", project="p", provider="b")
    with pytest.raises(ConflictError, match="commitments differ"):
        share(tmp_path / "a", [swapped])
    with pytest.raises(ConflictError, match="gave its share out for"):
        accept(tmp_path / "a", [swapped], parts["a"], heard=None, key=tmp_path / "key")


def test_someone_in_between_with_two_recipients_is_heard(tmp_path):
    told = start(tmp_path, "a", "b")
    (tmp_path / "m").mkdir()
    fake = {n: begin(tmp_path / "m" / n, project="p", provider=n) for n in ("a", "b")}
    share(tmp_path / "a", [fake["b"]])
    share(tmp_path / "b", [fake["a"]])
    to_a = share(tmp_path / "m" / "b", [told["a"]])["a"]
    to_b = share(tmp_path / "m" / "a", [told["b"]])["b"]
    at_b = accept(tmp_path / "b", [fake["a"]], [to_b], heard=None, key=tmp_path / "kb")
    with pytest.raises(ConflictError, match="fingerprints differ"):
        accept(tmp_path / "a", [fake["b"]], [to_a], heard=at_b, key=tmp_path / "ka")


def test_repeated_foreign_missing_and_damaged_parts_are_refused(tmp_path):
    told, parts = run(tmp_path, "a", "b")
    mirrored = json.loads(told["a"]) | {"provider": "b"}
    with pytest.raises(MalformedError, match="share a provider, recipient or value"):
        share(tmp_path / "a", [json.dumps(mirrored)])
    rest = {"heard": None, "key": tmp_path / "key"}
    with pytest.raises(ConflictError, match="every provider"):
        accept(tmp_path / "a", [told["b"]], [], **rest)
    with pytest.raises(SealingError, match="did not open"):
        accept(tmp_path / "a", [told["b"]], parts["b"], **rest)
    with pytest.raises(ConflictError, match="twice"):
        accept(tmp_path / "a", [told["b"]], parts["a"] * 2, **rest)
    with pytest.raises(MalformedError, match="at least two"):
        share(tmp_path / "a", [])
