"""Agents of other people's, from the command line: functions, processes and containers."""

import json
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path
from typing import Any

import anyio.lowlevel
import docker
import pytest
from fastmcp import Client, FastMCP
from hypothesis import given
from hypothesis import strategies as st

import proctor
from proctor.clients.agents import Exam
from proctor.clients.agents.command import Errand, Hear, Outsider
from proctor.clients.agents.log import HIDDEN, LOG_BYTES, AgentLog
from proctor.clients.agents.presets import PRESETS
from proctor.sandbox_backends.image import image_name
from proctor.sandbox_backends.local import bubblewrap_problem
from proctor.schemas.errors import AgentError
from proctor.schemas.result import AgentReport, Confinement
from proctor.schemas.session import SessionTicket

REQUIRE_BUBBLEWRAP = "PROCTOR_REQUIRE_BUBBLEWRAP"
SITTER = Path(__file__).with_name("sitter.py")
KEY = "sk-0123456789abcdef"
BASE_IMAGE = image_name()
"""That of sandboxes: it has Python, and is there wherever the tests of containers run."""
GIT = shutil.which("git") or "git"

Run = Callable[..., dict[str, Any]]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def walls() -> None:
    if problem := bubblewrap_problem():
        if os.environ.get(REQUIRE_BUBBLEWRAP):
            pytest.fail(f"{REQUIRE_BUBBLEWRAP} is set, but: {problem}")
        pytest.skip(problem)


@pytest.fixture(params=["sandboxed", "unconfined"])
def either(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The options of a process, behind walls and without."""
    if request.param == "unconfined":
        return ("--agent-unconfined",)
    request.getfixturevalue("walls")
    return ()


@pytest.fixture
def start(proctor_command: list[str], mini_task: Path, tmp_path: Path) -> Generator[Start]:
    """Starts `proctor run` on the mini task, in a directory that holds the sitter."""
    shutil.copy(SITTER, tmp_path)
    started: list[subprocess.Popen[str]] = []

    def begin(*options: str, **env: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*proctor_command, "run", "--tasks", str(mini_task), "--backend", "none",
             "--out", "out", "--json", *options],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "EXAM_KEY": KEY, **env},
        )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def run(start: Start) -> Run:
    """Runs it to its end, and returns the result, with what it said on stderr as ``said``."""

    def whole(*options: str, expect: int = 0, **env: str) -> dict[str, Any]:
        process = start(*options, **env)
        stdout, stderr = process.communicate(timeout=120)
        assert process.returncode == expect, stdout + stderr
        result: dict[str, Any] = json.loads(stdout)["results"][0] if stdout else {}
        return {**result, "said": stderr}

    return whole


def sitter(*words: str) -> tuple[str, str]:
    return ("--agent-command", shlex.join([sys.executable, "sitter.py", *words]))


def log(tmp_path: Path) -> str:
    return (tmp_path / "out" / "mini" / "1" / "agent.log").read_text("utf-8")


def told(tmp_path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(log(tmp_path).splitlines()[0])
    return value


def limit_time(mini_task: Path, seconds: float) -> None:
    path = mini_task / "task.toml"
    path.write_text(path.read_text().replace("time_s = 600", f"time_s = {seconds}"))


# Processes


@pytest.mark.usefixtures("walls")
def test_a_process_sits_the_exam_behind_walls(run: Run, tmp_path: Path) -> None:
    result = run(*sitter("solve"))
    assert (result["state"], result["evaluation"]["score"]) == ("graded", 4)
    assert (result["agent"], result["answer"]) == ("sitter", "I took the median.")
    assert (result["confinement"], result["error"]) == ("sandboxed", None)
    assert result["origin"]["command"] == [sys.executable, str(tmp_path / "sitter.py"), "solve"]
    assert result["metadata"]["tool_calls"] == 1
    assert "Handed in:" in log(tmp_path)


def test_an_unconfined_process_sits_the_exam_and_its_result_is_stamped(run: Run) -> None:
    result = run(*sitter("solve"), "--agent-unconfined")
    assert (result["evaluation"]["score"], result["confinement"]) == (4, "unconfined")
    assert "WARNING: the agent runs unconfined" in result["said"]


@pytest.mark.usefixtures("walls")
def test_what_a_process_leaves_is_handed_in_with_its_last_words(run: Run) -> None:
    result = run(*sitter("leave"))
    assert (result["state"], result["answer"]) == ("graded", "I had no idea.")
    assert result["metadata"]["errors"] == [
        "the agent's process ended with exit code 7; see agent.log"
    ]


@pytest.mark.usefixtures("walls")
def test_a_process_is_given_its_session_and_nothing_else_of_ours(run: Run, tmp_path: Path) -> None:
    words = ("{mcp_config}", "{prompt_file}", "{mcp_url}", "{mcp_token}", "{task_id}", "{other}")
    run(*sitter("tell", *words), "--agent-env", "EXAM_KEY", ANOTHER_KEY=KEY)
    given = told(tmp_path)
    config, prompt, url, token, task, other = given["arguments"]
    assert (token, task, other) == ("[redacted]", "mini", "{other}")
    assert given["env"].pop("PROCTOR_MCP_URL") == url
    assert set(given["env"]) - {"LANG", "LC_CTYPE", "PWD"} == {
        "EXAM_KEY", "HOME", "PATH", "PROCTOR_MCP_TOKEN", "PROCTOR_TASK_ID",
    }  # fmt: skip
    assert given["env"]["EXAM_KEY"] == given["env"]["PROCTOR_MCP_TOKEN"] == "[redacted]"
    (entry,) = json.loads(given["files"][config])["mcpServers"].values()
    assert (entry["url"], entry["headers"]) == (url, {"Authorization": "Bearer [redacted]"})
    assert given["modes"][config].endswith("600")
    assert "Find out why the centre is off" in given["stdin"]
    assert (given["files"][prompt], given["work"]) == (given["stdin"], [])


@pytest.mark.parametrize("deed", ["daemonise", "hang"])
def test_nothing_of_a_process_outlives_its_session(
    run: Run, mini_task: Path, processes: Any, either: tuple[str, ...], deed: str
) -> None:
    limit_time(mini_task, 4)
    marker = f"marker-{secrets.token_hex(6)}"
    result = run(*sitter(deed, marker), *either)
    assert not processes.marked(marker)
    assert result["state"] == "graded"
    late = ["the agent was still at work when its time was up"]
    assert result["metadata"]["errors"] == (late if deed == "hang" else [])


async def test_nothing_of_a_process_outlives_a_run_that_is_killed(
    start: Start, processes: Any, either: tuple[str, ...]
) -> None:
    marker = f"marker-{secrets.token_hex(6)}"
    running = start(*sitter("hang", marker), *either)
    await processes.appear(marker)
    running.send_signal(signal.SIGKILL)
    await processes.vanish(marker)


@pytest.mark.usefixtures("walls")
def test_a_process_sees_no_task_no_result_and_no_other_process(
    run: Run, mini_task: Path, tmp_path: Path
) -> None:
    package = Path(proctor.__file__).parent
    places = [
        mini_task / "grading", mini_task / "solution", tmp_path / "out", package,
        package / "tasks", (package / "tasks").resolve(), Path.home() / ".ssh", Path("/run"),
        SITTER.parent, tmp_path / "out" / "mini" / "1" / "session.json",
    ]  # fmt: skip
    words = [str(path) for path in places]
    seen = run(*sitter("spy", *words), "--agent-unconfined")
    open_to_all = told(tmp_path)
    assert {words[0], words[2], words[-1]} <= set(open_to_all["seen"])
    assert "--backend" in open_to_all["processes"]
    assert seen["confinement"] == "unconfined"
    shutil.rmtree(tmp_path / "out")
    run(*sitter("spy", *words))
    behind_walls = told(tmp_path)
    assert behind_walls["seen"] == []
    assert "--backend" not in behind_walls["processes"]


@pytest.mark.usefixtures("walls")
def test_what_is_shown_to_a_process_hides_tasks_and_results_within(
    run: Run, mini_task: Path, tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "notes.txt").write_text("hints")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "login").write_text("a login")
    words = [str(tmp_path / name) for name in ("notes.txt", "out/mini", "tasks/mini/grading")]
    run(
        *sitter("spy", *words, "/home/agent/login"),
        *("--agent-path", ".", "--agent-home", "login"),
        HOME=str(tmp_path / "home"),
    )
    assert told(tmp_path)["seen"] == [words[0], "/home/agent/login"]
    refused = (
        (*sitter("leave"), "--agent-path", str(mini_task / "workspace")),
        sitter("leave", str(mini_task / "task.toml")),
    )
    for options in refused:
        assert "no agent may see" in run(*options, "--out", "x", expect=2)["said"]


@pytest.mark.skipif(os.geteuid() != 0, reason="any other user has its own rights behind walls")
@pytest.mark.usefixtures("walls")
def test_a_file_of_roots_alone_is_refused_at_the_start(run: Run, tmp_path: Path) -> None:
    (tmp_path / "sitter.py").chmod(0o600)
    result = run(*sitter("leave"), expect=2)
    assert "to read" in result["said"]
    assert "'chmod a+rX' lets it" in result["said"]


@pytest.mark.parametrize("name", ["claude-code", "codex"])
@pytest.mark.usefixtures("walls")
def test_a_known_agent_tells_model_tokens_and_cost(run: Run, tmp_path: Path, name: str) -> None:
    """Stands in for the program, with events that the real one wrote."""
    program = tmp_path / PRESETS[name].argv[0]
    events = "\n".join(map(json.dumps, EVENTS[name]))
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{events}\nEND\n")
    program.chmod(0o755)
    result = run("--agent", name, PATH=f"{tmp_path}:{os.environ['PATH']}")
    about = result["metadata"]
    assert (result["agent"], result["confinement"]) == (name, "sandboxed")
    assert (result["answer"], about["turns"]) == ("All done.", 2 if name == "claude-code" else 1)
    assert (about["prompt_tokens"], about["reply_tokens"]) == (200, 40)
    if name == "claude-code":
        assert (result["model"], about["cost_usd"]) == ("claude-opus-5-5", 0.0016)


EVENTS: dict[str, list[dict[str, Any]]] = {
    "claude-code": [
        {"type": "system", "subtype": "init", "tools": ["mcp__proctor__submit"]},
        {"type": "result", "subtype": "success", "is_error": False, "num_turns": 2,
         "result": "All done.", "total_cost_usd": 0.0016,
         "usage": {"input_tokens": 200, "cache_creation_input_tokens": 0,
                   "cache_read_input_tokens": 0, "output_tokens": 40},
         "modelUsage": {"claude-opus-5-5": {"inputTokens": 200}}},
    ],
    "codex": [
        {"type": "thread.started", "thread_id": "01a1fe2c"},
        {"type": "item.completed",
         "item": {"id": "item_3", "type": "agent_message", "text": "All done."}},
        {"type": "turn.completed", "usage": {"input_tokens": 200, "cached_input_tokens": 0,
                                             "output_tokens": 40}},
    ],
}  # fmt: skip


# What every launcher can rely on


class Launched:
    """A launcher of the test's own: it does what it is told, as a program would."""

    confinement: Confinement = "unconfined"

    def __init__(self, work: Callable[[], Awaitable[int]]) -> None:
        self._work = work

    async def run(self, errand: Errand, hear: Hear) -> int:
        assert errand.prompt.is_file()
        hear("stdout", b"my last words")
        return await self._work()


async def sit(tmp_path: Path, work: Callable[[], Awaitable[int]]) -> tuple[AgentReport, list[str]]:
    """Sit an exam whose session has settled; the report, and what was handed in."""
    server = FastMCP("exam")
    handed_in: list[str] = []

    @server.tool
    def status() -> str:
        return "the task"

    @server.tool
    def submit(answer: str) -> str:
        handed_in.append(answer)
        return "Handed in."

    names = {"session_id": "1", "token": "t" * 20, "url": "u", "url_with_token": "v"}
    ticket = SessionTicket.model_validate({**names, "time_s": 60})
    async with Client(server) as client:
        exam = Exam("mini", client, ticket, tmp_path, anyio.lowlevel.checkpoint)
        report = await Outsider(Launched(work), ("x",), linger_s=0).sit(exam)
    del status, submit
    return report, handed_in


async def test_an_agent_that_goes_on_after_its_grade_is_ended(tmp_path: Path) -> None:
    async def go_on() -> int:
        await anyio.sleep_forever()
        return 0

    report, handed_in = await sit(tmp_path, go_on)
    assert (report.errors, handed_in) == ((), ["my last words"])


async def test_an_agent_that_cannot_be_started_has_no_report(tmp_path: Path) -> None:
    async def fail() -> int:
        raise AgentError("no such thing")

    with pytest.raises(AgentError, match="no such thing"):
        await sit(tmp_path, fail)


# The log


@given(st.lists(st.binary(max_size=40)), st.integers(1, 30))
def test_no_log_shows_a_secret_however_it_is_cut(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], size: int
) -> None:
    place = tmp_path_factory.mktemp("log")
    whole = b"".join(piece + KEY.encode() for piece in pieces)
    with AgentLog.at(place, [KEY, "short"]) as kept:
        for at in range(0, len(whole), size):
            kept.hear("stdout", whole[at : at + size])
    written = (place / "agent.log").read_bytes()
    assert KEY.encode() not in written
    assert written.count(HIDDEN) >= len(pieces)


def test_a_log_is_cut_at_its_limit_and_goes_on_for_the_other_stream(tmp_path: Path) -> None:
    with AgentLog.at(tmp_path, [KEY]) as kept:
        for _ in range(100):
            kept.hear("stdout", b"x" * 100_000)
        kept.hear("stdout", b"the end")
        kept.hear("stderr", b"a word\n")
    written = (tmp_path / "agent.log").read_text()
    assert LOG_BYTES <= len(written) < LOG_BYTES + 100
    assert written.endswith(f"[proctor: stdout cut at {LOG_BYTES} bytes]\na word\n")
    assert kept.last.endswith("the end")


# Functions


GOOD = """
from proctor.schemas.result import AgentReport

async def sits(exam):
    await exam.client.call_tool("submit", {"answer": f"hello from {exam.task_id}"})
    return AgentReport(answer=f"hello from {exam.task_id}", turns=1, tool_calls=1)

async def fails(exam):
    raise RuntimeError("no idea")

async def forgets(exam):
    pass

def waits(exam):
    return None

async def old(client, task_id):
    return None

nothing = 3
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(GOOD)
    return path


def test_a_function_of_the_researchers_own_sits_the_exam(run: Run, mine: Path) -> None:
    result = run("--agent", "mine.py:sits")
    assert (result["agent"], result["answer"]) == ("sits", "hello from mini")
    assert (result["confinement"], result["state"]) == ("in_process", "graded")
    assert result["origin"]["function"] == f"{mine}:sits"


def test_what_an_agent_of_ones_own_says_it_spent_counts_against_the_runs_cap(
    run: Run, mine: Path
) -> None:
    text = mine.read_text()
    mine.write_text(text.replace("AgentReport(", "AgentReport(cost_usd=2.0, ", 1))
    flags = ("--agent", "mine.py:sits", "--epochs", "2", "--concurrency", "1")
    result = run(*flags, "--max-run-usd", "1.5", expect=1)
    assert result["metadata"]["cost_usd"] == 2.0
    assert "the run's limits are reached; sessions not held: 1" in result["said"]


@pytest.mark.parametrize("cap", ["--max-session-usd", "--max-session-tokens"])
def test_a_cap_that_could_not_be_kept_is_refused(run: Run, mine: Path, cap: str) -> None:
    said = run("--agent", f"{mine}:sits", cap, "5", expect=2)["said"]
    assert f"{cap} can be kept with --model alone" in said


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("fails", "the agent failed: RuntimeError: no idea ({mine}, line 9, in fails)"),
        ("forgets", "'forgets' in {mine}, line 11, returned NoneType, no AgentReport"),
    ],
)
def test_a_function_that_fails_is_named_with_file_and_line(
    run: Run, mine: Path, name: str, problem: str
) -> None:
    result = run("--agent", f"mine.py:{name}", expect=1)
    assert result["error"] == problem.format(mine=mine)
    assert (result["evaluation"], result["confinement"]) == (None, None)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--agent", "mine.py:waits"), "line 14, is not async; write it as: async def agent(exam)"),
        (("--agent", "mine.py:old"), "does not take an exam alone, but (client, task_id)"),
        (("--agent", "mine.py:nothing"), "is not callable, but of type int"),
        (("--agent", "mine.py:absent"), "has no 'absent'; define it there"),
        (("--agent", "yours.py:sits"), "there is no file"),
        (("--agent", "broken.py:sits"), "ZeroDivisionError: division by zero"),
        (("--agent", "genius"), "there is no agent 'genius'"),
        (("--agent-command", "no-such-program {mcp_url}"), "there is no program"),
        (("--agent-command", "sh 'x"), "is no command line: No closing quotation"),
        (("--agent-command", " "), "the command is empty"),
        (("--agent-command", "true", "--agent-env", "NO_SUCH"), "--agent-env NO_SUCH: it is not"),
        (("--agent-command", "true", "--agent", "noop"), "both name an agent; choose one"),
        (("--agent", "noop", "--model", "openai/x"), "--model is for the reference agent"),
        (("--agent-image", "x:y"), "if you trust it, add --trust-agent"),
        (("--agent-git", "https://x/y@v1"), "if you trust it, add --trust-agent"),
        (("--agent-git", "https://x/y", "--trust-agent"), "write it as URL@REV"),
    ],
)
def test_an_agent_that_cannot_be_had_is_refused_at_the_start(
    run: Run, mine: Path, tmp_path: Path, options: tuple[str, ...], problem: str
) -> None:
    (tmp_path / "broken.py").write_text("1 / 0\n")
    result = run(*options, expect=2, OPENAI_API_KEY=KEY)
    assert problem in result["said"]
    assert "Traceback" not in result["said"]
    assert mine.exists()


# Containers

DOCKERFILE = f"""
FROM {BASE_IMAGE}
COPY sitter.py /sitter.py
ENTRYPOINT ["python3", "/sitter.py"]
CMD ["solve"]
"""


@pytest.fixture
def api(docker_backend: Any) -> Generator[Any]:
    del docker_backend  # skips where there is no engine
    client = docker.DockerClient.from_env()
    yield client
    client.close()


@pytest.fixture
def repository(tmp_path: Path, api: Any) -> Callable[[str], str]:
    """Makes a repository of the sitter that does a deed, with the tag v1."""
    del api

    def make(deed: str) -> str:
        place = tmp_path / "repository"
        place.mkdir()
        shutil.copy(SITTER, place)
        (place / "Dockerfile").write_text(DOCKERFILE.replace('["solve"]', deed))
        author = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        for words in (("init", "-q"), ("add", "."), (*author, "commit", "-qm", "An agent"),
                      ("tag", "v1")):  # fmt: skip
            subprocess.run([GIT, *words], cwd=place, check=True)
        return f"file://{place}@v1"

    return make


@pytest.mark.docker
def test_an_agent_from_a_repository_sits_the_exam_in_a_container(
    run: Run, repository: Callable[[str], str], tmp_path: Path, api: Any
) -> None:
    place = repository('["solve"]')
    result = run("--agent-git", place, "--trust-agent")
    assert (result["agent"], result["confinement"]) == ("repository", "container")
    assert (result["evaluation"]["score"], result["answer"]) == (4, "I took the median.")
    origin = result["origin"]
    head = subprocess.check_output([GIT, "rev-parse", "v1"], cwd=tmp_path / "repository")
    assert (origin["git"], origin["revision"]) == (place.removesuffix("@v1"), head.decode().strip())
    assert api.images.get(origin["image"]).id == origin["image_id"]
    again = run("--agent-image", origin["image"], "--trust-agent", "--out", "again")
    assert again["origin"]["image_id"] == origin["image_id"]
    api.images.remove(origin["image"], force=True)


@pytest.mark.docker
def test_an_agents_container_is_hardened_and_gone_at_the_deadline(
    start: Start, repository: Callable[[str], str], mini_task: Path, api: Any
) -> None:
    limit_time(mini_task, 6)
    marker = f"marker-{secrets.token_hex(6)}"
    running = start(
        "--agent-git", repository(f'["hang", "{marker}"]'), "--trust-agent",
        "--agent-env", "EXAM_KEY",
    )  # fmt: skip
    found: list[Any] = []
    while not found and running.poll() is None:
        found = [each for each in api.containers.list() if marker in each.attrs["Config"]["Cmd"]]
    host, config = found[0].attrs["HostConfig"], found[0].attrs["Config"]
    assert (host["CapDrop"], host["SecurityOpt"]) == (["ALL"], ["no-new-privileges"])
    assert (host["PidsLimit"], host["Memory"]) == (1024, 4 << 30)
    assert (host["Binds"], host.get("Mounts")) == (None, None)
    assert f"EXAM_KEY={KEY}" in config["Env"]
    assert "proctor.server" in config["Labels"]
    stdout, stderr = running.communicate(timeout=120)
    (result,) = json.loads(stdout)["results"]
    assert (result["state"], result["confinement"]) == ("graded", "container"), stderr
    assert result["metadata"]["errors"] == ["the agent was still at work when its time was up"]
    assert not [each for each in api.containers.list(all=True) if each.id == found[0].id]
    api.images.remove(result["origin"]["image"], force=True)
