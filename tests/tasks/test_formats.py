"""Both task formats: what they read, what they refuse, and how they say so."""

import json
import shutil
import tomllib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from proctor.schemas.errors import TaskError
from proctor.tasks.catalog import Catalog, read_task
from proctor.tasks.competitions.library import Competitions
from proctor.tasks.formats.afterquery import read_afterquery, read_document, to_document
from proctor.tasks.formats.reading import MAX_FILE_BYTES
from proctor.tasks.schema import afterquery_schema, directory_schema

LINES = """# The rubric
+5|`NO_FILE`|report.json exists at `../tasking/response/report.json`
+5|`LOCATE_ISSUES`|The report names line 40-48 or the `nearest` function.|It is there.
+5|`LOCATE_ISSUES`|The report explains the fit on all rows.

-3|PENALTY|The answer is rude.
"""
DOCUMENT: dict[str, Any] = {
    "task_id": "error-analysis-1",
    "prompt": [{"type": "text", "content": "Find it."}, {"type": "text", "content": "Mend it."}],
    "rubrics": [
        {
            "name": "NO_FILE",
            "weight": 5,
            "score": {"type": "discrete", "outcomes": [{"label": "no", "score": 0},
                                                       {"label": "yes", "score": 1}]},
            "messages": [{"type": "text", "content":
                          "report.json exists at `../tasking/response/report.json`"}],
        },
        {"name": "LOCATE_ISSUES", "weight": 5, "messages": [
            {"type": "text", "content": "The report names line 40-48 or the `nearest` function."}]},
        {"name": "LOCATE_ISSUES", "weight": 5, "messages": [
            {"type": "text", "content": "The report explains the fit on all rows."}]},
        {"name": "PENALTY", "weight": -3, "messages": [
            {"type": "text", "content": "The answer is rude."}]},
    ],
    "rubric_text": LINES,
    "task_files": {"src/code.py": "x = 1\n", "data/train.csv": "a,é\n"},
    "task_dir": "/app",
    "use_docker": True,
    "max_turns": 30,
}  # fmt: skip

WriteJson = Callable[..., Path]


@pytest.fixture
def json_task(tmp_path: Path) -> WriteJson:
    def write(**changes: object) -> Path:
        path = tmp_path / "task.json"
        document = {k: v for k, v in {**DOCUMENT, **changes}.items() if v is not ...}
        path.write_text(json.dumps(document), "utf-8")
        return path

    return write


def test_afterquerys_json_becomes_a_task(json_task: WriteJson) -> None:
    task = read_task(json_task())
    assert task.instructions == "Find it.\nMend it."
    assert task.workspace == {"src/code.py": b"x = 1\n", "data/train.csv": "a,é\n".encode()}
    assert task.sandbox.workdir == "/app"
    assert task.sandbox.isolation_required
    assert task.limits.turns == 30
    assert [c.id for c in task.rubric.criteria] == [
        "NO_FILE", "LOCATE_ISSUES", "LOCATE_ISSUES-2", "PENALTY",
    ]  # fmt: skip
    first, second, _, penalty = task.rubric.criteria
    assert (first.grader, first.options) == ("file_exists", {"path": "response/report.json"})
    assert (second.grader, second.justification) == ("judge", "It is there.")
    assert penalty.points == -3
    assert task.rubric.points_possible == 15


def test_afterquerys_json_is_written_unchanged(json_task: WriteJson) -> None:
    assert read_document(json_task()).dump() == DOCUMENT


def test_a_task_written_as_afterquerys_json_reads_back_as_the_same_task(
    json_task: WriteJson, tmp_path: Path
) -> None:
    task = read_afterquery(json_task())
    again = tmp_path / "again.json"
    again.write_text(json.dumps(to_document(task).model_dump(mode="json")), "utf-8")
    assert read_afterquery(again) == task


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("+5|NO_FILE|It exists at `/app/response/report.json`", "response/report.json"),
        ("+5|NO_FILE|It exists at response/report.json.", "response/report.json"),
        ("+5|NO_FILE|`notes.md` exists", "notes.md"),
        ("+5|NO_FILE|The report exists at the expected place", None),
        ("+5|NO_FILE|It exists at `/etc/elsewhere`", None),
        ("-5|NO_FILE|It exists at `response/report.json`", None),
        ("+5|OTHER|It exists at `response/report.json`", None),
    ],
)
def test_only_what_plainly_asks_for_a_file_is_checked_by_looking(
    json_task: WriteJson, line: str, path: str | None
) -> None:
    (criterion,) = read_task(json_task(rubric_text=line, rubrics=...)).rubric.criteria
    assert criterion.grader == ("judge" if path is None else "file_exists")
    assert criterion.options.get("path") == path


def test_ids_made_from_names_never_collide(json_task: WriteJson) -> None:
    text = "+1|A|one\n+1|A|two\n+1|A-2|three\n+1|A|four"
    criteria = read_task(json_task(rubric_text=text, rubrics=...)).rubric.criteria
    assert len({criterion.id for criterion in criteria}) == 4


@pytest.mark.parametrize("missing", ["rubrics", "rubric_text"])
def test_either_notation_of_the_rubric_is_enough(json_task: WriteJson, missing: str) -> None:
    whole = read_task(json_task()).rubric.criteria
    part = read_task(json_task(**{missing: ...})).rubric.criteria
    assert [(c.id, c.points, c.text) for c in part] == [(c.id, c.points, c.text) for c in whole]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rubric_text": LINES.replace("+5|`LOCATE", "+4|`LOCATE", 1)}, "line 3: points is 4"),
        ({"rubric_text": LINES.replace("rude", "long")}, "line 6: text is 'The answer is long.'"),
        ({"rubric_text": LINES + "+1|MORE|More."}, "line 7: has no counterpart in rubrics"),
        ({"rubric_text": "+5|NO_FILE|x"}, "line 1: text is"),
        ({"rubric_text": "+five|A|b", "rubrics": ...}, "line 1: '.five' is not a number of points"),
        ({"rubric_text": "+5|A|", "rubrics": ...}, "line 1: no criterion"),
        ({"rubric_text": "+1|A|b\n+2|A|b", "rubrics": ...}, "duplicate criterion A"),
        ({"rubrics": ..., "rubric_text": ...}, "rubrics: missing.*add one"),
        ({"task_id": ...}, "task_id: Field required; add it"),
        ({"colour": 1}, "colour: Extra inputs are not permitted; remove it"),
        ({"max_turns": "many"}, "max_turns: .*found 'many'"),
        ({"task_files": {"../x": ""}}, r"task_files.*'../x' escapes the workspace"),
        ({"task_files": {"/etc/x": ""}}, "escapes the workspace"),
        ({"task_files": {"a\\..\\x": ""}}, "escapes the workspace"),
        ({"task_dir": "app"}, "sandbox.workdir: String should match"),
        ({"task_dir": "/"}, "sandbox.workdir: String should match"),
        ({"task_dir": "/a/../b"}, "is no place for a workspace"),
        ({"task_dir": "/usr/local"}, "is no place for a workspace"),
        ({"task_files": {"a": "", "./a": ""}}, "another file is in its place"),
        ({"task_files": {"a": "", "a/b": ""}}, "another file is in its place"),
        ({"rubric_text": "5|A|b", "rubrics": ...}, "line 1: no sign before the points"),
        ({"rubric_text": "nothing", "rubrics": ...}, "no criterion; write lines such as"),
        ({"rubrics": [{"name": "A", "weight": "5", "messages": [{"content": "x"}]}],
          "rubric_text": ...}, "rubrics.0.weight"),
        ({"rubrics": [{"name": "A", "weight": True, "messages": [{"content": "x"}]}],
          "rubric_text": ...}, "rubrics.0.weight"),
        ({"task_files": {"a": "\ud800"}}, "not valid Unicode"),
    ],
)  # fmt: skip
def test_bad_json_is_refused_naming_file_key_and_remedy(
    json_task: WriteJson, changes: dict[str, object], message: str
) -> None:
    path = json_task(**changes)
    with pytest.raises(TaskError, match=message) as caught:
        read_task(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "not JSON"),
        (b'{"task_id": "\xff"}', "byte 13 is not UTF-8; save the file as UTF-8"),
        (b'{"task_id": "a", "task_id": "b"}', "the key 'task_id' stands twice"),
        (b"[" * 100_000, "nested too deeply|not JSON"),
        (b"[]", "the file: Input should be"),
    ],
)
def test_what_is_no_json_document_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(data)
    with pytest.raises(TaskError, match=message):
        read_task(path)


@given(st.text(max_size=400))
def test_any_rubric_text_is_read_or_refused(tmp_path_factory: Any, text: str) -> None:
    path = tmp_path_factory.mktemp("t") / "t.json"
    document = {**DOCUMENT, "rubric_text": text}
    del document["rubrics"]
    path.write_text(json.dumps(document), "utf-8")
    with suppress(TaskError):  # and nothing else
        task = read_afterquery(path)
        assert all(criterion.text for criterion in task.rubric.criteria)


def test_a_directory_becomes_a_task(mini_task: Path) -> None:
    task = read_task(mini_task)
    assert (task.id, task.title) == ("mini", "A mean that is off")
    assert set(task.workspace) == {"stats.py", "data/values.csv"}
    assert set(task.grading) == {"driver.py", "probe.py"}
    assert task.solution is not None
    assert set(task.solution.files) == {"stats.py", "response/report.json"}
    (decoy,) = task.decoys
    assert decoy.solution.files["stats.py"].startswith(b"def centre(values):\n    return 0.0")
    assert "response/report.json" in decoy.solution.files


def changed(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


def sandbox(line: str) -> str:
    return f"[sandbox]\n{line}\n[limits]"


def mounted(source: str, target: str) -> str:
    return f'[[sandbox.mounts]]\nsource = "{source}"\ntarget = "{target}"\n[limits]'


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "A mean that is off"\n', "", "title: Field required; add it"),
        ("[limits]", "colour = 1\n[limits]", "colour: Extra inputs.*remove it"),
        ("points = 2", 'points = "2"', "criteria.0.points"),
        ("points = 2", "points = nan", "criteria.0.points"),
        ('id = "location"', 'id = "issue_type"', "duplicate criterion 'issue_type'"),
        ('requires = ["issue_type"]', 'requires = ["fix"]', "requires 'fix', which is not"),
        ('grader = "judge"', 'grader = "guess"', "no grader 'guess'; use one of"),
        ('equals = "OUTLIER"', 'equal = "OUTLIER"', "'issue_type': .*Extra inputs|exactly one of"),
        ('checks = ["robust", "follows"]', "checks = []", "'fix': options.checks"),
        ("lines = [3, 3]", "lines = [3, 30]", "stats.py has no lines"),
        ('file = "stats.py"', 'file = "nope.py"', "no nope.py in the workspace"),
        ('function = "centre"', 'function = "middle"', "not in a function 'middle'"),
        ('id = "mini"', 'id = "../mini"', "id: String should match"),
        ("tool_calls = 50", "tool_calls = 0", "limits.tool_calls"),
        ("tool_calls = 50", "tool_calls = ", "not TOML"),
        ("[limits]", sandbox('network = "lan"'), "sandbox.network: use \"none\".*found 'lan'"),
        ("[limits]", sandbox("network = []"), 'sandbox.network: use "none"'),
        ("[limits]", sandbox('network = ["PyPI.org"]'), "host names in lower case"),
        ("[limits]", sandbox('network = ["pypi.org", "10.0.0.1"]'), "a list of host names"),
        ("[limits]", sandbox('network = ["*.org"]'), "a list of host names"),
        ("[limits]", mounted("data", "/tmp/data"), "is no place for a mount"),  # noqa: S108
        ("[limits]", mounted("data", "/etc/data"), "is no place for a mount"),
        ("[limits]", mounted("data", "/workspace/data"), "mount data beside it"),
        ("[limits]", mounted("data", "data"), "sandbox.mounts.0.target"),
    ],
)
def test_a_bad_task_file_is_refused_naming_file_key_and_remedy(
    task_with: Any, mini_task: Path, old: str, new: str, message: str
) -> None:
    text = changed((mini_task / "task.toml").read_text(), old, new)
    place = task_with({"task.toml": text})
    with pytest.raises(TaskError, match=message) as caught:
        read_task(place)
    assert str(place / "task.toml") in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"instruction.md": None}, "instruction.md: there is no such file"),
        ({"grading/probe.py": None}, "there is no grading/probe.py"),
        ({"decoys/constant/decoy.toml": None}, "decoy.toml: there is no such file"),
        ({"decoys/constant/decoy.toml": 'description = "x"\nfails = ["nope"]'}, "criterion 'nope'"),
        ({"decoys/constant/decoy.toml": 'description = "x"\nfails = ["fix"]\ndelete = ["../x"]'},
         "escapes the workspace"),
    ],
)  # fmt: skip
def test_a_broken_task_directory_is_refused(
    task_with: Any, changes: dict[str, str | None], message: str
) -> None:
    with pytest.raises(TaskError, match=message):
        read_task(task_with(changes))


def test_a_file_that_is_too_large_is_refused_without_being_read(mini_task: Path) -> None:
    big = mini_task / "workspace" / "big.bin"
    with big.open("wb") as file:
        file.truncate(200 << 20)
    with pytest.raises(TaskError, match=rf"big.bin: 200 MiB, more than the {MAX_FILE_BYTES >> 20}"):
        read_task(mini_task)


def test_a_link_in_a_task_is_refused(mini_task: Path) -> None:
    (mini_task / "workspace" / "link").symlink_to("/etc/passwd")
    with pytest.raises(TaskError, match="not a plain file"):
        read_task(mini_task)


def test_a_task_file_that_is_not_utf8_is_refused(mini_task: Path) -> None:
    (mini_task / "task.toml").write_bytes(b'id = "\xff"')
    with pytest.raises(TaskError, match="byte 6 is not UTF-8"):
        read_task(mini_task)


@pytest.mark.parametrize(
    ("line", "network"),
    [
        ('network = "none"', "none"),
        ('network = "internet"', "internet"),
        ('network = ["pypi.org", "*.pythonhosted.org"]', ("pypi.org", "*.pythonhosted.org")),
        ("", "none"),
    ],
)
def test_a_task_says_what_its_sandbox_reaches(
    task_with: Any, mini_task: Path, line: str, network: str | tuple[str, ...]
) -> None:
    text = changed((mini_task / "task.toml").read_text(), "[limits]", sandbox(line))
    assert read_task(task_with({"task.toml": text})).sandbox.network == network
    validator: Any = Draft202012Validator(directory_schema())
    assert validator.is_valid(tomllib.loads(text))


def mounting(task: Path, source: str, **data: str) -> Path:
    """Have a task mount `source` at /data, and hold files below data/."""
    file = task / "task.toml"
    file.write_text(changed(file.read_text(), "[limits]", mounted(source, "/data")))
    (task / "data" / "deep").mkdir(parents=True)
    for name, text in data.items():
        (task / "data" / "deep" / name).write_text(text)
    return task


def test_mounted_data_counts_by_what_it_holds_not_by_where_it_lies(
    mini_task: Path, tmp_path: Path
) -> None:
    task = mounting(mini_task, "data", a="1", b="2")
    elsewhere = shutil.copytree(task, tmp_path / "elsewhere")
    here, there = read_task(task), read_task(elsewhere)
    (elsewhere / "data/deep/b").write_text("3")
    (mount,) = here.sandbox.mounts
    assert (mount.source, mount.target) == (str(task / "data"), "/data")
    assert here.digest() == there.digest() != read_task(elsewhere).digest()


@pytest.mark.parametrize(
    "source", ["..", ".", "../elsewhere", "/etc", "out", "grading", "data/../grading", "nowhere"]
)
def test_no_mount_shows_what_is_not_the_tasks_to_show(
    mini_task: Path, tmp_path: Path, source: str
) -> None:
    (tmp_path / "tasks" / "elsewhere").mkdir()
    (mini_task / "out").symlink_to(tmp_path / "tasks" / "elsewhere")
    with pytest.raises(TaskError, match="cannot be mounted; name a directory below the task's own"):
        read_task(mounting(mini_task, source))


def test_a_link_among_mounted_data_is_refused(mini_task: Path) -> None:
    task = mounting(mini_task, "data")
    (task / "data" / "link").symlink_to("/etc/passwd")
    with pytest.raises(TaskError, match=r"data/link: not a plain file"):
        read_task(task)


def test_one_broken_task_does_not_hide_the_others(mini_task: Path, task_with: Any) -> None:
    task_with({"task.toml": "id = 3"})
    catalog = Catalog([mini_task.parent])
    assert catalog.ids == ("mini",)
    assert len(catalog.problems) == 1


def test_two_tasks_of_one_id_are_told_apart(mini_task: Path, task_with: Any) -> None:
    task_with({})
    catalog = Catalog([mini_task.parent])
    assert catalog.ids == ("mini",)
    assert "the id 'mini' is taken by" in str(catalog.problems[0])


def test_an_unknown_id_names_the_known_ones(mini_task: Path) -> None:
    with pytest.raises(TaskError, match="no task 'nope'; the catalog has: mini"):
        Catalog([mini_task])["nope"]
    with pytest.raises(TaskError, match=r"no task 'mine'; did you mean mini\?"):
        Catalog([mini_task])["mine"]


def test_an_unknown_id_names_no_more_than_a_few_of_many(tmp_path: Path) -> None:
    library = Competitions(tmp_path)
    with pytest.raises(TaskError, match=f"and {len(library.ids) - 20} more$"):
        Catalog([], library, library.ids)["qqqqqqqq"]


def test_a_digest_changes_with_what_decides_a_grade_and_with_nothing_else(
    mini_task: Path, task_with: Any
) -> None:
    task = read_task(mini_task)
    other = read_task(task_with({"workspace/stats.py": "x = 1\n" * 5 + "def centre(): 0\n",
                                 "task.toml": (mini_task / "task.toml").read_text().replace(
                                     "[3, 3]", "[6, 6]")}))  # fmt: skip
    retitled = task.model_copy(update={"title": "Another"})
    assert task.digest() != other.digest()
    assert task.digest() == retitled.digest()


def test_the_schema_accepts_what_is_accepted_and_refuses_what_is_not(mini_task: Path) -> None:
    schema = directory_schema()
    Draft202012Validator.check_schema(schema)
    Draft202012Validator.check_schema(afterquery_schema())
    validator: Any = Draft202012Validator(schema)
    afterquery: Any = Draft202012Validator(afterquery_schema())
    task = tomllib.loads((mini_task / "task.toml").read_text())
    assert validator.is_valid(task)
    task["criteria"][0]["options"] = {"pointer": 3}
    assert not validator.is_valid(task)
    assert afterquery.is_valid(DOCUMENT)
