"""Controlled randomness: equal in equal blocks, the caller's generators as before, threads apart."""

import random
import threading

import numpy as np
import pytest

from moopim.randomness import controlled_randomness, randomness_key


def draws():
    """One number from every kind of generator that a block controls, seeded by nobody."""
    fresh = [random.Random().random(), np.random.default_rng().random()]  # noqa: S311
    fresh += [np.random.Generator(np.random.Philox()).random(), np.random.RandomState().rand()]
    shared = [random.random(), np.random.rand(), np.random.normal()]  # noqa: NPY002, S311
    np.random.seed()  # noqa: NPY002
    random.seed()
    return [*fresh, *shared, np.random.rand(), random.random(), np.random.SeedSequence().entropy]  # noqa: NPY002, S311


def controlled_draws(*key):
    with controlled_randomness(*key):
        return draws()


def test_every_number_of_a_block_follows_from_its_key():
    first, again, other, nested = (controlled_draws(*key) for key in ((1,), (1,), (2,), (1, 1)))
    assert first == again
    values = [*first, *other, *nested]
    assert len(set(values)) == len(values)
    assert not set(draws()) & set(draws())  # no longer controlled


def test_the_generators_of_the_caller_are_as_before_after_an_error():
    def sequence(between):
        random.seed(5)
        np.random.seed(5)  # noqa: NPY002
        np.random.normal()  # noqa: NPY002 (numpy keeps the second of a pair of normal numbers)
        between()
        return [random.random(), *np.random.normal(size=2)]  # noqa: NPY002, S311

    def fail():
        with pytest.raises(ZeroDivisionError), controlled_randomness(1):
            draws()[0] / 0

    assert sequence(fail) == sequence(lambda: None)
    assert randomness_key() is None


def test_another_global_generator_of_the_caller_is_put_back():
    before = np.random.get_bit_generator()
    try:
        np.random.set_bit_generator(np.random.PCG64(3))
        expected = controlled_draws(1)
        after = np.random.rand()  # noqa: NPY002
    finally:
        np.random.set_bit_generator(before)
    assert expected == controlled_draws(1)
    assert after == np.random.Generator(np.random.PCG64(3)).random()


def test_an_inner_block_changes_nothing_of_the_outer_one():
    with controlled_randomness(4):
        plain = draws()
    with controlled_randomness(4):
        first = np.random.default_rng().random()
        with controlled_randomness(9):
            assert randomness_key() == (9,)
            draws()
        assert randomness_key() == (4,)
    with controlled_randomness(4):
        random.Random()  # noqa: S311 (takes the first seed, as in `draws`)
        assert first != np.random.default_rng().random() == plain[1]


@pytest.mark.parametrize("n_normal", [1, 2])
def test_global_numbers_go_on_after_an_inner_block(n_normal):
    def numbers(between):
        with controlled_randomness(4):
            # Numpy makes normal numbers in pairs and keeps the second one.
            first = [random.random(), *np.random.normal(size=n_normal)]  # noqa: NPY002, S311
            between()
            return [*first, random.random(), *np.random.normal(size=2), np.random.get_state()[1].tolist()]  # noqa: NPY002, S311

    def inner():
        with controlled_randomness(9):
            controlled_draws(3)
            assert np.random.get_state()[1].any()  # noqa: NPY002
            draws()

    assert numbers(inner) == numbers(lambda: None)


def test_threads_do_not_disturb_each_other():
    # The blocks overlap: each enters before the other leaves. Global generators are shared and not drawn from.
    barrier, found = threading.Barrier(2), {}

    def work(key):
        with controlled_randomness(key):
            values = []
            for _ in range(50):
                barrier.wait()
                values.append(np.random.default_rng().random())
            found[key] = values

    def alone(key):
        with controlled_randomness(key):
            return [np.random.default_rng().random() for _ in range(50)]

    np.random.seed(7)  # noqa: NPY002
    threads = [threading.Thread(target=work, args=(key,)) for key in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = np.random.rand()  # noqa: NPY002
    assert found == {1: alone(1), 2: alone(2)}
    assert after == np.random.RandomState(7).rand()
