"""A contract of two tables with rules, and real tables and twins made up for it."""

import numpy as np
import pyarrow as pa
import pytest

from manatee.contracts import Column, Constraint, Contract, ForeignKey, Table
from manatee.provisioning.reports import Measured, Promise

PERSONS = Table(
    "persons",
    (
        Column("id", "identifier", holds="integer"),
        Column("age", "integer", minimum=18, maximum=64, bins=16),
        Column("smoker", "category", categories=("no", "yes")),
        Column("region", "category", categories=("north", "south", "<b>east</b> & $x$", "isle")),
        Column("bmi", "float", minimum=10, maximum=60, bins=20, decimals=3, nullable=True),
        Column("charges", "float", minimum=0, maximum=100_000, bins=40, decimals=5),
    ),
    key=("id",),
    constraints=(Constraint("charged", "charges >= age"),),
)
VISITS = Table(
    "visits",
    (
        Column("person", "identifier", holds="integer", nullable=True),
        Column("day", "date", minimum=18_000, maximum=19_000, bins=10),
        Column("urgent", "boolean"),
    ),
    references=(ForeignKey(("person",), "persons"),),
)
CONTRACT = Contract("clinic", "synthetic", (PERSONS, VISITS), description="People & visits.")


def make_tables(seed, n_persons=400):
    """Return both tables; people of another seed are other people."""
    sampler = np.random.default_rng(seed)
    age = sampler.integers(18, 65, n_persons)
    smoker = sampler.random(n_persons) < 0.2
    region = sampler.choice(4, n_persons, p=[0.5, 0.3, 0.195, 0.005])
    bmi = np.round(sampler.normal(29, 5, n_persons).clip(10, 60), 3)
    charges = 1000 + 80 * age + 20_000 * smoker + sampler.gamma(2, 800, n_persons)
    persons = pa.table(
        {
            "id": np.arange(n_persons),
            "age": age,
            "smoker": np.where(smoker, "yes", "no"),
            "region": np.array(PERSONS.column("region").categories)[region],
            "bmi": pa.array(bmi, mask=sampler.random(n_persons) < 0.1),
            "charges": np.round(charges, 5),
        }
    )
    n_visits = 3 * n_persons
    days = sampler.integers(18_000, 19_001, n_visits).astype("datetime64[D]")
    visits = pa.table(
        {
            "person": sampler.integers(0, n_persons, n_visits),
            "day": pa.array(days),
            "urgent": sampler.random(n_visits) < 0.3,
        }
    )
    return {"persons": persons, "visits": visits}


@pytest.fixture(scope="session")
def contract():
    return CONTRACT


@pytest.fixture(scope="session")
def real():
    return make_tables(1)


@pytest.fixture(scope="session")
def twin():
    return make_tables(2, 390)


@pytest.fixture(scope="session")
def promise():
    return Promise(
        epsilon=1.0,
        delta=1e-9,
        rho=0.015,
        unit="one row",
        relation="one row added or removed",
        mechanism="made up",
        measured=(Measured("column <age>", "discrete-gaussian", 1, 20.0, 0.015),),
        not_protected=("Column names.",),
    )
