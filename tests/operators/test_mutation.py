"""Mutation: what changes, how often, and that designs stay designs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymoo.core.population import Population
from toys import Blocks, Buffers

from moopim import Choice, ConfigError, Genome, Index, Integer, Permutation
from moopim.operators import BlockMoveMutation, ResetMutation, SingleResetMutation, SwapMutation
from moopim.operators.mutation import move_block, reset, reset_one, reset_probabilities, swap

FUNCTIONS = [reset_one, swap, move_block]
PLAIN = Genome(Index("pe", 6, repeat=5), Choice("clock", (1, 2)))


@given(st.integers(0, 2**32), st.sampled_from(FUNCTIONS), st.sampled_from([Blocks().genome, PLAIN, Buffers().genome]))
def test_mutants_are_designs_and_parents_stay(seed, mutate, genome):
    rng = np.random.default_rng(seed)
    X = genome.sample(30, rng)
    before = X.copy()
    Y = mutate(genome, X, rng)
    assert np.array_equal(X, before)
    assert Y.dtype == np.int64
    genome.encode(genome.decode(Y))


def test_reset_one_changes_exactly_one_active_gene(rng):
    genome = Genome(Integer("depth", 1, 3), Choice("width", (1, 2, 4), repeat=3, length="depth"), Choice("one", (7,)))
    X = genome.sample(2000, rng)
    Y = reset_one(genome, X, rng)
    assert ((X != Y).sum(axis=1) == 1).all()
    changed = (X != Y).argmax(axis=1)
    active = np.column_stack([np.ones(len(X), bool), genome.decode(X).active("width")])
    assert active[np.arange(len(X)), changed].all()


def test_reset_one_reaches_every_gene_and_every_other_value(rng):
    X = np.zeros((5000, PLAIN.n_genes), dtype=np.int64)
    Y = reset_one(PLAIN, X, rng)
    for column, n in enumerate(PLAIN.n_values):
        counts = np.bincount(Y[:, column], minlength=n)[1:]
        assert counts.min() > 0.75 * 5000 / PLAIN.n_genes / (n - 1)


def test_reset_follows_the_probability_of_each_group(rng):
    prob = reset_probabilities(PLAIN, {"pe": 0.3})
    assert prob.tolist() == [0.3] * 5 + [1 / 6]
    X = PLAIN.sample(20_000, rng)
    changed = (reset(PLAIN, X, prob, rng) != X).mean(axis=0)
    assert changed == pytest.approx(prob, abs=0.015)


@pytest.mark.parametrize(("prob", "expected"), [(None, 1 / 6), (0.25, 0.25), ({}, 1 / 6)])
def test_reset_probability_defaults_to_one_gene_per_design(prob, expected):
    assert reset_probabilities(PLAIN, prob).tolist() == [expected] * 6


@pytest.mark.parametrize(("prob", "message"), [({"pes": 0.1}, "unknown gene group 'pes'"), (1.5, "probability 1.5")])
def test_bad_probabilities_are_refused(prob, message):
    with pytest.raises(ConfigError, match=message):
        reset_probabilities(PLAIN, prob)


def test_swap_exchanges_two_genes_of_one_group(rng):
    genome = Genome(Index("a", 9, repeat=4), Choice("b", (1, 2, 3)), Permutation("p", 4))
    X = genome.sample(1000, rng)
    Y = swap(genome, X, rng)
    for part in genome.slices.values():
        assert np.array_equal(np.sort(X[:, part], axis=1), np.sort(Y[:, part], axis=1))
    assert set((X != Y).sum(axis=1)) == {0, 2}  # 0 where the two genes were equal
    assert (X[:, 4] == Y[:, 4]).all()


def test_move_block_shifts_one_run_by_one_step(rng):
    genome = Genome(Index("pe", 48, repeat=7))
    X = genome.sample(1000, rng)
    step = (move_block(genome, X, rng) - X) % 48
    for row in step:
        moved = np.flatnonzero(row)
        assert len(moved) >= 1
        assert len(set(row[moved].tolist())) == 1
        assert np.array_equal(moved, np.arange(moved[0], moved[-1] + 1))


def test_move_block_takes_a_run_of_an_order_elsewhere():
    genome = Genome(Permutation("p", 6))
    rng = np.random.default_rng(0)
    X = np.tile(np.arange(6), (300, 1))
    Y = move_block(genome, X, rng)
    # Taking a run out and putting it elsewhere leaves at most three seams in 0, 1, ..., 5.
    assert (np.sort(Y, axis=1) == X).all()
    assert ((np.diff(Y, axis=1) != 1).sum(axis=1) <= 3).all()
    assert (Y != X).any(axis=1).all()


def test_a_genome_of_single_genes_can_neither_swap_nor_lose_its_bounds(rng):
    genome = Genome(Choice("a", (1, 2, 4)), Choice("b", (1, 2)))
    X = genome.sample(50, rng)
    assert np.array_equal(swap(genome, X, rng), X)
    genome.check(move_block(genome, X, rng))


@pytest.mark.parametrize("operator", [ResetMutation(), SingleResetMutation(), SwapMutation(), BlockMoveMutation()])
def test_pymoo_operators_use_the_given_generator(operator):
    problem = Blocks()
    X = problem.genome.sample(30, np.random.default_rng(0))
    results = []
    for _ in range(2):
        pop = Population.new("X", X.copy())
        results.append(operator(problem, pop, random_state=np.random.default_rng(5)).get("X"))
    assert np.array_equal(*results)
    assert results[0].dtype == np.int64
    assert not np.array_equal(results[0], X)
