"""The numbers behind the reports, against closed forms and planted differences."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manatee.contracts import Column
from manatee.errors import TableError
from manatee.provisioning.reports import Task, default_task
from manatee.provisioning.reports._integrity import check_links, check_rules, missing_shares
from manatee.provisioning.reports._losses import rare_categories, tails
from manatee.provisioning.reports._page import number, percent
from manatee.provisioning.reports._rows import Rows
from manatee.provisioning.reports._similarity import (
    associations,
    compare_columns,
    compare_pairs,
)
from manatee.provisioning.reports._task import task_utility
from manatee.provisioning.reports._words import promise_in_words

A = Column("a", "category", categories=("x", "y"))
B = Column("b", "category", categories=("x", "y", "z"))
N = Column("n", "float", minimum=0, maximum=10, bins=10, decimals=1)


def table(**columns):
    return pa.table(columns)


def test_distances_are_the_part_of_rows_that_would_have_to_change():
    real = table(a=["x"] * 3 + ["y"], b=["x", "x", "y", "z"])
    twin = table(a=["x"] * 2 + ["y"] * 2, b=["x", "x", "y", "z"])
    found = compare_columns(real, twin, [A, B])
    assert [item.tvd for item in found] == [0.25, 0]
    assert found[1].real == (0.5, 0.25, 0.25)
    pairs = compare_pairs(real, twin, [A, B])
    assert pairs.tvd[0][1] == pairs.tvd[1][0] == 0.25 == pairs.mean
    assert pairs.tvd[0][0] == 0.25


def test_chance_is_what_two_samples_of_the_same_people_differ_by():
    sampler = np.random.default_rng(0)
    seen = []
    for _ in range(200):
        real, twin = (table(n=sampler.uniform(0, 10, size)) for size in (400, 300))
        found = compare_columns(real, twin, [N])[0]
        seen.append((found.tvd, found.chance))
    tvd, chance = np.mean(seen, axis=0)
    assert tvd == pytest.approx(chance, rel=0.05)


def test_associations_of_what_is_one_and_what_is_independent():
    sampler = np.random.default_rng(0)
    codes = sampler.integers(0, 3, 3000)
    letters = np.array(["x", "y", "z"])[codes]
    c = Column("c", "category", categories=("x", "y", "z"))
    m = Column("m", "float", minimum=0, maximum=10, decimals=1, nullable=True)
    numbers = codes * 3.0
    rows = table(
        b=letters, c=letters, n=numbers, m=pa.array(10 - numbers, mask=sampler.random(3000) < 0.2)
    )
    found = associations(rows, [B, c, N, m])
    assert found[0, 1] == pytest.approx(1)  # Cramer's V
    assert found[0, 2] == pytest.approx(1)  # correlation ratio
    assert found[2, 3] == pytest.approx(-1)  # Pearson, missing values left out
    shuffled = rows.set_column(0, "b", pa.array(sampler.permutation(letters)))
    assert np.abs(associations(shuffled, [B, c, N])[0, 1:]).max() < 0.06
    constant = rows.set_column(2, "n", pa.array(np.zeros(3000)))
    assert associations(constant, [B, c, N])[2].tolist() == [0, 0, 1]


def test_constraints_keys_and_references_are_counted(contract, twin):
    rows = {name: Rows(item) for name, item in twin.items()}
    assert [rule.broken for rule in check_rules(contract, rows)] == [0, 0, 0]
    persons = pa.concat_tables([twin["persons"], twin["persons"].slice(0, 2)])
    charges = persons["charges"].to_numpy().copy()
    charges[5] = 0.0
    persons = persons.set_column(5, "charges", pa.array(charges))
    strangers = pa.table(
        {"person": pa.array([5_000, None, 1]), "day": twin["visits"]["day"].slice(0, 3)}
    ).append_column("urgent", pa.array([True] * 3))
    broken = check_rules(contract, {"persons": Rows(persons), "visits": Rows(strangers)})
    assert {rule.rule: rule.broken for rule in broken} == {
        "constraint charged": 1,
        "key is unique": 2,
        "refers to persons": 1,
    }


def test_keys_of_two_columns_are_held_together(contract):
    persons, visits = contract.tables
    parent = replace(persons, columns=(*persons.columns[:1], A), key=("id", "a"), constraints=())
    child = replace(
        visits,
        columns=(Column("p", "identifier", holds="integer"), Column("q", "category")),
        references=(replace(visits.references[0], columns=("p", "q")),),
    )
    both = replace(contract, tables=(parent, child))
    tables = {
        "persons": Rows(table(id=[1, 1, 2], a=["x", "y", "x"])),
        "visits": Rows(table(p=[1, 2, 2, None], q=["y", "y", "x", None])),
    }
    assert [rule.broken for rule in check_rules(both, tables)] == [0, 1]


def test_rows_per_parent_and_missing_values(contract, twin):
    rows = {name: Rows(item) for name, item in twin.items()}
    (link,) = check_links(contract, rows)
    assert link.mean == pytest.approx(3)
    counts = np.bincount(twin["visits"]["person"].to_numpy(), minlength=390)
    assert link.most == counts.max()
    assert link.without == pytest.approx((counts == 0).mean())
    shares = missing_shares(contract.table("persons"), rows["persons"])
    assert shares == {"bmi": twin["persons"]["bmi"].null_count / 390}


def test_rare_categories_and_tails_that_a_twin_loses():
    real = table(b=["x"] * 300 + ["y"] * 299 + ["z"], n=np.linspace(0, 10, 600))
    twin = table(b=["x"] * 300 + ["y"] * 300, n=np.full(600, 5.0))
    (rare,) = rare_categories(real, twin, [B, N])
    assert (rare.rare, rare.lost) == (1, 1)
    (tail,) = tails(real, twin, [B, N])
    assert tail.real == pytest.approx(0.02, abs=0.002)
    assert tail.twin == 0


def test_a_model_learns_from_a_good_twin_and_not_from_a_shuffled_one(contract, real, twin):
    columns = contract.table("persons").columns
    task = Task("charges", ("age", "smoker", "bmi"), "regression")
    good = task_utility(real["persons"], twin["persons"], columns, task)
    for model in good.models:
        assert model.real < 0.5 * good.guessing
        assert model.twin < 1.5 * model.real
    sampler = np.random.default_rng(0)
    shuffled = pa.table(
        {c: sampler.permutation(twin["persons"][c].to_pylist()) for c in ("age", "smoker")}
        | {"bmi": twin["persons"]["bmi"], "charges": twin["persons"]["charges"]}
    )
    bad = task_utility(real["persons"], shuffled, columns, task)
    assert all(model.twin > 0.9 * bad.guessing for model in bad.models)


def test_classification_counts_wrong_answers(contract, real, twin):
    columns = contract.table("persons").columns
    task = Task("smoker", ("charges", "age", "region"), "classification")
    found = task_utility(real["persons"], twin["persons"], columns, task)
    share = np.mean(np.array(real["persons"]["smoker"]) == "yes")
    assert found.guessing == pytest.approx(share)
    assert all(model.twin < share / 2 for model in found.models)
    one_class = twin["persons"].set_column(2, "smoker", pa.array(["no"] * 390))
    found = task_utility(real["persons"], one_class, columns, task)
    assert [model.twin for model in found.models] == [None, None]
    assert task_utility(real["persons"].slice(0, 30), one_class, columns, task) is None


def test_the_default_task_predicts_the_last_column_with_cells(contract):
    persons, visits = contract.tables
    assert default_task(persons) == Task(
        "charges", ("age", "smoker", "region", "bmi"), "regression"
    )
    assert default_task(visits).kind == "classification"
    assert default_task(replace(visits, columns=visits.columns[:2])) is None


def test_parquet_files_give_the_same_columns_and_even_samples(tmp_path, real):
    pq.write_table(real["persons"], tmp_path / "p.parquet")
    file, memory = Rows(tmp_path / "p.parquet"), Rows(real["persons"])
    assert file.n_rows == memory.n_rows == 400
    assert file.column("age").equals(memory.column("age"))
    sample = file.sample(["id", "charges"], 100, np.random.default_rng(0))
    again = memory.sample(["id", "charges"], 100, np.random.default_rng(0))
    assert sample.equals(again)
    assert len(set(sample["id"].to_pylist())) == 100
    assert sample["charges"][3] == real["persons"]["charges"][sample["id"][3].as_py()]
    for rows in (file, memory):
        with pytest.raises(TableError):
            rows.column("nobody")
    with pytest.raises(TableError):
        Rows(tmp_path / "nothing.parquet").column("age")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0%"),
        (1e-7, "under 0.01%"),
        (0.021, "2.1%"),
        (0.95, "95%"),
        (0.999, "99.9%"),
        (1, "100%"),
    ],
)
def test_shares_are_never_rounded_to_nothing(value, shown):
    assert percent(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(12110.4, "12,110"), (0.01497, "0.01497"), (5, "5"), (None, "none"), (1e-9, "1.00e-09")],
)
def test_numbers_are_shown_for_people(value, shown):
    assert number(value) == shown


@pytest.mark.parametrize(
    ("epsilon", "word"), [(1, "strong"), (4, "moderate"), (10, "weak"), (90, "over 100 million")]
)
def test_a_promise_is_put_into_words_by_its_size(promise, epsilon, word):
    assert word in promise_in_words(replace(promise, epsilon=epsilon))
