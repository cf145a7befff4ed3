"""AMOSA: archived multi-objective simulated annealing, as a pymoo algorithm.

Source: S. Bandyopadhyay, S. Saha, U. Maulik, K. Deb, "A simulated annealing-based multiobjective optimization
algorithm: AMOSA", IEEE Transactions on Evolutionary Computation 12(3), 2008.
"""

import inspect
import math
import warnings
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pymoo.core.algorithm import Algorithm
from pymoo.core.evaluator import Evaluator
from pymoo.core.initialization import Initialization
from pymoo.core.mutation import Mutation
from pymoo.core.operator import Operator
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.repair import NoRepair, Repair
from pymoo.core.sampling import Sampling
from pymoo.core.termination import NoTermination
from pymoo.core.variable import get
from pymoo.operators.sampling.rnd import FloatRandomSampling, IntegerRandomSampling
from pymoo.util.display.multi import MultiObjectiveOutput
from pymoo.util.display.output import Output

from moopim.algorithms._annealing import (
    Cooling,
    acceptance,
    amount_of_domination,
    count_levels,
    improvement,
    termination_limit,
)
from moopim.algorithms._archive import Archive
from moopim.algorithms._batch import Batch, dominates
from moopim.algorithms._moves import LaplaceMove, ResetMove
from moopim.algorithms.truncation import TRUNCATIONS
from moopim.messages import count
from moopim.typing import FloatArray, IntArray

__all__ = ["AMOSA", "mapping_preset"]


# How a current design and a proposal relate; the sum of 1 where the first is nowhere worse and 2 where it is nowhere
# better, and one more case.
_NEITHER, _CURRENT_DOMINATES, _PROPOSAL_DOMINATES, _EQUAL, _INFEASIBLE = range(5)
_STAY = -1
# The published number of steps per temperature, used where no evaluation budget is known.
_ITERATIONS = 500
# Fewer steps than this leave a chain two at each of the usual 96 temperatures.
_FEW_STEPS = 200
# Proposals of the burn-in for ``t_max="auto"``.
_BURN_IN = 100


class AMOSA(Algorithm):  # type: ignore[misc]
    """Archived multi-objective simulated annealing (AMOSA).

    A current design is perturbed; whether it moves to the proposal depends on how the two, and an archive of mutually
    non-dominated designs, dominate each other, and on a temperature. The result is the archive. The defaults are the
    published algorithm; for several chains, hypervolume truncation and jumps see `mapping_preset`.

    Constraints are handled by constraint domination: feasible before infeasible, then the smaller violation. A feasible
    current design never moves to an infeasible one. While nothing feasible is known the archive holds the least
    violating design. Between two infeasible designs the violation takes the place of the objectives.

    The levels of temperature are spread over the evaluation budget, which is read from ``("n_eval", N)`` (or
    ``("n_gen", N)``) or given as `n_max_evals`; that budget is never exceeded. With `iterations`, and where no budget
    is known, each level takes a fixed number of steps, and the run ends when it has cooled down.

    Every truncation keeps a member with the least value of each objective, so that these extremes are never lost; a
    `hard_limit` of fewer members than that leaves the choice to the rule of truncation alone.

    Ask and tell need ``steps_per_iteration=1``. A seed gives the same evaluations for any `steps_per_iteration`.

    Args:
        hard_limit: Greatest number of designs returned, and left by a truncation of the archive.
        soft_limit: Size of the archive above which it is truncated.
        t_max: First temperature; ``"auto"`` takes the mean amount by which the worsening moves of a short burn-in are
            dominated, over ln 2.
        t_min: Least temperature.
        alpha: Ratio of successive temperatures.
        iterations: Steps at each temperature; ``None`` spreads the temperatures over the budget.
        chains: Number of current designs that share the archive; their proposals are evaluated together and judged one
            after the other. One chain is the published algorithm.
        n_initial: Number of random initial designs; ``None`` takes `soft_limit`.
        hill_climb: Proposals by which each initial design is improved: one that dominates it replaces it.
        sampling: Initial designs; ``None`` takes pymoo's random sampling for real or integer variables.
        mutation: Makes the proposals; ``None`` changes one variable: by a Laplace step, or for integers to a different
            value. A mutation whose ``_do`` has a parameter ``archive`` is given the variables of the members there.
        repair: Applied to every new design.
        exponent: Exponent of the acceptance probability: the amount of domination ``"divide"``-d by the temperature, or
            ``"multiply"``, which some derived codes do and which reverses the annealing.
        amount: Amount of domination as the ``"product"`` over the objectives or its root, the ``"geometric"`` mean.
        truncation: Truncation of the archive: ``"linkage"``, ``"hypervolume"`` or ``"closest-pair"``.
        restart_prob: Probability that a chain jumps to a random member before it makes a proposal.
        reseed: Whether, of several chains, those that a member dominates move to a random member at each new level.
        steps_per_iteration: Steps of all chains that one iteration of pymoo covers. With more than one they work on
            arrays, without an individual per design, several times as fast.
        n_max_evals: Evaluation budget; needed only where the termination does not tell.
        output: What is displayed.
        kwargs: Passed on to pymoo's ``Algorithm``.

    Raises:
        ValueError: If a parameter has a value that is not allowed.
    """

    def __init__(
        self,
        hard_limit: int = 100,
        soft_limit: int = 200,
        t_max: float | Literal["auto"] = 200.0,
        t_min: float = 1e-7,
        alpha: float = 0.8,
        iterations: int | None = None,
        chains: int = 1,
        n_initial: int | None = None,
        hill_climb: int = 10,
        sampling: Sampling | Population | NDArray[Any] | None = None,
        mutation: Mutation | None = None,
        repair: Repair | None = None,
        exponent: Literal["divide", "multiply"] = "divide",
        amount: Literal["product", "geometric"] = "product",
        truncation: Literal["linkage", "hypervolume", "closest-pair"] = "linkage",
        restart_prob: float = 0.0,
        reseed: bool = True,
        steps_per_iteration: int = 1,
        n_max_evals: int | None = None,
        output: Output | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(output=output or MultiObjectiveOutput(), **{"termination": NoTermination(), **kwargs})
        self.hard_limit = hard_limit
        self.soft_limit = soft_limit
        self.t_max = t_max
        self.t_min = t_min
        self.alpha = alpha
        self.iterations = iterations
        self.chains = chains
        self.n_initial = soft_limit if n_initial is None else n_initial
        self.hill_climb = hill_climb
        self.sampling = sampling
        self.mutation = mutation
        self.repair = repair or NoRepair()
        self.exponent = exponent
        self.amount = amount
        self.truncation = truncation
        self.restart_prob = restart_prob
        self.reseed = reseed
        self.steps_per_iteration = steps_per_iteration
        self.n_max_evals = n_max_evals
        self._check_parameters()

    def _check_parameters(self) -> None:
        allowed = {
            "hard_limit": (self.hard_limit >= 1, ">= 1"),
            "soft_limit": (self.soft_limit >= self.hard_limit, f">= hard_limit={self.hard_limit}"),
            "t_max": (self.t_max == "auto" or self.t_max > 0, "'auto' or > 0"),
            "t_min": (self.t_min > 0 and (self.t_max == "auto" or self.t_min <= self.t_max), "> 0 and <= t_max"),
            "alpha": (0 < self.alpha < 1, "between 0 and 1"),
            "iterations": (self.iterations is None or self.iterations >= 1, "None or >= 1"),
            "chains": (self.chains >= 1, ">= 1"),
            "n_initial": (self.n_initial >= 1, ">= 1"),
            "hill_climb": (self.hill_climb >= 0, ">= 0"),
            "exponent": (self.exponent in ("divide", "multiply"), "'divide' or 'multiply'"),
            "amount": (self.amount in ("product", "geometric"), "'product' or 'geometric'"),
            "truncation": (self.truncation in TRUNCATIONS, f"one of {', '.join(map(repr, TRUNCATIONS))}"),
            "restart_prob": (0 <= self.restart_prob <= 1, "0 .. 1"),
            "steps_per_iteration": (self.steps_per_iteration >= 1, ">= 1"),
            "n_max_evals": (self.n_max_evals is None or self.n_max_evals >= 1, "None or >= 1"),
        }
        for name, (valid, expected) in allowed.items():
            if not valid:
                raise ValueError(f"{name}={getattr(self, name)!r} is not allowed; expected {expected}")

    # pymoo's interface ------------------------------------------------------------------------------------------------

    def _setup(self, problem: Problem, **kwargs: Any) -> None:
        integer = problem.vtype is not None and np.issubdtype(problem.vtype, np.integer)
        sampling = (
            (IntegerRandomSampling() if integer else FloatRandomSampling()) if self.sampling is None else self.sampling
        )
        self._initialization = Initialization(sampling, repair=self.repair)
        self._move = self.mutation or (ResetMove() if integer else LaplaceMove())
        self._wants_archive = "archive" in inspect.signature(self._move._do).parameters
        self._budget = min(termination_limit(self.termination, "n_max_evals"), self.n_max_evals or math.inf)
        self._warn_if_short()
        self._archive = Archive(self.hard_limit, self.soft_limit, self.chains, TRUNCATIONS[self.truncation])
        self._cooling: Cooling | None = None
        self._rounds_left = self.hill_climb
        self._burn_in: list[float] | None = None

    def _warn_if_short(self) -> None:
        steps = (self._budget - self.n_initial * (1 + self.hill_climb)) / self.chains
        if steps < _FEW_STEPS:
            start = self.n_initial * (1 + self.hill_climb)
            left = f"{count(self.chains, 'chain')} {count(max(0, int(steps)), 'step')} after the {start} of the start"
            text = f"{self._budget} evaluations leave each of {left}; at least {_FEW_STEPS} are advisable"
            warnings.warn(text, stacklevel=5)

    def _initialize_infill(self) -> Population:
        pop = self._initialization.do(self.problem, self.n_initial, algorithm=self, random_state=self.random_state)
        return pop[: int(min(len(pop), self._remaining()))]

    def _initialize_advance(self, infills: Population = None, **kwargs: Any) -> None:
        self._designs = Batch.from_population(infills)
        self._archive.restart(self._designs)
        if self._rounds_left == 0:
            self._start_chains()
        self._terminate_if_done()

    def _infill(self) -> Population | None:
        return Population.new("X", self._propose()) if self.steps_per_iteration == 1 else None

    def _advance(self, infills: Population | None = None, **kwargs: Any) -> None:
        if infills is not None:
            self._judge(Batch.from_population(infills))
        else:
            for _ in range(self.steps_per_iteration):
                self._judge(self._evaluate(self._propose()))
                if self._done():
                    break
        self._terminate_if_done()

    def _set_optimum(self) -> None:
        self.opt = self.pop = self._archive.population(n_gen=self.n_iter, n_iter=self.n_iter)

    def _finalize(self) -> None:
        self._archive.shrink()
        self._set_optimum()

    def _terminate_if_done(self) -> None:
        if self._done():
            self.termination.terminate()

    def _done(self) -> bool:
        cooled = self._cooling is not None and self._step >= self._cooling.n_steps
        return cooled or self._remaining() <= 0

    def _remaining(self) -> float:
        return self._budget - float(self.evaluator.n_eval)

    # Steps ------------------------------------------------------------------------------------------------------------

    def _propose(self) -> NDArray[Any]:
        """The designs to be evaluated in the next step, shape ``(n, n_var)``."""
        if self._rounds_left:
            return self._perturb(self._designs.X[: self._cap(len(self._designs.X))].copy())
        self._enter_level()
        n = self._cap(self.chains)
        if self.restart_prob > 0:
            jumping = np.flatnonzero(self.random_state.random(n) < self.restart_prob)
            self._move_to_members(jumping, self.random_state.random(n)[jumping])
        # One draw per proposal, needed or not, so that the stream does not depend on the outcomes.
        self._draws = self.random_state.random(n)
        return self._perturb(self._X[:n].copy())

    def _cap(self, n: int) -> int:
        return int(min(n, self._remaining()))

    def _perturb(self, X: NDArray[Any]) -> NDArray[Any]:
        rng, move = self.random_state, self._move
        extra = {"archive": self._archive.designs} if self._wants_archive else {}
        proposals = move._do(self.problem, X.copy(), random_state=rng, **extra)
        prob = get(move.prob, size=len(X))
        if np.any(prob < 1):
            unchanged = rng.random(len(X)) > prob
            proposals[unchanged] = X[unchanged]
        proposals = _as_type(proposals, move)
        for repair in (move.repair, self.repair):
            if repair is not None:
                proposals = repair._do(self.problem, _as_type(proposals, repair), random_state=rng)
        if proposals.dtype != X.dtype and not np.can_cast(proposals.dtype, X.dtype, "same_kind"):
            raise ValueError(
                f"{move.name} turned variables of type {X.dtype} into {proposals.dtype}; "
                "expected a mutation for this type, or a repair that rounds"
            )
        return proposals.astype(X.dtype, copy=False)

    def _evaluate(self, X: NDArray[Any]) -> Batch:
        evaluator = self.evaluator
        if type(evaluator) is not Evaluator or evaluator.callback is not None:
            return Batch.from_population(evaluator.eval(self.problem, Population.new("X", X), algorithm=self))
        names = evaluator.evaluate_values_of
        output = self.problem.evaluate(X, return_values_of=names, return_as_dictionary=True, algorithm=self)
        evaluator.n_eval += len(X)
        return Batch.from_output(X, output)

    def _judge(self, batch: Batch) -> None:
        """Lets the chains (or the initial designs) move to what was evaluated for them, or not."""
        if self._rounds_left:
            self._climb(batch)
            return
        n = len(batch.X)
        if n != len(self._draws):
            raise ValueError(f"got {n} evaluated designs; expected the {len(self._draws)} that were asked for")
        self._batch = batch
        self._pair_ranges: tuple[FloatArray, FloatArray] | None = None
        self._archive.stage(batch)
        relations = _relations(self._planes[:, :n], batch.planes)
        slots = np.array(
            [self._decide(j, *case) for j, case in enumerate(zip(relations, self._draws.tolist(), strict=True))]
        )
        moved = np.flatnonzero(slots != _STAY)
        self._X[moved], self._planes[:, moved] = self._archive.designs_at(slots[moved])
        self._archive.settle()
        self._count_step()

    def _climb(self, batch: Batch) -> None:
        """One round of hill climbing: an initial design is replaced by a neighbour that dominates it."""
        designs = self._designs
        better = np.flatnonzero(dominates(batch.planes, designs.planes[:, : len(batch.X)]))
        designs.replace(better, batch)
        self._archive.restart(designs)
        self._rounds_left -= 1
        if self._rounds_left == 0:
            self._start_chains()

    # Levels -----------------------------------------------------------------------------------------------------------

    def _start_chains(self) -> None:
        X, planes = self._archive.designs, self._archive.planes
        self._X = np.empty((self.chains, *X.shape[1:]), dtype=X.dtype)
        self._planes = np.empty((len(planes), self.chains))
        self._move_to_members(np.arange(self.chains), self.random_state.random(self.chains))
        self._step, self._level = 0, -1
        if self.t_max == "auto":
            self._burn_in = []
            self._temperature = math.inf
            self._sure = self._acceptance(1.0)
        else:
            self._start_cooling(self.t_max)

    def _start_cooling(self, t_max: float) -> None:
        n_levels = count_levels(t_max, self.t_min, self.alpha)
        n_gen = termination_limit(self.termination, "n_max_gen")
        if self.iterations is not None:
            n_steps = n_levels * self.iterations
        elif math.isfinite(self._budget):
            n_steps = math.ceil(self._remaining() / self.chains)
        elif math.isfinite(n_gen):
            n_steps = int(n_gen - self.n_iter + 1) * self.steps_per_iteration
        else:
            n_steps = n_levels * _ITERATIONS
        self._cooling = Cooling(t_max, self.alpha, n_levels, max(1, n_steps))
        self._step = 0

    def _enter_level(self) -> None:
        """Lowers the temperature when its time has come; chains that a member dominates then start anew."""
        if self._cooling is None or (level := self._cooling.level(self._step)) == self._level:
            return
        self._level = level
        self._temperature = self._cooling.temperature(level)
        self._sure = self._acceptance(1.0)
        if self.reseed and self.chains > 1:
            draws = self.random_state.random(self.chains)
            dominated = np.flatnonzero(self._archive.is_dominated(self._planes))
            self._move_to_members(dominated, draws[dominated])

    def _count_step(self) -> None:
        self._step += 1
        if self._burn_in is not None and self._step * self.chains >= _BURN_IN:
            amounts = self._burn_in or [self.t_min]
            self._burn_in = None
            self._start_cooling(max(self.t_min, float(np.mean(amounts)) / math.log(2)))

    def _move_to_members(self, chains: IntArray, draws: FloatArray) -> None:
        members = (draws * len(self._archive)).astype(np.int64)
        self._X[chains], self._planes[:, chains] = self._archive.designs_at(members)

    # Acceptance -------------------------------------------------------------------------------------------------------

    def _decide(self, j: int, relation: int, draw: float) -> int:
        """Where the chain goes from proposal ``j``: the slot of the proposal, of a member, or `_STAY`.

        Args:
            j: Proposal.
            relation: How the current design and the proposal relate.
            draw: Uniform random number.
        """
        archive = self._archive
        if relation == _EQUAL:
            return archive.slot(j)
        if relation == _INFEASIBLE:
            return _STAY
        dominators = archive.dominators(j)
        if relation == _CURRENT_DOMINATES or (dominators and relation == _NEITHER):
            return archive.slot(j) if self._accepts_worse(j, relation, dominators, draw) else _STAY
        if dominators:
            return self._overtake(j, dominators, draw)
        if not archive.has_equal(j):
            archive.insert(j)
        return archive.slot(j)

    def _accepts_worse(self, j: int, relation: int, dominators: int, draw: float) -> bool:
        """Cases 1 and 2(a): the mean amount by which the proposal is dominated decides."""
        # Amounts lie between 0 and 1, which settles most draws without computing one.
        if self._burn_in is None and (draw >= 0.5 or draw < self._sure):  # noqa: PLR2004 (probability of amount 0)
            return draw < self._sure
        _, better = self._archive.planes_of(dominators)
        current = self._planes[:, j, None]
        # A current design that is a member is among the dominators already.
        if relation == _CURRENT_DOMINATES and not (better == current).all(axis=0).any():
            better = np.concatenate([better, current], axis=1)
        amount = float(np.add.reduce(self._amounts(better, j))) / better.shape[1]
        if self._burn_in is not None:
            self._burn_in.append(amount)
        return draw < self._acceptance(amount)

    def _overtake(self, j: int, dominators: int, draw: float) -> int:
        """Case 3(a): the proposal is better than the current design, but a member is better still."""
        slots, better = self._archive.planes_of(dominators)
        amounts = self._amounts(better, j)
        nearest = int(amounts.argmin())
        return int(slots[nearest]) if draw < improvement(float(amounts[nearest])) else self._archive.slot(j)

    def _acceptance(self, amount: float) -> float:
        return acceptance(amount, self._temperature, self.exponent == "multiply")

    def _amounts(self, better: FloatArray, j: int) -> FloatArray:
        """Amounts by which designs dominate proposal ``j``, shape ``(k,)``.

        Args:
            better: Objectives and violation, shape ``(n_obj + 1, k)``.
            j: Proposal.
        """
        proposal = self._batch.planes[:, j]
        if math.isinf(proposal[-1]):
            return np.ones(better.shape[1])
        planes = slice(-1, None) if proposal[-1] > 0 else slice(None, -1)
        if self._pair_ranges is None:
            current = self._planes[:, : len(self._draws)]
            # Infinite values stand for what is not known, and widen no range.
            highest = np.maximum(self._batch.planes, np.where(np.isinf(current), -np.inf, current))
            self._pair_ranges = np.minimum(self._batch.planes, current), highest
        low, high = self._archive.ranges()
        pair_low, pair_high = self._pair_ranges
        ranges = np.maximum(high[planes], pair_high[planes, j]) - np.minimum(low[planes], pair_low[planes, j])
        return amount_of_domination(better[planes], proposal[planes], ranges, self.amount == "geometric")


def _as_type(X: NDArray[Any], operator: Operator) -> NDArray[Any]:
    return X if operator.vtype is None else X.astype(operator.vtype)


def _relations(current: FloatArray, proposal: FloatArray) -> list[int]:
    """How current designs and their proposals relate, shape ``(n,)``; both of shape ``(n_obj + 1, n)``."""
    not_worse, not_better = (current <= proposal).all(axis=0), (current >= proposal).all(axis=0)
    relation = np.where(not_worse, _CURRENT_DOMINATES, 0) + np.where(not_better, _PROPOSAL_DOMINATES, 0)
    relation[(proposal[-1] > 0) & (current[-1] == 0)] = _INFEASIBLE
    return list(relation.tolist())


def mapping_preset(**overrides: Any) -> AMOSA:
    """AMOSA for many objectives and discrete variables, where nearly every proposal is non-dominated.

    There the truncation of the archive is almost the only selection, so it goes by hypervolume; 16 chains jump to a
    random member before every other proposal; no evaluations are spent on hill climbing. Most feasible proposals are
    then accepted unconditionally: this is close to an archive-based (mu + 1) search.

    Args:
        overrides: Parameters of `AMOSA` to be set differently.

    Returns:
        The algorithm.
    """
    settings = {"chains": 16, "n_initial": 200, "hill_climb": 0, "truncation": "hypervolume", "restart_prob": 0.5}
    return AMOSA(**{**settings, "steps_per_iteration": 20, **overrides})
