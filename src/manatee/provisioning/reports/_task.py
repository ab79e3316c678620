"""Task utility: what a model is worth on real rows if it was trained on the twin.

Trained on the twin and tested on all real rows, against trained on real rows and tested on held
out ones (five folds), and against always guessing the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import pyarrow as pa

from manatee.contracts import Column, Table
from manatee.provisioning.attacks import on_line
from manatee.provisioning.reports._types import Floats

Kind = Literal["regression", "classification"]
_FOLDS = 5
TASK_ROWS = 20_000
"""Rows that models are trained and tested on; more are sampled."""


class TaskLike(Protocol):
    """What a researcher wants to predict, as a specification declares it."""

    @property
    def target(self) -> str: ...
    @property
    def features(self) -> tuple[str, ...]: ...
    @property
    def kind(self) -> Kind: ...


@dataclass(frozen=True)
class Task:
    """A task."""

    target: str
    features: tuple[str, ...]
    kind: Kind


@dataclass(frozen=True)
class ModelUtility:
    """One model's error: RMSE in the target's unit, or the share of wrong classes.

    Attributes:
        twin: Trained on the twin, tested on real rows; None if the twin has only one class.
        real: Trained on real rows, tested on others.
    """

    model: str
    twin: float | None
    real: float


@dataclass(frozen=True)
class TaskUtility:
    """A task and its models.

    Attributes:
        measure: `RMSE` or `share of wrong answers`; lower is better.
        guessing: Error of always answering the real mean or most frequent class.
    """

    target: str
    features: tuple[str, ...]
    kind: Kind
    measure: str
    guessing: float
    models: tuple[ModelUtility, ...]


def default_task(table: Table) -> Task | None:
    """Return the task of predicting the last column with cells from all others, if there are."""
    names = [column.name for column in table.columns if column.cellular]
    if len(names) < 2:
        return None
    kind: Kind = "regression" if table.column(names[-1]).numeric else "classification"
    return Task(names[-1], tuple(names[:-1]), kind)


def task_utility(
    real: pa.Table, twin: pa.Table, columns: Sequence[Column], task: TaskLike
) -> TaskUtility | None:
    """Train and test. Returns None if the real table has no two targets or under 50 rows."""
    by_name = {column.name: column for column in columns}
    features = [by_name[name] for name in task.features if by_name[name].cellular]
    target = by_name[task.target]
    real_x, real_y = _rows(real, features, target)
    twin_x, twin_y = _rows(twin, features, target)
    if len(real_y) < 50 or len(np.unique(real_y)) < 2 or len(twin_y) < 2:
        return None
    regression = task.kind == "regression"
    error = _rmse if regression else _wrong
    if regression:
        guess = np.full(len(real_y), real_y.mean())
    else:
        classes, counts = np.unique(real_y, return_counts=True)
        guess = np.full(len(real_y), classes[counts.argmax()])
    models = []
    for name, model in _models(features, regression=regression).items():
        folds = np.arange(len(real_y)) % _FOLDS
        held_out = np.empty(len(real_y))
        for fold in range(_FOLDS):
            train, test = folds != fold, folds == fold
            held_out[test] = _fitted(model, real_x[train], real_y[train], real_x[test])
        learned = (
            None
            if not regression and len(np.unique(twin_y)) < 2
            else error(real_y, _fitted(model, twin_x, twin_y, real_x))
        )
        models.append(ModelUtility(name, learned, error(real_y, held_out)))
    return TaskUtility(
        task.target,
        tuple(column.name for column in features),
        task.kind,
        "RMSE" if regression else "share of wrong answers",
        error(real_y, guess),
        tuple(models),
    )


def _rows(table: pa.Table, features: Sequence[Column], target: Column) -> tuple[Floats, Floats]:
    values = [on_line(table[column.name], column) for column in features]
    wanted = on_line(table[target.name], target)
    known = ~np.isnan(wanted)
    # In an order that has nothing to do with the file's: folds are then even samples.
    order = np.random.default_rng(0).permutation(int(known.sum()))
    return np.column_stack(values)[known][order], wanted[known][order]


def _rmse(wanted: Floats, found: Floats) -> float:
    return float(np.sqrt(((wanted - found) ** 2).mean()))


def _wrong(wanted: Floats, found: Floats) -> float:
    return float((wanted != found).mean())


def _fitted(model: Any, x: Floats, y: Floats, at: Floats) -> Floats:
    from threadpoolctl import threadpool_limits

    # One thread: on a machine that does other things, more make small models slower.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")  # about convergence and columns without any value
        if len(np.unique(y)) < 2:
            return np.full(len(at), y[0])
        found: Floats = np.asarray(model.fit(x, y).predict(at), dtype=np.float64)
        return found


def _models(features: Sequence[Column], *, regression: bool) -> dict[str, Any]:
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [place for place, column in enumerate(features) if column.numeric]
    others = [place for place, column in enumerate(features) if not column.numeric]
    prepared = ColumnTransformer(
        [
            (
                "numbers",
                make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler()),
                numbers,
            ),
            ("others", OneHotEncoder(handle_unknown="ignore"), others),
        ]
    )
    straight = Ridge() if regression else LogisticRegression(max_iter=1000)
    boosted = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
    categorical = [place for place in others if len(features[place].categories) <= 250]
    return {
        "linear": make_pipeline(prepared, straight),
        "gradient boosting": boosted(
            max_iter=100, categorical_features=categorical or None, random_state=0
        ),
    }
