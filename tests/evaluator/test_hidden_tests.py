"""Hidden tests: what the agent's side is sent, what comes back, and what it is worth."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest

from proctor.evaluator.hidden_tests import split
from proctor.sandbox_backends.base import Backend
from proctor.schemas.errors import TaskError
from proctor.schemas.grade import Score
from proctor.schemas.task import Task

Measured: TypeAlias = Callable[..., Awaitable[Score]]
MakeTask: TypeAlias = Callable[..., Task]

PATH = "tests/test_centre.py"
HIDDEN = '''"""Nobody sees this."""
import numpy as np
from reference import TRUTH

LIMIT = 1e-6


def case_odd(workspace):
    """The median of 3, 1, 2 is 2."""
    from stats import centre

    return centre(np.array([3.0, 1.0, 2.0]))  # the answer is 2


def case_even(workspace):
    from stats import centre
    return {"centre": centre(np.arange(4.0)), "text": (workspace / "note.txt").read_text()}


def case_lists(workspace):
    from stats import ranked
    return [ranked(np.array([2.0, 1.0])), ("a", True, None)]


def test_odd(result):
    assert abs(result - 2) < LIMIT


def test_even(result):
    assert abs(result["centre"] - TRUTH) < LIMIT


def test_text(even):
    assert even["text"] == "hello"


def test_lists(result, odd):
    assert isinstance(result[0], np.ndarray) and result[0].tolist() == [1.0, 2.0]
    assert result[1] == ["a", True, None]
    assert isinstance(odd, float)
'''
GRADING = {PATH: HIDDEN, "reference.py": "TRUTH = 1.5\n"}
RIGHT = """import numpy as np
def centre(values):
    return np.median(values)
def ranked(values):
    return np.sort(values)
"""
WRONG = """def centre(values):
    return 0.0
def ranked(values):
    return values
"""
NOTE = {"note.txt": "hello"}


async def test_the_share_of_the_tests_that_pass_is_the_credit(
    make_task: MakeTask, measured: Measured
) -> None:
    task = make_task("tests", {}, GRADING, NOTE)
    right = await measured(task, {"stats.py": RIGHT})
    wrong = await measured(task, {"stats.py": WRONG})
    assert (right.credit, wrong.credit) == (1, 0.25), (right.evidence, wrong.evidence)
    assert right.evidence == "4 of 4 tests passed"
    assert "test_odd: " in wrong.evidence


@pytest.mark.docker
async def test_an_image_without_pytest_gives_the_same_credit(
    make_task: MakeTask, measured: Measured, docker_backend: Backend
) -> None:
    task = make_task("tests", {}, GRADING, NOTE)
    assert (await measured(task, {"stats.py": RIGHT}, docker_backend)).credit == 1
    assert (await measured(task, {"stats.py": WRONG}, docker_backend)).credit == 0.25


@pytest.mark.parametrize(
    ("options", "credit"),
    [
        ({"credit": "all"}, 0),
        ({"only": ["test_text"]}, 1),
        ({"only": ["test_odd"], "files": [PATH]}, 0),
    ],
)
async def test_a_criterion_counts_the_tests_that_it_names(
    make_task: MakeTask, measured: Measured, options: dict[str, Any], credit: float
) -> None:
    task = make_task("tests", options, GRADING, NOTE)
    assert (await measured(task, {"stats.py": WRONG})).credit == credit


LIE = """
class Lie(float):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    def __gt__(self, other): return True
    def __sub__(self, other): return self
    def __abs__(self): return self
    def __hash__(self): return 0
    def __array__(self, dtype=None, copy=None):
        import numpy as np
        return np.array(float("nan"))
def centre(values): return Lie(7)
def ranked(values): return Lie(7)
"""
PATCHED = """
import builtins, sys
class Passes:
    def __getattr__(self, name): return lambda *a, **k: True
sys.modules["pytest"] = Passes()
builtins.AssertionError = type("Never", (BaseException,), {})
builtins.abs = lambda value: 0.0
"""
FORGED = """
import json, os, sys
report = {f"tests/test_centre.py::test_{n}": {"passed": True, "why": ""}
          for n in ("odd", "even", "text", "lists")}
for folder in (sys.argv[3], ".", "/tmp", "/tmp/exam", "made/0"):
    os.makedirs(folder, exist_ok=True)
    for name in ("report.json", "verdicts.json", "failures.json", "junit.xml"):
        open(os.path.join(folder, name), "w").write(json.dumps(report))
os._exit(0)
"""
SURVIVOR = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(3)  # what it writes while its case runs is the case's own result
        for _ in range(200):
            time.sleep(0.05)
            for value in ("2.0", '{"centre": 1.5, "text": ""}'):
                open("/tmp/exam/out/result.json", "w").write(value)
    os._exit(0)
"""
TRICKS = {
    "a lying number": LIE,
    "patched pytest and builtins": PATCHED + WRONG,
    "a forged report": FORGED,
    "an early exit": "raise SystemExit(0)",
    "a hard exit": "import atexit, os\natexit.register(os._exit, 0)\nos._exit(0)",
    "a survivor": SURVIVOR + WRONG,
    "not a number": "def centre(values): return float('nan')\ndef ranked(values): return centre(1)",
    "an object": "def centre(values): return object()\nranked = centre",
    "an array of objects": "import numpy as np\n"
    "def centre(values): return np.array([object()])\nranked = centre",
    "a marker": "def centre(values): return {'__array__': '../../../../tests/test_centre'}\n"
    "ranked = centre",
    "nested": "def centre(values):\n    out = []\n    for _ in range(100000): out = [out]\n"
    "    return out\nranked = centre",
}


@pytest.mark.parametrize("name", list(TRICKS))
async def test_no_trick_earns_more_than_an_honest_failure(
    make_task: MakeTask, measured: Measured, name: str
) -> None:
    task = make_task("tests", {"only": ["test_odd", "test_even", "test_lists"]}, GRADING, NOTE)
    planted = {
        "conftest.py": "def pytest_runtest_makereport(item, call): raise SystemExit(0)",
        "pytest.ini": "[pytest]\naddopts = --collect-only\n",
        "sitecustomize.py": "raise SystemExit(0)",
        "reference.py": "TRUTH = 0.0",
    }
    score = await measured(task, {"stats.py": TRICKS[name], **planted})
    assert (score.state, score.credit) == ("scored", 0), score.evidence


async def test_the_agents_side_gets_neither_tests_nor_expected_values(
    make_task: MakeTask, measured: Measured
) -> None:
    spy = (
        "import os, sys\nfrom pathlib import Path\n"
        "def centre(values):\n"
        "    mine = ('stats.py',)\n"
        "    python = (sys.prefix, sys.base_prefix)\n"
        "    seen = [p.read_bytes().decode('utf-8', 'replace') for top in ('/tmp', os.getcwd())\n"
        "            for p in Path(top).rglob('*')\n"
        "            if not str(p).startswith(python) and p.is_file() and p.name not in mine]\n"
        "    found = [w for w in ('LIMIT', 'TRUTH', 'abs(result', 'median', 'answer is') "
        "if any(w in s for s in seen)]\n"
        "    return 2.0 if not found else str(found)\n"
    )
    task = make_task("tests", {"only": ["test_odd"]}, GRADING, NOTE)
    score = await measured(task, {"stats.py": spy})
    assert score.credit == 1, score.evidence


def test_a_case_is_sent_with_the_imports_that_it_uses_alone() -> None:
    sent = split(PATH, {PATH: HIDDEN.encode(), "reference.py": b""}).cases
    assert sent["odd"] == (
        "import numpy as np\ndef case_odd(workspace):\n    from stats import centre\n"
        "    return centre(np.array([3.0, 1.0, 2.0]))\n"
    )
    assert sent["even"].count("import") == 2


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("def case_a(workspace):\n    return LIMIT\nLIMIT = 1\n", "uses 'LIMIT'"),
        ("def case_a(w):\n    return [helper(i) for i in w]\ndef helper(x): ...\n", "'helper'"),
        ("import reference\ndef case_a(workspace):\n    return reference.TRUTH\n", "'reference'"),
        ("import pytest\ndef case_a(workspace):\n    return pytest\n", "'pytest'"),
        ("def case_a(workspace):\n    assert 1\n", "case_a asserts"),
        ("def case_a(workspace, truth=2):\n    return truth\n", "def case_a(workspace)"),
        ("def case_a():\n    return 1\n", "def case_a(workspace)"),
        ("def test_a(result):\n    assert result\n", "case_a, which does not exist"),
        ("def case_a(\n", "not Python"),
    ],
)
def test_a_case_that_needs_what_stays_hidden_is_the_authors_error(
    source: str, problem: str
) -> None:
    with pytest.raises(TaskError, match=problem.replace("(", r"\(").replace(")", r"\)")):
        split(PATH, {PATH: source.encode(), "reference.py": b""})


@pytest.mark.parametrize(
    ("grading", "options", "problem"),
    [
        ({}, {}, "there is no grading/tests/test_"),
        (GRADING, {"files": ["tests/test_x.py"]}, "there is no grading/tests/test_x.py"),
        (GRADING, {"only": ["test_x"]}, "there is no test function 'test_x'"),
    ],
)
def test_tests_that_are_not_there_are_the_authors_error(
    make_task: MakeTask, grading: dict[str, str], options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(TaskError, match=problem):
        make_task("tests", options, grading)


async def test_a_module_that_cannot_be_read_leaves_the_criterion_ungraded(
    make_task: MakeTask, measured: Measured
) -> None:
    broken = {PATH: "import nothing_of_that_name\ndef test_a():\n    assert True\n"}
    score = await measured(make_task("tests", {}, broken), {})
    assert score.state == "ungraded"
    assert "nothing_of_that_name" in score.evidence
