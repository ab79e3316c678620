"""A specification is read strictly, and wrong combinations are refused by name and place."""

from dataclasses import replace

import pytest

from manatee.contracts import Column, Contract, ForeignKey, PrivacyUnit, Table
from manatee.errors import ContractError
from manatee.provisioning.pets import Keep, Protect, Pseudonym, RandomiseNumber, RowPlan
from manatee.provisioning.spec import SynthesisTable, delta_warnings, parse_spec

PERSONS = Table(
    "persons",
    (
        Column("id", "identifier", holds="integer", sensitivity="identifying"),
        Column("name", "text", max_length=80, nullable=True, sensitivity="identifying"),
        Column("age", "integer", minimum=0, maximum=100, bins=10, sensitivity="quasi-identifying"),
        Column("illness", "category", categories=("a", "b", "c"), sensitivity="sensitive"),
        Column("town", "category", categories=("x", "y"), sensitivity="identifying"),
    ),
    key=("id",),
    rows="public",
)
VISITS = Table(
    "visits",
    (
        Column("person", "identifier", holds="integer"),
        Column("cost", "float", minimum=0, maximum=9, bins=3, decimals=1),
    ),
    references=(ForeignKey(("person",), "persons"),),
    rows="public",
)
CONTRACT = Contract("clinic", "real", (PERSONS, VISITS))
HEAD = "format: manatee-provisioning-spec/1\ncontract: clinic\n"
GOOD = {
    "id": "{pseudonym: {key: person}}",
    "name": "{suppress: {}}",
    "age": "{generalise: {width: 10}}",
    "illness": "{keep: {}}",
    "town": "{randomise: {epsilon: 1}}",
}
PROTECT = "    protect: {k_anonymity: 5, max_suppressed: 0.1}\n"


def rows(more=PROTECT, visits="", **columns):
    told = {**GOOD, **columns}
    lines = "".join(f"      {name}: {how}\n" for name, how in told.items() if how)
    return f"{HEAD}tables:\n  persons:\n    columns:\n{lines}{more}{visits}"


def visits(person="{pseudonym: {key: person}}", more=""):
    return f"  visits:\n    columns:\n      person: {person}\n      cost: {{keep: {{}}}}\n{more}"


def parse(text, contract=CONTRACT):
    return parse_spec(text.encode(), contract)


def test_a_good_specification_becomes_a_plan_for_every_table():
    spec = parse(rows(visits=visits()))
    persons = spec.tables["persons"]
    assert isinstance(persons, RowPlan)
    assert persons.protect == Protect(5, 0.1)
    assert persons.columns["id"] == Pseudonym("person")
    assert spec.tables["visits"].columns["cost"] == Keep()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(rows(illness=""), "without a treatment: illness", id="column-forgotten"),
        pytest.param(rows(id="{keep: {}}"), "raw identifier", id="raw-identifier-kept"),
        pytest.param(rows(name="{keep: {}}"), "free text", id="free-text-kept"),
        pytest.param(rows(town="{keep: {}}"), "identifying column", id="identifying-column-kept"),
        pytest.param(rows(more=""), "without protect: age", id="quasi-identifying-unprotected"),
        pytest.param(rows(id="{randomise: {epsilon: 1}}"), "identifier", id="ldp-on-identifier"),
        pytest.param(rows(id="{laplace: {epsilon: 1}}"), "identifier", id="laplace-on-identifier"),
        pytest.param(rows(id="{pseudonym: {}}"), "needs key", id="pseudonym-without-key"),
        pytest.param(rows(town="{randomise: {}}"), "needs epsilon", id="ldp-without-epsilon"),
        pytest.param(rows(town="{randomise: {epsilon: 0}}"), "epsilon", id="ldp-zero"),
        pytest.param(rows(town="{randomise: {epsilon: -1}}"), "epsilon", id="ldp-negative"),
        pytest.param(rows(town="{randomise: {epsilon: .inf}}"), "plain decimal", id="ldp-infinite"),
        pytest.param(rows(town="{randomise: {epsilon: .nan}}"), "plain decimal", id="ldp-nan"),
        pytest.param(rows(town="{randomise: {epsilon: 90}}"), "epsilon", id="ldp-huge"),
        pytest.param(rows(illness="{suppress: {}}"), "never missing", id="suppress-not-nullable"),
        pytest.param(rows(illness="{keep: {}, suppress: {}}"), "exactly one", id="two-treatments"),
        pytest.param(
            rows(
                more="    protect: {k_anonymity: 5, max_suppressed: 0.1, "
                "l_diversity: {column: name, l: 2}}\n"
            ),
            "suppressed or randomised",
            id="l-diversity-of-a-suppressed-column",
        ),
        pytest.param(
            rows(more=PROTECT + "    synthesis: {mechanism: mst}\n"),
            "exactly one of",
            id="synthesis-with-columns",
        ),
        pytest.param(
            HEAD + "tables: {ghosts: {dummy: {rows: 1}}}",
            "nobody knows",
            id="table-not-in-contract",
        ),
        pytest.param(
            rows(visits=visits("{pseudonym: {key: other}}")),
            "no longer join",
            id="foreign-key-under-another-key",
        ),
        pytest.param(
            rows(more=PROTECT + "    sample: {rate: 0.1}\n", visits=visits()),
            "rows left out",
            id="parents-sampled-without-children",
        ),
        pytest.param(
            rows(visits="  visits: {dummy: {rows: 3}}\n"),
            "different ways",
            id="tables-that-would-not-join",
        ),
        pytest.param(
            HEAD + "tables: {visits: {dummy: {rows: 3}}}",
            "not released",
            id="dummy-without-its-parent",
        ),
        pytest.param(
            HEAD + "tables: {persons: {synthesis: {mechanism: mst}}}",
            "budget",
            id="synthesis-without-budget",
        ),
        pytest.param(
            rows() + "budget: {epsilon: 1, delta: 0.000001}\n", "budget", id="budget-for-nothing"
        ),
    ],
)
def test_refused(text, says):
    with pytest.raises(ContractError, match=says) as refused:
        parse(text)
    assert str(refused.value).startswith("line ")
    assert "column" in str(refused.value)


@pytest.mark.parametrize("word", ["0", "-1", ".inf", ".nan", "101", "1e3"])
@pytest.mark.parametrize("name", ["epsilon", "delta"])
def test_a_budget_that_means_nothing_is_refused(name, word):
    told = {"epsilon": "1", "delta": "0.000001", name: word}
    budget = f"budget: {{epsilon: {told['epsilon']}, delta: {told['delta']}}}\n"
    with pytest.raises(ContractError, match=name):
        parse(f"{HEAD}{budget}tables: {{persons: {{synthesis: {{mechanism: mst}}}}}}")


def test_rows_are_refused_where_the_contract_protects_their_number():
    hidden = Table("persons", PERSONS.columns, key=("id",))
    with pytest.raises(ContractError, match="number, which the contract protects"):
        parse(rows(), Contract("clinic", "real", (hidden,)))


def test_a_suppressed_foreign_key_is_refused():
    person = Column("person", "identifier", holds="integer", nullable=True)
    loose = Table(
        "visits", (person, VISITS.columns[1]), references=VISITS.references, rows="public"
    )
    with pytest.raises(ContractError, match="no longer join"):
        parse(rows(visits=visits("{suppress: {}}")), Contract("clinic", "real", (PERSONS, loose)))


def test_a_delta_of_one_over_n_is_warned_of_with_its_reason():
    budget = "budget: {epsilon: 1, delta: 0.001}\n"
    spec = parse(f"{HEAD}{budget}tables: {{persons: {{synthesis: {{mechanism: mst}}}}}}")
    assert spec.tables["persons"] == SynthesisTable("mst")
    (warning,) = delta_warnings(CONTRACT, spec, rows={"persons": 1000})
    assert "publishes one row at random" in warning
    assert "'persons' (1000, as everyone may know)" in warning
    assert delta_warnings(CONTRACT, spec, rows={"persons": 999, "strangers": 10**9}) == ()


def test_persons_count_not_their_rows_where_persons_are_protected():
    both = "tables: {persons: {synthesis: {mechanism: mst}}, visits: {synthesis: {mechanism: mst}}}"
    text = f"{HEAD}budget: {{epsilon: 1, delta: 0.001}}\n{both}"
    rows = {"persons": 500, "visits": 2000}
    assert len(delta_warnings(CONTRACT, parse(text), rows=rows)) == 1
    assert delta_warnings(BY_PERSON, parse(text, BY_PERSON), rows=rows) == ()


def test_a_delta_is_warned_of_for_tables_drawn_from_noise_and_no_others():
    doctors = Table("doctors", (VISITS.columns[1],), rows="public")
    contract = Contract("clinic", "real", (PERSONS, doctors))
    ways = "persons: {dummy: {rows: 3}}, doctors: {synthesis: {mechanism: mst}}"
    spec = parse(f"{HEAD}budget: {{epsilon: 1, delta: 0.001}}\ntables: {{{ways}}}", contract)
    assert delta_warnings(contract, spec, rows={"persons": 10**9, "doctors": 10}) == ()
    assert len(delta_warnings(contract, spec, rows={"doctors": 10**9})) == 1


BY_PERSON = Contract(
    "clinic",
    "real",
    (PERSONS, replace(VISITS, max_rows_per_person=5)),
    privacy_unit=PrivacyUnit("person", "persons"),
)


def cost(epsilon):
    return f"""{HEAD}tables:
  visits:
    columns: {{person: {{pseudonym: {{key: person}}}}, cost: {{laplace: {{epsilon: {epsilon}}}}}}}
"""


def test_the_rows_of_a_person_share_an_epsilon():
    treated = parse(cost(1), BY_PERSON).tables["visits"].columns["cost"]
    assert treated == RandomiseNumber(1.0, "laplace", rows=5)
    assert parse(cost(1)).tables["visits"].columns["cost"] == RandomiseNumber(1.0, "laplace")


def test_an_epsilon_too_small_to_be_shared_is_refused():
    assert parse(cost(0.001))
    with pytest.raises(ContractError, match="5 rows of a person share it"):
        parse(cost(0.001), BY_PERSON)
