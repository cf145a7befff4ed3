"""Quantised networks whose convolutions and linear layers are computed by crossbars.

A layer of a quantised network (`moopim.network.quantisation`) multiplies codes of its input by codes of its weights.
Here crossbars do: the sums that they give take the place of the product, times the steps of both, plus the bias; the
output is quantised as before, with the width of the output. All else, such as batch norms, ReLU, pooling and sums, is
computed digitally and stays as it is.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, cast, get_args

import torch
from torch import Tensor, nn

from moopim.errors import ConfigError, unknown_name
from moopim.network.crossbar._forward import layer_forward, layer_window
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
from moopim.network.crossbar.slices import Cells, row_blocks
from moopim.network.crossbar.slices import program as ideal_cells
from moopim.network.quantisation import input_grid, output_grid, quantised_layers, weight_codes, weight_grid
from moopim.network.quantiser import Grid
from moopim.network.tools import evaluating

__all__ = [
    "Memory",
    "Program",
    "check_circuits",
    "count_layer_conversions",
    "crossbar_layers",
    "make_layer",
    "on_crossbars",
    "put_on_crossbars",
    "with_calibrated_ranges",
]

Module = TypeVar("Module", bound=nn.Module)
T = TypeVar("T")
Program = Callable[[str, Cells, Circuit], Cells]
"""Gives the cells of a layer, from its path, what they should hold and its circuit, as they turn out."""

_STATE = "_moopim_crossbars"  # attribute of a layer


class Memory:
    """What each layer did last, so that it is not done again for the same inputs, widths and circuit.

    It is for one set of weights and cells, whose designs are computed one after the other on the same images.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], tuple[Hashable, Tensor, Any]] = {}

    def recall(self, what: str, path: str, layer: CrossbarLayer, codes: Tensor, compute: Callable[[], T]) -> T:
        """Gives what was found for the same layer and inputs, or finds it.

        Args:
            what: Name of what is found.
            path: Path of the layer.
            layer: The layer.
            codes: Its inputs.
            compute: Finds it.

        Returns:
            What `compute` gives.
        """
        key = (layer.circuit, layer.converter, layer.weight_bits, layer.input_bits)
        short = codes.to(torch.int16)  # the widest inputs have 16 bits
        last = self._last.get((what, path))
        if last is not None and last[0] == key and torch.equal(last[1], short):
            return cast("T", last[2])
        found = compute()
        self._last[what, path] = key, short, found
        return found


@dataclass
class _State:
    """What a layer computes with; its ADCs may be given another range."""

    path: str
    layer: CrossbarLayer
    grid: Grid
    step: float
    engine: Engine
    fuse: bool
    memory: Memory | None = None
    calibrating: bool = False
    counts: Conversions | None = None

    def recall(self, what: str, codes: Tensor, compute: Callable[[], T]) -> T:
        """Finds something of the inputs, unless it is remembered."""
        if self.memory is None:
            return compute()
        return self.memory.recall(what, self.path, self.layer, codes, compute)


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
    circuits = check_circuits(net, circuit)
    if engine not in get_args(Engine):
        raise unknown_name("engine", engine, get_args(Engine))
    needy = [path for path, own in circuits.items() if own.adc_range == "calibrated"]
    if needy and images is None:
        raise ConfigError(f"adc_range='calibrated' of layer {needy[0]!r} needs images; expected at least one")
    copied = copy.deepcopy(net).eval()
    layers = {path: make_layer(copied, path, own, program) for path, own in circuits.items()}
    put_on_crossbars(copied, layers, fuse=fuse, engine=engine)
    if needy and images is not None:
        with_calibrated_ranges(copied, images)
    return copied


def check_circuits(net: nn.Module, circuit: Circuit | Mapping[str, Circuit]) -> dict[str, Circuit]:
    """Checks that the layers of a quantised network can be put on crossbars, before any of the work.

    Args:
        net: Result of `moopim.network.quantisation.quantise_module`; it need not be calibrated.
        circuit: The circuit of all layers, or of each by its path.

    Returns:
        Path -> circuit, in the order in which the layers run.

    Raises:
        ConfigError: If a layer is of a kind that has no crossbars, does not fit on one, or has no circuit; names its
            path.
    """
    paths = quantised_layers(net)
    if not isinstance(circuit, Circuit | Mapping):
        raise ConfigError(f"circuit is {circuit!r}; expected a Circuit, or one for each layer by its path")
    circuits = dict.fromkeys(paths, circuit) if isinstance(circuit, Circuit) else dict(circuit)
    for path in circuits:
        if path not in paths:
            raise unknown_name("layer with a circuit", path, paths)
    for path in paths:
        if hasattr(net.get_submodule(path), _STATE):
            raise ConfigError(f"{type(net).__name__} is on crossbars; expected a quantised network")
        if path not in circuits:
            raise ConfigError(f"layer {path!r} has no circuit; expected one for each of {', '.join(paths)}")
        module = net.get_submodule(path)
        try:
            window = layer_window(module)
            channels = cast("Tensor", module.weight).shape[1]
            row_blocks(circuits[path], channels, math.prod(window.kernel) if window else None)
        except ConfigError as error:
            raise ConfigError(f"layer {path!r}: {error}") from None
    return {path: circuits[path] for path in paths}


def make_layer(net: nn.Module, path: str, circuit: Circuit, program: Program | None = None) -> CrossbarLayer:
    """Makes a layer of a quantised network as crossbars compute it.

    Args:
        net: Result of `moopim.network.quantisation.quantise_module`.
        path: Path of the layer.
        circuit: The circuit.
        program: What its cells turn out to hold; their ideal digits if not given.

    Returns:
        The layer, for the weights, widths and scales that the network has now.

    Raises:
        ConfigError: As for `on_crossbars`.
    """
    module = net.get_submodule(path)
    weight_bits = weight_grid(net, path).bits
    codes, _ = weight_codes(net, path)
    step = _product_step(net, path)
    try:
        if isinstance(module, nn.Conv1d):
            codes = codes[:, :, None]
        ideal = ideal_cells(codes.flatten(1), weight_bits, circuit.cell_bits)
        return crossbar_layer(
            codes,
            circuit,
            weight_bits=weight_bits,
            input_bits=input_grid(net, path).bits,
            window=layer_window(module),
            cells=_programmed(program, path, ideal, circuit),
            # Weights that are all 0 have no step, and no sums to convert either.
            output_scale=float(output_grid(net, path).alpha) / step if step else 1.0,
        )
    except ConfigError as error:
        raise ConfigError(f"layer {path!r}: {error}") from None


def _programmed(program: Program | None, path: str, ideal: Cells, circuit: Circuit) -> Cells:
    """What the cells of a layer turn out to hold."""
    cells = ideal if program is None else program(path, ideal, circuit)
    if not isinstance(cells, Cells):
        raise ConfigError(f"program gave {cells!r}; expected Cells")
    return cells


def put_on_crossbars(
    net: nn.Module,
    layers: Mapping[str, CrossbarLayer],
    *,
    fuse: bool = True,
    engine: Engine = "auto",
    memory: Memory | None = None,
) -> None:
    """Lets crossbars compute layers of a quantised network from now on, in place of others that did.

    Args:
        net: The network; changed.
        layers: Results of `make_layer` for the widths that the network has now, by path.
        fuse: As for `on_crossbars`.
        engine: As for `on_crossbars`.
        memory: Where layers look first for what they did.
    """
    for path, layer in layers.items():
        _put(net, path, _State(path, layer, input_grid(net, path), _product_step(net, path), engine, fuse, memory))


def with_calibrated_ranges(net: nn.Module, images: Tensor) -> None:
    """Gives layers with ``adc_range='calibrated'`` the ranges that lose least.

    Each is given what those in front of it make of the images with the ranges that they have just got.

    Args:
        net: Network on crossbars; changed.
        images: Images, shape ``(images, ...)``, on the device of the network; they go through it at once.

    Raises:
        ConfigError: If the network is not on crossbars.
    """
    states = [state for state in _states(net).values() if state.layer.circuit.adc_range == "calibrated"]
    for state in states:
        state.calibrating = True
    try:
        with evaluating(net):
            net(images)
    finally:
        for state in states:
            state.calibrating = False


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


def _put(net: nn.Module, path: str, state: _State) -> None:
    """Lets crossbars compute a layer."""
    module = net.get_submodule(path)
    setattr(module, _STATE, state)
    module.forward = layer_forward(module, partial(_run, state))


def _product_step(net: nn.Module, path: str) -> float:
    """The value of one step of a weight times one of an input."""
    return float(weight_grid(net, path).step) * float(input_grid(net, path).step)


def _run(state: _State, x: Tensor, bias: Tensor | None) -> Tensor:
    """What takes the place of a layer's product; the values of x are on the grid of its input."""
    codes, window = state.grid.codes(x), state.layer.window
    line = window is not None and codes.ndim == 3  # noqa: PLR2004 (images, channels, width)
    if line:
        codes = codes[:, :, None]
    try:
        if state.calibrating:
            state.layer = state.recall("range", codes, lambda: calibrated(state.layer, codes))
        if state.counts is not None:
            state.counts = state.counts.plus(conversions(state.layer, codes))
        product = state.recall("product", codes, lambda: _product(state, codes)).to(x.dtype)
    except ConfigError as error:
        known = bool(torch.isfinite(x).all())
        words = str(error) if known else "inputs hold NaN or infinity; expected finite numbers"
        raise ConfigError(f"layer {state.path!r}: {words}") from None
    if line:
        product = product[:, :, 0]
    if bias is None:
        return product
    return product + (bias if window is None else bias.reshape(-1, *[1] * (product.ndim - 2)))


def _product(state: _State, codes: Tensor) -> Tensor:
    """The product of a layer, in the precision of its network."""
    sums = layer_sums(state.layer, codes, fuse=state.fuse, engine=state.engine)
    return (sums * (state.step / state.layer.converter.kappa)).to(state.grid.alpha.dtype)


def _states(net: nn.Module) -> dict[str, _State]:
    found = {path: getattr(net.get_submodule(path), _STATE, None) for path in quantised_layers(net)}
    if None in found.values():
        raise ConfigError(f"{type(net).__name__} is not on crossbars; expected the result of on_crossbars")
    return cast("dict[str, _State]", found)
