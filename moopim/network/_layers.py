"""Layers with weights in any module, and weights that stand in for their own during a call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

from moopim.errors import ConfigError

__all__ = ["add_stand_in", "check_finite", "current_weight", "stand_in", "weighted_layers"]

_WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


def weighted_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Finds the convolutions and linear layers of a module.

    Args:
        model: The module.

    Returns:
        Path -> layer, in the order in which they were defined; a layer with several paths has its first.

    Raises:
        ConfigError: If there are none, or the weight of one is not a plain parameter; names the layer.
    """
    layers: dict[str, nn.Module] = {
        path: module for path, module in model.named_modules() if isinstance(module, _WEIGHTED)
    }
    if not layers:
        raise ConfigError(f"{type(model).__name__} has no convolution or linear layer; expected at least one")
    for path, layer in layers.items():
        if "weight" not in layer._parameters:
            raise ConfigError(f"layer {path!r} has a parametrised weight; expected a plain one: remove it first")
    return layers


def current_weight(layer: nn.Module) -> Tensor:
    """The weights that a layer computes with now: its parameter, or what stands in for it.

    Args:
        layer: The layer.

    Returns:
        The weights.
    """
    return cast("Tensor", layer.weight)


def stand_in(layer: nn.Module, weight: Tensor) -> None:
    """Lets a layer compute with other weights until its call ends; its parameter stays as it is.

    What an instance holds comes before what `torch.nn.Module` looks up, so that any ``forward`` that reads
    ``self.weight`` gets it.

    Args:
        layer: The layer; `add_stand_in` was called for it.
        weight: The weights.
    """
    layer.__dict__["weight"] = weight


def add_stand_in(layer: nn.Module, before: Any) -> list[Any]:
    """Adds hooks to a layer that put a weight in and take it out.

    Args:
        layer: The layer.
        before: Forward pre-hook that calls `stand_in`.

    Returns:
        The handles of the hooks.
    """
    return [layer.register_forward_pre_hook(before), layer.register_forward_hook(_take_out, always_call=True)]


def _take_out(layer: nn.Module, inputs: Any, output: Any) -> None:
    del inputs, output
    layer.__dict__.pop("weight", None)


def check_finite(named: Iterable[tuple[str, Tensor]]) -> None:
    """Checks numbers.

    Args:
        named: What they are, for the message, and the numbers.

    Raises:
        ConfigError: If one of them is NaN or infinite.
    """
    for what, numbers in named:
        if not torch.isfinite(numbers).all():
            raise ConfigError(f"{what} hold NaN or infinity; expected finite numbers")
