"""Competitions as tasks: each declared in a ``competition.toml``, prepared and read by one engine.

What is declared:
    recipe          what becomes of raw files
    usual           the time and the machine, where nothing is said
    definition      what the file says, with what lies beside it
    leaderboards    who reached what, as files

What is prepared:
    raw/            files that somebody else made, in folders and archives
    sources/        rows that are made here, or lie in a table
    prepared        where a competition's files lie, and whether they are whole
    output          a directory of them that is being filled
    drawing         which rows are drawn for the test, as scikit-learn does
    kaggle_modules/ preparing that no recipe can say
    preparing/      all of it: from a declaration to a directory

What is offered:
    task            a prepared competition as a task
    library         an id to its task
    elsewhere       preparing in a process of its own, for servers
    grading         submissions to scores and reports
    download/       raw files from Kaggle
    authoring/      a competition of a user's table

The competitions:
    offline/        those that need no network, with the baselines on their leaderboards
    kaggle/         those whose raw files are Kaggle's

`progress` and `downloaded` are what several of these agree on.
"""
