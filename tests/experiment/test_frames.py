"""Frames: names, units, natural sign, order, the front against brute force."""

import numpy as np
import pandas as pd
import pytest
from toys import Blocks, Buffers

from moopim import Choice, ConfigError, Constraint, Genome
from moopim.evaluator import Evaluator
from moopim.experiment.frames import (
    evaluations_frame,
    front_frame,
    genes_frame,
    least_violating,
    minimised,
    missed_bounds,
    read_designs,
)

NOTHING = np.empty((0, 1))


def evaluated(problem, rng, n=200, returned=NOTHING):
    evaluator = Evaluator(problem)
    evaluator.problem.evaluate(problem.genome.sample(n, rng))
    evaluator.commit(1)
    evaluator.problem.evaluate(problem.genome.sample(n // 2, rng))
    evaluator.commit(2)
    return evaluations_frame(problem, evaluator.batches, returned)


def test_columns_are_named_and_carry_units(rng):
    frame = evaluated(Buffers(), rng)
    genes = [f"buffer_kb_{i}" for i in range(6)] + ["clock_mhz"]
    quantities = ["energy_mJ", "latency_ms", "hit_rate", "area_mm2", "words"]
    assert list(frame) == ["evaluation", "generation", *genes, *quantities, "feasible", "cached", "returned"]
    assert frame["evaluation"].tolist() == list(range(1, 301))
    assert frame["generation"].tolist() == [1] * 200 + [2] * 100
    assert (frame["hit_rate"] > 0).all()  # natural sign
    assert frame["feasible"].equals(frame["area_mm2"] <= 2.0)


def test_genes_are_decoded(rng):
    X = Blocks().genome.sample(20, rng)
    frame = genes_frame(Blocks().genome, X)
    assert frame["depth"].tolist() == (X[:, 0] + 1).tolist()
    assert frame["width_0"].tolist() == [(32, 64, 128)[i] for i in X[:, 1]]


def test_designs_are_read_back_from_a_frame(rng, tmp_path):
    mixed = Genome(
        Choice("kernel", ((3, 3), (5, 5), None), repeat=2), Choice("kind", ("a", "b")), Choice("bits", (4, 8))
    )
    for genome in (mixed, Blocks().genome):
        X = genome.sample(30, rng)
        assert read_designs(genome, genes_frame(genome, X)).genes.tolist() == X.tolist()
    frame = genes_frame(mixed, mixed.sample(3, rng))
    with pytest.raises(
        ConfigError, match=r"no column 'kind'; expected one for each gene: kernel_0 .. kernel_1, kind, bits$"
    ):
        read_designs(mixed, frame.drop(columns="kind"))
    with pytest.raises(ConfigError, match="value 5 of gene group 'bits' is not allowed"):
        read_designs(mixed, frame.assign(bits=5))


def test_front_holds_the_non_dominated_feasible_designs_best_first(rng):
    problem = Buffers()
    frame = evaluated(problem, rng)
    front = front_frame(frame, problem.objectives)
    F = minimised(frame[frame["feasible"]], problem.objectives)
    better = (F[:, None] <= F).all(axis=2) & (F[:, None] < F).any(axis=2)
    expected = {tuple(row) for row in F[~better.any(axis=0)]}
    found = minimised(front, problem.objectives)
    assert {tuple(row) for row in found} == expected
    assert len(found) == len(expected)
    assert front["energy_mJ"].is_monotonic_increasing
    assert not front["returned"].any()
    assert (
        front_frame(evaluated(problem, np.random.default_rng(1), returned=found[:2]), problem.objectives)[
            "returned"
        ].sum()
        == 2
    )


def test_a_maximised_first_objective_starts_with_its_largest_value(rng):
    problem = Buffers()
    objectives = problem.objectives[::-1]
    front = front_frame(evaluated(problem, rng), objectives)
    assert front["hit_rate"].is_monotonic_decreasing


def test_least_violating_designs_come_in_order(rng):
    frame = evaluated(Buffers(), rng)
    frame = frame[~frame["feasible"]].reset_index(drop=True)
    nearest = least_violating(frame, Buffers().constraints, n=5)
    assert nearest["area_mm2"].tolist() == sorted(frame.drop_duplicates("evaluation")["area_mm2"])[:5]


def test_bounds_that_a_design_misses_have_its_values():
    violation, area = Constraint("violation", upper=0.0), Constraint("area", "mm2", upper=2.0)
    limits = [Constraint("peak", "K", upper=350.0), Constraint("gain", lower=0.5)]
    row = pd.DataFrame({"violation": [0.2], "area_mm2": [2.0000000001], "peak_K": [360.0], "gain": [np.nan]})
    assert missed_bounds(row, [violation, area], limits) == [
        "peak 360 K is not <= 350",
        "area 2.0000000001 mm2 is not <= 2",
    ]
    assert missed_bounds(row.assign(peak_K=np.nan), [violation], limits) == ["violation 0.2 is not <= 0"]
    assert missed_bounds(row.assign(violation=0.0, peak_K=350.0), [violation], limits) == []


def test_nothing_evaluated_makes_empty_frames():
    problem = Buffers()
    frame = evaluations_frame(problem, [], np.empty((0, 3)))
    assert len(frame) == 0
    assert len(front_frame(frame, problem.objectives)) == 0


@pytest.mark.parametrize("problem", [Buffers(), Blocks()], ids=lambda problem: type(problem).__name__)
def test_frames_do_not_depend_on_the_storage_type(problem, rng):
    frame = evaluated(problem, rng)
    X = problem.genome.encode(
        {
            g.name: frame[list(g.columns)].to_numpy().reshape(len(frame), *([] if g.repeat is None else [g.repeat]))
            for g in problem.genome.groups
        }
    )
    table = problem.tabulate(X)
    for i, quantity in enumerate(problem.quantities):
        assert np.array_equal(frame[quantity.column], table[:, i])
