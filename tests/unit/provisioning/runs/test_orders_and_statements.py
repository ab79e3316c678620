"""What a run charges and says, without a run."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from manatee.errors import ContractError, SettingsError
from manatee.provisioning.runs import (
    PrivacyStatement,
    data_digest,
    in_words,
    make_order,
    provider_secret,
    read_order,
    synthesis_order,
)
from manatee.provisioning.runs._write_statement import make_statement
from manatee.provisioning.tables import open_source

CONTRACT = b"""
format: manatee-data-contract/2
name: visits
label: real
privacy_unit: row
tables:
  - name: stays
    rows: public
    columns:
      - {name: age, type: integer, range: [0, 99], bins: 10}
      - {name: ward, type: category, categories: [north, south]}
"""


def order(columns: str):
    return make_order(
        CONTRACT,
        f"""
format: manatee-provisioning-spec/1
contract: visits
tables:
  stays:
    columns: {columns}
""".encode(),
    )


def test_randomised_columns_cost_the_sum_of_their_rhos() -> None:
    made = order("{age: {laplace: {epsilon: 1.5}}, ward: {randomise: {epsilon: 0.5}}}")
    assert made.row_cost("stays") == Fraction(9, 8) + Fraction(1, 8)
    assert made.local_epsilon == 2


BY_PERSON = b"""
format: manatee-data-contract/2
name: visits
label: real
privacy_unit: {person: persons}
tables:
  - name: persons
    key: [id]
    columns:
      - {name: id, type: identifier, holds: integer}
      - {name: age, type: integer, range: [0, 99], bins: 10}
  - name: stays
    rows: public
    max_rows_per_person: 4
    references: [{columns: [person], table: persons}]
    columns:
      - {name: person, type: identifier, holds: integer, nullable: true}
      - {name: ward, type: category, categories: [north, south]}
"""
SHARED = b"""
format: manatee-provisioning-spec/1
contract: visits
tables:
  stays:
    columns: {person: {suppress: {}}, ward: {randomise: {epsilon: 2}}}
"""


def test_a_person_pays_the_epsilon_written_down_however_many_rows() -> None:
    made = make_order(BY_PERSON, SHARED)
    assert made.row_cost("stays") == 4 * Fraction(1, 8)  # four values of epsilon 1/2
    assert made.local_epsilon == 2


def statement(contract: bytes, spec: bytes, folder: Path) -> PrivacyStatement:
    return make_statement(
        make_order(contract, spec),
        None,
        (),
        twin=folder,
        data_digest="",
        ledger=None,
        stamp="",
        versions={},
    )


def test_local_privacy_is_stated_for_a_person_and_for_changed_values(tmp_path: Path) -> None:
    told = statement(BY_PERSON, SHARED, tmp_path)
    assert (told.epsilon, told.delta, told.local_epsilon) == (2, 0, 2)
    assert told.privacy_unit == "one person with all of their rows"
    assert told.neighbouring_relation == "all values in the rows of one person changed"
    text = " ".join(in_words(told).split())
    assert "local differential privacy with epsilon = 2" in text
    assert "That the rows are there, and how many, is shown." in text
    assert "added or removed" not in text


def test_a_row_without_a_guarantee_has_no_local_epsilon(tmp_path: Path) -> None:
    spec = SHARED.replace(b"{randomise: {epsilon: 2}}", b"{keep: {}}")
    told = statement(BY_PERSON, spec, tmp_path)
    assert (told.epsilon, told.delta, told.rho, told.local_epsilon) == (None,) * 4


def test_one_kept_column_voids_the_guarantee_of_a_row() -> None:
    assert order("{age: {keep: {}}, ward: {randomise: {epsilon: 0.5}}}").row_cost("stays") is None


def test_dummy_tables_cost_nothing_and_read_nothing() -> None:
    made = make_order(
        CONTRACT,
        b"format: manatee-provisioning-spec/1\ncontract: visits\n"
        b"tables: {stays: {dummy: {rows: 9}}}\n",
    )
    assert made.private == ()
    assert made.dummies == {"stays": 9}


def test_small_budgets_are_written_without_an_exponent() -> None:
    made = synthesis_order(CONTRACT, epsilon=0.001, delta=1e-12)
    assert (made.epsilon, made.delta) == (0.001, 1e-12)


def test_a_specification_of_another_contract_is_refused() -> None:
    with pytest.raises(ContractError, match="contract must be visits"):
        make_order(CONTRACT, b"format: manatee-provisioning-spec/1\ncontract: x\ntables: {}\n")


def test_files_that_are_not_there_are_an_error_of_ours(tmp_path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        read_order(tmp_path / "c.yaml", tmp_path / "s.yaml")


def test_the_digest_of_private_rows_answers_only_who_has_the_secret(tmp_path) -> None:
    contract = order("{age: {keep: {}}, ward: {keep: {}}}").contract
    digests = []
    for name, row in (("a", "50,north"), ("b", "51,north")):
        (tmp_path / name).with_suffix(".csv").write_text(f"age,ward\n{row}\n")
        with open_source({"stays": tmp_path / f"{name}.csv"}, contract) as source:
            digests += [data_digest(source, bytes(32)), data_digest(source, bytes([1] * 32))]
            assert data_digest(source, bytes(32)) == digests[-2]
    assert len(set(digests)) == 4
    assert all(digest.startswith("hmac-sha256:") for digest in digests)


def test_a_secret_is_made_once_and_for_its_owner_alone(tmp_path) -> None:
    first = provider_secret(tmp_path / "secret.key")
    assert provider_secret(tmp_path / "secret.key") == first
    (tmp_path / "secret.key").chmod(0o644)
    with pytest.raises(SettingsError, match="others may read"):
        provider_secret(tmp_path / "secret.key")
