"""Competitions as tasks: each declared in a ``competition.toml``, prepared and read by one engine.

What is declared:
    recipe          what becomes of raw files
    usual           the time and the machine, where nothing is said
    definition      what the file says, with what lies beside it
    leaderboards    one from elsewhere

What is prepared:
    raw/            files that somebody else made, in folders and archives
    sources/        rows that are made here, or lie in a table
    prepared        where a competition's files lie, and whether they are whole
    drawing         which rows are drawn, as scikit-learn does
    output          those files, as they are written
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
