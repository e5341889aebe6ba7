"""The teams on the leaderboards: usual models with usual settings, each really fitted and scored.

``python -m proctor.tasks.competitions.offline.baselines [ID]...`` prepares each competition, lets
every team fit the training rows and predict the test's, scores what they hand in as any other
submission, and writes ``leaderboard.csv`` and ``checksums.json`` beside its ``competition.toml``.

A team is a model, what it looks at, and how many of the training rows it takes the time for: some
fit a tenth of them, or numbers alone, as teams do. Nobody tunes on the test rows.
"""

import csv
import io
import json
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypeAlias

import pandas as pd

from proctor.evaluator.competitions import strict_score
from proctor.evaluator.medals import rounded
from proctor.evaluator.metrics import METRICS
from proctor.schemas.competition import Competition
from proctor.tasks.competitions.definition import (
    CHECKSUMS,
    LEADERBOARD,
    Definition,
    competition_of,
    read_definition,
)
from proctor.tasks.competitions.library import OFFLINE
from proctor.tasks.competitions.offline.features import Features, features_of
from proctor.tasks.competitions.prepare import (
    check_provable,
    made_files,
    sums,
)
from proctor.tasks.competitions.prepared import ANSWERS, PRIVATE, PUBLIC

SEED = 20261120
SHARES = (1.0, 0.1)
"""Of the training rows."""
Model: TypeAlias = Any
"""An estimator of scikit-learn, which has no types of its own."""


class Team(NamedTuple):
    """Who hands in."""

    name: str
    model: Callable[[], Model]
    features: Features
    share: float


class Entry(NamedTuple):
    """A place on the leaderboard."""

    score: float
    by: str


def _sklearn(path: str) -> Callable[..., Model]:
    module, _, name = path.rpartition(".")
    found: Callable[..., Model] = getattr(import_module(f"sklearn.{module}"), name)
    return found


def _settings(path: str, **grid: tuple[Any, ...]) -> Iterator[tuple[str, Callable[[], Model]]]:
    """A model once for each combination of settings."""
    for values in product(*grid.values()):
        given = dict(zip(grid, values, strict=True))
        said = ", ".join(f"{key}={value}" for key, value in given.items() if key != "random_state")
        yield f"{path.rpartition('.')[2]}({said})", partial(_sklearn(path), **given)


def _models(*, classes: bool) -> Iterator[tuple[str, Callable[[], Model]]]:
    kind = "Classifier" if classes else "Regressor"
    fixed = {"random_state": (SEED,)}
    yield from _settings(f"dummy.Dummy{kind}", strategy=("prior" if classes else "mean",))
    yield from _settings(f"neighbors.KNeighbors{kind}", n_neighbors=(1, 15, 50))
    yield from _settings(f"tree.DecisionTree{kind}", max_depth=(2, 4, 8), **fixed)
    forests = {"n_estimators": (120,), "min_samples_leaf": (1, 5), **fixed}
    yield from _settings(f"ensemble.RandomForest{kind}", **forests)
    yield from _settings(f"ensemble.ExtraTrees{kind}", **forests)
    boosted = {"learning_rate": (0.05, 0.1), "max_iter": (60, 200), "max_leaf_nodes": (8,)}
    yield from _settings(f"ensemble.HistGradientBoosting{kind}", **boosted, **fixed)
    if classes:
        yield from _settings("naive_bayes.GaussianNB")
        yield from _settings("linear_model.LogisticRegression", C=(0.01, 0.3), max_iter=(2000,))
    else:
        yield from _settings("linear_model.Ridge", alpha=(1.0, 100.0))
        yield from _settings("svm.SVR", C=(1.0, 100.0))


def teams_of(definition: Definition, train: pd.DataFrame) -> Iterator[Team]:
    """The teams that enter a competition."""
    metric = METRICS[definition.file.metric.name]
    classes = metric.reads in ("labels", "scores", "probabilities")
    for features, share in product(features_of(definition.file, train), SHARES):
        for name, model in _models(classes=classes):
            if features.suits(name):
                told = f"{name} on {features.name}" + (f", {share:.0%} of rows" * (share < 1))
                yield Team(told, model, features, share)


def handed_in(
    team: Team, definition: Definition, train: pd.DataFrame, test: pd.DataFrame
) -> pd.DataFrame:
    """What a team predicts, in the form asked for."""
    form = definition.file.form
    fitted = train.sample(frac=team.share, random_state=SEED).sort_index()
    target = form.truth[0] if form.truth else form.targets[0]
    pipeline = import_module("sklearn.pipeline").make_pipeline(team.features.make(), team.model())
    pipeline.fit(fitted, fitted[target])
    submission = test[list(form.ids)].copy()
    reads = METRICS[definition.file.metric.name].reads
    if form.one_hot:
        told = pd.DataFrame(pipeline.predict_proba(test), columns=pipeline.classes_)
        return pd.concat([submission, told.reindex(columns=form.targets, fill_value=0.0)], axis=1)
    if reads in ("scores", "probabilities"):
        submission[target] = pipeline.predict_proba(test)[:, 1]
    else:
        submission[target] = pipeline.predict(test)
        if form.low is not None:
            submission[target] = submission[target].clip(lower=form.low)
    return submission


def leaderboard_of(definition: Definition, root: Path) -> list[Entry]:
    """Let every team hand in, and score it; the best first.

    Args:
        definition: The competition.
        root: Where its files lie.
    """
    file = definition.file
    competition = competition_of(file, (0.0,))  # no medal is asked for
    train, test = (pd.read_csv(root / PUBLIC / f"{part}.csv") for part in ("train", "test"))
    entries: list[Entry] = []
    for team in teams_of(definition, train):
        score = _scored(competition, handed_in(team, definition, train, test), root)
        entries.append(Entry(score, team.name))
        print(f"{file.id}: {score:g}: {team.name}", flush=True)  # noqa: T201 - a script
    return sorted(entries, key=lambda e: e.score * (1 if file.lower_is_better else -1))


def _scored(competition: Competition, submission: pd.DataFrame, root: Path) -> float:
    path = root / "submission.csv"
    submission.to_csv(path, index=False)
    return rounded(strict_score(competition, path, root / PRIVATE / ANSWERS))


def write(place: Path) -> None:
    """Write a competition's leaderboard and checksums, and prove that it can be graded."""
    definition = read_definition(place, ranked=False)
    files = made_files(definition)
    with TemporaryDirectory() as root:
        for name, data in files.items():
            path = Path(root, name)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        entries = leaderboard_of(definition, Path(root))
    (place / LEADERBOARD).write_text(written(entries), "utf-8")
    (place / CHECKSUMS).write_text(json.dumps(sums(files), indent=2) + "\n", "utf-8")
    check_provable(read_definition(place), files)


def written(entries: Sequence[Entry]) -> str:
    """A leaderboard as its file holds it."""
    held = io.StringIO()
    csv.writer(held, lineterminator="\n").writerows([Entry._fields, *entries])
    return held.getvalue()


def main() -> None:
    """Write those that are named, or all."""
    warnings.simplefilter("ignore")  # models that did not converge are teams, too
    for name in sys.argv[1:] or sorted(path.parent.name for path in OFFLINE.glob("*/*.toml")):
        write(OFFLINE / name)


if __name__ == "__main__":
    main()
