"""AMOSA's bounded archive of mutually non-dominated designs, and evaluated designs as arrays.

Objectives are stored as planes: one contiguous row per objective and, last, the constraint violation. Where the
violation is positive the objectives are infinite, so that plain dominance over all planes is constraint domination:
feasible before infeasible, then the smaller violation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from moocore import is_nondominated
from numpy.typing import NDArray
from pymoo.core.individual import Individual
from pymoo.core.population import Population

from moopim.algorithms.truncation import Truncation
from moopim.typing import BoolArray, FloatArray, IntArray

Origin: TypeAlias = Individual | tuple[Mapping[str, Any], int]
"""Origin of a design: an individual, or the output of an evaluation and the row in it, to make one when needed."""


@dataclass(slots=True)
class Evaluated:
    """Evaluated designs as arrays."""

    X: NDArray[Any]  # shape (n, n_var)
    planes: FloatArray  # objectives, infinite where infeasible, and the violation, shape (n_obj + 1, n)
    origins: Sequence[Origin] | Mapping[str, Any]  # one per design, or the one output that holds all of them

    @classmethod
    def from_output(cls, X: NDArray[Any], output: Mapping[str, Any]) -> "Evaluated":
        """Wrap what ``Problem.evaluate`` returned for ``X``: arrays F, and G and H where there are constraints."""
        return cls(X, _planes(output, len(X)), output)

    @classmethod
    def from_population(cls, pop: Population) -> "Evaluated":
        """Wrap evaluated individuals."""
        F, G, H = pop.get("F", "G", "H")
        return cls(pop.get("X"), _planes({"F": F, "G": G, "H": H}, len(pop)), list(pop))

    def origin(self, i: int) -> Origin:
        """Origin of design ``i``."""
        return (self.origins, i) if isinstance(self.origins, Mapping) else self.origins[i]

    def replace(self, rows: IntArray, other: "Evaluated") -> None:
        """Take the designs of some rows from the same rows of another batch, which may be shorter."""
        self.X[rows] = other.X[rows]
        self.planes[:, rows] = other.planes[:, rows]
        changed = set(rows.tolist())
        self.origins = [(other if i in changed else self).origin(i) for i in range(len(self.X))]


def constraint_violation(F: FloatArray, G: FloatArray, H: FloatArray) -> FloatArray:
    """Summed excess over constraints G <= 0 ``(n, n_ieq_constr)`` and H = 0 ``(n, n_eq_constr)``, shape ``(n,)``.

    With pymoo's tolerance for H. Infinite where a constraint is NaN, or where all are met but an objective of
    ``F (n, n_obj)`` is not finite: such a design cannot be ranked.
    """
    tolerance = Individual.default_config()["cv_eq"]["eps"]
    violation = np.maximum(G, 0.0).sum(axis=1) + np.maximum(np.abs(H) - tolerance, 0.0).sum(axis=1)
    unusable = np.isnan(violation) | ((violation == 0) & ~np.isfinite(F).all(axis=1))
    return np.where(unusable, np.inf, violation)


def _planes(output: Mapping[str, Any], n: int) -> FloatArray:
    F, G, H = (np.asarray(output.get(name, np.empty((n, 0))), dtype=float).reshape(n, -1) for name in "FGH")
    violation = constraint_violation(F, G, H)
    planes = np.vstack([F.T, violation])
    if violation.any():
        planes[:-1, violation > 0] = np.inf
    return planes


def nondominated(planes: FloatArray) -> IntArray:
    """Indices of the non-dominated designs, one of each group of equals; of the least violating without a feasible."""
    feasible = np.flatnonzero(planes[-1] == 0)
    if feasible.size == 0:
        return np.array([planes[-1].argmin()])
    chosen: IntArray = feasible[is_nondominated(np.ascontiguousarray(planes[:-1, feasible].T))]
    return chosen


def dominates(better: FloatArray, worse: FloatArray) -> BoolArray:
    """Mask ``(n,)`` of designs that dominate their counterparts (nowhere worse, somewhere better), by their planes."""
    return np.asarray((better <= worse).all(axis=0) & (better < worse).any(axis=0))


class Archive:
    """Mutually non-dominated designs: truncated to ``hard_limit`` when there are more than ``soft_limit``.

    Without a feasible design it holds the least violating one.
    """

    designs: NDArray[Any]  # decision variables, shape (members, n_var)
    planes: FloatArray  # objectives and violation, shape (n_obj + 1, members)

    def __init__(self, hard_limit: int, soft_limit: int, truncate: Truncation) -> None:
        self.hard_limit = hard_limit
        self.soft_limit = soft_limit
        self.truncate = truncate
        self._origins: list[Origin] = []
        self._pop: Population | None = None
        self._ranges: tuple[FloatArray, FloatArray] | None = None

    def __len__(self) -> int:
        return len(self.designs)

    def restart(self, designs: Evaluated) -> None:
        """Refill the archive with the non-dominated ones among designs, truncated if more than the hard limit."""
        best = nondominated(designs.planes)
        self._fill(designs.X[best], designs.planes[:, best], [designs.origin(i) for i in best.tolist()])
        self.shrink(self.hard_limit)

    def shrink(self, limit: int) -> None:
        """Truncate to a limit."""
        if len(self) > limit:
            kept = self.truncate(self.planes[:-1].T, limit)
            self._fill(self.designs[kept], self.planes[:, kept], [self._origins[i] for i in kept.tolist()])

    def compare(self, planes: FloatArray) -> tuple[BoolArray, BoolArray]:
        """Masks ``(n, members)``: members not worse, and not better, than each of n designs in any plane."""
        return _compare(self.planes, planes)

    def add(self, proposals: Evaluated, rows: IntArray, dominated: BoolArray) -> None:
        """Add rows ``(k,)`` of proposals that no member dominates or equals; members marked as dominated leave.

        Of these rows those that another one dominates, or that equal an earlier one, do not enter.
        """
        if not rows.size:
            return
        planes = proposals.planes[:, rows]
        if rows.size > 1:
            not_worse, not_better = _compare(planes, planes)
            beaten = not_worse & (~not_better | np.tri(rows.size, k=-1, dtype=np.bool_))
            entering = ~beaten.any(axis=1)
            rows, planes = rows[entering], planes[:, entering]
        origins, X = self._origins, self.designs
        if dominated.any():
            staying = (~dominated).nonzero()[0]
            X, origins = X[staying], [origins[i] for i in staying.tolist()]
            planes = np.concatenate([self.planes[:, staying], planes], axis=1)
        else:
            planes = np.concatenate([self.planes, planes], axis=1)
        self._fill(
            np.concatenate([X, proposals.X[rows]]), planes, origins + [proposals.origin(i) for i in rows.tolist()]
        )
        if len(self) > self.soft_limit:
            self.shrink(self.hard_limit)

    def ranges(self) -> tuple[FloatArray, FloatArray]:
        """Least and greatest value of every plane over the members, each of shape ``(n_obj + 1,)``."""
        if self._ranges is None:
            self._ranges = self.planes.min(axis=1), self.planes.max(axis=1)
        return self._ranges

    def population(self, **data: Any) -> Population:
        """Members as individuals, made once since each costs tens of microseconds; ``data`` is set on the new ones."""
        if self._pop is None:
            self._origins = [
                _individual(self.designs[i].copy(), origin, data) if isinstance(origin, tuple) else origin
                for i, origin in enumerate(self._origins)
            ]
            self._pop = Population.create(*self._origins)
        return self._pop

    def _fill(self, designs: NDArray[Any], planes: FloatArray, origins: list[Origin]) -> None:
        self.designs, self.planes, self._origins = designs, planes, origins
        self._pop = None
        self._ranges = None


def _compare(members: FloatArray, designs: FloatArray) -> tuple[BoolArray, BoolArray]:
    """Masks ``(n, k)`` of k members not worse, and not better, than each of n designs in any plane.

    Planes of members ``(n_planes, k)`` and of designs ``(n_planes, n)``. Plane by plane, two dimensions at a time:
    several times faster than a reduction over a third axis.
    """
    not_worse, not_better, scratch = (np.empty((designs.shape[1], members.shape[1]), dtype=np.bool_) for _ in range(3))
    # The violations decide nothing while all are zero.
    n_planes = len(members) - (not members[-1].any() and not designs[-1].any())
    for i, (there, here) in enumerate(zip(members[:n_planes], designs[:n_planes, :, None], strict=True)):
        if i == 0:
            np.less_equal(there, here, out=not_worse)
            np.greater_equal(there, here, out=not_better)
        else:
            np.logical_and(not_worse, np.less_equal(there, here, out=scratch), out=not_worse)
            np.logical_and(not_better, np.greater_equal(there, here, out=scratch), out=not_better)
    return not_worse, not_better


def _individual(X: NDArray[Any], origin: tuple[Mapping[str, Any], int], data: Mapping[str, Any]) -> Individual:
    output, row = origin
    individual = Individual(X=X)
    for name, values in output.items():
        individual.set(name, np.array(values[row]))
    individual.evaluated.update(output)
    for name, value in data.items():
        individual.set(name, value)
    return individual
