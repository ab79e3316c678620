"""Both pages ask for nothing, run nothing, can be read out; what is private stays apart."""

import base64
import hashlib
import inspect
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from manatee.provisioning.attacks import AttackResult, Interval
from manatee.provisioning.reports import NoisyMarginal, provider_report, shareable_report

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """What a browser would find."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.open, self.text, self.ids = [], [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_data(self, data):
        self.text.append(data)


def interval(value):
    return Interval(value, value - 0.1, value + 0.1, 0.7)


ATTACK = AttackResult(
    attack="shadow <twins>",
    auc=interval(0.5),
    advantage=interval(0.1),
    tpr_at_low_fpr=interval(0.2),
    epsilon_at_least=0.3,
    epsilon=1.0,
    delta=1e-9,
    false_alarm=1e-6,
    n_persons=100,
    n_guesses=10,
    curve=((0.01, 0.0), (0.1, 0.2), (1.0, 1.0)),
)


def shareable(contract, twin, promise, **options):
    return shareable_report(contract, twin, promise, sampler=np.random.default_rng(0), **options)


def provider(contract, real, twin, promise, **options):
    return provider_report(
        contract, real, twin, promise, sampler=np.random.default_rng(0), **options
    )


@pytest.fixture(scope="module")
def private(contract, real, twin, promise):
    return provider(contract, real, twin, promise, attacks=[ATTACK])


@pytest.fixture(scope="module")
def public(contract, twin, promise):
    measured = NoisyMarginal("persons", "smoker", (310.0, -4.0), 20.0)
    return shareable(contract, twin, promise, measurements=[measured])


@pytest.fixture(scope="module", params=["private", "public"])
def report(request):
    return request.getfixturevalue(request.param)


def test_a_page_is_well_formed_and_its_ids_are_unique(report):
    page = Page(report.html)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    targets = re.findall(r'(?:href="#|url\(#|aria-labelledby=")([^")]+)', report.html)
    assert targets
    assert {name for target in targets for name in target.split()} <= set(page.ids)


def test_a_page_makes_no_request_and_runs_nothing(report):
    page = Page(report.html)
    assert not {"script", "link", "img", "iframe", "object", "embed", "form", "base"} & set(
        page.tags
    )
    for name, value in page.attributes:
        assert not name.startswith("on")
        assert name != "style", "a strict policy forbids style attributes"
        assert name != "src"
        if name.endswith("href"):
            assert value.startswith("#")
    assert "@import" not in report.html
    assert "url(" not in re.sub(r"url\(#", "", report.html)


def test_the_policy_allows_the_one_style_sheet_and_nothing_else(report):
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', report.html).group(1)
    style = re.search(r"<style>(.*?)</style>", report.html, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    directives = dict(part.split(" ", 1) for part in policy.replace("&#39;", "'").split("; "))
    assert directives["default-src"] == "'none'"
    assert directives["style-src"] == f"'sha256-{digest}'"
    assert report.html.count("<style") == 1


def test_every_picture_has_a_name_and_a_text_and_every_table_a_caption(report):
    page = Page(report.html)
    pictures = re.findall(r"<svg .*?</svg>", report.html, re.DOTALL)
    assert len(pictures) >= 3
    for picture in pictures:
        root = ET.fromstring(
            picture.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
        )
        assert root.get("role") == "img"
        assert [child.tag.split("}")[1] for child in root][:2] == ["title", "desc"]
        assert "<text" in picture, "letters must stay letters"
    assert page.tags.count("caption") == page.tags.count("table") > 0
    assert page.tags.count("figcaption") == page.tags.count("figure") == len(pictures)
    headings = [int(tag[1]) for tag in page.tags if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(headings))


def test_pages_follow_dark_mode_and_print(report):
    assert "prefers-color-scheme: dark" in report.html
    assert "@media print" in report.html
    for line in re.findall(r"<text[^>]*>", report.html):
        assert "fill-" in line or 'fill="#' in line, "letters without a colour vanish in dark mode"


def test_names_from_a_contract_cannot_become_markup(report):
    assert "<b>east</b>" not in report.html
    assert "&lt;b&gt;east" in report.html
    assert "shadow <twins>" not in report.html
    assert "column <age>" not in report.html


def test_numbers_are_json_with_the_same_contents(private, public):
    numbers = json.loads(private.numbers)
    assert numbers["format"] == "manatee-provider-report/1"
    assert [table["table"] for table in numbers["tables"]] == ["persons", "visits"]
    assert numbers["tables"][0]["real_rows"] == 400
    assert numbers["attacks"][0]["auc"]["value"] == 0.5
    assert json.loads(public.numbers)["tables"][0]["columns"][1]["noisy"] == [310 / 306, 0.0]


def test_the_private_report_says_so_first_and_the_shareable_one_does_not(private, public):
    body = private.html.split("<body>")[1]
    assert "Private: stays with the provider" in body.split("<h1>")[0]
    assert "stays with the provider" not in public.html


def test_the_shareable_report_has_no_way_in_for_real_rows(contract, twin, promise):
    """Its only tables are the twin's, and from the same released numbers it is the same page."""
    names = set(inspect.signature(shareable_report).parameters)
    assert names == {"contract", "twin", "promise", "measurements", "sampler"}
    assert shareable(contract, twin, promise) == shareable(contract, twin, promise)


def test_the_verdict_follows_the_checks(private, contract, real, twin, promise):
    assert private.passed
    assert "No check speaks against" in private.html
    leaked = {**twin, "persons": real["persons"]}
    copied = provider(contract, real, leaked, promise, tasks={"persons": [], "visits": []})
    assert not copied.passed
    assert "Do not hand this twin on yet" in copied.html
    assert "persons.charges" in copied.html
    assert "do not rely on it" in copied.html
    assert "would learn almost the same" not in copied.html
    better = [replace(ATTACK, epsilon_at_least=1.5)]
    refuted = provider(contract, real, twin, promise, attacks=better, tasks={"persons": []})
    assert not refuted.passed
    assert "attackers did better" in refuted.html


def test_rows_that_break_a_rule_fail_both_reports(contract, real, twin, promise):
    charges = pa.array(np.zeros(twin["persons"].num_rows))
    place = twin["persons"].column_names.index("charges")
    broken = {**twin, "persons": twin["persons"].set_column(place, "charges", charges)}
    for found in (
        shareable(contract, broken, promise),
        provider(contract, real, broken, promise, tasks={"persons": [], "visits": []}),
    ):
        assert not found.passed
        assert "✗ broken" in found.html


def test_no_guarantee_is_called_no_guarantee(contract, real, twin, promise):
    nothing = replace(promise, epsilon=None, delta=None, rho=None, measured=())
    for found in (
        shareable(contract, twin, nothing),
        provider(contract, real, twin, nothing, tasks={"persons": [], "visits": []}),
    ):
        assert "no formal privacy guarantee" in found.html
        assert "differential privacy with" not in found.html
