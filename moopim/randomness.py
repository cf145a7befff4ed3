"""Control of randomness: all generators of Python and NumPy follow the seed of a run; the caller's are restored.

An optimiser that takes all its random numbers from one seeded generator needs none of this. Many do not: a function
called without a generator makes one (``np.random.default_rng()``), others draw from the global ones.
"""

import random
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any, TypeAlias

import numpy as np
from numpy.random import bit_generator
from numpy.random.mtrand import get_bit_generator, set_bit_generator

_State: TypeAlias = tuple[Any, Any, Any]

_seed_random, _seed_global = random.Random.seed, random.seed
_local = threading.local()
_lock = threading.Lock()
_outside: list[_State] = []
_n_active = 0
_spare: "list[MT19937]" = []  # making one takes long


@contextmanager
def controlled_randomness(*key: int) -> Iterator[None]:
    """Let every random number of a block follow from a key; afterwards the generators are as they were before.

    Controlled are the global generators of `random` and `numpy.random`, and whatever is made without a seed by
    `random.Random` or by NumPy (``default_rng()``, ``RandomState()``, ``SeedSequence()``, bit generators). Blocks can
    be nested. A generator made without a seed belongs to the thread that makes it, so that blocks in several threads
    do not disturb each other; the global generators are one per process and shared by its threads. `secrets`,
    `os.urandom` and `uuid` are left alone, as are generators of other libraries.
    """
    own = _spare.pop() if _spare else MT19937(0)
    own.aside = False
    before, outer = _enter(), vars(_local).copy()
    try:
        words = np.random.SeedSequence(key).generate_state(12)
        _local.key = key
        _local.source = words[:4].tobytes()
        random.seed(words[4:8].tobytes())
        set_bit_generator(own)
        np.random.seed(words[8:])  # noqa: NPY002 (the global generator is what must be seeded)
        yield
    finally:
        vars(_local).clear()
        vars(_local).update(outer)
        _leave(before)
        _spare.append(own)


def randomness_key() -> tuple[int, ...] | None:
    """Return the key of the innermost block of this thread; None outside."""
    return getattr(_local, "key", None)


def _entropy(n_bits: int) -> int:
    source = getattr(_local, "source", None)
    if source is None:
        return secrets.randbits(n_bits)
    if isinstance(source, bytes):  # few blocks ask, so that only these make a generator
        source = _local.source = random.Random(source)  # noqa: S311 (reproducible on purpose)
    return int(source.getrandbits(n_bits))


def _seed(self: random.Random, a: Any = None, version: int = 2) -> None:
    _seed_random(self, _entropy(128) if a is None else a, version)


class MT19937(np.random.MT19937):
    """Global generator of a block; while an inner block has another in its place, it is set aside with its numbers.

    Copying them, as for generators from outside, takes longer than a small model. States carry the name of the class.
    """

    aside = False

    @property
    def state(self) -> Any:
        """State, without its numbers while it is set aside."""
        return {"bit_generator": "MT19937", "state": None} if self.aside else super().state

    @state.setter
    def state(self, value: Any) -> None:
        if not self.aside:
            np.random.MT19937.state.__set__(self, value)  # type: ignore[attr-defined]


def _capture() -> _State:
    generator = get_bit_generator()
    if isinstance(generator, MT19937):
        generator.aside = True
    # The state holds the second half of a pair of normal numbers, which the bit generator does not.
    return random.getstate(), generator, np.random.get_state(legacy=False)  # noqa: NPY002


def _restore(state: _State) -> None:
    python, generator, numpy_state = state
    random.setstate(python)
    set_bit_generator(generator)
    np.random.set_state(numpy_state)  # noqa: NPY002
    if isinstance(generator, MT19937):
        generator.aside = False


def _enter() -> _State:
    """Count a block; the first one of the process puts `_entropy` where NumPy and Python ask the system for some."""
    global _n_active  # noqa: PLW0603 (one count per process)
    with _lock:
        before = _capture()
        if _n_active == 0:
            _outside.append(before)
            vars(bit_generator)["randbits"] = _entropy
            random.Random.seed = _seed  # type: ignore[method-assign]
            random.seed = MethodType(_seed, _seed_global.__self__)  # type: ignore[attr-defined]
        _n_active += 1
    return before


def _leave(before: _State) -> None:
    """End a block; blocks of several threads may overlap, so the last one puts back what the first one found."""
    global _n_active  # noqa: PLW0603 (one count per process)
    with _lock:
        _n_active -= 1
        if _n_active == 0:
            vars(bit_generator)["randbits"] = secrets.randbits
            random.Random.seed, random.seed = _seed_random, _seed_global  # type: ignore[method-assign]
            before = _outside.pop()
        _restore(before)
