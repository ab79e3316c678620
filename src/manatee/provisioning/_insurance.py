"""A generated insurance table for examples and tests: nobody in it exists.

Columns as in the well-known teaching table of medical charges. The dependencies a notebook will
find are built in: charges rise with age, jump for smokers, and jump again for smokers with a
body mass index above 30; a tenth of the others has an expensive year.
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from manatee.contracts import Contract, arrow_schema, parse_contract

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_REGIONS = ("northeast", "northwest", "southeast", "southwest")
_REGION_SHARES = (0.24, 0.24, 0.28, 0.24)
_CHILDREN_SHARES = (0.43, 0.24, 0.18, 0.12, 0.02, 0.01)
_SMOKER_SHARE = 0.2
_OBESE_BMI = 30.0


def insurance_contract() -> Contract:
    """Return the contract of the insurance table, which ships with the package."""
    return parse_contract(insurance_contract_text().encode())


def insurance_contract_text() -> str:
    """Return the same contract as it is written."""
    return files("manatee.provisioning").joinpath("insurance.yaml").read_text()


def insurance_spec_text() -> str:
    """Return the specification of its twin, for predicting charges, as it is written."""
    return files("manatee.provisioning").joinpath("insurance-spec.yaml").read_text()


def insured_persons(n_records: int = 1338, *, seed: int) -> pa.Table:
    """Generate insured persons who do not exist.

    Args:
        n_records: Rows.
        seed: The same seed gives the same table. This is sampling of made-up people, not
            privacy noise.

    Returns:
        A table of the schema of `insurance_contract`: age in years, bmi in kg/m2, charges in USD
        a year.
    """
    sampler = np.random.default_rng(seed)
    age = sampler.integers(18, 65, n_records)
    sex = sampler.choice(["female", "male"], n_records)
    region = sampler.choice(_REGIONS, n_records, p=_REGION_SHARES)
    southern = np.where(region == "southeast", 2.5, 0.0)
    bmi = np.clip(sampler.normal(29.4 + southern + 0.02 * (age - 39), 6.0), 15.5, 54.5)
    children = sampler.choice(6, n_records, p=_CHILDREN_SHARES)
    smoker = sampler.random(n_records) < _SMOKER_SHARE + np.where(sex == "male", 0.03, -0.03)
    charges = _charges(age, bmi, children, smoker, sampler)
    columns = [age, sex, np.round(bmi, 3), children, np.where(smoker, "yes", "no"), region, charges]
    return pa.table([pa.array(c) for c in columns], names=insurance_names()).cast(
        arrow_schema(insurance_contract().only)
    )


def insurance_names() -> list[str]:
    """Return the table's column names in order."""
    return [column.name for column in insurance_contract().only.columns]


def _charges(
    age: Codes,
    bmi: Floats,
    children: Codes,
    smoker: npt.NDArray[np.bool_],
    sampler: np.random.Generator,
) -> Floats:
    n_records = len(age)
    base = 1200 + 3.1 * age.astype(float) ** 2 + 450 * children
    usual = base * sampler.lognormal(0.0, 0.08, n_records)
    expensive_year = (sampler.random(n_records) < 0.1) * sampler.gamma(3.0, 4500.0, n_records)
    extra = np.where(bmi > _OBESE_BMI, 32_000 + 260 * (bmi - _OBESE_BMI), 13_500.0)
    smoking = extra * sampler.normal(1.0, 0.06, n_records)
    charges = usual + np.where(smoker, smoking, expensive_year)
    clipped = np.clip(charges, 900.0, 70_000.0).astype(np.float64)
    return np.round(clipped, 5)
