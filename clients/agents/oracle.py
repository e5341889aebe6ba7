"""``oracle``: replays each task's reference solution, to prove that the whole way works.

It is handed the solutions by whoever starts it; the server never sends one.
"""

import shlex
from collections.abc import Mapping

from proctor.clients.agents import Agent, Exam
from proctor.schemas.errors import TaskError
from proctor.schemas.result import AgentReport
from proctor.schemas.task import Solution


def oracle(solutions: Mapping[str, Solution]) -> Agent:
    """Make an agent that knows the solutions, by the task's id."""

    async def replay(exam: Exam) -> AgentReport:
        client, task_id = exam.client, exam.task_id
        if task_id not in solutions:
            raise TaskError(
                f"{task_id} has no reference solution, so oracle cannot work it; try --agent noop"
            )
        solution = solutions[task_id]
        for path, data in solution.files.items():
            await client.call_tool("write_file", {"path": path, "content": _text(path, data)})
        if solution.delete:
            command = f"rm -f -- {shlex.join(solution.delete)}"
            await client.call_tool("bash_exec", {"command": command})
        await client.call_tool("submit", {"answer": solution.answer})
        calls = len(solution.files) + bool(solution.delete) + 1
        return AgentReport(answer=solution.answer, turns=calls, tool_calls=calls)

    return replay


def _text(path: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise TaskError(f"solution/{path}: not text, and write_file takes nothing else") from error
