"""The ceremony in which several providers come to one secret that none of them chose."""

import base64
import json

import pyrage
import pytest

from manatee.errors import ConflictError, MalformedError, SealingError, SettingsError
from manatee.provisioning.pets import accept, begin, read_shared_key, share


def start(tmp_path, *names, project="p"):
    return {name: begin(tmp_path / name, project=project, provider=name) for name in names}


def others(table, name):
    return [value for other, value in table.items() if other != name]


def run(tmp_path, *names, project="p"):
    told = start(tmp_path, *names, project=project)
    sealed = {name: share(tmp_path / name, others(told, name)) for name in names}
    return told, {name: [sealed[o][name] for o in names if o != name] for name in names}


def speak(tmp_path, parts):
    return {n: accept(tmp_path / n, parts[n], heard={}, key=tmp_path / f"{n}.key") for n in parts}


def hear(spoken, name):
    return {other: code for other, code in spoken.items() if other != name}


def finish(tmp_path, *names, project="p"):
    _, parts = run(tmp_path, *names, project=project)
    spoken = speak(tmp_path, parts)
    for name in names:
        key = tmp_path / f"{name}.key"
        accept(tmp_path / name, parts[name], heard=hear(spoken, name), key=key)
    return {name: read_shared_key(tmp_path / f"{name}.key") for name in names}


def test_three_providers_come_to_one_secret_that_none_chose(tmp_path):
    keys = finish(tmp_path, "a", "b", "c")
    assert len({key.secret for key in keys.values()}) == 1
    assert keys["a"].project == "p"
    assert (tmp_path / "a.key").stat().st_mode & 0o777 == 0o600


def test_a_ceremony_of_the_same_people_comes_to_another_secret(tmp_path):
    (tmp_path / "again").mkdir()
    first, second = finish(tmp_path, "a", "b"), finish(tmp_path / "again", "a", "b")
    assert first["a"].fingerprint != second["a"].fingerprint


def test_nothing_is_written_before_the_codes_were_heard(tmp_path):
    _, parts = run(tmp_path, "a", "b")
    spoken = speak(tmp_path, parts)
    assert not (tmp_path / "a.key").exists()
    assert spoken["a"] != spoken["b"]


def test_the_share_is_forgotten_when_the_key_is_there(tmp_path):
    finish(tmp_path, "a", "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.key", "b.key"]


def test_a_code_that_differs_writes_nothing_and_names_who_read_it(tmp_path):
    _, parts = run(tmp_path, "a", "b")
    with pytest.raises(ConflictError, match="code of 'b' is not the one expected"):
        accept(tmp_path / "a", parts["a"], heard={"b": "0000"}, key=tmp_path / "key")
    assert not (tmp_path / "key").exists()
    assert (tmp_path / "a").exists()


def test_a_code_may_be_typed_in_other_groups_and_capitals(tmp_path):
    _, parts = run(tmp_path, "a", "b")
    heard = speak(tmp_path, parts)["b"].upper().replace(" ", "-") + " "
    accept(tmp_path / "a", parts["a"], heard={"b": heard}, key=tmp_path / "key")
    assert (tmp_path / "key").exists()


def test_typing_what_the_own_screen_shows_does_not_pass_for_hearing(tmp_path):
    _, parts = run(tmp_path, "a", "b")
    own = speak(tmp_path, parts)["a"]
    with pytest.raises(MalformedError, match="own code"):
        accept(tmp_path / "a", parts["a"], heard={"b": own}, key=tmp_path / "key")
    assert not (tmp_path / "key").exists()


def test_every_other_provider_must_be_heard_not_only_one(tmp_path):
    _, parts = run(tmp_path, "a", "b", "c")
    spoken = speak(tmp_path, parts)
    with pytest.raises(MalformedError, match="codes of b, c"):
        accept(tmp_path / "a", parts["a"], heard={"b": spoken["b"]}, key=tmp_path / "key")
    assert not (tmp_path / "key").exists()


def test_a_provider_that_chooses_its_share_late_is_refused(tmp_path):
    told, _ = run(tmp_path, "a", "b")
    state = json.loads((tmp_path / "b").read_text())
    sealed = json.loads(
        pyrage.decrypt(
            base64.b64decode(share(tmp_path / "b", [told["a"]])["a"]),
            [pyrage.x25519.Identity.from_str(json.loads((tmp_path / "a").read_text())["identity"])],
        )
    )
    assert sealed["share"] == state["share"]
    late = sealed | {"share": "00" * 32}
    to = pyrage.x25519.Recipient.from_str(json.loads(told["a"])["recipient"])
    changed = base64.b64encode(pyrage.encrypt(json.dumps(late).encode(), [to])).decode()
    with pytest.raises(ConflictError, match="not the one its provider committed to"):
        accept(tmp_path / "a", [changed], heard={}, key=tmp_path / "key")


def test_a_commitment_swapped_after_sharing_is_refused(tmp_path):
    run(tmp_path, "a", "b")
    (tmp_path / "new").mkdir()
    swapped = begin(tmp_path / "new" / "b", project="p", provider="b")
    with pytest.raises(ConflictError, match="commitments differ"):
        share(tmp_path / "a", [swapped])


def test_a_share_of_another_ceremony_is_refused(tmp_path):
    told, _ = run(tmp_path, "a", "b", "c")
    (tmp_path / "two").mkdir()
    for name in ("a", "b"):
        (tmp_path / "two" / name).write_text(
            json.dumps(json.loads((tmp_path / name).read_text()) | {"others": []})
        )
        (tmp_path / "two" / name).chmod(0o600)
    to_a = share(tmp_path / "two" / "b", [told["a"]])["a"]  # the same two, without the third
    with pytest.raises(ConflictError, match="another ceremony"):
        accept(tmp_path / "a", [to_a], heard={}, key=tmp_path / "key")


def test_someone_in_between_with_two_recipients_is_heard(tmp_path):
    told = start(tmp_path, "a", "b")
    (tmp_path / "m").mkdir()
    fake = {n: begin(tmp_path / "m" / n, project="p", provider=n) for n in ("a", "b")}
    share(tmp_path / "a", [fake["b"]])
    share(tmp_path / "b", [fake["a"]])
    to_a = share(tmp_path / "m" / "b", [told["a"]])["a"]
    to_b = share(tmp_path / "m" / "a", [told["b"]])["b"]
    at_b = accept(tmp_path / "b", [to_b], heard={}, key=tmp_path / "kb")
    with pytest.raises(ConflictError, match="not the one expected"):
        accept(tmp_path / "a", [to_a], heard={"b": at_b}, key=tmp_path / "ka")


def test_who_reads_along_sees_neither_share_nor_secret(tmp_path):
    told, parts = run(tmp_path, "a", "b")
    private = [json.loads((tmp_path / name).read_text()) for name in told]
    spoken = speak(tmp_path, parts)
    accept(tmp_path / "a", parts["a"], heard=hear(spoken, "a"), key=tmp_path / "a.key")
    sealed = [base64.b64decode(part) for each in parts.values() for part in each]
    wire = "".join(told.values()).encode() + b"".join(sealed) + "".join(spoken.values()).encode()
    secrets = [read_shared_key(tmp_path / "a.key").secret]
    secrets += [bytes.fromhex(kept[part]) for kept in private for part in ("share", "nonce")]
    for secret in secrets:
        assert secret not in wire
        assert secret.hex().encode() not in wire
    assert not any(kept["identity"].encode() in wire for kept in private)


@pytest.mark.parametrize("part", ["provider", "recipient", "commitment"])
def test_a_commitment_that_repeats_a_part_of_ones_own_is_refused(tmp_path, part):
    told = start(tmp_path, "a", "b")
    mirrored = json.loads(told["b"]) | {part: json.loads(told["a"])[part]}
    with pytest.raises(MalformedError, match="share a provider, recipient or value"):
        share(tmp_path / "a", [json.dumps(mirrored)])


def test_repeated_foreign_missing_and_damaged_parts_are_refused(tmp_path):
    _, parts = run(tmp_path, "a", "b")
    rest = {"heard": {}, "key": tmp_path / "key"}
    with pytest.raises(ConflictError, match="every provider"):
        accept(tmp_path / "a", [], **rest)
    with pytest.raises(SealingError, match="did not open"):
        accept(tmp_path / "a", parts["b"], **rest)
    with pytest.raises(ConflictError, match="twice"):
        accept(tmp_path / "a", parts["a"] * 2, **rest)
    with pytest.raises(MalformedError, match="at least two"):
        share(tmp_path / "a", [])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"project": "q"}, "one is of another"),
        ({"format": "other/1"}, "must be of the format"),
        ({"provider": "../b"}, "must be 1 to 63 characters"),
        ({"recipient": "age1nobody"}, "no age recipient"),
        ({"commitment": "xyz"}, "64 hexadecimal digits"),
        ({"more": "x"}, "was expected and is not one"),
    ],
)
def test_a_commitment_that_is_none_is_refused_by_name(tmp_path, change, says):
    told = start(tmp_path, "a", "b")
    changed = json.dumps(json.loads(told["b"]) | change)
    with pytest.raises(MalformedError, match=says):
        share(tmp_path / "a", [changed])


def test_accepting_before_sharing_says_what_to_do(tmp_path):
    start(tmp_path, "a")
    with pytest.raises(ConflictError, match="not given its share out") as refused:
        accept(tmp_path / "a", [], heard={}, key=tmp_path / "key")
    assert "Run `share` first" in refused.value.hint


@pytest.mark.parametrize("change", [{"share": "short"}, {"identity": "AGE-SECRET-KEY-1"}])
def test_a_damaged_private_file_is_refused_without_being_quoted(tmp_path, change):
    start(tmp_path, "a")
    kept = json.loads((tmp_path / "a").read_text()) | change
    (tmp_path / "a").write_text(json.dumps(kept))
    with pytest.raises(MalformedError, match="damaged") as refused:
        share(tmp_path / "a", [])
    assert kept["nonce"] not in str(refused.value)


def test_a_private_file_open_to_others_is_refused(tmp_path):
    start(tmp_path, "a")
    (tmp_path / "a").chmod(0o644)
    with pytest.raises(SettingsError, match="only its owner"):
        share(tmp_path / "a", [])
