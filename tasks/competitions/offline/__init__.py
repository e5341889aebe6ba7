"""Competitions that need no network, and the baselines that made their leaderboards."""
