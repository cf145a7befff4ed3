"""Genome: round trip, types, bounds, canonical form, exact size, messages."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moopim import Choice, ConfigError, Genome, Index, Integer, Permutation

names = st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=4, unique=True)


def _group(kind, name, repeat, length):
    values = {"numbers": (0.5, 2, 32), "words": ("S", "ReRAM"), "mixed": (None, "x", 3, (1, 2))}
    if kind in values:
        return Choice(name, values[kind], repeat, length)
    if kind == "integer":
        return Integer(name, -3, 4, repeat, length)
    return Index(name, 6, repeat, length) if kind == "index" else Permutation(name, 4)


@st.composite
def genomes(draw):
    groups = [Integer("depth", draw(st.integers(0, 2)), 3)]
    for name in draw(names):
        repeat = draw(st.none() | st.integers(3, 5))
        length = None if repeat is None else draw(st.sampled_from([None, "depth"]))
        kind = draw(st.sampled_from(["numbers", "words", "mixed", "integer", "index", "permutation"]))
        groups.append(_group(kind, name, repeat, length))
    return Genome(*groups)


@given(genomes(), st.integers(0, 2**32))
def test_encode_is_the_inverse_of_decode(genome, seed):
    X = genome.sample(20, np.random.default_rng(seed))
    assert np.array_equal(genome.encode(genome.decode(X)), X)


@given(genomes(), st.integers(0, 2**32))
def test_samples_are_integers_within_bounds_and_need_no_repair(genome, seed):
    X = genome.sample(20, np.random.default_rng(seed))
    assert X.dtype == np.int64
    assert (X >= 0).all()
    assert (genome.upper >= X).all()
    assert np.array_equal(genome.repair(X), X)
    assert np.array_equal(genome.canonical(X), X)


@given(genomes(), st.integers(0, 2**32), st.floats(0.1, 100))
def test_repair_makes_designs_of_any_numbers_and_is_idempotent(genome, seed, scale):
    numbers = np.random.default_rng(seed).normal(0, scale, (10, genome.n_genes))
    numbers[0, 0] = np.nan
    X = genome.repair(numbers)
    assert np.array_equal(genome.encode(genome.decode(X)), X)
    assert np.array_equal(genome.repair(X), X)


@given(genomes())
def test_decoded_columns_hold_allowed_values_only(genome):
    designs = genome.decode(genome.sample(30, np.random.default_rng(0)))
    for group in genome.groups:
        allowed = set(group.values.tolist())
        assert set(designs[group.name].ravel().tolist()) <= allowed


def test_equal_designs_are_equal_rows_whatever_their_inactive_genes_hold():
    genome = Genome(Integer("depth", 1, 3), Choice("width", (32, 64), repeat=3, length="depth"))
    X = np.array([[0, 1, 0, 1], [0, 1, 1, 0], [2, 1, 1, 0]])
    assert genome.canonical(X).tolist() == [[0, 1, 0, 0], [0, 1, 0, 0], [2, 1, 1, 0]]
    assert genome.decode(X).active("width").tolist() == [[True, False, False], [True, False, False], [True] * 3]


@pytest.mark.parametrize(
    "genome",
    [
        Genome(Choice("a", (1, 2, 4)), Integer("b", 5, 7, repeat=2)),
        Genome(Integer("depth", 0, 2), Choice("w", (1, 2, 3), repeat=2, length="depth"), Permutation("p", 3)),
        Genome(Integer("d", 1, 2), Index("w", 2, 2, "d"), Index("v", 3, 2, "d"), Integer("e", 1, 2)),
    ],
)
def test_size_counts_the_distinct_canonical_designs(genome):
    rows = np.array(list(itertools.product(*(range(n) for n in genome.n_values))))
    assert genome.size == len(np.unique(genome.repair(rows), axis=0))


@given(genomes())
def test_numbers_count_every_design_once(genome):
    numbers = np.arange(min(genome.size, 3_000))
    first, last = genome.unrank(numbers), genome.unrank(genome.size - 1 - numbers)
    for X in (first, last):
        assert np.array_equal(genome.repair(X), X)
        assert len(np.unique(X, axis=0)) == len(numbers)
    if genome.size > 6_000:
        assert len(np.unique([*first, *last], axis=0)) == 6_000


def test_numbers_are_in_order():
    genome = Genome(Index("tier", 3), Permutation("order", 4), Index("pe", 2, repeat=2))
    expected = list(itertools.product(range(3), itertools.permutations(range(4)), range(2), range(2)))
    assert genome.unrank(np.arange(288)).tolist() == [[tier, *order, *pe] for tier, order, *pe in expected]
    assert genome.unrank([]).shape == (0, 7)
    for wrong, message in (([288], r"numbers\[0\] is 288"), ([-1], "is -1"), ([0.5], "is 0.5"), ([[0]], "has shape")):
        with pytest.raises(ConfigError, match=message):
            genome.unrank(wrong)
    with pytest.raises(ConfigError, match="about 1e19 designs; expected at most 9,223,372,036,854,775,807"):
        Genome(Index("x", 2, repeat=63)).unrank([0])


def test_size_is_exact_beyond_floating_point():
    assert Genome(Index("pe", 48, repeat=37), Choice("tier", "SRF", repeat=4)).size == 48**37 * 81


def test_columns_slices_and_storage_type():
    genome = Genome(Choice("bits", (5, 7, 9), repeat=2), Index("pe", 300))
    assert genome.columns == ("bits_0", "bits_1", "pe")
    assert genome.slices == {"bits": slice(0, 2), "pe": slice(2, 3)}
    assert genome.storage_dtype == np.uint16


def test_fingerprint_depends_on_every_part():
    parts = [
        Genome(Choice("a", (1, 2))),
        Genome(Choice("a", (2, 1))),
        Genome(Choice("a", ("1", "2"))),
        Genome(Choice("b", (1, 2))),
        Genome(Integer("a", 1, 2)),
        Genome(Choice("a", (1, 2), repeat=1)),
    ]
    assert len({genome.fingerprint for genome in parts}) == len(parts)
    assert Genome(Choice("a", (1, 2))).fingerprint == parts[0].fingerprint


def test_mixed_values_keep_their_types():
    genome = Genome(Choice("v", (None, "x", 3)))
    assert genome.decode([[0], [1], [2]]).v.tolist() == [None, "x", 3]
    with pytest.raises(ConfigError, match="value y of gene group 'v'"):
        genome.encode({"v": np.array(["y", None], dtype=object)})


def test_repr_shows_every_group():
    genome = Genome(Integer("depth", 1, 8), Choice("bits", (5, 7), repeat=8, length="depth"))
    text = repr(genome)
    assert "Genome of 9 genes" in text
    assert "bits" in text
    assert "5 | 7" in text
    assert "first depth active" in text
    assert "<table>" in genome._repr_html_()


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([[0, 3]], "gene 'b' of design 0 is 3; allowed: whole numbers 0 .. 2"),
        ([[0, 1], [-1, 0]], "gene 'a' of design 1 is -1"),
        ([[0.5, 1.0]], "gene 'a' of design 0 is 0.5"),
        ([[0, 1, 2]], "expected (pop, 2)"),
        ([0, 1], "expected (pop, 2)"),
        ([["0", "1"]], "expected integers"),
    ],
)
def test_decode_names_the_wrong_gene(X, message):
    genome = Genome(Choice("a", (1, 2, 4)), Integer("b", 5, 7))
    with pytest.raises(ConfigError) as error:
        genome.decode(X)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [3], "b": [5]}, "value 3 of gene group 'a' is not allowed; allowed: 1 | 2 | 4"),
        ({"a": [1], "b": [8]}, "value 8 of gene group 'b' is not allowed; allowed: 5 .. 7"),
        ({"a": [1]}, "column 'b' is missing"),
        ({"a": [1], "b": [5], "c": [0]}, "unknown gene group 'c'"),
        ({"a": [1, 2], "b": [5]}, "column 'b' has shape (1,); expected (2,)"),
    ],
)
def test_encode_names_the_wrong_value(columns, message):
    genome = Genome(Choice("a", (1, 2, 4)), Integer("b", 5, 7))
    with pytest.raises(ConfigError) as error:
        genome.encode(columns)
    assert message in str(error.value)


def test_encode_refuses_an_order_with_a_repeated_index():
    with pytest.raises(ConfigError, match="holds an index twice"):
        Genome(Permutation("p", 3)).encode({"p": [[0, 1, 1]]})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Genome, "at least one gene group"),
        (lambda: Genome(Choice("a", (1,)), Choice("a", (2,))), "'a' is used twice"),
        (lambda: Genome(Choice("a", (1,), repeat=2), Choice("a_1", (2,))), "'a_1' is used twice"),
        (lambda: Genome(Choice("genes", (1,))), "reserved"),
        (lambda: Choice("a b", (1,)), "expected a public Python identifier"),
        (lambda: Choice("a", ()), "no allowed values"),
        (lambda: Choice("a", (1, 2, 1)), "repeated value"),
        (lambda: Choice("a", (1,), repeat=0), "repeat=0"),
        (lambda: Choice("a", (1,), length="d"), "no repeat="),
        (lambda: Integer("a", 3, 2), "expected low <= high"),
        (lambda: Index("a", 0), "size=0"),
        (lambda: Permutation("a", True), "size=True"),
        (lambda: Genome(Choice("w", (1, 2), repeat=2, length="d")), "length='d' of 'w'"),
        (lambda: Genome(Integer("d", 1, 3), Choice("w", (1, 2), repeat=2, length="d")), "cannot be the length"),
    ],
)
def test_bad_declarations_are_refused(make, message):
    with pytest.raises(ConfigError) as error:
        make()
    assert message in str(error.value)


def test_an_unknown_column_of_designs_is_an_attribute_error():
    designs = Genome(Choice("clock_mhz", (200, 400))).decode([[0]])
    with pytest.raises(AttributeError, match="did you mean 'clock_mhz'"):
        designs.clock_mhzz  # noqa: B018 (the access itself is the test)
