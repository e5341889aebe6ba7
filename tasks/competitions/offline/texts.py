"""Teams that read texts: words, runs of words and of letters, and what learns from such."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pandas as pd

from proctor.tasks.competitions.offline.features import PIPELINE, PREPROCESSING, Features
from proctor.tasks.competitions.offline.teams import (
    SEED,
    Model,
    Models,
    Team,
    crossed,
    settings,
    sklearn,
)

BAYES, TREES = "MultinomialNB", "HistGradient"
SPARSE = ("LinearSVC", "Ridge")
"""Fast also on many columns."""
LINEAR = ("Logistic", *SPARSE)


def teams(column: str) -> Iterator[Team]:
    """Those that read a column of text."""
    words = partial(_weighed, column, analyzer="word")
    letters = partial(_weighed, column, analyzer="char_wb")
    single = Features("words", partial(words, ngram_range=(1, 1)), (BAYES, "KNeighbors", *LINEAR))
    runs = Features("runs of up to 2 words", partial(words, ngram_range=(1, 2)), (BAYES, *SPARSE))
    parts = Features(
        "runs of 2 to 5 letters", partial(letters, ngram_range=(2, 5)), (BAYES, *SPARSE)
    )
    topics = Features("100 components of words", partial(_components, column), (TREES,))
    both = Features(f"{runs.name} and {parts.name}", lambda: _both(runs, parts), SPARSE)
    yield from crossed((single, runs), _models())
    yield from crossed((parts, both, topics), _models(), shares=(1.0,))


def _models() -> Models:
    yield from settings("naive_bayes.MultinomialNB", alpha=(0.1, 1.0))
    yield from settings("linear_model.LogisticRegression", C=(1.0, 10.0), max_iter=(2000,))
    yield from settings("svm.LinearSVC", C=(0.1, 1.0), random_state=(SEED,))
    yield from settings("linear_model.Ridge", alpha=(1.0, 10.0))
    yield from settings("neighbors.KNeighborsClassifier", n_neighbors=(5, 50))
    boosted = {"max_iter": (60,), "max_leaf_nodes": (8,), "random_state": (SEED,)}
    yield from settings("ensemble.HistGradientBoostingRegressor", **boosted)


def _weighed(column: str, **said: Any) -> Model:  # noqa: ANN401 - settings of scikit-learn's
    def seen(rows: pd.DataFrame) -> pd.Series:
        return rows[column]

    vectorizer = sklearn("feature_extraction.text.TfidfVectorizer")
    return PIPELINE.make_pipeline(
        PREPROCESSING.FunctionTransformer(seen), vectorizer(sublinear_tf=True, min_df=2, **said)
    )


def _both(one: Features, other: Features) -> Model:
    return PIPELINE.make_union(one.make(), other.make())


def _components(column: str) -> Model:
    reduced = sklearn("decomposition.TruncatedSVD")
    return PIPELINE.make_pipeline(
        _weighed(column, analyzer="word"), reduced(n_components=100, random_state=SEED)
    )
