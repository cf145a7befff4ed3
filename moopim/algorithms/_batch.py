"""Evaluated designs as arrays.

Objectives are stored as planes: one contiguous row per objective and, last, the constraint violation. Where the
violation is positive the objectives are set to infinity, so that plain dominance over all planes is constraint
domination: feasible before infeasible, then the smaller violation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from moocore import is_nondominated
from numpy.typing import NDArray
from pymoo.core.individual import Individual
from pymoo.core.population import Population

from moopim.typing import BoolArray, FloatArray, IntArray

__all__ = ["Batch", "Source", "constraint_violation", "dominates", "nondominated"]

# What an `Individual` is made of later: an existing one, or the output of an evaluation and the row in it.
Source: TypeAlias = Individual | tuple[Mapping[str, Any], int]


def constraint_violation(F: FloatArray, G: FloatArray, H: FloatArray) -> FloatArray:
    """Sums how far each design is beyond its constraints, with pymoo's tolerance for equality constraints.

    Args:
        F: Objectives, shape ``(n, n_obj)``.
        G: Inequality constraints, met where <= 0, shape ``(n, n_ieq_constr)``.
        H: Equality constraints, met where 0, shape ``(n, n_eq_constr)``.

    Returns:
        Violation, shape ``(n,)``; 0 where feasible, infinite where a constraint is NaN or where the constraints are
        met but an objective is not finite (such a design cannot be ranked).
    """
    tolerance = Individual.default_config()["cv_eq"]["eps"]
    violation = np.maximum(G, 0.0).sum(axis=1) + np.maximum(np.abs(H) - tolerance, 0.0).sum(axis=1)
    unusable = np.isnan(violation) | ((violation == 0) & ~np.isfinite(F).all(axis=1))
    return np.where(unusable, np.inf, violation)


@dataclass(slots=True)
class Batch:
    """Evaluated designs.

    Attributes:
        X: Decision variables, shape ``(n, n_var)``.
        planes: Objectives, infinite where infeasible, and the violation, shape ``(n_obj + 1, n)``.
        sources: What the individuals are made of, shape ``(n,)``, or what one output says about all of them.
    """

    X: NDArray[Any]
    planes: FloatArray
    sources: Sequence[Source] | Mapping[str, Any]

    @classmethod
    def from_output(cls, X: NDArray[Any], output: Mapping[str, Any]) -> "Batch":
        """Takes over what ``Problem.evaluate`` returned as a dictionary.

        Args:
            X: Decision variables, shape ``(n, n_var)``.
            output: Arrays with ``n`` rows: ``F``, and ``G`` and ``H`` where there are constraints.
        """
        return cls(X, _planes(output, len(X)), output)

    @classmethod
    def from_population(cls, pop: Population) -> "Batch":
        """Takes over evaluated individuals.

        Args:
            pop: Population, shape ``(n,)``.
        """
        F, G, H = pop.get("F", "G", "H")
        return cls(pop.get("X"), _planes({"F": F, "G": G, "H": H}, len(pop)), list(pop))

    def source(self, i: int) -> Source:
        """What the individual of design ``i`` is made of."""
        return (self.sources, i) if isinstance(self.sources, Mapping) else self.sources[i]

    def replace(self, rows: IntArray, other: "Batch") -> None:
        """Takes the same rows over from another batch.

        Args:
            rows: Indices of designs.
            other: The other batch, which may be shorter.
        """
        self.X[rows] = other.X[rows]
        self.planes[:, rows] = other.planes[:, rows]
        changed = set(rows.tolist())
        self.sources = [(other if i in changed else self).source(i) for i in range(len(self.X))]


def _planes(output: Mapping[str, Any], n: int) -> FloatArray:
    F, G, H = (np.asarray(output.get(name, np.empty((n, 0))), dtype=float).reshape(n, -1) for name in "FGH")
    violation = constraint_violation(F, G, H)
    planes = np.vstack([F.T, violation])
    if violation.any():
        planes[:-1, violation > 0] = np.inf
    return planes


def nondominated(planes: FloatArray) -> IntArray:
    """The non-dominated designs, one of each group of equals; the least violating one where none is feasible.

    Args:
        planes: Objectives and violation, shape ``(n_obj + 1, n)``.

    Returns:
        Indices, ascending.
    """
    feasible = np.flatnonzero(planes[-1] == 0)
    if feasible.size == 0:
        return np.array([planes[-1].argmin()])
    chosen: IntArray = feasible[is_nondominated(np.ascontiguousarray(planes[:-1, feasible].T))]
    return chosen


def dominates(better: FloatArray, worse: FloatArray) -> BoolArray:
    """Tells which designs dominate their counterparts: nowhere worse, somewhere better.

    Args:
        better: Planes, shape ``(n_planes, n)``.
        worse: Planes, shape ``(n_planes, n)``.

    Returns:
        Truth values, shape ``(n,)``.
    """
    return np.asarray((better <= worse).all(axis=0) & (better < worse).any(axis=0))
