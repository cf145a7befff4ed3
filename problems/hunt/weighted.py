"""HuNT's mapping search with one weighted objective, as HyDe weighs its goals, in place of a Pareto search."""

from typing import Literal

import numpy as np

from moopim.errors import ConfigError
from moopim.genome import Designs
from moopim.pareto import ideal_nadir
from moopim.problems.hunt.mapping import EQUATIONS, HuntMapping
from moopim.quantities import Metric, Objective
from moopim.typing import FloatArray

__all__ = ["WeightedMapping"]

# Designs that set the scales, and the seed that draws them.
_SAMPLE = 1000
_SEED = 1


class WeightedMapping(HuntMapping):
    """Map a network to a 3-D stack by one weighted sum of time, area, power and noise.

    The baseline after HyDe (Bhattacharjee, Moitra and Panda, IEEE JETCAS 2023): designs, repair and model are those of
    the problem hunt, but the goals are weighed before the search. Each counts from 0 at the least to 1 at the largest
    value of the non-dominated ones of 1,000 random mappings.

    Args:
        workload: Network: vgg11, vgg16, resnet18, resnet34 or densenet40.
        dataset: Data set that sets input size and classes: cifar10, cifar100 or tinyimagenet.
        factors: Factor set: physical, calibrated (to the claims of the paper) or FILE.toml.
        devices: Devices of the tiers, such as S,R,F or S:hp,R,F:parallel or S,R,my_device.toml.
        stack: TOML file with another stack and its materials.
        override: Values of single parameters that replace all others, such as kappa=4,mesh=6,R.static_mW=5.
        bp_tier: Tier for back-propagation: the farthest that can, or the farthest from the sink in any case.
        w_period: Weight of the time per image.
        w_area: Weight of the area in use.
        w_power: Weight of the power.
        w_err: Weight of the thermal noise.
    """

    def __init__(
        self,
        workload: str = "resnet34",
        dataset: str = "cifar10",
        factors: str = "physical",
        devices: str = "S,R,F",
        stack: str = "",
        override: str = "",
        bp_tier: Literal["free", "farthest"] = "free",
        w_period: float = 1.0,
        w_area: float = 1.0,
        w_power: float = 1.0,
        w_err: float = 1.0,
    ) -> None:
        self.w_period, self.w_area, self.w_power, self.w_err = w_period, w_area, w_power, w_err
        self._goals = tuple(goal.name for goal in EQUATIONS["system"][1])
        weights = np.array([getattr(self, f"w_{goal}") for goal in self._goals])
        if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
            given = ", ".join(f"w_{goal}={weight:g}" for goal, weight in zip(self._goals, weights, strict=True))
            raise ConfigError(f"weights {given} are not allowed; expected numbers from 0, not all of them 0")
        self._weights = weights / weights.sum()
        super().__init__(workload, dataset, factors, devices, stack, override, bp_tier=bp_tier)
        self._ideal, self._nadir = self._scales()

    def goals_and_metrics(self) -> tuple[tuple[Objective, ...], tuple[Metric, ...]]:
        """The cost is the only objective; the goals that it weighs are metrics."""
        goals, metrics = super().goals_and_metrics()
        return (Objective("cost", "1"),), (*(Metric(goal.name, goal.unit) for goal in goals), *metrics)

    def evaluate_designs(self, designs: Designs) -> dict[str, FloatArray]:
        """Evaluates mappings as `HuntMapping` does, and adds their cost.

        Args:
            designs: The mappings.

        Returns:
            Every quantity, shape ``(designs,)``; NaN for mappings that do not fit.
        """
        values = super().evaluate_designs(designs)
        goals = np.stack([values[goal] for goal in self._goals], axis=1)
        scaled = (goals - self._ideal) / (self._nadir - self._ideal)
        return values | {"cost": np.einsum("dg,g->d", scaled, self._weights)}

    def _scales(self) -> tuple[FloatArray, FloatArray]:
        """The value of each goal that counts 0, and that counts 1."""
        sample = self.genome.sample(_SAMPLE, np.random.default_rng(_SEED))
        values = super().evaluate_designs(self.genome.decode(self.repair_designs(sample)))
        ideal, nadir = ideal_nadir(np.stack([values[goal] for goal in self._goals], axis=1))
        return ideal, np.where(nadir > ideal, nadir, ideal + 1.0)
