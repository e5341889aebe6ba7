"""What a killed server left: sessions that were handed in and have no grade."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import pytest

from proctor.sandbox_backends.base import Backend
from proctor.schemas.session import SessionRecord, SessionRequest
from proctor.server.record import earlier_attempts
from proctor.server.sessions import Sessions
from proctor.server.stored import stored_sessions
from proctor.server.terms import Terms
from proctor.server.unfinished import finish_gradings
from proctor.tasks.catalog import Catalog


async def handed_in(catalog: Catalog, backend: Backend, records: Path) -> SessionRecord:
    """Hold a session, and put its record back to where a server was killed while it graded."""
    async with Sessions.serving(catalog, backend, records) as sessions:
        request = SessionRequest(task_id="mini", label="one", seed=7)
        session = await sessions.open(request)
        await sessions.submit(session, "an answer")
        with anyio.fail_after(60):
            await session.settled.wait()
    path = records / "one" / "session.json"
    whole = SessionRecord.model_validate_json(path.read_bytes())
    killed = {"state": "submitted", "settled": False, "grade": None}
    path.write_text(whole.model_copy(update=killed).model_dump_json())
    return whole


async def test_what_was_handed_in_gets_the_grade_that_it_would_have_had(
    mini_task: Path, any_backend: Backend, tmp_path: Path
) -> None:
    catalog, records = Catalog([mini_task]), tmp_path / "records"
    whole = await handed_in(catalog, any_backend, records)
    await finish_gradings(records, catalog, any_backend, Terms())
    (stored,) = stored_sessions(records)
    assert (stored.record.state, stored.record.settled) == ("graded", True)
    assert stored.record.grade == whole.grade


async def test_a_session_whose_task_has_changed_is_left_as_it_is(
    mini_task: Path, any_backend: Backend, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    records = tmp_path / "records"
    await handed_in(Catalog([mini_task]), any_backend, records)
    (mini_task / "instruction.md").write_text("Something else.\n")
    await finish_gradings(records, Catalog([mini_task]), any_backend, Terms())
    (stored,) = stored_sessions(records)
    assert (stored.record.state, stored.record.grade) == ("submitted", None)
    assert "the task 'mini' is another now" in caplog.text


async def test_records_that_an_agent_hands_in_are_none(
    mini_task: Path, any_backend: Backend, tmp_path: Path
) -> None:
    records = tmp_path / "records"
    await handed_in(Catalog([mini_task]), any_backend, records)
    planted = records / "one" / "submission" / "workspace"
    record: dict[str, Any] = json.loads((records / "one" / "session.json").read_text())
    (planted / "session.json").write_text(json.dumps(record))
    (planted / "deeper").mkdir()
    (planted / "deeper" / "session.json").write_text("{}")
    assert [each.directory.name for each in stored_sessions(records)] == ["one"]
    assert earlier_attempts(records) == Counter({("owner", "mini"): 1})
    aside = records / ".earlier" / "one" / "1"
    aside.parent.mkdir(parents=True)
    shutil.copytree(records / "one", aside)
    assert [each.directory.name for each in stored_sessions(records)] == ["one"]
    assert earlier_attempts(records) == Counter({("owner", "mini"): 2}), "it was an attempt, too"
