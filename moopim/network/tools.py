"""Helpers for torch modules: device, evaluation mode, memory layout, and layers with substitutable weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor, nn

from moopim.errors import ConfigError

Forward: TypeAlias = Callable[[Any, Tensor, np.random.Generator], Tensor]
"""Training step ``forward(model, images, rng) -> logits``, shape ``(batch, classes)``."""

_WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


def weighted_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Convolutions and linear layers of a module by path, in the order of definition; ConfigError if there are none.

    A layer with several paths has its first. ConfigError names a layer whose weight is not a plain parameter.
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
    """Weights that a layer computes with now: its parameter, or a substitute."""
    return cast("Tensor", layer.weight)


def substitute_weight(layer: nn.Module, weight: Tensor) -> None:
    """Let a layer hooked by `hook_substitution` compute with other weights until its call ends.

    Attributes of an instance precede what `torch.nn.Module` looks up, so that any ``forward`` that reads
    ``self.weight`` gets the substitute, and the parameter stays as it is.
    """
    layer.__dict__["weight"] = weight


def hook_substitution(layer: nn.Module, before: Any) -> list[Any]:
    """Register a forward pre-hook that calls `substitute_weight`, and the one that removes the substitute."""
    return [
        layer.register_forward_pre_hook(before),
        layer.register_forward_hook(_remove_substitute, always_call=True),
    ]


def _remove_substitute(layer: nn.Module, inputs: Any, output: Any) -> None:
    del inputs, output
    layer.__dict__.pop("weight", None)


def check_finite(named: Iterable[tuple[str, Tensor]]) -> None:
    """Raise ConfigError unless all values are finite; tensors come with their names for the message."""
    for what, numbers in named:
        if not torch.isfinite(numbers).all():
            raise ConfigError(f"{what} hold NaN or infinity; expected finite numbers")


def check_device(device: torch.device | str) -> None:
    """Raise ConfigError unless torch can compute on a device, such as ``cpu`` or ``cuda``."""
    try:
        torch.ones(1, device=device).item()  # the device meta gives no numbers
    except (AssertionError, RuntimeError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise ConfigError(f"device {str(device)!r} cannot be used: {reason}; expected cpu, cuda, ...") from None


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Context in which a module is in evaluation mode without gradients; the mode of each part is restored."""
    training = [part for part in model.modules() if part.training]
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for part in training:
            part.training = True


def channels_last(images: Tensor) -> Tensor:
    """Copy of images ``(images, channels, height, width)`` with adjacent channels: faster convolutions on CPUs.

    Unlike ``contiguous(memory_format=...)`` it copies a single channel too: there torch finds nothing to change, and
    the layers behind would take over the slower order.
    """
    return images.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format).permute(0, 3, 1, 2)
