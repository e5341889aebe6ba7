"""A competition made of somebody's table.

request      what is asked for
scoring      which metric, and what is then handed in
problems     what is wrong with the table, and what is only odd
texts        the files that its author may edit
teams        the leaderboard
new          the directory, whole or not at all
"""
