"""Mutation: reset to another value, swap, move of a block of neighbouring genes, and a mix of these."""

from abc import abstractmethod
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from pymoo.core.mutation import Mutation

from moopim.checks import numbers
from moopim.errors import ConfigError
from moopim.genes import GeneGroup, Permutation
from moopim.genome import Genome
from moopim.problem import DesignProblem
from moopim.typing import BoolArray, FloatArray, IntArray


def reset_probabilities(genome: Genome, prob: float | Mapping[str, float] | None) -> FloatArray:
    """Reset probability of each gene ``(n_genes,)`` from one for all, or by gene group; 1 / n_genes by default."""
    by_group = prob if isinstance(prob, Mapping) else {} if prob is None else {g.name: prob for g in genome.groups}
    result = np.full(genome.n_genes, 1 / genome.n_genes)
    for name, value in by_group.items():
        if not isinstance(value, Real) or not 0 <= value <= 1:
            raise ConfigError(f"mutation probability {value} of gene group {name!r} is not allowed; expected 0 .. 1")
        result[genome.slices[genome.group(name).name]] = value
    return result


# Moves take genes of shape (pop, n_genes), which they do not change, and return genes of the same shape.


def reset(genome: Genome, X: IntArray, prob: FloatArray, random_state: np.random.Generator) -> IntArray:
    """Set each gene, with its probability ``(n_genes,)``, to a different value; swap it in a permutation."""
    _check_shape(genome, X)
    prob = numbers("prob", prob, (genome.n_genes,), values=False)
    return _shift(genome, X, random_state.random(X.shape) < prob, random_state)


def reset_one(genome: Genome, X: IntArray, random_state: np.random.Generator) -> IntArray:
    """Set one active gene of each design to a different value; in a permutation it swaps places with another."""
    _check_shape(genome, X)
    chosen = _pick_gene(genome, X, random_state)
    if not any(isinstance(group, Permutation) for group in genome.groups):
        result, rows = X.copy(), np.arange(len(X))
        n_values = genome.n_values[chosen]
        step = 1 + (random_state.random(len(X)) * (n_values - 1)).astype(np.int64)
        result[rows, chosen] = (result[rows, chosen] + step) % n_values
        return result
    marked = np.zeros(X.shape, dtype=np.bool_)
    marked[np.arange(len(X)), chosen] = True
    return _shift(genome, X, marked, random_state)


def swap(genome: Genome, X: IntArray, random_state: np.random.Generator) -> IntArray:
    """Swap two genes of one repeated group, drawn anew for each design; without such a group nothing changes."""
    _check_shape(genome, X)
    start, width = _pick_group(genome, len(X), random_state)
    first = (random_state.random(len(X)) * width).astype(np.int64)
    second = (first + 1 + (random_state.random(len(X)) * np.maximum(width - 1, 0)).astype(np.int64)) % width
    rows, result = np.arange(len(X)), X.copy()
    result[rows, start + first] = X[rows, start + second]
    result[rows, start + second] = X[rows, start + first]
    return result


def move_block(genome: Genome, X: IntArray, random_state: np.random.Generator) -> IntArray:
    """Move a run of neighbouring genes of one repeated group by one common step, drawn anew for each design.

    The values of the run are shifted by the same non-zero number (modulo the number of values), so that neighbours stay
    as far apart as they were: layers that share a PE move on together. In a permutation the run itself is rotated to
    another place.
    """
    _check_shape(genome, X)
    start, width = _pick_group(genome, len(X), random_state)
    # Two different cuts among width + 1 places bound the run.
    one = (random_state.random(len(X)) * (width + 1)).astype(np.int64)
    two = (one + 1 + (random_state.random(len(X)) * width).astype(np.int64)) % (width + 1)
    low, high = np.minimum(one, two) + start, np.maximum(one, two) + start
    gene = np.arange(genome.n_genes)
    inside = (gene >= low[:, None]) & (gene < high[:, None])
    step = 1 + (random_state.random(len(X))[:, None] * (genome.n_values - 1)).astype(np.int64)
    moved = np.where(inside, (X + step) % genome.n_values, X)
    for group in genome.groups:
        if isinstance(group, Permutation):
            part = genome.slices[group.name]
            moved[:, part] = _rotate(X[:, part], inside[:, part], step[:, part.start])
    return moved


def _check_shape(genome: Genome, X: IntArray) -> None:
    if not isinstance(X, np.ndarray) or X.shape[1:] != (genome.n_genes,) or X.dtype.kind not in "iu":
        kind = f" and type {X.dtype}" if isinstance(X, np.ndarray) else ""
        raise ConfigError(
            f"genes have shape {np.shape(X)}{kind}; expected an array of integers (pop, {genome.n_genes})"
        )


def _rotate(order: IntArray, inside: BoolArray, step: IntArray) -> IntArray:
    """Take a run out of each row and put it back ``step`` places further on, around the end."""
    n = order.shape[1]
    inside = inside.copy()
    inside[inside.all(axis=1), -1] = False  # the whole row has no other place to go
    rest = n - inside.sum(axis=1, keepdims=True)
    first = inside.argmax(axis=1)[:, None]
    place = np.cumsum(~inside, axis=1) - 1
    # The rest keeps its order; the run goes before its target-th member: sort by (place in the rest, run or rest).
    target = (first + 1 + (step[:, None] - 1) % np.maximum(rest, 1)) % (rest + 1)
    key = np.where(inside, 2 * target, 2 * place + 1)
    return np.take_along_axis(order, np.argsort(key, axis=1, kind="stable"), axis=1)


def _shift(genome: Genome, X: IntArray, marked: BoolArray, random_state: np.random.Generator) -> IntArray:
    """Give marked genes a different value, uniformly."""
    step = 1 + (random_state.random(X.shape) * (genome.n_values - 1)).astype(np.int64)
    result = np.where(marked, (X + step) % genome.n_values, X)
    for group in genome.groups:
        if isinstance(group, Permutation):
            part = genome.slices[group.name]
            result[:, part] = _swap_marked(X[:, part], marked[:, part], step[:, part])
    return result


def _swap_marked(order: IntArray, marked: BoolArray, step: IntArray) -> IntArray:
    """Swap each marked place of a permutation with the one ``step`` further on, place after place."""
    result, rows, n = order.copy(), np.arange(len(order)), order.shape[1]
    for place in range(n):
        partner = np.where(marked[:, place], (place + step[:, place]) % n, place)
        here = result[:, place].copy()
        result[:, place] = result[rows, partner]
        result[rows, partner] = here
    return result


def _pick_gene(genome: Genome, X: IntArray, random_state: np.random.Generator) -> IntArray:
    """One gene per design, uniformly among those that can change."""
    free = _free(genome, X)
    draw = random_state.random(len(X))
    if free.all():
        return (draw * genome.n_genes).astype(np.int64)
    rank = np.cumsum(free, axis=1)
    target = 1 + (draw * rank[:, -1]).astype(np.int64)
    return np.asarray((rank >= target[:, None]).argmax(axis=1))


def _free(genome: Genome, X: IntArray) -> BoolArray:
    """Mask ``(pop, n_genes)`` of the genes that can change: active, with two or more values."""
    free = np.broadcast_to(genome.n_values > 1, X.shape)
    if any(group.length for group in genome.groups):
        designs = genome.decode(X)
        free = free & np.concatenate([designs.active(group.name) for group in genome.groups], axis=1)
    return free


def _pick_group(genome: Genome, n: int, random_state: np.random.Generator) -> tuple[IntArray, IntArray]:
    """First gene and width of a repeated group per row, a group in proportion to its width."""
    groups: list[GeneGroup] = [group for group in genome.groups if group.width > 1] or [genome.groups[0]]
    widths = np.array([group.width for group in groups])
    starts = np.array([genome.slices[group.name].start for group in groups])
    chosen = np.searchsorted(np.cumsum(widths), random_state.random(n) * widths.sum(), side="right")
    return starts[chosen], widths[chosen]


class _GeneMutation(Mutation):  # type: ignore[misc]
    """Mutation that draws from the generator it is given and takes the genome from the problem."""

    @abstractmethod
    def _mutated(self, genome: Genome, X: IntArray, random_state: np.random.Generator) -> IntArray:
        """Mutated genes, shape ``(pop, n_genes)``."""

    def _do(
        self, problem: DesignProblem, X: IntArray, *args: Any, random_state: np.random.Generator, **kwargs: Any
    ) -> IntArray:
        return self._mutated(problem.genome, X, random_state)


class ResetMutation(_GeneMutation):
    """Random reset: set each gene, with a probability of its group, to a different value.

    Args:
        prob_gene: Probability of every gene, or by gene group; 1 / n_genes where not given.
        prob: Probability that a design is mutated at all.
    """

    def __init__(self, prob_gene: float | Mapping[str, float] | None = None, prob: float = 1.0) -> None:
        super().__init__(prob=prob)
        self.prob_gene = prob_gene

    def _mutated(self, genome: Genome, X: IntArray, random_state: np.random.Generator) -> IntArray:
        return reset(genome, X, reset_probabilities(genome, self.prob_gene), random_state)


class SingleResetMutation(_GeneMutation):
    """Single reset: set one gene of each design to a different value."""

    _mutated = staticmethod(reset_one)


class SwapMutation(_GeneMutation):
    """Swap of two genes of one repeated group."""

    _mutated = staticmethod(swap)


class BlockMoveMutation(_GeneMutation):
    """Move of a run of neighbouring genes of one repeated group by one common step."""

    _mutated = staticmethod(move_block)


class Perturbation(Mutation):  # type: ignore[misc]
    """Move of the published AMOSA on genomes: one random change of each design.

    Args:
        reset: Weight of setting one gene to a different value.
        swap: Weight of swapping two genes of a group.
        block_move: Weight of moving a run of neighbouring genes by one common step.

    Raises:
        ConfigError: If a weight is negative or all are zero.
    """

    def __init__(self, reset: float = 1.0, swap: float = 0.0, block_move: float = 0.0) -> None:
        super().__init__(prob=1.0)
        weights = {"reset": reset, "swap": swap, "block_move": block_move}
        if min(weights.values()) < 0 or sum(weights.values()) == 0:
            raise ConfigError(f"perturbation weights {weights} are not allowed; expected >= 0, one of them positive")
        self.weights = weights
        self._thresholds = np.cumsum(list(weights.values())) / sum(weights.values())

    def _do(
        self, problem: DesignProblem, X: IntArray, *args: Any, random_state: np.random.Generator, **kwargs: Any
    ) -> IntArray:
        genome = problem.genome
        if self.weights["reset"] == sum(self.weights.values()):
            return reset_one(genome, X, random_state)
        kind = np.searchsorted(self._thresholds, random_state.random(len(X)), side="right")
        result = X.copy()
        for i, move in enumerate((reset_one, swap, move_block)):
            rows = kind == i
            if rows.any():
                result[rows] = move(genome, X[rows], random_state)
        return result
