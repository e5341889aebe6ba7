"""Whether files that were made are those that a leaderboard was made with, and can be graded."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from proctor.evaluator.answers import check_answers
from proctor.evaluator.competitions import measure
from proctor.evaluator.earned import Measured
from proctor.evaluator.medals import Award, award
from proctor.evaluator.metrics import METRICS
from proctor.schemas.competition import Competition
from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.definition import CHECKSUMS, DESCRIPTION, Definition
from proctor.tasks.competitions.prepared import ANSWERS, PRIVATE, PUBLIC, REFERENCE, SAMPLE
from proctor.tasks.competitions.sources.images import with_images_folded


def sums(files: Mapping[str, bytes]) -> dict[str, str]:
    """The SHA-256 of each file but the description, on which no score depends: authors may edit it.

    Of all the images in a folder there is one, of what they show.
    """
    folded = with_images_folded(files)
    return {
        name: hashlib.sha256(folded[name]).hexdigest()
        for name in sorted(folded)
        if name != f"{PUBLIC}/{DESCRIPTION}"
    }


def write_sums(place: Path, files: Mapping[str, bytes]) -> None:
    """Write down beside a declaration what its files are."""
    (place / CHECKSUMS).write_text(json.dumps(sums(files), indent=2) + "\n", "utf-8")


def check_sums(definition: Definition, files: Mapping[str, bytes]) -> None:
    """Check that files are those that the leaderboard was made with.

    Raises:
        TaskError: They are others.
    """
    said, is_ = dict(definition.checksums), sums(files)
    names = said.keys() | is_.keys()
    if wrong := sorted(each for each in names if said.get(each) != is_.get(each)):
        raise TaskError(
            f"{definition.place}: these files are not those that its leaderboard was made with, "
            f"perhaps through another version of numpy or scikit-learn: {', '.join(wrong)}"
        )


def check_provable(definition: Definition, files: Mapping[str, bytes]) -> None:
    """Check that the answers win gold, and that the sample is valid and wins no medal.

    Raises:
        TaskError: It is not so.
    """
    competition = definition.competition
    if METRICS[competition.metric.name].higher_is_better == competition.lower_is_better:
        raise TaskError(f"{definition.place}: lower_is_better is not as the metric has it")
    for name, gold in ((f"{PRIVATE}/{REFERENCE}", True), (f"{PUBLIC}/{SAMPLE}", False)):
        measured, won = won_by(competition, files, name)
        if measured.score is None or won.gold != gold or won.any != gold:
            said = measured.reason or f"scores {measured.score}"
            raise TaskError(f"{definition.place}: {name} {said}: gold expected: {gold}")


def won_by(
    competition: Competition, files: Mapping[str, bytes], name: str
) -> tuple[Measured, Award]:
    """What one of a competition's files, handed in, scores and wins.

    Raises:
        TaskError: The answers are not what grading needs.
    """
    with TemporaryDirectory(prefix="proctor-prepare-") as root:
        answers, submission = Path(root, ANSWERS), Path(root, "submission.csv")
        answers.write_bytes(files[f"{PRIVATE}/{ANSWERS}"])
        check_answers(competition, answers)
        submission.write_bytes(files[name])
        measured = measure(competition, submission, answers)
    lower = competition.lower_is_better
    return measured, award(measured.score, competition.medals, lower_is_better=lower)
