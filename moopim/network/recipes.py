"""Training recipes: optimiser, learning rate schedule, batch and length; built-in by name, or custom."""

import math
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Literal, Self, TypeAlias

import numpy as np

from moopim.constants import (
    ABOVE_ZERO,
    BELOW_ONE,
    FINITE,
    bounded,
    check_constants,
    load_constants,
    read_table,
)
from moopim.errors import ConfigError, unknown_name
from moopim.typing import FloatArray

Optimiser: TypeAlias = Literal["sgd", "adam", "adamw"]
Schedule: TypeAlias = Literal["constant", "step", "cosine"]

_EPOCHS = bounded("epochs", 1, math.inf, "a count", whole=True)
_FRACTION = bounded("1", 0, BELOW_ONE, "a fraction below 1")


@dataclass(frozen=True)
class Recipe:
    """Training recipe. Parameters that are not listed have torch's defaults (the betas of Adam, say).

    Attributes:
        optimiser: ``sgd``, ``adam`` or ``adamw`` (decoupled weight decay).
        learning_rate: Learning rate before the schedule.
        batch: Images per step; the whole training set where it is smaller.
        epochs: Length in passes over the training images; give this or `steps`.
        steps: Length in steps.
        schedule: ``constant``; ``step``: the rate is divided at each of `drops`; ``cosine``: the rate falls to 0 along
            half a cosine (Loshchilov and Hutter, SGDR, ICLR 2017, eq. 5, without restarts).
        drops: Epochs after which the schedule ``step`` divides the rate.
        drop_factor: Divisor of the rate at each drop.
        warm_up: Fraction of the steps in which the rate rises linearly to its value.
        momentum: Momentum of ``sgd``.
        weight_decay: Weight decay of all parameters.
        label_smoothing: Fraction of the label spread evenly over the classes.
        interval: Epochs between evaluations and checkpoints; the last epoch always has them.

    Raises:
        ConfigError: If a field or a combination of fields is not allowed.
    """

    optimiser: Optimiser
    learning_rate: float = field(metadata=bounded("1", ABOVE_ZERO, FINITE, "a rate"))
    batch: int = field(default=128, metadata=bounded("images", 1, math.inf, "a count", whole=True))
    epochs: int | None = field(default=None, metadata=_EPOCHS)
    steps: int | None = field(default=None, metadata=bounded("steps", 1, math.inf, "a count", whole=True))
    schedule: Schedule = "constant"
    drops: tuple[float, ...] = ()
    drop_factor: float = field(default=1.0, metadata=bounded("1", 1, FINITE, "a divisor"))
    warm_up: float = field(default=0.0, metadata=_FRACTION)
    momentum: float = field(default=0.0, metadata=_FRACTION)
    weight_decay: float = field(default=0.0, metadata=bounded("1", 0, FINITE, "a rate"))
    label_smoothing: float = field(default=0.0, metadata=_FRACTION)
    interval: int = field(default=1, metadata=_EPOCHS)

    def __post_init__(self) -> None:
        check_constants(self, "a recipe")
        self._check_together()

    def _check_together(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            raise ConfigError(f"epochs={self.epochs}, steps={self.steps} of a recipe; expected one of the two")
        if (self.schedule == "step") != bool(self.drops):
            raise ConfigError(f"schedule {self.schedule!r} with drops={self.drops}; 'step' needs drops, no other does")
        if self.drops and self.epochs is None:
            raise ConfigError("drops are epochs, the length of the recipe is in steps; expected epochs=")
        if list(self.drops) != sorted(self.drops) or not all(drop > 0 for drop in self.drops):
            raise ConfigError(f"drops={self.drops} of a recipe are not allowed; expected rising epochs above 0")
        if self.momentum and self.optimiser != "sgd":
            raise ConfigError(f"momentum={self.momentum} is for the optimiser 'sgd', not {self.optimiser!r}")

    def scaled(self, epochs: int) -> Self:
        """Recipe of another length, with the same learning rate at the same fraction of the training.

        Args:
            epochs: Length in passes over the training images.

        Returns:
            The recipe; drops may come between two epochs.

        Raises:
            ConfigError: If the length is below 1.
        """
        drops = tuple(drop * epochs / (self.epochs or 1) for drop in self.drops)
        return replace(self, epochs=epochs, steps=None, drops=drops)

    def learning_rates(self, steps_per_epoch: int) -> FloatArray:
        """Learning rate at each step.

        Args:
            steps_per_epoch: Steps of a pass over the training images.

        Returns:
            Rates, shape ``(steps,)``.
        """
        total = self.steps or (self.epochs or 0) * steps_per_epoch
        step = np.arange(total)
        rising = math.ceil(self.warm_up * total)
        rates = np.full(total, self.learning_rate, dtype=np.float64)
        if self.schedule == "cosine":
            falling = max(1, total - rising)  # a training so short that it ends in its warm-up has none
            rates *= (1 + np.cos(np.pi * np.clip(step - rising, 0, None) / falling)) / 2
        for drop in self.drops:
            rates[step >= drop * steps_per_epoch] /= self.drop_factor
        rates[:rising] *= (step[:rising] + 1) / rising
        return rates


def recipe_names() -> tuple[str, ...]:
    """Names of the built-in recipes; ``data/recipes.toml`` documents each, with the sources of its values."""
    return tuple(_tables())


def load_recipe(name: str) -> Recipe:
    """Built-in recipe.

    Args:
        name: Name of a recipe of ``data/recipes.toml``, such as ``digits-float``.

    Returns:
        The recipe.

    Raises:
        ConfigError: If there is no such recipe.
    """
    if name not in _tables():
        raise unknown_name("recipe", name, _tables())
    return load_constants(Recipe, f"recipe {name!r}", _tables()[name])


@cache
def _tables() -> dict[str, dict[str, Any]]:
    return read_table("moopim.network", "recipes.toml")
