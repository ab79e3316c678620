"""The vocabulary: one closed list, known alike to schema, requests, checks and solver."""

from __future__ import annotations

import re
from importlib.resources import files

import cedarpy

from manatee.policy import PolicyQuestion, schema_text
from manatee.policy._symbols import NUMBERS, SETS, TEXTS, TRUTHS
from manatee.policy._vocabulary import CHECKS, TCB_COMPONENTS, TIER_RANKS
from manatee.records import Tier


def attributes_of_the_context() -> list[str]:
    text = re.sub(r"//[^\n]*", "", schema_text(()))
    context = text[text.index("context: {") :]
    return re.findall(r"^\s+(\w+): ", context, re.MULTILINE)


def test_every_attribute_has_a_check_a_place_in_the_solver_and_in_questions() -> None:
    attributes = set(attributes_of_the_context())
    assert len(attributes) == 25
    assert attributes == set(CHECKS)
    assert attributes == {*TEXTS, *NUMBERS, *TRUTHS, *SETS, "at", "tcb", "approvals"}
    assert attributes - {"tier_rank"} <= set(PolicyQuestion.__struct_fields__)


def test_the_schema_is_sound_and_ships_with_the_package() -> None:
    assert (files("manatee.policy") / "release.cedarschema").is_file()
    for organisations in ((), ("insurer",), ("a-b.c_d", "clinic", "insurer")):
        cedarpy.Schema.from_str(schema_text(organisations))


def test_every_tier_has_a_rank_in_the_order_of_tiers() -> None:
    assert [TIER_RANKS[tier.value] for tier in Tier] == [4, 3, 2, 1]


def test_security_versions_are_told_apart_by_name() -> None:
    assert len(set(TCB_COMPONENTS)) == len(TCB_COMPONENTS) == 22
