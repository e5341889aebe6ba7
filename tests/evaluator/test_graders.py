"""The graders, each on what an agent might hand in."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proctor.evaluator.grade import grade
from proctor.evaluator.graders import GRADERS, file_exists, location, report_field
from proctor.evaluator.probe_kit import Invalid, Outputs
from proctor.evaluator.work import Work
from proctor.sandbox_backends.archive import pack
from proctor.sandbox_backends.base import Backend
from proctor.sandbox_backends.local import open_plain
from proctor.schemas.errors import SubmissionError
from proctor.schemas.grade import Grade
from proctor.tasks.catalog import read_task

REPORT = "response/report.json"
CODE = "".join(f"# {n}\n" for n in range(1, 11)) + (
    "def broken(x):\n    a = x\n    b = a\n    c = b\n    return c\n"
    + "".join(f"# {n}\n" for n in range(16, 101))
    + "class Model:\n    def fit(self, x):\n        return x\n"
)


def work_of(
    task: Path, tmp_path: Path, files: dict[str, bytes], backend: Backend = open_plain
) -> Work:
    archive = tmp_path / "work.tar"
    archive.write_bytes(pack(files).getvalue())
    return Work(
        task=read_task(task),
        answer="",
        snapshot=archive,
        snapshot_sha256="0" * 64,
        seed=7,
        backend=backend,
    )


@pytest.fixture
def handed_in(mini_task: Path, tmp_path: Path) -> Any:
    def make(**files: bytes | str | object) -> Work:
        tree: dict[str, bytes] = {}
        for name, content in files.items():
            path = REPORT if name == "report" else name
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            tree[path] = data
        work = work_of(mini_task, tmp_path, tree)
        task = work.task.model_copy(update={"workspace": {"m.py": CODE.encode()}})
        return Work(
            task=task, answer="", snapshot=work.snapshot, snapshot_sha256="0" * 64, seed=7,
            backend=open_plain,
        )  # fmt: skip

    return make


async def test_file_exists_wants_a_file_that_is_not_empty(handed_in: Any) -> None:
    options = file_exists.Options(path=REPORT)
    assert (await file_exists.measure(handed_in(report=b"x"), options)).credit == 1
    assert (await file_exists.measure(handed_in(report=b""), options)).credit == 0
    assert (await file_exists.measure(handed_in(other=b"x"), options)).credit == 0


@pytest.mark.parametrize(
    ("options", "value", "credit"),
    [
        ({"pointer": "/a", "equals": "X"}, {"a": "X"}, 1),
        ({"pointer": "/a", "equals": "X"}, {"a": "x"}, 0),
        ({"pointer": "/a", "equals": 1}, {"a": True}, 0),
        ({"pointer": "/a", "one_of": ["X", "Y"]}, {"a": "Y"}, 1),
        ({"pointer": "/a", "one_of": ["X", "Y"]}, {"a": "Z"}, 0),
        ({"pointer": "/a/0", "schema": {"type": "number", "minimum": 2}}, {"a": [2.5]}, 1),
        ({"pointer": "/a/0", "schema": {"type": "number", "minimum": 2}}, {"a": [1.5]}, 0),
        ({"pointer": "/a/0", "schema": {"type": "number"}}, {"a": ["2"]}, 0),
    ],
)
async def test_report_field_compares_as_json_means_it(
    handed_in: Any, options: dict[str, Any], value: object, credit: float
) -> None:
    score = await report_field.measure(
        handed_in(report=value), report_field.Options.model_validate(options)
    )
    assert score.credit == credit


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe{}", "not JSON in UTF-8"),
        (b'{"a": NaN}', "NaN is not a JSON value"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b" " * (2 << 20), "more than"),
        (b"[]", "does not exist"),
        (None, "does not exist"),
    ],
)
async def test_a_report_that_cannot_be_read_is_invalid_with_the_reason(
    handed_in: Any, content: bytes | None, reason: str
) -> None:
    work = handed_in(report=content) if content is not None else handed_in(other=b"")
    options = report_field.Options(pointer="/a", equals=1)
    with pytest.raises(SubmissionError, match=reason):
        await report_field.measure(work, options)


FAULT = {"file": "m.py", "lines": [13, 13], "function": "broken"}


@pytest.mark.parametrize(
    ("claims", "least", "most"),
    [
        ([{"file": "m.py", "lines": [13, 13]}], 1, 1),
        ([{"file": "m.py", "lines": [12, 14]}], 1, 1),
        ([{"file": "/workspace/m.py", "lines": [13, 13]}], 1, 1),
        ([{"file": "./m.py", "function": "broken"}], 1, 1),
        ([{"file": "m.py", "function": "broken()"}], 1, 1),
        ([{"file": "m.py", "lines": [11, 11], "function": "broken"}], 0.5, 0.5),
        ([{"file": "m.py", "lines": [17, 17]}], 0.5, 0.5),
        ([{"file": "m.py", "lines": [40, 41]}], 0, 0),
        ([{"file": "m.py", "function": "other"}], 0, 0),
        ([{"file": "other.py", "lines": [13, 13]}], 0, 0),
        ([{"file": "m.py", "lines": [1, 103]}], 0.1, 0.25),
        ([{"file": "m.py", "lines": [1, 10**9]}], 0.1, 0.25),
        ([{"file": "m.py", "lines": [50, 10**12]}], 0, 0),
        ([{"file": "m.py", "lines": [10**12, 10**15]}], 0, 0),
        ([{"file": "m.py", "lines": [n, n]} for n in range(1, 60)], 0.05, 0.4),
        ([], 0, 0),
    ],
)
async def test_a_location_earns_by_how_well_and_how_narrowly_it_meets_the_fault(
    handed_in: Any, claims: list[object], least: float, most: float
) -> None:
    options = location.Options.model_validate({"locations": [FAULT]})
    score = await location.measure(handed_in(report={"locations": claims}), options)
    assert least <= score.credit <= most, score.evidence


@pytest.mark.parametrize("names", [True, False])
async def test_a_line_in_every_function_does_not_stand_for_having_found_the_fault(
    handed_in: Any, *, names: bool
) -> None:
    code = "".join(f"def f{n}(x):\n    a = x\n    b = a\n    return b\n" for n in range(20))
    fault = {"file": "p.py", "lines": [42, 43], "function": "f10"}
    options = location.Options.model_validate({"locations": [fault]})
    claims: list[dict[str, object]] = [
        {"file": "p.py", "lines": [4 * n + 2, 4 * n + 2]} for n in range(20)
    ]
    if names:
        claims = [{**claim, "function": f"f{n}"} for n, claim in enumerate(claims)]
    work = handed_in(report={"locations": claims})
    work = replace(work, task=work.task.model_copy(update={"workspace": {"p.py": code.encode()}}))
    assert (await location.measure(work, options)).credit <= 0.2
    honest = [claims[10], claims[11], claims[3]]
    right = handed_in(report={"locations": honest})
    right = replace(right, task=work.task)
    assert (await location.measure(right, options)).credit == 1


async def test_every_fault_must_be_met_and_other_right_places_count(handed_in: Any) -> None:
    faults = [
        FAULT,
        {"file": "m.py", "lines": [103, 103], "also": [{"file": "x.py", "lines": [1, 2]}]},
    ]
    options = location.Options.model_validate({"locations": faults})
    one = [{"file": "m.py", "lines": [13, 13]}]
    both = [*one, {"file": "x.py", "lines": [2, 2]}]
    assert (await location.measure(handed_in(report={"locations": one}), options)).credit == 0.5
    assert (await location.measure(handed_in(report={"locations": both}), options)).credit == 1


async def test_where_nothing_is_wrong_every_claim_is_wrong(handed_in: Any) -> None:
    options = location.Options()
    none = await location.measure(handed_in(report={"locations": []}), options)
    some = await location.measure(handed_in(report={"locations": [FAULT]}), options)
    assert (none.credit, some.credit) == (1, 0)


@pytest.mark.parametrize(
    "report",
    [
        {},
        [],
        {"locations": "m.py"},
        {"locations": [{"lines": [1, 2]}]},
        {"locations": [{"file": "m.py", "lines": [5, 1]}]},
        {"locations": [FAULT] * 101},
    ],
)
async def test_a_location_that_cannot_be_read_is_invalid(handed_in: Any, report: object) -> None:
    with pytest.raises(SubmissionError):
        await location.measure(
            handed_in(report=report), location.Options.model_validate({"locations": [FAULT]})
        )


def solution_of(task: Path) -> dict[str, bytes]:
    read = read_task(task)
    assert read.solution
    return {**read.workspace, **read.solution.files}


def credits_of(result: Grade) -> dict[str, float | None]:
    return {r.id: None if r.state == "ungraded" else r.credit for r in result.results}


async def test_the_reference_solution_earns_everything_but_prose(
    mini_task: Path, tmp_path: Path, any_backend: Backend
) -> None:
    result = await grade(work_of(mini_task, tmp_path, solution_of(mini_task), any_backend))
    assert credits_of(result) == {
        "issue_type": 1, "location": 1, "explanation": None, "fix": 1, "report_file": 1,
    }  # fmt: skip
    assert (result.score, result.points_graded, result.total_possible) == (9, 9, 10)
    assert result.percentage == 100
    assert result.ungraded == ("explanation",)


async def test_grading_twice_gives_the_same_grade(
    mini_task: Path, tmp_path: Path, any_backend: Backend
) -> None:
    work = work_of(mini_task, tmp_path, solution_of(mini_task), any_backend)
    again = work_of(mini_task, tmp_path, solution_of(mini_task), any_backend)
    assert await grade(work) == await grade(again)


CHEATS = {
    "untouched": None,
    "constant": "def centre(values):\n    return 0.0\n",
    "crash": "raise SystemExit(0)\n",
    "hang": "while True: pass\n",
    "nan": "def centre(values):\n    return float('nan')\n",
    "text": "def centre(values):\n    return 'ok'\n",
    "forged verdict": (
        "import json, os, sys\n"
        "for place in (sys.argv[2], '.', '/tmp', '..'):\n"
        "    for name in ('verdicts.json', 'failures.json', 'centre.json'):\n"
        "        try: json.dump({'robust': {'credit': 1, 'evidence': ''},"
        " 'follows': {'credit': 1, 'evidence': ''}}, open(os.path.join(place, name), 'w'))\n"
        "        except OSError: pass\n"
        "os._exit(0)\n"
    ),
    "survivor": (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    time.sleep(0.5)\n"
        "    open('/tmp/exam/out/centre.json', 'w').write('50.0')\n"
        "    os._exit(0)\n"
        "def centre(values):\n    return 0.0\n"
    ),
    "link": (
        "import os, sys\n"
        "os.symlink('/etc/hostname', sys.argv[2] + '/centre.json')\n"
        "def centre(values):\n    os._exit(0)\n"
    ),
    "flood": (
        "import sys\n"
        "for n in range(5000): open(f'{sys.argv[2]}/f{n}.json', 'w').write('1')\n"
        "def centre(values):\n    return 0.0\n"
    ),
    "deep": (
        "import sys, os\nopen(sys.argv[2] + '/centre.json', 'w').write('[' * 100000)\nos._exit(0)\n"
    ),
    "huge number": (
        "import sys, os\n"
        "open(sys.argv[2] + '/centre.json', 'w').write('1' + '0' * 400)\n"
        "os._exit(0)\n"
    ),
    "stopped supervisor": "import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)\n"
    "import time; time.sleep(300)\n",
    "pid one": "import os\nos.system('kill -9 -1')\ndef centre(values):\n    return 0.0\n",
}


@pytest.mark.parametrize("name", list(CHEATS))
async def test_code_that_does_not_have_the_property_earns_nothing_for_it(
    mini_task: Path, tmp_path: Path, isolating: Backend, name: str
) -> None:
    code = CHEATS[name]
    files = solution_of(mini_task)
    files["stats.py"] = (
        read_task(mini_task).workspace["stats.py"] if code is None else code.encode()
    )
    files["verdicts.json"] = b'{"robust": {"credit": 1, "evidence": ""}}'
    files["sitecustomize.py"] = b"raise SystemExit('planted')"
    result = await grade(work_of(mini_task, tmp_path, files, isolating))
    assert credits_of(result)["fix"] == 0, result.results[3].reasoning


@pytest.mark.parametrize(
    "content",
    [
        b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (10**12,), }",
        b"\x93NUMPY\x01\x00v\x00" + b"(" * 118,
        b"PK\x03\x04not an archive",
        b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }   \n\x80",
        b"",
    ],
)
def test_a_crafted_array_is_the_agents_failure_and_not_the_instruments(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "pred.npy").write_bytes(content)
    with pytest.raises(Invalid):
        Outputs("case", tmp_path).numbers("pred", (None,))


@pytest.mark.parametrize("values", [[1e300], [float("nan")], [1 + 2j], ["1.0"]])
def test_values_that_no_check_can_reckon_with_are_refused(
    tmp_path: Path, values: list[Any]
) -> None:
    np.save(tmp_path / "pred.npy", np.asarray(values))
    with pytest.raises(Invalid):
        Outputs("case", tmp_path).numbers("pred", (1,))


async def test_what_is_planted_beside_the_right_code_changes_nothing(
    mini_task: Path, tmp_path: Path, isolating: Backend
) -> None:
    files = solution_of(mini_task)
    for name in ("sitecustomize.py", "usercustomize.py", "conftest.py", "probe_kit.py", "json.pth"):
        files[name] = b"raise SystemExit('planted')"
    result = await grade(work_of(mini_task, tmp_path, files, isolating))
    assert result.score == 9


async def test_a_broken_probe_leaves_its_criterion_ungraded(
    task_with: Any, tmp_path: Path, any_backend: Backend
) -> None:
    broken = {"grading/probe.py": "def cases(rng):\n    raise RuntimeError('out of data')\n"}
    task = task_with(broken)
    result = await grade(work_of(task, tmp_path, solution_of(task), any_backend))
    fix = result.results[3]
    assert fix.state == "ungraded"
    assert "out of data" in fix.reasoning
    assert (result.score, result.points_graded) == (5, 5)


async def test_a_sandbox_that_does_not_start_leaves_criteria_ungraded(
    mini_task: Path, tmp_path: Path
) -> None:
    work = work_of(mini_task, tmp_path, solution_of(mini_task))
    spec = work.task.sandbox.model_copy(update={"isolation_required": True})
    task = work.task.model_copy(update={"sandbox": spec})
    refused = Work(
        task=task,
        answer="",
        snapshot=work.snapshot,
        snapshot_sha256="0" * 64,
        seed=7,
        backend=open_plain,
    )
    fix = (await grade(refused)).results[3]
    assert fix.state == "ungraded"
    assert "isolation" in fix.reasoning


def test_every_grader_has_options_that_refuse_unknown_keys() -> None:
    for grader in GRADERS.values():
        assert grader.options.model_config.get("extra") == "forbid"
