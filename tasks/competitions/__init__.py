"""Competitions as tasks: each declared in a ``competition.toml``, prepared and read by one engine.

definition   what the file says
sources      where the rows come from
splits       which rows are held back
prepare      the files of agent and grader, on disk
task         those as a task
library      a competition's id to its task
offline/     competitions that need no network, with the baselines on their leaderboards
"""
