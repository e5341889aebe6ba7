"""Teams that look at images: pixels, their main components, and which way edges run."""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from proctor.evaluator.metrics.base import Array
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
from proctor.tasks.competitions.sources.images import WHITE, decoded

IMAGE = "image"
"""The column of rows that says where their images lie."""
SHIFT, SHIFTS = "shift", ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0))
"""The column of rows that says how far their images are shifted, in pixels down and right."""
CELL, DIRECTIONS = 4, 8
"""Edges are counted in squares of so many pixels, by so many directions."""
COMPONENTS = 50


def teams() -> Iterator[Team]:
    """Those that look at the images of rows."""
    raw = Features("pixels", lambda: _of(_pixels), ("Dummy", "KNeigh", "Random", "SVC"))
    middle = Features("the middle's pixels, negatives turned", lambda: _of(_middle))
    main = Features(f"{COMPONENTS} components of the middle", _components, ("KNeigh", "SVC", "Gau"))
    edges = Features("edges", lambda: _of(_edges), ("KNeigh", "Logistic", "SVC", "Extra", "Gauss"))
    both = Features("edges and components", lambda: _both(edges, main), ("SVC",))
    yield from crossed((raw, edges), _models())
    yield from crossed((middle, main, both), _models(), shares=(1.0,))
    patient = (replace(main, only=("KNeigh", "SVC")), both)
    for team in crossed(patient, _models(), shares=(1.0,)):
        yield team._replace(name=f"{team.name}, with shifted copies", enlarged=_with_shifts)


def _models() -> Models:
    fixed = {"random_state": (SEED,)}
    yield from settings("dummy.DummyClassifier", strategy=("prior",))
    yield from settings("neighbors.KNeighborsClassifier", n_neighbors=(1, 10))
    yield from settings("naive_bayes.GaussianNB")
    yield from settings("linear_model.LogisticRegression", C=(0.001,), max_iter=(300,))
    forests = {"n_estimators": (200,), **fixed}
    yield from settings("ensemble.RandomForestClassifier", **forests)
    yield from settings("ensemble.ExtraTreesClassifier", **forests)
    yield from settings("svm.SVC", C=(1.0, 10.0))


def _of(look: object) -> Model:
    return PIPELINE.make_pipeline(
        PREPROCESSING.FunctionTransformer(look), PREPROCESSING.StandardScaler()
    )


def _both(one: Features, other: Features) -> Model:
    return PIPELINE.make_union(one.make(), other.make())


def _components() -> Model:
    reduced = sklearn("decomposition.PCA")
    return PIPELINE.make_pipeline(_of(_middle), reduced(COMPONENTS, random_state=SEED))


def _pixels(rows: pd.DataFrame) -> Array:
    images = _images(rows)
    return images.reshape(len(images), -1)


def _middle(rows: pd.DataFrame) -> Array:
    """The middle half and a little more, with the border dark and contrast equal."""
    images: Any = _images(rows)
    edge = images.shape[1] // 5
    found = images[:, edge:-edge, edge:-edge]
    found = found - found.mean(axis=(1, 2), keepdims=True)
    found = found / (found.std(axis=(1, 2), keepdims=True) + 1e-6)
    border = np.concatenate([found[:, [0, -1], :].mean((1, 2)), found[:, :, [0, -1]].mean((1, 2))])
    dark = border.reshape(2, -1).mean(axis=0) < 0
    found = found * np.where(dark, 1, -1)[:, None, None]
    return np.asarray(found.reshape(len(found), -1))


def _edges(rows: pd.DataFrame) -> Array:
    """How much edges run in each direction, square by square; alike for an image's negative.

    Source: N. Dalal, B. Triggs, "Histograms of oriented gradients for human detection", CVPR 2005.
    """
    images = _images(rows)
    down, right = np.gradient(images, axis=(1, 2))
    strength = np.hypot(down, right)
    turn = np.floor(np.arctan2(down, right) / np.pi * DIRECTIONS).astype(int) % DIRECTIONS
    side = images.shape[1] // CELL
    squares = [
        (strength * (turn == each))[:, : side * CELL, : side * CELL]
        .reshape(len(images), side, CELL, side, CELL)
        .sum(axis=(2, 4))
        for each in range(DIRECTIONS)
    ]
    found = np.stack(squares, axis=-1).reshape(len(images), -1)
    shares: Array = np.sqrt(found / (found.sum(axis=1, keepdims=True) + 1e-6))
    return shares


def _with_shifts(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows, and each four times more, with its image shifted by a pixel."""
    return pd.concat(
        [rows.assign(**{SHIFT: number}) for number in range(len(SHIFTS))], ignore_index=True
    )


def _images(rows: pd.DataFrame) -> Array:
    """Brightness from 0 to 1, of shape (n_rows, height, width)."""
    images = _read(tuple(rows[IMAGE]))
    if SHIFT not in rows:
        return images
    chosen = rows[SHIFT].to_numpy()
    shifted = [np.roll(images[chosen == n], SHIFTS[n], (1, 2)) for n in range(len(SHIFTS))]
    return np.concatenate(shifted)[np.argsort(np.argsort(chosen, kind="stable"), kind="stable")]


@lru_cache(maxsize=4)
def _read(paths: tuple[str, ...]) -> Array:
    return np.stack([decoded(Path(each).read_bytes()) for each in paths]) / WHITE
