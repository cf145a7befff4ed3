"""HuNT's mapping search with one weighted objective, after HyDe, in place of a Pareto search."""

import inspect
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from moopim.errors import ConfigError, unknown_name
from moopim.genome import Designs
from moopim.pareto import ideal_nadir
from moopim.problems.hunt.mapping import SYSTEM, HuntMapping, objectives
from moopim.quantities import Metric, Objective
from moopim.typing import FloatArray

# Random mappings that set the scales of the weighted cost, and the seed that samples them.
_SAMPLE = 1000
_SEED = 1


def _with_weights(constructor: Callable[..., None]) -> Callable[..., None]:
    """Give a constructor a parameter ``w_<objective>`` per objective of the system model, 1 by default."""
    signature = inspect.signature(constructor)
    weights = [
        inspect.Parameter(f"w_{objective.name}", inspect.Parameter.KEYWORD_ONLY, default=1.0, annotation=float)
        for objective in objectives(SYSTEM)
    ]
    shared = [item for item in signature.parameters.values() if item.kind is not inspect.Parameter.VAR_KEYWORD]
    constructor.__signature__ = signature.replace(parameters=[*shared, *weights])  # type: ignore[attr-defined]
    constructor.__annotations__ |= {weight.name: float for weight in weights}
    return constructor


class WeightedMapping(HuntMapping):
    """Map a network to a 3-D stack by one weighted sum of time, area, power and noise.

    The baseline after HyDe (Bhattacharjee, Moitra and Panda, IEEE JETCAS 2023): designs, repair and model are those of
    the problem hunt, but its objectives are weighted before the search. Each counts from 0 at the best to 1 at the
    worst value of the non-dominated ones of 1,000 random mappings.

    Args:
        workload: Network: vgg11, vgg16, resnet18, resnet34 or densenet40.
        dataset: Data set that sets input size and classes: cifar10, cifar100 or tinyimagenet.
        factors: Factor set: physical, calibrated (to the claims of the paper) or FILE.toml.
        devices: Devices of the tiers, such as S,R,F or S:hp,R,F:parallel or S,R,my_device.toml.
        stack: TOML file with another stack and its materials.
        override: Values of single parameters that replace all others, such as kappa=4,mesh=6,R.static_mW=5.
        bp_tier: Tier for back-propagation: the farthest that can, or the farthest from the sink in any case.
    """

    @_with_weights
    def __init__(
        self,
        workload: str = "resnet34",
        dataset: str = "cifar10",
        factors: str = "physical",
        devices: str = "S,R,F",
        stack: str = "",
        override: str = "",
        bp_tier: Literal["free", "farthest"] = "free",
        **weights: float,
    ) -> None:
        self._weighted = objectives(SYSTEM)
        names = [f"w_{objective.name}" for objective in self._weighted]
        for name in weights:
            if name not in names:
                raise unknown_name("weight", name, names)
        for name in names:
            setattr(self, name, weights.get(name, 1.0))
        given = np.array([getattr(self, name) for name in names])
        if not (np.isfinite(given).all() and (given >= 0).all() and given.sum() > 0):
            words = ", ".join(f"{name}={weight:g}" for name, weight in zip(names, given, strict=True))
            raise ConfigError(f"weights {words} are not allowed; expected numbers from 0, not all of them 0")
        self._weights = given / given.sum()
        super().__init__(workload, dataset, factors, devices, stack, override, bp_tier=bp_tier)
        self._ideal, self._nadir = self._scales()

    def _declare(self) -> None:
        """The cost is the only objective; those that it weighs are metrics."""
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


WeightedMapping.__doc__ = f"{WeightedMapping.__doc__}".rstrip() + "".join(
    f"\n        w_{entry.quantity.name}: Weight of the {entry.about}."
    for entry in SYSTEM
    if isinstance(entry.quantity, Objective)
)
