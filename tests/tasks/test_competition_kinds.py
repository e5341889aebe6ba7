"""Competitions of texts, images and series: what they give away, and what their teams reached."""

import io
import re
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from PIL import Image

from proctor.sandbox_backends.base import Backend
from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.definition import (
    FILE,
    Source,
    competition_of,
    read_definition,
    read_leaderboard,
)
from proctor.tasks.competitions.library import OFFLINE, Competitions
from proctor.tasks.competitions.offline.baselines import handed_in, rows_of, scored, teams_of
from proctor.tasks.competitions.prepare import made_files, sums
from proctor.tasks.competitions.sources import made
from proctor.tasks.competitions.sources.images import decoded

NAMES = sorted(path.parent.name for path in OFFLINE.glob(f"*/{FILE}"))
TEXT, IMAGES, SERIES = "guest-reviews", "meter-digits", "bakery-sales"
SIDE = 28


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Competitions:
    """Prepared once for all tests that only read."""
    return Competitions(tmp_path_factory.mktemp("data"))


def parts(library: Competitions, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    file, public = library.definition(name).file, library.prepare(name) / "public"
    return rows_of(file, public, "train"), rows_of(file, public, "test")


@pytest.mark.parametrize("name", NAMES)
def test_neither_public_files_nor_prompt_tell_a_seed(library: Competitions, name: str) -> None:
    file, public = library.definition(name).file, library.prepare(name) / "public"
    told = library.task(name).instructions
    told += "".join(path.read_text("utf-8") for path in public.glob("*.*"))
    for seed in (file.origin.source.seed, file.origin.split.seed, file.origin.split.seed + 1):
        assert str(seed) not in told
    assert not re.search(r"\bseed\b|competition\.toml", told)


@pytest.mark.parametrize(
    ("name", "team"),
    [
        ("pump-faults", "GaussianNB() on all columns"),
        (TEXT, "Ridge(alpha=1.0) on words, 10% of rows"),
        (IMAGES, "KNeighborsClassifier(n_neighbors=1) on the middle's pixels, negatives turned"),
        (SERIES, "KNeighborsRegressor(n_neighbors=4) on the same weekday, latest first"),
        (SERIES, "log Ridge(alpha=1.0) on plan, dates and lags"),
    ],
)
def test_a_team_reaches_again_what_the_leaderboard_says(
    library: Competitions, tmp_path: Path, name: str, team: str
) -> None:
    definition, place = library.definition(name), library.prepare(name)
    train, test = parts(library, name)
    (entered,) = (each for each in teams_of(definition, train) if each.name == team)
    submission = tmp_path / "submission.csv"
    handed_in(entered, definition, train, test).to_csv(submission, index=False)
    said = pl.read_csv(definition.place / "leaderboard.csv")
    competition = competition_of(definition.file, definition.leaderboard)
    found = scored(competition, submission, place / "private" / "answers.csv")
    assert found == pytest.approx(said.filter(pl.col("by") == team)["score"].item(), abs=2e-3)


@pytest.mark.parametrize(("name", "perfect"), [(TEXT, 1.0), (IMAGES, 1.0), (SERIES, 0.0)])
def test_teams_lie_apart_and_far_from_perfect(name: str, perfect: float) -> None:
    definition = read_definition(OFFLINE / name)
    path = definition.place / "leaderboard.csv"
    scores = read_leaderboard(path, lower_is_better=definition.file.lower_is_better)
    assert 25 <= len(scores) <= 50
    assert abs(scores[0] - perfect) > 0.15
    assert len(set(scores)) > 0.8 * len(scores)


def test_each_row_of_images_has_a_file_and_there_are_no_others(library: Competitions) -> None:
    public = library.prepare(IMAGES) / "public"
    for part in ("train", "test"):
        ids = pl.read_csv(public / f"{part}.csv")["image_id"].to_list()
        assert {path.name for path in (public / part).iterdir()} == {f"{n}.png" for n in ids}
        assert decoded((public / part / f"{ids[0]}.png").read_bytes()).shape == (SIDE, SIDE)
    assert pl.read_csv(public / "test.csv").columns == ["image_id"]


def test_a_prompt_tells_where_images_lie_without_naming_each(library: Competitions) -> None:
    told = library.task(IMAGES).instructions
    assert re.search(r"`/data/train/`, with 2400 files such as `\d+\.png`", told)
    assert len(re.findall(r"\d\.png", told)) < 10


def cropped(images: Any, height: float, turn: float, x: int, y: int) -> Any:
    """What lies about the middle, eight by eight, as the collection's images are."""
    steps = (np.arange(8) - 3.5) * height / 8
    down, right = np.meshgrid(steps, steps, indexing="ij")
    at: Any = np.stack(
        [
            SIDE / 2 + y + np.cos(turn) * down - np.sin(turn) * right,
            SIDE / 2 + x + np.sin(turn) * down + np.cos(turn) * right,
        ]
    )
    rows, columns = at.round().astype(int)
    return images[:, rows.clip(0, SIDE - 1), columns.clip(0, SIDE - 1)].reshape(len(images), -1)


def standardized(rows: Any) -> Any:
    rows = rows - rows.mean(axis=1, keepdims=True)
    return rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9)


def test_to_look_images_up_in_the_public_collection_stays_well_below_gold(
    library: Competitions,
) -> None:
    """The nearest of all its images, negatives too, tried at many places, sizes and angles."""
    digits = import_module("sklearn.datasets").load_digits()
    public = library.prepare(IMAGES) / "public"
    answers = pl.read_csv(library.prepare(IMAGES) / "private" / "answers.csv").head(200)
    files = [public / "test" / f"{each}.png" for each in answers["image_id"]]
    images = np.stack([decoded(path.read_bytes()) for path in files]).astype(np.float32)
    steps = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    images = np.mean([np.roll(images, each, (1, 2)) for each in steps], axis=0)
    known = standardized(digits.data.astype(np.float32))
    best, found = np.zeros(len(images)), np.zeros(len(images), int)
    tried = product((17, 20, 23), (-0.2, 0, 0.2), (-2, -1, 0, 1, 2), (-2, -1, 0, 1, 2))
    for height, turn, x, y in tried:
        alike = np.abs(standardized(cropped(images, height, turn, x, y)) @ known.T)
        better = alike.max(axis=1) > best
        found[better] = digits.target[alike.argmax(axis=1)[better]]
        best = np.maximum(best, alike.max(axis=1))
    accuracy = (found == answers["digit"].to_numpy()).mean()
    assert 0.2 < accuracy < library.definition(IMAGES).competition.medals.gold - 0.05


def test_sums_of_images_are_of_what_they_show_not_of_how_they_are_packed() -> None:
    files = made_files(read_definition(OFFLINE / IMAGES))
    name = next(each for each in sorted(files) if each.endswith(".png"))
    pixels, before, held = decoded(files[name]).copy(), sums(files), io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG", compress_level=0)
    assert held.getvalue() != files[name]
    assert sums({**files, name: held.getvalue()}) == before
    assert len(before) < 10
    pixels[0, 0] ^= 1
    other = io.BytesIO()
    Image.fromarray(pixels).save(other, "PNG")
    assert sums({**files, name: other.getvalue()}) != before


def test_an_image_that_was_damaged_is_mended(tmp_path: Path) -> None:
    library = Competitions(tmp_path)
    image = next((library.prepare(IMAGES) / "public" / "test").iterdir())
    before = image.read_bytes()
    image.write_bytes(before[:-1])
    assert not library.is_prepared(IMAGES)
    library.prepare(IMAGES)
    assert image.read_bytes() == before
    assert image.parent.stat().st_mode & 0o777 == 0o755


def test_days_to_forecast_come_after_all_others_and_show_only_what_is_planned(
    library: Competitions,
) -> None:
    train, test = parts(library, SERIES)
    assert train["date"].max() < test["date"].min()
    assert test["date"].nunique() == 56
    assert (test.groupby(["shop", "product"]).size() == 56).all()
    assert set(test.columns) == {
        "row_id", "date", "shop", "product", "price", "promotion", "holiday",
    }  # fmt: skip


def test_teams_that_forecast_look_at_no_day_after_the_forecast_begins(
    library: Competitions,
) -> None:
    train, test = parts(library, SERIES)
    definition = library.definition(SERIES)
    (lags,) = {
        each.features.name: each.features
        for each in teams_of(definition, train)
        if "lags" in each.features.name
    }.values()
    seen = lags.make().fit(train).transform(test)
    changed = train.assign(sold=train["sold"].where(train["date"] < train["date"].max(), 10**6))
    (again,) = {
        each.features.name: each.features
        for each in teams_of(definition, changed)
        if "lags" in each.features.name
    }.values()
    moved = (again.make().fit(changed).transform(test) != seen).any(axis=1)
    assert moved.any()  # the last training day is known to the test's rows …
    last = train["date"] > train["date"].unique()[-56]
    known, other = (each.make().fit(train).transform(train)[last][:, 7:] for each in (lags, again))
    assert np.array_equal(known, other)  # … and to no training row of the weeks before


def test_grades_of_reviews_have_the_shares_that_were_asked_for(library: Competitions) -> None:
    settings = library.definition(TEXT).file.origin.source.settings
    rows = made(library.definition(TEXT).file.origin.source, library.definition(TEXT).place).table
    shares = rows["stars"].value_counts().sort("stars")["count"].to_numpy() / rows.height
    assert shares == pytest.approx(settings["shares"], abs=0.002)


def test_no_review_stands_in_both_parts(library: Competitions) -> None:
    train, test = parts(library, TEXT)
    assert not set(train["review"]) & set(test["review"])


@pytest.mark.parametrize(
    ("name", "key", "value", "problem"),
    [
        (TEXT, "shares", [0.5, 0.6], "source.settings: Value error, the shares"),
        (IMAGES, "side", 4, "source.settings.side"),
        (SERIES, "days", 0, "source.settings.days"),
    ],
)
def test_wrong_settings_are_refused_by_their_key(
    name: str, key: str, value: object, problem: str
) -> None:
    definition = read_definition(OFFLINE / name)
    source = definition.file.origin.source
    wrong = Source(kind=source.kind, seed=1, settings={**source.settings, key: value})
    with pytest.raises(TaskError, match=re.escape(problem)):
        made(wrong, definition.place)


LOOK = """
import importlib.util, os
from PIL import Image
for part in ("train", "test"):
    print(part, len(os.listdir(f"/data/{part}")))
name = sorted(os.listdir("/data/train"))[0]
print(Image.open(f"/data/train/{name}").size)
spec = importlib.util.find_spec("proctor")
print("ours", [os.listdir(each) for each in spec.submodule_search_locations] if spec else [])
print("read-only", bool(os.statvfs("/data/train").f_flag & os.ST_RDONLY))
open("/data/train/new.png", "wb")
"""


async def test_a_sandbox_reads_images_and_cannot_change_them_nor_find_what_drew_them(
    library: Competitions, isolating: Backend
) -> None:
    async with isolating(library.task(IMAGES).sandbox) as sandbox:
        result = await sandbox.exec([sandbox.info.python, "-c", LOOK], timeout_s=60)
    said = result.stdout.text().splitlines()
    assert said[:3] == ["train 2400", "test 1600", f"({SIDE}, {SIDE})"]
    assert said[3] in ("ours []", "ours [[]]")
    assert said[4] == "read-only True"
    assert "Read-only file system" in result.stderr.text()
