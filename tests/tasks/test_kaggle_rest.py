"""Kaggle's competitions beyond MLE-bench's Lite split, prepared from small raw files."""

import filecmp
import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pytest
from tests.tasks.kaggle_rest_raw import CASES, SECRET, Case, Folder

from proctor.evaluator.competitions import measure
from proctor.evaluator.metrics import METRICS
from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.definition import FILE, Definition, read_definition
from proctor.tasks.competitions.library import Competitions
from proctor.tasks.competitions.prepared import ANSWERS, PRIVATE, PUBLIC, REFERENCE, manifest_of
from proctor.tasks.competitions.preparing.prepare import prepare

KAGGLE = Path(import_module("proctor.tasks.competitions").__file__ or "").parent / "kaggle"
SPLIT: Any = import_module("sklearn.model_selection").train_test_split
ALL = sorted(path.parent.name for path in KAGGLE.glob(f"*/{FILE}"))
EACH = pytest.mark.parametrize("name", CASES)
COMPATS = ("strict", "upstream")
TRAIN_TABLES = (
    "train.csv",
    "train.tsv",
    "train.json",
    "train_labels.csv",
    "train_meta.parquet",
    "transactions_train.csv",
)
IDS_RETURN = ("h-and-m-personalized-fashion-recommendations", "ventilator-pressure-prediction")
"""Customers buy again, and rows are numbered anew."""


class Made(NamedTuple):
    """A competition, prepared."""

    definition: Definition
    raw: Path
    table: pd.DataFrame
    """What its builder wrote, as pandas would have it."""
    public: Path
    private: Path
    sample: Path

    @property
    def answers(self) -> pd.DataFrame:
        return pd.read_csv(self.private / ANSWERS, dtype=str, keep_default_na=False)

    def score(self, submission: Path, compat: Any) -> float | None:
        found = measure(self.definition.competition, submission, self.private / ANSWERS, compat)
        return found.score


class Kitchen:
    """Prepares each competition once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: dict[str, Made] = {}

    def __getitem__(self, name: str) -> Made:
        if name not in self._made:
            raw = self._root / "raw" / name
            table = CASES[name].build(Folder(raw))
            definition = read_definition(KAGGLE / name)
            place = prepare(definition, self._root / "data", raw=raw)
            self._made[name] = Made(
                definition,
                raw,
                table,
                place / PUBLIC,
                place / PRIVATE,
                place / PUBLIC / manifest_of(place).sample,
            )
        return self._made[name]


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Kitchen:
    return Kitchen(tmp_path_factory.mktemp("kaggle"))


def parts(case: Case, table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The training's rows and the test's, as pandas and scikit-learn give them."""
    if not case.group:
        sizes = {"test_size": case.test, "train_size": case.train}
        train, test = SPLIT(table, **sizes, random_state=case.seed)
        return train, test
    if case.drawn:
        tables = [rows for _, rows in table.groupby(case.group)]
        drawn: list[list[pd.DataFrame]] = SPLIT(tables, test_size=case.test, random_state=case.seed)
        return pd.concat(drawn[0]), pd.concat(drawn[1])
    groups = list(table[case.group].unique())
    train, test = SPLIT(groups, test_size=case.test, random_state=case.seed)
    return table[table[case.group].isin(train)], table[table[case.group].isin(test)]


def tables(folder: Path) -> Iterator[tuple[str, pl.DataFrame]]:
    """The tables right in a folder, by name."""
    for path in sorted(folder.iterdir()):
        if path.suffix in (".csv", ".tsv"):
            separator = "," if path.suffix == ".csv" else "\t"
            yield path.name, pl.read_csv(path, separator=separator, infer_schema=False)
        elif path.suffix == ".parquet":
            yield path.name, pl.read_parquet(path)
        elif path.suffix == ".json":
            yield path.name, pl.DataFrame(json.loads(path.read_text("utf-8")), strict=False)


def cells(table: pd.DataFrame | pl.DataFrame, column: str) -> list[str]:
    return [str(each) for each in table[column].to_list()]


def own_train(made: Made) -> pl.DataFrame:
    """The table with the training's rows."""
    name = next(each for each in TRAIN_TABLES if (made.public / each).exists())
    return dict(tables(made.public))[name]


SPLIT_BY_ROWS = [
    name
    for name in CASES
    if name
    not in (
        "google-quest-challenge",
        "h-and-m-personalized-fashion-recommendations",
        "rsna-breast-cancer-detection",
        "ventilator-pressure-prediction",
    )
]


@pytest.mark.parametrize("name", SPLIT_BY_ROWS)
def test_the_test_has_the_rows_that_scikit_learn_draws(name: str, kitchen: Kitchen) -> None:
    made, case = kitchen[name], CASES[name]
    train, test = parts(case, made.table)
    assert cells(made.answers, case.answers_ids or case.ids) == cells(test, case.ids)
    assert cells(own_train(made), case.ids) == cells(train, case.ids)


@EACH
def test_no_row_and_no_group_is_in_both_parts(name: str, kitchen: Kitchen) -> None:
    made, case = kitchen[name], CASES[name]
    train, test = own_train(made), set(cells(made.answers, made.answers.columns[0]))
    if name not in IDS_RETURN:
        assert not test & set(cells(train, case.ids))
    for each, table in tables(made.public) if case.group else ():
        if each.startswith("test") and case.group in table.columns:
            assert table.height
            assert not set(cells(table, case.group)) & set(cells(train, case.group))


@EACH
def test_no_table_of_the_test_has_what_is_to_be_predicted(name: str, kitchen: Kitchen) -> None:
    made, secret = kitchen[name], set(CASES[name].secret.split())
    for each, table in tables(made.public):
        if each.startswith("test"):
            assert table.height
            assert table.columns
            assert not secret & set(table.columns)
    with_secret = [p for p in made.public.rglob("*") if p.is_file() and SECRET in p.read_bytes()]
    assert all(path.relative_to(made.public).parts[0] == "train" for path in with_secret)


@EACH
@pytest.mark.parametrize("compat", COMPATS)
def test_the_answers_are_a_perfect_submission(name: str, compat: str, kitchen: Kitchen) -> None:
    made = kitchen[name]
    best, upstream = CASES[name].best, CASES[name].best_upstream
    expected = best if compat == "strict" or upstream is None else upstream
    assert made.score(made.private / REFERENCE, compat) == expected


@EACH
@pytest.mark.parametrize("compat", COMPATS)
def test_the_sample_can_be_scored_and_tells_nothing(
    name: str, compat: str, kitchen: Kitchen
) -> None:
    made = kitchen[name]
    found = made.score(made.sample, compat)
    if CASES[name].mute:
        assert found is None or (compat == "upstream" and np.isnan(found))
        assert (found is None) == (compat == "strict")
    else:
        assert found is not None
        lower = made.definition.file.lower_is_better
        assert found > CASES[name].best if lower else found < CASES[name].best


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.moved[1]])
def test_files_lie_with_the_part_whose_row_names_them(name: str, kitchen: Kitchen) -> None:
    made, case = kitchen[name], CASES[name]
    train, test = parts(case, made.table)
    wanted: set[Path] = set()
    for rows, pattern in ((train, case.moved[1]), (test, case.moved[2])):
        for row in rows.to_dict("records"):
            place = made.public / pattern.format(i=row[case.ids], r=row)
            assert place.is_file(), place
            wanted.add(place)
            if case.moved[0]:
                raw = made.raw / case.moved[0].format(i=row[case.ids], r=row)
                assert filecmp.cmp(place, raw, shallow=False)
    kind = Path(case.moved[1]).suffix
    folders = {Path(each).parts[0] for each in case.moved[1:]}
    there = {path for each in folders for path in (made.public / each).rglob(f"*{kind}")}
    there = {path for path in there if path.is_file()}
    siblings = {"rsna-miccai-brain-tumor-radiogenomic-classification": 2}
    siblings["nfl-player-contact-detection"] = 3
    assert len(there) == len(wanted) * siblings.get(name, 1)


@EACH
def test_a_description_names_every_file_and_every_column_asked_for(
    name: str, kitchen: Kitchen
) -> None:
    made = kitchen[name]
    said = made.definition.description
    for path in made.public.iterdir():
        assert path.name == "description.md" or path.name in said, path.name
    form = made.definition.file.form
    assert all(f"`{each}`" in said for each in form.ids)
    if len(form.targets) < 6:
        assert all(f"`{each}`" in said for each in form.targets)


# One by one


def test_molecules_of_the_test_keep_their_structures_and_nothing_else(kitchen: Kitchen) -> None:
    made = kitchen["champs-scalar-coupling"]
    found = dict(tables(made.public))
    train = set(cells(found["train.csv"], "molecule_name"))
    assert set(cells(found["dipole_moments.csv"], "molecule_name")) == train
    assert set(cells(found["scalar_coupling_contributions.csv"], "molecule_name")) == train
    everything = set(cells(made.table, "molecule_name"))
    assert set(cells(found["structures.csv"], "molecule_name")) == everything
    assert {path.stem for path in (made.public / "structures").iterdir()} == everything


def test_the_outlines_of_glomeruli_are_given_for_training_scans_alone(kitchen: Kitchen) -> None:
    made = kitchen["hubmap-kidney-segmentation"]
    test, train = set(made.answers["id"]), set(cells(own_train(made), "id"))
    assert {path.name for path in (made.public / "test").iterdir()} == {
        each + ending for each in test for ending in (".tiff", "-anatomical-structure.json")
    }
    assert all((made.public / "train" / f"{each}.json").exists() for each in train)
    sizes = made.answers.set_index("id")
    assert set(sizes["width"]) == {"10"}
    heights = {scan: str(22 - place) for place, scan in enumerate(made.table["id"])}
    assert sizes["height"].to_dict() == {each: heights[each] for each in test}


def test_a_column_that_is_the_same_throughout_gets_one_other_row(kitchen: Kitchen) -> None:
    name = "google-quest-challenge"
    made, rare = kitchen[name], "question_type_spelling"
    train, test = parts(CASES[name], made.table)
    assert set(test[rare]) == {0.0}
    other = int(np.argmax(train[rare].to_numpy() != 0))
    wanted = [train["qa_id"].iloc[other], *test["qa_id"].iloc[1:]]
    assert made.answers["qa_id"].astype(int).to_list() == wanted
    trained = cells(own_train(made), "qa_id")
    assert trained[other] == str(test["qa_id"].iloc[0])
    assert sorted([*trained, *made.answers["qa_id"]]) == sorted(cells(made.table, "qa_id"))
    rising = pd.read_csv(made.sample)[rare].to_numpy()
    np.testing.assert_allclose(rising, np.linspace(0, 1, len(test)))


def test_purchases_of_the_last_days_are_held_back(kitchen: Kitchen) -> None:
    made = kitchen["h-and-m-personalized-fashion-recommendations"]
    late = made.table["t_dat"] >= "2020-09-13"
    assert own_train(made).height == int((~late).sum())
    assert cells(own_train(made), "article_id") == cells(made.table[~late], "article_id")
    bought = made.table[late].groupby("customer_id")["article_id"].agg(set).to_dict()
    reference = pd.read_csv(made.private / REFERENCE, dtype=str).set_index("customer_id")
    assert {c: set(p.split()) for c, p in reference["prediction"].items()} == bought
    assert {path.suffix for path in (made.public / "images").rglob("*.*")} == {".jpg"}


def test_ids_of_articles_may_lack_their_zeros_and_upstream_must(
    kitchen: Kitchen, tmp_path: Path
) -> None:
    made = kitchen["h-and-m-personalized-fashion-recommendations"]
    reference = pd.read_csv(made.private / REFERENCE, dtype=str)
    for zeros, upstream in (("", 1.0), ("0", 0.0)):
        said = reference.copy()
        said["prediction"] = [
            " ".join(zeros + each.lstrip("0") for each in cell.split())
            for cell in said["prediction"]
        ]
        said.to_csv(tmp_path / "submission.csv", index=False)
        assert made.score(tmp_path / "submission.csv", "strict") == 1.0
        assert made.score(tmp_path / "submission.csv", "upstream") == upstream


def test_a_breast_is_asked_for_once_however_many_images_it_has(kitchen: Kitchen) -> None:
    name = "rsna-breast-cancer-detection"
    made = kitchen[name]
    train, test = parts(CASES[name], made.table)
    asked = (test["patient_id"].astype(str) + "_" + test["laterality"]).drop_duplicates()
    assert made.answers["prediction_id"].to_list() == asked.to_list()
    found = dict(tables(made.public))
    assert cells(found["train.csv"], "image_id") == cells(train, "image_id")
    assert cells(found["test.csv"], "image_id") == cells(test, "image_id")
    rate = pd.read_csv(made.sample)["cancer"].unique()
    np.testing.assert_allclose(rate, [train["cancer"].mean()])


def test_breaths_are_numbered_anew_in_each_part(kitchen: Kitchen) -> None:
    name = "ventilator-pressure-prediction"
    made = kitchen[name]
    train, test = parts(CASES[name], made.table)
    found = dict(tables(made.public))
    for each, rows in (("train.csv", train), ("test.csv", test)):
        assert cells(found[each], "id") == [str(n + 1) for n in range(len(rows))]
        assert cells(found[each], "u_in") == cells(rows, "u_in")
    assert made.answers["pressure"].astype(float).to_list() == test["pressure"].to_list()


@pytest.mark.parametrize("side", ["baseline_helmets", "player_tracking", "video_metadata"])
def test_side_tables_are_split_as_their_plays_are(side: str, kitchen: Kitchen) -> None:
    name = "nfl-player-contact-detection"
    made = kitchen[name]
    found = dict(tables(made.public))
    for part, rows in zip(("train", "test"), parts(CASES[name], made.table), strict=True):
        plays = set(cells(rows, "game_play"))
        assert set(cells(found[f"{part}_{side}.csv"], "game_play")) == plays
        assert found[f"{part}_{side}.csv"].height == 2 * len(plays)


def test_radar_images_keep_every_digit(kitchen: Kitchen) -> None:
    made = kitchen["statoil-iceberg-classifier-challenge"]
    by_id = {each["id"]: each for each in made.table.to_dict("records")}
    for part in ("train", "test"):
        for each in json.loads((made.public / f"{part}.json").read_text("utf-8")):
            assert each.get("is_iceberg", by_id[each["id"]]["is_iceberg"]) in (0, 1)
            assert {**by_id[each["id"]], **each} == by_id[each["id"]]


def test_the_image_that_mle_bench_leaves_out_is_nowhere(kitchen: Kitchen) -> None:
    made = kitchen["hotel-id-2021-fgvc8"]
    assert any(made.raw.rglob("ce27d36c9147cc19.jpg"))
    assert not any(made.public.rglob("ce27d36c9147cc19.jpg"))


def test_a_tweet_without_text_is_right_if_left_empty_and_breaks_upstream(
    kitchen: Kitchen, tmp_path: Path
) -> None:
    made = kitchen["tweet-sentiment-extraction"]
    competition = made.definition.competition
    (tmp_path / "answers.csv").write_text("textID,selected_text\na,so\nb,\n")
    (tmp_path / "submission.csv").write_text("textID,selected_text\na,so\nb,\n")
    files = tmp_path / "submission.csv", tmp_path / "answers.csv"
    assert measure(competition, *files).score == 1.0
    assert measure(competition, *files, "upstream").score is None


# All of them


@pytest.mark.parametrize("name", ALL)
def test_a_declaration_holds_together(name: str) -> None:
    file = read_definition(KAGGLE / name).file
    metric = METRICS[file.metric.name]
    assert metric.higher_is_better != file.lower_is_better
    assert set(metric.needs) == set(file.metric.columns)
    assert metric.several == (len(file.form.targets) > 1) or metric.name == "log_loss"
    assert file.medals
    steps = [file.medals.gold, file.medals.silver, file.medals.bronze, file.medals.median]
    assert steps == sorted(steps, reverse=not file.lower_is_better)
    assert set(file.splits) <= {"low", "medium", "high", "lite", "all", "dev", "systemcard"}
    assert ("all" in file.splits) != ("dev" in file.splits)
    if "all" in file.splits:
        assert file.category in file.splits


def test_every_competition_with_a_recipe_is_tried_on_raw_files() -> None:
    beyond = [name for name in ALL if "lite" not in read_definition(KAGGLE / name).splits]
    supported = [name for name in beyond if not read_definition(KAGGLE / name).file.unsupported]
    assert supported == sorted(CASES)
    assert len(beyond) == 60


UNSUPPORTED = [name for name in ALL if read_definition(KAGGLE / name).file.unsupported]


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_is_not_supported_says_so_and_why(name: str, tmp_path: Path) -> None:
    library = Competitions(tmp_path, [KAGGLE])
    definition = library.definition(name)
    assert definition.file.summary
    assert definition.competition.medals.teams
    for ask in (library.prepare, library.task):
        with pytest.raises(TaskError, match="not supported yet") as caught:
            ask(name)
        assert definition.file.unsupported in str(caught.value)
    assert not library.is_prepared(name)
    assert not list(tmp_path.iterdir())
