"""``proctor competitions grade`` and ``report``: leaderboards, lists, and shares of medals."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from proctor.clients.cli import app
from proctor.clients.reports.competitions import MEASURES, of_rows, split_results
from proctor.clients.reports.rows import Row
from proctor.evaluator.earned import Measured, earned
from proctor.schemas.competition import Competition, GradingReport
from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.grading import read_list
from proctor.tasks.competitions.leaderboards import read_scores
from proctor.tasks.competitions.library import Competitions

Proctor = Callable[..., Result]
ONE = "cell-samples"
LOWER = "kiln-gas"
NOTHING = dict.fromkeys(MEASURES, False)
SILVER: dict[str, bool] = dict.fromkeys(
    ("submission_exists", "valid_submission", "above_median", "silver_medal", "any_medal"), True
)
ROW = Row(
    agent="a", model="m", task=f"competition/{ONE}", kind="competition", category="low", epoch=1,
    outcome="scored", score=1.0, points_graded=100, criteria=5, criteria_ungraded=0,
    criteria_invalid=0, prompt_tokens=1, reply_tokens=1, cost_usd=0.0, duration_s=1.0, error=None,
    task_digest=None, session_id=None,
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("competitions")
    for name in (ONE, LOWER):
        Competitions(place).prepare(name)
    return place


@pytest.fixture
def proctor(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> Proctor:
    """Runs a command in a directory with a reference and a sample submission."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROCTOR_COMPETITIONS", str(data))
    (tmp_path / "lists").mkdir()
    for name in ("reference.csv", "sample_submission.csv"):
        (tmp_path / "lists" / name).write_bytes(next((data / ONE).rglob(name)).read_bytes())
    best = next((data / LOWER).rglob("reference.csv"))
    (tmp_path / "lists" / f"{LOWER}.csv").write_bytes(best.read_bytes())

    def run(*arguments: str, expect: int = 0) -> Result:
        done = CliRunner().invoke(app, ["competitions", *arguments], catch_exceptions=False)
        assert done.exit_code == expect, done.output
        return done

    return run


def reports(*reached: Mapping[str, bool], ids: tuple[str, ...] = (ONE,)) -> dict[str, Any]:
    """A file of reports as MLE-bench writes it, of so many seeds of each competition."""
    each = [{"competition_id": i, **NOTHING, **one, "score": 0.5} for one in reached for i in ids]
    return {"total_runs": len(each), "competition_reports": each}


def records(done: Result) -> dict[str, dict[str, Any]]:
    return {each["split"]: each for each in json.loads(done.stdout)["records"]}


# Leaderboards


@pytest.mark.parametrize("column", ["score", "Score"])
def test_a_leaderboard_gives_rank_and_percentile_and_leaves_the_thresholds(
    proctor: Proctor, tmp_path: Path, column: str
) -> None:
    told = ["grade", "lists/sample_submission.csv", ONE, "--json"]
    before = json.loads(proctor(*told).stdout)
    (tmp_path / "board.csv").write_text(f"team,{column}\na,0.9\nb,0.5\nc,0.4\nd,0.3\n", "utf-8")
    found = json.loads(proctor(*told, "--leaderboard", "board.csv").stdout)
    assert (found["rank"], found["percentile"]) == (2, 50)
    changed = {key for key in found if found[key] != before[key]}
    assert changed - {"created_at"} <= {"rank", "percentile"}


@pytest.mark.parametrize(
    ("competition", "text", "problem"),
    [
        (ONE, "", "no column 'score'; it is empty"),
        (ONE, "team,points\na,1\n", "no column 'score'; it has 'team', 'points'"),
        (ONE, "score\n", "it has no scores"),
        (ONE, "score\n0.9\nhigh\n", "line 3: the score 'high' is no finite number"),
        (ONE, "score\n0.9\nnan\n", "line 3: the score 'nan' is no finite number"),
        (ONE, "team,score\na,0.9\nb\n", "line 3: the score '' is no finite number"),
        (ONE, "score\n0.1\n0.2\n", "begins with its worst score, 0.1; sort it so that the highest"),
        (ONE, "score\n0.3\n0.1\n0.2\n", "score 3, 0.2, is better than the one before, 0.1"),
        (LOWER, "score\n2\n1\n", "begins with its worst score, 2; sort it so that the lowest"),
        (LOWER, "score\n1\n3\n2\n", "score 3, 2, is better than the one before, 3"),
    ],
)
def test_a_leaderboard_that_makes_no_sense_is_refused(
    proctor: Proctor, tmp_path: Path, competition: str, text: str, problem: str
) -> None:
    (tmp_path / "board.csv").write_text(text, "utf-8")
    said = ["grade", "lists/reference.csv", competition, "--leaderboard", "board.csv"]
    assert problem in proctor(*said, expect=2).stderr


@given(
    st.lists(
        st.sampled_from(
            [b"score", b"Score", b"team", b"0.5", b"1_0", "\u0663".encode(), b"nan", b"1e999",
             b"\0", b",", b'"', b"\n", b"\r\n", b"\r", b"\xff", b"\xef\xbb\xbf", b"x" * 200_000]
        ),
        max_size=12,
    )
)  # fmt: skip
def test_any_leaderboard_has_finite_scores_or_is_refused(parts: list[bytes]) -> None:
    with TemporaryDirectory() as place:
        path = Path(place) / "board.csv"
        path.write_bytes(b"".join(parts))
        try:
            assert all(math.isfinite(each) for each in read_scores(path, lower_is_better=False))
        except TaskError as error:
            assert len(str(error)) < 1000  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("score\n" + "9" * 200_000, "in line 2: field larger"),
        ("x" * 200_000, "in line 1: field larger"),
        ("score\n1_0\n", "'1_0' is no finite number"),
        ("score\n\u0663\n", "is no finite number"),
        ('score\n"1\n2"\n', "is no finite number"),
        ("score,score\n1,2\n", "'score' stands twice"),
    ],
)
def test_a_leaderboard_whose_scores_are_not_plain_is_refused(
    tmp_path: Path, text: str, problem: str
) -> None:
    (tmp_path / "board.csv").write_text(text, "utf-8")
    with pytest.raises(TaskError, match=problem):
        read_scores(tmp_path / "board.csv", lower_is_better=False)


def test_a_leaderboard_of_one_team_is_taken_with_a_warning(
    proctor: Proctor, tmp_path: Path
) -> None:
    (tmp_path / "board.csv").write_text("score\n0.9\n", "utf-8")
    said = ["grade", "lists/reference.csv", ONE, "--leaderboard", "board.csv", "--json"]
    done = proctor(*said)
    assert "one team" in done.stderr
    assert (json.loads(done.stdout)["rank"], json.loads(done.stdout)["percentile"]) == (1, 100)


@pytest.mark.parametrize("board", ["score\n1\n", "score\n1\n1\n"])
def test_a_leaderboard_that_tells_no_direction_takes_no_medal_away(
    proctor: Proctor, tmp_path: Path, board: str
) -> None:
    said = ["grade", f"lists/{LOWER}.csv", LOWER, "--compat", "upstream", "--json"]
    before = json.loads(proctor(*said).stdout)
    assert before["gold_medal"]
    (tmp_path / "board.csv").write_text(board, "utf-8")
    found = json.loads(proctor(*said, "--leaderboard", "board.csv").stdout)
    assert (found["is_lower_better"], found["gold_medal"]) == (True, True)
    assert found["rank"] == 1


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["lists/reference.csv"], "name the competition"),
        (["lists/reference.csv", "cell-sample"], "did you mean cell-samples?"),
        (["lists/reference.csv", ONE, "--out", "x"], "--out goes with"),
        (["none.jsonl"], "none.jsonl cannot be read"),
        (["list.jsonl", "--leaderboard", "x"], "--leaderboard goes with one submission"),
        (["list.jsonl"], "asks for nothing"),
        (["lists/reference.csv", ONE, "--leaderboard", "none.csv"], "none.csv"),
    ],
)
def test_what_grade_cannot_do_is_said(
    proctor: Proctor, tmp_path: Path, arguments: list[str], problem: str
) -> None:
    (tmp_path / "list.jsonl").write_text("# nothing\n\n", "utf-8")
    assert problem in proctor("grade", *arguments, expect=2).stderr


# Lists


LINES = f"""\
# what an agent made
{{"competition_id": "{ONE}", "submission_path": "reference.csv", "logs_path": "x"}}

// and what it did not
{{"competition_id": "{ONE}", "submission_path": null}}
not JSON
{{"competition_id": "cell-sample", "submission_path": "reference.csv"}}
{{"competition_id": "{ONE}", "submission_path": "bad.csv"}}
{{"competition_id": "{ONE}", "submission_path": "none.csv"}}
{{"submission_path": "reference.csv"}}
[1]
{{"competition_id": "{ONE}", "submission_path": "sample_submission.csv"}}
{{"competition_id": "{ONE}", "submission_path": "{"x" * 300}.csv"}}
{{"competition_id": "{ONE}", "submission_path": "\\ud800\\u0000.csv"}}"""


def test_a_bad_line_of_a_list_never_aborts_the_rest(proctor: Proctor, tmp_path: Path) -> None:
    (tmp_path / "lists" / "list.jsonl").write_text(LINES, "utf-8")
    (tmp_path / "lists" / "bad.csv").write_text("sample_id,malignant\n1,x\n", "utf-8")
    done = proctor("grade", "lists/list.jsonl", "--out", "out", expect=1)
    (file,) = (tmp_path / "out").glob("*-GMT_grading_report.json")
    found = GradingReport.model_validate_json(file.read_text("utf-8"))
    known = [
        (each.submission_exists, each.valid_submission, each.gold_medal)
        for each in found.competition_reports
    ]
    assert known == [
        (True, True, True),
        (False, False, False),
        (True, False, False),
        (False, False, False),
        (True, True, False),
        (True, False, False),
        (False, False, False),
    ]
    assert (found.total_runs, found.total_runs_with_submissions) == (7, 4)
    assert (found.total_valid_submissions, found.total_gold_medals, found.total_medals) == (2, 1, 1)
    assert found.competition_reports[1].submission_path is None
    assert {each.line: each.competition_id for each in found.ungraded} == {
        6: None, 7: "cell-sample", 10: None, 11: None,
    }  # fmt: skip
    assert "line 6 is not graded: not JSON" in done.stderr
    assert "line 7 (cell-sample) is not graded: there is no competition" in done.stderr
    assert "did you mean cell-samples?" in done.stderr
    assert "line 10 is not graded: competition_id" in done.stderr


ODD: dict[str, bytes] = {
    "no UTF-8": b'{"competition_id": "cell-samples", "submission_path": "\xff.csv"}',
    "NULs": b"\0\0\0",
    "deep": b"[" * 50_000,
    "a surrogate": b'{"competition_id": "\\ud800", "submission_path": "reference.csv"}',
    "digits": b'{"competition_id": ' + b"9" * 5000 + b"}",
    "a list": b'{"competition_id": ["cell-samples"], "submission_path": "reference.csv"}',
    "a path": b'{"competition_id": "../cell-samples", "submission_path": "reference.csv"}',
    "long": b'{"competition_id": "' + b"x" * 900_000 + b'", "submission_path": null}',
    "very long": b'"' + b"x" * (2 << 20) + b'"',
    "terminal": b'{"competition_id": "\\u001b[2J", "submission_path": null}',
    "a number": b'{"competition_id": "cell-samples", "submission_path": 7}',
}


def test_odd_lines_of_a_list_are_told_in_bounds_and_cost_the_others_nothing(
    proctor: Proctor, tmp_path: Path
) -> None:
    good = f'{{"competition_id": "{ONE}", "submission_path": "reference.csv"}}'.encode()
    lines = [good, *ODD.values(), good]
    (tmp_path / "lists" / "list.jsonl").write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(lines))
    done = proctor("grade", "lists/list.jsonl", "--json", expect=1)
    found = GradingReport.model_validate_json(done.stdout)
    assert [each.gold_medal for each in found.competition_reports] == [True, True]
    assert [each.line for each in found.ungraded] == list(range(2, len(ODD) + 2))
    for each, name in zip(found.ungraded, ODD, strict=True):
        assert len(each.error) < 500, name
        assert len(each.competition_id or "") < 500, name
    said = proctor("grade", "lists/list.jsonl", expect=1).stderr
    assert "\x1b" not in said
    assert "line 2 is not graded: byte 55 of it is not UTF-8" in said


paths = st.sampled_from(
    ["reference.csv", "none.csv", ".", "/dev/zero", "a\0b", "\ud800", "x" * 5000]
)
names = st.sampled_from([ONE, "", "no-such", None, 7, "\ud800"]) | st.text(max_size=9)
objects = st.fixed_dictionaries(
    {"competition_id": names},
    optional={"submission_path": st.none() | paths | st.integers(), "more": st.text(max_size=9)},
)
lines = st.binary(max_size=40) | objects.map(lambda each: json.dumps(each).encode())


@given(st.lists(lines, max_size=6), st.integers(0, 6))
def test_a_list_asks_for_what_its_good_line_asks_whatever_stands_around_it(
    around: list[bytes], at: int
) -> None:
    around = [line.replace(b"\n", b" ") for line in around]
    at = min(at, len(around))
    good = json.dumps({"competition_id": ONE, "submission_path": "reference.csv"}).encode()
    with TemporaryDirectory() as place:
        path = Path(place) / "list.jsonl"
        path.write_bytes(b"\n".join([*around[:at], good, *around[at:]]))
        asked = {each.line: each for each in read_list(path)}
    assert asked[at + 1][1:] == (ONE, Path(place) / "reference.csv", None)
    assert all((each.competition_id is None) == bool(each.problem) for each in asked.values())


@pytest.mark.parametrize("cell", ["[/b]", "[red]high", "\x1b[2J", "\u202e1"])
def test_what_an_agent_wrote_is_no_markup_and_steers_no_terminal(
    proctor: Proctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cell: str
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    header, first, *rest = (tmp_path / "lists" / "reference.csv").read_text("utf-8").splitlines()
    changed = [header, f"{first.split(',')[0]},{cell}", *rest]
    odd = tmp_path / "lists" / "[red].csv"
    odd.write_text("\n".join(changed), "utf-8")
    said = proctor("grade", "lists/[red].csv", ONE, expect=1).stdout
    assert "1 of" in said
    assert "[red].csv" in said
    assert "\x1b" not in said


def test_a_report_says_by_which_rule_and_can_be_aggregated(
    proctor: Proctor, tmp_path: Path
) -> None:
    line = json.dumps({"competition_id": ONE, "submission_path": "reference.csv"})
    (tmp_path / "lists" / "list.jsonl").write_text(f"{line}\n", "utf-8")
    written = proctor("grade", "lists/list.jsonl", "--compat", "upstream", "--json").stdout
    assert json.loads(written)["compat"] == "upstream"
    (file,) = tmp_path.glob("*_grading_report.json")
    assert json.loads(file.read_text("utf-8")) == json.loads(written)
    found = records(proctor("report", file.name, "--json"))
    assert found["these"]["any_medal_percentage"] == 100
    assert found["these"]["compat"] == "upstream"


# Shares of medals


def test_seeds_are_aggregated_as_mle_bench_does_it(proctor: Proctor, tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text(json.dumps(reports(NOTHING)), "utf-8")
    first = reports(SILVER, SILVER)
    first["competition_reports"][0]["score"] = float("nan")  # MLE-bench writes that
    (tmp_path / "a.json").write_text(json.dumps(first), "utf-8")
    whole = records(proctor("report", "b.json", "a.json", "--json"))["these"]
    assert (whole["seeds"], whole["competitions"], whole["compat"]) == (3, 1, "upstream")
    mean, sem = 200 / 3, 100 / 3  # of 100, 100 and 0
    for name in ("any_medal", "silver_medal", "above_median", "valid_submission"):
        assert whole[f"{name}_percentage"] == pytest.approx(mean)
        assert whole[f"{name}_percentage_sem"] == pytest.approx(sem)
    assert whole["any_medal_percentage_low"] == pytest.approx(mean - 1.96 * sem)
    assert whole["any_medal_percentage_high"] == pytest.approx(mean + 1.96 * sem)
    assert whole["gold_medal_percentage"] == whole["gold_medal_percentage_sem"] == 0
    assert "66.7 ± 33.3" in proctor("report", "a.json", "b.json").stdout


def test_only_complete_seeds_count_unless_they_are_padded(proctor: Proctor, tmp_path: Path) -> None:
    whole = reports(SILVER, SILVER, ids=(ONE, LOWER))
    whole["competition_reports"].pop()
    (tmp_path / "a.json").write_text(json.dumps(whole), "utf-8")
    found = records(proctor("report", "a.json", "--json"))
    assert (found["these"]["seeds"], found["these"]["any_medal_percentage"]) == (1, 100)
    assert found["these"]["any_medal_percentage_sem"] == 0
    assert (found["offline"]["seeds"], found["offline"]["any_medal_percentage"]) == (0, None)
    assert "--pad-missing" in proctor("report", "a.json").stdout
    padded = records(proctor("report", "a.json", "--pad-missing", "--json"))
    assert (padded["these"]["seeds"], padded["these"]["any_medal_percentage"]) == (2, 75)
    only = records(proctor("report", "a.json", "--split", "offline", "--pad-missing", "--json"))
    n = only["offline"]["competitions"]
    assert list(only) == ["offline"]
    assert only["offline"]["any_medal_percentage"] == pytest.approx((200 / n + 100 / n) / 2)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nothing", "is not JSON"),
        ("[]", "no grading report"),
        ('{"competition_reports": [{"competition_id": "x"}]}', "competition_reports.0.submission"),
        ('{"competition_reports": []}', "no competition's report"),
    ],
)
def test_what_is_no_report_is_refused(
    proctor: Proctor, tmp_path: Path, text: str, problem: str
) -> None:
    (tmp_path / "a.json").write_text(text, "utf-8")
    assert problem in proctor("report", "a.json", expect=2).stderr


def test_an_unknown_split_is_named(proctor: Proctor) -> None:
    assert "there is no split 'lit'" in proctor("report", "x", "--split", "lit", expect=2).stderr


def test_sessions_count_by_epoch_and_rule_and_what_is_ungraded_is_no_report() -> None:
    competition = Competition.model_validate(
        {
            "id": ONE, "name": "", "category": "low", "metric": {"name": "roc_auc"},
            "form": {"ids": ["id"], "targets": ["x"]}, "lower_is_better": False,
            "medals": {"gold": 0.9, "silver": 0.8, "bronze": 0.7, "median": 0.6, "teams": 5},
        }
    )  # fmt: skip
    won, lost = (earned(competition, Measured(score)) for score in (0.85, 0.1))
    rows = [
        replace(ROW, epoch=2, earned=lost),
        replace(ROW, epoch=1, earned=won),
        replace(ROW, epoch=3, outcome="invalid"),
        replace(ROW, epoch=4, outcome="ungraded"),
        replace(ROW, model="other", earned=earned(competition, Measured(0.95), compat="upstream")),
        replace(ROW, task="alpha", kind="technique"),
    ]
    first, second = split_results(of_rows(rows), {})
    assert (first.who, first.seeds) == (("a", "m", "strict"), 3)
    assert first.shares["any_medal"].mean == pytest.approx(100 / 3)
    assert first.shares["valid_submission"].mean == pytest.approx(200 / 3)
    assert (second.who, second.shares["gold_medal"].mean) == (("a", "other", "upstream"), 100)
