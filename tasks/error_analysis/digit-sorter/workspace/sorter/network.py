"""A network with one hidden layer: rectified units, softmax, cross-entropy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Pass:
    """What a pass over one batch yields."""

    loss: float
    """The mean cross-entropy, in nats."""
    hits: int
    """How many rows got their highest score for the right class."""
    gradients: list[np.ndarray]
    """The gradient of `loss`, in the order of `Network.parameters`."""


class Network:
    """Scores classes from features.

    Args:
        n_features: The width of the input.
        n_hidden: Units of the hidden layer.
        n_classes: The width of the output.
        dropout: The share of hidden units switched off in `backward`.
        rng: Draws the initial weights, then the units switched off.
    """

    def __init__(
        self,
        n_features: int,
        n_hidden: int,
        n_classes: int,
        dropout: float,
        rng: np.random.Generator,
    ) -> None:
        self._dropout = dropout
        self._rng = rng
        self.parameters = [
            rng.normal(0.0, np.sqrt(2.0 / n_features), (n_features, n_hidden)),
            np.zeros(n_hidden),
            rng.normal(0.0, np.sqrt(2.0 / n_hidden), (n_hidden, n_classes)),
            np.zeros(n_classes),
        ]

    def scores(self, features: np.ndarray) -> np.ndarray:
        """(n, n_classes) scores of (n, n_features) rows, all units on."""
        hidden_weights, hidden_bias, output_weights, output_bias = self.parameters
        hidden = np.maximum(features @ hidden_weights + hidden_bias, 0.0)
        return hidden @ output_weights + output_bias

    def backward(self, features: np.ndarray, classes: np.ndarray) -> Pass:
        """The loss of one batch and its gradients, with dropout."""
        hidden_weights, hidden_bias, output_weights, output_bias = self.parameters
        before = features @ hidden_weights + hidden_bias
        kept = self._rng.random(before.shape) >= self._dropout
        gate = kept * (before > 0.0) / (1.0 - self._dropout)
        hidden = before * gate
        scores = hidden @ output_weights + output_bias

        shifted = scores - scores.max(axis=1, keepdims=True)
        log_shares = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        rows = np.arange(len(classes))
        score_gradient = np.exp(log_shares)
        score_gradient[rows, classes] -= 1.0
        score_gradient /= len(classes)
        hidden_gradient = (score_gradient @ output_weights.T) * gate

        return Pass(
            loss=float(-log_shares[rows, classes].mean()),
            hits=int((scores.argmax(axis=1) == classes).sum()),
            gradients=[
                features.T @ hidden_gradient,
                hidden_gradient.sum(axis=0),
                hidden.T @ score_gradient,
                score_gradient.sum(axis=0),
            ],
        )
