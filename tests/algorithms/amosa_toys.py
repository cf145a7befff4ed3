"""Small problems that the tests of AMOSA share."""

import numpy as np
from pymoo.core.problem import Problem


class Identity(Problem):
    """Two objectives that are the two variables, without bounds that matter: objectives can be chosen freely."""

    def __init__(self, n_obj=2, **kwargs):
        super().__init__(n_var=n_obj, n_obj=n_obj, xl=-100.0, xu=100.0, **kwargs)

    def _evaluate(self, X, out, *args, **kwargs):
        out["F"] = X


class Table(Problem):
    """Integer genes whose contributions to the objectives come from a random table of whole numbers."""

    def __init__(self, n_var=6, n_values=4, n_obj=2, seed=0):
        super().__init__(n_var=n_var, n_obj=n_obj, xl=0, xu=n_values - 1, vtype=int)
        self.table = np.random.default_rng(seed).integers(0, 50, size=(n_var, n_values, n_obj))
        self.batches = []

    def _evaluate(self, X, out, *args, **kwargs):
        assert np.issubdtype(X.dtype, np.integer)
        self.batches.append(X.copy())
        out["F"] = self.table[np.arange(self.n_var), X].sum(axis=1)

    @property
    def evaluated(self):
        return np.concatenate(self.batches)


class Constrained(Problem):
    """Integer genes; the sum of a design must reach a bound and objectives are missing where it does not."""

    def __init__(self, bound, missing=np.nan):
        super().__init__(n_var=8, n_obj=2, n_ieq_constr=1, xl=0, xu=9, vtype=int)
        self.bound, self.missing = bound, missing

    def _evaluate(self, X, out, *args, **kwargs):
        short = self.bound - X.sum(axis=1)
        F = np.column_stack([X[:, :4].sum(axis=1), X[:, 4:].sum(axis=1) + X[:, 0] % 3]).astype(float)
        F[short > 0] = self.missing
        out["F"], out["G"] = F, short[:, None]
