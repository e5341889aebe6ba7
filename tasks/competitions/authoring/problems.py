"""What is wrong with a table, which is an error, and what is odd about it, which is told."""

import re
from collections.abc import Iterator

import numpy as np
import polars as pl

from proctor.evaluator.documents import listed, shown
from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.authoring.request import Request
from proctor.tasks.competitions.sources.splits import Parts
from proctor.tasks.competitions.sources.table import TIME

FEW_ROWS_OF_CLASS = 10
FEW_TEST_ROWS = 100
FEW_GROUPS = 5


def check_target(cells: pl.Series) -> None:
    """Check that each row has a label, and not all the same.

    Raises:
        TaskError: It is not so.
    """
    if empty := cells.null_count():
        raise TaskError(
            f"--target {cells.name}: {empty} of {len(cells)} rows have no value: an empty cell, or "
            "one that is read as missing, such as NA or None; fill them or leave these rows out"
        )
    if cells.n_unique() == 1:
        raise TaskError(f"--target {cells.name}: every row has {shown(cells[0])}")


def usable_ids(table: pl.DataFrame, request: Request) -> tuple[str, list[str]]:
    """The column that ids are taken from, or none where they stand twice; and what to tell.

    Raises:
        TaskError: Cells are empty, or fractions.
    """
    if not request.ids:
        names = [
            c.name
            for c in table.drop(request.used).iter_columns()
            if re.search(r"(^|_)id$|^index$", c.name.lower()) and c.n_unique() == table.height
        ]
        hint = (
            f"{names[0]} differs in every row; if it is an id, say --ids {names[0]}"
            if names
            else ""
        )
        return "", [hint] if hint else []
    ids = table[request.ids]
    if ids.null_count():
        raise TaskError(f"--ids {ids.name}: {ids.null_count()} rows have none; fill them")
    if ids.dtype == pl.Float64:
        raise TaskError(f"--ids {ids.name}: ids are whole numbers or text, not {ids[0]}")
    if twice := ids.filter(ids.is_duplicated()).unique(maintain_order=True).to_list():
        return "", [
            f"{ids.name} has {len(twice)} values in more than one row ({listed(twice, 3)}), so "
            "rows get new ids; to keep the rows of one in one part, say --split group --by "
            f"{ids.name}"
        ]
    target = table.sort(ids.name)[request.target]
    in_runs = target.rle_id().n_unique() == target.n_unique() < table.height
    if in_runs or target.is_sorted() or target.is_sorted(descending=True):
        return ids.name, [
            f"rows sorted by {ids.name} are sorted by {target.name}, too, which gives answers "
            f"away: leave --ids out, and say --drop {ids.name}"
        ]
    return ids.name, []


def check_split_column(table: pl.DataFrame, request: Request) -> None:
    """Check what the split goes by.

    Raises:
        TaskError: It cannot go by that.
    """
    if request.by == "rows":
        return
    cells = table[request.column]
    what = "group" if request.by == "group" else "point in time"
    if cells.null_count():
        raise TaskError(f"--by {cells.name}: {cells.null_count()} rows have no {what}; fill them")
    if cells.n_unique() == 1:
        raise TaskError(f"--by {cells.name}: there is one {what} only, {shown(cells[0])}")
    if request.by == "time" and cells.dtype == pl.String:
        found = {each: TIME.fullmatch(each) for each in cells.unique()}
        if odd := sorted(each for each, match in found.items() if not match):
            raise TaskError(
                f"--by {cells.name}: {shown(odd[0])} does not sort as time does; write it as in "
                "2024-03-14 or 2024-03-14T15:09:26"
            )
        if len({each[4:5] for each in found} - {""}) > 1:
            raise TaskError(f"--by {cells.name}: dates are written in several ways; choose one")


def told_of_parts(
    table: pl.DataFrame, parts: Parts, request: Request, *, classes: bool, both: bool
) -> list[str]:
    """What is odd about how the rows were split.

    Args:
        table: All rows.
        parts: The split.
        request: What was asked for.
        classes: Whether the target is a label.
        both: Whether the test must have two of them.

    Raises:
        TaskError: Nobody could learn it, or it could not be scored.
    """
    told = list(_few(table, parts, request))
    if not classes:
        return told
    target = table[request.target].cast(pl.String)
    train, test = set(target[parts.train]), set(target[parts.test])
    remedy = "add rows of it, or take another --seed, --test or --split"
    if unseen := sorted(test - train):
        raise TaskError(f"--target {target.name}: no training row has {listed(unseen)}; {remedy}")
    if missing := sorted(train - test):
        said = f"--target {target.name}: no row of the test has {listed(missing)}"
        if both:
            raise TaskError(f"{said}; {remedy}")
        told.append(said)
    rare = target.value_counts().filter(pl.col("count") < FEW_ROWS_OF_CLASS)[target.name]
    if len(rare):
        told.append(
            f"fewer than {FEW_ROWS_OF_CLASS} rows have {listed(rare.sort())} as {target.name}"
        )
    return told


def _few(table: pl.DataFrame, parts: Parts, request: Request) -> Iterator[str]:
    if len(parts.test) < FEW_TEST_ROWS:
        yield f"the test has {len(parts.test)} rows: scores on so few are mostly luck"
    if request.by == "group" and (groups := table[request.column].n_unique()) < FEW_GROUPS:
        yield f"{request.column} has {groups} groups: a test of so few says little about others"


def told_of_leaks(table: pl.DataFrame, request: Request) -> Iterator[str]:
    """Columns that say what the target is."""
    target = table[request.target]
    labels = target.dtype == pl.String or target.n_unique() <= table.height // 2
    for cells in table.drop(request.target, *filter(None, [request.ids])).iter_columns():
        if cells.equals(target):
            how = "is equal to"
        elif labels and (_bijective(cells, target) or _bijective(cells.is_null(), target)):
            how = "goes one to one with"
        elif not labels and _goes_along(cells, target):
            how = "rises and falls with"
        else:
            continue
        yield (
            f"{cells.name} {how} {target.name}, and so gives it away; unless that is wanted, say "
            f"--drop {cells.name}"
        )


def _bijective(cells: pl.Series, target: pl.Series) -> bool:
    count = target.n_unique()
    pairs = pl.DataFrame({"cells": cells, "target": target}).n_unique()
    return cells.n_unique() == pairs == count


def _goes_along(cells: pl.Series, target: pl.Series) -> bool:
    """Whether numbers stand in the order of the target throughout, or in the opposite one."""
    if not cells.dtype.is_numeric() or cells.null_count() or cells.n_unique() != target.n_unique():
        return False
    steps = np.diff(cells.to_numpy()[np.argsort(target.to_numpy(), kind="stable")])
    ties = np.diff(np.sort(target.to_numpy())) == 0
    return bool((steps[~ties] > 0).all() or (steps[~ties] < 0).all()) and not steps[ties].any()
