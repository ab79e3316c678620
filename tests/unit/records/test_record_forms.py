"""Members have one form each; a message names the member and the form, never the value."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from manatee.errors import MalformedError, ManifestError
from manatee.records import (
    RESOURCE_CLASSES,
    ApprovalStatement,
    Caller,
    DatasetUse,
    DisclosureRecord,
    ExitStatus,
    FileEntry,
    JobManifest,
    OutputFile,
    Record,
    Review,
    Tier,
    canonical_json,
    check_manifest,
    parse_digest,
    raw_digest,
    read_record,
    resource_class,
    to_record,
    unbase64,
)

ZERO = "sha256:" + "0" * 64
SECRET = "Zaphod-42-SECRET"

MANIFEST: dict[str, Any] = {
    "stage": "secure",
    "project": "charges",
    "researcher": "ada",
    "purpose": "How much?",
    "runtime_digest": ZERO,
    "workspace_digest": ZERO,
    "entry_notebook": "notebook.ipynb",
    "datasets": [{"name": "insurance", "version": ZERO}],
    "declared_outputs": ["figures.json"],
    "output_policy_digest": ZERO,
    "output_recipients": ["age1abc"],
    "resource_class": "tiny",
    "backend_kind": "sandbox",
}


def manifest(**changed: Any) -> JobManifest:
    return to_record({**MANIFEST, **changed}, JobManifest, what="manifest")


def refusal(value: Any, kind: type[Record], what: str = "manifest") -> str:
    with pytest.raises(MalformedError) as caught:
        to_record(value, kind, what=what)
    return str(caught.value)


@pytest.mark.parametrize(
    ("member", "value", "wanted"),
    [
        ("entry_notebook", f"../{SECRET}", "a relative path"),
        ("entry_notebook", f"/{SECRET}", "a relative path"),
        ("project", SECRET, "a name"),
        ("runtime_digest", SECRET, "a digest"),
        ("stage", SECRET, "one of the listed values"),
        ("submission", 0, "a whole number >= 1"),
        ("submission", 1001, "a whole number <= 1000"),
        ("submission", SECRET, "a whole number, not text"),
        ("submission", True, "a whole number, not true or false"),
        ("purpose", "", "text of length >= 1"),
        ("purpose", SECRET * 200, "text of length <= 2000"),
        ("datasets", [], "a list of length >= 1"),
        ("datasets", {SECRET: SECRET}, "a list, not a JSON object"),
        ("declared_outputs", [f"a{i}" for i in range(65)], "a list of length <= 64"),
        ("output_recipients", None, "a list, not null"),
        ("parameters", {SECRET: [SECRET]}, "not a list"),
        ("parameters", {str(i): SECRET for i in range(101)}, "a JSON object of length <= 100"),
        ("format_version", 2, "one of the listed values"),
    ],
)
def test_a_refusal_names_member_and_form_never_pattern_or_value(
    member: str, value: Any, wanted: str
) -> None:
    said = refusal({**MANIFEST, member: value}, JobManifest)
    assert said.startswith(f"manifest: member $.{member}")
    assert wanted in said
    assert SECRET not in said
    assert "regex" not in said
    assert not set("^\\|?*") & set(said)


def test_unknown_and_missing_members_are_named() -> None:
    assert refusal({**MANIFEST, "note": SECRET}, JobManifest) == (
        "manifest: the whole must not hold the member note."
    )
    without = {name: value for name, value in MANIFEST.items() if name != "stage"}
    assert refusal(without, JobManifest) == "manifest: the whole must hold the member stage."
    nested = {**MANIFEST, "datasets": [{"name": "a", "version": ZERO, "key": SECRET}]}
    said = refusal(nested, JobManifest)
    assert said == "manifest: member $.datasets[0] must not hold the member key."


def test_a_member_name_cannot_write_on_the_terminal_or_flood_it() -> None:
    hostile = "\x1b[2J\n` - at `$.x`" + "A" * 5000
    said = refusal({**MANIFEST, hostile: 1}, JobManifest)
    assert said.isprintable()
    assert len(said) < 200


def test_every_patterned_member_has_words() -> None:
    for kind in (Caller, ApprovalStatement, FileEntry):
        for item in msgspec.structs.fields(kind):
            sample = {
                "name": "a",
                "roles": [],
                "expires_at": "2026-01-01T00:00:00Z",
                "approved_at": "2026-01-01T00:00:00Z",
                "provider": "a",
                "approver": "a",
                "job_digest": ZERO,
                "path": "a",
                "sha256": ZERO,
                "size": 0,
            }
            value = {f.name: sample[f.name] for f in msgspec.structs.fields(kind) if f.required}
            to_record(value, kind, what="x")
            if isinstance(value.get(item.name), str):
                said = refusal({**value, item.name: f"//{SECRET}//"}, kind, "x")
                assert f"member $.{item.name} must be a" in said
                assert SECRET not in said


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/a", "..", ".", "a/..", "../a", "a/../b", "./a", "a/./b", "a\\b", "a\x00"),
        *("a\n", "a\x7f", "a" * 513, "\t"),
    ],
)
def test_paths_that_could_leave_their_folder_are_refused(path: str) -> None:
    with pytest.raises(MalformedError):
        to_record({"path": path, "sha256": ZERO, "size": 0}, FileEntry, what="entry")


@pytest.mark.parametrize("path", ["a", "a/b.c", "..a", "a..", "...", "é/ü", "a b", "a" * 512])
def test_ordinary_paths_are_taken(path: str) -> None:
    found = to_record({"path": path, "sha256": ZERO, "size": 0}, FileEntry, what="entry")
    assert found.path == path


@pytest.mark.parametrize("name", ["", "A", "-a", ".a", "a b", "a" * 64, "é", "a\n", "a/b", None, 1])
def test_names_are_lower_case_and_short(name: Any) -> None:
    with pytest.raises(MalformedError):
        to_record({"name": name, "version": ZERO}, DatasetUse, what="use")


@pytest.mark.parametrize("name", ["a", "0", "a-b_c.d", "a" * 63])
def test_ordinary_names_are_taken(name: str) -> None:
    assert to_record({"name": name, "version": ZERO}, DatasetUse, what="use").name == name


@pytest.mark.parametrize(
    "moment",
    [
        *("2026-01-01", "2026-01-01T00:00:00", "2026-01-01T00:00:00+00:00", "2026-01-01 00:00:00Z"),
        *("2026-01-01T00:00:00.0Z", "2026-01-01t00:00:00z", "2026-01-01T00:00:00Z\n", ""),
    ],
)
def test_moments_are_utc_in_whole_seconds(moment: str) -> None:
    value = {"name": "ada", "roles": ["auditor"], "expires_at": moment}
    with pytest.raises(MalformedError, match="a time in UTC"):
        to_record(value, Caller, what="caller")


@pytest.mark.parametrize(
    "text",
    [
        *("sha256:", "sha256:" + "0" * 63, "sha256:" + "0" * 65, "sha256:" + "A" * 64, "0" * 64),
        *("sha512:" + "0" * 64, ZERO + "\n", " " + ZERO, "SHA256:" + "0" * 64),
    ],
)
def test_digests_have_one_spelling(text: str) -> None:
    with pytest.raises(MalformedError, match="64 lower-case"):
        parse_digest(text)
    with pytest.raises(MalformedError, match="64 lower-case"):
        to_record({"name": "a", "version": text}, DatasetUse, what="use")
    with pytest.raises(MalformedError):
        raw_digest(text)


@pytest.mark.parametrize("text", ["A", "AA", "AA=", "AB==", "AA==\n", "A A=", "-_8=", "=", "ä"])
def test_base64_has_one_spelling_per_value(text: str) -> None:
    with pytest.raises(MalformedError):
        unbase64(text)


def test_base64_of_known_bytes() -> None:
    # RFC 4648, section 10
    for data, text in ((b"", ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foobar", "Zm9vYmFy")):
        assert unbase64(text) == data


def test_a_sound_manifest_passes_and_survives_the_wire() -> None:
    found = manifest()
    check_manifest(found)
    assert read_record(canonical_json(found), JobManifest, what="manifest") == found


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"datasets": [{"name": "a", "version": ZERO}] * 2}, "same data set twice"),
        ({"declared_outputs": ["a.csv", "a.csv"]}, "same declared output twice"),
        ({"output_recipients": ["age1a", "age1a"]}, "same output recipient twice"),
        ({"entry_notebook": "notebook.py"}, "must end in .ipynb"),
        ({"output_recipients": ["ssh-ed25519 AAAA"]}, "must be age recipients"),
    ],
)
def test_manifests_that_contradict_themselves_are_refused(changed: Any, said: str) -> None:
    with pytest.raises(ManifestError, match=said):
        check_manifest(manifest(**changed))


def test_one_data_set_in_two_versions_is_refused() -> None:
    uses = [{"name": "a", "version": ZERO}, {"name": "a", "version": "sha256:" + "1" * 64}]
    with pytest.raises(ManifestError, match="same data set twice"):
        check_manifest(manifest(datasets=uses))


def test_records_are_frozen() -> None:
    entry = FileEntry(path="a", sha256=ZERO, size=0)
    with pytest.raises(AttributeError):
        entry.size = 1  # type: ignore[misc]


def test_causes_and_decisions_outside_their_lists_are_not_echoed() -> None:
    value = {"succeeded": False, "cells_run": 0, "cells_total": 0, "cause": SECRET}
    assert SECRET not in refusal(value, ExitStatus, "exit")
    assert SECRET not in refusal({"decision": SECRET, "reason": "x"}, Review, "review")
    checks = [{"name": "a", "title": "b", "passed": SECRET, "reason": "c"}]
    said = refusal({"policy_digest": ZERO, "checks": checks}, DisclosureRecord, "record")
    assert said == "record: member $.checks[0].passed must be true or false, not text."


def test_output_files_cannot_name_a_place_outside() -> None:
    with pytest.raises(MalformedError):
        to_record({"path": "../a", "data": ""}, OutputFile, what="file")


def test_resource_classes_are_found_by_name_or_refused() -> None:
    for name in RESOURCE_CLASSES:
        assert resource_class(name).name == name
    with pytest.raises(ManifestError, match="is not one of: tiny, small, large"):
        resource_class("huge")


def test_tiers_have_one_order() -> None:
    order = [Tier.HARDWARE, Tier.HARDWARE_VTPM, Tier.SOFTWARE_TPM, Tier.SIMULATED]
    for strong, tier in enumerate(order):
        for weak, minimum in enumerate(order):
            assert tier.meets(minimum) is (strong <= weak)
