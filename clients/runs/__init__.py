"""Runs: one agent, many sessions, and what is kept of them."""
