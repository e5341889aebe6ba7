"""Agents that are known: how to have them sit the exam with no tools but the server's.

What the switches do was seen by running Claude Code 2.1.330 and Codex 0.169.0 against a provider
that wrote down which tools it was offered.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from proctor.clients.agents.command import SERVER, Report

EVENT = TypeAdapter(dict[str, Any])


@dataclass(frozen=True)
class Preset:
    """How one agent is run."""

    argv: tuple[str, ...]
    report: Report
    passed_on: tuple[str, ...]
    """The variables of ours that it gets, where they are set: its provider's keys."""
    home_files: tuple[str, ...]
    """Where it keeps its login, below the user's home."""
    settings: tuple[tuple[str, str], ...] = ()


def _of_claude_code(last: str) -> dict[str, Any]:
    """The fields of its last line; every line is an event."""
    for event in _events(last):
        if event.get("type") == "result":
            usage: dict[str, Any] = event.get("usage") or {}
            names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
            prompts = [usage[name] for name in names if usage.get(name) is not None]
            result = str(event.get("result", ""))
            return {
                "answer": "" if event.get("is_error") else result,
                "errors": (result or str(event.get("subtype")),) if event.get("is_error") else (),
                "model": next(iter(event.get("modelUsage") or {}), None),
                "turns": event.get("num_turns", 0),
                "cost_usd": event.get("total_cost_usd"),
                "prompt_tokens": sum(prompts) if prompts else None,
                "reply_tokens": usage.get("output_tokens"),
            }
    return {}


def _of_codex(last: str) -> dict[str, Any]:
    """What its events tell, the last first."""
    told: dict[str, Any] = {"turns": 0, "errors": ()}
    for event in _events(last):
        item: dict[str, Any] = event.get("item") or {}
        if event.get("type") == "turn.completed":
            usage: dict[str, Any] = event.get("usage") or {}
            told["turns"] += 1
            told["prompt_tokens"] = told.get("prompt_tokens", 0) + (usage.get("input_tokens") or 0)
            told["reply_tokens"] = told.get("reply_tokens", 0) + (usage.get("output_tokens") or 0)
        elif event.get("type") == "turn.failed":
            error: dict[str, Any] = event.get("error") or {}
            told["errors"] = (str(error.get("message")), *told["errors"])
        elif item.get("type") == "agent_message":
            told.setdefault("answer", str(item.get("text", "")))
    return told


def _events(last: str) -> Iterator[dict[str, Any]]:
    """The JSON objects among the last lines, backwards."""
    for line in reversed(last.split("\n")):  # in JSON, other separators are ordinary characters
        with suppress(ValidationError):
            yield EVENT.validate_json(line)


PRESETS = {
    "claude-code": Preset(
        argv=(
            "claude", "--print", "--output-format", "stream-json", "--verbose",
            "--mcp-config", "{mcp_config}", "--strict-mcp-config",
            # --tools "" takes every built-in tool away, which --disallowedTools does not; MCP's
            # stay, and need a permission that nobody is there to give.
            # https://code.claude.com/docs/en/cli-reference
            "--tools", "", "--allowedTools", f"mcp__{SERVER}",
            "--setting-sources", "", "--disable-slash-commands", "--no-session-persistence",
        ),
        report=_of_claude_code,
        passed_on=(
            "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "ANTHROPIC_MODEL",
            "CLAUDE_CODE_OAUTH_TOKEN",
        ),
        home_files=(".claude/.credentials.json",),
        settings=(
            # Wait for servers before the first turn, which is else begun without their tools;
            # name tools at once, as the search for them is a built-in tool, too.
            # https://github.com/anthropics/claude-code/issues/65094
            ("MCP_CONNECTION_NONBLOCKING", "0"), ("ENABLE_TOOL_SEARCH", "false"),
            ("DISABLE_AUTOUPDATER", "1"), ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
        ),
    ),
    "codex": Preset(
        argv=(
            "codex", "exec", "--json", "--ephemeral", "--skip-git-repo-check",
            "--ignore-user-config", "--sandbox", "read-only",
            "-c", 'approval_policy="never"', "-c", 'web_search="disabled"',
            "-c", f'mcp_servers.{SERVER}.url="{{mcp_url}}"',
            "-c", f'mcp_servers.{SERVER}.bearer_token_env_var="PROCTOR_MCP_TOKEN"',
            # Without it every call is cancelled, as nobody is there to approve it.
            # https://github.com/openai/codex/issues/24135
            "-c", f'mcp_servers.{SERVER}.default_tools_approval_mode="approve"',
            "-c", f"mcp_servers.{SERVER}.tool_timeout_sec=120",
            # https://github.com/openai/codex/pull/6481; apply_patch has no switch, but nothing
            # to write to: https://github.com/openai/codex/issues/8161
            "--disable", "shell_tool", "--disable", "unified_exec", "-",
        ),
        report=_of_codex,
        passed_on=("OPENAI_API_KEY", "CODEX_API_KEY", "OPENAI_BASE_URL"),
        home_files=(".codex/auth.json",),
    ),
}  # fmt: skip
