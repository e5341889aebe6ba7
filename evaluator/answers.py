"""A competition's answers, as one row for each id: they are ours, and yet checked."""

import json
from pathlib import Path
from typing import Any

import polars as pl

from proctor.evaluator.metrics import METRICS
from proctor.evaluator.submissions import Types, read_csv
from proctor.schemas.competition import Competition, Form
from proctor.schemas.errors import SubmissionError, TaskError

ANY_NUMBER = (1 << 31) - 2
"""Of rows, where nobody limits them."""
NO_ANSWER = -1


def read_answers(competition: Competition, answers: Path) -> pl.DataFrame:
    """The answers' ids, truth and further columns, as text.

    Raises:
        TaskError: They lack a column, or are no table.
    """
    form = competition.form
    try:
        if answers.suffix == ".jsonl":
            rows = span_answers(answers.read_text("utf-8"))
            return pl.DataFrame(rows, schema=[*form.ids, *form.targets], orient="row")
        wanted = dict.fromkeys((*form.answer_columns, *competition.metric.answer_columns))
        plain = not (form.truth or form.gathered or form.one_hot)
        numbers: Types = target_types(competition) if plain else {}
        ids: Types = dict.fromkeys(form.ids, pl.Int64)
        codes: Types = dict.fromkeys(form.targets, pl.Int64) if plain else {}
        tried: list[Types] = [{**ids, **numbers}, numbers]
        if _may_be_codes(competition):
            tried = [{**ids, **codes}, ids, codes]
        table = read_csv(answers, answers.name, tuple(wanted), ANY_NUMBER, *tried)
    except (SubmissionError, OSError, ValueError, KeyError, IndexError) as error:
        raise TaskError(f"the answers of {competition.id} cannot be read: {error}") from error
    return gathered(table, form) if form.gathered else table


def target_types(competition: Competition) -> Types:
    """What a submission's targets are read as."""
    reads = METRICS[competition.metric.name].reads
    return (
        {} if reads in ("text", "labels") else dict.fromkeys(competition.form.targets, pl.Float64)
    )


def submitted_types(competition: Competition, truth: pl.DataFrame) -> tuple[Types, ...]:
    """What a submission's columns are read as, beside answers, in the order of trying."""
    form, numbers = competition.form, target_types(competition)
    ids: Types = {each: pl.Int64 for each in form.ids if truth[each].dtype == pl.Int64}
    codes: Types = {
        each: pl.Int64
        for each in form.targets
        if each in truth.columns and truth[each].dtype == pl.Int64
    }
    return ({**ids, **numbers, **codes}, {**ids, **numbers}, numbers)


def _may_be_codes(competition: Competition) -> bool:
    """Whether labels may be whole numbers, which are several times as fast as text."""
    return METRICS[competition.metric.name].reads == "labels" and not competition.form.first_token


def check_answers(competition: Competition, answers: Path) -> None:
    """Check what grading takes for granted: that answers have rows, and each id one of its own.

    Raises:
        TaskError: They have not.
    """
    table = read_answers(competition, answers)
    if not table.height:
        raise TaskError(f"the answers of {competition.id} have no rows")
    ids = table.select(competition.form.ids)
    if competition.form.repeated == "invalid" and ids.n_unique() < ids.height:
        raise TaskError(f"the answers of {competition.id} have an id twice")


def gathered(table: pl.DataFrame, form: Form) -> pl.DataFrame:
    """One row for each id, in the order they first come, whose cell holds all its rows' tokens."""
    tokens = pl.concat_str(pl.col(form.gathered), separator=" ").str.join(" ")
    return table.group_by(form.ids, maintain_order=True).agg(tokens.alias(form.targets[0]))


def span_answers(lines: str) -> list[tuple[str, str]]:
    """Natural Questions as simplified by Kaggle: two rows for each example, long and short.

    Only the first annotation of an example is read, as MLE-bench does.
    """
    rows: list[tuple[str, str]] = []
    for line in lines.splitlines():
        if line.strip():
            example: dict[str, Any] = json.loads(line)
            marked: dict[str, Any] = example["annotations"][0]
            short = [_span(each) for each in marked["short_answers"]]
            if marked["yes_no_answer"] != "NONE":
                short.append(str(marked["yes_no_answer"]))
            long = marked["long_answer"]
            is_there = long["start_token"] != NO_ANSWER
            rows.append((f"{example['example_id']}_long", _span(long) if is_there else ""))
            rows.append((f"{example['example_id']}_short", " ".join(short)))
    return rows


def _span(answer: dict[str, Any]) -> str:
    return f"{int(answer['start_token'])}:{int(answer['end_token'])}"
