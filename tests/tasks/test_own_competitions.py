"""Competitions made of somebody's own table."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from proctor.evaluator.competitions import measure
from proctor.sandbox_backends.base import Backend
from proctor.schemas.errors import TaskError
from proctor.tasks.catalog import Catalog
from proctor.tasks.check import check_task
from proctor.tasks.competitions.authoring import new
from proctor.tasks.competitions.authoring.request import Request
from proctor.tasks.competitions.authoring.teams import told_of_leaderboard
from proctor.tasks.competitions.definition import Definition
from proctor.tasks.competitions.leaderboards import Entry, read_entries
from proctor.tasks.competitions.library import Competitions
from proctor.tasks.competitions.preparing.making import made_files

N = 200
GOOD, BAD = [Entry(0.9, "a"), Entry(0.8, "b"), Entry(0.7, ""), Entry(0.6, "")], [Entry(0.5, "")]
ERRORS = [Entry(float(each), "") for each in (1, 2, 3, 4, 5)]
"""A leaderboard where lower is better."""


def rows() -> pl.DataFrame:
    """Customers: numbers with gaps, categories, dates, codes, free text, and three targets."""
    rng = np.random.default_rng(5)
    age: Any = rng.integers(18, 80, N)
    spend = np.round(rng.lognormal(3, 1, N), 2)
    plan = rng.choice(["basic", "plus", "pro"], N)
    under: Any = 0.05 * (age - 45.0) + 0.8 * (plan == "basic") + rng.normal(0, 0.6, N)
    since = np.datetime64("2024-01-01") + rng.integers(0, 300, N).astype("timedelta64[D]")
    return pl.DataFrame(
        {
            "customer": [f"C{each}" for each in rng.permutation(N) + 100],
            "age": age,
            "spend": pl.Series(spend).set(pl.Series(rng.random(N) < 0.1), None),
            "plan": plan,
            "since": since.astype(str),
            "zip": [f"{each:05d}" for each in rng.integers(0, 9999, N)],
            "note": [f"said «yes», {each % 90}\nand left" for each in range(N)],
            "shop": rng.choice(list("ABCDEFGHIJ"), N),
            "churned": np.where(under > 0.3, "yes", "no"),
            "level": np.select([under < -0.6, under < 0.9], ["low", "mid"], "high"),
            "stars": (under + 3).round().clip(1, 5).astype(int),
            "worth": (under * 10).round(1),
        }
    )


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "customers.csv"
    rows().write_csv(path)
    return path


@pytest.fixture
def make(table: Path, tmp_path: Path) -> Callable[..., Definition]:
    """Make a competition of the table with given scores; what is asked for may differ."""

    def made(target: str = "churned", scores: list[Entry] = GOOD, **asked: Any) -> Definition:
        wanted = {"id": "mine", "data": table, "seed": 7, "target": target, **asked}
        drafted = new.draft(Request.model_validate(wanted))
        return new.write(drafted, tmp_path / "own", ignore, run=False, scores=scores)[0]

    return made


def ignore(done: int, total: int, team: str) -> None:
    """Hear of progress."""


def parts_of(definition: Definition) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    files = made_files(definition)
    names = ("public/train.csv", "public/test.csv", "private/answers.csv")
    train, test, answers = (pl.read_csv(files[each], infer_schema=False) for each in names)
    return train, test, answers


def test_a_table_becomes_a_directory_that_needs_nothing_else(
    make: Callable[..., Definition], table: Path, tmp_path: Path
) -> None:
    definition = make(ids="customer", drop=["level", "stars", "worth"])
    before = table.read_bytes()
    table.unlink()
    moved = tmp_path / "elsewhere"
    (tmp_path / "own").rename(moved)
    assert (moved / "mine" / "data.csv").read_bytes() == before
    assert sorted(path.name for path in (moved / "mine").iterdir()) == [
        *("checksums.json", "competition.toml", "data.csv", "description.md", "leaderboard.csv")
    ]
    place = Competitions(tmp_path / "data", [moved]).prepare("mine")
    train = pl.read_csv(place / "public" / "train.csv", infer_schema=False)
    assert train.columns[0] == "customer"
    assert not {"level", "stars", "worth"} & set(train.columns)
    assert definition.file.metric.name == "roc_auc"


def test_cells_stay_as_they_were_written(make: Callable[..., Definition]) -> None:
    train, test, answers = parts_of(make(ids="customer"))
    was = {row["customer"]: row for row in rows().iter_rows(named=True)}
    for row in train.iter_rows(named=True):
        before = was[row["customer"]]
        for column in ("plan", "since", "zip", "note", "shop"):
            assert row[column] == before[column]
        assert float(row["spend"] or "nan") == pytest.approx(
            before["spend"] or float("nan"), nan_ok=True
        )
        assert row["churned"] == ("1" if before["churned"] == "yes" else "0")
    assert set(train["customer"]) | set(test["customer"]) == set(was)
    said = dict(answers.select("customer", "churned").iter_rows())
    assert said == {
        each: "1" if was[each]["churned"] == "yes" else "0" for each in test["customer"]
    }


@pytest.mark.parametrize(
    ("asked", "metric"),
    [
        ({"target": "churned"}, "roc_auc"),
        ({"target": "level"}, "f1_macro"),
        ({"target": "worth", "scores": ERRORS}, "rmse"),
        ({"target": "age", "scores": ERRORS}, "rmse"),
        ({"target": "stars"}, "f1_macro"),
        ({"target": "stars", "metric": "quadratic_kappa"}, "quadratic_kappa"),
        ({"target": "stars", "metric": "rmsle", "scores": ERRORS}, "rmsle"),
        ({"target": "level", "metric": "log_loss", "scores": ERRORS}, "log_loss"),
        ({"target": "churned", "metric": "log_loss", "scores": ERRORS}, "log_loss"),
        ({"target": "churned", "metric": "accuracy"}, "accuracy"),
        ({"target": "worth", "metric": "r2"}, "r2"),
    ],
)
def test_a_metric_suits_its_target_and_the_answers_are_perfect(
    make: Callable[..., Definition], tmp_path: Path, asked: dict[str, Any], metric: str
) -> None:
    definition = make(**asked)
    assert definition.file.metric.name == metric
    files = made_files(definition)
    for name in ("private/answers.csv", "private/reference.csv", "public/sample_submission.csv"):
        (tmp_path / Path(name).name).write_bytes(files[name])
    answers = tmp_path / "answers.csv"
    best = measure(definition.competition, tmp_path / "reference.csv", answers).score
    assert best == pytest.approx(0 if definition.file.lower_is_better else 1, abs=1e-5)
    plain = measure(definition.competition, tmp_path / "sample_submission.csv", answers)
    assert plain.reason is None


def test_a_balanced_target_is_proposed_accuracy(
    make: Callable[..., Definition], table: Path
) -> None:
    even = pl.Series("level", ["low", "mid", "high", "top"] * (N // 4))
    rows().with_columns(even).write_csv(table)
    assert make("level").file.metric.name == "accuracy"


@pytest.mark.parametrize(
    ("labels", "asked", "positive"),
    [
        (("yes", "no"), "", "yes"),
        (("True", "False"), "", "True"),
        (("1", "0"), "", "1"),
        (("2", "1"), "", "2"),
        (("red", "blue"), "", "blue"),
        (("red", "blue"), "red", "red"),
    ],
)
def test_the_label_that_counts_as_one_says_yes_or_is_rarer_or_is_asked_for(
    make: Callable[..., Definition], table: Path, labels: tuple[str, str], asked: str, positive: str
) -> None:
    said = pl.Series("churned", [labels[each % 3 == 0] for each in range(N)])
    table.write_text(rows().with_columns(said).write_csv(), "utf-8")
    train, _, _ = parts_of(make(ids="customer", positive=asked))
    was = dict(zip(rows()["customer"], said, strict=True))
    ones = {was[row["customer"]] for row in train.iter_rows(named=True) if row["churned"] == "1"}
    assert ones == {positive}


def test_groups_stay_together_and_time_goes_forward(make: Callable[..., Definition]) -> None:
    made = make(id="by-shop", by="group", column="shop")
    train, test, _ = parts_of(made)
    assert not set(train["shop"]) & set(test["shop"])
    assert "No `shop` of the test" in made.description
    train, test, _ = parts_of(make(id="by-time", by="time", column="since"))
    assert max(train["since"]) < min(test["since"])


def test_a_description_tells_of_training_rows_only(
    make: Callable[..., Definition], table: Path
) -> None:
    definition = make("worth", ERRORS, ids="customer")
    train, _, _ = parts_of(definition)
    ages = train["age"].cast(pl.Int64)
    missing = train["spend"].null_count() / len(train)
    assert (
        f"| `age` | whole number | 0.0% | {ages.min()} to {ages.max()} |" in definition.description
    )
    assert f"| `spend` | number | {missing:.1%} |" in definition.description
    assert "| `plan` | text | 0.0% | `basic`, `plus`, `pro` |" in definition.description
    assert f"| {min(train['since'])} to {max(train['since'])} |" in definition.description
    beyond = rows().with_columns(
        pl.when(pl.col("customer").is_in(train["customer"].to_list()))
        .then("age")
        .otherwise(99)
        .alias("age")
    )
    beyond.write_csv(table)
    again = make("worth", ERRORS, ids="customer", id="again")
    assert again.description == definition.description


def test_a_columns_name_stays_code_in_the_description(
    make: Callable[..., Definition], table: Path
) -> None:
    said = table.read_text("utf-8").replace("churned", "left` | **us**", 1)
    table.write_text(said, "utf-8")
    assert "`left  \\| **us**` is to be predicted" in make("left` | **us**").description


def test_a_description_may_be_edited_and_a_split_or_table_may_not(
    make: Callable[..., Definition], tmp_path: Path
) -> None:
    place = make().place
    (place / "description.md").write_text("Customers of a bakery.\n", "utf-8")
    library = Competitions(tmp_path / "data", [place])
    assert "bakery" in library.task("mine").instructions
    said = (place / "competition.toml").read_text("utf-8")
    (place / "competition.toml").write_text(said.replace("seed = 7", "seed = 8"), "utf-8")
    with pytest.raises(TaskError, match="not those that its leaderboard was made with"):
        Competitions(tmp_path / "data", [place]).prepare("mine")
    (place / "competition.toml").write_text(said, "utf-8")
    with (place / "data.csv").open("a") as data:
        data.write("x\n")
    with pytest.raises(TaskError, match="not the file that the competition was made of"):
        Competitions(tmp_path / "other", [place]).prepare("mine")


def test_parquet_gives_the_same_competition_as_csv(
    make: Callable[..., Definition], tmp_path: Path
) -> None:
    told = rows().with_columns(
        pl.col("since").str.to_date(),
        pl.col("plan").cast(pl.Categorical),
        pl.col("age").cast(pl.Int16),
    )
    told.write_parquet(tmp_path / "customers.parquet")
    one = make(ids="customer")
    other = make(ids="customer", id="other", data=tmp_path / "customers.parquet")
    assert (other.place / "data.parquet").is_file()
    assert made_files(one) == made_files(other)


def change(old: str, new: str, count: int = -1) -> Callable[[str], str]:
    return lambda text: text.replace(old, new, count)


def only(text: str) -> Callable[[str], str]:
    return lambda _: text


@pytest.mark.parametrize(
    ("text", "asked", "problem"),
    [
        (None, {"target": "churn"}, "no column 'churn'; it has 'customer', 'age'"),
        (None, {"drop": ["nope"]}, "no column 'nope'"),
        (None, {"drop": ["churned"]}, "--drop churned: that column is needed"),
        (None, {"ids": "churned"}, "ids and the split need another column"),
        (None, {"ids": "spend"}, "rows have none; fill them"),
        (None, {"ids": "worth"}, "ids are whole numbers or text"),
        (None, {"metric": "roc-auc"}, "did you mean roc_auc?"),
        (None, {"metric": "rmse"}, "churned is no number: it has"),
        (None, {"target": "level", "metric": "roc_auc"}, "level has 3 values, not two"),
        (None, {"target": "stars", "metric": "log_loss"}, "each must be a word"),
        (None, {"target": "worth", "metric": "rmsle"}, "values below 0"),
        (None, {"target": "worth", "metric": "quadratic_kappa"}, "not of whole numbers"),
        (None, {"target": "zip"}, "more than 100 classes"),
        (None, {"positive": "maybe"}, "churned has 'no' and 'yes'"),
        (None, {"metric": "accuracy", "positive": "no"}, "--positive goes with"),
        (None, {"by": "group"}, "--by COLUMN goes with"),
        (None, {"column": "shop"}, "--by COLUMN goes with"),
        (None, {"by": "group", "column": "spend"}, "rows have no group"),
        (None, {"by": "time", "column": "plan"}, "does not sort as time does"),
        (None, {"by": "group", "column": "plan", "test": 0.1}, "of 3 groups leaves a part empty"),
        (None, {"test": 0.001}, "--test 0.001 of 200 rows leaves a part empty"),
        (None, {"id": "My churn"}, "an id has small letters"),
        (change(",yes,", ",,", 3), {}, "3 of 200 rows have no value"),
        (change(",yes,", ",None,", 3), {}, "3 of 200 rows have no value"),
        (change(",yes,", ",no,"), {}, "every row has 'no'"),
        (change(",mid,", ",odd,", 1), {"target": "level"}, "no training row has 'odd'"),
        (only("a,churned\n1,no\n2,yes\n" + "1,no\n" * 49), {}, "row of the test has 'yes'"),
        (only("a,g,churned\n1,1,x\n2,1,y\n"), {"by": "group", "column": "g"}, "one group only"),
        (only("a,churned\n"), {}, "no rows below its header"),
        (only(""), {}, "is empty; it must begin with the names"),
        (only("a;churned\n1;2\n"), {}, "columns stand apart by ';'"),
        (only("1,0\n2,1\n"), {}, "no header: its first line is '1', '0'"),
        (only(",churned\n1,2\n"), {}, "column 1 has no name"),
        (only('"a\n# b",churned\n1,2\n'), {}, "name 'a\\n# b' holds a line break"),
        (only("churned,churned\n1,2\n"), {}, "stands twice"),
        (only("a,churned\n1,2,3\n"), {}, "in line 2 has 3 of 2 cells"),
        (only("a,churned\n1\n"), {}, "in line 2 has 1 of 2 cells"),
        (only('a,churned\n1,"2\n'), {}, "not CSV"),
        (only("a,churned\n1,\0\n"), {}, "not text"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_the_value_and_the_remedy(
    make: Callable[..., Definition],
    table: Path,
    *,
    tmp_path: Path,
    text: Callable[[str], str] | None,
    asked: dict[str, Any],
    problem: str,
) -> None:
    if text:
        table.write_text(text(table.read_text("utf-8")), "utf-8")
    with pytest.raises(TaskError, match=re.escape(problem)):
        make(**asked)
    assert not (tmp_path / "own").exists()


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("a.csv", "a,churned\n1,é\n".encode("latin-1"), "is not UTF-8"),
        ("a.parquet", b"a,churned\n", "not a Parquet file"),
        ("a.xlsx", b"PK", "neither .csv nor .parquet"),
        ("none.csv", None, "there is no such file"),
    ],
)
def test_a_file_that_is_no_table_is_refused(
    make: Callable[..., Definition], tmp_path: Path, name: str, data: bytes | None, problem: str
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(TaskError, match=re.escape(problem)):
        make(data=tmp_path / name)


def test_lists_in_parquet_are_refused_unless_they_are_left_out(
    make: Callable[..., Definition], tmp_path: Path
) -> None:
    path = tmp_path / "lists.parquet"
    rows().with_columns(pl.concat_list("age", "age").alias("twice")).write_parquet(path)
    with pytest.raises(TaskError, match=r"'twice' holds List.*leave it out with --drop"):
        make(data=path)
    assert make(data=path, drop=["twice"]).file.id == "mine"


@pytest.mark.parametrize(
    ("extra", "asked", "warning"),
    [
        (pl.col("churned").alias("again"), {}, "again is equal to churned"),
        (
            pl.col("churned").replace({"yes": "gone", "no": "here"}).alias("state"),
            {},
            "state goes one to one with churned",
        ),
        (
            pl.when(pl.col("churned") == "yes").then("age").alias("left_at"),
            {},
            "left_at goes one to one with churned",
        ),
        (
            (pl.col("age") * -3.5).alias("years"),
            {"target": "age"},
            "years goes one to one with age",
        ),
        (pl.lit("x").alias("other"), {"ids": "shop"}, "shop has 10 values in more than one row"),
        (pl.lit("x").alias("other"), {"by": "group", "column": "plan"}, "plan has 3 groups"),
        (pl.int_range(N).alias("row_id"), {}, "row_id differs in every row"),
        (pl.lit("x").alias("other"), {}, "the test has 60 rows"),
        (
            pl.when(pl.int_range(N) < 8).then(pl.lit("rare")).otherwise("level").alias("level"),
            {"target": "level"},
            "fewer than 10 rows have 'rare' as level",
        ),
    ],
)
def test_what_is_odd_is_told(
    table: Path, extra: pl.Expr, asked: dict[str, Any], warning: str
) -> None:
    rows().with_columns(extra).write_csv(table)
    wanted = {"id": "mine", "data": table, "seed": 3, "target": "churned", **asked}
    odd = new.draft(Request.model_validate(wanted)).odd
    assert any(warning in each for each in odd), odd


def test_a_table_without_leaks_is_not_accused_of_one(table: Path) -> None:
    for target in ("churned", "level", "worth", "age"):
        wanted = {"id": "mine", "data": table, "seed": 3, "target": target, "ids": "customer"}
        odd = new.draft(Request.model_validate(wanted)).odd
        assert [each for each in odd if "give" in each] == []


def test_numbers_that_rise_with_the_target_and_ids_that_sort_it_are_told(table: Path) -> None:
    exact = pl.Series("worth", np.random.default_rng(1).permutation(N) / 7)
    rows().with_columns(exact, (exact * exact).alias("square")).write_csv(table)
    wanted = {"id": "mine", "data": table, "seed": 3, "target": "worth"}
    odd = new.draft(Request.model_validate(wanted)).odd
    assert any("square rises and falls with worth" in each for each in odd)
    rows().sort("churned").with_columns(pl.int_range(N).alias("row")).write_csv(table)
    wanted = {"id": "mine", "data": table, "seed": 3, "target": "churned", "ids": "row"}
    odd = new.draft(Request.model_validate(wanted)).odd
    assert any("rows sorted by row are sorted by churned" in each for each in odd)


def test_a_leaderboard_is_read_in_any_order_and_refused_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("by,score\nfirst,0.5\nsecond,0.75\n", "utf-8")
    assert read_entries(path) == [Entry(0.5, "first"), Entry(0.75, "second")]
    for text, problem in {
        "score\n0.5\nhigh\n": "line 3: the score 'high' is no finite number",
        "score\nnan\n": "line 2: the score 'nan' is no finite number",
        "by,score\nfirst\n": "line 2: the score '' is no",
        "score\n": "it has no scores",
        "points\n1\n": "no column 'score'; it has 'points'",
    }.items():
        path.write_text(text, "utf-8")
        with pytest.raises(TaskError, match=re.escape(problem)):
            read_entries(path)


def test_medals_that_mean_nothing_are_told(table: Path, tmp_path: Path) -> None:
    wanted = {"id": "mine", "data": table, "seed": 3, "target": "churned"}
    drafted = new.draft(Request.model_validate(wanted))
    made, odd = new.write(drafted, tmp_path / "own", ignore, run=False, scores=BAD)
    assert [each.partition(":")[0] for each in odd] == [
        "the leaderboard has one row",
        "the sample submission, which says the same of every row, scores 0.5, worth a medal",
    ]
    assert made.leaderboard == (0.5,)
    assert list(told_of_leaderboard(GOOD)) == []


def test_scores_that_the_answers_do_not_reach_are_refused(
    make: Callable[..., Definition], tmp_path: Path
) -> None:
    with pytest.raises(TaskError, match="they score 1 in roc_auc, and gold begins at 17"):
        make(scores=[Entry(17, ""), *GOOD])
    assert list((tmp_path / "own").iterdir()) == []


def test_what_is_there_stays_unless_it_is_to_be_replaced(
    make: Callable[..., Definition], table: Path, tmp_path: Path
) -> None:
    place = make().place
    before = (place / "competition.toml").read_bytes()
    with pytest.raises(TaskError, match="exists; choose another --id or --into"):
        make(seed=8)
    wanted = {"id": "mine", "data": table, "seed": 8, "target": "churned"}
    drafted = new.draft(Request.model_validate(wanted))
    with pytest.raises(TaskError, match="gold begins at 9"):
        new.write(drafted, tmp_path / "own", ignore, run=False, scores=[Entry(9, "")], force=True)
    assert (place / "competition.toml").read_bytes() == before
    new.write(drafted, tmp_path / "own", ignore, run=False, scores=GOOD, force=True)
    assert b"seed = 8" in (place / "competition.toml").read_bytes()
    assert os.listdir(tmp_path / "own") == ["mine"]  # noqa: PTH208 - hidden ones, too
    (tmp_path / "own" / "notes").mkdir()
    with pytest.raises(TaskError, match="is no competition, and stays"):
        new.refuse_taken(tmp_path / "own" / "notes", force=True)


def test_a_catalog_finds_competitions_below_its_sources(
    make: Callable[..., Definition], tmp_path: Path
) -> None:
    make()
    (tmp_path / "own" / ".half-made" / "half").mkdir(parents=True)
    (tmp_path / "own" / ".half-made" / "half" / "competition.toml").write_text("id = 1", "utf-8")
    for source in (tmp_path, tmp_path / "own", tmp_path / "own" / "mine"):
        library = Competitions(tmp_path / "data", [source])
        assert library.ids == ("competition/mine",)
        catalog = Catalog([source], library, library.ids)
        assert (catalog.ids, catalog.problems) == (("competition/mine",), ())
    other = tmp_path / "more" / "mine"
    other.parent.mkdir()
    (tmp_path / "own" / "mine").rename(other)
    make()
    with pytest.raises(TaskError, match="the id 'mine' is taken by"):
        Competitions(tmp_path / "data", [tmp_path]).ids  # noqa: B018 - it raises


async def test_an_own_competition_proves_itself_as_any_task_does(
    make: Callable[..., Definition], tmp_path: Path, isolating: Backend
) -> None:
    make("level", metric="log_loss", scores=ERRORS)
    task = Competitions(tmp_path / "data", [tmp_path / "own"]).task("mine")
    findings = [each async for each in check_task(task, isolating)]
    assert [each.detail for each in findings if not each.ok] == []
    assert {"solution", "untouched"} <= {each.check for each in findings}
