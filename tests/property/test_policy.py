"""Policies: z3's word against the Cedar engine's, and readers that no text can break."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from manatee.errors import PolicyError
from manatee.policy import PolicySide, compare, find_problems
from manatee.policy._engine import CompiledPolicies, compile_policies, evaluate
from manatee.policy._request import assemble, moment
from manatee.policy._vocabulary import TCB_COMPONENTS, TIER_RANKS, UNKNOWN_HIGH

ORGANISATIONS = ("clinic", "insurer")
DIGEST = "sha256:" + "0" * 64
MOMENTS = ("2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z", "2026-12-31T23:59:59Z")

numbers = st.sampled_from(
    [
        "context.tier_rank",
        "context.vmpl",
        "context.attempt",
        "context.tcb.snp",
        'context.approvals["insurer"]',
        "context.approvals.clinic",
        "0",
        "1",
        "2",
        "-1",
        "4",
        "9223372036854775807",
    ]
)
sums = st.one_of(
    numbers,
    st.tuples(numbers, st.sampled_from(["+", "-"]), numbers).map(lambda t: f"({' '.join(t)})"),
    numbers.map(lambda n: f"({n} * 2)"),
    numbers.map(lambda n: f"-({n})"),
)
texts = st.sampled_from(
    ["context.tier", "context.project", "context.purpose", "resource.name", "principal.name",
     "principal.organisation", '"charges"', '"char"', '"x"', '"hardware"', '"ada"']
)  # fmt: skip
patterns = st.sampled_from(
    ["*", "char*", "*a*", "", "a", "*x", "c*r*s", "h*-*", "\\\\*", "char*es"]
)
entities = st.sampled_from(
    ["principal", "resource", 'ManaTEE::Researcher::"ada"', 'ManaTEE::Dataset::"x"',
     'ManaTEE::Organisation::"x"', 'ManaTEE::Organisation::"charges"']
)  # fmt: skip
literal_sets = st.lists(st.sampled_from(['"A"', '"B"', '"C"']), min_size=1, max_size=3).map(
    lambda items: f"[{', '.join(items)}]"
)
request_sets = st.sampled_from(["context.advisories", "context.measurements"])
subset_calls = st.sampled_from(["containsAll", "containsAny"])

atoms = st.one_of(
    st.sampled_from(["true", "context.gpu", "context.debug", "principal has organisation",
                     "context has gpu", 'principal has "name"']),
    st.tuples(sums, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), sums).map(" ".join),
    st.tuples(texts, st.sampled_from(["==", "!="]), texts).map(" ".join),
    st.tuples(texts, patterns).map(lambda t: f'{t[0]} like "{t[1]}"'),
    st.tuples(entities, st.sampled_from(["in", "==", "!="]), entities).map(" ".join),
    st.tuples(entities, entities).map(lambda t: f"{t[0]} in [{t[1]}]"),
    texts.map(lambda t: f"(principal has organisation && principal.organisation == {t})"),
    texts.map(
        lambda t: f"(if principal has organisation then principal.organisation == {t} else true)"
    ),
    st.tuples(numbers, numbers).map(
        lambda t: f"(if {t[0]} > {t[1]} then {t[0]} - {t[1]} > 1 else {t[0]} + {t[1]} > 1)"
    ),
    st.tuples(st.sampled_from(["principal", "resource"]),
              st.sampled_from(["ManaTEE::Researcher", "ManaTEE::Dataset"])).map(" is ".join),
    st.tuples(request_sets, subset_calls, literal_sets).map(lambda t: f"{t[0]}.{t[1]}({t[2]})"),
    st.tuples(literal_sets, subset_calls, request_sets).map(lambda t: f"{t[0]}.{t[1]}({t[2]})"),
    st.tuples(request_sets, literal_sets).map(" == ".join),
    request_sets.map(lambda s: f"{s}.isEmpty()"),
    request_sets.map(lambda s: f'{s}.contains("A")'),
    st.tuples(st.lists(texts, min_size=1, max_size=3), texts).map(
        lambda t: f"[{', '.join(t[0])}].contains({t[1]})"
    ),
    st.tuples(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), st.sampled_from(MOMENTS)).map(
        lambda t: f'context.at {t[0]} datetime("{t[1]}")'
    ),
)  # fmt: skip
conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(lambda t: f"({' '.join(t)})"),
        inner.map(lambda c: f"!({c})"),
        st.tuples(inner, inner, inner).map(lambda t: f"(if {t[0]} then {t[1]} else {t[2]})"),
    ),
    max_leaves=5,
)
scopes = st.tuples(
    st.sampled_from(["principal", 'principal == ManaTEE::Researcher::"ada"',
                     'principal in ManaTEE::Organisation::"x"', "principal is ManaTEE::Researcher",
                     'principal is ManaTEE::Researcher in ManaTEE::Organisation::"charges"']),
    st.sampled_from(["action", 'action == ManaTEE::Action::"ReleaseKey"']),
    st.sampled_from(["resource", 'resource == ManaTEE::Dataset::"charges"',
                     "resource is ManaTEE::Dataset"]),
).map(", ".join)  # fmt: skip
policies = st.tuples(
    st.sampled_from(["permit", "permit", "forbid"]),
    scopes,
    st.lists(st.tuples(st.sampled_from(["when", "unless"]), conditions), max_size=2),
).map(lambda t: f"{t[0]} ({t[1]}) " + " ".join(f"{k} {{ {c} }}" for k, c in t[2]) + ";")


@st.composite
def requests(draw: st.DrawFn) -> Any:
    """Make a request that could reach Cedar."""
    tier = draw(st.sampled_from(["hardware", "hardware", "hardware-vtpm"]))
    named = st.sampled_from(["ada", "char", "charges", "x"])
    name = draw(named)
    at = draw(st.sampled_from([*MOMENTS, "2026-05-31T23:59:59Z"]))
    sets = st.lists(st.sampled_from(["A", "B", "C", "D"]), unique=True, max_size=3)
    return assemble(
        researcher=draw(st.sampled_from(["ada", "bob", "x"])),
        organisation=draw(st.sampled_from([None, "x", "charges"])),
        dataset={"provider": "p", "name": name, "version": DIGEST, "label": "synthetic"},
        context={
            "at": moment(at),
            "evidence_kind": "sev-snp",
            "tier": tier,
            "tier_rank": TIER_RANKS[tier],
            "measurements": draw(sets),
            "platform": "",
            "chip_id": "",
            "tcb": {part: draw(st.integers(-1, 2)) if part == "snp" else -1
                    for part in TCB_COMPONENTS},
            "tcb_status": "",
            "advisories": draw(sets),
            "debug": False,
            "migration": False,
            "vmpl": draw(st.sampled_from([0, 1, 2, UNKNOWN_HIGH])),
            "collateral_age_seconds": 0,
            "gpu": draw(st.booleans()),
            "insecure_settings": [],
            "runtime_digest": DIGEST,
            "output_policy_digest": DIGEST,
            "project": draw(named),
            "purpose": draw(st.sampled_from(["*", "charges", "\\", "a*", "hardware-x", "x"])),
            "backend_kind": "sandbox",
            "attempt": draw(st.integers(1, 3)),
            "approvals": {name: draw(st.integers(0, 2)) for name in ORGANISATIONS},
            "earlier_uses": 0,
            "epsilon_micro_left": 0,
        },
    )  # fmt: skip


def compiled(text: str) -> CompiledPolicies | None:
    """Return the text made usable, or None: many random texts do not fit the schema."""
    if find_problems(text, ORGANISATIONS):
        return None
    return compile_policies(text, ORGANISATIONS)


one_policy = policies.filter(lambda text: not find_problems(text, ORGANISATIONS))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[CompiledPolicies, CompiledPolicies]:
    """Make two texts that fit the schema and have policies in common, as edits have."""
    pool = draw(st.lists(one_policy, min_size=1, max_size=4))
    old, new = (draw(st.lists(st.sampled_from(pool), max_size=4, unique=True)) for _ in range(2))
    return (
        compile_policies("\n".join(old), ORGANISATIONS),
        compile_policies("\n".join(new), ORGANISATIONS),
    )


slow = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)


@slow
@given(pairs(), st.lists(requests(), min_size=30, max_size=30))
def test_a_proof_is_never_refuted_by_the_engine(
    pair: tuple[CompiledPolicies, CompiledPolicies], asked: list[Any]
) -> None:
    old, new = pair
    # a counterexample is put to the engine inside `compare`, which raises if it is none
    if compare(PolicySide(old), PolicySide(new)).proved:
        for request in asked:
            before = evaluate(old, request.request, request.entities).allowed
            after = evaluate(new, request.request, request.entities).allowed
            assert before or not after, request.context


@slow
@given(conditions, conditions, st.lists(requests(), min_size=40, max_size=40))
def test_a_condition_that_allows_a_request_is_never_proved_to_allow_nothing_more(
    first: str, second: str, asked: list[Any]
) -> None:
    texts = [f"permit (principal, action, resource) when {{ {item} }};" for item in (first, second)]
    old, new = (compiled(text) for text in texts)
    if old is None or new is None:
        return
    more = any(
        evaluate(new, item.request, item.entities).allowed
        and not evaluate(old, item.request, item.entities).allowed
        for item in asked
    )
    assert not (more and compare(PolicySide(old), PolicySide(new)).proved)


@slow
@given(st.lists(one_policy, min_size=1, max_size=2), policies)
def test_one_more_forbid_never_allows_more(old: list[str], more: str) -> None:
    before = compile_policies("\n".join(old), ORGANISATIONS)
    after = compiled("\n".join([*old, more.replace("permit", "forbid")]))
    if after is not None:
        assert compare(PolicySide(before), PolicySide(after)).proved


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.text(max_size=300),
        st.lists(
            st.sampled_from(
                ["permit", "forbid", "(", ")", "principal", "action", "resource", ",", "when",
                 "unless", "{", "}", ";", "context", ".", "tier_rank", ">=", "4", '"a"', "[", "]",
                 "&&", "||", "!", "-", "if", "then", "else", "has", "like", "in", "is", "::", "@",
                 "id", "\n", "//", "\\", "*", "?", "datetime"]
            ),
            max_size=60,
        ).map(" ".join),
    )
)  # fmt: skip
def test_no_text_makes_the_reader_do_anything_but_answer(text: str) -> None:
    problems = find_problems(text, ORGANISATIONS)
    if problems:
        assert all(item.message and item.line >= 1 for item in problems)
        try:
            compile_policies(text, ORGANISATIONS)
        except PolicyError:
            return
        raise AssertionError("a text with problems was taken")
    compile_policies(text, ORGANISATIONS)
