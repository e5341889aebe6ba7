"""The teams on the leaderboards: usual models with usual settings, each really fitted and scored.

``python -m proctor.tasks.competitions.offline.baselines [ID]...`` prepares each competition, lets
every team fit the training rows and predict the test's, scores what they hand in as any other
submission, and writes ``leaderboard.csv`` and ``checksums.json`` beside its ``competition.toml``.

A team is a model, what it looks at, and how many of the training rows it takes the time for: some
fit a tenth of them, or numbers alone, as teams do. Nobody tunes on the test rows.
"""

import sys
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from proctor.evaluator.competitions import strict_score
from proctor.evaluator.medals import rounded
from proctor.evaluator.metrics import METRICS
from proctor.evaluator.metrics.base import Array
from proctor.schemas.competition import Competition
from proctor.tasks.competitions.definition import (
    LEADERBOARD,
    CompetitionFile,
    Definition,
    competition_of,
    read_definition,
)
from proctor.tasks.competitions.leaderboards import Entry, in_order, written
from proctor.tasks.competitions.library import OFFLINE
from proctor.tasks.competitions.offline import days, pictures, texts
from proctor.tasks.competitions.offline.features import features_of
from proctor.tasks.competitions.offline.teams import SEED, Models, Team, crossed, settings
from proctor.tasks.competitions.prepared import ANSWERS, PRIVATE, PUBLIC
from proctor.tasks.competitions.preparing.making import made_files, write_files
from proctor.tasks.competitions.preparing.proof import check_provable, write_sums
from proctor.tasks.competitions.sources.images import SUFFIX


def _models(*, classes: bool) -> Models:
    kind = "Classifier" if classes else "Regressor"
    fixed = {"random_state": (SEED,)}
    yield from settings(f"dummy.Dummy{kind}", strategy=("prior" if classes else "mean",))
    yield from settings(f"neighbors.KNeighbors{kind}", n_neighbors=(1, 15, 50))
    yield from settings(f"tree.DecisionTree{kind}", max_depth=(2, 4, 8), **fixed)
    forests = {"n_estimators": (120,), "min_samples_leaf": (1, 5), **fixed}
    yield from settings(f"ensemble.RandomForest{kind}", **forests)
    yield from settings(f"ensemble.ExtraTrees{kind}", **forests)
    boosted = {"learning_rate": (0.05, 0.1), "max_iter": (60, 200), "max_leaf_nodes": (8,)}
    yield from settings(f"ensemble.HistGradientBoosting{kind}", **boosted, **fixed)
    if classes:
        yield from settings("naive_bayes.GaussianNB")
        yield from settings("linear_model.LogisticRegression", C=(0.01, 0.3), max_iter=(2000,))
    else:
        yield from settings("linear_model.Ridge", alpha=(1.0, 100.0))
        yield from settings("svm.SVR", C=(1.0, 100.0))


def teams_of(definition: Definition, train: pd.DataFrame) -> Iterator[Team]:
    """The teams that enter a competition."""
    file = definition.file
    source = file.origin.source
    if source.kind == "text":
        return texts.teams(str(source.settings["text"]))
    if source.kind == "images":
        return pictures.teams()
    if source.kind == "series":
        return days.teams(file, train)
    classes = METRICS[file.metric.name].reads in ("labels", "scores", "probabilities")
    return crossed(features_of(file, train), _models(classes=classes))


def handed_in(
    team: Team, definition: Definition, train: pd.DataFrame, test: pd.DataFrame
) -> pd.DataFrame:
    """What a team predicts, in the form asked for."""
    form = definition.file.form
    fitted = _fitted(team, definition, train)
    target = form.true_columns[0]
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
        if reads in ("labels", "grades") and submission[target].dtype.kind == "f":
            submission[target] = _nearest(submission[target], train[target])
        if form.low is not None:
            submission[target] = submission[target].clip(lower=form.low)
    return submission


def _fitted(team: Team, definition: Definition, train: pd.DataFrame) -> pd.DataFrame:
    """The rows that a team fits: any, or the latest where the test's come later still."""
    if definition.file.origin.split.by == "time":
        taken = train.tail(round(team.share * len(train)))
    else:
        taken = train.sample(frac=team.share, random_state=SEED).sort_index()
    return team.enlarged(taken) if team.enlarged else taken


def _nearest(predicted: pd.Series, known: pd.Series) -> Array:
    """The labels that stand for numbers between them."""
    labels: Array = np.unique(known)
    found: Array = labels[np.abs(predicted.to_numpy()[:, None] - labels).argmin(axis=1)]
    return found


def leaderboard_of(definition: Definition, root: Path) -> list[Entry]:
    """Let every team hand in, and score it; the best first.

    Args:
        definition: The competition.
        root: Where its files lie.
    """
    file = definition.file
    competition = competition_of(file, (0.0,))  # no medal is asked for
    train, test = (rows_of(file, root / PUBLIC, part) for part in ("train", "test"))
    entries, submission = list[Entry](), root / "submission.csv"
    for team in teams_of(definition, train):
        handed_in(team, definition, train, test).to_csv(submission, index=False)
        score = scored(competition, submission, root / PRIVATE / ANSWERS)
        entries.append(Entry(score, team.name))
        print(f"{file.id}: {score:g}: {team.name}", flush=True)  # noqa: T201 - a script
    return in_order(entries, lower_is_better=file.lower_is_better)


def rows_of(file: CompetitionFile, public: Path, part: str) -> pd.DataFrame:
    """The rows of `train` or `test`, and where their images lie."""
    rows = pd.read_csv(public / f"{part}.csv")
    if file.origin.source.kind != "images":
        return rows
    paths = [str(public / part / f"{each}{SUFFIX}") for each in rows[file.form.ids[0]]]
    return rows.assign(**{pictures.IMAGE: paths})


def scored(competition: Competition, submission: Path, answers: Path) -> float:
    """What a hand-in scores, with the digits that leaderboards have."""
    return rounded(strict_score(competition, submission, answers))


def write(place: Path) -> None:
    """Write a competition's leaderboard and checksums, and prove that it can be graded."""
    definition = read_definition(place, ranked=False)
    files = made_files(definition)
    with TemporaryDirectory() as root:
        write_files(Path(root), files)
        entries = leaderboard_of(definition, Path(root))
    (place / LEADERBOARD).write_text(written(entries), "utf-8")
    write_sums(place, files)
    check_provable(read_definition(place), files)


def main() -> None:
    """Write those that are named, or all."""
    warnings.simplefilter("ignore")  # models that did not converge are teams, too
    for name in sys.argv[1:] or sorted(path.parent.name for path in OFFLINE.glob("*/*.toml")):
        write(OFFLINE / name)


if __name__ == "__main__":
    main()
