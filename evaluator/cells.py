"""Tables against the truth: how many cells of each row are right.

It imports what is slow to import, and reads what an agent wrote: it belongs into a worker.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from proctor.evaluator.graders.table import Options
from proctor.evaluator.tables import ANY_NUMBER, by_id, matched, numbers, read_table


def right_cells(options: Options, truth: bytes, source: Path | bytes, name: str) -> list[int]:
    """The number of right cells of each row, in the truth's order.

    Raises:
        SubmissionError: The table has not the form asked for.
    """
    columns = (options.id, *options.columns)
    wanted = by_id(read_table(truth, options.truth, columns, ANY_NUMBER), options.id, options.truth)
    found = by_id(read_table(source, name, columns, len(wanted)), options.id, name)
    there = wanted.index.intersection(found.index) if options.partial else wanted.index
    found = matched(found, there.rename(options.id), name)
    right = pd.Series(0, index=wanted.index)
    for column, tolerance in options.columns.items():
        expected, given = wanted.loc[there, column], found[column]
        if tolerance == "exact":
            same = (expected == given).to_numpy()
        else:
            want, have = numbers(expected, options.truth), numbers(given, name)
            room = np.maximum(tolerance.absolute, tolerance.relative * np.abs(want))
            same = np.abs(want - have) <= room
        right.loc[there] += same.astype(int)
    return [int(count) for count in right]
