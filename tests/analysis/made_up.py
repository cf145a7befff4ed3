"""Made-up runs for the tests of the analysis."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from moopim import Objective

COST = Objective("cost", "mJ")
TIME = Objective("time", "ns")
AREA = Objective("area", "mm2")
GAIN = Objective("gain", "%", sense="max")
FOUR = (TIME, AREA, COST, GAIN)


def frame(objectives, rows, **columns):
    """A frame from rows of objective values, evaluated in this order."""
    data = pd.DataFrame(np.array(rows, dtype=float), columns=[objective.column for objective in objectives])
    return data.assign(evaluation=np.arange(1, len(data) + 1), **{"feasible": True, **columns})


def search(n, seed, luck=1.0):
    """A search over four objectives: a long-tailed time, a stepped area, a maximised gain, a fifth infeasible."""
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.ones(4), size=n) * (1 + rng.gamma(1.0, luck, size=(n, 1)))
    rows = [1e3 * 10 ** (3 * share[:, 0]), 20 + np.round(8 * share[:, 1]), 1 + share[:, 2], 90 - 30 * share[:, 3]]
    return frame(FOUR, np.transpose(rows), feasible=rng.random(n) < 0.8)


def run(algorithm, seed, evaluations):
    """A finished run."""
    return SimpleNamespace(algorithm=algorithm, seed=seed, evaluations=evaluations)
