"""The tools that an agent sees, in the order in which it sees them.

A tool is one module with one function. It knows nothing of MCP: its first parameter is the
sandbox or the seat that it works on, the others are what the agent gives, and its docstring is
written to the agent.
"""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from proctor.server.tools.bash_exec import bash_exec
from proctor.server.tools.check_submission import check_submission
from proctor.server.tools.edit_file import edit_file
from proctor.server.tools.job_output import job_output
from proctor.server.tools.job_stop import job_stop
from proctor.server.tools.list_files import list_files
from proctor.server.tools.list_tasks import list_tasks
from proctor.server.tools.read_file import read_file
from proctor.server.tools.run_python import run_python
from proctor.server.tools.start_task import start_task
from proctor.server.tools.status import status
from proctor.server.tools.submit import submit
from proctor.server.tools.write_file import write_file


class Tool(NamedTuple):
    """A tool and what clients are told of its nature."""

    run: Callable[..., Awaitable[Any]]
    title: str
    read_only: bool = False
    destructive: bool = False
    idempotent: bool = False
    for_free_seats: bool = False
    """Whether only a client that may choose its task sees it."""


TOOLS = (
    Tool(read_file, "Read a file", read_only=True, idempotent=True),
    Tool(write_file, "Write a file", destructive=True, idempotent=True),
    Tool(edit_file, "Edit a file", destructive=True),
    Tool(list_files, "List a directory", read_only=True, idempotent=True),
    Tool(run_python, "Run a Python script", destructive=True),
    Tool(bash_exec, "Run a shell command", destructive=True),
    Tool(job_output, "Show a job and its output", read_only=True),
    Tool(job_stop, "Stop a job", destructive=True, idempotent=True),
    Tool(status, "Show task, time and calls left", read_only=True, idempotent=True),
    Tool(check_submission, "Check the work", read_only=True),
    Tool(submit, "Hand in the work", destructive=True, idempotent=True),
    Tool(list_tasks, "List the tasks", read_only=True, idempotent=True, for_free_seats=True),
    Tool(start_task, "Start a task", for_free_seats=True),
)
