"""Gradient descent and the step size it takes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Schedule:
    """A step size that climbs in a line to `peak`, then follows half a cosine to `floor`."""

    peak: float
    floor: float
    warmup: int
    """When the peak is reached."""
    length: int
    """When the floor is reached; the step size stays there."""

    def at(self, moment: int) -> float:
        """The step size at a moment, counted from 0."""
        if moment < self.warmup:
            return self.peak * (moment + 1) / self.warmup
        passed = (moment - self.warmup) / max(self.length - self.warmup, 1)
        cosine = 0.5 * (1.0 + math.cos(math.pi * min(passed, 1.0)))
        return self.floor + (self.peak - self.floor) * cosine


class Descent:
    """Plain gradient descent; weights decay beside the gradient, biases do not.

    Args:
        parameters: The arrays to update in place.
        schedule: The step size.
        weight_decay: The share of a weight that goes per unit of step size.
    """

    def __init__(
        self, parameters: list[np.ndarray], schedule: Schedule, weight_decay: float
    ) -> None:
        self._parameters = parameters
        self._schedule = schedule
        self._weight_decay = weight_decay
        self._done = 0

    def step(self, gradients: list[np.ndarray]) -> None:
        """Move every parameter against its gradient."""
        rate = self._schedule.at(self._done)
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            if parameter.ndim > 1:
                parameter *= 1.0 - rate * self._weight_decay
            parameter -= rate * gradient
        self._done += 1
