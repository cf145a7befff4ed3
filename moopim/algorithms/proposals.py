"""Proposals of optimisers that ask for no design twice."""

from collections.abc import Callable

import numpy as np

from moopim.operators.duplicates import row_keys
from moopim.operators.repair import DesignRepair
from moopim.problem import DesignProblem
from moopim.typing import IntArray

# Designs that have become alike have few new children: this many rounds of breeding, then the batch is smaller.
_MAX_TRIES = 50


def unseen(problem: DesignProblem, X: IntArray, proposed: set[bytes]) -> IntArray:
    """Repaired designs ``(k, n_genes)`` of ``X`` ``(n, n_genes)`` whose keys are not in a set, which gets them."""
    repaired = DesignRepair()._do(problem, X)
    new = np.zeros(len(repaired), dtype=np.bool_)
    for i, key in enumerate(row_keys(repaired)):
        new[i] = key not in proposed
        proposed.add(key)
    return np.asarray(repaired[new])


def breed(problem: DesignProblem, n: int, propose: Callable[[int], IntArray], proposed: set[bytes]) -> IntArray:
    """Unseen designs ``(n, n_genes)`` of those that ``propose`` draws, or fewer if none turn up."""
    kept = np.empty((0, problem.genome.n_genes), dtype=np.int64)
    for _ in range(_MAX_TRIES):
        if len(kept) == n:
            break
        kept = np.concatenate([kept, unseen(problem, propose(n - len(kept)), proposed)])
    return kept
