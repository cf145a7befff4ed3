"""Objectives and limits that a user chooses among the quantities of a problem."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from moopim.errors import ConfigError, unknown_name
from moopim.quantities import Constraint, Metric, Objective
from moopim.typing import FloatArray

_LEAST_VIOLATION = 1e-3


@dataclass(frozen=True)
class Goals:
    """Objectives, limits and further metrics of a problem.

    Attributes:
        objectives: Objectives.
        limits: Bounds of objectives and metrics. None is a constraint of its own: `violation` holds their excess.
        metrics: Further metrics.
        origins: Values from which quantities count in `violation`, such as the ambient temperature for a temperature,
            in their units; 0 for those without one.
    """

    objectives: tuple[Objective, ...]
    limits: tuple[Constraint, ...]
    metrics: tuple[Metric, ...]
    origins: Mapping[str, float]

    def violation(self, values: Mapping[str, FloatArray], violation: FloatArray) -> FloatArray:
        r"""Violation of designs, with the relative excess over the limits where the model itself has none.

        .. math:: \sum_{upper} \max(0, \frac{x - o}{u - o} - 1) + \sum_{lower} \max(0, 1 - \frac{x - o}{l - o})

        with the origin :math:`o` of a quantity; at least 0.001 where a limit is exceeded.

        Args:
            values: The limited quantities by name, in their units, shape ``(designs,)`` each; one that is NaN counts
                nothing.
            violation: Violation by the model, above 0 for a design that is not allowed, shape ``(designs,)``.

        Returns:
            The violation, shape ``(designs,)``.
        """
        total = np.zeros(len(violation))
        for limit in self.limits:
            spans = np.array([bound for bound in (limit.upper, limit.lower) if bound is not None])
            excess = limit.excess(values[limit.name]) / (spans - self.origins.get(limit.name, 0.0))
            total += np.where(excess > 0, excess, 0).sum(axis=1)
        exceeded = (total > 0) & (violation <= 0)
        return np.where(exceeded, np.maximum(total, _LEAST_VIOLATION), violation)


def choose_goals(
    known: Sequence[Objective],
    goals: str,
    upper: str = "",
    lower: str = "",
    origins: Mapping[str, float] = MappingProxyType({}),
) -> Goals:
    """Choose objectives and limits among the quantities of a problem.

    Args:
        known: All quantities, each with its unit and its natural sense.
        goals: Names of the objectives, such as ``accuracy,edp``; all others become metrics.
        upper: Upper limits in the units of the quantities, such as ``area=200,energy=1``.
        lower: Lower limits, such as ``accuracy=0.9``.
        origins: Values from which quantities count, see `Goals`.

    Returns:
        Objectives and limits in the order in which they are named, metrics in the order of `known`.

    Raises:
        ConfigError: If a name is unknown or given twice, or a limit is not a number above the origin of its quantity.

    Example:
        >>> from moopim.goals import choose_goals
        >>> from moopim.quantities import Objective
        >>> known = Objective("accuracy", sense="max"), Objective("area", "mm2"), Objective("power", "W")
        >>> chosen = choose_goals(known, "accuracy,power", upper="area=200")
        >>> [metric.name for metric in chosen.metrics], chosen.limits[0].bounds
        (['area'], '<= 200')
    """
    by_name = {quantity.name: quantity for quantity in known}
    names = [name.strip() for name in goals.split(",")]
    for i, name in enumerate(names):
        if name not in by_name:
            raise unknown_name("objective", name, by_name)
        if name in names[:i]:
            raise ConfigError(f"objective {name!r} is given twice; expected different ones")
    floors = {name: origins.get(name, 0.0) for name in by_name}
    most, least = _parse("max", upper, floors), _parse("min", lower, floors)
    return Goals(
        objectives=tuple(by_name[name] for name in names),
        limits=tuple(
            Constraint(name, by_name[name].unit, upper=most.get(name), lower=least.get(name))
            for name in {**most, **least}
        ),
        metrics=tuple(Metric(quantity.name, quantity.unit) for quantity in known if quantity.name not in names),
        origins=origins,
    )


def _parse(option: str, limits: str, floors: Mapping[str, float]) -> dict[str, float]:
    """Limits of an option by the names of quantities, each above the floor of its quantity."""
    found: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in limits.split(","))):
        name, equals, number = (word.strip() for word in part.partition("="))
        if name not in floors:
            raise unknown_name(f"{option} of", name, floors)
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not equals or not math.isfinite(value):
            raise ConfigError(f"{option} {part!r} is not allowed; expected NAME=NUMBER, such as {name}=1")
        if value <= floors[name]:
            raise ConfigError(f"{option} {part!r} is not allowed; expected a number above {floors[name]:g}")
        if name in found:
            raise ConfigError(f"{option} of {name!r} is given twice; expected it once")
        found[name] = value
    return found
