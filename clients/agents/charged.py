"""Agents that no budget watches call by call: what they tell of their use is charged at the end."""

from proctor.clients.agents import Agent, Exam
from proctor.clients.agents.budget import Budget
from proctor.schemas.result import AgentReport


def charged(agent: Agent, run: Budget) -> Agent:
    """The same agent, charged to the run as it ends: caps then stop what has not begun."""

    async def sit(exam: Exam) -> AgentReport:
        report = await agent(exam)
        run.charge((report.prompt_tokens or 0) + (report.reply_tokens or 0), report.cost_usd or 0.0)
        return report

    return sit
