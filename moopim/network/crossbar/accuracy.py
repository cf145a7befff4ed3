"""Accuracy on crossbars: of a network on chips whose cells are not ideal, and of many designs on one set of weights.

A design is the bits of each layer and a circuit (CrossNAS, section 3.3). Designs are sorted by circuit and by bits from
the first layer on, and run one after the other on the same images: a layer with the inputs, bits and circuit of the
design before is not computed again. Results are those of each design alone, bit for bit.
"""

from __future__ import annotations

import copy
import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import astuple, replace
from itertools import chain, count
from typing import NamedTuple, TypeVar

import numpy as np
from torch import Tensor, nn

from moopim.checks import is_whole
from moopim.errors import ConfigError
from moopim.network.accuracy import accuracy, count_correct, image_chunks
from moopim.network.calibration import recalibrate
from moopim.network.crossbar.cells import CellModel, chip_programmer
from moopim.network.crossbar.circuit import Circuit
from moopim.network.crossbar.engines import Conversions, Engine
from moopim.network.crossbar.inference import (
    CellProgrammer,
    LayerCache,
    count_layer_conversions,
    crossbar_layers,
    make_layer,
    on_crossbars,
    put_on_crossbars,
    with_calibrated_ranges,
)
from moopim.network.crossbar.layers import CrossbarLayer
from moopim.network.datasets import Split
from moopim.network.network_files import Trained
from moopim.network.quantisation import input_grid, quantised_layers, set_bits, weight_grid
from moopim.network.tools import evaluating
from moopim.progress import progress_bar
from moopim.typing import FloatArray

_ModuleT = TypeVar("_ModuleT", bound=nn.Module)

_LAYERS_BYTES = 2**29  # of layers that are kept to be used again
_CELL_BYTES = 16  # of a pair of cells: their levels, those of the columns in double precision, and lists of rows


class LayerLoss(NamedTuple):
    """Crossbars of a layer, and the conversions that its ADCs clip or round.

    Attributes:
        shape: Shape of the weights: outputs, inputs of a group, and the kernel of a convolution.
        weight_bits: Bits of a weight, sign included.
        input_bits: Bits of an input, sign included.
        output_bits: Bits of an output, sign included.
        rows: Most rows that one of its crossbars uses.
        row_blocks: Crossbars that an output is summed over.
        adc_bits: Resolution of the ADCs (bit), with the bits that they get for groups of rows.
        conversions: Counts of conversions, for all images together.
    """

    shape: tuple[int, ...]
    weight_bits: int
    input_bits: int
    output_bits: int
    rows: int
    row_blocks: int
    adc_bits: int
    conversions: Conversions


class ChipAccuracies(NamedTuple):
    """Top-1 accuracies of a network, 0 to 1.

    Attributes:
        plain: In floating point.
        quantised: Quantised.
        chips: On each chip, shape ``(chips,)``.
        layers: Path -> losses of the ADCs of the first chip; empty unless asked for.
    """

    plain: float
    quantised: float
    chips: FloatArray
    layers: dict[str, LayerLoss]


def chip_accuracies(
    trained: Trained,
    split: Split,
    circuit: Circuit,
    devices: CellModel | None = None,
    *,
    chips: int = 1,
    seed: int = 1,
    images: Tensor | None = None,
    layers: bool = False,
    progress: bool = True,
) -> ChipAccuracies:
    """Top-1 accuracy of a network in floating point, quantised, and on chips.

    Args:
        trained: The network, plain and quantised; its scales are measured.
        split: Images and labels.
        circuit: Circuit of all layers.
        devices: Model of the cells; ideal if None.
        chips: Number of chips.
        seed: Seed of the chips, not negative.
        images: Images to calibrate the ADCs with, as in `on_crossbars`.
        layers: Whether to count the conversions of the first chip.
        progress: Whether a terminal shows a progress bar.

    Returns:
        The accuracies.

    Raises:
        ConfigError: If a number is not allowed, or a layer cannot be on crossbars, before any image is run.
    """
    networks = chip_networks(trained.quantised, circuit, devices, chips=chips, seed=seed, images=images)
    first = next(networks)
    passes = count()
    with progress_bar("images", len(split) * (2 + chips + layers), show=progress) as show:

        def counted() -> Callable[[int], None]:
            before = next(passes) * len(split)
            return lambda done: show(before + done)

        plain = accuracy(trained.plain, split, progress=counted())
        quantised = accuracy(trained.quantised, split, progress=counted())
        losses = layer_losses(first, split, progress=counted()) if layers else {}
        found = [accuracy(net, split, progress=counted()) for net in chain([first], networks)]
    return ChipAccuracies(plain, quantised, np.array(found), losses)


def chip_networks(
    net: _ModuleT,
    circuit: Circuit,
    devices: CellModel | None = None,
    *,
    chips: int = 1,
    seed: int = 1,
    images: Tensor | None = None,
) -> Iterator[_ModuleT]:
    """Put a quantised network on several chips, one at a time.

    Args:
        net: Result of `moopim.network.quantise_module`, trained or calibrated; not changed.
        circuit: Circuit of all layers.
        devices: Model of the cells; ideal if None.
        chips: Number of chips; they are chips 0, 1, ... of `chip_programmer`.
        seed: Seed of the chips, not negative.
        images: Images to calibrate the ADCs with, as in `on_crossbars`.

    Yields:
        The network on each chip.

    Raises:
        ConfigError: If a number is not allowed, or a layer cannot be on crossbars; names its path.
    """
    if not is_whole(chips, 1):
        raise ConfigError(f"{chips} chips are not allowed; expected 1, 2, ...")
    for chip in range(chips):
        program = chip_programmer(devices, seed=seed, chip=chip) if devices is not None else None
        yield on_crossbars(net, circuit, images, program=program)


def layer_losses(
    net: nn.Module, split: Split, *, progress: Callable[[int], None] | None = None
) -> dict[str, LayerLoss]:
    """Conversions that the ADCs of each layer clip or round on images; path -> loss, in the order in which layers run.

    ``progress`` is called with the number of images that have been run.
    """
    layers = crossbar_layers(net)
    total = dict.fromkeys(layers, Conversions())
    done = 0
    for images, labels in image_chunks(split, next(net.parameters()).device):
        for path, counts in count_layer_conversions(net, images).items():
            total[path] = total[path].plus(counts)
        done += len(labels)
        if progress is not None:
            progress(done)
    widths = quantised_layers(net)
    losses = {}
    for path, layer in layers.items():
        rows = max(end - start for start, end in layer.blocks)
        # One code of each sign is not used, and digital subtraction needs no sign.
        bits = round(math.log2(layer.adc.limit + 1)) + (layer.circuit.subtraction == "analog")
        losses[path] = LayerLoss(
            tuple(net.get_submodule(path).get_parameter("weight").shape),
            layer.weight_bits,
            layer.input_bits,
            widths[path].activations,
            rows,
            len(layer.blocks),
            bits,
            total[path],
        )
    return losses


class CrossbarDesign(NamedTuple):
    """Design of a quantised network on crossbars.

    Attributes:
        weights: Bits of the weights of each layer, sign included, in the order in which the layers run.
        activations: Bits of the outputs of each layer, sign included.
        circuit: Circuit of all layers.
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
    program: CellProgrammer | None = None,
    engine: Engine = "auto",
) -> FloatArray:
    """Top-1 accuracies of designs on one set of weights, on crossbars.

    Args:
        net: Result of `moopim.network.quantise_module`, trained or calibrated, on the device to compute on; not
            changed. Designs share its weights and the scales of its activations.
        designs: The designs.
        split: Images and labels.
        calibration: Images, shape ``(images, ...)``, from which each design gets statistics of its batch norms, with
            its bits and ideal ADCs, and the ranges of its ADCs if they are calibrated.
        program: Cells of a layer as programmed, from its path, its ideal cells and its circuit; ideal ones if None.
        engine: Engine of the columns; the result is the same.

    Returns:
        Accuracies, 0 to 1, shape ``(designs,)``.

    Raises:
        ConfigError: If a design does not fit the network, a range is to be calibrated without images, or outputs are
            not finite.
    """
    order = _sorted(net, designs)
    if calibration is None and any(design.circuit.adc_range == "calibrated" for design in order):
        raise ConfigError("adc_range='calibrated' of a design needs images for calibration; expected at least one")
    runner = _DesignRunner(net, program, engine)
    if calibration is not None:
        for design in order:
            runner.calibrate(design, calibration)
    correct = dict.fromkeys(order, 0)
    device = next(net.parameters()).device
    for images, labels in image_chunks(split, device):
        for design in order:
            on = runner.network(design)
            with evaluating(on):
                correct[design] += count_correct(on(images), labels, "a design on crossbars")
    return np.array([correct[design] / len(split.labels) for design in designs], dtype=np.float64)


def _sorted(net: nn.Module, designs: Sequence[CrossbarDesign]) -> list[CrossbarDesign]:
    """Distinct designs, those that begin alike beside each other."""
    count = len(quantised_layers(net))
    for design in designs:
        for what, widths in (("weights", design.weights), ("activations", design.activations)):
            if len(widths) != count:
                raise ConfigError(f"{len(widths)} widths of {what} for {count} layers; expected one per layer")
    return sorted(set(designs), key=lambda d: (astuple(d.circuit), list(zip(d.weights, d.activations, strict=True))))


class _DesignRunner:
    """Network that is one design after the other."""

    def __init__(self, net: nn.Module, program: CellProgrammer | None, engine: Engine) -> None:
        self._parent = copy.deepcopy(net).eval()
        self._net = copy.deepcopy(net).eval()
        self._paths = list(quantised_layers(net))
        self._program, self._engine = program, engine
        self._cache = LayerCache()
        self._layers: OrderedDict[Hashable, CrossbarLayer] = OrderedDict()
        self._bytes = 0  # of these layers
        self._statistics: dict[tuple[tuple[int, ...], tuple[int, ...]], dict[str, Tensor]] = {}
        self._kappas: dict[CrossbarDesign, dict[str, float]] = {}

    def calibrate(self, design: CrossbarDesign, images: Tensor) -> None:
        """Measure statistics of batch norms and ranges of ADCs of a design."""
        widths = design.weights, design.activations
        if widths not in self._statistics:
            set_bits(self._parent, *widths)
            recalibrate(self._parent, images)
            self._statistics[widths] = {name: value.clone() for name, value in _statistics(self._parent).items()}
        if design.circuit.adc_range == "calibrated":
            on = self.network(design)
            with_calibrated_ranges(on, images)
            self._kappas[design] = {path: layer.adc.kappa for path, layer in crossbar_layers(on).items()}

    def network(self, design: CrossbarDesign) -> nn.Module:
        """Network as a design."""
        net, kappas = self._net, self._kappas.get(design, {})
        set_bits(net, design.weights, design.activations)
        for name, value in self._statistics.get((design.weights, design.activations), {}).items():
            net.get_buffer(name).copy_(value)
        layers = {path: self._layer(path, design.circuit, kappas.get(path)) for path in self._paths}
        put_on_crossbars(net, layers, engine=self._engine, cache=self._cache)
        return net

    def _layer(self, path: str, circuit: Circuit, kappa: float | None) -> CrossbarLayer:
        """Layer with the bits that the network has now, kept to be used again."""
        net, kept = self._net, self._layers
        key = path, weight_grid(net, path).bits, input_grid(net, path).bits, circuit, kappa
        layer = kept.pop(key, None)
        if layer is None:
            layer = make_layer(net, path, circuit, self._program)
            if kappa is not None:
                layer = replace(layer, adc=layer.adc._replace(kappa=kappa))
            self._bytes += _size(layer)
        kept[key] = layer
        while self._bytes > _LAYERS_BYTES and len(kept) > 1:
            self._bytes -= _size(kept.popitem(last=False)[1])
        return layer


def _size(layer: CrossbarLayer) -> int:
    return _CELL_BYTES * layer.cells.positive.numel()


def _statistics(net: nn.Module) -> dict[str, Tensor]:
    """Statistics of batch norms."""
    return {name: buffer for name, buffer in net.named_buffers() if name.endswith(("running_mean", "running_var"))}
