"""HuNT's mapping search with one weighted objective, after HyDe, in place of a Pareto search."""

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from moopim.errors import ConfigError
from moopim.genome import Designs
from moopim.pareto import ideal_nadir
from moopim.problems.hunt.mapping import SYSTEM, HuntMapping, objectives
from moopim.quantities import Metric, Objective
from moopim.typing import FloatArray

# Random mappings that set the scales of the cost, and the seed that samples them.
_SAMPLE = 1000
_SEED = 1
# Parameters of HuntMapping that this problem has, too.
_SHARED = ("workload", "dataset", "factors", "devices", "stack", "override", "bp_tier")
_WEIGHTS = {f"w_{entry.quantity.name}": entry.about for entry in SYSTEM if isinstance(entry.quantity, Objective)}


class WeightedMapping(HuntMapping):
    """Map a network to a 3-D stack by one weighted sum of the objectives of hunt.

    The baseline after HyDe (Bhattacharjee, Moitra and Panda, IEEE JETCAS 2023): designs, repair and model are those of
    the problem hunt, but its objectives are weighted before the search. Each counts from 0 at the best to 1 at the
    worst value of the non-dominated ones of 1,000 random mappings. Parameters are those of hunt that choose network and
    stack, and a weight ``w_<objective>``, 1 by default, for each objective of the system model.
    """

    def __init__(self, *values: Any, **named: Any) -> None:
        given = inspect.signature(WeightedMapping).bind(*values, **named)
        given.apply_defaults()
        options = {name: given.arguments[name] for name in _SHARED}
        weights = {name: given.arguments[name] for name in _WEIGHTS}
        for name, weight in weights.items():
            setattr(self, name, weight)
        array = np.array(list(weights.values()), dtype=np.float64)
        if not (np.isfinite(array).all() and (array >= 0).all() and array.sum() > 0):
            words = ", ".join(f"{name}={weight:g}" for name, weight in weights.items())
            raise ConfigError(f"weights {words} are not allowed; expected numbers from 0, not all of them 0")
        self._weights = array / array.sum()
        self._weighted = objectives(SYSTEM)
        super().__init__(**options)
        self._ideal, self._nadir = self._scales()

    def _declare(self) -> None:
        """Declare the cost as the only objective; those that it weighs are metrics."""
        super()._declare()
        weighted = (Metric(objective.name, objective.unit) for objective in self.objectives)
        self.objectives, self.metrics = (Objective("cost", "1"),), (*weighted, *self.metrics)

    def evaluate_designs(self, designs: Designs) -> dict[str, FloatArray]:
        """Every quantity of `HuntMapping`, and the cost, shape ``(designs,)``; NaN for mappings that do not fit."""
        values = super().evaluate_designs(designs)
        scaled = (self._minimised(values) - self._ideal) / (self._nadir - self._ideal)
        return values | {"cost": np.einsum("dg,g->d", scaled, self._weights)}

    def _minimised(self, values: Mapping[str, FloatArray]) -> FloatArray:
        """Weighted objectives, to be minimised, shape ``(designs, objectives)``."""
        return np.stack([objective.sign * values[objective.name] for objective in self._weighted], axis=1)

    def _scales(self) -> tuple[FloatArray, FloatArray]:
        """Value of each objective that counts 0, and that counts 1."""
        sample = self.genome.sample(_SAMPLE, np.random.default_rng(_SEED))
        values = super().evaluate_designs(self.genome.decode(self.repair_designs(sample)))
        ideal, nadir = ideal_nadir(self._minimised(values))
        return ideal, np.where(nadir > ideal, nadir, ideal + 1.0)


def _complete_constructor() -> None:
    """Give the constructor its named parameters, and their entries in the docstring, for the options of the command."""
    constructor: Any = WeightedMapping.__init__
    parameters = inspect.signature(HuntMapping.__init__).parameters
    kept = [parameters[name] for name in ("self", *_SHARED)]
    kept += [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=1.0, annotation=float)
        for name in _WEIGHTS
    ]
    constructor.__signature__ = inspect.Signature(kept)
    constructor.__annotations__ = {item.name: item.annotation for item in kept[1:]}
    lines = inspect.cleandoc(HuntMapping.__doc__ or "").splitlines()
    entries = [line for line in lines if line.strip().partition(":")[0] in _SHARED]
    entries += [f"    {name}: Weight of the {about}." for name, about in _WEIGHTS.items()]
    WeightedMapping.__doc__ = "\n".join([inspect.cleandoc(WeightedMapping.__doc__ or ""), "", "Args:", *entries])


_complete_constructor()
