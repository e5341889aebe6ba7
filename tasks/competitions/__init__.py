"""Competitions as tasks: each declared in a ``competition.toml``, prepared and read by one engine.

definition   what the file says
usual        the time and the machine, where it says nothing
sources      where the rows come from
splits       which rows are held back
prepare      the files of agent and grader, on disk
task         those as a task
library      a competition's id to its task
elsewhere    preparing in a process of its own, for servers
offline/     competitions that need no network, with the baselines on their leaderboards
"""
