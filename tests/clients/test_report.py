"""``proctor report``, on results as runs write them."""

import csv
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from proctor.clients.cli import app
from proctor.clients.reports.found import find
from proctor.clients.reports.report import print_short
from proctor.schemas.result import RunResult

Proctor = Callable[..., Result]
MODEL = {"agent": "tool_loop", "model": "openai/m"}


@pytest.fixture
def proctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Proctor:
    """Runs a command in the results' directory, and expects its exit code."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, expect: int = 0) -> Result:
        done = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert done.exit_code == expect, done.output
        return done

    return run


def records(proctor: Proctor, *arguments: str, by: str = "model") -> list[dict[str, Any]]:
    done = proctor("report", *arguments, "--by", by, "--format", "json")
    found: list[dict[str, Any]] = json.loads(done.stdout)["records"]
    return found


def test_every_way_of_grouping_has_its_table(proctor: Proctor, results: Any) -> None:
    results.write("run", "alpha", 1.0, category="OUTLIER")
    results.write("run", "beta", 0.5, category="NONE", kind="technique")
    shown = proctor("report", "run").stdout
    for heading in ("by model", "by kind: noop", "by category: noop", "by task: noop"):
        assert heading in shown
    for name in ("alpha", "beta", "OUTLIER", "NONE", "technique", "error_analysis"):
        assert name in shown
    (whole,) = records(proctor, "run")
    assert (whole["mean"], whole["sem"], whole["tasks"], whole["units"]) == (0.75, 0.25, 2, 2)
    assert {r["group"]: r["mean"] for r in records(proctor, "run", by="category")} == {
        "OUTLIER": 1.0, "NONE": 0.5,
    }  # fmt: skip


def test_every_task_weighs_the_same_however_many_scores_it_has(
    proctor: Proctor, results: Any
) -> None:
    for epoch in (1, 2, 3):
        results.write("run", "often", 1.0, epoch)
    results.write("run", "once", 0.0)
    (whole,) = records(proctor, "run")
    assert (whole["scored"], whole["mean"]) == (4, 0.5)


def test_what_has_no_score_stands_beside_the_mean(proctor: Proctor, results: Any) -> None:
    results.write("run", "a", 0.8, states=["scored", "invalid", "ungraded"])
    results.write("run", "b", None, graded=False, error="the sandbox failed")
    results.write("run", "c", None, states=["ungraded", "ungraded"])
    results.write("run", "d", 0.0, states=["invalid", "ungraded"])
    (whole,) = records(proctor, "run")
    assert whole["mean"] == 0.8
    assert (whole["sessions"], whole["scored"], whole["ungraded"], whole["invalid"]) == (4, 1, 2, 1)
    assert whole["mean_with_invalid_as_0"] == 0.4
    assert (whole["criteria_ungraded"], whole["criteria_invalid"]) == (1, 1)
    assert whole["sem"] is None
    assert whole["low"] is None
    shown = proctor("report", "run").stdout
    assert "Invalid hand-ins: 1 of noop, beside the mean; with a score of 0 they" in shown
    assert "Ungraded: b, epoch 1, noop: the sandbox failed" in shown
    assert "Ungraded: c, epoch 1, noop: nothing was graded" in shown


def test_an_invalid_hand_in_is_an_attempt_that_failed_and_an_ungraded_one_none(
    proctor: Proctor, results: Any
) -> None:
    results.write("run", "a", 1.0, 1)
    results.write("run", "a", 0.0, 2, states=["invalid"])
    results.write("run", "a", None, 3, graded=False)
    (whole,) = records(proctor, "run", "--k", "1,2,3", "--pass-at", "0")
    assert (whole["pass@1"], whole["pass@2"], whole["pass^2"]) == (0.5, 1.0, 0.0)
    assert whole["pass@3"] is None
    assert whole["pass_3_tasks"] == 0


def test_a_pass_rate_says_of_how_many_tasks_it_is(proctor: Proctor, results: Any) -> None:
    for epoch, score in enumerate((1.0, 0.7, 0.6, 1.0), start=1):
        results.write("run", "a", score, epoch)
    results.write("run", "b", 0.0)
    (whole,) = records(proctor, "run", "--pass-at", "0.7")
    assert (whole["pass@1"], whole["pass@2"], whole["pass@4"]) == (0.375, 1.0, 1.0)
    assert (whole["pass_1_tasks"], whole["pass_2_tasks"]) == (2, 1)
    assert "1.000 of 1" in proctor("report", "run", "--pass-at", "0.7").stdout


def test_nothing_unknown_is_shown_as_a_number(proctor: Proctor, results: Any) -> None:
    results.write("run", "a", 1.0, tokens=500, cost=0.25, **MODEL)
    results.write("run", "b", 1.0, tokens=None, cost=None, **MODEL)
    results.write("none", "a", 1.0, **MODEL)
    results.write("agent", "a", 1.0)
    row = proctor("report", "run", "--by", "model").stdout.splitlines()[2]
    assert "≥ 1,000" in row
    assert "≥ 0.2500" in row
    assert proctor("report", "none", "--by", "model").stdout.count("unknown  ") == 2
    assert "unknown" not in proctor("report", "agent", "--by", "model").stdout.splitlines()[2]
    (whole,) = records(proctor, "none")
    assert (whole["tokens_known"], whole["cost_usd_known"]) == (None, None)
    assert (whole["tokens_unknown_sessions"], whole["cost_unknown_sessions"]) == (1, 1)
    for form in ("terminal", "csv", "json", "markdown"):
        assert "nan" not in proctor("report", "agent", "--format", form).stdout.lower()


def test_numbers_of_tokens_that_are_none_are_unknown(proctor: Proctor, results: Any) -> None:
    odd = {"prompt_tokens": "many", "reply_tokens": True, "cost_usd": -1}
    results.write("run", "a", 1.0, metadata=odd, **MODEL)
    (whole,) = records(proctor, "run")
    assert (whole["tokens_known"], whole["cost_usd_known"]) == (None, None)


def test_agents_and_models_are_never_mixed(proctor: Proctor, results: Any) -> None:
    results.write("run/one", "a", 1.0, **MODEL)
    results.write("run/two", "a", 0.5, agent="tool_loop", model="openai/n")
    results.write("run/three", "a", 0.0)
    found = records(proctor, "run", by="task")
    assert [(r["agent"], r["model"], r["mean"]) for r in found] == [
        ("noop", None, 0.0), ("tool_loop", "openai/m", 1.0), ("tool_loop", "openai/n", 0.5),
    ]  # fmt: skip


def test_a_result_that_an_agent_handed_in_is_not_one(proctor: Proctor, results: Any) -> None:
    forged = results.write("elsewhere", "a", 1.0).read_text()
    real = results.write("run", "a", 0.0)
    for place in ("submission/workspace", "submission/workspace/b/1", "grades"):
        (real.parent / place).mkdir(parents=True, exist_ok=True)
        (real.parent / place / "result.json").write_text(forged.replace('"s1"', '"s9"'))
    (whole,) = records(proctor, "run")
    assert (whole["sessions"], whole["mean"]) == (1, 0.0)
    real.unlink()
    done = proctor("report", "run", expect=2)
    assert "no result in run" in done.stderr


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"epoch"', '"surprise":1,"epoch"', "surprise: Extra inputs are not permitted"),
        ('"duration_s":2.0', '"duration_s":-1.0', "duration_s: -1.0 is no duration"),
        ('"percentage":100.0', '"percentage":1e6', "1000000.0 is not within 0 and 100"),
        ('"percentage":100.0', '"percentage":NaN', "nan is not within 0 and 100"),
        ("{", "[", "the file: Invalid JSON"),
    ],
)
def test_a_file_that_no_run_wrote_is_refused_and_told(
    proctor: Proctor, results: Any, old: str, new: str, reason: str
) -> None:
    results.write("run", "a", 0.5)
    path = results.write("run", "b", 1.0)
    path.write_text(path.read_text().replace(old, new, 1))
    done = proctor("report", "run", "--format", "json", expect=1)
    assert f"{path.relative_to(Path.cwd())}: no result of a session: " in done.stderr
    assert reason in done.stderr
    assert json.loads(done.stdout)["records"][0]["sessions"] == 1


def test_the_same_session_counts_once_and_an_unfinished_one_is_named(
    proctor: Proctor, results: Any
) -> None:
    path = results.write("run", "a", 0.5)
    copy = path.parents[1] / "copy"
    copy.mkdir()
    (copy / "result.json").write_text(path.read_text())
    (path.parents[1] / "working").mkdir()
    (path.parents[1] / "working" / "session.json").write_text("{}")
    done = proctor("report", "run", "run", str(path.parent))
    assert "Not counted, copies of sessions that are: 1" in done.stdout
    assert "Not counted, without a result (at work, or broken off): run/working" in done.stdout
    (whole,) = records(proctor, "run", "run")
    assert whole["sessions"] == 1


def test_a_report_repeats_byte_for_byte(proctor: Proctor, results: Any, tmp_path: Path) -> None:
    for number in range(6):
        results.write("run", f"t{number}", number / 7, tokens=3, cost=0.1, **MODEL)
    for form in ("terminal", "markdown", "csv", "json"):
        first = proctor("report", "run", "--format", form).stdout_bytes
        assert proctor("report", "run", "--format", form).stdout_bytes == first
    for name in ("1", "2"):
        proctor("report", "run", "--plots", name, "--format", "parquet", "-o", f"{name}.parquet")
    files = [path.name for path in sorted((tmp_path / "1").iterdir())]
    assert files == [
        f"{name}.{form}"
        for name in (
            "score-against-cost", "scores-by-category", "scores-by-kind", "scores-by-model",
            "scores-by-task",
        )
        for form in ("png", "svg")
    ]  # fmt: skip
    for name in files:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()


def test_csv_parquet_and_json_hold_the_same_records(proctor: Proctor, results: Any) -> None:
    results.write("run", "a", 0.25, 1)
    results.write("run", "b", None, graded=False)
    told = records(proctor, "run", by="task")
    rows = list(csv.DictReader(io.StringIO(
        proctor("report", "run", "--by", "task", "--format", "csv").stdout
    )))  # fmt: skip
    proctor("report", "run", "--by", "task", "--format", "parquet", "-o", "x.parquet")
    frame = pd.read_parquet("x.parquet")
    assert list(frame.columns) == list(rows[0]) == list(told[0])
    assert str(frame["sem"].dtype) == "Float64"
    for index, record in enumerate(told):
        for name, value in record.items():
            cell = frame[name].iloc[index]
            assert (None if pd.isna(cell) else cell) == value
            assert rows[index][name] == ("" if value is None else str(value))


def test_sessions_are_listed_one_by_one(proctor: Proctor, results: Any) -> None:
    results.write("run", "a", 0.25, 2, tokens=4, cost=0.5, **MODEL)
    results.write("run", "a", None, 1, graded=False, error="lost", **MODEL)
    done = proctor("report", "run", "--sessions", "--format", "json")
    first, second = json.loads(done.stdout)["records"]
    assert (first["epoch"], first["outcome"], first["error"]) == (1, "ungraded", "lost")
    assert (second["score"], second["prompt_tokens"], second["cost_usd"]) == (0.25, 4, 0.5)
    assert "ungraded" in proctor("report", "run", "--sessions").stdout


HOSTILE = "x|y \x1b[31m[red]`b`\u202e\n# *title* <b> https://evil.example $a_b$ @you --><script/>"


def test_names_that_others_wrote_are_shown_as_they_are(proctor: Proctor, results: Any) -> None:
    results.write("run", HOSTILE, 0.5, agent=HOSTILE, category=HOSTILE)
    results.write("run", HOSTILE, None, 2, graded=False, agent=HOSTILE, error=HOSTILE)
    shown = proctor("report", "run").stdout
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "[red]`b`<U+202E><U+000A># *title*" in shown
    markdown = proctor("report", "run", "--format", "markdown").stdout
    assert "x\\|y <U+001B" not in markdown
    assert "x\\|y \\<U+001B\\>\\[31m\\[red\\]\\`b\\`" in markdown
    assert "https\\://evil.example \\$a\\_b\\$ \\@you" in markdown
    tables = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in tables[:3]}) == 1
    results.write("run", "--><script/>", 1.0, agent="</text><script/> $x$", category="x" * 500)
    proctor("report", "run", "--plots", "plots")
    drawn = ElementTree.parse("plots/scores-by-task.svg")  # noqa: S314 - ours
    assert not [each for each in drawn.iter() if str(each.tag).endswith("script")]
    assert json.loads(proctor("report", "run", "--format", "json").stdout)


def test_what_cannot_be_done_is_a_usage_error(
    proctor: Proctor, results: Any, tmp_path: Path
) -> None:
    results.write("run", "a", 0.5)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for arguments, message in [
        (["nowhere"], "nowhere is no directory"),
        (["empty"], "no result in empty"),
        (["run", "--k", "0"], "'0' is not a list of counts"),
        (["run", "--k", "x,1"], "'x,1' is not a list of counts"),
        (["run", "--format", "parquet"], "name a file with -o"),
        (["run", "-o", "file/x"], "choose another -o"),
        (["run", "--plots", "file"], "choose another --plots"),
        (["run", "--by", "colour"], "colour"),
        (["run", "--pass-at", "2"], "pass-at"),
    ]:
        assert message in proctor("report", *arguments, expect=2).stderr


@pytest.mark.parametrize(
    ("missing", "options"),
    [("matplotlib", ["--plots", "p"]), ("pyarrow", ["--format", "parquet", "-o", "x"])],
)
def test_a_missing_extra_is_named_with_its_remedy(
    proctor_command: list[str], results: Any, tmp_path: Path, missing: str, options: list[str]
) -> None:
    results.write("run", "a", 0.5)
    code = f"import sys; sys.modules[{missing!r}] = None; from proctor.clients.cli import main; "
    done = subprocess.run(
        [proctor_command[0], "-c", f"{code}main()", "report", "run", *options],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert f"needs {missing}: pip install 'mle-proctor[report]'" in done.stderr


def test_the_command_needs_neither_server_nor_extra(
    proctor_command: list[str], results: Any, tmp_path: Path
) -> None:
    results.write("run", "a", 0.5)
    heavy = {"matplotlib", "pyarrow", "mcp", "fastmcp", "litellm", "uvicorn"}
    code = f"""
import sys
try:
    from proctor.clients.cli import main
    main()
finally:
    print(sorted({heavy!r} & set(sys.modules)))
"""
    done = subprocess.run(
        [proctor_command[0], "-c", code, "report", "run"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout.endswith("[]\n"), done.stdout + done.stderr


def test_a_run_of_several_sessions_ends_with_a_short_report(results: Any) -> None:
    paths = [results.write("run", "a", 0.5, **MODEL), results.write("run", "b", 1.0, **MODEL)]
    both = [RunResult.model_validate_json(path.read_bytes()) for path in paths]
    console = Console(file=io.StringIO(), width=120)
    print_short(both[:1], console)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == ""
    print_short(both, console)
    (row,) = [line for line in console.file.getvalue().splitlines() if "openai/m" in line]
    assert row.split()[:6] == ["openai/m", "2", "2", "0", "0", "0.750"]


def test_what_the_rows_hold_is_in_order(results: Any) -> None:
    for task, epoch in (("b", 2), ("b", 1), ("a", 1)):
        results.write("run", task, 0.5, epoch)
    rows = find([results.root / "run"]).rows
    assert [(row.task, row.epoch) for row in rows] == [("a", 1), ("b", 1), ("b", 2)]


def test_a_narrow_terminal_shows_every_digit(results: Any) -> None:
    paths = [results.write("run", "a" * 60, 0.123, tokens=10**9, **MODEL),
             results.write("run", "b", 0.457, tokens=10**9, cost=12.3456, **MODEL)]  # fmt: skip
    both = [RunResult.model_validate_json(path.read_bytes()) for path in paths]
    console = Console(file=io.StringIO(), width=40, force_terminal=True)
    print_short(both, console)
    assert isinstance(console.file, io.StringIO)
    for shown in ("0.290", "0.167", "0.123 to 0.457", "4,000,000,000", "≥ 12.3456"):
        assert shown in console.file.getvalue()
