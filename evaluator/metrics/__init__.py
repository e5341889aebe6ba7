"""Metrics by name: what a table of predictions is worth against the truth.

labels      accuracy, top1_error, balanced_accuracy, f1_macro, matthews_corrcoef, quadratic_kappa,
            quadratic_kappa_seen
scores      roc_auc, weighted_auroc, bias_auc, average_precision, probabilistic_f1, log_loss
numbers     rmse, rmsle, mae, mae_int, masked_mae, group_mean_log_mae, r2, pearson
columns     mean_column_roc_auc, mean_column_spearman, mean_column_rmsle, mcrmse, lwlrap,
            kl_divergence, mean_angular_error
groups      weighted_multilabel_log_loss, laplace_log_likelihood, mean_haversine
texts       mean_levenshtein, normalised_levenshtein
tokens      map_at_k, f1_micro_multilabel, word_jaccard, kendall_tau
spans       span_accuracy
masks       global_dice, mean_dice, fbeta_half, mean_precision_iou, dice_hausdorff
boxes       points_f1, voc_map, coco_map
boxes3d     cuboid_map
"""

from collections.abc import Mapping

from proctor.evaluator.metrics.base import Metric
from proctor.evaluator.metrics.boxes import BOXES
from proctor.evaluator.metrics.boxes3d import CUBOIDS
from proctor.evaluator.metrics.columns import COLUMNS
from proctor.evaluator.metrics.groups import GROUPS
from proctor.evaluator.metrics.labels import LABELS
from proctor.evaluator.metrics.masks import MASKS
from proctor.evaluator.metrics.numbers import NUMBERS
from proctor.evaluator.metrics.scores import SCORES
from proctor.evaluator.metrics.spans import SPANS
from proctor.evaluator.metrics.texts import TEXTS
from proctor.evaluator.metrics.tokens import TOKENS

METRICS: Mapping[str, Metric] = {
    m.name: m
    for m in (
        *LABELS,
        *SCORES,
        *NUMBERS,
        *COLUMNS,
        *GROUPS,
        *TEXTS,
        *TOKENS,
        *SPANS,
        *MASKS,
        *BOXES,
        *CUBOIDS,
    )
}
