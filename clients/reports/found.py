"""Results on disk, found below the directories of runs.

The directory of a session is one that holds ``result.json`` or ``session.json``. Nothing below it
is looked at: there lies what the agent handed in, and among that may be a ``result.json`` too. Nor
are sessions that a run has set aside, since it held them again. What no run has written is refused
and told.

The grade that counts is the one in ``result.json``, given as the session ended. Later ones
(``grades/NNNN.json``, of ``proctor grade``) are not read, but for work that was kept ungraded for
later (``--no-eval``): there the first of them counts.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from proctor.clients.reports.rows import Row, in_order, row_of, rows_of
from proctor.clients.runs.directory import EARLIER
from proctor.schemas.grade import Grade
from proctor.schemas.result import RunResult

RESULT = "result.json"
SESSION = "session.json"
FIRST_GRADE = Path("grades", "0001.json")


@dataclass(frozen=True)
class Found:
    """What lay below some directories."""

    rows: tuple[Row, ...]
    refused: tuple[str, ...]
    """Which files are no results, and why."""
    unfinished: tuple[Path, ...]
    """Directories of sessions without a result: still at work, or broken off."""
    repeated: tuple[Path, ...]
    """Results of sessions that another file has as well: counted once."""


def find(directories: Sequence[Path]) -> Found:
    """Every session's result below `directories`."""
    search = _Search()
    rows = [row for directory in directories for row in rows_of(search.results(directory))]
    return Found(
        tuple(in_order(rows)),
        tuple(search.refused),
        tuple(search.unfinished),
        tuple(search.repeated),
    )


class _Search:
    """What was met so far."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.unfinished: list[Path] = []
        self.repeated: list[Path] = []
        self._places: set[Path] = set()
        self._sessions: set[str] = set()

    def results(self, root: Path) -> Iterator[RunResult]:
        """The results below one directory that are not known yet."""
        for place in self._session_directories(root):
            if place.resolve() in self._places:
                continue
            self._places.add(place.resolve())
            if not os.path.lexists(place / RESULT):
                self.unfinished.append(place)
                continue
            result = self._read(place / RESULT)
            if result is None:
                continue
            if result.session_id in self._sessions:
                self.repeated.append(place / RESULT)
                continue
            if result.session_id is not None:
                self._sessions.add(result.session_id)
            yield result

    def _session_directories(self, root: Path) -> Iterator[Path]:
        def unreadable(error: OSError) -> None:
            self.refused.append(f"{error.filename}: {error.strerror}")

        for place, below, files in os.walk(root, onerror=unreadable):
            if {RESULT, SESSION} & {*files}:
                below.clear()
                yield Path(place)
            below[:] = sorted({*below} - {EARLIER})

    def _read(self, path: Path) -> RunResult | None:
        if not path.is_file():  # a pipe would be waited for
            self.refused.append(f"{path}: not a file")
            return None
        try:
            result = RunResult.model_validate_json(path.read_bytes())
            later = path.parent / FIRST_GRADE
            if result.state == "submitted" and result.evaluation is None and later.is_file():
                path = later
                grade = Grade.model_validate(json.loads(later.read_bytes())["grade"])
                result = result.model_copy(update={"evaluation": grade, "state": "graded"})
            row_of(result)
        except OSError as error:
            self.refused.append(f"{path}: cannot be read: {error.strerror}")
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            key = ".".join(map(str, first["loc"])) or "the file"
            self.refused.append(f"{path}: no result of a session: {key}: {first['msg']}")
        except ValueError as error:
            self.refused.append(f"{path}: no result of a session: {error}")
        else:
            return result
        return None
