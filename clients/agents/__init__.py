"""Agents: whatever sits the exam. Each gets a connected MCP client, and nothing else of the server.

An agent is ``async (client, task_id) -> AgentReport``: it works until it has submitted.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from fastmcp import Client

from proctor.schemas.result import AgentReport

AnyClient: TypeAlias = Client[Any]
Agent: TypeAlias = Callable[[AnyClient, str], Awaitable[AgentReport]]
