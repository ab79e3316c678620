"""A small hospital that does not exist: patients, their stays, the drugs of each stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from manatee.contracts import Contract, Table, arrow_schema, parse_contract

HOSPITAL = b"""
format: manatee-data-contract/2
name: hospital
label: synthetic
privacy_unit: {person: patients}
tables:
  - name: patients
    key: [patient]
    columns:
      - {name: patient, type: identifier, holds: integer}
      - {name: born, type: date, range: ["1930-01-01", "2010-12-31"], bins: 20}
      - {name: died, type: date, range: ["1930-01-01", "2026-12-31"], bins: 20, nullable: true}
      - {name: region, type: category, categories: [north, south, elsewhere], other: elsewhere}
      - {name: remark, type: text, max_length: 500, nullable: true}
    constraints:
      - {name: dies-after-birth, check: died >= born}
  - name: stays
    key: [stay]
    max_rows_per_person: 4
    references: [{columns: [patient], table: patients}]
    columns:
      - {name: stay, type: identifier, max_length: 12}
      - {name: patient, type: identifier, holds: integer}
      - {name: came, type: timestamp, range: ["2020-01-01T00:00:00Z", "2026-01-01T00:00:00Z"]}
      - {name: room, type: decimal, range: [0, 5000], decimals: 2}
      - {name: care, type: decimal, range: [0, 5000], decimals: 2}
      - {name: total, type: decimal, range: [0, 10000], decimals: 2}
      - {name: urgent, type: boolean}
      - {name: ward, type: category, categories: [icu, general]}
    constraints:
      - {name: total-is-the-sum, check: total == room + care}
      - {name: urgent-goes-to-icu, given: urgent == True, check: ward == 'icu'}
  - name: drugs
    max_rows_per_person: 12
    references: [{columns: [stay], table: stays}]
    columns:
      - {name: stay, type: identifier, max_length: 12}
      - {name: dose, type: float, range: [0, 100], decimals: 1, nullable: true}
"""

N_PATIENTS = 3000


@pytest.fixture(scope="session")
def hospital() -> Contract:
    return parse_contract(HOSPITAL)


def patients(table: Table, sampler: np.random.Generator) -> pa.Table:
    born = sampler.integers(-14000, 14000, N_PATIENTS)
    died = np.minimum(born + sampler.integers(0, 30000, N_PATIENTS), 20000)
    gone = sampler.random(N_PATIENTS) < 0.4
    region = np.where(born < 0, "north", "south")
    columns = {
        "patient": pa.array(np.arange(N_PATIENTS) + 500),
        "born": pa.array(born.astype(np.int32)).cast(pa.date32()),
        "died": pa.array(died.astype(np.int32), mask=~gone).cast(pa.date32()),
        "region": pa.array(region),
        "remark": pa.nulls(N_PATIENTS, pa.string()),
    }
    return pa.table(columns, schema=arrow_schema(table))


def stays(table: Table, sampler: np.random.Generator) -> pa.Table:
    # northern patients stay three times, southern ones once: the twin should show it
    owners = np.concatenate([np.arange(N_PATIENTS)] + [np.arange(0, N_PATIENTS, 2)] * 2)
    n = len(owners)
    urgent = sampler.random(n) < 0.3
    cents = sampler.integers(0, 500_000, (2, n))
    start = datetime(2020, 1, 1, tzinfo=UTC)
    columns = {
        "stay": pa.array([f"s{number}" for number in range(n)]),
        "patient": pa.array(owners + 500),
        "came": pa.array([start + timedelta(hours=int(h)) for h in sampler.integers(0, 50_000, n)]),
        "room": pa.array([Decimal(int(c)).scaleb(-2) for c in cents[0]]),
        "care": pa.array([Decimal(int(c)).scaleb(-2) for c in cents[1]]),
        "total": pa.array([Decimal(int(c)).scaleb(-2) for c in cents.sum(axis=0)]),
        "urgent": pa.array(urgent),
        "ward": pa.array(np.where(urgent | (sampler.random(n) < 0.2), "icu", "general")),
    }
    schema = arrow_schema(table)
    return pa.table([columns[f.name].cast(f.type) for f in schema], schema=schema)


def drugs(table: Table, every: pa.Table, sampler: np.random.Generator) -> pa.Table:
    urgent = every["urgent"].to_numpy(zero_copy_only=False)
    owners = np.repeat(np.arange(every.num_rows), np.where(urgent, 2, 1))
    dose = np.where(urgent[owners], 80.0, 10.0) + np.round(sampler.random(len(owners)) * 10, 1)
    absent = sampler.random(len(owners)) < 0.25
    columns = {"stay": every["stay"].take(pa.array(owners)), "dose": pa.array(dose, mask=absent)}
    return pa.table(columns, schema=arrow_schema(table))


@pytest.fixture(scope="session")
def files(hospital: Contract, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("hospital")
    sampler = np.random.default_rng(5)
    every = stays(hospital.table("stays"), sampler)
    made = {
        "patients": patients(hospital.table("patients"), sampler),
        "stays": every,
        "drugs": drugs(hospital.table("drugs"), every, sampler),
    }
    for name, table in made.items():
        pa.parquet.write_table(table, folder / f"{name}.parquet")
    return {name: folder / f"{name}.parquet" for name in made}
