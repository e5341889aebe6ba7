"""From measured nuclei to the matrix that the model reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from scoring.settings import Settings


@dataclass(frozen=True)
class Reference:
    """What the training clinic fixes for every worklist."""

    columns: tuple[str, ...]
    fill: pd.Series
    """What stands in for an empty cell."""
    floor: pd.Series
    ceiling: pd.Series

    @classmethod
    def learn(cls, train: pd.DataFrame, settings: Settings) -> Reference:
        """Take column order, typical values and limits from the training clinic."""
        measured = train.astype(np.float64)
        return cls(
            columns=tuple(measured.columns),
            fill=measured.median(),
            floor=measured.quantile(settings.clip_quantile),
            ceiling=measured.quantile(1.0 - settings.clip_quantile),
        )


class FeatureBuilder:
    """Builds model inputs, one row per patient in the order given."""

    def __init__(self, reference: Reference, settings: Settings) -> None:
        self._reference = reference
        self._compress = list(settings.compress)

    def fit_scale(self, frame: pd.DataFrame) -> None:
        """Take mean and spread of every column from these patients."""
        values = self._natural_units(frame)
        self._centre = values.mean()
        self._spread = values.std(ddof=0)

    def build(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the inputs of these patients, `(n_patients, n_features)`."""
        return self._to_common_scale(self._natural_units(frame)).to_numpy()

    def _natural_units(self, frame: pd.DataFrame) -> pd.DataFrame:
        values = self._add_contrasts(self._complete(frame))
        values[self._compress] = np.log1p(values[self._compress])
        return values

    def _complete(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Fill empty cells and pull extreme measurements back to the limits."""
        reference = self._reference
        values = frame.loc[:, list(reference.columns)].astype(np.float64)
        values = values.fillna(reference.fill)
        return values.clip(reference.floor, reference.ceiling, axis="columns")

    def _add_contrasts(self, values: pd.DataFrame) -> pd.DataFrame:
        """Add how far a sample's largest nuclei stand out from its average ones."""
        contrasts = {
            f"contrast_{trait}": values[f"worst_{trait}"] / values[f"mean_{trait}"]
            for trait in ("radius", "texture", "smoothness")
        }
        return values.assign(**contrasts)

    def _to_common_scale(self, values: pd.DataFrame) -> pd.DataFrame:
        """Areas run to thousands, smoothness to tenths: give every column unit spread."""
        return (values - self._centre) / self._spread.where(self._spread > 0.0, 1.0)
