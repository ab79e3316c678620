"""Checking a policy text: what is wrong, where, and what to do; and texts nobody should write."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from manatee.errors import PolicyError, SettingsError
from manatee.policy import Problem, compile_policies, find_problems, named_organisations
from manatee.policy import _engine as engine_module

ORGANISATIONS = ("insurer",)


def when(condition: str) -> str:
    return f"permit (principal, action, resource)\nwhen {{\n  {condition}\n}};\n"


def only(text: str) -> Problem:
    found = find_problems(text, ORGANISATIONS)
    assert found, "nothing was found wrong"
    return found[0]


@pytest.mark.parametrize(
    ("condition", "column", "message", "hint"),
    [
        ("context.tier_rnk >= 4", 11, "no attribute tier_rnk", "Did you mean tier_rank?"),
        ("context.tcb.snpp >= 4", 15, "no attribute snpp", "Did you mean snp?"),
        ('resource.lable == "real"', 12, "no attribute lable", "Did you mean label?"),
        ('context.approvals["bank"] >= 1', 22, "approvals of bank are not counted", "Name"),
        ('context.tier >= "hardware"', 3, "Long but saw String", ""),
        ('context.gpu && context.vmpl == "0"', 18, "Long and String are not compatible", ""),
        ('principal == "ada"', 3, "are not compatible", ""),
        ('principal.organisation == "x"', 3, "may be missing", "has organisation &&"),
        ('principal in ManaTEE::Organization::"x"', 16, "no entity type", "Organisation?"),
        ('context.at < datetime("soon")', 16, "datetime", ""),
        ('contxt.tier == "hardware"', 3, "contxt stands for nothing", "Did you mean context?"),
        ('tier == "hardware"', 3, "tier stands for nothing", "begins with context"),
        ("context.gpu &&", 1, "expected a value but found }", ""),
        ("context.gpu and context.debug", 15, "expected } but found and", ""),
        ('context.tier = "hardware"', 16, "no such sign", ""),
        ('context.tier == "hardware', 19, "no such sign", "quote"),
        ('context.tier == "h\\q"', 19, "unknown escape", "Known:"),
        ("context.vmpl < 99999999999999999999", 18, "2**63-1", ""),
        ("(context.gpu", 3, "this ( is closed by }", ""),

        ('context.tier == "hardwаre"', 19, "outside ASCII", "\\u{…}"),
        ("context.tier == \"a\u202eb\"", 21, "U+202E", "Remove it."),
        ('context.tier == "\\u{202e}"', 19, "cannot be seen", ""),
        ('context.tier == "\\0"', 19, "unknown escape", ""),
    ],
)  # fmt: skip
def test_a_mistake_is_shown_at_its_place(
    condition: str, column: int, message: str, hint: str
) -> None:
    found = only(when(condition))
    assert message in found.message
    assert hint in found.hint
    line = 4 if "expected a value" in message else 3
    assert (found.line, found.column) == (line, column)
    assert found.source == when(condition).split("\n")[line - 1]
    assert 1 <= found.length <= len(found.source)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("permitt (principal, action, resource);", "expected permit or forbid"),
        ("permit (principal, action, resource)", "expected ; but found the end"),
        ("permit (principal, resource, action);", "expected action, found resource"),
        ('permit (principal, action == Action::"Read", resource);', "there is no action"),
        ("permit (principal is ManaTEE::Reseacher, action, resource);", "no entity type"),
        ("permit (principal == ?principal, action, resource);", "?slot"),
        ('@id("a") @id("b") permit (principal, action, resource);', "stands twice"),
        ("permit (principal, action, resource); and more", "expected permit or forbid"),
        ("permit (principal, action, resource) when { context.x };" * 2, "no attribute x"),
        ("permit (principal, action in [], resource);", "expected"),
        (when("context.gpu)"), "this { is closed by )"),
        ("permit (principal, action, resource));", "this ) closes nothing"),
        ("permit (principal, action, resource", "this ( is never closed"),
        ("\x00permit (principal, action, resource);", "U+0000"),
        ("permit (principal, action, resource);\r\n", "U+000D"),
        ("\ufeffpermit (principal, action, resource);", "U+FEFF"),
        ("// \u2066harmless\npermit (principal, action, resource);", "U+2066"),
        ("permit (principal, action, resource); /* note */", "no such sign"),
    ],
)
def test_a_policy_that_is_none_is_refused(text: str, message: str) -> None:
    assert message in only(text).message
    with pytest.raises(PolicyError, match="line"):
        compile_policies(text, ORGANISATIONS)


def test_every_mistake_is_reported_with_a_place_of_its_own() -> None:
    text = when('context.projct == "x" &&\n  context.tier_rank >= "4"') + when("context.gpuu")
    places = [(item.line, item.column) for item in find_problems(text, ORGANISATIONS)]
    assert places == [(3, 11), (4, 3), (8, 11)]


def test_a_misspelt_forbid_which_cedar_would_ignore_is_refused() -> None:
    text = "permit (principal, action, resource);\n" + when("context.debugg").replace(
        "permit", "forbid"
    )
    assert only(text).hint == "Did you mean debug?"


def test_comments_may_hold_any_letter_that_can_be_seen() -> None:
    assert find_problems("// Größe, 名\n" + when("context.gpu"), ORGANISATIONS) == ()


def test_a_text_may_escape_letters_outside_ascii() -> None:
    assert find_problems(when('context.purpose == "\\u{c4}rzte"'), ORGANISATIONS) == ()


def test_nothing_is_wrong_with_nothing() -> None:
    assert find_problems("", ORGANISATIONS) == ()


def test_the_organisations_a_text_counts_are_found() -> None:
    text = when('context.approvals["insurer"] >= 1 && context.approvals.clinic >= 1')
    assert named_organisations(text) == ("clinic", "insurer")
    assert named_organisations("permit (") == ()


# --- texts that are meant to break the reader or the engine ---


@pytest.mark.parametrize(
    "text",
    [
        when("(" * 1000 + "true" + ")" * 1000),
        when("(" * 60000),
        when("[" * 1000 + "1" + "]" * 1000 + " == [1]"),
        when("{a:" * 1000 + "1" + "}" * 1000 + " == {a:1}"),
        when("!" * 50000 + "true"),
        when("-" * 50000 + "1 < 2"),
        when("if " * 5000 + "true"),
        when("if true then " * 5000 + "true"),
        when("if true then true else " * 2000 + "true"),
        when(" && ".join(["context.gpu"] * 3000)),
        when(" || ".join(["context.gpu"] * 3000)),
        when("1" + " + 1" * 10000 + " > 0"),
        when("context" + ".a" * 20000),
        when("context" + '["a"]' * 9000),
        when("context.advisories" + ".isEmpty()" * 5000),
        when('context.tier like "' + "*a" * 40000 + '"'),
        when("1" * 60000 + " > 0"),
        when("[" + "1," * 15000 + "1].contains(context.vmpl)"),
        "permit(principal,action,resource);" * 1000,
        "@a" * 30000,
        "//" + "x" * 70000,
        "é" * 40000,
        '"' + "\\" * 60000,
        "x" * (1 << 20),
    ],
)
def test_a_hostile_text_is_refused_at_once(text: str) -> None:
    begin = time.perf_counter()
    assert find_problems(text, ORGANISATIONS)
    assert time.perf_counter() - begin < 2


def test_brackets_are_counted_before_anything_is_read() -> None:
    text = when("(" * 32 + "context.gpu" + ")" * 32)
    assert only(text).message == "brackets are nested deeper than 32."


@pytest.mark.parametrize("depth", [30, 31])
def test_what_is_within_the_limits_is_read(depth: int) -> None:
    text = when("(" * (depth - 1) + "context.gpu" + ")" * (depth - 1))
    assert find_problems(text, ORGANISATIONS) == ()
    assert find_problems(when(" && ".join(["context.gpu"] * 90)), ORGANISATIONS) == ()


def test_a_large_allow_list_is_read() -> None:
    people = ", ".join(f'"person-{number}"' for number in range(1500))
    assert find_problems(when(f"[{people}].contains(principal.name)"), ORGANISATIONS) == ()


def test_a_difference_between_our_reading_and_the_engines_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_module, "policy_json", lambda policy: {"effect": "forbid"})
    assert "read in two ways" in only(when("context.gpu")).message


def test_without_the_engine_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "cedarpy", None)
    with pytest.raises(SettingsError, match="not installed") as caught:
        find_problems(when("context.gpu"), ORGANISATIONS)
    assert caught.value.hint == "pip install 'manatee[policy]'"


def test_importing_the_package_loads_neither_engine_nor_solver() -> None:
    script = "import sys, manatee.policy; print({'cedarpy', 'z3'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr
