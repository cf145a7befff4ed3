"""Screening: of many proposals of an optimiser, a surrogate chooses those that are evaluated.

Before each generation a copy of the optimiser runs ahead on the surrogate. Of all designs that it proposes, those that
promise to add the most hypervolume take the places of the optimiser's own proposals; it then goes on with their values.
After GPSAF (Blank and Deb, "GPSAF: a generalized probabilistic surrogate-assisted framework", arXiv 2204.04054, 2022).
"""

import copy
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pymoo.core.algorithm import Algorithm, LoopwiseAlgorithm
from pymoo.core.callback import Callback
from pymoo.core.evaluator import Evaluator
from pymoo.core.population import Population
from pymoo.termination.max_eval import MaximumFunctionCallTermination
from pymoo.util.display.display import Display
from scipy.spatial.distance import cdist

from moopim.algorithms.surrogate import MODELS, LogScale, Predictions, Surrogate, need_scikit_learn, rank_correlations
from moopim.errors import ConfigError
from moopim.messages import count
from moopim.operators.duplicates import row_keys
from moopim.pareto import REFERENCE, non_dominated
from moopim.pareto.volumes import N_SAMPLES, SampledBoxes
from moopim.problem import DesignProblem
from moopim.randomness import controlled_randomness
from moopim.typing import FloatArray, IntArray, WordArray
from moopim.user_code import reason

BATCH = 10
"""Largest number of designs of a generation, where the optimiser lets it be chosen."""

LEAST = 50
"""Number of designs that a surrogate learns from at least."""

# Largest number of designs of the first generation, a fifth of the budget.
_START = 200
# Designs learned at most, the last ones; proposals of the copy that runs ahead.
_MOST = 2_000
_AHEAD = 600
# The surrogate is made anew once there are so many more designs.
_GROWTH = 1.05
# Held-out designs, the last ones, that say whether screening is of use, and the least mean rank correlation if it is.
_WINDOW = 60
_USEFUL = 0.3


@dataclass(slots=True)
class Generation:
    """Screening of one generation.

    Attributes:
        evaluations: Number of designs evaluated before it.
        learned: Number of designs that the surrogate had learned.
        screened: Whether the surrogate chose the designs.
        correlations: Rank correlation of each objective on the last held-out designs, shape ``(n_obj,)``.
    """

    evaluations: int
    learned: int
    screened: bool
    correlations: FloatArray


@dataclass(slots=True)
class _Evaluated:
    """Evaluated designs in order."""

    X: IntArray
    F: FloatArray
    violation: FloatArray
    keys: set[bytes] = field(default_factory=set)

    def add(self, X: IntArray, F: FloatArray, violation: FloatArray, keys: list[bytes]) -> list[int]:
        """Append the designs that are new; their indices."""
        new = [i for i, key in enumerate(keys) if key not in self.keys and key not in keys[:i]]
        self.X = np.concatenate([self.X, X[new]])
        self.F = np.concatenate([self.F, F[new]])
        self.violation = np.concatenate([self.violation, violation[new]])
        self.keys.update(keys)
        return new


class Screen:
    """Screening of the generations of one run.

    Every batch is predicted before it is evaluated. While the mean rank correlation of these held-out predictions is
    too low, the optimiser's own proposals are evaluated; screening goes on when it has risen again.

    Args:
        problem: The problem of the run.
        seed: Seed of the surrogates.

    Attributes:
        generations: Generations since there is a surrogate.
        n_screened: Number of evaluations that the surrogate chose.
    """

    def __init__(self, problem: DesignProblem, seed: int) -> None:
        self.generations: list[Generation] = []
        self.n_screened = 0
        self._problem = problem
        self._seed = seed
        self._dtype = problem.genome.storage_dtype
        n_obj = problem.n_obj
        self._known = _Evaluated(np.empty((0, problem.n_var), dtype=np.int64), np.empty((0, n_obj)), np.empty(0))
        self._surrogate: Surrogate | None = None
        self._learned = 0
        # Predictions of each model and the values found, of the last held-out designs.
        self._predicted, self._found = np.empty((len(MODELS), 0, n_obj)), np.empty((0, n_obj))
        self._models = np.zeros(n_obj, dtype=np.int64)

    @property
    def correlations(self) -> FloatArray:
        """Rank correlation of each objective on the last held-out designs, shape ``(n_obj,)``; NaN if not known."""
        return self._correlations_by_model()[self._models, np.arange(len(self._models))]

    @property
    def correlation(self) -> float:
        """Mean of `correlations`; 0 if there is none."""
        known = self.correlations[~np.isnan(self.correlations)]
        return float(known.mean()) if len(known) else 0.0

    @property
    def useful(self) -> bool:
        """Whether the surrogate chooses the next designs."""
        # Without a feasible design there is nothing to correlate, and the predicted violation decides.
        return self._surrogate is not None and (self.correlation >= _USEFUL or not len(self._found))

    def batch(self, n_offsprings: int, evaluations: int) -> int:
        """Number of offspring to ask an optimiser for that breeds `n_offsprings`: many at first, few from then on.

        Args:
            n_offsprings: Number of offspring of a generation without a screen.
            evaluations: Evaluation budget.
        """
        if not len(self._known.X):
            return max(LEAST, min(evaluations // 5, _START))
        return min(n_offsprings, BATCH)

    def next(self, algorithm: Algorithm, n_offsprings: int | None = None) -> None:
        """Run one generation of an optimiser, in place of its method ``next``.

        Args:
            algorithm: The optimiser, set up.
            n_offsprings: Number of offspring of a generation of the copy that runs ahead; as they are if not given.
        """
        surrogate = self._surrogate
        chooses = surrogate is not None and self.useful
        # The copy begins where the optimiser stands before it makes its own proposals.
        ahead = self._run_ahead(surrogate, algorithm, n_offsprings) if surrogate is not None and chooses else None
        infills = algorithm.infill()
        if infills is None:
            algorithm.advance()
            return
        if surrogate is not None and ahead is not None:
            infills.set("X", self._exchanged(surrogate, infills.get("X"), ahead))
        X = self._problem.genome.repair(infills.get("X"))
        predicted = None
        if surrogate is not None:
            predicted = surrogate.predict_each(X)
            self.generations.append(Generation(len(self._known.X), self._learned, chooses, self.correlations))
            self.n_screened += len(infills) if chooses else 0
        algorithm.evaluator.eval(algorithm.problem, infills, algorithm=algorithm)
        self._learn(X, infills.get("F").astype(float), infills.get("CV")[:, 0].astype(float), predicted)
        algorithm.advance(infills=infills)

    def state(self) -> str:
        """Mean rank correlation for a progress bar, and whether there is screening."""
        if self._surrogate is None:
            return f"screening from {LEAST} designs on"
        return f"{'screened' if self.useful else 'not screened'}, rank correlation {self.correlation:.2f}"

    def summary(self, evaluations: int) -> str:
        """Number of screened evaluations and the rank correlation of each objective, for the message of a run."""
        if self._surrogate is None:
            return f"nothing screened, less than {LEAST} different designs to learn from"
        each = ", ".join(f"{name} {value:.2f}" for name, value in self.correlation_of().items())
        return (
            f"screened {self.n_screened:,} of {count(evaluations, 'evaluation')}, "
            f"rank correlation on held-out designs {each or 'unknown'}"
        )

    def correlation_of(self) -> dict[str, float]:
        """`correlations` by name of the objective, those that are known."""
        named = zip(self._problem.objectives, self.correlations.tolist(), strict=True)
        return {objective.name: value for objective, value in named if not math.isnan(value)}

    def frame(self) -> pd.DataFrame:
        """Table of `generations`; the correlations of the objectives have their names."""
        names = [objective.name for objective in self._problem.objectives]
        rows = [[g.evaluations, g.learned, g.screened, *g.correlations.tolist()] for g in self.generations]
        return pd.DataFrame(rows, columns=["evaluations", "learned", "screened", *names])

    # Learning ---------------------------------------------------------------------------------------------------------

    def _learn(self, X: IntArray, F: FloatArray, violation: FloatArray, predicted: FloatArray | None) -> None:
        known = self._known
        new = known.add(X, F, violation, row_keys(X.astype(self._dtype)))
        if predicted is not None:
            self._hold_out(predicted[:, new], F[new])
        n = len(known.X)
        if n < LEAST or n < max(self._learned + BATCH, _GROWTH * self._learned):
            return
        if self._surrogate is None:
            half = n // 2
            self._hold_out(self._fit(slice(half)).predict_each(known.X[half:]), known.F[half:])
        self._surrogate, self._learned = self._fit(slice(max(0, n - _MOST), n)), n

    def _fit(self, part: slice) -> Surrogate:
        known = self._known
        return Surrogate(self._problem, known.X[part], known.F[part], known.violation[part], self._seed + len(known.X))

    def _hold_out(self, predicted: FloatArray, found: FloatArray) -> None:
        """Take predictions ``(models, designs, n_obj)`` and values of held-out designs, and choose the models anew."""
        valued = np.isfinite(found).all(axis=1)
        self._predicted = np.concatenate([self._predicted, predicted[:, valued]], axis=1)[:, -_WINDOW:]
        self._found = np.concatenate([self._found, found[valued]])[-_WINDOW:]
        self._models = np.nan_to_num(self._correlations_by_model(), nan=-1.0).argmax(axis=0)

    def _correlations_by_model(self) -> FloatArray:
        if len(self._found) < 2:  # noqa: PLR2004 (a rank correlation needs two)
            return np.full((len(MODELS), self._found.shape[1]), np.nan)
        return rank_correlations(self._predicted, self._found)

    # Choosing ---------------------------------------------------------------------------------------------------------

    def _run_ahead(self, surrogate: Surrogate, algorithm: Algorithm, n_offsprings: int | None) -> IntArray:
        """Designs ``(n, n_genes)`` that a copy of the optimiser proposes on the surrogate."""
        ahead: list[IntArray] = []

        def predicted(X: IntArray) -> FloatArray:
            ahead.append(X)
            return predicted_table(self._problem, surrogate.predict(X, self._models))

        runner = copy_onto(algorithm, self._problem.with_backend(predicted))
        if n_offsprings is not None:
            runner.n_offsprings = n_offsprings
        asked = -1
        while asked < (asked := sum(map(len, ahead))) < _AHEAD and runner.has_next():
            _step(runner)
        return np.concatenate([np.empty((0, self._problem.n_var), dtype=np.int64), *ahead])

    def _exchanged(self, surrogate: Surrogate, own: NDArray[Any], ahead: IntArray) -> NDArray[Any]:
        """Proposals ``(n, n_var)`` with chosen designs in their places, each in that of the most similar proposal.

        The candidates are the proposals and the designs `ahead` ``(n_ahead, n_genes)`` that are not evaluated yet.
        """
        from scipy.optimize import linear_sum_assignment  # takes as long as a run of few evaluations

        candidates = np.concatenate([self._problem.genome.repair(own), ahead])
        seen, new = set(self._known.keys), []
        for i, key in enumerate(row_keys(candidates.astype(self._dtype))):
            if key not in seen:
                seen.add(key)
                new.append(i)
        if not new:
            return own
        candidates = candidates[new]
        chosen = candidates[self._best_first(surrogate.predict(candidates, self._models), len(own))]
        places, taken = linear_sum_assignment(cdist(own, chosen, "hamming"))
        X = own.copy()
        X[places] = chosen[taken]
        return X

    def _best_first(self, predictions: Predictions, n: int) -> list[int]:
        """Indices of at most n candidates, one after the other the most promising.

        That is the one that adds the most predicted hypervolume to the front and to those chosen before it, times the
        share of trees that take it for feasible; in turn in objectives as they are and in logarithms.
        """
        F, violation = self._known.F, self._known.violation
        feasible = F[(violation <= 0) & np.isfinite(F).all(axis=1)]
        if not len(feasible):
            return [int(i) for i in np.argsort(predictions.violation, kind="stable")[:n]]
        front, scale = feasible[non_dominated(feasible)], LogScale(feasible)
        volumes = [_Gains(predictions.F, front)]
        if scale.logarithmic.any():
            volumes.append(_Gains(scale.scaled(predictions.F), scale.scaled(front)))
        weight, chosen = predictions.feasible.copy(), list[int]()
        while len(chosen) < min(n, len(weight)):
            gains = volumes[len(chosen) % len(volumes)].gains
            best = int(np.where(weight < 0, -1.0, gains * weight).argmax())
            weight[best] = -1.0
            chosen.append(best)
            for volume in volumes:
                volume.take(best)
        return chosen


class _Gains:
    """Hypervolume that candidates add to a front and to those taken, estimated from samples in their boxes.

    Objectives, ``(candidates, n_obj)`` and ``(front, n_obj)``, are scaled to the ranges of the front.
    """

    def __init__(self, F: FloatArray, front: FloatArray) -> None:
        ideal, extent = front.min(axis=0), np.ptp(front, axis=0)
        extent[extent == 0] = np.abs(ideal[extent == 0]) + 1.0
        scaled = (F - ideal) / extent
        self._inside = np.flatnonzero((scaled < REFERENCE).all(axis=1))
        self._boxes = SampledBoxes(np.concatenate([scaled[self._inside], (front - ideal) / extent]), REFERENCE)
        self._free: WordArray = ~np.zeros((len(self._boxes.volumes), N_SAMPLES // 64), dtype=np.uint64)
        self._n = len(F)
        for k in range(len(self._inside), len(self._free)):
            self._free &= ~self._boxes.dominated_by(k)

    @property
    def gains(self) -> FloatArray:
        """Hypervolume that each candidate adds, shape ``(candidates,)``; 0 beyond the reference point."""
        found = np.zeros(self._n)
        share = np.bitwise_count(self._free[: len(self._inside)]).sum(axis=1) / N_SAMPLES
        found[self._inside] = self._boxes.volumes[: len(self._inside)] * share
        return found

    def take(self, i: int) -> None:
        """Take what a candidate dominates from the boxes of all others."""
        k = int(np.searchsorted(self._inside, i))
        if k < len(self._inside) and self._inside[k] == i:
            self._free &= ~self._boxes.dominated_by(k)


# Copies of optimisers ------------------------------------------------------------------------------------------------


def prepare(algorithm: Algorithm, problem: DesignProblem, evaluations: int, label: str) -> None:
    """Make an optimiser ask for every design, and check that it can be screened.

    A copy of it runs a few generations on random values.

    Args:
        algorithm: The optimiser, before it is set up.
        problem: The problem.
        evaluations: Evaluation budget.
        label: Name of the optimiser in messages.

    Raises:
        ConfigError: If scikit-learn is missing, the budget is too small, or the optimiser cannot be screened.
        EvaluationError: If the problem's features are wrong.
    """
    need_scikit_learn()
    if evaluations < 2 * LEAST:
        raise ConfigError(
            f"evaluations={evaluations} is not allowed with screen, which learns from {LEAST} designs before it "
            f"chooses any; expected {2 * LEAST}, {2 * LEAST + 1}, ..."
        )
    if getattr(algorithm, "steps_per_iteration", 1) != 1:
        algorithm.steps_per_iteration = 1
    random_state = np.random.default_rng(0)
    problem.checked_features(problem.repaired(problem.genome.sample(2, random_state)))
    if type(algorithm)._infill is LoopwiseAlgorithm._infill:
        raise ConfigError(
            f"algorithm {label!r} cannot be screened: it is a loop, which has no copies; expected another one"
        )

    def predicted(X: IntArray) -> FloatArray:
        F = random_state.random((len(X), problem.n_obj))
        return predicted_table(problem, Predictions(F, np.ones(len(X)), np.zeros(len(X))))

    rehearsal = copy.deepcopy(algorithm)
    fault = ""
    with controlled_randomness(0):
        try:
            target = problem.with_backend(predicted)
            rehearsal.setup(target, termination=MaximumFunctionCallTermination(10**6), seed=0)
            for _ in range(3):
                for optimiser in (copy_onto(rehearsal, target), rehearsal):
                    # One that finds no new designs ends.
                    if optimiser.has_next() and _step(optimiser) is None and optimiser.has_next():
                        fault = "it does not ask for the designs that it evaluates"
        except Exception as error:  # noqa: BLE001 (whatever an algorithm raises)
            fault = f"a copy of it does not run ahead ({reason(error)})"
    if fault:
        raise ConfigError(f"algorithm {label!r} cannot be screened: {fault}; expected another one")


def copy_onto(algorithm: Algorithm, problem: DesignProblem) -> Algorithm:
    """Copy of an optimiser, in the midst of its run, that goes on on another problem and reports nothing."""
    memo: dict[int, Any] = {id(algorithm.problem): problem, id(algorithm.evaluator): Evaluator()}
    memo |= {id(algorithm.callback): Callback(), id(algorithm.display): Display()}
    runner = copy.deepcopy(algorithm, memo)
    # An optimiser that reads its budget from here shall not run out of it.
    runner.evaluator.n_eval = algorithm.evaluator.n_eval
    return runner


def _step(runner: Algorithm) -> Population | None:
    """Run a generation without counting its evaluations; the designs asked for, None if there were none."""
    n_eval = runner.evaluator.n_eval
    infills = runner.infill()
    if infills is None:
        runner.advance()
    if infills is None or not len(infills):
        return None
    runner.evaluator.eval(runner.problem, infills, algorithm=runner)
    runner.evaluator.n_eval = n_eval
    runner.advance(infills=infills)
    return infills


def predicted_table(problem: DesignProblem, predictions: Predictions) -> FloatArray:
    """Quantities ``(designs, n_quantities)`` of predictions, as a model would return them.

    Metrics are 0, and a bounded objective is as predicted. A design that half of the trees take for feasible meets all
    other bounds; another one exceeds the first of them by its predicted violation.
    """
    table = np.zeros((len(predictions.F), len(problem.quantities)))
    columns = {quantity.name: i for i, quantity in enumerate(problem.quantities)}
    objectives = {objective.name for objective in problem.objectives}
    constraints = [constraint for constraint in problem.constraints if constraint.name not in objectives]
    for constraint in constraints:
        bound = constraint.upper if constraint.upper is not None else constraint.lower
        table[:, columns[constraint.name]] = bound
    if constraints:
        first = constraints[0]
        excess = np.where(predictions.feasible < 0.5, np.maximum(predictions.violation, 1e-9), 0.0)  # noqa: PLR2004
        table[:, columns[first.name]] += excess if first.upper is not None else -excess
    for objective, values in zip(problem.objectives, predictions.F.T, strict=True):
        table[:, columns[objective.name]] = -values if objective.sense == "max" else values
    return table
