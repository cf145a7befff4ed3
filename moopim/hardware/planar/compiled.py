"""Whether loops that numba compiles take the place of array code; both give the same bits."""

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

__all__ = ["compiled_loops"]

# Array code takes about as long for so many positions as compiling takes.
_WORTH_COMPILING = 100_000_000


class _Work:
    """What has been computed in this process so far."""

    positions = 0


def compiled_loops(positions: int) -> ModuleType | None:
    """Finds the compiled loops once enough has been computed for them to pay off.

    Args:
        positions: Output positions of layers that are to be computed now.

    Returns:
        The module `moopim.hardware.planar._loops`; ``None`` as long as little has been computed, or without numba.
    """
    _Work.positions += positions
    return _load() if _Work.positions >= _WORTH_COMPILING else None


@cache
def _load() -> ModuleType | None:
    return import_module("moopim.hardware.planar._loops") if find_spec("numba") else None
