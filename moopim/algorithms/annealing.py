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

from moopim.algorithms.archive import Archive
from moopim.typing import BoolArray, FloatArray, IntArray

# Relation of a current design and a proposal; the sum of 1 where the first is nowhere worse and 2 where it is nowhere
# better, and one more case.
_NEITHER, _CURRENT_DOMINATES, _PROPOSAL_DOMINATES, _EQUAL, _INFEASIBLE = range(5)
# Where a chain goes, if not to a member: it stays, or to its proposal.
STAY, PROPOSAL = -1, -2


def amount_of_domination(a: FloatArray, b: FloatArray, ranges: FloatArray, geometric: bool = False) -> FloatArray:
    """Amounts d(a, b) = prod |f_i(a) - f_i(b)| / R_i over the objectives that differ, 0 to 1.

    Of designs ``a`` over designs ``b`` with the ranges R_i over all designs concerned; arrays ``(n_obj, ...)`` that
    broadcast against each other. A tie is skipped: on discrete objectives it would otherwise make every product 0.
    ``geometric`` takes the n_obj-th root, so that the amount does not shrink with the number of objectives.
    """
    difference = np.abs(a - b)
    share = np.divide(difference, ranges, out=np.ones_like(difference), where=difference > 0)
    amount = np.asarray(np.multiply.reduce(share, axis=0))
    return amount ** (1 / len(difference)) if geometric else amount


def acceptance(amount: FloatArray, temperature: float, multiply: bool = False) -> FloatArray:
    """Probabilities of moves to dominated designs: 1 / (1 + exp(amount / temperature)), 0 to 1/2.

    ``multiply`` takes ``amount * temperature`` as the exponent, the inverse of annealing, as some derived codes do.
    """
    decay = np.exp(-amount * temperature if multiply else -amount / temperature)
    return np.asarray(decay / (1 + decay))


def improvement(amount: FloatArray) -> FloatArray:
    """Probabilities of moves to the member that dominates an improvement: 1 / (1 + exp(-amount)), from 1/2."""
    return np.asarray(1 / (1 + np.exp(-amount)))


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

    Equal objectives: to the proposal, which does not join. A feasible design never gives way to an infeasible one. All
    chains of a step are judged against the same archive.
    """

    archive: Archive
    current: FloatArray  # planes of the current designs, shape (n_obj + 1, n)
    proposals: FloatArray  # planes of their proposals, shape (n_obj + 1, n)
    temperature: float
    multiply: bool  # the exponent of `acceptance`
    geometric: bool  # the kind of `amount_of_domination`
    worsenings: list[float] | None  # collects the amounts of worsening moves during the burn-in

    def make(self, draws: FloatArray) -> tuple[IntArray, BoolArray, BoolArray]:
        """Decide by uniform numbers ``(n,)``.

        Returns where each chain goes (a member, `STAY` or `PROPOSAL`), which proposals join, both of shape ``(n,)``,
        and the members ``(members,)`` that those dominate.
        """
        not_worse, not_better = self.archive.compare(self.proposals)
        dominators = not_worse & ~not_better
        relation = _relations(self.current, self.proposals)
        overtaken = dominators.any(axis=1)
        targets = np.where(relation == _INFEASIBLE, STAY, PROPOSAL)
        worse = (relation == _CURRENT_DOMINATES) | (overtaken & (relation == _NEITHER))  # cases 1 and 2a
        if worse.any():
            rows = worse.nonzero()[0]
            targets[rows[~self._accepts_worse(rows, relation[rows], dominators[rows], draws[rows])]] = STAY
        improving = overtaken & (relation == _PROPOSAL_DOMINATES)  # case 3a
        if improving.any():
            rows = improving.nonzero()[0]
            amounts = np.where(dominators[rows], self._amounts(rows)[:, :-1], np.inf)
            goes = draws[rows] < improvement(amounts.min(axis=1))
            targets[rows[goes]] = amounts.argmin(axis=1)[goes]
        # Cases 2b, 2c, 3b and 3c.
        joins = ~overtaken & ((relation == _NEITHER) | (relation == _PROPOSAL_DOMINATES))
        joins &= ~(not_worse & not_better).any(axis=1)
        return targets, joins, (not_better & ~not_worse)[joins].any(axis=0)

    def _accepts_worse(self, rows: IntArray, relation: IntArray, dominators: BoolArray, draws: FloatArray) -> BoolArray:
        """Cases 1 and 2a: draw < p(mean d) over the members that dominate the proposal and the current design."""
        # Amounts lie between 0 and 1, so that draws below this need none.
        accepted = draws < acceptance(np.array(1.0), self.temperature, self.multiply)
        undecided = ~accepted & (draws < 0.5)  # noqa: PLR2004 (probability of amount 0)
        if self.worsenings is not None:
            undecided[:] = True
        if not undecided.any():
            return accepted
        rows, relation, dominators = rows[undecided], relation[undecided], dominators[undecided]
        # A current design that is a member is among the dominators already.
        member = (self.archive.planes[:, None, :] == self.current[:, rows, None]).all(axis=0)
        alone = (relation == _CURRENT_DOMINATES) & ~(dominators & member).any(axis=1)
        counted = np.column_stack([dominators, alone])
        amounts = np.where(counted, self._amounts(rows), 0.0).sum(axis=1) / counted.sum(axis=1)
        if self.worsenings is not None:
            self.worsenings.extend(amounts.tolist())
        accepted[undecided] = draws[undecided] < acceptance(amounts, self.temperature, self.multiply)
        return accepted

    def _amounts(self, rows: IntArray) -> FloatArray:
        """Amounts by which members, and last the current design, dominate proposals, shape ``(rows, members + 1)``."""
        current, proposals = self.current[:, rows], self.proposals[:, rows]
        members = self.archive.planes[:, None, :]
        low, high = (bound[:, None] for bound in self.archive.ranges())
        # Infinite values stand for what is not known, and widen no range.
        highest = np.maximum(np.where(np.isinf(current), -np.inf, current), high)
        with np.errstate(invalid="ignore"):  # of an infeasible proposal the objectives are infinite
            ranges = np.maximum(proposals, highest) - np.minimum(np.minimum(proposals, current), low)
        better = np.concatenate([np.broadcast_to(members, (*proposals.shape, members.shape[2])), current[..., None]], 2)
        amounts = np.ones(better.shape[1:])
        # Of an infeasible proposal the violation takes the place of the objectives.
        for feasible, planes in ((True, slice(None, -1)), (False, slice(-1, None))):
            here = (((proposals[-1] == 0) == feasible) & np.isfinite(proposals[-1])).nonzero()[0]
            if here.size:
                amounts[here] = amount_of_domination(
                    better[planes, here], proposals[planes, here, None], ranges[planes, here, None], self.geometric
                )
        return amounts


def _relations(current: FloatArray, proposal: FloatArray) -> IntArray:
    """Relations of current designs and their proposals, both of shape ``(n_obj + 1, n)``; shape ``(n,)``."""
    not_worse, not_better = (current <= proposal).all(axis=0), (current >= proposal).all(axis=0)
    relation = np.where(not_worse, _CURRENT_DOMINATES, 0) + np.where(not_better, _PROPOSAL_DOMINATES, 0)
    relation[(proposal[-1] > 0) & (current[-1] == 0)] = _INFEASIBLE
    return relation


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
