"""HuNT's mapping search with one weighted objective, after HyDe, in place of a Pareto search."""

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np

from moopim.errors import ConfigError, unknown_name
from moopim.genome import Designs
from moopim.pareto import ideal_nadir
from moopim.problems.hunt.mapping import HuntMapping
from moopim.quantities import Metric, Objective, oriented
from moopim.typing import FloatArray

# Random mappings that set the scales of the cost, and the seed that samples them.
_SAMPLE = 1000
_SEED = 1


class WeightedMapping(HuntMapping):
    """Map a network to a 3-D stack by one weighted sum of the objectives of hunt.

    The baseline after HyDe (Bhattacharjee, Moitra and Panda, IEEE JETCAS 2023): designs, repair and model are those of
    the problem hunt, but its objectives are weighted before the search. Each counts from 0 at the best to 1 at the
    worst value of the non-dominated ones of 1,000 random mappings.

    Args:
        workload: Network: vgg11, vgg16, resnet18, resnet34, densenet40, or the small lenet5.
        dataset: Data set that sets input size and classes: cifar10, cifar100 or tinyimagenet.
        equations: The system model; the idealised one, with free fractions of copies; or the paper's as printed.
        goals: Objectives that are weighted; by default those of the problem hunt.
        weights: Weights of the objectives, 1 where none is given, such as period=2,err=0.
        max: Upper limits, such as power=20,peak=330.
        min: Lower limits, such as trainings=1.
        precision: Number format of the gradient engine of the system model.
        wear: End of life in the system model: the first worn-out cell, or a whole tier with ideal wear levelling.
        factors: Factor set: physical, FILE.toml, or calibrated (to the claims of the paper; not in the system model).
        devices: Devices of the tiers, such as S,R,F or S:hp,R,F:parallel or S,R,my_device.toml.
        stack: TOML file with another stack and its materials.
        override: Values of single parameters that replace all others, such as kappa=4,mesh=6,R.static_mW=5.
        bp_tier: Tier for back-propagation: the farthest that can, or the farthest from the sink in any case.

    Raises:
        ConfigError: If a name is unknown, a file cannot be read or a value is not allowed.
    """

    def __init__(
        self,
        workload: str = "resnet34",
        dataset: str = "cifar10",
        equations: Literal["system", "idealised", "paper"] = "system",
        goals: str = "",
        weights: str = "",
        max: str = "",
        min: str = "",
        precision: Literal["int8", "fp16", "fp32"] = "int8",
        wear: Literal["cell", "tier"] = "cell",
        factors: str = "physical",
        devices: str = "S,R,F",
        stack: str = "",
        override: str = "",
        bp_tier: Literal["free", "farthest"] = "free",
    ) -> None:
        self.weights = weights
        super().__init__(
            workload,
            dataset,
            equations,
            goals=goals,
            max=max,
            min=min,
            precision=precision,
            wear=wear,
            factors=factors,
            devices=devices,
            stack=stack,
            override=override,
            bp_tier=bp_tier,
        )
        self._weights = _parse_weights(weights, [objective.name for objective in self._goals.objectives])
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
        weighted = self._goals.objectives
        return oriented(np.stack([values[objective.name] for objective in weighted], axis=1), weighted)

    def _scales(self) -> tuple[FloatArray, FloatArray]:
        """Value of each objective that counts 0, and that counts 1."""
        sample = self.genome.sample(_SAMPLE, np.random.default_rng(_SEED))
        values = super().evaluate_designs(self.genome.decode(self.repair_designs(sample)))
        if not np.isfinite(self._minimised(values)).all(axis=1).any():
            raise ConfigError(
                f"none of {_SAMPLE} random mappings has results, so that objectives have no scale; expected devices "
                "and overrides with mappings that fit and do not overheat"
            )
        ideal, nadir = ideal_nadir(self._minimised(values))
        return ideal, np.where(nadir > ideal, nadir, ideal + 1.0)


def _parse_weights(weights: str, objectives: list[str]) -> FloatArray:
    """Weights of objectives, 1 where none is given, divided by their sum; shape ``(objectives,)``."""
    found: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in weights.split(","))):
        name, _, number = (word.strip() for word in part.partition("="))
        if name not in objectives:
            raise unknown_name("weight of", name, objectives)
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not 0 <= value < math.inf:
            raise ConfigError(f"weights {part!r} is not allowed; expected NAME=NUMBER from 0, such as {name}=1")
        if name in found:
            raise ConfigError(f"weight of {name!r} is given twice; expected it once")
        found[name] = value
    array = np.array([found.get(name, 1.0) for name in objectives])
    if not array.sum() > 0:
        raise ConfigError(f"weights {weights!r} are all 0; expected at least one above 0")
    return np.asarray(array / array.sum())
