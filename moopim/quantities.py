"""Quantities of a design with their units: objectives, constraints and further metrics."""

import keyword
import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from moopim.errors import ConfigError
from moopim.typing import FloatArray

# Symbols of units -> words in column names; they are looked up in their compatible form (NFKC).
_SYMBOLS = {"%": "pct", "\u2030": "permille", "\u00b0": "deg", "\u03bc": "u", "\u03a9": "ohm"}
_SEPARATORS = "_-./*^,;:'\"()[]{}|\u2010\u2212\u2013\u2044\u00b7\u22c5\u00d7"


@dataclass(frozen=True)
class Quantity:
    """Quantity of a design, with its unit.

    Attributes:
        name: Python identifier, the key under which a problem returns the quantity.
        unit: Unit as it appears in column names and on axes, such as ``"mJ"``; ``"1"`` for a pure number.
    """

    name: str
    unit: str = "1"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier() or keyword.iskeyword(self.name):
            raise ConfigError(f"{type(self).__name__} name {self.name!r} is not allowed; expected a Python identifier")
        if not isinstance(self.unit, str) or not self.unit or self.unit != self.unit.strip():
            raise ConfigError(
                f"unit {self.unit!r} of {self.name!r} is not allowed; expected text such as 'mJ', '1' for a pure number"
            )

    @property
    def column(self) -> str:
        """Name of the column in result frames: ``energy_mJ``, or just the name of a pure number.

        A name that ends with its unit does not get it twice. In a unit ``%`` is ``pct``, ``°C`` ``degC``, ``µ`` ``u``
        and ``Ω`` ``ohm``; ``²`` is ``2``, other symbols have their names, and what separates or combines units becomes
        an underscore.
        """
        return self.name if self.unit == "1" or self._ends_with_unit else f"{self.name}_{_column_unit(self.unit)}"

    @property
    def label(self) -> str:
        """Name of an axis: ``energy (mJ)``, or just the name of a pure number."""
        name = self.name.removesuffix(f"_{_column_unit(self.unit)}") if self._ends_with_unit else self.name
        words = name.replace("_", " ")
        return words if self.unit == "1" else f"{words} ({self.unit})"

    @property
    def _ends_with_unit(self) -> bool:
        return self.unit != "1" and self.name.endswith(f"_{_column_unit(self.unit)}")


@dataclass(frozen=True)
class Objective(Quantity):
    """Quantity to be minimised or maximised.

    Attributes:
        sense: ``"min"`` or ``"max"``. Optimisers always minimise; a maximised objective enters them with its sign
            changed and appears in frames with its natural sign.
    """

    sense: Literal["min", "max"] = "min"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sense not in ("min", "max"):
            raise ConfigError(
                f"sense {self.sense!r} of objective {self.name!r} is not allowed; expected 'min' or 'max'"
            )

    @property
    def sign(self) -> float:
        """Factor that turns the natural value into one to be minimised: 1 or -1."""
        return 1.0 if self.sense == "min" else -1.0


@dataclass(frozen=True)
class Constraint(Quantity):
    """Quantity with a bound; give ``upper``, ``lower`` or both.

    Attributes:
        upper: Largest allowed value, in the unit of the quantity.
        lower: Smallest allowed value, in the unit of the quantity.
    """

    upper: float | None = None
    lower: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        bounds = [bound for bound in (self.upper, self.lower) if bound is not None]
        if not bounds or not all(math.isfinite(bound) for bound in bounds):
            raise ConfigError(f"constraint {self.name!r} needs a finite upper= or lower= bound")
        if self.upper is not None and self.lower is not None and self.lower > self.upper:
            raise ConfigError(f"constraint {self.name!r} has lower={self.lower} above upper={self.upper}")

    @property
    def bounds(self) -> str:
        """The bounds in words, such as ``>= 1, <= 4``."""
        bounds = ((">=", self.lower), ("<=", self.upper))
        return ", ".join(f"{relation} {bound:.12g}" for relation, bound in bounds if bound is not None)

    def excess(self, values: FloatArray) -> FloatArray:
        """Excess over each bound, the upper first, in the unit of the quantity; positive where violated.

        Args:
            values: Natural values, shape ``(designs,)``.

        Returns:
            The excess, shape ``(designs, bounds)``; NaN where the value is.
        """
        above = [] if self.upper is None else [values - self.upper]
        below = [] if self.lower is None else [self.lower - values]
        columns = [*above, *below]
        return columns[0][:, None] if len(columns) == 1 else np.stack(columns, axis=-1)


@dataclass(frozen=True)
class Metric(Quantity):
    """Quantity that is logged and shown, but neither optimised nor bounded."""


def oriented(values: FloatArray, objectives: Sequence[Objective]) -> FloatArray:
    """Natural values ``(..., n_obj)`` as values to be minimised, or back: maximised ones change their sign."""
    return np.asarray(values * [objective.sign for objective in objectives])


def _column_unit(unit: str) -> str:
    """Spells a unit with letters, digits and single underscores."""
    text = unicodedata.normalize("NFKC", unit)
    spelt = "".join(_SYMBOLS.get(char) or (char if char.isalnum() else _spelt(char)) for char in text)
    return re.sub("_+", "_", spelt).strip("_") or _symbol_name(unit[0])


def _spelt(char: str) -> str:
    return "_" if char.isspace() or char in _SEPARATORS else f"_{_symbol_name(char)}_"


def _symbol_name(char: str) -> str:
    """Name of a symbol in Unicode, such as ``euro_sign``."""
    return re.sub("[^a-z0-9]+", "_", unicodedata.name(char, "symbol").lower())
