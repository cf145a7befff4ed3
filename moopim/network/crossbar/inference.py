"""Quantised networks whose convolutions and linear layers are computed by crossbars.

A layer of a quantised network (`moopim.network.quantisation`) multiplies codes of its input by codes of its weights.
Here crossbars do: the sums that they give take the place of the product, times the steps of both, plus the bias; the
output is quantised as before, with the width of the output. All else, such as batch norms, ReLU, pooling and sums, is
computed digitally and stays as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar, cast

from torch import Tensor, nn

from moopim.errors import ConfigError
from moopim.network.calibration import evaluating
from moopim.network.crossbar.circuit import Circuit
from moopim.network.crossbar.layers import (
    CrossbarLayer,
    Engine,
    calibrated,
    conversions,
    crossbar_layer,
    layer_sums,
)
from moopim.network.crossbar.product import Conversions
from moopim.network.crossbar.slices import Cells
from moopim.network.crossbar.slices import program as ideal_cells
from moopim.network.crossbar.window import Window
from moopim.network.quantisation import input_grid, output_grid, quantised_layers, weight_codes, weight_grid
from moopim.network.quantiser import Grid

__all__ = ["Program", "count_layer_conversions", "crossbar_layers", "on_crossbars"]

Module = TypeVar("Module", bound=nn.Module)
Program = Callable[[str, Cells], Cells]
"""Gives the cells of a layer, by its path, as they turn out to be programmed."""

_STATE = "_moopim_crossbars"  # attribute of a layer


@dataclass
class _State:
    """What a layer computes with; its ADCs may be given another range."""

    layer: CrossbarLayer
    grid: Grid
    step: float
    engine: Engine
    fuse: bool
    calibrating: bool = False
    counts: Conversions | None = None


def on_crossbars(
    net: Module,
    circuit: Circuit | Mapping[str, Circuit],
    images: Tensor | None = None,
    *,
    program: Program | None = None,
    fuse: bool = True,
    engine: Engine = "auto",
) -> Module:
    """Puts the layers of a quantised network on crossbars.

    Args:
        net: Result of `moopim.network.quantisation.quantise_module`, trained or calibrated; not changed.
        circuit: The circuit of all layers, or of each by its path.
        images: Images to calibrate the ADCs with, shape ``(images, ...)``; needed for ``adc_range='calibrated'``. They
            go through the network at once.
        program: What the cells of a layer turn out to hold; their ideal digits if not given.
        fuse: Whether columns that are proven to be lossless are computed together; the result is the same.
        engine: What computes the others; the result is the same.

    Returns:
        A copy in evaluation mode, for inference only. Weights, widths and scales are those that the network has now.

    Raises:
        ConfigError: If a layer is of a kind that has no crossbars, does not fit on one, or has no circuit or no
            measured scale, or images are missing; names its path.
    """
    paths = quantised_layers(net)
    circuits = dict.fromkeys(paths, circuit) if isinstance(circuit, Circuit) else dict(circuit)
    for path in paths:
        if path not in circuits:
            raise ConfigError(f"layer {path!r} has no circuit; expected one for each of {', '.join(paths)}")
    needy = [path for path in paths if circuits[path].adc_range == "calibrated"]
    if needy and images is None:
        raise ConfigError(f"adc_range='calibrated' of layer {needy[0]!r} needs images; expected at least one")
    copied = copy.deepcopy(net).eval()
    for path in paths:
        _put(copied, path, circuits[path], program, engine, fuse)
    if needy and images is not None:
        _calibrate(copied, needy, images)
    return copied


def crossbar_layers(net: nn.Module) -> dict[str, CrossbarLayer]:
    """The layers of a network that crossbars compute.

    Args:
        net: Result of `on_crossbars`.

    Returns:
        Path -> layer, in the order in which they run.

    Raises:
        ConfigError: If the network is not on crossbars.
    """
    return {path: state.layer for path, state in _states(net).items()}


def count_layer_conversions(net: nn.Module, images: Tensor) -> dict[str, Conversions]:
    """Counts what the ADCs of each layer do, to see where accuracy is lost.

    Args:
        net: Result of `on_crossbars`.
        images: Images, shape ``(images, ...)``, on the device of the network; they go through it at once.

    Returns:
        Path -> counts of all, of clipped and of altered conversions.

    Raises:
        ConfigError: If the network is not on crossbars.
    """
    states = _states(net)
    for state in states.values():
        state.counts = Conversions()
    try:
        with evaluating(net):
            net(images)
        return {path: cast("Conversions", state.counts) for path, state in states.items()}
    finally:
        for state in states.values():
            state.counts = None


def _put(net: nn.Module, path: str, circuit: Circuit, program: Program | None, engine: Engine, fuse: bool) -> None:
    """Lets crossbars compute a layer."""
    module = net.get_submodule(path)
    grid, weight_bits = input_grid(net, path), weight_grid(net, path).bits
    codes, weight_step = weight_codes(net, path)
    step = float(weight_step) * float(grid.step)
    try:
        window = _window(module)
        if isinstance(module, nn.Conv1d):
            codes = codes[:, :, None]
        ideal = ideal_cells(codes.flatten(1), weight_bits, circuit.cell_bits)
        layer = crossbar_layer(
            codes,
            circuit,
            weight_bits=weight_bits,
            input_bits=grid.bits,
            window=window,
            cells=program(path, ideal) if program else ideal,
            # Weights that are all 0 have no step, and no sums to convert either.
            output_scale=float(output_grid(net, path).alpha) / step if step else 1.0,
        )
    except ConfigError as error:
        raise ConfigError(f"layer {path!r}: {error}") from None
    state = _State(layer, grid, step, engine, fuse)
    setattr(module, _STATE, state)
    bias = cast("Tensor | None", module.bias)

    def forward(x: Tensor) -> Tensor:
        return _run(state, bias, x)

    module.forward = forward


def _window(module: nn.Module) -> Window | None:
    """What a convolution does beside multiplying; None for a linear layer."""
    if isinstance(module, nn.Linear):
        return None
    if not isinstance(module, nn.Conv1d | nn.Conv2d):
        raise ConfigError(f"a {type(module).__name__} has no crossbars; expected Conv1d, Conv2d or Linear")
    if module.padding_mode != "zeros":
        raise ConfigError(f"padding_mode={module.padding_mode!r} is not allowed; expected 'zeros'")
    if isinstance(module.padding, str):
        spans = [dilation * (kernel - 1) for dilation, kernel in zip(module.dilation, module.kernel_size, strict=True)]
        if module.padding == "same" and any(span % 2 for span in spans):
            raise ConfigError("padding='same' of an even kernel is not allowed; expected as much on each side")
        padding = tuple(span // 2 if module.padding == "same" else 0 for span in spans)
    else:
        padding = module.padding
    pairs = [
        (fill, *sizes) if len(sizes) == 1 else sizes
        for fill, sizes in ((1, module.kernel_size), (1, module.stride), (0, padding), (1, module.dilation))
    ]
    kernel, stride, padding, dilation = (cast("tuple[int, int]", tuple(pair)) for pair in pairs)
    return Window(kernel, stride, padding, dilation, module.groups)


def _run(state: _State, bias: Tensor | None, x: Tensor) -> Tensor:
    """What takes the place of a layer's product; the values of x are on the grid of its input."""
    layer, codes = state.layer, state.grid.codes(x)
    line = layer.window is not None and codes.ndim == 3  # noqa: PLR2004 (images, channels, width)
    if line:
        codes = codes[:, :, None]
    if state.calibrating:
        state.layer = layer = calibrated(layer, codes)
    if state.counts is not None:
        state.counts = state.counts.plus(conversions(layer, codes))
    sums = layer_sums(layer, codes, fuse=state.fuse, engine=state.engine)
    product = (sums * (state.step / layer.converter.kappa)).to(x.dtype)
    if line:
        product = product[:, :, 0]
    if bias is None:
        return product
    return product + (bias if layer.window is None else bias.reshape(-1, *[1] * (product.ndim - 2)))


def _calibrate(net: nn.Module, paths: list[str], images: Tensor) -> None:
    """Gives layers the ADC ranges that lose least; each gets what those in front of it give with theirs."""
    states = _states(net)
    for path in paths:
        states[path].calibrating = True
    with evaluating(net):
        net(images)
    for path in paths:
        states[path].calibrating = False


def _states(net: nn.Module) -> dict[str, _State]:
    found = {path: getattr(net.get_submodule(path), _STATE, None) for path in quantised_layers(net)}
    if None in found.values():
        raise ConfigError(f"{type(net).__name__} is not on crossbars; expected the result of on_crossbars")
    return cast("dict[str, _State]", found)
