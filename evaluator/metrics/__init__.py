"""Metrics by name: what a table of predictions is worth against the truth.

labels      accuracy, balanced_accuracy, f1_macro, quadratic_kappa
scores      roc_auc, average_precision, log_loss
numbers     rmse, rmsle, mae, r2
"""

from collections.abc import Mapping

from proctor.evaluator.metrics.base import Metric
from proctor.evaluator.metrics.labels import LABELS
from proctor.evaluator.metrics.numbers import NUMBERS
from proctor.evaluator.metrics.scores import SCORES

METRICS: Mapping[str, Metric] = {m.name: m for m in (*LABELS, *SCORES, *NUMBERS)}
