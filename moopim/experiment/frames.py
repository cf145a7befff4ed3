"""Frames of evaluated designs, with named columns and units."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from moopim.columns import numeric_column, truth_column
from moopim.errors import ConfigError
from moopim.evaluator import LoggedBatch
from moopim.genome import Designs, Genome
from moopim.operators.duplicates import row_keys
from moopim.pareto import front_order
from moopim.problem import DesignProblem
from moopim.quantities import Constraint, Objective, oriented
from moopim.typing import FloatArray, IntArray

_BLOCK = 2**13  # designs that are decoded at a time


def genes_frame(genome: Genome, X: IntArray) -> pd.DataFrame:
    """Frame with one column per gene of designs `X` ``(pop, n_genes)``; values of mixed kinds, and tuples, as text."""
    return pd.DataFrame(_gene_columns(genome, X), copy=False)


def _gene_columns(genome: Genome, X: NDArray[np.integer]) -> dict[str, NDArray[Any]]:
    """Decoded values of each gene, shape ``(pop,)``."""
    # Mixed kinds, tuples and the like become text: files have no other way to keep them.
    values = {group.name: group.values for group in genome.groups}
    values = {name: _texts(known) if known.dtype == object else known for name, known in values.items()}
    columns = {name: np.empty(len(X), values[group.name].dtype) for group in genome.groups for name in group.columns}
    for start in range(0, len(X), _BLOCK):  # numbers of the log are small, those of the model are not
        genes = genome.check(X[start : start + _BLOCK])
        for group in genome.groups:
            for name, indices in zip(group.columns, genes[:, genome.slices[group.name]].T, strict=True):
                columns[name][start : start + _BLOCK] = values[group.name][indices]
    return columns


def _texts(values: NDArray[Any]) -> NDArray[np.str_]:
    return np.array([str(value) for value in values.flat], dtype=np.str_).reshape(values.shape)


def read_designs(genome: Genome, frame: pd.DataFrame) -> Designs:
    """Designs of a frame such as ``front.csv``, one per row; the inverse of `genes_frame`."""
    columns = {}
    for group in genome.groups:
        for column in group.columns:
            if column not in frame.columns:
                spans = [" .. ".join(dict.fromkeys((group.columns[0], group.columns[-1]))) for group in genome.groups]
                raise ConfigError(f"the frame has no column {column!r}; expected one for each gene: {', '.join(spans)}")
        values = frame[list(group.columns)].to_numpy()
        if group.values.dtype == object:
            by_text = {str(value): value for value in group.values}
            values = np.frompyfunc(lambda value, known=by_text: known.get(str(value), value), 1, 1)(values)
        columns[group.name] = values[:, 0] if group.repeat is None else values
    return genome.decode(genome.encode(columns))


def evaluations_frame(
    problem: DesignProblem, batches: Sequence[LoggedBatch], returned: FloatArray | None = None
) -> pd.DataFrame:
    """Frame with one row per evaluation of a run, in order.

    Columns: ``evaluation`` and ``generation`` (from 1), the genes, the quantities in natural sign with their units in
    the names, ``feasible``, ``cached`` (answered by an earlier evaluation of the run) and, where `returned` is given,
    ``returned``: whether the optimiser returned a design with these objectives. `returned` has objectives to be
    minimised, ``(designs, n_obj)``.
    """
    genes = np.concatenate([np.empty((0, problem.n_var), problem.genome.storage_dtype), *(b.genes for b in batches)])
    table = np.concatenate([np.empty((0, len(problem.quantities))), *(b.table for b in batches)])
    sizes = np.array([len(b.genes) for b in batches], dtype=np.int64)
    columns: dict[str, NDArray[Any]] = {
        "evaluation": np.arange(1, len(genes) + 1),
        "generation": np.repeat(np.array([b.generation for b in batches], dtype=np.int64), sizes),
    }
    columns |= _gene_columns(problem.genome, genes)
    columns |= {quantity.column: table[:, i].copy() for i, quantity in enumerate(problem.quantities)}
    columns["feasible"] = problem.feasible(table)
    columns["cached"] = np.concatenate([np.empty(0, dtype=np.bool_), *(b.cached for b in batches)])
    if returned is not None:
        known = set(row_keys(returned))
        blocks = (table[start : start + _BLOCK] for start in range(0, len(table), _BLOCK))
        keys = (key for block in blocks for key in row_keys(problem.objective_values(block)))
        columns["returned"] = np.fromiter((key in known for key in keys), np.bool_, len(table))
    return pd.DataFrame(columns, copy=False)


def minimised(frame: pd.DataFrame, objectives: Sequence[Objective]) -> FloatArray:
    """Objectives of a frame as values to be minimised, shape ``(rows, n_obj)``."""
    return oriented(np.column_stack([numeric_column(frame, objective.column) for objective in objectives]), objectives)


def front_frame(evaluations: pd.DataFrame, objectives: Sequence[Objective]) -> pd.DataFrame:
    """Non-dominated feasible designs of an `evaluations_frame`: genes, quantities, ``returned``.

    Sorted by the first objective, the best first, then by the others; of designs with equal objectives the first one is
    kept.
    """
    F = minimised(evaluations, objectives)
    F[~truth_column(evaluations, "feasible")] = np.inf
    front = evaluations.iloc[front_order(F)]
    return front.drop(columns=["evaluation", "generation", "feasible", "cached"]).reset_index(drop=True)


def least_violating(evaluations: pd.DataFrame, constraints: Sequence[Constraint], n: int = 10) -> pd.DataFrame:
    """The `n` distinct designs with the least sum of violations, the least first."""
    excess = np.zeros(len(evaluations))
    for constraint in constraints:
        excess += np.maximum(constraint.excess(numeric_column(evaluations, constraint.column)), 0).sum(axis=1)
    fresh = np.flatnonzero(~truth_column(evaluations, "cached"))
    return evaluations.iloc[fresh[np.argsort(excess[fresh], kind="stable")[:n]]].reset_index(drop=True)


def unmet_bounds(evaluations: pd.DataFrame, constraints: Sequence[Constraint], limits: Sequence[Constraint]) -> str:
    """Why no design is feasible, in words: the bounds that none meets, each with the value nearest to it.

    Of a design beyond the limits of its problem, ``violation`` is the excess over these, and is not counted.
    """
    if evaluations.empty:
        return "nothing was evaluated"
    values = {bounded.name: numeric_column(evaluations, bounded.column) for bounded in (*limits, *constraints)}
    beyond = np.zeros(len(evaluations), dtype=np.bool_)
    for limit in limits:
        beyond |= (limit.excess(values[limit.name]) > 0).any(axis=1)
    if beyond.any():
        values["violation"] = np.where(beyond, np.nan, values["violation"])
    bounds = [bound for bounded in (*limits, *constraints) for bound in _single_bounds(bounded)]
    bounds = [bound for bound in bounds if not np.isnan(values[bound.name]).all()]
    unmet = {bound: text for bound in bounds if (text := _unmet(bound, values[bound.name]))}
    if {limit.name for limit in limits} & {bound.name for bound in unmet}:
        unmet = {bound: text for bound, text in unmet.items() if bound.name != "violation"}
    if unmet:
        within = {"violation": "none within the limits"} if beyond.any() else {}
        return "; ".join(f"{within.get(bound.name, 'none')} has {text}" for bound, text in unmet.items())
    return f"each of {' and '.join(map(_in_words, bounds))} is met by some design, but none meets all"


def missed_bounds(row: pd.DataFrame, constraints: Sequence[Constraint], limits: Sequence[Constraint]) -> list[str]:
    """Bounds that a design, a frame of one row, does not meet, in words; none of a feasible one.

    Of a design beyond the limits of its problem, ``violation`` is the excess over these, and is left out.
    """
    bounds = [bound for bounded in (*limits, *constraints) for bound in _single_bounds(bounded)]
    values = {bound.name: numeric_column(row, bound.column) for bound in bounds}
    missed = [bound for bound in bounds if bound.excess(values[bound.name])[0, 0] > 0]
    if {limit.name for limit in limits} & {bound.name for bound in missed}:
        missed = [bound for bound in missed if bound.name != "violation"]
    return [f"{bound.name} {_beyond(bound, float(values[bound.name][0]))} is not {bound.bounds}" for bound in missed]


def _single_bounds(bounded: Constraint) -> list[Constraint]:
    """A constraint as constraints with one bound each."""
    above = [] if bounded.upper is None else [replace(bounded, lower=None)]
    below = [] if bounded.lower is None else [replace(bounded, upper=None)]
    return [*above, *below]


def _unmet(bound: Constraint, values: FloatArray) -> str:
    """Words for a bound that none of the values ``(designs,)`` meets, with the nearest; empty if one meets it."""
    excess = bound.excess(values)[:, 0]
    nearest = float(values[np.nanargmin(excess)])
    if np.nanmin(excess) <= 0:
        return ""
    extreme = "least" if bound.lower is None else "greatest"
    return f"{_in_words(bound)}, the {extreme} is {_beyond(bound, nearest)}"


def _beyond(bound: Constraint, value: float) -> str:
    """Words for a value that does not meet a bound: exact where the rounded one would seem to meet it."""
    rounded = f"{value:g}"
    exact = bound.excess(np.array([float(rounded)])).item() <= 0
    return _with_unit(repr(value) if exact else rounded, bound)


def _in_words(bound: Constraint) -> str:
    return _with_unit(f"{bound.name} {bound.bounds}", bound)


def _with_unit(text: str, quantity: Constraint) -> str:
    return text if quantity.unit == "1" else f"{text} {quantity.unit}"
