"""Whatever is given as a contract is one or is refused as one; nothing else comes out."""

import json

from hypothesis import given
from hypothesis import strategies as st

from manatee.contracts import Contract, arrow_schema, parse_contract
from manatee.errors import ContractError
from manatee.provisioning import insurance_contract, insurance_contract_text

SHIPPED = insurance_contract_text().encode()

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["manatee-data-contract/1", "row", "real", "integer", "category", "decimal"]),
)
names = st.sampled_from(
    ["format", "name", "label", "privacy_unit", "columns", "type", "range", "bins", "categories"]
)
documents = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=8)),
    max_leaves=20,
)


def parses_or_is_refused(data: bytes) -> None:
    try:
        contract = parse_contract(data)
    except ContractError:
        return
    assert isinstance(contract, Contract)
    for table in contract.tables:
        assert len(arrow_schema(table)) == len(table.columns)


@given(st.binary(max_size=400))
def test_any_bytes(data):
    parses_or_is_refused(data)


@given(st.text(st.sampled_from("{}[]&*!|>'\"%@`-:?,#\n\t \\ab1.~<="), max_size=80))
def test_any_yaml_like_text(text):
    parses_or_is_refused(text.encode())


@given(documents)
def test_any_document_of_known_members(document):
    parses_or_is_refused(json.dumps(document).encode())


@given(st.lists(st.tuples(st.integers(0, len(SHIPPED) - 1), st.binary(max_size=3)), max_size=4))
def test_a_contract_with_spoiled_bytes(changes):
    data = SHIPPED
    for position, spoiled in changes:
        data = data[:position] + spoiled + data[position + 1 :]
    parses_or_is_refused(data)


def test_the_shipped_contract_is_what_the_strategies_spoil():
    assert parse_contract(SHIPPED) == insurance_contract()
