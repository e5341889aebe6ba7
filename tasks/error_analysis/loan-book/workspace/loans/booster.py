"""The one kind of model we run: boosted trees, each grown on a sample of loans and columns."""

from __future__ import annotations

from dataclasses import dataclass

from sklearn.ensemble import GradientBoostingClassifier


@dataclass(frozen=True)
class Setting:
    """What the monthly search may vary."""

    trees: int
    shrinkage: float
    """By how much each tree's answer counts, between 0 and 1."""
    depth: int
    leaf: int
    """The least number of loans in a leaf."""

    def __str__(self) -> str:
        return (
            f"{self.trees} trees, shrinkage {self.shrinkage}, depth {self.depth}, leaf {self.leaf}"
        )


@dataclass(frozen=True)
class Sampling:
    """What each tree gets to see; the same for every setting."""

    loans: float
    """The share of loans drawn for a tree."""
    columns: float
    """The share of columns tried at a split."""
    seed: int


def build(setting: Setting, sampling: Sampling) -> GradientBoostingClassifier:
    """Return the model of a setting, not fitted."""
    return GradientBoostingClassifier(
        n_estimators=setting.trees,
        learning_rate=setting.shrinkage,
        max_depth=setting.depth,
        min_samples_leaf=setting.leaf,
        subsample=sampling.loans,
        max_features=sampling.columns,
        random_state=sampling.seed,
    )
