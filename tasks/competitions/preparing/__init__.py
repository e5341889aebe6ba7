"""From a declaration to a competition's files.

patterns   a recipe's texts, filled in for each row
splits     which rows of a raw table are the test's
engine     a recipe, followed
prepare    the directory, whole or not at all
"""
