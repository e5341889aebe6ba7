"""Does the sorter learn what it is shown, and nothing that it is not shown?

Every case is a fresh split of the digits that ship with scikit-learn, with dimmed and noisy ink,
under a chute plan and a scanner mounting drawn anew. The scans to predict are the training scans
and the unseen ones, mixed, so that both accuracies come from one call.
"""

from __future__ import annotations

import numpy as np
from probe_kit import Case, Outputs
from sklearn.datasets import load_digits

N_TRAIN = 1200
SIDE = 8
FULL_INK = 16.0

DEPOT_PLAN = np.array([31, 12, 24, 11, 33, 22, 14, 32, 21, 13])
"""The plan in the workspace, digit by digit: what a sorter with stored answers would say."""

UNLIKE_HALVES = (
    (0, 1, 6, 7, 9),
    (0, 1, 5, 7, 8),
    (0, 3, 4, 5, 8),
    (0, 2, 3, 4, 8),
    (0, 1, 3, 7, 8),
    (0, 1, 3, 4, 5),
    (0, 1, 3, 5, 8),
    (0, 2, 4, 5, 8),
)
"""Digits that share a chute against the rest: of the 126 ways, among those that a linear model
learns worst (accuracy on unseen scans 0.83-0.84, against 0.90 in the median and 0.97 at best)."""

ONE_CHUTE_PER_DIGIT = ("upright", "turned")
SHARED_CHUTES = ("pairs", "halves")

# Lowest and highest accuracy per case: seeds 1 to 20 for the reference solution and the workspace
# as it stands, 1 to 8 for the rest (SVM, 3-NN, a small scikit-learn MLP and a forest all pass).
#                       solution     as it stands  SVM, 3-NN, MLP  forest       linear
# training, per digit   0.979-0.987  0.523-0.761   0.987-0.997     1.000        0.978-0.988
# unseen, per digit     0.956-0.980  0.553-0.735   0.956-0.995     0.958-0.980  0.955-0.973
# unseen, shared        0.948-0.983  0.625-0.811   0.955-0.993     0.936-0.985  0.791-0.948
#   of these, halves    0.953-0.983  0.734-0.811   0.955-0.993     0.936-0.966  0.791-0.851
# unseen, shuffled      0.050-0.189  0.023-0.057   0.020-0.114     0.070-0.107  0.065-0.111
MIN_TRAINING = 0.95
MIN_UNSEEN = 0.93
MIN_UNSEEN_SHARED = 0.90
MAX_SHUFFLED = 0.35


def _mount(images: np.ndarray, turns: int, mirrored: bool) -> np.ndarray:
    grid = np.rot90(images.reshape(-1, SIDE, SIDE), turns, axes=(1, 2))
    return (grid[:, :, ::-1] if mirrored else grid).reshape(len(images), -1)


def _scan(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    dimmed = images * rng.uniform(0.85, 1.0, size=(len(images), 1))
    return np.clip(dimmed + rng.normal(0.0, 0.5, images.shape), 0.0, FULL_INK)


def _plan(n_chutes: int, rng: np.random.Generator) -> np.ndarray:
    """A chute for each digit: every chute gets as near as possible the same number of digits."""
    codes = rng.permutation(DEPOT_PLAN)[:n_chutes]
    return codes[rng.permutation(np.arange(10) % n_chutes)]


def _halves(rng: np.random.Generator) -> np.ndarray:
    """Two chutes, each shared by five unlike digits."""
    first, second = rng.permutation(DEPOT_PLAN)[:2]
    half = UNLIKE_HALVES[int(rng.integers(len(UNLIKE_HALVES)))]
    return np.where(np.isin(np.arange(10), half), first, second)


def _case(
    name: str,
    plan: np.ndarray,
    rng: np.random.Generator,
    *,
    turns: int = 0,
    mirrored: bool = False,
    shuffled: bool = False,
) -> Case:
    digits = load_digits()
    order = rng.permutation(len(digits.target))
    scans = _scan(_mount(digits.data[order], turns, mirrored), rng)
    chutes = plan[digits.target[order]]
    labels = rng.permutation(chutes[:N_TRAIN]) if shuffled else chutes[:N_TRAIN]
    mixed = rng.permutation(len(scans))
    return Case(
        name,
        inputs={"images": scans[:N_TRAIN], "labels": labels, "new_images": scans[mixed]},
        truth={"chutes": chutes[mixed], "seen": mixed < N_TRAIN},
    )


def cases(rng: np.random.Generator) -> list[Case]:
    """Four plans to learn, and one set of labels that say nothing about the scans."""
    turns = int(rng.integers(1, 4))
    drawn = [
        _case("upright", _plan(10, rng), rng),
        _case("turned", _plan(10, rng), rng, turns=turns, mirrored=bool(rng.integers(2))),
        _case("pairs", _plan(5, rng), rng),
        _case("halves", _halves(rng), rng, mirrored=True),
        _case("shuffled", DEPOT_PLAN, rng, shuffled=True),
    ]
    return [drawn[i] for i in rng.permutation(len(drawn))]


def _accuracy(case: Case, outputs: Outputs, *, seen: bool) -> float:
    predicted = outputs.numbers("predicted", case.truth["chutes"].shape)
    rows = case.truth["seen"] == seen
    return float(np.mean(predicted[rows] == case.truth["chutes"][rows]))


def _reaches(
    cases: dict[str, Case],
    outputs: dict[str, Outputs],
    names: tuple[str, ...],
    bound: float,
    *,
    seen: bool,
) -> tuple[float, str]:
    accuracies = {name: _accuracy(cases[name], outputs[name], seen=seen) for name in names}
    rows = "training" if seen else "unseen"
    measured = ", ".join(f"{name} {accuracy:.3f}" for name, accuracy in accuracies.items())
    passed = min(accuracies.values()) >= bound
    return float(passed), f"accuracy on {rows} scans: {measured} (each at least {bound})"


def fits_training_scans(cases: dict[str, Case], outputs: dict[str, Outputs]) -> tuple[float, str]:
    """With a chute for every digit, the scans it was fitted on are sorted right."""
    return _reaches(cases, outputs, ONE_CHUTE_PER_DIGIT, MIN_TRAINING, seen=True)


def sorts_unseen_scans(cases: dict[str, Case], outputs: dict[str, Outputs]) -> tuple[float, str]:
    """With a chute for every digit, so are the scans it never saw."""
    return _reaches(cases, outputs, ONE_CHUTE_PER_DIGIT, MIN_UNSEEN, seen=False)


def learns_shared_chutes(cases: dict[str, Case], outputs: dict[str, Outputs]) -> tuple[float, str]:
    """Chutes that several unlike digits share are learned as well."""
    return _reaches(cases, outputs, SHARED_CHUTES, MIN_UNSEEN_SHARED, seen=False)


def learns_from_labels_only(
    cases: dict[str, Case], outputs: dict[str, Outputs]
) -> tuple[float, str]:
    """Fitted on shuffled labels, it does not know the digits after all."""
    accuracy = _accuracy(cases["shuffled"], outputs["shuffled"], seen=False)
    return (
        float(accuracy <= MAX_SHUFFLED),
        f"accuracy on unseen scans after shuffled labels {accuracy:.3f} (at most {MAX_SHUFFLED})",
    )


CHECKS = {
    "fits_training_scans": fits_training_scans,
    "sorts_unseen_scans": sorts_unseen_scans,
    "learns_shared_chutes": learns_shared_chutes,
    "learns_from_labels_only": learns_from_labels_only,
}
