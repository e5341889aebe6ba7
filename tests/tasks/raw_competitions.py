"""Small competitions with raw files, to try recipes on."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from proctor.tasks.competitions.library import Competitions

HEAD = """
id = "small"
title = "Small"
summary = "Small rows."
category = "low"
asked = "a number"
measures = "something"
lower_is_better = false
medals = { gold = 1.0, silver = 0.9, bronze = 0.8, median = 0.7, teams = 10 }
"""
FORM = """
form = { ids = ["id"], targets = ["y"] }
metric = { name = "roc_auc" }
"""
RAW = """
[raw]
files = ["train.csv"]
"""
TABLES = """
[recipe.tables]
"train.csv" = { part = "train" }
"test.csv" = { part = "test", drop = ["y"] }
"""
SAMPLE = """
[recipe.sample]
value = 0.5
"""
SPLIT = 'split = { by = "rows", test = 0.25, seed = 0 }\n'
RECIPE = '[recipe]\ntable = "train.csv"\n'
TRAIN = "id,x,y\n" + "".join(f"a{n},{n}.50,{n % 2}\n" for n in range(20))


def plain(
    *parts: str, form: str = FORM, raw: str = RAW, split: str = SPLIT, tables: str = TABLES
) -> str:
    """A declaration whose recipe begins as most do, with further parts before its tables."""
    return HEAD + form + raw + RECIPE + split + "".join(parts) + tables


class Small:
    """One competition, where it is declared, its raw files and its data."""

    def __init__(self, root: Path, declared: str, files: Mapping[str, str | bytes]) -> None:
        """Write declaration and raw files."""
        place = root / "declared" / "small"
        self.raw = root / "given"
        write_tree(place, {"competition.toml": declared, "description.md": "Rows."})
        write_tree(self.raw, files)
        self.raw.mkdir(exist_ok=True)
        self.library = Competitions(root / "data", [place.parent])

    def prepared(self) -> Path:
        """Its prepared directory."""
        return self.library.prepare("small", raw=self.raw)

    def table(self, path: str) -> pl.DataFrame:
        """A prepared CSV file, as text."""
        return read_text_table(self.prepared() / path)

    def column(self, path: str, column: str) -> list[str]:
        """The cells of a column of such."""
        return self.table(path)[column].to_list()

    def public(self) -> list[str]:
        """The paths of all that agents are given."""
        return tree(self.prepared() / "public")


def write_tree(root: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files by path."""
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)


def tree(root: Path) -> list[str]:
    """The paths of all files below a folder."""
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def read_text_table(path: Path) -> pl.DataFrame:
    """A CSV file with text cells."""
    return pl.read_csv(path, infer_schema=False, empty_string_is_null=False)


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    """A .zip archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


def upstream(rows: Sequence[Any], **sizes: Any) -> tuple[list[Any], list[Any]]:
    """What scikit-learn draws of rows in a list."""
    from importlib import import_module  # noqa: PLC0415 - it has no types

    selection: Any = import_module("sklearn.model_selection")
    train, test = selection.train_test_split(rows, random_state=sizes.pop("seed", 0), **sizes)
    return list(train), list(test)
