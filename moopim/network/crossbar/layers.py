"""Convolutions and linear layers on crossbars: codes in, exact sums out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import get_args

import torch
from torch import Tensor
from torch.nn import functional

from moopim.errors import ConfigError, unknown_name
from moopim.network.crossbar.adc import AdcTransfer, LayerShape, adc_transfer
from moopim.network.crossbar.circuit import Circuit
from moopim.network.crossbar.engines import (
    UNFOLDED_BYTES,
    Conversions,
    Engine,
    convolve,
    count_conversions,
    plan_sums,
    unfolded,
)
from moopim.network.crossbar.mapping import (
    POINT,
    Cells,
    RowBlock,
    Window,
    check_codes,
    check_window,
    ideal_cells,
    row_blocks,
    used_rows,
)
from moopim.network.crossbar.plan import Plan, make_plan
from moopim.network.quantiser import check_bits, largest_code

_MEMORY = 2**26  # bytes of unfolded inputs at a time


@dataclass(frozen=True)
class CrossbarLayer:
    """Layer on crossbars, the result of `crossbar_layer`.

    Attributes:
        cells: Levels of its cells, each shape ``(slices, outputs, rows)``.
        circuit: Its circuit.
        adc: Transfer function of its ADCs.
        blocks: First row of each crossbar, and the row after its last, among those of a group.
        weight_bits: Bits of a weight, sign included.
        input_bits: Bits of an input, sign included.
        window: Window of a convolution; None for a linear layer.
    """

    cells: Cells
    circuit: Circuit
    adc: AdcTransfer
    blocks: tuple[RowBlock, ...]
    weight_bits: int
    input_bits: int
    window: Window | None = None
    _plans: dict[tuple[bool, bool], Plan] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def groups(self) -> int:
        """Groups of channels."""
        return self.window.groups if self.window else 1

    @property
    def channels(self) -> int:
        """Input channels or features."""
        kernel = math.prod(self.window.kernel) if self.window else 1
        return self.cells.positive.shape[2] // kernel * self.groups

    def to(self, device: torch.device | str) -> CrossbarLayer:
        """Layer with its cells on a device."""
        return replace(self, cells=Cells(*(levels.to(device) for levels in self.cells)))

    def plan(self, signed: bool, fuse: bool = True) -> Plan:
        """Execution plan, made at first use, for inputs of both signs or one, with or without fusion."""
        if (signed, fuse) not in self._plans:
            self._plans[signed, fuse] = make_plan(
                self.cells,
                self.circuit,
                self.adc,
                self.blocks,
                self.input_bits,
                groups=self.groups,
                signed=signed,
                fuse=fuse,
            )
        return self._plans[signed, fuse]


def crossbar_layer(
    weights: Tensor,
    circuit: Circuit,
    *,
    weight_bits: int,
    input_bits: int,
    window: Window | None = None,
    cells: Cells | None = None,
    blocks: tuple[RowBlock, ...] | None = None,
    output_scale: float | None = None,
    kappa: float | None = None,
) -> CrossbarLayer:
    """Put a layer on crossbars.

    Args:
        weights: Codes of its weights, an integer type, shape ``(outputs, inputs)`` or ``(outputs, inputs / groups,
            height, width)``.
        circuit: Its circuit.
        weight_bits: Bits of a weight, sign included.
        input_bits: Bits of an input, sign included.
        window: Window of a convolution; None for a linear layer.
        cells: Levels of its cells; ideal ones, which hold the digits of the weights, if None.
        blocks: First row of each crossbar, and the row after its last; as the circuit splits rows if None.
        output_scale: Full scale of the output over the product of one step of a weight and of an input, without
            dimensions; for ``adc_range='output'``.
        kappa: Codes of the ADC per unit of current; by the rule of the circuit if None.

    Returns:
        The layer, on the device of its weights.

    Raises:
        ConfigError: If a number of bits, a code or a shape is not allowed, or a channel does not fit on a crossbar.
    """
    check_bits("the weights", weight_bits)
    check_bits("the inputs", input_bits)
    if weights.ndim != (4 if window else 2) or 0 in weights.shape:
        expected = "(outputs, channels, height, width)" if window else "(outputs, inputs)"
        raise ConfigError(f"weights have shape {tuple(weights.shape)}; expected {expected}, none of them 0")
    if window is not None:
        check_window(window, weights)
    kernel = math.prod(window.kernel) if window else None
    ideal = ideal_cells(weights.flatten(1), weight_bits, circuit.cell_bits)
    cells = ideal if cells is None else _checked_cells(cells, ideal)
    if blocks is None:
        blocks = row_blocks(circuit, weights.shape[1], kernel)
    shape = LayerShape(used_rows(circuit, weights.shape[1], kernel), len(blocks), weight_bits, input_bits, output_scale)
    if kappa is None and circuit.adc_range == "calibrated":
        kappa = 1.0  # until `calibrated` chooses one
    return CrossbarLayer(cells, circuit, adc_transfer(circuit, shape, kappa), blocks, weight_bits, input_bits, window)


def layer_sums(layer: CrossbarLayer, codes: Tensor, *, fuse: bool = True, engine: Engine = "auto") -> Tensor:
    """Exact sums of a layer, shifted and added.

    ``Y = sum over row blocks r, input digits i, weight digits j of 2^(i d + j c) clip(round(kappa p_rij))``, with
    ``p_rij`` the sum of a column and ``d`` and ``c`` the bits of DACs and cells.

    Args:
        layer: The layer.
        codes: Codes of its inputs, an integer type, shape ``(..., inputs)`` or ``(images, channels, height, width)``.
        fuse: Whether columns that are proven to be lossless are computed together; the result is the same.
        engine: Engine of the other columns; ``auto`` chooses, and the result is the same.

    Returns:
        Whole numbers (float64), shape ``(..., outputs)`` or ``(images, outputs, height, width)``; ``layer.adc.kappa``
        of them are one step of a weight times one of an input.

    Raises:
        ConfigError: If the shape, the type or a code of the inputs is not allowed, or the engine is unknown.
    """
    if engine not in get_args(Engine):
        raise unknown_name("engine", engine, get_args(Engine))
    least, _ = check_inputs(layer, codes)
    plan = layer.plan(least < 0, fuse)
    if layer.window is not None:
        return plan_sums(plan, layer.window, codes, engine)
    parts = [plan_sums(plan, POINT, image, engine)[0, :, 0].T for image in _images(codes)]
    return torch.cat(parts).reshape(*codes.shape[:-1], plan.outputs)


def crossbar_product(
    codes: Tensor, weights: Tensor, circuit: Circuit, *, weight_bits: int, input_bits: int, kappa: float | None = None
) -> Tensor:
    """Product of codes as crossbars compute it.

    Args:
        codes: Codes of inputs, an integer type, shape ``(positions, rows)``.
        weights: Codes of weights, an integer type, shape ``(outputs, rows)``.
        circuit: The circuit.
        weight_bits: Bits of a weight, sign included.
        input_bits: Bits of an input, sign included.
        kappa: Codes of the ADC per unit of current; by the rule of the circuit if None.

    Returns:
        Product in steps of a weight times steps of an input (float64), shape ``(positions, outputs)``.

    Raises:
        ConfigError: If a number of bits, a code or a shape is not allowed.
    """
    for what, tensor in (("inputs", codes), ("weights", weights)):
        if not isinstance(tensor, Tensor):
            raise ConfigError(f"{what} are a {type(tensor).__name__}; expected a tensor")
    layer = crossbar_layer(weights, circuit, weight_bits=weight_bits, input_bits=input_bits, kappa=kappa)
    if kappa is None and circuit.adc_range == "calibrated":
        layer = calibrated(layer, codes)
    return layer_sums(layer, codes) / layer.adc.kappa


def exact_sums(layer: CrossbarLayer, codes: Tensor) -> Tensor:
    """Product of a layer without ADCs, cells as they are, rounded to whole numbers (float64), shape as `layer_sums`."""
    check_inputs(layer, codes)
    factors = 2.0 ** (layer.circuit.cell_bits * torch.arange(len(layer.cells.positive), device=codes.device))
    levels = layer.cells.positive.double() - layer.cells.negative.double()
    weights = torch.tensordot(factors.double(), levels, 1).round()
    if layer.window is None:
        return functional.linear(codes.double(), weights)
    return convolve(layer.window, weights, codes, largest_code(layer.input_bits))


def requantise(sums: Tensor, factor: float, bits: int) -> Tensor:
    """Codes of a layer's output (int32): ``clip(round(sums factor), -theta, theta)``, ties to even.

    ``factor`` is codes of the output per one of the sums, ``theta s_w s_x / (kappa S)``.
    """
    limit = largest_code(bits)
    return (sums * factor).round_().clamp_(-limit, limit).to(torch.int32)


def conversions(layer: CrossbarLayer, codes: Tensor) -> Conversions:
    """Counts of the conversions of a layer's ADCs for inputs as of `layer_sums`."""
    least, _ = check_inputs(layer, codes)
    plan = layer.plan(least < 0, fuse=False)
    counts = Conversions()
    for images in [codes] if layer.window else _images(codes):
        for part in unfolded(layer.window or POINT, images):
            counts = counts.plus(count_conversions(plan, part))
    return counts


def calibrated(layer: CrossbarLayer, codes: Tensor) -> CrossbarLayer:
    """Layer with the ADC range of the least squared error on inputs as of `layer_sums`.

    Tried are ranges from one code per unit to one that covers all sums that the weights allow, in steps of 2 (of a
    fourth of that for ``step='any'``); the finer one of two as good is taken.
    """
    least, _ = check_inputs(layer, codes)
    most = max(float(part.bounds.max()) for part in layer.plan(least < 0, fuse=False).columns)
    widest = max(0, math.ceil(math.log2(max(1.0, most) / layer.adc.limit)))
    fineness = 1 if layer.circuit.step == "power_of_two" else 4
    exact = exact_sums(layer, codes)
    best, least_error = layer, math.inf
    for step in range(widest * fineness + 1):
        tried = replace(layer, adc=layer.adc._replace(kappa=2.0 ** (-step / fineness)))
        error = float((layer_sums(tried, codes) / tried.adc.kappa - exact).square().sum())
        if error < least_error:
            best, least_error = tried, error
    return best


def _images(codes: Tensor) -> tuple[Tensor, ...]:
    """Inputs of a linear layer as images of its features, shape ``(1, features, 1, positions)``."""
    flat = codes.reshape(-1, codes.shape[-1])
    step = max(1, _MEMORY // (UNFOLDED_BYTES * flat.shape[1]))
    return tuple(part.T[None, :, None] for part in torch.split(flat, step))


def check_inputs(layer: CrossbarLayer, codes: Tensor) -> tuple[int, int]:
    """Smallest and largest input code; raise ConfigError unless shape, type and codes fit the layer."""
    if not isinstance(codes, Tensor):
        raise ConfigError(f"inputs are a {type(codes).__name__}; expected a tensor")
    if layer.window is None:
        if not codes.ndim or codes.shape[-1] != layer.channels:
            raise ConfigError(f"inputs have shape {tuple(codes.shape)}; expected (..., {layer.channels})")
    else:
        size = layer.window.output_size(*codes.shape[2:]) if codes.ndim == 4 else (0, 0)  # noqa: PLR2004 (as in the message)
        if codes.ndim != 4 or codes.shape[1] != layer.channels or min(size) < 1:  # noqa: PLR2004 (the same)
            raise ConfigError(
                f"inputs have shape {tuple(codes.shape)}; expected (images, {layer.channels}, height, width), not "
                f"smaller than the kernel {layer.window.kernel}"
            )
    return check_codes("inputs", codes, layer.input_bits)


def _checked_cells(cells: Cells, ideal: Cells) -> Cells:
    """Cells of the shape of ideal ones; uint8 where all levels are whole."""
    for side, levels in zip(Cells._fields, cells, strict=True):
        if levels.shape != ideal.positive.shape:
            raise ConfigError(
                f"{side} cells have shape {tuple(levels.shape)}; expected {tuple(ideal.positive.shape)}: slices, "
                "outputs, rows"
            )
        if not torch.isfinite(levels).all():
            raise ConfigError(f"{side} cells hold NaN or infinity; expected finite levels")
    largest = torch.iinfo(torch.uint8).max
    whole = all(bool(((levels == levels.round()) & (levels >= 0) & (levels <= largest)).all()) for levels in cells)
    return Cells(*(levels.to(torch.uint8 if whole else torch.float64) for levels in cells))
