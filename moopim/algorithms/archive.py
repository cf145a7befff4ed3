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
    """At most ``soft_limit`` mutually non-dominated designs, and up to ``n_staged`` proposals judged beside them.

    A truncation, by the rule ``truncate``, leaves ``hard_limit`` members. Both limits may be lowered at any time, and
    raised again up to those of the beginning. Members and proposals share one row of slots:
    the members come first. Sets of slots are bit masks in Python integers (bit ``i`` is slot ``i``), so that what a
    proposal is dominated by, after the proposals before it have entered, is one ``&`` away.
    """

    def __init__(self, hard_limit: int, soft_limit: int, n_staged: int, truncate: Truncation) -> None:
        self.hard_limit = hard_limit
        self.soft_limit = soft_limit
        self.truncate = truncate
        self._room = soft_limit + n_staged
        self._n = 0
        self._origins: list[Origin] = []
        self._pop: Population | None = None
        self._ranges: tuple[FloatArray, FloatArray] | None = None
        self._alive: int  # the members, with the proposals that have entered
        self._members: int  # the members when judging began
        self._count: int
        self._unranged: int  # members that `_ranges` does not cover yet
        self._open()

    def __len__(self) -> int:
        return self._n

    @property
    def designs(self) -> NDArray[Any]:
        """Decision variables of the members, shape ``(members, n_var)``."""
        return self._X[: self._n]

    @property
    def planes(self) -> FloatArray:
        """Objectives and violation of the members, shape ``(n_obj + 1, members)``."""
        return self._planes[:, : self._n]

    def restart(self, designs: Evaluated) -> None:
        """Refill the archive with the non-dominated ones among designs, truncated if more than the hard limit."""
        best = nondominated(designs.planes)
        if len(best) > self.hard_limit:
            best = best[self.truncate(designs.planes[:-1, best].T, self.hard_limit)]
        self._n = len(best)
        self._X = np.empty((self._room, *designs.X.shape[1:]), dtype=designs.X.dtype)
        self._planes = np.empty((len(designs.planes), self._room))
        self._X[: self._n] = designs.X[best]
        self._planes[:, : self._n] = designs.planes[:, best]
        self._origins = [designs.origin(i) for i in best.tolist()]
        self._pop = self._ranges = None
        self._open()

    def shrink(self, limit: int) -> None:
        """Truncate to a limit, which becomes the hard one."""
        self._open()
        self.hard_limit = limit
        if self._count > limit:
            self._cut()
            self.settle()

    def stage(self, proposals: Evaluated) -> None:
        """Put proposals beside the members and compare each with all members and proposals."""
        n, end = self._n, self._n + len(proposals.X)
        self._X[n:end] = proposals.X
        self._planes[:, n:end] = proposals.planes
        self._open(proposals)
        # The violations decide nothing while all are zero.
        n_planes = len(self._planes) - (not self._planes[-1, :end].any())
        self._not_worse, self._not_better = _compare(self._planes[:n_planes, :end], proposals.planes)

    def is_dominated(self, planes: FloatArray) -> BoolArray:
        """Mask ``(n,)`` of the designs, by their planes ``(n_obj + 1, n)``, that a member dominates."""
        not_worse, not_better = _compare(self.planes, planes)
        return np.array([a & ~b != 0 for a, b in zip(not_worse, not_better, strict=True)])

    def slot(self, j: int) -> int:
        """Slot of proposal ``j``."""
        return self._n + j

    def dominators(self, j: int) -> int:
        """Members that dominate proposal ``j``, as a bit mask."""
        not_worse = self._not_worse[j] & self._alive
        return not_worse & ~self._not_better[j] if not_worse else 0

    def has_equal(self, j: int) -> bool:
        """Whether a member has the same objectives as proposal ``j``."""
        return bool(self._not_worse[j] & self._not_better[j] & self._alive)

    def insert(self, j: int) -> None:
        """Add proposal ``j``, which no member dominates or equals; members that it dominates leave.

        Above the soft limit the archive is truncated.
        """
        removed = self._not_better[j] & ~self._not_worse[j] & self._alive
        inserted = 1 << self._n + j
        self._alive = self._alive & ~removed | inserted
        self._count += 1 - removed.bit_count()
        if removed:
            self._ranges = None
        else:
            self._unranged |= inserted
        if self._count > self.soft_limit:
            self._cut()

    def settle(self) -> None:
        """End the judging: move the members that were inserted to the front slots, drop the others."""
        if self._alive == self._members:
            return
        if self._ranges is not None:
            self.ranges()
        kept = self._slots(self._alive)
        n_old = self._n
        self._n = len(kept)
        if kept[-1] >= self._n:
            self._X[: self._n] = self._X[kept]
            self._planes[:, : self._n] = self._planes[:, kept]
        staged = self._staged
        self._origins = [
            self._origins[i] if i < n_old or staged is None else staged.origin(i - n_old) for i in kept.tolist()
        ]
        self._pop = None
        self._open()

    def designs_at(self, slots: IntArray) -> tuple[NDArray[Any], FloatArray]:
        """Decision variables ``(n, n_var)`` and planes ``(n_obj + 1, n)`` of slots, proposals included."""
        return self._X[slots], self._planes[:, slots]

    def planes_of(self, mask: int) -> tuple[IntArray, FloatArray]:
        """Slots ``(k,)`` and planes ``(n_obj + 1, k)`` of a set of members, a bit mask."""
        slots = self._slots(mask)
        return slots, self._planes[:, slots]

    def ranges(self) -> tuple[FloatArray, FloatArray]:
        """Least and greatest value of every plane over the members, each of shape ``(n_obj + 1,)``."""
        if self._ranges is None:
            self._ranges = self._extent(self._alive)
        elif self._unranged:
            # Members that were only added widen the ranges; after a removal these are found anew.
            (low, high), (new_low, new_high) = self._ranges, self._extent(self._unranged)
            self._ranges = np.minimum(low, new_low), np.maximum(high, new_high)
        self._unranged = 0
        return self._ranges

    def _extent(self, mask: int) -> tuple[FloatArray, FloatArray]:
        members = self._planes[:, self._slots(mask)]
        return members.min(axis=1), members.max(axis=1)

    def population(self, **data: Any) -> Population:
        """Members as individuals, made once since each costs tens of microseconds; ``data`` is set on the new ones."""
        if self._pop is None:
            self._origins = [
                _individual(self._X[i].copy(), origin, data) if isinstance(origin, tuple) else origin
                for i, origin in enumerate(self._origins)
            ]
            self._pop = Population.create(*self._origins)
        return self._pop

    def _cut(self) -> None:
        slots = self._slots(self._alive)
        self._alive = _mask(slots[self.truncate(self._planes[:-1, slots].T, self.hard_limit)])
        self._count = self._alive.bit_count()
        self._ranges = None

    def _open(self, proposals: Evaluated | None = None) -> None:
        """Begin with the members as they are, with proposals beside them."""
        self._staged = proposals
        self._alive = self._members = (1 << self._n) - 1
        self._count = self._n
        self._unranged = 0

    def _slots(self, mask: int) -> IntArray:
        packed = np.frombuffer(mask.to_bytes((self._room + 7) // 8, "little"), dtype=np.uint8)
        return np.unpackbits(packed, bitorder="little").nonzero()[0]


def _compare(slots: FloatArray, proposals: FloatArray) -> tuple[list[int], list[int]]:
    """Bit masks of the slots not worse, and not better, than each of n proposals in any plane.

    Planes of slots ``(n_planes, n_slots)`` and of proposals ``(>= n_planes, n)``. Plane by plane, two dimensions at a
    time: several times faster than a reduction over a third axis.
    """
    shape = (proposals.shape[1], slots.shape[1])
    not_worse, not_better, scratch = (np.empty(shape, dtype=np.bool_) for _ in range(3))
    for i, (there, here) in enumerate(zip(slots, proposals[:, :, None], strict=False)):
        if i == 0:
            np.less_equal(there, here, out=not_worse)
            np.greater_equal(there, here, out=not_better)
        else:
            np.logical_and(not_worse, np.less_equal(there, here, out=scratch), out=not_worse)
            np.logical_and(not_better, np.greater_equal(there, here, out=scratch), out=not_better)
    return _masks(not_worse), _masks(not_better)


def _masks(marks: BoolArray) -> list[int]:
    """One bit mask per row of ``(n, n_slots)``."""
    packed = np.packbits(marks, axis=1, bitorder="little")
    width, data = packed.shape[1], packed.tobytes()
    return [int.from_bytes(data[i : i + width], "little") for i in range(0, len(data), width)]


def _mask(slots: IntArray) -> int:
    return sum(1 << i for i in slots.tolist())


def _individual(X: NDArray[Any], origin: tuple[Mapping[str, Any], int], data: Mapping[str, Any]) -> Individual:
    output, row = origin
    individual = Individual(X=X)
    for name, values in output.items():
        individual.set(name, np.array(values[row]))
    individual.evaluated.update(output)
    for name, value in data.items():
        individual.set(name, value)
    return individual
