"""File to score of a submission of a million rows, against pandas and scikit-learn, in turns.

``python benchmarks/competition.py [--rows N] [--rounds N] [--json FILE]`` prints, for each kind of
metric, the medians and the median ratio round by round; the aim is at least 3. Both sides read the
submission and the answers, align them by id, and score; both are warm, as a grading worker is. The
ratio of processor time says how they compare where every core is busy with something else.
Memory is the peak of a process that does nothing else, less what its imports hold.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn import metrics

from proctor.evaluator.competitions import strict_score
from proctor.schemas.competition import Competition

SEED = 20261121
AIM = 3.0
SAME_WITHIN = 1e-9
Score = Callable[[Path, Path], float]
PLAIN: dict[str, Callable[[pd.Series, pd.Series], float]] = {
    "roc_auc": metrics.roc_auc_score,
    "rmse": metrics.root_mean_squared_error,
    "f1_macro": lambda truth, said: metrics.f1_score(truth, said, average="macro"),
    "accuracy": metrics.accuracy_score,
}


def competition(metric: str) -> Competition:
    """A competition of one target."""
    return Competition.model_validate(
        {
            "id": f"bench-{metric.replace('_', '-')}",
            "name": metric,
            "category": "benchmark",
            "form": {"ids": ["id"], "targets": ["target"]},
            "metric": {"name": metric},
            "medals": {"gold": 1, "silver": 1, "bronze": 1, "median": 1, "teams": 1},
            "lower_is_better": metric == "rmse",
        }
    )


def ours(metric: str) -> Score:
    """Proctor's way."""
    task = competition(metric)
    return lambda submission, answers: strict_score(task, submission, answers)


def plain(metric: str) -> Score:
    """The plain way: two tables, an inner join, and the metric."""

    def score(submission: Path, answers: Path) -> float:
        both = pd.read_csv(answers).merge(pd.read_csv(submission), on="id", suffixes=("", "_said"))
        return float(PLAIN[metric](both["target"], both["target_said"]))

    return score


def write(metric: str, ids: str, rows: int, root: Path) -> tuple[Path, Path]:
    """A submission, in another order, and its answers."""
    rng = np.random.default_rng(SEED)
    keys = [f"{n:012x}.png" for n in rng.permutation(rows)] if ids == "text" else np.arange(rows)
    labels = {
        "roc_auc": (rng.integers(0, 2, rows), rng.random(rows)),
        "rmse": (rng.normal(size=rows), rng.normal(size=rows)),
        "f1_macro": (rng.integers(0, 1000, rows), rng.integers(0, 1000, rows)),
        "accuracy": tuple(rng.choice(["cat", "dog", "horse"], rows) for _ in range(2)),
    }
    truth, said = labels[metric]
    answers, submission = root / "answers.csv", root / "submission.csv"
    pd.DataFrame({"id": keys, "target": truth}).to_csv(answers, index=False)
    shuffled = pd.DataFrame({"id": keys, "target": said}).sample(frac=1, random_state=1)
    shuffled.to_csv(submission, index=False)
    return submission, answers


def peak_mib(which: str, metric: str, submission: Path, answers: Path) -> float:
    """The memory that a fresh process takes for one score, in MiB."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (which, metric, submission, answers))


def _peak(which: str, metric: str, submission: Path, answers: Path) -> float:
    before = _status("VmRSS")
    (ours if which == "ours" else plain)(metric)(submission, answers)
    return (_status("VmHWM") - before) / 1024


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


class Timed(NamedTuple):
    """A score, and what it took."""

    wall_s: float
    cpu_s: float
    score: float


def timed(score: Score, files: tuple[Path, Path]) -> Timed:
    """Score once."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = score(*files)
    return Timed(time.perf_counter() - wall, time.process_time() - cpu, found)


def compare(metric: str, ids: str, rows: int, rounds: int) -> dict[str, object]:
    """One row of the table."""
    with TemporaryDirectory() as place:
        files = write(metric, ids, rows, Path(place))
        sides = (ours(metric), plain(metric))
        pairs = [[timed(side, files) for side in sides] for _ in range(rounds + 1)][1:]
        if abs(pairs[0][0].score - pairs[0][1].score) > SAME_WITHIN:
            raise SystemExit(f"the scores of {metric} differ: {pairs[0]}")
        memory = [peak_mib(which, metric, *files) for which in ("ours", "plain")]
    return {
        "metric": metric,
        "ids": ids,
        "rows": rows,
        "ours_s": round(statistics.median(a.wall_s for a, _ in pairs), 3),
        "plain_s": round(statistics.median(b.wall_s for _, b in pairs), 3),
        "ratio": round(statistics.median(b.wall_s / a.wall_s for a, b in pairs), 2),
        "cpu_ratio": round(statistics.median(b.cpu_s / a.cpu_s for a, b in pairs), 2),
        "ours_mib": round(memory[0]),
        "plain_mib": round(memory[1]),
    }


def compare_all(rows: int, rounds: int) -> list[dict[str, object]]:
    """Every row of the table, printed as it comes."""
    table: list[dict[str, object]] = []
    for metric in PLAIN:
        for ids in ("text", "number"):
            table.append(compare(metric, ids, rows, rounds))
            print("  ".join(f"{key} {value}" for key, value in table[-1].items()), flush=True)
    return table


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = compare_all(given.rows, given.rounds)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2), "utf-8")
    if min(float(str(row["ratio"])) for row in rows) < AIM:
        sys.exit(f"a ratio is below the aim of {AIM}")


if __name__ == "__main__":
    main()
