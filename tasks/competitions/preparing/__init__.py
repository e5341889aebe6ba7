"""From a declaration to a competition's files.

patterns   a recipe's texts, filled in for each row
splits     which rows of a raw table are the test's
fillings   a sample submission's cells
engine     a recipe, followed
making     the files of rows that a source makes
proof      whether they are as they were, and can be graded
prepare    the directory, whole or not at all
"""
