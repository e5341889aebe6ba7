"""What baselines look at: columns, as arrays for scikit-learn."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pandas as pd

from proctor.tasks.competitions.definition import CompetitionFile

COMPOSE: Any = import_module("sklearn.compose")
PIPELINE: Any = import_module("sklearn.pipeline")
PREPROCESSING: Any = import_module("sklearn.preprocessing")
IMPUTE: Any = import_module("sklearn.impute")


@dataclass(frozen=True)
class Features:
    """One way to look at rows."""

    name: str
    make: Callable[[], Any]
    """A transformer of rows."""
    only: tuple[str, ...] = ()
    """The models that it is for, by the beginnings of their names; all if none."""

    def suits(self, model: str) -> bool:
        """Whether a model can do with it."""
        return not self.only or model.startswith(self.only)


def features_of(file: CompetitionFile, train: pd.DataFrame) -> tuple[Features, ...]:
    """The ways to look at a competition's rows."""
    hidden = [*file.form.ids, *file.form.targets, *file.form.truth]
    everything = Features("all columns", lambda: _columns(hidden, numbers_only=False))
    seen = train.drop(columns=hidden, errors="ignore")
    if seen.select_dtypes(exclude="number").empty:
        return (everything,)
    plain = ("Hist", "Logistic", "Ridge")
    return everything, Features("numbers", lambda: _columns(hidden, numbers_only=True), plain)


def _columns(hidden: list[str], *, numbers_only: bool) -> Any:  # noqa: ANN401 - an estimator
    numbers = PIPELINE.make_pipeline(
        IMPUTE.SimpleImputer(strategy="median"), PREPROCESSING.StandardScaler()
    )
    words = PREPROCESSING.OneHotEncoder(
        handle_unknown="ignore", sparse_output=False, min_frequency=5
    )

    def seen(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.drop(columns=hidden, errors="ignore")

    chosen = COMPOSE.make_column_transformer(
        (numbers, COMPOSE.make_column_selector(dtype_include="number")),
        *([] if numbers_only else [(words, COMPOSE.make_column_selector(dtype_exclude="number"))]),
    )
    return PIPELINE.make_pipeline(PREPROCESSING.FunctionTransformer(seen), chosen)
