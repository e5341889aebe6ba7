"""Draw the cohort shipped in workspace/data: ``python make_data.py DIRECTORY`` (seed 4107).

A simulation, so that no patient's data ship: proteins in correlated modules, plate offsets that
the pooled wells share, values under the detection limit left blank, and a weak true signal.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

SEED = 4107
N_PROTEINS = 600
N_MODULES = 40
N_SIGNAL = 8
EFFECT = 0.5
"""Shift of a signal protein in rejection, in standard deviations."""
SITES = {"GOT": (34, 17), "LUN": (28, 9), "UPP": (22, 8)}
"""Patients and rejections per centre."""
N_PLATES = 4
POOLS_PER_PLATE = 2


def accessions(rng: np.random.Generator, count: int) -> list[str]:
    """Return distinct made-up identifiers of the form of a UniProt accession."""
    names: dict[str, None] = {}
    while len(names) < count:
        letter = rng.choice(list("OPQ"))
        middle = "".join(rng.choice(list("ABCDEFGHKLMNRSTVWY0123456789"), 3))
        names[f"{letter}{rng.integers(10)}{middle}{rng.integers(10)}"] = None
    return list(names)


def main(directory: Path) -> None:
    """Write npx.csv and patients.csv."""
    rng = np.random.default_rng(SEED)
    site = np.concatenate([np.repeat(name, n) for name, (n, _) in SITES.items()])
    rejection = np.concatenate([np.repeat([1, 0], [k, n - k]) for n, k in SITES.values()])
    fold = np.empty(len(site), dtype=int)
    start = 0
    for name in SITES:
        for label in (1, 0):
            rows = rng.permutation(np.flatnonzero((site == name) & (rejection == label)))
            fold[rows] = (np.arange(len(rows)) + start) % 5 + 1
            start += len(rows)
    order = rng.permutation(len(site))
    site, rejection, fold = site[order], rejection[order], fold[order]
    n_patients = len(site)

    module = rng.integers(N_MODULES, size=N_PROTEINS)
    loading = rng.uniform(0.3, 0.75, N_PROTEINS)
    factors = rng.standard_normal((n_patients, N_MODULES))
    own = rng.standard_normal((n_patients, N_PROTEINS))
    standard = loading * factors[:, module] + np.sqrt(1 - loading**2) * own
    signal = rng.choice(N_PROTEINS, N_SIGNAL, replace=False)
    standard[:, signal] += EFFECT * rng.choice([-1, 1], N_SIGNAL) * rejection[:, None]

    level = rng.uniform(2.5, 8.5, N_PROTEINS)
    spread = rng.uniform(0.35, 0.9, N_PROTEINS)
    plate = rng.permutation(np.arange(n_patients) % N_PLATES)
    offset = rng.normal(0.0, 0.25, (N_PLATES, N_PROTEINS))
    offset[2] += 0.4
    pool_plate = np.repeat(np.arange(N_PLATES), POOLS_PER_PLATE)
    pools = level + offset[pool_plate] + rng.normal(0, 0.06, (len(pool_plate), N_PROTEINS))
    wells = level + spread * standard + offset[plate]
    limit = level - spread * rng.uniform(1.2, 6.0, N_PROTEINS)
    wells[wells < limit + offset[plate]] = np.nan

    names = accessions(rng, N_PROTEINS)
    patients = [f"KTX{number:04d}" for number in np.sort(rng.choice(900, n_patients, False)) + 100]
    index = patients + [f"POOL{number + 1:02d}" for number in range(len(pool_plate))]
    npx = pd.DataFrame(np.vstack([wells, pools]).round(2), index=index, columns=names)
    npx.insert(0, "plate", [f"P{p + 1}" for p in np.concatenate([plate, pool_plate])])
    npx = npx.sort_values("plate", kind="stable")
    npx.to_csv(directory / "npx.csv", index_label="sample")
    pd.DataFrame(
        {
            "patient": patients,
            "site": site,
            "age": rng.normal(52, 12, n_patients).round().clip(19, 78).astype(int),
            "sex": rng.choice(["f", "m"], n_patients, p=[0.38, 0.62]),
            "rejection": rejection,
            "fold": fold,
        }
    ).to_csv(directory / "patients.csv", index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
