"""Boosted trees."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline

from triage.features import build_features


def fit_flag(
    train: pd.DataFrame, disputed: npt.NDArray[np.int64], incoming: pd.DataFrame
) -> npt.NDArray[np.int64]:
    """Learn from settled transactions which incoming ones to put before the disputes desk.

    Args:
        train: Settled transactions, the columns in `triage.data.COLUMNS`, ordered by day.
        disputed: Their outcomes, `(n_train,)`, 0 or 1.
        incoming: Transactions to triage, the same columns.

    Returns:
        `(n_incoming,)`, in the order of `incoming`: 1 where the desk should look, 0 elsewhere.
    """
    trees = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=8, random_state=0)
    model = make_pipeline(build_features(), trees).fit(train, disputed)
    return model.predict(incoming).astype(np.int64)
