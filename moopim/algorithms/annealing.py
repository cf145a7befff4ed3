"""Parts of AMOSA: its equations, the decisions of a step, the cooling schedule and the default moves.

Source: Bandyopadhyay, Saha, Maulik, Deb, IEEE TEVC 12(3), 2008, Sections III-A to III-C.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymoo.core.crossover import Crossover
from pymoo.core.mutation import Mutation
from pymoo.core.problem import Problem
from pymoo.core.termination import Termination

from moopim.algorithms.archive import Archive, Evaluated
from moopim.typing import FloatArray, IntArray

# Relation of a current design and a proposal; the sum of 1 where the first is nowhere worse and 2 where it is nowhere
# better, and one more case.
_NEITHER, _CURRENT_DOMINATES, _PROPOSAL_DOMINATES, _EQUAL, _INFEASIBLE = range(5)
STAY = -1
"""Slot of a chain that does not move."""


def amount_of_domination(a: FloatArray, b: FloatArray, ranges: FloatArray, geometric: bool = False) -> FloatArray:
    """Amounts d(a, b) = prod |f_i(a) - f_i(b)| / R_i over the objectives that differ, 0 to 1, shape ``(k,)``.

    Of ``k`` designs, ``a (n_obj, k)``, over one, ``b (n_obj,)``; ``ranges (n_obj,)`` are the R_i over all designs
    concerned. A tie is skipped: on discrete objectives it would otherwise make every product 0. ``geometric`` takes the
    n_obj-th root, so that the amount does not shrink with the number of objectives.
    """
    difference = np.abs(a - b[:, None])
    share = np.divide(difference, ranges[:, None], out=np.ones_like(difference), where=difference > 0)
    amount = np.asarray(np.multiply.reduce(share, axis=0))
    return amount ** (1 / len(b)) if geometric else amount


def acceptance(amount: float, temperature: float, multiply: bool = False) -> float:
    """Probability of a move to a dominated design: 1 / (1 + exp(amount / temperature)), 0 to 1/2.

    ``multiply`` takes ``amount * temperature`` as the exponent, the inverse of annealing, as some derived codes do.
    """
    decay = math.exp(-amount * temperature if multiply else -amount / temperature)
    return decay / (1 + decay)


def improvement(amount: float) -> float:
    """Probability that a chain moves to the member that dominates its improvement: 1 / (1 + exp(-amount)), from 1/2."""
    return 1 / (1 + math.exp(-amount))


@dataclass(slots=True)
class Decisions:
    """Decisions of one step after the three cases of the paper: where each chain goes from its proposal.

    ======  ================================================  =====================================================
    case    current design, members, proposal                 the chain goes to
    ======  ================================================  =====================================================
    1, 2a   the current design dominates, or members do and   the proposal with probability `acceptance` of the mean
            neither of the two dominates the other            amount of domination over all that dominate it
    2b-c,   no member dominates                               the proposal, which joins the archive; members that it
    3b-c                                                      dominates leave
    3a      the proposal dominates the current design, but    the member of the least amount of domination with
            members dominate it                               probability `improvement`, else the proposal
    ======  ================================================  =====================================================

    Equal objectives: to the proposal, which does not join. A feasible design never gives way to an infeasible one.
    """

    archive: Archive
    current: FloatArray  # planes of the current designs, shape (n_obj + 1, n)
    proposals: Evaluated
    temperature: float
    multiply: bool  # the exponent of `acceptance`
    geometric: bool  # the kind of `amount_of_domination`
    worsenings: list[float] | None  # collects the amounts of worsening moves during the burn-in
    _pair_ranges: tuple[FloatArray, FloatArray] | None = None

    def slots(self, draws: FloatArray) -> IntArray:
        """Slot of the archive for each chain, or `STAY`, shape ``(n,)``, from uniform numbers ``(n,)``."""
        self.archive.stage(self.proposals)
        # Amounts lie between 0 and 1, so that draws below this need none.
        sure = acceptance(1.0, self.temperature, self.multiply)
        relations = _relations(self.current, self.proposals.planes)
        return np.array(
            [self._decide(j, *case, sure) for j, case in enumerate(zip(relations, draws.tolist(), strict=True))]
        )

    def _decide(self, j: int, relation: int, draw: float, sure: float) -> int:
        archive = self.archive
        if relation == _EQUAL:
            return archive.slot(j)
        if relation == _INFEASIBLE:
            return STAY
        dominators = archive.dominators(j)
        if relation == _CURRENT_DOMINATES or (dominators and relation == _NEITHER):  # cases 1 and 2a
            return archive.slot(j) if self._accepts_worse(j, relation, dominators, draw, sure) else STAY
        if dominators:  # case 3a
            return self._overtaken(j, dominators, draw)
        if not archive.has_equal(j):  # cases 2b, 2c, 3b and 3c
            archive.insert(j)
        return archive.slot(j)

    def _accepts_worse(self, j: int, relation: int, dominators: int, draw: float, sure: float) -> bool:
        """Cases 1 and 2a: draw < p(mean d) over the members that dominate the proposal and the current design."""
        if self.worsenings is None and (draw >= 0.5 or draw < sure):  # noqa: PLR2004 (probability of amount 0)
            return draw < sure
        _, better = self.archive.planes_of(dominators)
        current = self.current[:, j, None]
        # A current design that is a member is among the dominators already.
        if relation == _CURRENT_DOMINATES and not (better == current).all(axis=0).any():
            better = np.concatenate([better, current], axis=1)
        amount = float(np.add.reduce(self._amounts(better, j))) / better.shape[1]
        if self.worsenings is not None:
            self.worsenings.append(amount)
        return draw < acceptance(amount, self.temperature, self.multiply)

    def _overtaken(self, j: int, dominators: int, draw: float) -> int:
        """Case 3a: to the member that dominates the proposal least, with probability `improvement`."""
        slots, better = self.archive.planes_of(dominators)
        amounts = self._amounts(better, j)
        nearest = int(amounts.argmin())
        return int(slots[nearest]) if draw < improvement(float(amounts[nearest])) else self.archive.slot(j)

    def _amounts(self, better: FloatArray, j: int) -> FloatArray:
        """Amounts by which designs of planes ``(n_obj + 1, k)`` dominate proposal ``j``, shape ``(k,)``."""
        proposal = self.proposals.planes[:, j]
        if math.isinf(proposal[-1]):
            return np.ones(better.shape[1])
        # Of an infeasible proposal the violation takes the place of the objectives.
        planes = slice(-1, None) if proposal[-1] > 0 else slice(None, -1)
        if self._pair_ranges is None:
            # Infinite values stand for what is not known, and widen no range.
            known = np.where(np.isinf(self.current), -np.inf, self.current)
            highest = np.maximum(self.proposals.planes, known)
            self._pair_ranges = np.minimum(self.proposals.planes, self.current), highest
        low, high = self.archive.ranges()
        pair_low, pair_high = self._pair_ranges
        ranges = np.maximum(high[planes], pair_high[planes, j]) - np.minimum(low[planes], pair_low[planes, j])
        return amount_of_domination(better[planes], proposal[planes], ranges, self.geometric)


def _relations(current: FloatArray, proposal: FloatArray) -> list[int]:
    """Relations of current designs and their proposals, both of shape ``(n_obj + 1, n)``; shape ``(n,)``."""
    not_worse, not_better = (current <= proposal).all(axis=0), (current >= proposal).all(axis=0)
    relation = np.where(not_worse, _CURRENT_DOMINATES, 0) + np.where(not_better, _PROPOSAL_DOMINATES, 0)
    relation[(proposal[-1] > 0) & (current[-1] == 0)] = _INFEASIBLE
    return list(relation.tolist())


@dataclass(frozen=True)
class Cooling:
    """Geometric cooling T_k = alpha^k T_max, its levels spread evenly over the steps."""

    t_max: float
    alpha: float
    n_levels: int
    n_steps: int  # at least 1

    def level(self, step: int) -> int:
        """Level, counted from 0, of the step after ``step`` others; the last one beyond the end."""
        return min(step * self.n_levels // self.n_steps, self.n_levels - 1)

    def temperature(self, level: int) -> float:
        """Temperature of a level, counted from 0."""
        return self.t_max * self.alpha**level


def count_levels(t_max: float, t_min: float, alpha: float) -> int:
    """Number of temperatures t_max, alpha t_max, alpha^2 t_max, ... that are not below t_min; at least one."""
    # The small surplus keeps a level that equals t_min but for rounding.
    return 1 + max(0, math.floor(math.log(t_min / t_max) / math.log(alpha) + 1e-9))


def termination_limit(termination: Termination | None, name: str) -> float:
    """Least ``n_max_evals`` or ``n_max_gen`` that a termination, or a criterion in it, sets; infinite without one."""
    limit = getattr(termination, name, None)
    nested = [termination_limit(criterion, name) for criterion in getattr(termination, "criteria", ())]
    return min([math.inf if limit is None else limit, *nested])


class UniformExchange(Crossover):  # type: ignore[misc]
    """Exchange each variable of two parents with a probability that is drawn anew for each pair."""

    def __init__(self) -> None:
        super().__init__(n_parents=2, n_offsprings=2, prob=1.0)

    def _do(
        self, problem: Problem, X: NDArray[Any], *args: Any, random_state: np.random.Generator, **kwargs: Any
    ) -> NDArray[Any]:
        mask = random_state.random(X.shape[1:]) < random_state.random((X.shape[1], 1))
        return np.where(mask, X[::-1], X)


class LaplaceMove(Mutation):  # type: ignore[misc]
    """Add a Laplace-distributed step to one real variable, clipped to its bounds.

    The move of the paper, with the mean absolute step ``scale`` as a share of the variable's range.
    """

    def __init__(self, scale: float = 0.1) -> None:
        super().__init__(prob=1.0)
        self.scale = scale

    def _do(
        self, problem: Problem, X: FloatArray, *args: Any, random_state: np.random.Generator, **kwargs: Any
    ) -> FloatArray:
        rows = np.arange(len(X))
        chosen = random_state.integers(problem.n_var, size=len(X))
        low, high = problem.xl[chosen], problem.xu[chosen]
        step = random_state.laplace(scale=self.scale, size=len(X)) * (high - low)
        moved = X.copy()
        moved[rows, chosen] = np.clip(X[rows, chosen] + step, low, high)
        return moved


class ResetMove(Mutation):  # type: ignore[misc]
    """Set one integer variable to a different value within its bounds, each value equally likely."""

    def __init__(self) -> None:
        super().__init__(prob=1.0)

    def _do(
        self, problem: Problem, X: IntArray, *args: Any, random_state: np.random.Generator, **kwargs: Any
    ) -> IntArray:
        low, n_values = problem.xl.astype(X.dtype), (problem.xu - problem.xl).astype(X.dtype) + 1
        free = np.flatnonzero(n_values > 1)
        if free.size == 0:
            return X.copy()
        rows = np.arange(len(X))
        chosen = free[random_state.integers(free.size, size=len(X))]
        step = 1 + (random_state.random(len(X)) * (n_values[chosen] - 1)).astype(X.dtype)
        moved = X.copy()
        moved[rows, chosen] = low[chosen] + (X[rows, chosen] - low[chosen] + step) % n_values[chosen]
        return moved
