"""``noop``: hands the workspace in untouched. What it earns is what a task gives for nothing."""

from proctor.clients.agents import Exam
from proctor.schemas.result import AgentReport


async def noop(exam: Exam) -> AgentReport:
    """Submit at once."""
    await exam.client.call_tool("submit", {"answer": ""})
    return AgentReport(turns=1, tool_calls=1)
