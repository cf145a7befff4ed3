"""What a layer does beside multiplying: its window, its padding, and what a ``forward`` of its own does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from moopim.errors import ConfigError
from moopim.network.blocks import Shortcut
from moopim.network.crossbar.window import Window

__all__ = ["layer_forward", "layer_window"]

Product: TypeAlias = Callable[[Tensor, Tensor | None], Tensor]
"""Gives the product of inputs, already padded, and a layer's weights, plus a bias."""

_KINDS = (nn.Conv1d, nn.Conv2d, nn.Linear)
_ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")


def layer_window(module: nn.Module) -> Window | None:
    """What the crossbars of a layer do beside multiplying.

    Args:
        module: The layer.

    Returns:
        The window of a convolution, without the padding that is done in front of the crossbars; None for a linear
        layer.

    Raises:
        ConfigError: If it is of another kind.
    """
    if isinstance(module, nn.Linear):
        return None
    if not isinstance(module, nn.Conv1d | nn.Conv2d):
        raise ConfigError(f"a {type(module).__name__} has no crossbars; expected Conv1d, Conv2d or Linear")
    zeros = (0,) * len(module.kernel_size)
    if not _pads_in_front(module):
        zeros = tuple(reversed(_sides(module, module.padding)[::2]))
    sizes = ((1, module.kernel_size), (1, module.stride), (0, zeros), (1, module.dilation))
    pairs = [(fill, *size) if len(size) == 1 else size for fill, size in sizes]
    kernel, stride, padding, dilation = (cast("tuple[int, int]", tuple(pair)) for pair in pairs)
    return Window(kernel, stride, padding, dilation, module.groups)


def layer_forward(module: nn.Module, product: Product) -> Callable[..., Tensor]:
    """Makes the ``forward`` of a layer whose product something else computes.

    Padding that crossbars do not have, such as a circular one or more on one side, is done in front of them. A subclass
    with a ``forward`` of its own keeps it, save for the product in it.

    Args:
        module: The layer, of a kind that has a window or is linear.
        product: Computes the product.

    Returns:
        The function.
    """
    if _has_own_forward(module):
        own = type(module).forward

        def forward(*args: Any, **kwargs: Any) -> Tensor:
            with _InPlaceOfProduct(module, product):
                return cast("Tensor", own(module, *args, **kwargs))

        return forward
    bias = cast("Tensor | None", module.bias)
    if isinstance(module, nn.Linear) or not _pads_in_front(module):
        return lambda x: product(x, bias)
    layer = cast("nn.Conv2d", module)
    sides, mode = _sides(layer, layer.padding), layer.padding_mode
    return lambda x: product(functional.pad(x, sides, "constant" if mode == "zeros" else mode), bias)


class _InPlaceOfProduct(TorchFunctionMode):
    """Computes what a layer multiplies by its weights."""

    def __init__(self, module: nn.Module, product: Product) -> None:
        super().__init__()
        self._module = module
        self._product = product

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        kwargs = kwargs or {}
        if func not in (torch.conv1d, torch.conv2d, functional.linear):
            return func(*args, **kwargs)
        call = {**dict(zip(_ARGUMENTS, args, strict=False)), **kwargs}
        if call["weight"] is not self._module.weight:
            return func(*args, **kwargs)
        x = call["input"]
        if func is not functional.linear:
            layer = cast("nn.Conv2d", self._module)
            for name, default in (("stride", 1), ("dilation", 1), ("groups", 1)):
                if _each(layer, call.get(name, default)) != _each(layer, getattr(layer, name)):
                    raise ConfigError(
                        f"a {type(layer).__name__} with {name}={getattr(layer, name)} computes with "
                        f"{name}={call.get(name, default)}; expected the same"
                    )
            x = functional.pad(x, _sides(layer, call.get("padding", 0)))
        return self._product(x, call.get("bias"))


def _has_own_forward(module: nn.Module) -> bool:
    if isinstance(module, Shortcut):  # computes what its base does
        return False
    kind = next(kind for kind in _KINDS if isinstance(module, kind))
    names = ("forward",) if kind is nn.Linear else ("forward", "_conv_forward")
    return any(getattr(type(module), name) is not getattr(kind, name) for name in names)


def _pads_in_front(module: nn.Module) -> bool:
    """Whether a convolution pads by more than as many zeros on one side as on the other."""
    layer = cast("nn.Conv2d", module)
    sides = _sides(layer, layer.padding)
    return _has_own_forward(module) or layer.padding_mode != "zeros" or sides[::2] != sides[1::2]


def _sides(layer: nn.Conv1d | nn.Conv2d, padding: str | int | Sequence[int]) -> list[int]:
    """Padding as `torch.nn.functional.pad` takes it: in front of and behind the last dimension, then that before it."""
    if padding == "same":
        spans = [dilation * (kernel - 1) for dilation, kernel in zip(layer.dilation, layer.kernel_size, strict=True)]
        pairs = [(span // 2, span - span // 2) for span in spans]
    else:
        pairs = [(size, size) for size in _each(layer, 0 if isinstance(padding, str) else padding)]
    return [size for pair in reversed(pairs) for size in pair]


def _each(layer: nn.Conv1d | nn.Conv2d, sizes: int | Sequence[int]) -> tuple[int, ...]:
    """Sizes per dimension of a kernel."""
    return (sizes,) * len(layer.kernel_size) if isinstance(sizes, int) else tuple(sizes)
