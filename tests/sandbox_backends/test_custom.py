"""A user's own backend, and what the contract says of good and of broken ones."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from proctor.sandbox_backends.contract import CHECKS, Check, NotApplicableError
from proctor.sandbox_backends.custom import load_backend

HERE = Path(__file__).parent
OWN = HERE / "own_backend.py"
BY_NAME = {check.__name__: check for check in CHECKS}
CAUGHT_BY = {
    "always_succeeds": "a_command_reports_its_streams_and_exit_code",
    "shows_our_environment": "the_environment_is_an_allow_list",
    "keeps_scratch_in_the_workspace": "the_scratch_place_is_writable_and_in_no_snapshot",
    "calls_a_missing_file_a_lost_sandbox": (
        "reading_what_cannot_be_read_raises_the_builtin_that_says_so"
    ),
    "never_snapshots_the_same_twice": "equal_workspaces_give_equal_snapshots",
    "kills_nothing": "a_background_process_survives_its_command_but_not_kill_all",
    "times_out_without_killing": "a_timeout_kills_the_whole_process_tree_and_nothing_else",
    "looks_for_jobs_in_vain": "a_job_is_known_by_its_number_alone",
    "ignores_that_isolation_is_required": "a_spec_that_needs_isolation_gets_it_or_is_refused",
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_a_users_own_backend_keeps_the_contract(check: Check) -> None:
    try:
        await check(load_backend(f"{OWN}:open_sandbox"))
    except NotApplicableError as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("broken", CAUGHT_BY)
async def test_the_contract_catches_a_backend_that_breaks_a_promise(broken: str) -> None:
    backend = load_backend(f"{HERE / 'broken_backends.py'}:{broken}")
    with pytest.raises(AssertionError, match="expected"):
        await BY_NAME[CAUGHT_BY[broken]](backend)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("open_sandbox", "names no function; write it as FILE.py:FUNCTION"),
        (f"{OWN}:", "names no function"),
        (":open_sandbox", "names no function"),
        ("no/such/file.py:open_sandbox", "there is no file .*/no/such/file.py; name one that"),
        (f"{OWN}:opens", "has no 'opens'; define it there"),
        (f"{OWN}:not_a_function", "'not_a_function' in .* is not callable, but of type int; name"),
        (f"{OWN}:forgets_its_decorator", "decorate it with contextlib.asynccontextmanager"),
        (f"{HERE.parents[1] / 'LICENSE'}:open_sandbox", "must end in .py"),
    ],
)
def test_what_is_no_backend_is_refused_with_the_remedy(place: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_backend(place)


@pytest.mark.parametrize("code", ["import nothing_of_that_name_7315", "def open_sandbox(:"])
def test_a_file_that_cannot_be_imported_is_refused(tmp_path: Path, code: str) -> None:
    (tmp_path / "bad.py").write_text(code)
    with pytest.raises(ValueError, match=r"bad\.py cannot be imported: .+; mend it"):
        load_backend(f"{tmp_path / 'bad.py'}:open_sandbox")


def test_a_run_takes_a_users_own_backend(
    proctor_command: list[str], mini_task: Path, tmp_path: Path
) -> None:
    own = os.path.relpath(OWN, tmp_path)
    arguments = ["run", "--backend", f"{own}:open_sandbox", "--tasks", str(mini_task.parent)]
    result = subprocess.run(
        [*proctor_command, *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=300,
        check=False,
        env={**os.environ, "COLUMNS": "120"},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    (row,) = [line for line in result.stdout.splitlines() if line.startswith("mini")]
    assert re.match(r"mini +oracle +9/10 +100% of 9 +[\d.]+ s +own +none", row)
