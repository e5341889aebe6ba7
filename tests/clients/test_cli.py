"""The command line, run as a user runs it."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from fastmcp import Client
from fastmcp.client.auth import BearerAuth
from fastmcp.client.transports import StreamableHttpTransport
from jsonschema import Draft202012Validator

from proctor import __version__
from proctor.sandbox_backends.nvml import installed_gpus
from proctor.schemas.errors import SandboxStartError


@pytest.fixture
def proctor(proctor_command: list[str], tmp_path: Path) -> Any:
    def run(*arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            [*proctor_command, *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=300,
            check=False,
            env={**os.environ, "COLUMNS": "120"},
        )
        assert result.returncode == expect, result.stdout + result.stderr
        return result

    return run


def test_run_lets_the_oracle_work_a_task_and_keeps_everything(
    proctor: Any, mini_task: Path, tmp_path: Path
) -> None:
    result = proctor("run", "--tasks", str(mini_task.parent))
    assert "No model took part." in result.stdout
    assert "no model takes part" in result.stderr
    (row,) = [line for line in result.stdout.splitlines() if line.startswith("mini")]
    assert re.match(
        r"mini +oracle +9/10 +100% of 9 +[\d.]+ s +(local|docker) +(namespaces|container|none)", row
    )
    place = Path(result.stdout.rpartition("Results: ")[2].strip())
    assert place.parent == tmp_path / "runs"
    kept = place / "mini" / "1"
    assert {path.name for path in kept.iterdir()} == {
        "result.json", "session.json", "snapshot.tar.gz", "submission", "transcript.jsonl",
    }  # fmt: skip
    saved = json.loads((kept / "result.json").read_text())
    assert saved["task_id"] == "mini"
    assert saved["model"] is None
    assert saved["answer"].startswith("The mean was moved")
    asked: dict[str, Any] = {"turns": 3, "tool_calls": 3, "errors": []}
    unknown: dict[str, Any] = {"prompt_tokens": None, "reply_tokens": None, "cost_usd": None}
    unknown |= {"unreported_calls": 0, "ended_by": None, "charged_tokens": 0,
                "charged_usd": 0.0}  # fmt: skip
    assert saved["metadata"] == asked | unknown
    evaluation = saved["evaluation"]
    assert (evaluation["score"], evaluation["total_possible"]) == (9, 10)
    assert evaluation["percentage"] == 100
    assert {"criterion", "points", "passed", "reasoning"} <= set(evaluation["results"][0])
    summary = json.loads((place / "summary.json").read_text())
    assert summary["results"] == [saved]


def test_the_version_is_shown_without_a_command(proctor: Any) -> None:
    assert proctor("--version").stdout.strip() == __version__


def test_json_is_one_document_and_nothing_else(proctor: Any, mini_task: Path) -> None:
    result = proctor("run", "--agent", "noop", "--json", "--epochs", "2", "--tasks", str(mini_task))
    document = json.loads(result.stdout)
    assert [entry["epoch"] for entry in document["results"]] == [1, 2]
    assert all(entry["evaluation"]["score"] == 0 for entry in document["results"])


def test_a_session_without_a_grade_makes_exit_code_1(proctor: Any, mini_task: Path) -> None:
    for path in sorted((mini_task / "solution").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (mini_task / "solution").rmdir()
    (mini_task / "decoys" / "constant" / "decoy.toml").write_text(
        'description = "x"\nfails = ["fix"]\n'
    )
    result = proctor("run", "--tasks", str(mini_task), expect=1)
    assert "mini has no reference solution" in result.stdout
    assert "no grade" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nope*"], "no task matches 'nope*'"),
        (["run", "--agent", "genius"], "genius"),
        (["run", "--epochs", "0"], "epochs"),
        (["run", "--out", "."], "is not empty"),
        (["run", "--tasks", "/no/such/place"], "no such file or directory"),
        (["run", "--out", "something"], "is a file; choose another"),
        (["run", "--out", "something/below"], "choose another --out"),
        (["serve", "--data", "something/below"], "choose another --data"),
        (["tasks", "check", "--tasks", "."], "no task found"),
        (["mcp-config", "cursor", "--http", "localhost:8000"], "is not an endpoint"),
        (["mcp-config", "cursor", "--tasks", "nope"], "no such file or directory"),
        (["mcp-config", "cursor", "--token", "tok-1"], "--token goes with --http"),
        (["run", "--tasks", "something"], "no task found"),
        (
            ["run", "clinic-transfer", "--sign-key", "nope.pem"],
            "nope.pem cannot be read: No such file",
        ),
        (["serve", "--http", "--task", "mini"], "--task goes with stdio"),
        (["serve", "--port", "99999"], "port"),
        (["tasks", "show", "nope"], "there is no task 'nope'"),
        (["tasks", "check", "nope"], "there is no task 'nope'"),
        (["mcp-config", "emacs"], "emacs"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_a_usage_error_is_exit_code_2_and_says_what_is_wrong(
    proctor: Any, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "something").touch()
    result = proctor(*arguments, expect=2)
    assert message in result.stderr

    assert "Traceback" not in result.stderr


def test_a_file_that_is_no_task_is_complained_of_once(proctor: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"task_id": 3}')
    assert proctor("run", "--task", "bad.json", expect=2).stderr.count("not a task") == 1


@pytest.mark.parametrize("asked", ["--backend gpu", "--gpus 2"])
def test_where_no_driver_is_gpus_are_refused_at_the_start(proctor: Any, asked: str) -> None:
    try:
        installed_gpus()
    except SandboxStartError:
        result = proctor("run", *asked.split(), expect=2)
        assert f"{asked} cannot be had: no NVIDIA driver is here" in result.stderr
    else:
        pytest.skip("a driver is here")


def test_without_isolation_the_warning_is_plain_and_the_result_says_so(
    proctor: Any, mini_task: Path
) -> None:
    result = proctor("run", "--backend", "none", "--json", "--tasks", str(mini_task))
    assert "WARNING: no isolation" in result.stderr
    (entry,) = json.loads(result.stdout)["results"]
    assert entry["sandbox"]["isolation"] == "none"
    assert entry["evaluation"]["score"] == 9


def test_tasks_list_shows_eight_bundled_tasks_without_giving_them_away(proctor: Any) -> None:
    cards = json.loads(proctor("tasks", "list", "--json").stdout)
    assert len(cards) == 8
    assert {card["points"] for card in cards} == {90}
    shown = proctor("tasks", "list").stdout
    assert all(card["id"] in shown for card in cards)
    codes = "leak|outlier|scal|encod|imbalan|overfit|underfit"
    assert not re.search(codes, json.dumps(cards), re.IGNORECASE)
    assert "NONE" not in json.dumps(cards)


def test_a_broken_task_is_complained_of_beside_the_others(
    proctor: Any, mini_task: Path, task_with: Any
) -> None:
    task_with({"task.toml": "id = 3"})
    result = proctor("tasks", "list", "--tasks", str(mini_task.parent), expect=1)
    assert "mini" in result.stdout
    assert "task.toml: id: Input should be a valid string" in result.stderr


def test_tasks_show_keeps_the_rubric_back_until_asked(proctor: Any, mini_task: Path) -> None:
    place = ["--tasks", str(mini_task)]
    shown = proctor("tasks", "show", "mini", *place).stdout
    assert "mend it" in shown
    assert "stats.py" in shown
    assert "OUTLIER" not in shown
    assert "points at the mean" not in shown
    assert "points at the mean" in proctor("tasks", "show", "mini", "--rubric", *place).stdout


UNSTEADY_PROBE = """from probe_kit import Case
def cases(rng):
    return [Case("only", {"values": [1.0, 2.0, 3.0], "odd": int(rng.integers(2**62)) // 7 % 2})]
def follows(cases, outputs):
    return float(cases["only"].inputs["odd"]), "a coin was thrown"
CHECKS = {"robust": follows, "follows": follows}
"""
CHANGING_PROBE = """import time
from probe_kit import Case
def cases(rng):
    return [Case("only", {"values": [1.0, 2.0, 3.0]})]
def follows(cases, outputs):
    return 1.0, f"at {time.time()}"
CHECKS = {"robust": follows, "follows": follows}
"""


def test_tasks_check_proves_a_task(proctor: Any, mini_task: Path) -> None:
    result = proctor("tasks", "check", "--tasks", str(mini_task))
    assert "6 findings, 0 failed" in result.stdout


@pytest.mark.parametrize(
    ("changes", "check", "detail"),
    [
        ({"solution/workspace/stats.py": "def centre(values):\n    return 0.0\n"},
         "solution", "fix earned 0 of 4"),
        ({"workspace/stats.py": "def centre(values):\n    values = sorted(values)\n"
                                "    return values[len(values) // 2]\n"},
         "untouched", "fix earned 4 without any work"),
        ({"decoys/constant/workspace/stats.py": None},
         "decoy constant", "fix should fail"),
        ({"grading/probe.py": "def cases(rng):\n    raise ValueError\n"},
         "solution", "the instrument failed"),
        ({"grading/probe.py": UNSTEADY_PROBE}, "3 seeds", "with another seed, fix earned"),
        ({"grading/probe.py": CHANGING_PROBE}, "graded twice", "other evidence"),
        ({"instruction.md": "There is an OUTLIER.\n"}, "leaks", "names the planted error"),
        ({"instruction.md": "FILL: the story\n"}, "blanks", "instruction.md"),
    ],
)  # fmt: skip
def test_tasks_check_finds_what_is_wrong_with_a_task(
    proctor: Any, task_with: Any, changes: dict[str, str | None], check: str, detail: str
) -> None:
    place = task_with(changes)
    result = proctor(
        "tasks", "check", "--json", "--tasks", str(place), "--tricks", "none", expect=1
    )
    failed = [f for f in json.loads(result.stdout)["findings"] if not f["ok"]]
    assert any(f["check"] == check and detail in f["detail"] for f in failed), failed


def test_a_new_task_passes_once_its_blanks_are_filled(proctor: Any, tmp_path: Path) -> None:
    place = tmp_path / "new" / "late-trains"
    said = proctor("tasks", "new", str(place)).stdout
    blank = [path for path in place.rglob("*") if path.is_file() and "FILL:" in path.read_text()]
    assert all(str(path) in said for path in blank)
    check = ("tasks", "check", "--tasks", str(place), "--tricks", "none", "--json")
    failed = [f for f in json.loads(proctor(*check, expect=1).stdout)["findings"] if not f["ok"]]
    assert {f["check"] for f in failed} == {"blanks"}
    for path in blank:
        path.write_text(path.read_text().replace("FILL:", "In short,"))
    assert json.loads(proctor(*check).stdout)["findings"][0]["task_id"] == "late-trains"
    assert "exists" in proctor("tasks", "new", str(place), expect=2).stderr
    assert "no id" in proctor("tasks", "new", str(tmp_path / "a b"), expect=2).stderr
    assert "no template" in proctor("tasks", "new", "x", "--kind", "y", expect=2).stderr


@pytest.mark.parametrize("form", ["directory", "afterquery"])
def test_tasks_schema_prints_a_json_schema(proctor: Any, form: str) -> None:
    schema = json.loads(proctor("tasks", "schema", "--format", form).stdout)
    Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("client", ["claude-desktop", "claude-code", "cursor", "vscode"])
async def test_the_printed_configuration_starts_a_server_from_anywhere(
    proctor: Any, mini_task: Path, client: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    printed = proctor("mcp-config", client, "--tasks", str(mini_task)).stdout
    config = json.loads(printed)
    entry = config["servers" if client == "vscode" else "mcpServers"]["proctor"]
    assert Path(entry["command"]).is_absolute()
    fastmcp_config = {"mcpServers": {"proctor": {k: entry[k] for k in ("command", "args")}}}
    fastmcp_config["mcpServers"]["proctor"]["cwd"] = "/"
    fastmcp_config["mcpServers"]["proctor"]["env"] = {"XDG_DATA_HOME": str(tmp_path / "xdg")}
    async with Client(fastmcp_config) as connected:
        listed = await connected.call_tool("list_tasks", {})
        assert "mini" in str(listed.content[0])


@pytest.mark.parametrize("client", ["claude-desktop", "claude-code", "cursor", "vscode"])
def test_the_printed_configuration_for_http_carries_url_and_token(
    proctor: Any, client: str
) -> None:
    url = "http://127.0.0.1:8000/mcp"
    printed = proctor("mcp-config", client, "--http", url, "--token", "tok-1").stdout
    entry = json.loads(printed)["servers" if client == "vscode" else "mcpServers"]["proctor"]
    assert url in json.dumps(entry)
    assert "Bearer tok-1" in json.dumps(entry)


async def test_serve_http_prints_where_it_listens_and_the_owner_token(
    proctor_command: list[str], mini_task: Path, tmp_path: Path
) -> None:
    command = [
        *proctor_command, "serve", "--http", "--port", "0", "--tasks", str(mini_task),
        "--data", str(tmp_path / "data"),
    ]  # fmt: skip
    async with await anyio.open_process(command, stderr=subprocess.PIPE) as process:
        assert process.stderr
        said = ""
        with anyio.fail_after(60):
            while "Ctrl-C" not in said:
                said += (await process.stderr.receive()).decode()
        try:
            url = re.search(r"MCP endpoint +(\S+)", said)
            token = re.search(r"owner token +(\S+)", said)
            assert url
            assert token
            transport = StreamableHttpTransport(url[1], auth=BearerAuth(token[1]))
            async with Client(transport) as client:
                assert "submit" in {tool.name for tool in await client.list_tools()}
            base = url[1].removesuffix("/mcp")
            async with httpx2.AsyncClient(base_url=base) as http:
                assert (await http.get("/sessions")).status_code == 401
        finally:
            process.send_signal(signal.SIGINT)
        with anyio.fail_after(30):
            assert await process.wait() == 0


def test_help_imports_nothing_heavy(proctor_command: list[str]) -> None:
    code = """
import sys
sys.argv[1:] = ["--help"]
try:
    from proctor.clients.cli import main
    main()
finally:
    print(sorted({"mcp", "fastmcp", "numpy", "pydantic", "uvicorn"} & set(sys.modules)))
"""
    result = subprocess.run(
        [proctor_command[0], "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert result.stdout.rstrip().endswith("[]"), result.stdout + result.stderr


def test_run_grades_prose_with_a_judge_whose_key_is_nowhere(
    proctor: Any, mini_task: Path, tmp_path: Path, model_server: Any
) -> None:
    model_server.met = {"The report explains the effect."}
    options = ["--judge", "openai/gpt-4o-mini", "--judge-api-base", model_server.url]
    result = proctor(
        "run", "--tasks", str(mini_task), "--out", "out", *options, "--judge-seed", "5"
    )
    assert re.search(r"mini +oracle +10/10 +100% ", result.stdout)
    assert "Prose was judged by openai/gpt-4o-mini in 3 calls, for 0.0006 USD." in result.stdout
    saved = json.loads((tmp_path / "out" / "mini" / "1" / "result.json").read_text())
    assert saved["evaluation"]["judge"]["seed"] == 5
    key = model_server.keys[0].removeprefix("Bearer ")
    assert key in os.environ.values()
    written = [path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not any(key.encode() in data for data in written)
    assert key not in result.stdout + result.stderr


def test_a_judge_that_is_refused_leaves_prose_ungraded_and_shows_no_key(
    proctor: Any, mini_task: Path, tmp_path: Path, model_server: Any
) -> None:
    model_server.always = 401
    options = ["--judge", "openai/gpt-4o-mini", "--judge-api-base", model_server.url]
    result = proctor("run", "--tasks", str(mini_task), "--out", "out", *options)
    assert re.search(r"mini +oracle +9/10 +100% of 9 ", result.stdout)
    assert "grades with its flags: 1" in result.stdout
    saved = (tmp_path / "out" / "mini" / "1" / "result.json").read_text()
    assert "the provider refused the key (HTTP 401)" in saved
    key = model_server.keys[0].removeprefix("Bearer ")
    assert key not in saved + result.stdout + result.stderr


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--judge", "nonsense"], "'nonsense' names no provider"),
        (["--judge", "anthropic/claude-opus-4-5"], "set ANTHROPIC_API_KEY"),
        (["--judge", "ollama_chat/x", "--judge-max-usd", "1"], "the price of ollama_chat/x is"),
    ],
)
def test_a_judge_that_cannot_be_had_is_a_usage_error(
    proctor: Any, mini_task: Path, options: list[str], complaint: str
) -> None:
    assert complaint in proctor("run", "--tasks", str(mini_task), *options, expect=2).stderr


def test_a_judge_is_calibrated_with_the_bundled_gold_labels(
    proctor: Any, model_server: Any
) -> None:
    options = ["--judge", "openai/gpt-4o-mini", "--judge-api-base", model_server.url]
    result = proctor("judge", "calibrate", *options, "--judge-votes", "1")
    assert re.search(r"gold labels +64 of 32 hand-ins, 2 times each", result.stdout)
    assert re.search(r"injections caught +8 of 8", result.stdout)
    found = json.loads(
        proctor("judge", "calibrate", *options, "--judge-votes", "1", "--json").stdout
    )
    assert found["kappa"] == 0  # it never finds anything met
    assert found["flip_rate"] == 0
    assert len(found["differences"]) == 23


def test_gold_labels_of_ones_own_go_with_tasks_of_ones_own(
    proctor: Any, mini_task: Path, tmp_path: Path, model_server: Any
) -> None:
    gold = {"id": "1", "task": "mini", "kind": "bad", "labels": {"explanation": "not met"}}
    (tmp_path / "gold.jsonl").write_text(json.dumps(gold), "utf-8")
    options = ["--judge", "openai/x", "--judge-api-base", model_server.url, "--repeats", "1"]
    result = proctor("judge", "calibrate", "gold.jsonl", "--tasks", str(mini_task), *options)
    assert re.search(r"agreement +100.0%", result.stdout)
    assert re.search(r"calls, tokens, cost +3, 3000, unknown", result.stdout)
    result = proctor("judge", "calibrate", "none.jsonl", *options, expect=2)
    assert "none.jsonl: cannot be read" in result.stderr
    assert "whom should be" in proctor("judge", "calibrate", expect=2).stderr


def test_one_probe_is_shown_with_what_went_in_and_came_out(proctor: Any, mini_task: Path) -> None:
    show = ("tasks", "check", "--tasks", str(mini_task), "--probe", "fix", "--verbose")
    said = proctor(*show).stdout
    assert "in/values.json" in said
    assert "out/centre.json" in said
    assert "check robust: 1: one extreme value moved the centre by" in said
    assert "mini: fix on solution: credit 1" in said
    assert "mini: fix on constant: credit 0" in proctor(*show, "--on", "constant").stdout
    assert "hand in one of untouched, constant" in proctor(*show, "--on", "x", expect=2).stderr
    assert "these do: fix" in proctor(*show[:-2], "location", expect=2).stderr
