"""AMOSA: archived multi-objective simulated annealing, as a pymoo algorithm.

Source: S. Bandyopadhyay, S. Saha, U. Maulik, K. Deb, "A simulated annealing-based multiobjective optimization
algorithm: AMOSA", IEEE Transactions on Evolutionary Computation 12(3), 2008.
"""

import math
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pymoo.core.algorithm import Algorithm
from pymoo.core.crossover import Crossover
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

from moopim.algorithms.annealing import (
    PROPOSAL,
    Cooling,
    Decisions,
    LaplaceMove,
    ResetMove,
    UniformExchange,
    count_levels,
    termination_limit,
)
from moopim.algorithms.archive import Archive, Evaluated, dominates
from moopim.algorithms.truncation import TRUNCATIONS
from moopim.errors import ConfigError
from moopim.operators.duplicates import row_keys
from moopim.typing import FloatArray, IntArray

# The published number of steps per temperature, used where no evaluation budget is known.
_ITERATIONS = 500
# Proposals of the burn-in for ``t_max="auto"``.
_BURN_IN = 100
# Random members of which the one nearest to a current design becomes its mate.
_MATES = 5
# A proposal that was made before is drawn anew so many times, and then mutated again so many times.
_REDRAWS, _MORE_MOVES = 8, 50


@dataclass(slots=True)
class _State:
    """State of a run: all that its steps change."""

    archive: Archive
    rounds_left: int  # rounds of hill climbing
    initial: Evaluated | None = None  # designs that the hill climb improves; None once the chains have started
    X: NDArray[Any] = field(default_factory=lambda: np.empty((0, 0)))  # current designs, shape (chains, n_var)
    planes: FloatArray = field(default_factory=lambda: np.empty((0, 0)))  # of these, shape (n_obj + 1, chains)
    draws: FloatArray = field(default_factory=lambda: np.empty(0))  # uniform numbers, one per proposal of the step
    worsenings: list[float] | None = None  # amounts of domination met in the burn-in; None outside it
    cooling: Cooling | None = None  # None until the chains, or the burn-in, have set the first temperature
    step: int = 0  # steps of the chains since the cooling or the burn-in began
    level: int = -1
    temperature: float = math.inf
    proposed: set[bytes] = field(default_factory=set)  # hashes of all designs so far, where none is proposed twice

    def move_to_members(self, chains: IntArray, draws: FloatArray) -> None:
        """Move chains to random members of the archive, from uniform numbers of the same shape ``(n,)``."""
        self.move(chains, (draws * len(self.archive)).astype(np.int64))

    def move(self, chains: IntArray, members: IntArray) -> None:
        """Move chains to members of the archive, both of shape ``(n,)``."""
        self.X[chains], self.planes[:, chains] = self.archive.designs[members], self.archive.planes[:, members]


class AMOSA(Algorithm):  # type: ignore[misc]
    """Archived multi-objective simulated annealing (AMOSA).

    A current design is perturbed; whether it moves to the proposal depends on how the two, and an archive of mutually
    non-dominated designs, dominate each other, and on a temperature. The result is the archive. The defaults are the
    published algorithm; `recommended_amosa` makes the optimiser ``amosa``.

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
        growth: Exponent of the growth of the archive: after a share t of the budget both limits are those above times
            t^growth. With 0, and where no budget of evaluations is known, they stay as they are.
        least_limit: Least hard limit of an archive that grows, or twice the number of objectives if that is more.
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
        mutation: Move from current designs to proposals; ``None`` changes one variable: by a Laplace step, or for
            integers to a different value.
        mating: Probability that a proposal is bred before it is mutated: crossed with the nearest of five random
            members, by the sum of differences of the objectives over their ranges.
        crossover: Crossover of a current design, the first parent, and its mate, of which the first child is taken;
            ``None`` exchanges each variable with a probability that is drawn anew for each pair.
        repair: Applied to every new design.
        exponent: Exponent of the acceptance probability: the amount of domination ``"divide"``-d by the temperature, or
            ``"multiply"``, which some derived codes do and which reverses the annealing.
        amount: Amount of domination as the ``"product"`` over the objectives or its root, the ``"geometric"`` mean.
        truncation: Truncation of the archive: ``"linkage"``, ``"hypervolume"`` or ``"closest-pair"``.
        restart_prob: Probability that a chain jumps to a random member before it makes a proposal.
        repeats: Whether designs that were proposed before may be proposed again; otherwise they are drawn anew and, if
            that finds no new one, mutated again. Initial designs that are drawn twice count once.
        steps_per_iteration: Steps of all chains that one iteration of pymoo covers. With more than one they work on
            arrays, without an individual per design, several times as fast.
        n_max_evals: Evaluation budget; needed only where the termination sets none.
        output: pymoo's display.
        kwargs: Passed on to pymoo's ``Algorithm``.

    Raises:
        ConfigError: If a parameter has a value that is not allowed.
    """

    def __init__(
        self,
        hard_limit: int = 100,
        soft_limit: int = 200,
        growth: float = 0.0,
        least_limit: int = 10,
        t_max: float | Literal["auto"] = 200.0,
        t_min: float = 1e-7,
        alpha: float = 0.8,
        iterations: int | None = None,
        chains: int = 1,
        n_initial: int | None = None,
        hill_climb: int = 10,
        sampling: Sampling | Population | NDArray[Any] | None = None,
        mutation: Mutation | None = None,
        mating: float = 0.0,
        crossover: Crossover | None = None,
        repair: Repair | None = None,
        exponent: Literal["divide", "multiply"] = "divide",
        amount: Literal["product", "geometric"] = "product",
        truncation: Literal["linkage", "hypervolume", "closest-pair"] = "linkage",
        restart_prob: float = 0.0,
        repeats: bool = True,
        steps_per_iteration: int = 1,
        n_max_evals: int | None = None,
        output: Output | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(output=output or MultiObjectiveOutput(), **{"termination": NoTermination(), **kwargs})
        self.hard_limit = hard_limit
        self.soft_limit = soft_limit
        self.growth = growth
        self.least_limit = least_limit
        self.t_max = t_max
        self.t_min = t_min
        self.alpha = alpha
        self.iterations = iterations
        self.chains = chains
        self.n_initial = soft_limit if n_initial is None else n_initial
        self.hill_climb = hill_climb
        self.sampling = sampling
        self.mutation = mutation
        self.mating = mating
        self.crossover = crossover or UniformExchange()
        self.repair = repair or NoRepair()
        self.exponent = exponent
        self.amount = amount
        self.truncation = truncation
        self.restart_prob = restart_prob
        self.repeats = repeats
        self.steps_per_iteration = steps_per_iteration
        self.n_max_evals = n_max_evals
        self._check_parameters()

    def _check_parameters(self) -> None:
        allowed = {
            "hard_limit": (self.hard_limit >= 1, ">= 1"),
            "soft_limit": (self.soft_limit >= self.hard_limit, f">= hard_limit={self.hard_limit}"),
            "growth": (self.growth >= 0, ">= 0"),
            "least_limit": (self.least_limit >= 1, ">= 1"),
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
            "mating": (0 <= self.mating <= 1, "0 .. 1"),
            "restart_prob": (0 <= self.restart_prob <= 1, "0 .. 1"),
            "steps_per_iteration": (self.steps_per_iteration >= 1, ">= 1"),
            "n_max_evals": (self.n_max_evals is None or self.n_max_evals >= 1, "None or >= 1"),
        }
        for name, (valid, expected) in allowed.items():
            if not valid:
                raise ConfigError(f"{name}={getattr(self, name)!r} is not allowed; expected {expected}")

    # pymoo's interface ------------------------------------------------------------------------------------------------

    def _setup(self, problem: Problem, **kwargs: Any) -> None:
        integer = problem.vtype is not None and np.issubdtype(problem.vtype, np.integer)
        random = IntegerRandomSampling() if integer else FloatRandomSampling()
        self._initialization = Initialization(random if self.sampling is None else self.sampling, repair=self.repair)
        self._move = self.mutation or (ResetMove() if integer else LaplaceMove())
        self._budget = min(termination_limit(self.termination, "n_max_evals"), self.n_max_evals or math.inf)
        archive = Archive(self.hard_limit, self.soft_limit, TRUNCATIONS[self.truncation])
        self._state = _State(archive, self.hill_climb)

    def _initialize_infill(self) -> Population:
        pop = self._initialization.do(self.problem, self.n_initial, algorithm=self, random_state=self.random_state)
        if not self.repeats:
            first = {key: i for i, key in reversed([*enumerate(_hashes(pop.get("X")))])}
            pop = pop[sorted(first.values())]
        return pop[: self._cap(len(pop))]

    def _initialize_advance(self, infills: Population = None, **kwargs: Any) -> None:
        self._state.initial = Evaluated.from_population(infills)
        if not self.repeats:
            self._state.proposed.update(_hashes(self._state.initial.X))
        self._limit_archive()
        self._state.archive.restart(self._state.initial)
        if self._state.rounds_left == 0:
            self._start_chains()
        self._terminate_if_done()

    def _infill(self) -> Population | None:
        return Population.new("X", self._propose()) if self.steps_per_iteration == 1 else None

    def _advance(self, infills: Population | None = None, **kwargs: Any) -> None:
        if infills is not None:
            self._judge(Evaluated.from_population(infills))
        else:
            for _ in range(self.steps_per_iteration):
                self._judge(self._evaluate(self._propose()))
                if self._done():
                    break
        self._terminate_if_done()

    def _set_optimum(self) -> None:
        self.opt = self.pop = self._state.archive.population(n_gen=self.n_iter, n_iter=self.n_iter)

    def _finalize(self) -> None:
        self._state.archive.shrink(self.hard_limit)
        self._set_optimum()

    def _terminate_if_done(self) -> None:
        if self._done():
            self.termination.terminate()

    def _done(self) -> bool:
        cooling = self._state.cooling
        return (cooling is not None and self._state.step >= cooling.n_steps) or self._remaining() <= 0

    def _remaining(self) -> float:
        return self._budget - float(self.evaluator.n_eval)

    def _cap(self, n: int) -> int:
        return int(min(n, self._remaining()))

    # A step: propose, evaluate, judge ---------------------------------------------------------------------------------

    def _propose(self) -> NDArray[Any]:
        """Designs to be evaluated in the next step, shape ``(n, n_var)``."""
        state = self._state
        if state.initial is not None:
            return self._perturb(state.initial.X[: self._cap(len(state.initial.X))])
        self._enter_level()
        n = self._cap(self.chains)
        if self.restart_prob > 0:
            jumping = np.flatnonzero(self.random_state.random(n) < self.restart_prob)
            state.move_to_members(jumping, self.random_state.random(n)[jumping])
        # One draw per proposal, needed or not, so that the stream does not depend on the outcomes.
        state.draws = self.random_state.random(n)
        proposals = self._bred(np.arange(n))
        if self.repeats:
            return proposals
        repeated = self._known(proposals)
        for i in range(_REDRAWS + _MORE_MOVES):
            if not repeated.size:
                break
            proposals[repeated] = self._bred(repeated) if i < _REDRAWS else self._perturb(proposals[repeated])
            repeated = repeated[self._known(proposals[repeated])]
        return proposals

    def _known(self, proposals: NDArray[Any]) -> IntArray:
        """Indices of the proposals that were made before; notes the others."""
        proposed = self._state.proposed
        known = []
        for i, key in enumerate(_hashes(proposals)):
            if key in proposed:
                known.append(i)
            proposed.add(key)
        return np.array(known, dtype=np.int64)

    def _bred(self, chains: IntArray) -> NDArray[Any]:
        """Proposals of some chains, shape ``(chains, n_var)``."""
        X, planes, rng = self._state.X[chains], self._state.planes[:, chains], self.random_state
        if self.mating > 0:
            mated = np.flatnonzero(rng.random(len(X)) < self.mating)
            parents = np.stack([X[mated], self._mates(planes[:, mated])])
            X[mated] = self.crossover._do(self.problem, parents, random_state=rng)[0]
        return self._perturb(X)

    def _perturb(self, X: NDArray[Any]) -> NDArray[Any]:
        """Neighbours of designs by mutation and repair, shape ``(n, n_var)``."""
        rng, move = self.random_state, self._move
        proposals = move._do(self.problem, X.copy(), random_state=rng)
        prob = get(move.prob, size=len(X))
        if np.any(prob < 1):
            unchanged = rng.random(len(X)) > prob
            proposals[unchanged] = X[unchanged]
        proposals = _as_type(proposals, move)
        for repair in (move.repair, self.repair):
            if repair is not None:
                proposals = repair._do(self.problem, _as_type(proposals, repair), random_state=rng)
        if proposals.dtype != X.dtype and not np.can_cast(proposals.dtype, X.dtype, "same_kind"):
            raise ConfigError(
                f"{move.name} turned variables of type {X.dtype} into {proposals.dtype}; "
                "expected a mutation for this type, or a repair that rounds"
            )
        return proposals.astype(X.dtype, copy=False)

    def _mates(self, planes: FloatArray) -> NDArray[Any]:
        """For each design, by its planes ``(n_obj + 1, n)``, the nearest of random members, shape ``(n, n_var)``."""
        archive = self._state.archive
        slots = self.random_state.integers(0, len(archive), size=(_MATES, planes.shape[1]))
        low, high = archive.ranges()
        # A single infeasible member has no range, and infinite objectives.
        with np.errstate(invalid="ignore"):
            span = np.where(high > low, high - low, 1.0)[:, None, None]
            distance = (np.abs(archive.planes[:, slots] - planes[:, None, :]) / span).sum(axis=0)
        # A design is not its own mate.
        distance[(distance == 0) | np.isnan(distance)] = np.inf
        nearest = slots[distance.argmin(axis=0), np.arange(planes.shape[1])]
        return np.asarray(archive.designs[nearest])

    def _evaluate(self, X: NDArray[Any]) -> Evaluated:
        evaluator = self.evaluator
        if type(evaluator) is not Evaluator or evaluator.callback is not None:
            return Evaluated.from_population(evaluator.eval(self.problem, Population.new("X", X), algorithm=self))
        names = evaluator.evaluate_values_of
        output = self.problem.evaluate(X, return_values_of=names, return_as_dictionary=True, algorithm=self)
        evaluator.n_eval += len(X)
        return Evaluated.from_output(X, output)

    def _judge(self, proposals: Evaluated) -> None:
        """Move the chains (or the initial designs) to what was evaluated for them, or not."""
        state, n = self._state, len(proposals.X)
        if state.initial is not None:
            self._climb(state.initial, proposals)
            return
        self._limit_archive()
        if n != len(state.draws):
            raise ConfigError(f"got {n} evaluated designs; expected the {len(state.draws)} that were asked for")
        decisions = Decisions(
            state.archive,
            state.planes[:, :n],
            proposals.planes,
            state.temperature,
            multiply=self.exponent == "multiply",
            geometric=self.amount == "geometric",
            worsenings=state.worsenings,
        )
        targets, joins, dominated = decisions.make(state.draws)
        accepted, overtaken = (targets == PROPOSAL).nonzero()[0], (targets >= 0).nonzero()[0]
        state.X[accepted], state.planes[:, accepted] = proposals.X[accepted], proposals.planes[:, accepted]
        state.move(overtaken, targets[overtaken])
        state.archive.add(proposals, joins.nonzero()[0], dominated)
        self._count_step()

    def _limit_archive(self) -> None:
        """Let the limits of the archive grow with the share of the budget that is spent."""
        share = min(1.0, float(self.evaluator.n_eval) / self._budget) if math.isfinite(self._budget) else 1.0
        least = min(max(self.least_limit, 2 * self.problem.n_obj), self.hard_limit)
        hard = max(least, round(self.hard_limit * share**self.growth))
        archive = self._state.archive
        archive.hard_limit, archive.soft_limit = hard, max(hard, round(self.soft_limit * hard / self.hard_limit))

    def _climb(self, initial: Evaluated, proposals: Evaluated) -> None:
        """One round of hill climbing: an initial design is replaced by a neighbour that dominates it."""
        better = np.flatnonzero(dominates(proposals.planes, initial.planes[:, : len(proposals.X)]))
        initial.replace(better, proposals)
        self._state.archive.restart(initial)
        self._state.rounds_left -= 1
        if self._state.rounds_left == 0:
            self._start_chains()

    # Temperatures -----------------------------------------------------------------------------------------------------

    def _start_chains(self) -> None:
        state = self._state
        X, planes = state.archive.designs, state.archive.planes
        state.initial = None
        state.X = np.empty((self.chains, *X.shape[1:]), dtype=X.dtype)
        state.planes = np.empty((len(planes), self.chains))
        state.move_to_members(np.arange(self.chains), self.random_state.random(self.chains))
        if self.t_max == "auto":
            state.worsenings = []
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
        self._state.cooling = Cooling(t_max, self.alpha, n_levels, max(1, n_steps))
        self._state.step = 0

    def _enter_level(self) -> None:
        """Lower the temperature when its time has come."""
        state = self._state
        if state.cooling is not None:
            state.level = state.cooling.level(state.step)
            state.temperature = state.cooling.temperature(state.level)

    def _count_step(self) -> None:
        """Count a step; after the burn-in the first temperature makes its mean worsening as likely as one in three."""
        state = self._state
        state.step += 1
        if state.worsenings is not None and state.step * self.chains >= _BURN_IN:
            amounts = state.worsenings or [self.t_min]
            state.worsenings = None
            self._start_cooling(max(self.t_min, float(np.mean(amounts)) / math.log(2)))


def _as_type(X: NDArray[Any], operator: Operator) -> NDArray[Any]:
    return X if operator.vtype is None else X.astype(operator.vtype)


def _hashes(X: NDArray[Any]) -> list[bytes]:
    """64-bit hash of each row."""
    return [blake2b(key, digest_size=8).digest() for key in row_keys(X)]


def recommended_amosa(evaluations: int, **overrides: Any) -> AMOSA:
    """AMOSA for many objectives and discrete variables, set up for a budget of evaluations.

    An archive that grows with the square of the budget spent, truncated by hypervolume; chains that jump to a member
    before four of five proposals and mate with members near them; a fifth of the budget, at most 200, for random
    initial designs; no design is proposed twice.

    Args:
        evaluations: Evaluation budget.
        overrides: Parameters of `AMOSA` to be set differently.

    Returns:
        The algorithm.
    """
    settings = {
        "growth": 2.0,
        "chains": max(8, min(64, evaluations // 250)),
        "n_initial": max(1, min(200, evaluations // 5)),
        "hill_climb": 0,
        "mating": 0.8,
        "truncation": "hypervolume",
        "restart_prob": 0.8,
        "repeats": False,
    }
    return AMOSA(**{**settings, "steps_per_iteration": 20, **overrides})
