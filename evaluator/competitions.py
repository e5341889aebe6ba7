"""A competition's score, from two files: strictly, or as MLE-bench does it.

It imports what is slow to import, and reads what an agent wrote: it belongs into a worker.
"""

from math import inf, isnan
from pathlib import Path

from proctor.evaluator.answers import ANY_NUMBER, read_answers, submitted_types, target_types
from proctor.evaluator.documents import shown
from proctor.evaluator.earned import Measured
from proctor.evaluator.medals import rounded
from proctor.evaluator.metrics import METRICS
from proctor.evaluator.submissions import aligned, read_csv
from proctor.evaluator.upstream import upstream_score
from proctor.evaluator.values import (
    further_values,
    predicted_values,
    score_values,
    true_values,
)
from proctor.schemas.competition import Compat, Competition
from proctor.schemas.errors import SubmissionError

EXTRA_ROWS = 20
"""How many times the answers' rows a table may have, where further ids are passed over."""


def measure(
    competition: Competition, submission: Path, answers: Path, compat: Compat = "strict"
) -> Measured:
    """Score a submission; what is wrong with it is the result's reason.

    Raises:
        TaskError: The answers cannot be read, or cannot be scored against.
    """
    score = upstream_score if compat == "upstream" else strict_score
    try:
        if not submission.is_file() or submission.suffix.lower() != ".csv":
            return Measured(None, f"there is no CSV file {shown(submission.name)}", exists=False)
        return Measured(rounded(score(competition, submission, answers)))
    except SubmissionError as error:
        return Measured(None, str(error))
    except OSError as error:
        return Measured(None, f"{shown(submission.name)} cannot be read: {error.strerror}")


def strict_score(competition: Competition, submission: Path, answers: Path) -> float:
    """The score of a submission whose rows are aligned by id.

    Raises:
        SubmissionError: It has not the form asked for, or no number comes of it.
        TaskError: The answers have not.
    """
    form, name = competition.form, submission.name
    truth = read_answers(competition, answers)
    most = truth.height * (EXTRA_ROWS if form.unknown == "ignored" else 2) + 1
    wanted = (*form.ids, *form.targets)
    table = read_csv(submission, name, wanted, most, *submitted_types(competition, truth))
    table = aligned(table, truth, form, name)
    arrays = (
        true_values(competition, truth),
        predicted_values(competition, truth, table, name),
        further_values(competition, truth),
    )
    found = score_values(competition, arrays, competition.metric.settings, name)
    worst = -inf if METRICS[competition.metric.name].higher_is_better else inf
    if isnan(found) or found == worst:
        said = "undefined" if isnan(found) else "infinite"
        raise SubmissionError(f"{name}: {competition.metric.name} is {said} for such predictions")
    return found


def check_form(competition: Competition, submission: Path, sample: bytes) -> None:
    """Check columns, ids and types against a submission that is known to have them.

    The answers are no part of it, so that nothing of them can be told.

    Raises:
        SubmissionError: It has not the form asked for.
    """
    form = competition.form.model_copy(update={"truth": (), "gathered": (), "one_hot": False})
    asked, name = competition.model_copy(update={"form": form}), submission.name
    wanted, types = (*form.ids, *form.targets), target_types(asked)
    truth = read_csv(sample, "the sample", wanted, ANY_NUMBER, types)
    most = truth.height * (EXTRA_ROWS if form.unknown == "ignored" else 2) + 1
    table = aligned(read_csv(submission, name, wanted, most, types), truth, form, name)
    predicted_values(asked, truth, table, name)
