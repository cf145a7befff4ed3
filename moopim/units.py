"""Units of constants: products of SI units with prefixes, compared by dimension, converted without double rounding."""

import re
from fractions import Fraction
from typing import NamedTuple

_PREFIXES = {
    "": 0,
    "a": -18,
    "f": -15,
    "p": -12,
    "n": -9,
    "u": -6,
    "\N{MICRO SIGN}": -6,
    "\N{GREEK SMALL LETTER MU}": -6,
    "m": -3,
    "c": -2,
    "k": 3,
    "M": 6,
    "G": 9,
    "T": 12,
}
# Symbol -> scale and powers of metre, second, kelvin, joule, ampere and bit. S is a sample, as in GS/s, no siemens.
_SYMBOLS: dict[str, tuple[Fraction, dict[str, int]]] = {
    "m": (Fraction(1), {"m": 1}),
    "s": (Fraction(1), {"s": 1}),
    "min": (Fraction(60), {"s": 1}),
    "h": (Fraction(3600), {"s": 1}),
    "Hz": (Fraction(1), {"s": -1}),
    "K": (Fraction(1), {"K": 1}),
    "J": (Fraction(1), {"J": 1}),
    "W": (Fraction(1), {"J": 1, "s": -1}),
    "A": (Fraction(1), {"A": 1}),
    "V": (Fraction(1), {"J": 1, "s": -1, "A": -1}),
    "ohm": (Fraction(1), {"J": 1, "s": -1, "A": -2}),
    "\N{GREEK CAPITAL LETTER OMEGA}": (Fraction(1), {"J": 1, "s": -1, "A": -2}),
    "\N{OHM SIGN}": (Fraction(1), {"J": 1, "s": -1, "A": -2}),
    "bit": (Fraction(1), {"bit": 1}),
    "B": (Fraction(8), {"bit": 1}),
    "S": (Fraction(1), {}),
    "%": (Fraction(1, 100), {}),
}
_ALIASES = {"bits": "bit", "byte": "B", "bytes": "B", "W/mK": "W/(m K)", "cycles": "cycle", "flits": "flit"}
_CELSIUS = ("degC", "\N{DEGREE SIGN}C", "\N{DEGREE CELSIUS}")
_ZERO_CELSIUS_K = 273.15  # by definition of the degree Celsius (SI Brochure, 9th ed., 2019, section 2.3.1)
_TOKEN = re.compile(r"\s*(?:(1(?!\d)|%|[^\W\d_]+)(?:\^?(-?[1-9]))?|([/()*\N{MIDDLE DOT}]))\s*")
_LONGEST = 40


class _Unit(NamedTuple):
    """Scale of a unit in terms of those without prefixes, and the power of each of its dimensions."""

    scale: Fraction
    powers: dict[str, int]

    def times(self, other: "_Unit", power: int) -> "_Unit":
        """Product with a power of another unit."""
        names = {*self.powers, *other.powers}
        powers = {name: self.powers.get(name, 0) + power * other.powers.get(name, 0) for name in names}
        return _Unit(self.scale * other.scale**power, {name: number for name, number in powers.items() if number})


def convert(number: float, unit: str, ours: str, *, absolute: bool = False) -> float | None:
    """Convert a number between units such as ``nJ``, ``W/(m K)``, ``mm2``, ``Gbit/s`` or ``1``; ``S`` is a sample.

    The number stays the very same where both units are one. None if they differ in dimension, or one is unknown and
    they are not written alike. An ``absolute`` temperature, no difference of two, may be in degC.
    """
    if unit == ours:
        return number
    if unit in _CELSIUS and ours == "K" and absolute:
        return number + _ZERO_CELSIUS_K
    theirs, wanted = _parse(unit), _parse(ours)
    if theirs is None or wanted is None or theirs.powers != wanted.powers:
        return None
    factor = theirs.scale / wanted.scale
    return number if factor == 1 else number * factor.numerator / factor.denominator


def _parse(text: str) -> _Unit | None:
    """Parse a unit; None for another text."""
    text = _ALIASES.get(text, text).replace("\N{SUPERSCRIPT TWO}", "2")
    tokens = list(_TOKEN.finditer(text)) if len(text) <= _LONGEST else []
    if sum(len(token[0]) for token in tokens) != len(text) or not any(token[1] for token in tokens):
        return None
    unit, signs, sign = _Unit(Fraction(1), {}), [1], 1
    for symbol, power, mark in (token.groups() for token in tokens):
        if symbol:
            found = _symbol(symbol)
            if found is None:
                return None
            unit, sign = unit.times(found, signs[-1] * sign * int(power or 1)), 1
        elif mark == "/":
            sign = -1
        elif mark == "(":
            signs, sign = [*signs, signs[-1] * sign], 1
        elif mark == ")":
            signs = signs[:-1] or [0]
    return unit if signs == [1] and sign == 1 else None


def _symbol(symbol: str) -> _Unit | None:
    """Unit of a symbol, with a prefix or without."""
    if symbol == "1":
        return _Unit(Fraction(1), {})
    symbol = _ALIASES.get(symbol, symbol)
    for prefix, power in _PREFIXES.items():
        if symbol.startswith(prefix) and symbol.removeprefix(prefix) in _SYMBOLS:
            scale, powers = _SYMBOLS[symbol.removeprefix(prefix)]
            return _Unit(scale * Fraction(10) ** power, powers)
    return None
