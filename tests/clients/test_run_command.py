"""``proctor run`` over many sessions: chosen, limited, stopped, killed, and gone on with."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from proctor.schemas.result import RunResult

OWN = {"started_at", "duration_s", "session_id", "timestamp", "workdir", "scratch"}
"""Times, ids and, without isolation, places: what is each session's own."""
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run_command(proctor_command: list[str], mini_task: Path) -> list[str]:
    return [*proctor_command, "run", "--tasks", str(mini_task.parent), "--backend", "none"]


@pytest.fixture
def run(run_command: list[str], tmp_path: Path) -> Command:
    def start(*options: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*run_command, *options], cwd=tmp_path, capture_output=True, text=True, timeout=300,
            check=False, env={**os.environ, "COLUMNS": "160"},
        )  # fmt: skip
        assert done.returncode == expect, done.stdout + done.stderr
        return done

    return start


def results_in(directory: Path) -> dict[str, RunResult]:
    """The results of a run, by the labels of their sessions."""
    return {
        str(path.parent.relative_to(directory)): RunResult.model_validate_json(path.read_bytes())
        for path in sorted(directory.glob("**/result.json"))
        if ".earlier" not in path.parts
    }


def bare(value: Any) -> Any:
    """A document without what is each session's own."""
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value).items()
        return {key: bare(each) for key, each in entries if key not in OWN}
    return [bare(each) for each in cast("list[Any]", value)] if isinstance(value, list) else value


def done_at_once(_: dict[str, Any]) -> str:
    """A model's only turn."""
    return "FINAL ANSWER: the median"


def sleeping(seconds: int) -> dict[str, Any]:
    """A turn of a model that waits."""
    wanted = {"name": "bash_exec", "arguments": json.dumps({"command": f"sleep {seconds}"})}
    call = {"id": "w", "type": "function", "function": wanted}
    said = {"role": "assistant", "content": None, "tool_calls": [call]}
    return {
        "id": "1", "object": "chat.completion", "created": 1, "model": "x",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": said}],
    }  # fmt: skip


def test_equal_seeds_give_equal_bytes(run: Command, tmp_path: Path) -> None:
    for name in ("one", "two"):
        run("--epochs", "2", "--grading-seed", "7", "--out", name)
    one, two = (
        bare(json.loads((tmp_path / n / "summary.json").read_text())) for n in ("one", "two")
    )
    assert json.dumps(one) == json.dumps(two)
    assert one["results"][0]["evaluation"]["seed"] == 7


@contextmanager
def started(command: list[str], cwd: Path) -> Generator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command, cwd=cwd, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def wait_for(process: subprocess.Popen[str], text: str) -> None:
    """Read what a command says until it says that."""
    assert process.stderr
    for line in process.stderr:
        if text in line:
            return
    pytest.fail(f"it ended without saying {text!r}")


def test_a_run_that_was_killed_goes_on_and_comes_to_what_it_would_have(
    run: Command, run_command: list[str], tmp_path: Path
) -> None:
    flags = ["--epochs", "6", "--grading-seed", "7"]
    run(*flags, "--out", "whole")
    with started([*run_command, *flags, "--out", "killed"], tmp_path) as process:
        wait_for(process, "mini/2: done")
        process.kill()
        process.wait()
    before = results_in(tmp_path / "killed")
    assert 1 <= len(before) < 6
    run("--resume", "killed")
    after = results_in(tmp_path / "killed")
    assert {label: after[label] for label in before} == before, "what was done stays as it was"
    whole, killed = (
        {
            label: bare(result.model_dump(mode="json")["evaluation"])
            for label, result in each.items()
        }
        for each in (results_in(tmp_path / "whole"), after)
    )
    assert killed == whole
    summary = json.loads((tmp_path / "killed" / "summary.json").read_text())
    assert len(summary["results"]) == 6
    assert not summary["not_held"]


def test_ctrl_c_lets_what_is_under_way_end_and_says_how_to_go_on(
    run: Command, run_command: list[str], tmp_path: Path
) -> None:
    flags = ["--epochs", "8", "--concurrency", "1", "--out", "run"]
    with started([*run_command, *flags], tmp_path) as process:
        wait_for(process, "mini/1: working")
        process.send_signal(signal.SIGINT)
        assert process.stderr
        said = process.stderr.read()
        assert process.wait(60) == 130
    assert "no session begins any more" in said
    assert "--resume" in said
    held = results_in(tmp_path / "run")
    assert 1 <= len(held) < 8
    assert all(result.evaluation for result in held.values())
    run("--resume", "run")
    assert len(results_in(tmp_path / "run")) == 8
    lock = json.loads((tmp_path / "run" / "run.json").read_text())
    assert lock["flags"]["concurrency"] == 1, "it went on as it was begun"


def test_ctrl_c_twice_closes_sessions_and_keeps_what_there_is(
    run: Command, run_command: list[str], tmp_path: Path, model_server: Any
) -> None:
    model_server.always = sleeping(30)
    flags = ["--model", "openai/x", "--api-base", model_server.url, "--out", "run"]
    with started([*run_command, *flags], tmp_path) as process:
        wait_for(process, "working")
        while not model_server.bodies:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        wait_for(process, "no session begins any more")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    ((label, result),) = results_in(tmp_path / "run").items()
    assert (result.state, result.blame) == ("abandoned", "interrupted")
    assert (tmp_path / "run" / label / "snapshot.tar.gz").exists()
    model_server.always = "FINAL ANSWER: the median"
    run("--resume", "run")
    ((_, result),) = results_in(tmp_path / "run").items()
    assert result.answer == "the median"
    assert (tmp_path / "run" / ".earlier" / label / "1" / "snapshot.tar.gz").exists()


def test_a_run_says_on_what_machines_its_sessions_were_and_where_they_were_of_several_kinds(
    run: Command, tmp_path: Path
) -> None:
    assert "kinds of machine" not in run("--out", "run").stderr
    place = tmp_path / "run" / "run.json"
    lock = json.loads(place.read_text())
    assert lock["machines"] == {"mini": ["local, none"]}
    lock["machines"]["mini"] = ["docker, container, sha256:1"]
    place.write_text(json.dumps(lock))
    said = run("--resume", "run").stderr
    assert "mini was worked on several kinds of machine: docker, container, sha256:1; local" in said
    lock = json.loads(place.read_text())
    assert lock["machines"] == {"mini": ["docker, container, sha256:1", "local, none"]}


def test_what_a_provider_did_not_say_was_used_counts_when_a_run_goes_on(
    run: Command, tmp_path: Path, model_server: Any
) -> None:
    model_server.usage, model_server.always = None, "FINAL ANSWER: the median"
    flags = ["--model", "openai/x", "--api-base", model_server.url, "--out", "run"]
    run(*flags, "--max-run-tokens", "500000")
    ((_, result),) = results_in(tmp_path / "run").items()
    assert result.metadata["prompt_tokens"] is None
    charged = result.metadata["charged_tokens"]
    assert charged > 0
    more = ["--epochs", "2", "--accept-changes", "--max-run-tokens", str(charged)]
    said = run("--resume", "run", *more, expect=1).stderr
    assert "the run's limits are reached; sessions not held: 1" in said


def test_a_run_whose_task_has_changed_shows_that_and_does_not_go_on(
    run: Command, mini_task: Path, tmp_path: Path
) -> None:
    run("--agent", "noop", "--out", "run")
    (mini_task / "instruction.md").write_text("Something else is asked for.\n")
    said = run("--resume", "run", "--epochs", "2", expect=2).stderr
    assert "tasks.mini: " in said
    assert "epochs: 1 before, 2 now" in said
    run("--resume", "run", "--epochs", "2", "--accept-changes")
    assert list(results_in(tmp_path / "run")) == ["mini/1", "mini/2"]
    lock = json.loads((tmp_path / "run" / "run.json").read_text())
    assert len(lock["changes"]) == 2
    assert "holds a run; go on with it by --resume" in run("--out", "run", expect=2).stderr
    assert "holds no run" in run("--resume", "elsewhere", expect=2).stderr


def test_several_models_sit_the_same_tasks(run: Command, tmp_path: Path, model_server: Any) -> None:
    def answer(body: dict[str, Any]) -> str:
        return f"FINAL ANSWER: by {body['model']}"

    model_server.answer = answer
    run("--model", "openai/a", "--model", "openai/b", "--api-base", model_server.url,
        "--seed", "3", "--out", "run")  # fmt: skip
    answers = {label: result.answer for label, result in results_in(tmp_path / "run").items()}
    assert answers == {"openai-a/mini/1": "by a", "openai-b/mini/1": "by b"}
    lock = json.loads((tmp_path / "run" / "run.json").read_text())
    assert [each["model"] for each in lock["candidates"]] == ["openai/a", "openai/b"]
    assert lock["candidates"][0]["settings"]["seed"] == 3
    twice = run("--model", "openai/a", "--model", "openai/a", expect=2)
    assert "is named twice" in twice.stderr


def test_a_session_whose_provider_failed_is_held_again_in_the_same_run(
    run: Command, tmp_path: Path, model_server: Any
) -> None:
    model_server.first = [400]
    model_server.answer = done_at_once
    flags = ["--model", "openai/x", "--api-base", model_server.url, "--out", "run"]
    run(*flags)
    ((label, result),) = results_in(tmp_path / "run").items()
    assert (result.answer, result.error) == ("the median", None)
    earlier = tmp_path / "run" / ".earlier" / label / "1" / "result.json"
    assert RunResult.model_validate_json(earlier.read_bytes()).blame == "model"


def test_a_run_that_does_not_suffice_for_all_says_of_which_sessions_and_why(
    run: Command, tmp_path: Path, model_server: Any
) -> None:
    model_server.answer = done_at_once
    model_server.usage = {"prompt_tokens": 9900, "completion_tokens": 100}
    done = run("--model", "openai/x", "--api-base", model_server.url, "--epochs", "9",
               "--concurrency", "1", "--max-run-tokens", "40000", "--max-tokens", "900",
               "--out", "run", expect=1)  # fmt: skip
    held = results_in(tmp_path / "run").values()
    assert [result.blame for result in held].count("budget") == 1, "one finds that it does not do"
    assert len([result for result in held if result.evaluation]) >= 1
    assert f"#{len(held)} (openai/x): the run's 40000 tokens are spent" in done.stdout
    assert f"sessions not held: {9 - len(held)}" in done.stderr
    assert not (tmp_path / "run" / ".earlier").exists()


@pytest.mark.parametrize(
    "flags", [["--backend", "podman"], ["--model", "nobody"], ["--agent", "orcale"]]
)
def test_a_run_that_cannot_begin_leaves_no_directory(
    run: Command, tmp_path: Path, flags: list[str]
) -> None:
    run(*flags, "--out", "run", expect=2)
    assert not (tmp_path / "run").exists()


def test_sessions_can_be_held_on_another_server(
    proctor_command: list[str], run: Command, mini_task: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("PROCTOR_TOKEN", "the-owner")
    serve = [*proctor_command, "serve", "--http", "--port", "0", "--data", "data",
             "--tasks", str(mini_task), "--backend", "none"]  # fmt: skip
    with started(serve, tmp_path) as process:
        assert process.stderr
        url = next(line.split()[-1] for line in process.stderr if "MCP endpoint" in line)
        base = url.removesuffix("/mcp")
        run("--server", url, "--epochs", "2", "--out", "run")
        assert {
            r.evaluation.score for r in results_in(tmp_path / "run").values() if r.evaluation
        } == {9}
        records = list((tmp_path / "data" / "sessions").glob("*/mini/*/session.json"))
        assert len(records) == 2
        assert not list((tmp_path / "run").rglob("session.json"))
        lost = tmp_path / "run" / "mini" / "2"
        shutil.rmtree(lost)
        (tmp_path / "run" / "mini" / "1" / "result.json").write_text("{}")
        run("--resume", "run")
        assert len(results_in(tmp_path / "run")) == 2, (
            "what the server has graded is not held again"
        )
        assert len(list((tmp_path / "data" / "sessions").glob("*/mini/*/session.json"))) == 2
        monkeypatch.setenv("PROCTOR_TOKEN", "nobody")
        assert "refuses (401)" in run("--server", base, expect=2).stderr
    monkeypatch.delenv("PROCTOR_TOKEN")
    assert "set PROCTOR_TOKEN" in run("--server", base, expect=2).stderr


def test_what_is_handed_in_can_be_kept_for_grading_later(
    proctor_command: list[str], run: Command, tmp_path: Path
) -> None:
    told = run("--no-eval", "--out", "run")
    assert f"Kept ungraded: 1. Grade with: proctor grade {tmp_path / 'run'}" in told.stdout
    assert "grading" not in told.stderr
    ((_, result),) = results_in(tmp_path / "run").items()
    assert (result.state, result.evaluation, result.error) == ("submitted", None, None)
    assert "graded later" not in result.answer
    grade = [*proctor_command, "grade", "run", "--tasks", "tasks", "--backend", "none"]
    done = subprocess.run(
        grade, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (
        json.loads((tmp_path / "run" / "mini" / "1" / "grades" / "0001.json").read_text())["grade"][
            "score"
        ]
        == 9
    )
    report = [*proctor_command, "report", "run", "--format", "json"]
    told = subprocess.run(
        report, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    whole = json.loads(told.stdout)["records"][0]
    assert (whole["scored"], whole["ungraded"], whole["mean"]) == (1, 0, 1.0)


def test_a_session_gets_the_limits_that_were_asked_for(run: Command, tmp_path: Path) -> None:
    run("--session-tool-calls", "1", "--session-time", "77", "--out", "run", expect=1)
    record = json.loads((tmp_path / "run" / "mini" / "1" / "session.json").read_text())
    assert (record["limits"]["tool_calls"], record["limits"]["time_s"]) == (1, 77)
    assert record["limits"]["turns"] == 50
    ((_, result),) = results_in(tmp_path / "run").items()
    assert "the budget of 1 tool calls is spent" in str(result.error)


def test_when_the_runs_time_is_up_the_work_is_handed_in_and_graded(
    run: Command, tmp_path: Path, model_server: Any
) -> None:
    model_server.always = sleeping(60)
    flags = ["--model", "openai/x", "--api-base", model_server.url, "--concurrency", "1"]
    said = run(*flags, "--max-hours", "0.003", "--epochs", "2", "--out", "run", expect=1)
    assert "the run's limits are reached; sessions not held: 1" in said.stderr
    ((_, result),) = results_in(tmp_path / "run").items()
    assert result.state == "graded"
    assert "the run's time is up" in result.metadata["errors"][0]
    assert result.metadata["turns"] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["minni"], "did you mean mini?"),
        (
            ["--kind", "competition"],
            "no task is left: --kind competition (there are: error_analysis)",
        ),
        (["--category", "OUTLIER"], "--category OUTLIER (there are: none)"),
        (["--split", "lite"], "--split lite (there are: none)"),
    ],
)
def test_a_choice_that_leaves_no_task_says_what_there_is(
    run: Command, options: list[str], message: str
) -> None:
    assert message in run(*options, expect=2).stderr


def test_the_flags_of_afterquerys_runner_work(
    proctor_command: list[str], mini_task: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [*proctor_command, "run", "--task", str(mini_task), "--output-dir", "out", "--no-eval",
         "--agent", "noop", "--backend", "none", "--temperature", "0.5"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert {"agent", "model", "results", "timestamp"} <= set(summary)
    assert summary["results"][0]["task_id"] == "mini"
