"""Arguments of functions: what `moopim.checks` lets through, and how public functions refuse the rest, in one line."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from refusals import check_refused

from moopim import Choice, ConfigError, Genome, pareto
from moopim.checks import number, numbers, whole_number
from moopim.operators.crossover import exchange, point_mask, uniform_mask
from moopim.operators.duplicates import row_keys
from moopim.operators.mutation import move_block, reset, reset_one, swap
from moopim.operators.sampling import latin_hypercube


@given(
    arrays.arrays(
        st.sampled_from([np.int8, np.int64, np.uint8, np.float64, np.float32]),
        arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    ),
    st.integers(-5, 5),
    st.integers(0, 5),
    st.booleans(),
)
def test_numbers_are_let_through_exactly_where_all_of_them_are_allowed(array, least, width, whole):
    most = least + width
    allowed = all(
        math.isfinite(x) and least <= x <= most and not (whole and x != math.floor(x)) for x in array.ravel().tolist()
    )
    if allowed:
        found = numbers("x", array, array.shape, least=least, most=most, whole=whole)
        assert found.tolist() == array.tolist()
        assert found.dtype.kind in ("iu" if whole else "f")
    else:
        with pytest.raises(ConfigError, match=f"^x.* is .*; expected {'whole' if whole else 'finite'} numbers from"):
            numbers("x", array, array.shape, least=least, most=most, whole=whole)


@pytest.mark.parametrize(
    ("array", "options", "message"),
    [
        ([[1, 2], [3, -1]], {"least": 0}, r"x[1, 1] is -1; expected finite numbers from 0"),
        ([[1.0, math.nan]], {}, r"x[0, 1] is nan; expected finite numbers"),
        ([[1.0, 2.5]], {"whole": True, "most": 3}, r"x[0, 1] is 2.5; expected whole numbers up to 3"),
        ([1, 2], {}, r"x has shape (2,); expected (rows, 2)"),
        ([[1, 2, 3]], {}, r"x has shape (1, 3); expected (rows, 2)"),
        ([[1, 2], [3]], {}, r"x has rows of different lengths; expected (rows, 2)"),
        ([["a", "b"]], {}, r"x holds 'a'; expected finite numbers"),
        ([[True, False]], {}, r"x holds True; expected finite numbers"),
        (None, {}, r"x holds None; expected finite numbers"),
        ([[1j, 2]], {}, r"x holds 1j; expected finite numbers"),
        (np.zeros((0, 2), dtype="U1"), {}, r"x holds values of type <U1; expected finite numbers"),
        (np.array([[1.5, 2]]), {"whole": True, "values": False}, r"x holds 1.5; expected whole numbers"),
    ],
)
def test_arrays_are_refused_in_words(array, options, message):
    with pytest.raises(ConfigError) as error:
        numbers("x", array, ("rows", 2), **options)
    assert str(error.value) == message


@pytest.mark.parametrize("given", [-1, 0.5, True, "1", None, [1], math.nan, math.inf, 10**30])
def test_single_numbers_are_refused_in_words(given):
    with pytest.raises(ConfigError, match=r"^n is .*; expected 0 \.\. 9$"):
        whole_number("n", given, 0, 9)
    if given != 0.5:
        with pytest.raises(ConfigError, match=r"^x is .*; expected a number > 0 and at most 9$"):
            number("x", given, positive=True, most=9)


def test_numbers_of_numpy_are_numbers():
    assert whole_number("n", np.uint8(3), 1) == number("x", np.float32(3.0), least=0) == 3


GENOME = Genome(Choice("a", (1, 2, 3), repeat=3), Choice("b", (4, 5)))
X = np.zeros((4, 4), dtype=np.int64)
F = np.array([[0.0, 1.0], [1.0, 0.0]])
RNG = np.random.default_rng(1)

REFUSED = {
    "hypervolume of text": (lambda: pareto.hypervolume([["x", "y"]], 1.0), "objectives are no numbers"),
    "hypervolume of rows": (lambda: pareto.hypervolume([[1.0], [1.0, 2.0]], 1.0), "objectives are no numbers"),
    "reference of three": (lambda: pareto.hypervolume(F, [1.0, 1.0, 1.0]), r"reference point has shape \(3,\)"),
    "reference NaN": (lambda: pareto.hypervolume(F, math.nan), "reference point is nan"),
    "reference below": (lambda: pareto.normalised_hypervolume(F, 0.0, 1.0, -1.0), r"reference is -1.0; .* > 0"),
    "ideal of three": (lambda: pareto.normalise(F, [0.0] * 3, 1.0), r"ideal point has shape \(3,\); expected \(2,\)"),
    "ideal NaN": (lambda: pareto.normalise(F, [0.0, math.nan], 1.0), r"ideal point\[1\] is nan"),
    "nadir infinite": (lambda: pareto.normalise(F, 0.0, math.inf), "nadir point is inf"),
    "IGD+ of three": (lambda: pareto.igd_plus(F, np.ones((2, 3))), "front has 3 objectives; expected 2"),
    "no objectives": (lambda: pareto.non_dominated(np.ones(3)), r"objectives have shape \(3,\)"),
    "genes of rows": (lambda: GENOME.check([[0], [0, 1]]), "genes have rows of different lengths"),
    "genes too few": (lambda: GENOME.canonical(X[:, :3]), r"genes have shape \(4, 3\); expected \(pop, 4\)"),
    "genes out of range": (lambda: GENOME.decode(X + 2), "gene 'b' of design 0 is 2; allowed"),
    "repair of text": (lambda: GENOME.repair([["x"] * 4]), r"shape \(1, 4\) and type"),
    "repair of a row": (lambda: GENOME.repair([0, 1, 0, 1]), r"genes have shape \(4,\)"),
    "sample": (lambda: GENOME.sample(-1, RNG), "n is -1; expected 0, 1, ..."),
    "hypercube": (lambda: latin_hypercube(GENOME, 1.5, RNG), "n is 1.5; expected 0, 1, ..."),
    "uniform mask": (lambda: uniform_mask(GENOME, 3, math.nan, RNG), "prob_exchange is nan; expected a number from 0"),
    "point mask": (lambda: point_mask(GENOME, 3, -1, RNG), "n_points is -1"),
    "exchange": (lambda: exchange(np.stack([X, X, X]), X > 0), r"parents have shape \(3, 4, 4\)"),
    "exchange mask": (lambda: exchange(np.stack([X, X]), X[:2] > 0), r"the mask \(2, 4\)"),
    "keys of a row": (lambda: row_keys(np.arange(3)), r"rows have shape \(3,\)"),
    "keys of nothing": (lambda: row_keys(np.zeros((3, 0))), r"rows have shape \(3, 0\)"),
    "probabilities": (lambda: reset(GENOME, X, np.ones(3), RNG), r"prob has shape \(3,\); expected \(4,\)"),
    "reset": (lambda: reset(GENOME, X.astype(float), np.ones(4), RNG), "type float64; expected an array of integers"),
    "reset one": (lambda: reset_one(GENOME, X[:, :2], RNG), r"genes have shape \(4, 2\)"),
    "swap": (lambda: swap(GENOME, X[0], RNG), r"genes have shape \(4,\)"),
    "move block": (lambda: move_block(GENOME, X.tolist(), RNG), r"genes have shape \(4, 4\); expected an array"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_public_functions_refuse_what_they_cannot_use(case):
    check_refused(*REFUSED[case])
