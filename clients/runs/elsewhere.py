"""A run's sessions on a server that keeps its records elsewhere, and outlives the run."""

from collections import defaultdict
from collections.abc import Mapping

from proctor.clients.runs.directory import RunDirectory
from proctor.clients.runs.owner import Owner
from proctor.schemas.run import Attempt, Lock
from proctor.schemas.session import SessionRecord


class Elsewhere:
    """What the server knew of the run's sessions when this process began, and how they are named.

    Labels there begin with the run's id, and end with a number where an attempt is made again: the
    server lets no label be used twice.
    """

    def __init__(
        self, lock: Lock, directory: RunDirectory, known: Mapping[str, list[SessionRecord]]
    ) -> None:
        self._run_id = lock.run_id
        self._directory = directory
        self._known = known
        self._aside = {a.label: directory.times_set_aside(a) for a in lock.attempts()}

    @classmethod
    async def of(cls, lock: Lock, directory: RunDirectory, owner: Owner) -> "Elsewhere":
        """Ask the server; sessions that an earlier process left open are closed.

        Raises:
            SessionError: It cannot be asked.
        """
        labels = {f"{lock.run_id}/{attempt.label}": attempt.label for attempt in lock.attempts()}
        known: defaultdict[str, list[SessionRecord]] = defaultdict(list)
        for record in await owner.sessions():
            label = labels.get(record.label) or labels.get(record.label.rpartition(".")[0])
            if label is None:
                continue
            if record.state == "open":
                await owner.abandon(record.session_id)
            elif not record.settled:
                await owner.settled(record.session_id)
            known[label].append(await owner.record(record.session_id))
        return cls(lock, directory, known)

    def record(self, attempt: Attempt) -> SessionRecord | None:
        """The last of an attempt's sessions, if there was one."""
        found = self._known.get(attempt.label)
        return found[-1] if found else None

    def label(self, attempt: Attempt) -> str:
        """What an attempt's next session is called there."""
        before = max(len(self._known.get(attempt.label, ())), self._aside[attempt.label])
        again = before + self._directory.times_set_aside(attempt) - self._aside[attempt.label]
        return f"{self._run_id}/{attempt.label}" + (f".{again + 1}" if again else "")
