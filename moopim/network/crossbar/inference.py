"""Quantised networks whose convolutions and linear layers are computed by crossbars.

A layer of a quantised network (`moopim.network.quantisation`) multiplies codes of its input by codes of its weights.
Here the exact sums of crossbars replace the product, times the steps of both, plus the bias; the output is quantised as
before. All else, such as batch norms, ReLU, pooling and sums, is computed digitally and stays as it is.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from moopim.errors import ConfigError, unknown_name
from moopim.network.blocks import Shortcut
from moopim.network.crossbar.circuit import Circuit
from moopim.network.crossbar.engines import Conversions, Engine
from moopim.network.crossbar.layers import CrossbarLayer, calibrated, conversions, crossbar_layer, layer_sums
from moopim.network.crossbar.mapping import Cells, Window, ideal_cells, row_blocks
from moopim.network.quantisation import (
    LayerBits,
    calibrate,
    input_grid,
    output_grid,
    quantise_module,
    quantised_layers,
    set_bits,
    weight_codes,
    weight_grid,
)
from moopim.network.quantiser import Grid
from moopim.network.tools import evaluating

_ModuleT = TypeVar("_ModuleT", bound=nn.Module)
_T = TypeVar("_T")

CellProgrammer: TypeAlias = Callable[[str, Cells, Circuit], Cells]
"""Cells of a layer as programmed, from its path, its ideal cells and its circuit."""

Product: TypeAlias = Callable[[Tensor, Tensor | None], Tensor]
"""Product of a layer's weights and inputs, already padded, plus a bias."""

_STATE = "_moopim_crossbars"  # attribute of a layer
_KINDS = (nn.Conv1d, nn.Conv2d, nn.Linear)
_ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")


class LayerCache:
    """Last result of each layer, for equal inputs, widths and circuit.

    It is for one set of weights and cells, whose designs are computed one after the other on the same images.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], tuple[Hashable, Tensor, Any]] = {}

    def get(self, kind: str, path: str, layer: CrossbarLayer, codes: Tensor, compute: Callable[[], _T]) -> _T:
        """Last result of a kind if layer and inputs are those of last time, else that of ``compute``."""
        key = (layer.circuit, layer.adc, layer.weight_bits, layer.input_bits)
        short = codes.to(torch.int16)  # the widest inputs have 16 bits
        last = self._last.get((kind, path))
        if last is not None and last[0] == key and torch.equal(last[1], short):
            return cast("_T", last[2])
        found = compute()
        self._last[kind, path] = key, short, found
        return found


@dataclass
class _State:
    """State of a layer on crossbars; its ADCs may get another range."""

    path: str
    layer: CrossbarLayer
    grid: Grid
    step: float
    engine: Engine
    fuse: bool
    cache: LayerCache | None = None
    calibrating: bool = False
    counts: Conversions | None = None

    def cached(self, kind: str, codes: Tensor, compute: Callable[[], _T]) -> _T:
        """Result of ``compute``, or the cached one."""
        if self.cache is None:
            return compute()
        return self.cache.get(kind, self.path, self.layer, codes, compute)


def on_crossbars(
    net: _ModuleT,
    circuit: Circuit | Mapping[str, Circuit],
    images: Tensor | None = None,
    *,
    program: CellProgrammer | None = None,
    fuse: bool = True,
    engine: Engine = "auto",
) -> _ModuleT:
    """Put the layers of a quantised network on crossbars.

    Args:
        net: Result of `moopim.network.quantise_module`, trained or calibrated; not changed.
        circuit: Circuit of all layers, or of each by its path.
        images: Images to calibrate the ADCs with, shape ``(images, ...)``; needed for ``adc_range='calibrated'``. They
            go through the network at once.
        program: Cells of a layer as programmed, from its path, its ideal cells and its circuit; ideal ones if None.
        fuse: Whether columns that are proven to be lossless are computed together; the result is the same.
        engine: Engine of the other columns; the result is the same.

    Returns:
        A copy in evaluation mode, for inference only. Weights, widths and scales are those that the network has now.

    Raises:
        ConfigError: If a layer is of a kind that crossbars cannot compute, does not fit on one, or has no circuit or no
            measured scale, or images are missing; names its path.
    """
    circuits = check_circuits(net, circuit)
    if engine not in get_args(Engine):
        raise unknown_name("engine", engine, get_args(Engine))
    needy = [path for path, layer_circuit in circuits.items() if layer_circuit.adc_range == "calibrated"]
    if needy and images is None:
        raise ConfigError(f"adc_range='calibrated' of layer {needy[0]!r} needs images; expected at least one")
    copied = copy.deepcopy(net).eval()
    layers = {path: make_layer(copied, path, layer_circuit, program) for path, layer_circuit in circuits.items()}
    put_on_crossbars(copied, layers, fuse=fuse, engine=engine)
    if needy and images is not None:
        with_calibrated_ranges(copied, images)
    return copied


def convert(
    model: _ModuleT,
    circuit: Circuit,
    images: Tensor,
    *,
    weight_bits: LayerBits = 9,
    activation_bits: LayerBits = 9,
    input_bits: int = 9,
    program: CellProgrammer | None = None,
) -> _ModuleT:
    """Quantise a trained network, measure the scales of its activations, and put it on crossbars.

    The steps on their own, for a network that is trained further in between, are `moopim.network.quantise_module`,
    `moopim.network.set_bits`, `moopim.network.calibrate` and `on_crossbars`.

    Subclasses of the layers may pad, pick or reorder their inputs, and do anything to the product. Layers whose inputs
    do not depend on the image stay as they are. Refused are other modules that multiply by weights (transposed and
    three-dimensional convolutions, recurrent layers, `torch.nn.MultiheadAttention`), layers whose weights are used by a
    function outside of them, and layers that change them first, as weight standardisation does.

    Args:
        model: Any module that calls layers of `torch.nn.Conv1d`, `torch.nn.Conv2d` and `torch.nn.Linear`, and computes
            the rest digitally: batch norms, functions, pooling, sums, concatenations, products of activations. Not
            changed.
        circuit: Circuit of all layers.
        images: Images to calibrate with, shape ``(images, ...)``, on the device of the model; they go through it at
            once.
        weight_bits: Bits of weights, sign included.
        activation_bits: Bits of the outputs of layers, sign included.
        input_bits: Bits of a value of the image, sign included.
        program: Cells of a layer as programmed, from its path, its ideal cells and its circuit; ideal ones if None.

    Returns:
        A copy in evaluation mode, for inference only.

    Raises:
        ConfigError: If a width or a weight is not allowed, or a layer cannot be on crossbars; names its path.
    """
    if not isinstance(model, nn.Module):
        raise ConfigError(f"model is a {type(model).__name__}; expected a torch module")
    if not isinstance(images, Tensor):
        raise ConfigError(f"images are a {type(images).__name__}; expected a tensor")
    quantised = quantise_module(model, images.shape[1:], input_bits=input_bits)
    set_bits(quantised, weight_bits, activation_bits)
    check_circuits(quantised, circuit)
    calibrate(quantised, images)
    return on_crossbars(quantised, circuit, images, program=program)


def check_circuits(net: nn.Module, circuit: Circuit | Mapping[str, Circuit]) -> dict[str, Circuit]:
    """Path -> circuit, in the order in which layers run, before any of the work; the network need not be calibrated.

    Raise ConfigError, with the path, if a layer cannot be on crossbars, does not fit on one, or has no circuit.
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


def make_layer(net: nn.Module, path: str, circuit: Circuit, program: CellProgrammer | None = None) -> CrossbarLayer:
    """Layer of a quantised network on crossbars, for the weights, widths and scales that the network has now."""
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


def _programmed(program: CellProgrammer | None, path: str, ideal: Cells, circuit: Circuit) -> Cells:
    """Cells of a layer as programmed."""
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
    cache: LayerCache | None = None,
) -> None:
    """Let crossbars compute layers of a quantised network from now on; ``layers`` are results of `make_layer`."""
    for path, layer in layers.items():
        _put(net, path, _State(path, layer, input_grid(net, path), _product_step(net, path), engine, fuse, cache))


def with_calibrated_ranges(net: nn.Module, images: Tensor) -> None:
    """Calibrate the ADCs of layers with ``adc_range='calibrated'`` on images, one layer after the other.

    Each gets the outputs of those in front of it with their new ranges. The images, shape ``(images, ...)``, go through
    the network at once.
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
    """Layers of a network that crossbars compute.

    Args:
        net: Result of `on_crossbars`.

    Returns:
        Path -> layer, in the order in which they run.

    Raises:
        ConfigError: If the network is not on crossbars.
    """
    return {path: state.layer for path, state in _states(net).items()}


def count_layer_conversions(net: nn.Module, images: Tensor) -> dict[str, Conversions]:
    """Count the conversions of each layer's ADCs that are clipped or altered, where accuracy is lost.

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
    """Let crossbars compute a layer."""
    module = net.get_submodule(path)
    setattr(module, _STATE, state)
    module.forward = layer_forward(module, partial(_run, state))


def _product_step(net: nn.Module, path: str) -> float:
    """Product of one step of a weight and of an input."""
    return float(weight_grid(net, path).step) * float(input_grid(net, path).step)


def _run(state: _State, x: Tensor, bias: Tensor | None) -> Tensor:
    """Product of a layer plus the bias; the values of x are on the grid of its input."""
    codes, window = state.grid.codes(x), state.layer.window
    line = window is not None and codes.ndim == 3  # noqa: PLR2004 (images, channels, width)
    if line:
        codes = codes[:, :, None]
    try:
        if state.calibrating:
            state.layer = state.cached("range", codes, lambda: calibrated(state.layer, codes))
        if state.counts is not None:
            state.counts = state.counts.plus(conversions(state.layer, codes))
        product = state.cached("product", codes, lambda: _product(state, codes)).to(x.dtype)
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
    """Product of a layer in the precision of its network."""
    sums = layer_sums(state.layer, codes, fuse=state.fuse, engine=state.engine)
    return (sums * (state.step / state.layer.adc.kappa)).to(state.grid.alpha.dtype)


def _states(net: nn.Module) -> dict[str, _State]:
    found = {path: getattr(net.get_submodule(path), _STATE, None) for path in quantised_layers(net)}
    if None in found.values():
        raise ConfigError(f"{type(net).__name__} is not on crossbars; expected the result of on_crossbars")
    return cast("dict[str, _State]", found)


def layer_window(module: nn.Module) -> Window | None:
    """Window of a convolution, without padding that is done in front of the crossbars; None for a linear layer."""
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
    """``forward`` of a layer with another product in it.

    Padding that crossbars do not have, such as a circular one or more on one side, is done in front of them. A subclass
    with a ``forward`` of its class keeps it, save for the product in it.
    """
    if _overrides_forward(module):
        class_forward = type(module).forward

        def forward(*args: Any, **kwargs: Any) -> Tensor:
            with _InPlaceOfProduct(module, product):
                return cast("Tensor", class_forward(module, *args, **kwargs))

        return forward
    bias = cast("Tensor | None", module.bias)
    if isinstance(module, nn.Linear) or not _pads_in_front(module):
        return lambda x: product(x, bias)
    layer = cast("nn.Conv2d", module)
    sides, mode = _sides(layer, layer.padding), layer.padding_mode
    return lambda x: product(functional.pad(x, sides, "constant" if mode == "zeros" else mode), bias)


class _InPlaceOfProduct(TorchFunctionMode):
    """Context in which another product replaces that of a layer's weights."""

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


def _overrides_forward(module: nn.Module) -> bool:
    if isinstance(module, Shortcut):  # computes what its base does
        return False
    kind = next(kind for kind in _KINDS if isinstance(module, kind))
    names = ("forward",) if kind is nn.Linear else ("forward", "_conv_forward")
    return any(getattr(type(module), name) is not getattr(kind, name) for name in names)


def _pads_in_front(module: nn.Module) -> bool:
    """Whether a convolution pads by more than as many zeros on one side as on the other."""
    layer = cast("nn.Conv2d", module)
    sides = _sides(layer, layer.padding)
    return _overrides_forward(module) or layer.padding_mode != "zeros" or sides[::2] != sides[1::2]


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
