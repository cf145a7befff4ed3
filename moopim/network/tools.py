"""Layers with weights in any module, and weights that stand in for their own during a call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from moopim.errors import ConfigError

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


def check_device(device: torch.device | str) -> None:
    """Checks that torch can compute on a device.

    Args:
        device: Such as ``cpu`` or ``cuda``.

    Raises:
        ConfigError: If it cannot.
    """
    try:
        torch.ones(1, device=device).item()  # the device meta gives no numbers
    except (AssertionError, RuntimeError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise ConfigError(f"device {str(device)!r} cannot be used: {reason}; expected cpu, cuda, ...") from None


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Puts a module into evaluation mode without gradients, and each of its parts back as it was.

    Args:
        model: The module.

    Yields:
        Nothing.
    """
    training = [part for part in model.modules() if part.training]
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for part in training:
            part.training = True


def channels_last(images: Tensor) -> Tensor:
    """Copies images so that the channels of a pixel lie side by side, with which convolutions on CPUs are faster.

    Unlike ``contiguous(memory_format=...)`` it does so for one channel too: there torch finds nothing to change, and
    the layers behind would take over the slower order.

    Args:
        images: Images, shape ``(images, channels, height, width)``.

    Returns:
        The copy, of the same shape.
    """
    return images.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format).permute(0, 3, 1, 2)
