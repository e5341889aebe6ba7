"""Tasks that are being prepared: each once, whoever asks, and beside everything else."""

import logging

import anyio
from anyio.abc import TaskGroup

from proctor.schemas.errors import NotYetError, ProctorError, TaskError
from proctor.schemas.task import Task
from proctor.tasks.catalog import Catalog

logger = logging.getLogger(__name__)

AT_ONCE = 2


class Preparing:
    """Gets tasks that may have to be prepared first."""

    def __init__(self, catalog: Catalog, tasks: TaskGroup, wait_s: float) -> None:
        """Make one.

        Args:
            catalog: The tasks.
            tasks: Where they are prepared, so that it goes on when whoever asked has left.
            wait_s: How long one who asks waits, in seconds.
        """
        self._catalog = catalog
        self._tasks = tasks
        self._wait_s = wait_s
        self._under_way: dict[str, _Preparation] = {}
        self._limit = anyio.CapacityLimiter(AT_ONCE)

    async def task(self, task_id: str) -> Task:
        """A task that is on offer.

        Raises:
            TaskError: It is not, or it cannot be prepared.
            NotYetError: It takes longer; it is gone on with.
        """
        self._catalog.check_offered(task_id)
        if not self._catalog.at_hand(task_id):
            found = self._under_way.get(task_id) or self._begun(task_id)
            with anyio.move_on_after(self._wait_s):
                await found.over.wait()
            if found.problem is not None:
                raise TaskError(found.problem)
            if not found.over.is_set():
                raise NotYetError(
                    f"{task_id} is being prepared, for {anyio.current_time() - found.since:.0f} s "
                    "so far; ask for it again in a minute"
                )
        return self._catalog[task_id]

    def _begun(self, task_id: str) -> "_Preparation":
        begun = self._under_way[task_id] = _Preparation()
        self._tasks.start_soon(self._prepare, task_id, begun)
        return begun

    async def _prepare(self, task_id: str, it: "_Preparation") -> None:
        try:
            async with self._limit:
                await self._catalog.prepare(task_id)
        except ProctorError as error:
            it.problem = str(error)
        except Exception as error:
            logger.exception("%s cannot be prepared", task_id)
            it.problem = f"{task_id} cannot be prepared: {type(error).__name__}"
        finally:
            del self._under_way[task_id]
            it.over.set()


class _Preparation:
    """One that is under way."""

    def __init__(self) -> None:
        self.since = anyio.current_time()
        self.over = anyio.Event()
        self.problem: str | None = None
