"""Crossbar accuracy of many designs on one set of weights: widths of the layers and a circuit (CrossNAS, section 3.3).

Designs are sorted by their circuits and the widths of their layers from the first one on, and run one after the other
on the same chunk of images. A layer that gets the same inputs as in the design before, with the same widths and
circuit, gives what it gave there. Results are those of each design alone, bit for bit.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import astuple, replace
from typing import NamedTuple

import numpy as np
from torch import Tensor, nn

from moopim.errors import ConfigError
from moopim.network.accuracy import count_correct, image_chunks
from moopim.network.calibration import recalibrate
from moopim.network.crossbar.circuit import Circuit
from moopim.network.crossbar.inference import (
    Memory,
    Program,
    crossbar_layers,
    make_layer,
    put_on_crossbars,
    with_calibrated_ranges,
)
from moopim.network.crossbar.layers import CrossbarLayer, Engine
from moopim.network.datasets import Split
from moopim.network.quantisation import input_grid, quantised_layers, set_bits, weight_grid
from moopim.network.tools import evaluating
from moopim.typing import FloatArray

__all__ = ["CrossbarDesign", "crossbar_accuracies"]

_LAYERS_BYTES = 2**29  # of layers that are kept to be used again
_CELL_BYTES = 16  # of a pair of cells: their levels, those of the columns in double precision, and planes of bits


class CrossbarDesign(NamedTuple):
    """A quantised network on crossbars.

    Attributes:
        weights: Bits of the weights of each layer, sign included, in the order in which the layers run.
        activations: Bits of the outputs of each layer, sign included.
        circuit: The circuit of all layers.
    """

    weights: tuple[int, ...]
    activations: tuple[int, ...]
    circuit: Circuit


def crossbar_accuracies(
    net: nn.Module,
    designs: Sequence[CrossbarDesign],
    split: Split,
    calibration: Tensor | None = None,
    *,
    program: Program | None = None,
    engine: Engine = "auto",
) -> FloatArray:
    """Finds the accuracies of designs as crossbars compute them.

    Args:
        net: Result of `moopim.network.quantisation.quantise_module`, trained or calibrated, on the device that is to be
            used; not changed. Designs share its weights and the scales of its activations.
        designs: The designs.
        split: The images that accuracies are found on, and their labels.
        calibration: Images, shape ``(images, ...)``, from which each design gets statistics of its batch norms, with
            its widths and ideal converters, and the ranges of its ADCs if they are calibrated.
        program: What the cells of a layer turn out to hold, the same for the same ideal cells; these if not given.
        engine: What computes columns; the result is the same.

    Returns:
        Fractions of images told right, shape ``(designs,)``.

    Raises:
        ConfigError: If a design does not fit the network, a range is to be calibrated without images, or outputs are
            not finite.
    """
    order = _sorted(net, designs)
    if calibration is None and any(design.circuit.adc_range == "calibrated" for design in order):
        raise ConfigError("adc_range='calibrated' of a design needs images for calibration; expected at least one")
    bench = _Bench(net, program, engine)
    if calibration is not None:
        for design in order:
            bench.calibrate(design, calibration)
    correct = dict.fromkeys(order, 0)
    device = next(net.parameters()).device
    for images, labels in image_chunks(split, device):
        for design in order:
            on = bench.place(design)
            with evaluating(on):
                correct[design] += count_correct(on(images), labels, "a design on crossbars")
    return np.array([correct[design] / len(split.labels) for design in designs], dtype=np.float64)


def _sorted(net: nn.Module, designs: Sequence[CrossbarDesign]) -> list[CrossbarDesign]:
    """The distinct designs, those that begin alike beside each other."""
    count = len(quantised_layers(net))
    for design in designs:
        for what, widths in (("weights", design.weights), ("activations", design.activations)):
            if len(widths) != count:
                raise ConfigError(f"{len(widths)} widths of {what} for {count} layers; expected one per layer")
    return sorted(set(designs), key=lambda d: (astuple(d.circuit), list(zip(d.weights, d.activations, strict=True))))


class _Bench:
    """One network that becomes one design after the other."""

    def __init__(self, net: nn.Module, program: Program | None, engine: Engine) -> None:
        self._parent = copy.deepcopy(net).eval()
        self._placed = copy.deepcopy(net).eval()
        self._paths = list(quantised_layers(net))
        self._program, self._engine = program, engine
        self._memory = Memory()
        self._layers: OrderedDict[Hashable, CrossbarLayer] = OrderedDict()
        self._bytes = 0  # of these layers
        self._statistics: dict[tuple[tuple[int, ...], tuple[int, ...]], dict[str, Tensor]] = {}
        self._kappas: dict[CrossbarDesign, dict[str, float]] = {}

    def calibrate(self, design: CrossbarDesign, images: Tensor) -> None:
        """Measures what a design needs of images."""
        widths = design.weights, design.activations
        if widths not in self._statistics:
            set_bits(self._parent, *widths)
            recalibrate(self._parent, images)
            self._statistics[widths] = {name: value.clone() for name, value in _statistics(self._parent).items()}
        if design.circuit.adc_range == "calibrated":
            placed = self.place(design)
            with_calibrated_ranges(placed, images)
            self._kappas[design] = {path: layer.converter.kappa for path, layer in crossbar_layers(placed).items()}

    def place(self, design: CrossbarDesign) -> nn.Module:
        """Makes the network the design."""
        net, kappas = self._placed, self._kappas.get(design, {})
        set_bits(net, design.weights, design.activations)
        for name, value in self._statistics.get((design.weights, design.activations), {}).items():
            net.get_buffer(name).copy_(value)
        layers = {path: self._layer(path, design.circuit, kappas.get(path)) for path in self._paths}
        put_on_crossbars(net, layers, engine=self._engine, memory=self._memory)
        return net

    def _layer(self, path: str, circuit: Circuit, kappa: float | None) -> CrossbarLayer:
        """A layer with the widths that the network has now, kept to be used again."""
        net, kept = self._placed, self._layers
        key = path, weight_grid(net, path).bits, input_grid(net, path).bits, circuit, kappa
        layer = kept.pop(key, None)
        if layer is None:
            layer = make_layer(net, path, circuit, self._program)
            if kappa is not None:
                layer = replace(layer, converter=layer.converter._replace(kappa=kappa))
            self._bytes += _size(layer)
        kept[key] = layer
        while self._bytes > _LAYERS_BYTES and len(kept) > 1:
            self._bytes -= _size(kept.popitem(last=False)[1])
        return layer


def _size(layer: CrossbarLayer) -> int:
    return _CELL_BYTES * layer.cells.positive.numel()


def _statistics(net: nn.Module) -> dict[str, Tensor]:
    """What batch norms know of images."""
    return {name: buffer for name, buffer in net.named_buffers() if name.endswith(("running_mean", "running_var"))}
