"""Surrogate of a problem: objectives and feasibility of designs, predicted by regression on those evaluated."""

from importlib.util import find_spec
from typing import NamedTuple

import numpy as np

from moopim.errors import ConfigError, EvaluationError
from moopim.genes import Choice, GeneGroup, Integer
from moopim.problem import DesignProblem
from moopim.typing import BoolArray, FloatArray, IntArray

MODELS = ("extra trees", "ridge")
"""Regressions, of which each objective takes the one that predicted it better."""

# Groups with more values are numbers: columns of their own cost time and, in trees, hold too few designs each.
_TREE_VALUES, _RIDGE_VALUES = 8, 64
_TREES = 30
# Standard deviations of the trees by which predictions are better than their mean.
_OPTIMISM = 1.0
# Ridge penalty per column, in units of the variance of a column.
_PENALTY = 0.1
# An objective that spans more than this factor is predicted by its logarithm, from this share of its largest value on.
_SPAN, _FLOOR = 10.0, 1e-6
# Violations from here on count as infinite, and these as so many times the largest finite one.
_INFINITE, _WORST = 1e300, 2.0


def need_scikit_learn() -> None:
    """Raise ConfigError if scikit-learn is not installed."""
    if find_spec("sklearn") is None:
        raise ConfigError("screen needs scikit-learn, which is not installed: pip install 'moopim[screen]'")


class Predictions(NamedTuple):
    """Predictions of designs.

    Attributes:
        F: Objectives (to be minimised), shape ``(designs, n_obj)``.
        feasible: Share of the trees that take a design for feasible, shape ``(designs,)``.
        violation: Constraint violation, shape ``(designs,)``.
    """

    F: FloatArray
    feasible: FloatArray
    violation: FloatArray


class LogScale:
    """Objectives of several decades as logarithms, the others as they are.

    Args:
        F: Objectives that set which ones are, shape ``(designs, n_obj)``.
    """

    def __init__(self, F: FloatArray) -> None:
        greatest = F.max(axis=0)
        self.floor: FloatArray = _FLOOR * greatest
        self.logarithmic: BoolArray = (F.min(axis=0) >= 0) & (greatest > _SPAN * np.maximum(F.min(axis=0), self.floor))

    def scaled(self, F: FloatArray) -> FloatArray:
        """Logarithms where they are taken, shape ``(designs, n_obj)``; values below the floor count as the floor."""
        least = np.where(self.logarithmic, self.floor, 1.0)
        return np.where(self.logarithmic, np.log(np.maximum(F, least)), F)

    def restored(self, scaled: FloatArray) -> FloatArray:
        """The inverse of `scaled`, shape ``(designs, n_obj)``."""
        return np.where(self.logarithmic, np.exp(np.where(self.logarithmic, scaled, 0.0)), scaled)


class Surrogate:
    """Regression of objectives and feasibility on genes and on the problem's `surrogate_features`.

    Extremely randomised trees (Geurts, Ernst and Wehenkel, Machine Learning 63(1), 2006) of all objectives at once, and
    ridge regression. Objectives of designs without values are not learned.

    Args:
        problem: The problem.
        X: Genes of evaluated designs, shape ``(designs, n_genes)``.
        F: Objectives (to be minimised), infinite where a design has none, shape ``(designs, n_obj)``.
        violation: Constraint violation, 0 where feasible, may be infinite, shape ``(designs,)``.
        seed: Seed of the trees.
    """

    def __init__(self, problem: DesignProblem, X: IntArray, F: FloatArray, violation: FloatArray, seed: int) -> None:
        self._problem = problem
        self._trees: _Trees | None = None
        self._ridge: _Ridge | None = None
        self._feasibility: _Trees | None = None
        self._n_obj = F.shape[1]
        self._n_features: int | None = None
        coded, spread = self._coded(X)
        known = np.isfinite(F).all(axis=1)
        if known.any():
            self.scale = LogScale(F[known])
            targets = self.scale.scaled(F[known])
            self._mean, self._deviation = targets.mean(axis=0), targets.std(axis=0)
            self._deviation[self._deviation == 0] = 1.0
            targets = (targets - self._mean) / self._deviation
            self._trees = _Trees(coded[known], targets, seed)
            self._ridge = _Ridge(spread[known], targets)
        if (violation > 0).any():
            self._unit = violation[violation < _INFINITE].max(initial=0.0) or 1.0
            relative = np.minimum(violation, _WORST * self._unit) / self._unit
            targets = np.column_stack([violation <= 0, np.log1p(relative)])
            self._feasibility = _Trees(coded, targets, seed)

    def _coded(self, X: IntArray) -> tuple[FloatArray, FloatArray]:
        """Columns for trees and for ridge regression."""
        features = self._problem.checked_features(X)
        n_features = features.shape[1]
        if self._n_features not in (None, n_features):
            raise EvaluationError(
                f"{type(self._problem).__name__}.surrogate_features returned {n_features} features for some designs, "
                f"{self._n_features} for others; expected the same number for all"
            )
        self._n_features = n_features
        genes = (coded_genes(self._problem, X, most) for most in (_TREE_VALUES, _RIDGE_VALUES))
        coded, spread = (np.concatenate([part, features], axis=1) for part in genes)
        return coded, spread

    def predict(self, X: IntArray, models: IntArray) -> Predictions:
        """Predict designs.

        Args:
            X: Genes in canonical form, shape ``(designs, n_genes)``.
            models: Index into `MODELS` for each objective, shape ``(n_obj,)``.

        Returns:
            The predictions; objectives are 0 if no design with objectives was learned.
        """
        coded, spread = self._coded(X)
        F = np.zeros((len(X), self._n_obj))
        if self._trees is not None and self._ridge is not None:
            each = self._trees.each(coded)
            means = np.array([each.mean(axis=0), self._ridge.predict(spread)])
            scaled = np.take_along_axis(means, models[None, None], axis=0)[0] - _OPTIMISM * each.std(axis=0)
            F = self.scale.restored(scaled * self._deviation + self._mean)
        share, violation = np.ones(len(X)), np.zeros(len(X))
        if self._feasibility is not None:
            share, log_violation = self._feasibility.predict(coded).T
            violation = np.expm1(log_violation) * self._unit
        return Predictions(F, share, violation)

    def predict_each(self, X: IntArray) -> FloatArray:
        """Objectives predicted by each of `MODELS`, shape ``(models, designs, n_obj)``."""
        if self._trees is None or self._ridge is None:
            return np.zeros((len(MODELS), len(X), self._n_obj))
        coded, spread = self._coded(X)
        scaled = np.array([self._trees.predict(coded), self._ridge.predict(spread)])
        return self.scale.restored(scaled * self._deviation + self._mean)


class _Trees:
    """Extremely randomised trees of several targets ``(designs, targets)``."""

    def __init__(self, coded: FloatArray, targets: FloatArray, seed: int) -> None:
        from sklearn.ensemble import ExtraTreesRegressor

        if targets.shape[1] == 1:  # of which scikit-learn warns
            targets = targets[:, 0]
        forest = ExtraTreesRegressor(_TREES, random_state=seed, n_jobs=1).fit(coded.astype(np.float32), targets)
        # Without scikit-learn's checks of every call, which take ten times as long as the trees.
        self._trees = [tree.tree_ for tree in forest.estimators_]

    def each(self, coded: FloatArray) -> FloatArray:
        """Predictions of each tree, shape ``(trees, designs, targets)``."""
        columns = np.ascontiguousarray(coded, dtype=np.float32)
        return np.array([tree.predict(columns) for tree in self._trees]).reshape(len(self._trees), len(columns), -1)

    def predict(self, coded: FloatArray) -> FloatArray:
        """Means over the trees, shape ``(designs, targets)``."""
        return np.asarray(self.each(coded).mean(axis=0))


class _Ridge:
    """Ridge regression of several targets ``(designs, targets)`` on standardised columns."""

    def __init__(self, spread: FloatArray, targets: FloatArray) -> None:
        from sklearn.linear_model import Ridge

        self._mean, self._deviation = spread.mean(axis=0), spread.std(axis=0)
        # A column that is nearly constant in the designs says nothing about others.
        self._deviation = np.maximum(self._deviation, 0.05 * max(1.0, float(self._deviation.max(initial=0.0))))
        self._model = Ridge(_PENALTY * spread.shape[1]).fit(self._standard(spread), targets)

    def _standard(self, spread: FloatArray) -> FloatArray:
        return np.asarray((spread - self._mean) / self._deviation)

    def predict(self, spread: FloatArray) -> FloatArray:
        """Predictions, shape ``(designs, targets)``."""
        return np.asarray(self._model.predict(self._standard(spread))).reshape(len(spread), -1)


def coded_genes(problem: DesignProblem, X: IntArray, most: int) -> FloatArray:
    """Genes as columns of a regression.

    Args:
        problem: The problem.
        X: Genes, shape ``(designs, n_genes)``.
        most: Largest number of values of a group without an order that gets a column for each value.

    Returns:
        One column for each value of such a gene, a single one for every other, shape ``(designs, columns)``.
    """
    columns = []
    for group in problem.genome.groups:
        genes = X[:, problem.genome.slices[group.name]]
        if _is_ordered(group) or group.n_values > most:
            columns.append(genes / max(group.n_values - 1, 1))
        else:
            columns.append((genes[:, :, None] == np.arange(group.n_values)).reshape(len(X), -1))
    return np.concatenate(columns, axis=1, dtype=np.float64)


def _is_ordered(group: GeneGroup) -> bool:
    """Whether neighbouring values are similar: whole numbers, choices of numbers, and two values of any kind."""
    numbers = isinstance(group, Choice) and group.values.dtype.kind in "iuf"
    return isinstance(group, Integer) or numbers or group.n_values <= 2  # noqa: PLR2004


def rank_correlations(predicted: FloatArray, found: FloatArray) -> FloatArray:
    """Spearman's rank correlation of each objective; NaN where all values are equal.

    Args:
        predicted: Predicted values, shape ``(..., designs, n_obj)``.
        found: Values, shape ``(designs, n_obj)``.

    Returns:
        The correlations, shape ``(..., n_obj)``.
    """
    from scipy.stats import rankdata  # takes as long as a run of few evaluations

    ranks = [rankdata(values, axis=-2) for values in (predicted, found)]
    a, b = (values - values.mean(axis=-2, keepdims=True) for values in ranks)
    norm = np.sqrt((a**2).sum(axis=-2) * (b**2).sum(axis=-2))
    undefined = np.full(norm.shape, np.nan)
    return np.asarray(np.divide((a * b).sum(axis=-2), norm, out=undefined, where=norm > 0))
