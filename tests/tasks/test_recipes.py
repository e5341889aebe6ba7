"""Recipes: splits, ids, tables, answers and samples, from raw tables with text cells."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.tasks.raw_competitions import (
    FORM,
    HEAD,
    RAW,
    SAMPLE,
    SPLIT,
    TABLES,
    TRAIN,
    Small,
    plain,
    read_text_table,
    upstream,
    write_tree,
)

from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.definition import read_definition
from proctor.tasks.competitions.library import KAGGLE

IDS = [f"a{n}" for n in range(20)]


def test_rows_are_split_as_scikit_learn_splits_the_table(tmp_path: Path) -> None:
    small = Small(tmp_path, plain() + SAMPLE, {"train.csv": TRAIN})
    train, test = upstream(IDS, test_size=0.25)
    assert small.column("public/train.csv", "id") == train
    assert small.column("public/test.csv", "id") == test
    assert small.column("private/answers.csv", "id") == test
    assert small.table("public/test.csv").columns == ["id", "x"]
    assert small.table("private/answers.csv").columns == ["id", "y"]
    assert small.public() == ["description.md", "sample_submission.csv", "test.csv", "train.csv"]


@pytest.mark.parametrize(
    ("said", "sizes"),
    [
        ("test = 3, train = 12, seed = 7", {"test_size": 3, "train_size": 12, "seed": 7}),
        ("train = 0.7, seed = 1", {"train_size": 0.7, "seed": 1}),
        ("test = 0.19, seed = 0", {"test_size": 0.19}),
    ],
)
def test_sizes_are_shares_or_numbers_of_either_part(
    tmp_path: Path, said: str, sizes: dict[str, Any]
) -> None:
    declared = plain(split=f'split = {{ by = "rows", {said} }}\n') + SAMPLE
    small = Small(tmp_path, declared, {"train.csv": TRAIN})
    train, test = upstream(IDS, **sizes)
    assert small.column("public/train.csv", "id") == train
    assert small.column("public/test.csv", "id") == test


def test_the_order_of_the_file_can_be_kept(tmp_path: Path) -> None:
    split = 'split = { by = "rows", test = 0.25, seed = 0, order = "file" }\n'
    small = Small(tmp_path, plain(split=split) + SAMPLE, {"train.csv": TRAIN})
    _, test = upstream(IDS, test_size=0.25)
    assert small.column("public/test.csv", "id") == [each for each in IDS if each in test]


@pytest.mark.parametrize(
    ("like", "files"),
    [
        ("test/*.tif", {f"test/{n}.tif": "." for n in range(5)}),
        ("test.csv", {"test.csv": "id\n" + "t\n" * 5}),
    ],
)
def test_the_share_can_be_that_of_other_raw_files(
    tmp_path: Path, like: str, files: dict[str, str | bytes]
) -> None:
    split = f'split = {{ by = "rows", like = "{like}", seed = 0 }}\n'
    small = Small(tmp_path, plain(split=split) + SAMPLE, {"train.csv": TRAIN, **files})
    _, test = upstream(IDS, test_size=5 / 25)
    assert small.column("public/test.csv", "id") == test


GROUPED = "id,x,y\n" + "".join(
    f"a{n},{group},{n % 2}\n" for n, group in enumerate([10, 9, 10, 2, 33, 2, 9, 100, 33, 5, 10, 7])
)


@pytest.mark.parametrize(
    ("how", "groups"),
    [
        ("", ["10", "9", "2", "33", "100", "5", "7"]),
        (', groups = "sorted"', ["2", "5", "7", "9", "10", "33", "100"]),
    ],
)
@pytest.mark.parametrize("order", ["file", "shuffled"])
def test_whole_groups_are_drawn_from_those_seen_or_sorted(
    tmp_path: Path, how: str, groups: list[str], order: str
) -> None:
    split = (
        f'split = {{ by = "groups", column = "x", test = 0.4, seed = 3, order = "{order}"{how} }}\n'
    )
    small = Small(tmp_path, plain(split=split) + SAMPLE, {"train.csv": GROUPED})
    _, drawn = upstream(groups, test_size=0.4, seed=3)
    rows = [line.split(",")[:2] for line in GROUPED.splitlines()[1:]]
    if order == "file":
        expected = [id_ for id_, group in rows if group in drawn]
    else:
        expected = [id_ for each in drawn for id_, group in rows if group == each]
    assert small.column("public/test.csv", "id") == expected
    assert not set(small.column("public/train.csv", "x")) & set(drawn)


def test_the_last_days_are_the_tests(tmp_path: Path) -> None:
    days = ["2020-02-27", "2020-03-01", "2020-02-29", "2020-03-03", "2020-02-28"]
    table = "id,x,y\n" + "".join(f"a{n},{day},1\n" for n, day in enumerate(days))
    split = 'split = { by = "time", column = "x", days = 3 }\n'
    small = Small(tmp_path, plain(split=split) + SAMPLE, {"train.csv": table})
    assert small.column("public/test.csv", "id") == ["a1", "a2", "a3"]


def test_a_time_that_is_none_is_named_by_its_column(tmp_path: Path) -> None:
    split = 'split = { by = "time", column = "x", days = 3 }\n'
    small = Small(tmp_path, plain(split=split) + SAMPLE, {"train.csv": TRAIN})
    with pytest.raises(TaskError, match="'x' has cells that are no dates"):
        small.prepared()


def test_rows_with_given_cells_are_the_tests(tmp_path: Path) -> None:
    split = 'split = { by = "values", column = "x", test = ["9", "33"] }\n'
    small = Small(tmp_path, plain(split=split) + SAMPLE, {"train.csv": GROUPED})
    assert small.column("public/test.csv", "id") == ["a1", "a4", "a6", "a8"]


def test_a_given_test_is_taken_with_what_belongs_to_it(tmp_path: Path) -> None:
    split = 'split = { by = "given", tables = ["test.csv", "test_labels.csv"] }\n'
    files = {
        "train.csv": TRAIN,
        "test.csv": "id,x\nb2,2\nb1,1\n",
        "test_labels.csv": "id,y\nb1,1\nb2,0\n",
    }
    small = Small(tmp_path, plain(split=split) + SAMPLE, files)
    assert small.column("public/train.csv", "id") == IDS
    assert small.table("public/test.csv").rows() == [("b2", "2"), ("b1", "1")]
    assert small.table("private/answers.csv").rows() == [("b2", "0"), ("b1", "1")]


def test_a_given_test_whose_labels_are_not_whole_is_refused(tmp_path: Path) -> None:
    split = 'split = { by = "given", tables = ["test.csv", "test_labels.csv"] }\n'
    files = {
        "train.csv": TRAIN,
        "test.csv": "id,x\nb2,2\nb1,1\n",
        "test_labels.csv": "id,y\nb1,1\n",
    }
    small = Small(tmp_path, plain(split=split) + SAMPLE, files)
    with pytest.raises(TaskError, match=r"test_labels\.csv does not have each row of test\.csv"):
        small.prepared()


def test_cells_come_through_with_every_character(tmp_path: Path) -> None:
    odd = ["1.10", "0.30000000000000004", "1e-05", "007", "NA", "nan", "", " x ", 'q"u', "ä\n,b"]
    cells = (cell.replace('"', '""') for cell in odd)
    rows = ["id,x,y", *(f'{n},"{cell}",1.0' for n, cell in enumerate(cells))]
    small = Small(tmp_path, plain() + SAMPLE, {"train.csv": "\r\n".join(rows) + "\r\n"})
    kept = [*small.table("public/train.csv").rows(), *small.table("public/test.csv").rows()]
    assert {row[0]: row[1] for row in kept} == {str(n): cell for n, cell in enumerate(odd)}
    assert set(small.column("private/answers.csv", "y")) == {"1.0"}


def test_an_empty_cell_is_written_as_nothing(tmp_path: Path) -> None:
    table = 'id,x,y\na,"",1\nb,,0\nc,z,1\nd,,0\n'
    small = Small(tmp_path, plain() + SAMPLE, {"train.csv": table})
    assert '"' not in (small.prepared() / "public/train.csv").read_text("utf-8")


def test_excluded_rows_are_gone_before_the_split(tmp_path: Path) -> None:
    declared = plain('exclude = { id = ["a3", "a4"] }\n') + SAMPLE
    small = Small(tmp_path, declared, {"train.csv": TRAIN})
    _, test = upstream([each for each in IDS if each not in ("a3", "a4")], test_size=0.25)
    assert small.column("public/test.csv", "id") == test


@pytest.mark.parametrize(
    ("numbering", "train", "test"),
    [
        ("{}", "0", "0"),
        ("{ first = 1 }", "1", "1"),
        ("{ follows = true }", "0", "15"),
        ('{ train = "Train_{}", test = "Test_{}" }', "Train_0", "Test_0"),
    ],
)
def test_ids_are_numbered_anew(tmp_path: Path, numbering: str, train: str, test: str) -> None:
    declared = plain(f"renumber = {{ id = {numbering} }}\n") + SAMPLE
    small = Small(tmp_path, declared, {"train.csv": TRAIN})
    assert small.column("public/train.csv", "id")[0] == train
    assert small.column("public/test.csv", "id")[0] == test
    assert small.column("private/answers.csv", "id") == small.column("public/test.csv", "id")
    assert small.column("public/sample_submission.csv", "id") == small.column(
        "public/test.csv", "id"
    )
    _, rows = upstream([line.split(",")[1] for line in TRAIN.splitlines()[1:]], test_size=0.25)
    assert small.column("public/test.csv", "x") == rows


def test_groups_keep_together_when_they_are_numbered_and_make_ids(tmp_path: Path) -> None:
    table = "sentence,token,before,after\n" + "".join(
        f"{s},{t},w{s}{t},W{s}{t}\n" for s in (4, 8, 15, 16, 23) for t in range(3)
    )
    declared = plain(
        'renumber = { sentence = {} }\nmake = { id = "{sentence}_{token:0>2}" }\n',
        form='form = { ids = ["id"], targets = ["after"] }\nmetric = { name = "accuracy" }\n',
        split='split = { by = "groups", column = "sentence", test = 0.4, seed = 0 }\n',
        tables="[recipe.tables]\n"
        '"test.csv" = { part = "test", columns = ["sentence", "before"] }\n',
    )
    declared += '[recipe.sample.values]\nafter = { same_as = "before" }\n'
    small = Small(tmp_path, declared, {"train.csv": table})
    _, drawn = upstream([4, 8, 15, 16, 23], test_size=0.4)
    words = [f"{s}{t}" for s in sorted(drawn) for t in range(3)]
    assert small.column("public/test.csv", "sentence") == ["0"] * 3 + ["1"] * 3
    assert small.table("private/answers.csv").rows() == [
        (id_, f"W{word}")
        for id_, word in zip(["0_00", "0_01", "0_02", "1_00", "1_01", "1_02"], words, strict=True)
    ]
    sample = small.table("public/sample_submission.csv")
    assert sample.columns == ["id", "after"]
    assert sample["after"].to_list() == [f"w{word}" for word in words]


def test_side_tables_keep_the_rows_of_their_part(tmp_path: Path) -> None:
    tables = TABLES + (
        '"more.csv" = { part = "train", raw = "side.csv", key = ["id"] }\n'
        '"test_more.csv" = { part = "test", raw = "side.csv", key = ["id"], drop = ["z"] }\n'
    )
    side = "z,id\n" + "".join(f"{n},a{n}\n{n}b,a{n}\n" for n in reversed(range(22)))
    files = {"train.csv": TRAIN, "side.csv": side}
    small = Small(tmp_path, plain(tables=tables) + SAMPLE, files)
    train, test = upstream(IDS, test_size=0.25)
    more = small.table("public/more.csv")
    rows = [line.split(",") for line in side.splitlines()[1:]]
    assert more.rows() == [(z, id_) for z, id_ in rows if id_ in train]
    assert small.column("public/test_more.csv", "id") == [id_ for _, id_ in rows if id_ in test]
    assert small.table("public/test_more.csv").columns == ["id"]


def test_side_tables_are_numbered_along(tmp_path: Path) -> None:
    tables = TABLES + '"more.csv" = { part = "test", raw = "side.csv", key = ["id"] }\n'
    declared = plain('renumber = { id = { test = "T{}" } }\n', tables=tables) + SAMPLE
    side = "z,id\n" + "".join(f"{n},a{n}\n" for n in range(20))
    small = Small(tmp_path, declared, {"train.csv": TRAIN, "side.csv": side})
    _, test = upstream(IDS, test_size=0.25)
    expected = {(each.removeprefix("a"), f"T{n}") for n, each in enumerate(test)}
    assert set(small.table("public/more.csv").rows()) == expected


def test_tables_choose_rename_sort_and_take_the_first_of_their_rows(tmp_path: Path) -> None:
    tables = (
        '[recipe.tables]\n"labels.tsv" = { part = "train", columns = ["y", "x"], '
        'rename = { x = "number" }, first_of = ["y"], sort = ["x"] }\n'
    )
    small = Small(tmp_path, plain(tables=tables) + SAMPLE, {"train.csv": TRAIN})
    train, _ = upstream(IDS, test_size=0.25)
    firsts = sorted(next(int(each[1:]) for each in train if int(each[1:]) % 2 == y) for y in (0, 1))
    lines = (small.prepared() / "public/labels.tsv").read_text("utf-8").splitlines()
    assert lines == ["y\tnumber", *(f"{n % 2}\t{n}.50" for n in firsts)]


def test_a_table_that_would_tell_the_truth_is_refused(tmp_path: Path) -> None:
    tables = '[recipe.tables]\n"test.csv" = { part = "test" }\n'
    small = Small(tmp_path, plain(tables=tables) + SAMPLE, {"train.csv": TRAIN})
    with pytest.raises(TaskError, match=r'"test\.csv": shows \'y\', which is to be predicted'):
        small.prepared()


def test_answers_are_renamed_replaced_and_unique(tmp_path: Path) -> None:
    table = "key,side,sick\n" + "".join(
        f"{n // 2},L,{'yes' if n % 4 < 2 else 'no'}\n" for n in range(40)
    )
    declared = plain(
        'make = { id = "{key}_{side}" }\n',
        split='split = { by = "groups", column = "key", test = 0.25, seed = 0 }\n',
        tables="[recipe.tables]\n",
    )
    declared += (
        '[recipe.answers]\nrename = { sick = "y" }\nfirst_of = ["id"]\n'
        'replace = { y = { yes = "1", no = "0" } }\n'
        '[recipe.sample]\nvalue = { mean_of = "key" }\n'
    )
    small = Small(tmp_path, declared, {"train.csv": table})
    train, test = upstream(list(range(20)), test_size=0.25)
    assert small.table("private/answers.csv").rows() == [
        (f"{n}_L", str((n + 1) % 2)) for n in sorted(test)
    ]
    sample = small.column("public/sample_submission.csv", "y")
    assert set(sample) == {str(np.mean(np.repeat(train, 2)))}


def test_an_id_that_answers_would_have_twice_is_named(tmp_path: Path) -> None:
    table = "id,x,y\n" + "".join(f"same,{n},1\n" for n in range(20))
    small = Small(tmp_path, plain() + SAMPLE, {"train.csv": table})
    with pytest.raises(TaskError, match="'same' as an id twice"):
        small.prepared()


@pytest.mark.parametrize(
    ("said", "cells"),
    [
        ("value = false", ["False"] * 5),
        ('value = ""', [""] * 5),
        ("value = 2", ["2"] * 5),
        ("value = { linspace = [0, 1] }", ["0.0", "0.25", "0.5", "0.75", "1.0"]),
        (
            "value = { integers = [1, 7], seed = 42 }",
            [str(each) for each in np.random.RandomState(42).randint(1, 7, 5)],
        ),
        (
            "value = { uniform = [1, 100], digits = 2, seed = 0 }",
            [str(each) for each in np.random.default_rng(0).uniform(1, 100, 5).round(2).tolist()],
        ),
    ],
)
def test_the_sample_is_filled_as_it_is_said(tmp_path: Path, said: str, cells: list[str]) -> None:
    small = Small(tmp_path, plain() + f"[recipe.sample]\n{said}\n", {"train.csv": TRAIN})
    assert small.column("public/sample_submission.csv", "y") == cells


def test_the_sample_has_its_own_name_columns_and_constants(tmp_path: Path) -> None:
    sample = (
        '[recipe.sample]\nfile = "sampleSubmission.csv"\n'
        'columns = ["y", "x", "id"]\nvalues = { y = 1 }\n'
    )
    small = Small(tmp_path, plain() + sample, {"train.csv": TRAIN})
    table = small.table("public/sampleSubmission.csv")
    assert table.columns == ["y", "x", "id"]
    assert table["x"].to_list() == small.column("public/test.csv", "x")
    told = small.library.task("small").instructions
    assert "`/data/sampleSubmission.csv`" in told
    assert "    y,x,id\n" in told


def test_a_raw_sample_is_taken_as_it_is(tmp_path: Path) -> None:
    files = {"train.csv": TRAIN, "sample.csv": "id,y\na1,0\n"}
    small = Small(tmp_path, plain() + '[recipe.sample]\nraw = "sample.csv"\n', files)
    assert small.table("public/sample_submission.csv").rows() == [("a1", "0")]


def test_tokens_of_many_rows_are_one_answer(tmp_path: Path) -> None:
    form = (
        'form = { ids = ["who"], targets = ["bought"], gathered = ["what"] }\n'
        'metric = { name = "map_at_k", settings = { k = 3 } }\n'
    )
    table = "day,who,what\n" + "".join(
        f"2020-01-{day:02},{who},0{day}\n" for day in range(1, 9) for who in ("u", "v")
    )
    declared = plain(
        form=form,
        split='split = { by = "time", column = "day", days = 1 }\n',
        tables='[recipe.tables]\n"train.csv" = { part = "train" }\n',
    )
    small = Small(tmp_path, declared + '[recipe.sample]\nvalue = "01"\n', {"train.csv": table})
    assert small.column("private/answers.csv", "what") == ["07", "07", "08", "08"]
    assert small.table("private/reference.csv").rows() == [("u", "07 08"), ("v", "07 08")]
    assert small.table("public/sample_submission.csv").rows() == [("u", "01"), ("v", "01")]


RECORDS: list[dict[str, Any]] = [
    {
        "id": f"a{n}",
        "y": n % 3 == 0,
        "angle": "na" if n == 2 else 1.5 * n,
        "band": [n, 0.1],
        "z": None,
    }
    for n in range(12)
]


@pytest.mark.parametrize("kind", ["json", "jsonl"])
def test_objects_keep_their_nested_values(tmp_path: Path, kind: str) -> None:
    text = (
        json.dumps(RECORDS, indent=1)
        if kind == "json"
        else "".join(json.dumps(each) + "\n" for each in RECORDS)
    )
    tables = (
        f'[recipe.tables]\n"train.{kind}" = {{ part = "train" }}\n'
        f'"test.{kind}" = {{ part = "test", drop = ["y", "z"], rename = {{ angle = "tilt" }} }}\n'
    )
    declared = HEAD + FORM + f'[raw]\nfiles = ["train.{kind}"]\n[recipe]\ntable = "train.{kind}"\n'
    declared += 'split = { by = "rows", test = 0.25, seed = 0 }\nrenumber = { id = {} }\n' + tables
    declared += '[recipe.answers]\nreplace = { y = { True = "1", False = "0" } }\n'
    small = Small(tmp_path, declared + SAMPLE, {f"train.{kind}": text})
    train, test = upstream(RECORDS, test_size=0.25)

    def written(path: str) -> Any:
        said = (small.prepared() / "public" / path).read_text("utf-8")
        return (
            json.loads(said) if kind == "json" else [json.loads(each) for each in said.splitlines()]
        )

    assert written(f"train.{kind}") == [{**each, "id": str(n)} for n, each in enumerate(train)]
    assert written(f"test.{kind}") == [
        {"id": str(n), "tilt": each["angle"], "band": each["band"]} for n, each in enumerate(test)
    ]
    assert small.column("private/answers.csv", "y") == [str(int(each["y"])) for each in test]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[{"id": 1}', "does not go on and does not end"),
        ('[{"id": 1},', "does not end"),
        ("[1, 2]", "an object was expected"),
        ('[{"id": }]', "Expecting value"),
    ],
)
def test_json_that_is_cut_off_is_named(tmp_path: Path, text: str, problem: str) -> None:
    declared = HEAD + FORM + '[raw]\nfiles = ["train.json"]\n[recipe]\ntable = "train.json"\n'
    small = Small(tmp_path, declared + SPLIT + SAMPLE, {"train.json": text})
    with pytest.raises(TaskError, match=rf"train\.json is damaged.*{problem}"):
        small.prepared()


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    table = pl.DataFrame({"id": range(20), "x": [n / 3 for n in range(20)], "y": [0, 1] * 10})
    tables = '[recipe.tables]\n"train.parquet" = { part = "train" }\n'
    declared = HEAD + FORM + '[raw]\nfiles = ["train.parquet"]\n[recipe]\ntable = "train.parquet"\n'
    small = Small(tmp_path, declared + SPLIT + tables + SAMPLE, {})
    table.write_parquet(small.raw / "train.parquet")
    train, _ = upstream(list(range(20)), test_size=0.25)
    assert pl.read_parquet(small.prepared() / "public/train.parquet").equals(table[train])


def test_further_columns_of_the_metric_are_in_the_answers(tmp_path: Path) -> None:
    form = (
        'form = { ids = ["id"], targets = ["y"] }\n'
        'metric = { name = "masked_mae", columns = { mask = "x" } }\n'
    )
    small = Small(
        tmp_path, plain(form=form).replace("false", "true") + SAMPLE, {"train.csv": TRAIN}
    )
    assert small.table("private/answers.csv").columns == ["id", "y", "x"]


def test_answers_of_classes_are_labels_and_their_reference_has_a_column_for_each(
    tmp_path: Path,
) -> None:
    form = (
        'form = { ids = ["id"], targets = ["0", "1"], truth = ["y"], one_hot = true }\n'
        'metric = { name = "log_loss" }\n'
    )
    small = Small(
        tmp_path, plain(form=form).replace("false", "true") + SAMPLE, {"train.csv": TRAIN}
    )
    told = [
        (id_, float(y == "0"), float(y == "1"))
        for id_, y in small.table("private/answers.csv").rows()
    ]
    assert pl.read_csv(small.prepared() / "private/reference.csv").rows() == told


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        (plain(split='split = { by = "rows", seed = 0 }\n') + SAMPLE, "say how many rows"),
        (plain(split='split = { by = "chance", seed = 0 }\n') + SAMPLE, "chance"),
        (plain('copy = ["a/../../b"]\n') + SAMPLE, "leads out of its folder"),
        (plain('make = { id = "{x.real}" }\n') + SAMPLE, "write a column as {id}"),
        (plain('make = { id = "{x!r}" }\n') + SAMPLE, "write a column as {id}"),
        (plain('make = { id = "{x" }\n') + SAMPLE, "a column stands in braces"),
        (plain('renumber = { id = { train = "T" } }\n') + SAMPLE, "hold {} once"),
        (plain() + "[recipe.sample]\n", "say one of value, values and raw"),
        (
            plain(tables='[recipe.tables]\n"a.csv" = { part = "train", raw = "b.csv" }\n') + SAMPLE,
            "raw and key",
        ),
        (HEAD + FORM, "say one of source, recipe, module and unsupported"),
        (plain() + SAMPLE + 'module = "odd"\n', "module"),
        (plain(raw="") + SAMPLE, "need raw"),
        (plain().replace("medals", "limits") + SAMPLE, "limits"),
    ],
)
def test_a_wrong_recipe_is_refused_by_its_key(tmp_path: Path, declared: str, problem: str) -> None:
    small = Small(tmp_path, declared, {"train.csv": TRAIN})
    with pytest.raises(TaskError) as caught:
        small.prepared()
    assert problem in str(caught.value)
    assert "competition.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        (
            plain(split='split = { by = "groups", column = "no", test = 0.5, seed = 0 }\n')
            + SAMPLE,
            "no column 'no'",
        ),
        (plain("renumber = { no = {} }\n") + SAMPLE, "no column 'no'"),
        (plain('make = { new = "{no}" }\n') + SAMPLE, "no column 'no'"),
        (plain('exclude = { no = ["1"] }\n') + SAMPLE, "no column 'no'"),
        (
            plain(tables='[recipe.tables]\n"a.csv" = { part = "train", drop = ["no"] }\n') + SAMPLE,
            "no column 'no'",
        ),
        (plain() + "[recipe.sample]\nvalues = { z = 1 }\n", "there is none for 'y'"),
        (plain() + '[recipe.sample]\nvalue = { same_as = "no" }\n', "no column 'no'"),
        (
            plain(split='split = { by = "values", column = "x", test = ["no"] }\n') + SAMPLE,
            "without rows",
        ),
        (
            plain(split='split = { by = "rows", test = 30, seed = 0 }\n') + SAMPLE,
            "20 rows cannot be split",
        ),
    ],
)
def test_a_raw_table_that_is_not_as_expected_is_named(
    tmp_path: Path, declared: str, problem: str
) -> None:
    small = Small(tmp_path, declared, {"train.csv": TRAIN})
    with pytest.raises(TaskError, match=problem):
        small.prepared()
    assert not small.library.is_prepared("small")


def test_a_competition_that_nobody_can_prepare_yet_says_why(tmp_path: Path) -> None:
    small = Small(tmp_path, HEAD + FORM + 'unsupported = "its boxes are solid"\n', {})
    assert small.library.definition("small").competition.medals.teams == 10
    for ask in (small.library.prepare, small.library.task):
        with pytest.raises(TaskError, match="not supported yet: its boxes are solid"):
            ask("small")
    assert not small.library.is_prepared("small")


def test_a_module_that_is_not_there_is_named(tmp_path: Path) -> None:
    declared = HEAD + FORM + 'module = "none_such"\n' + RAW
    small = Small(tmp_path, declared, {"train.csv": TRAIN})
    with pytest.raises(TaskError, match="there is no 'none_such'"):
        small.prepared()


def test_the_bundled_ones_are_well_declared() -> None:
    names = sorted(path.parent.name for path in KAGGLE.glob("*/competition.toml"))
    assert "spooky-author-identification" in names
    for name in names:
        definition = read_definition(KAGGLE / name)
        assert definition.competition.medals == definition.file.medals
        assert definition.leaderboard == ()
        better = "lower" if definition.file.lower_is_better else "higher"
        assert definition.file.measures.endswith(f"; {better} is better")


def test_spooky_authors_are_prepared_from_the_archive_that_kaggle_has(tmp_path: Path) -> None:
    from tests.tasks.raw_competitions import zipped  # noqa: PLC0415

    from proctor.tasks.competitions.library import Competitions  # noqa: PLC0415

    rows = "".join(f'id{n},"It was, dark {n}",{("EAP", "HPL", "MWS")[n % 3]}\n' for n in range(30))
    write_tree(tmp_path / "given", {"train.zip": zipped({"train.csv": f"id,text,author\n{rows}"})})
    place = Competitions(tmp_path / "data").prepare(
        "spooky-author-identification", raw=tmp_path / "given"
    )
    _, test = upstream([f"id{n}" for n in range(30)], test_size=0.1)
    answers = read_text_table(place / "private/answers.csv")
    assert answers["id"].to_list() == test
    assert answers.columns == ["id", "author"]
    sample = read_text_table(place / "public/sample_submission.csv")
    assert sample.rows()[0] == (
        test[0],
        "0.403493538995863",
        "0.287808366106543",
        "0.308698094897594",
    )
