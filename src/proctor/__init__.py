"""Proctor: machine-learning exams for AI agents, served over MCP and graded by execution."""

__version__ = "0.1.0"
