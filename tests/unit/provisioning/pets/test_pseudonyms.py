"""Pseudonyms, and the keys they are made with."""

import pyarrow as pa
import pytest

from manatee.contracts import Column
from manatee.errors import ConflictError, ProvisioningError, SettingsError
from manatee.provisioning.pets import Context, Pseudonym, SharedKey, project_key, read_shared_key
from manatee.provisioning.pets._project_keys import write_shared_key
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


def test_a_key_open_to_others_is_refused_and_never_overwritten(tmp_path):
    path, key = tmp_path / "key", SharedKey("p", b"s" * 32)
    write_shared_key(path, key)
    assert read_shared_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConflictError, match="never overwritten"):
        write_shared_key(path, SharedKey("p", b"t" * 32))
    path.chmod(0o640)
    with pytest.raises(SettingsError, match="only its owner"):
        read_shared_key(path)


@pytest.mark.parametrize(
    "text", ["", "ab" * 32, "{}", '{"format":"x","project":"p","secret":"ab"}']
)
def test_what_is_no_key_is_refused_without_being_quoted(tmp_path, text):
    path = tmp_path / "key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(SettingsError, match="no shared pseudonym key") as refused:
        read_shared_key(path)
    assert "abab" not in str(refused.value)


def test_a_link_in_place_of_a_key_is_refused(tmp_path):
    write_shared_key(tmp_path / "key", SharedKey("p", b"s" * 32))
    (tmp_path / "link").symlink_to(tmp_path / "key")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_shared_key(tmp_path / "link")


def test_a_folder_that_is_not_there_is_named_and_nothing_is_written(tmp_path):
    with pytest.raises(SettingsError, match="cannot be written"):
        write_shared_key(tmp_path / "none" / "key", SharedKey("p", b"s" * 32))


def test_no_secret_shows_in_what_is_printed():
    key = SharedKey("p", b"s" * 32)
    assert "ssss" not in repr(key) + repr(key.key("person"))
    assert b"s".hex() * 8 not in key.fingerprint.replace(" ", "")


def test_shared_keys_of_two_projects_give_pseudonyms_that_do_not_join():
    one, other = SharedKey("p", b"s" * 32), SharedKey("q", b"s" * 32)
    numbers = pa.array([7, 8])
    first, second = (
        Pseudonym("person")
        .begin(NUMBER, Context({"person": key.key("person")}))
        .apply(numbers)
        .to_pylist()
        for key in (one, other)
    )
    assert not set(first) & set(second)


def test_the_record_names_the_shared_key_by_its_fingerprint_alone():
    key = SharedKey("p", b"s" * 32)
    run = Pseudonym("person").begin(NUMBER, Context({"person": key.key("person")}))
    assert run.record().parameters["shared_key"] == key.fingerprint
    own = project_key(b"s" * 32, project="p", name="person")
    run = Pseudonym("person").begin(NUMBER, Context({"person": own}))
    assert "shared_key" not in run.record().parameters
