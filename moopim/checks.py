"""Checks of arguments: arrays of numbers and single numbers."""

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from moopim.errors import ConfigError

_LONGEST = 60  # letters of a value in a message
_UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


def numbers(
    what: str,
    given: object,
    shape: Sequence[int | str] | None,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    whole: bool = False,
    values: bool = True,
) -> NDArray[Any]:
    """Check an array of finite numbers and return it.

    Args:
        what: Name of the argument, for messages.
        given: Array, or anything that `numpy.asarray` accepts.
        shape: Length of each axis, or a word for an axis of any length; any shape if not given.
        least: Smallest number that is allowed.
        most: Largest number that is allowed.
        whole: Whether fractions are refused.
        values: Whether numbers are checked besides shape and type, which cost next to nothing.

    Returns:
        Whole numbers in the type that they were given in, or ``int64``; others as ``float64``; the array as given if
        its numbers are not checked.

    Raises:
        ConfigError: It holds no numbers, the shape is wrong, or a number is not finite or out of range; names argument,
            index, value and what is allowed.
    """
    try:
        found = given if isinstance(given, np.ndarray) else np.asarray(given)
    except ValueError:  # rows of different lengths
        raise ConfigError(f"{what} has rows of different lengths; expected {_shape_text(shape)}") from None
    if not found.size and found.dtype.kind == "f":  # an empty list
        found = found.astype(np.int64 if whole else np.float64)
    if found.dtype.kind not in ("iu" if whole and not values else "iuf"):
        raise ConfigError(f"{what} holds {_type_text(given, found)}; expected {_expected(least, most, whole)}")
    if shape is not None and not _fits(found.shape, shape):
        raise ConfigError(f"{what} has shape {found.shape}; expected {_shape_text(shape)}")
    if values and found.size:
        _check_values(what, found, least, most, whole)
    if not values:
        return found
    if whole:
        return found.astype(np.int64) if found.dtype.kind == "f" else found
    return np.asarray(found, dtype=np.float64)


def number(
    what: str, given: object, *, least: float = -math.inf, most: float = math.inf, positive: bool = False
) -> float:
    """Check that a number is finite and within bounds, above 0 if ``positive``; return it."""
    if isinstance(given, Real) and not isinstance(given, bool | np.bool_):
        found = float(given)
        if math.isfinite(found) and least <= found <= most and (found > 0 or not positive):
            return found
    raise ConfigError(f"{what} is {_word(given)}; expected {_expected(least, most, False, positive, many=False)}")


def is_whole(number: object, least: int, most: int | None = None) -> TypeGuard[int]:
    """Whether a value is a whole number within bounds; True and False are none."""
    if isinstance(number, bool) or not isinstance(number, Integral):
        return False
    return least <= int(number) and (most is None or int(number) <= most)


def whole_number(what: str, given: object, least: int, most: int | None = None) -> int:
    """Check that a number is whole and within bounds; return it."""
    if not is_whole(given, least, most):
        expected = f"{least}, {least + 1}, ..." if most is None else f"{least} .. {most}"
        raise ConfigError(f"{what} is {_word(given)}; expected {expected}")
    return int(given)


def check_broadcast(**arrays: NDArray[Any]) -> None:
    """Raise ConfigError unless the shapes of arrays, given by name, broadcast."""
    try:
        np.broadcast_shapes(*(found.shape for found in arrays.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {found.shape}" for name, found in arrays.items())
        raise ConfigError(f"shapes do not broadcast: {shapes}; expected one shape, or 1 in place of a length") from None


def check_shapes(**arrays: tuple[NDArray[Any], tuple[int, ...]]) -> None:
    """Raise ConfigError unless arrays have the expected shapes; fast enough for each step of a search."""
    for name, (found, expected) in arrays.items():
        if np.shape(found) != expected:
            raise ConfigError(f"{name} has shape {np.shape(found)}; expected {_shape_text(expected)}")


def _check_values(what: str, found: NDArray[Any], least: float, most: float, whole: bool) -> None:
    signed = found.dtype.kind == "i" and most < 1 << (8 * found.itemsize - 1)
    # In one pass: seen as unsigned, negative numbers are the largest.
    if least == 0 and signed and found.view(_UNSIGNED[found.itemsize]).max() <= most:
        return
    low, high = found.min(), found.max()  # NaN if there is one, which compares as False
    if (
        low >= least
        and high <= most
        and (found.dtype.kind != "f" or (-math.inf < low and high < math.inf and not whole))
    ):
        return
    good = np.isfinite(found) & (found >= least) & (found <= most)
    if whole:
        good &= found == np.floor(found)
    if good.all():
        return
    place = np.unravel_index(int((~good).argmax()), good.shape)
    where = f"[{', '.join(map(str, place))}]" if place else ""
    raise ConfigError(f"{what}{where} is {found[place]}; expected {_expected(least, most, whole)}")


def _fits(shape: tuple[int, ...], expected: Sequence[int | str]) -> bool:
    return len(shape) == len(expected) and all(
        have == want or isinstance(want, str) for have, want in zip(shape, expected, strict=True)
    )


def _shape_text(shape: Sequence[int | str] | None) -> str:
    if shape is None:
        return "an array"
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def _type_text(given: object, found: NDArray[Any]) -> str:
    """Type of the elements of an array that is not numeric, in words."""
    if found.dtype.kind == "O":
        return _word(found.flat[0]) if found.size else "no numbers"
    return f"{_word(found.flat[0].item())}" if found.size else f"values of type {found.dtype}"


def _word(given: object) -> str:
    """Short representation of a value."""
    text = " ".join(repr(given).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _expected(least: float, most: float, whole: bool, positive: bool = False, *, many: bool = True) -> str:
    kind = ("whole numbers" if whole else "finite numbers") if many else "a number"
    if positive:
        return f"{kind} > 0" + (f" and at most {most:g}" if most < math.inf else "")
    if least > -math.inf:
        return f"{kind} from {least:g}" + (f" to {most:g}" if most < math.inf else "")
    return f"{kind} up to {most:g}" if most < math.inf else kind
