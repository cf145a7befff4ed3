"""AMOSA's bounded archive of mutually non-dominated designs, and the comparison of proposals with it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymoo.core.individual import Individual
from pymoo.core.population import Population

from moopim.algorithms._batch import Batch, Source, nondominated
from moopim.algorithms.truncation import Truncation
from moopim.typing import BoolArray, FloatArray, IntArray

__all__ = ["Archive"]


class Archive:
    """At most ``soft_limit`` mutually non-dominated designs, and the proposals that are being judged beside them.

    Members and proposals share one row of slots: the members come first. Sets of slots are bit masks in Python
    integers (bit ``i`` is slot ``i``), so that what a proposal is dominated by, after the proposals before it have
    entered, is one ``&`` away.

    Args:
        hard_limit: Number of members left by a truncation.
        soft_limit: Number of members above which the archive is truncated.
        n_staged: Greatest number of proposals judged at once.
        truncate: The rule that chooses the members to keep.
    """

    def __init__(self, hard_limit: int, soft_limit: int, n_staged: int, truncate: Truncation) -> None:
        self.hard_limit = hard_limit
        self.soft_limit = soft_limit
        self.truncate = truncate
        self._room = soft_limit + n_staged
        self._n = 0
        self._sources: list[Source] = []
        self._pop: Population | None = None
        self._ranges: tuple[FloatArray, FloatArray] | None = None
        self._alive: int
        self._count: int
        self._unranged: int
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

    def restart(self, designs: Batch) -> None:
        """Refills the archive with the non-dominated ones among designs, truncated if more than the hard limit.

        Args:
            designs: Any designs.
        """
        best = nondominated(designs.planes)
        if len(best) > self.hard_limit:
            best = best[self.truncate(designs.planes[:-1, best].T, self.hard_limit)]
        self._n = len(best)
        self._X = np.empty((self._room, *designs.X.shape[1:]), dtype=designs.X.dtype)
        self._planes = np.empty((len(designs.planes), self._room))
        self._X[: self._n] = designs.X[best]
        self._planes[:, : self._n] = designs.planes[:, best]
        self._sources = [designs.source(i) for i in best.tolist()]
        self._pop = self._ranges = None
        self._open()

    def shrink(self) -> None:
        """Truncates to the hard limit."""
        self._open()
        if self._count > self.hard_limit:
            self._cut()
            self.settle()

    def stage(self, batch: Batch) -> None:
        """Lays proposals beside the members and compares each with all members and proposals.

        Args:
            batch: The proposals, at most ``n_staged``.
        """
        n, end = self._n, self._n + len(batch.X)
        self._X[n:end] = batch.X
        self._planes[:, n:end] = batch.planes
        self._open(batch)
        # The violations decide nothing while all are zero.
        n_planes = len(self._planes) - (not self._planes[-1, :end].any())
        self._not_worse, self._not_better = _compare(self._planes[:n_planes, :end], batch.planes)

    def is_dominated(self, planes: FloatArray) -> BoolArray:
        """Tells which designs a member dominates.

        Args:
            planes: Objectives and violation of designs, shape ``(n_obj + 1, n)``.

        Returns:
            Truth values, shape ``(n,)``.
        """
        not_worse, not_better = _compare(self.planes, planes)
        return np.array([a & ~b != 0 for a, b in zip(not_worse, not_better, strict=True)])

    def slot(self, j: int) -> int:
        """The slot of proposal ``j``."""
        return self._n + j

    def dominators(self, j: int) -> int:
        """The members that dominate proposal ``j``, as a bit mask."""
        not_worse = self._not_worse[j] & self._alive
        return not_worse & ~self._not_better[j] if not_worse else 0

    def has_equal(self, j: int) -> bool:
        """Tells whether a member has the same objectives as proposal ``j``."""
        return bool(self._not_worse[j] & self._not_better[j] & self._alive)

    def insert(self, j: int) -> None:
        """Adds proposal ``j``, removes the members that it dominates, and truncates above the soft limit.

        Args:
            j: A proposal that no member dominates or equals.
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
        """Ends the judging: moves the members that were inserted to the front slots, drops the others."""
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
        self._sources = [
            self._sources[i] if i < n_old or staged is None else staged.source(i - n_old) for i in kept.tolist()
        ]
        self._pop = None
        self._open()

    def designs_at(self, slots: IntArray) -> tuple[NDArray[Any], FloatArray]:
        """Decision variables ``(n, n_var)`` and planes ``(n_obj + 1, n)`` of slots, proposals included.

        Args:
            slots: Slots, shape ``(n,)``.
        """
        return self._X[slots], self._planes[:, slots]

    def planes_of(self, mask: int) -> tuple[IntArray, FloatArray]:
        """Slots ``(k,)`` and planes ``(n_obj + 1, k)`` of a set of members.

        Args:
            mask: The set, as a bit mask.
        """
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
        """The members as individuals; those made before are used again, since each costs tens of microseconds.

        Args:
            data: Set on the individuals that are made now.
        """
        if self._pop is None:
            self._sources = [
                _individual(self._X[i].copy(), source, data) if isinstance(source, tuple) else source
                for i, source in enumerate(self._sources)
            ]
            self._pop = Population.create(*self._sources)
        return self._pop

    def _cut(self) -> None:
        slots = self._slots(self._alive)
        self._alive = _mask(slots[self.truncate(self._planes[:-1, slots].T, self.hard_limit)])
        self._count = self._alive.bit_count()
        self._ranges = None

    def _open(self, batch: Batch | None = None) -> None:
        """Starts from the members as they are, with proposals beside them."""
        self._staged = batch
        self._alive = self._members = (1 << self._n) - 1
        self._count = self._n
        self._unranged = 0

    def _slots(self, mask: int) -> IntArray:
        packed = np.frombuffer(mask.to_bytes((self._room + 7) // 8, "little"), dtype=np.uint8)
        return np.unpackbits(packed, bitorder="little").nonzero()[0]


def _compare(slots: FloatArray, batch: FloatArray) -> tuple[list[int], list[int]]:
    """Sets of slots not worse, and not better, than each proposal in any plane.

    Plane by plane, two dimensions at a time: several times faster than a reduction over a third axis.

    Args:
        slots: Planes of all slots, shape ``(n_planes, n_slots)``.
        batch: Planes of the proposals, shape ``(>= n_planes, n)``.

    Returns:
        Two lists of ``n`` bit masks.
    """
    shape = (batch.shape[1], slots.shape[1])
    not_worse, not_better, scratch = (np.empty(shape, dtype=np.bool_) for _ in range(3))
    for i, (there, here) in enumerate(zip(slots, batch[:, :, None], strict=False)):
        if i == 0:
            np.less_equal(there, here, out=not_worse)
            np.greater_equal(there, here, out=not_better)
        else:
            np.logical_and(not_worse, np.less_equal(there, here, out=scratch), out=not_worse)
            np.logical_and(not_better, np.greater_equal(there, here, out=scratch), out=not_better)
    return _masks(not_worse), _masks(not_better)


def _masks(rows: BoolArray) -> list[int]:
    """One bit mask per row of ``(n, n_slots)``."""
    packed = np.packbits(rows, axis=1, bitorder="little")
    width, data = packed.shape[1], packed.tobytes()
    return [int.from_bytes(data[i : i + width], "little") for i in range(0, len(data), width)]


def _mask(slots: IntArray) -> int:
    return sum(1 << i for i in slots.tolist())


def _individual(X: NDArray[Any], source: tuple[Mapping[str, Any], int], data: Mapping[str, Any]) -> Individual:
    output, row = source
    individual = Individual(X=X)
    for name, values in output.items():
        individual.set(name, np.array(values[row]))
    individual.evaluated.update(output)
    for name, value in data.items():
        individual.set(name, value)
    return individual
