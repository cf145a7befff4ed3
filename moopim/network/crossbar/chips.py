"""Accuracy of a network on chips whose cells are not ideal, and where their ADCs lose it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import chain, count
from typing import NamedTuple, TypeVar

import numpy as np
from torch import Tensor, nn

from moopim.checks import is_whole
from moopim.errors import ConfigError
from moopim.network.accuracy import accuracy, image_chunks
from moopim.network.crossbar.circuit import Circuit
from moopim.network.crossbar.devices import CellModel, chip_programmer
from moopim.network.crossbar.inference import count_layer_conversions, crossbar_layers, on_crossbars
from moopim.network.crossbar.product import Conversions
from moopim.network.datasets import Split
from moopim.network.network_files import Trained
from moopim.network.quantisation import quantised_layers
from moopim.progress import progress_bar
from moopim.typing import FloatArray

__all__ = ["Accuracies", "LayerLoss", "chip_accuracies", "chip_networks", "layer_losses"]

Module = TypeVar("Module", bound=nn.Module)


class LayerLoss(NamedTuple):
    """What the crossbars of a layer are like, and what their ADCs lose.

    Attributes:
        shape: Of the weights: outputs, inputs of a group, and the kernel of a convolution.
        weight_bits: Bits of a weight, sign included.
        input_bits: Bits of an input, sign included.
        output_bits: Bits of an output, sign included.
        rows: Rows that the fullest of its crossbars uses.
        row_blocks: Crossbars that an output is summed over.
        adc_bits: Resolution of the ADCs (bit), with the bits that they get for groups of rows.
        conversions: What the ADCs did, for all images together.
    """

    shape: tuple[int, ...]
    weight_bits: int
    input_bits: int
    output_bits: int
    rows: int
    row_blocks: int
    adc_bits: int
    conversions: Conversions


class Accuracies(NamedTuple):
    """How well a network does, 0 .. 1.

    Attributes:
        plain: In floating point.
        quantised: Quantised.
        chips: On each chip, shape ``(chips,)``.
        layers: Path -> what the ADCs of the first chip lose; empty if that was not asked for.
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
) -> Accuracies:
    """Finds the accuracy of a network in floating point, quantised, and on chips.

    Args:
        trained: The network; its scales are measured.
        split: Images and labels.
        circuit: The circuit of all layers.
        devices: What cells are like; ideal if not given.
        chips: Number of chips.
        seed: Seed of the chips, not negative.
        images: Images to calibrate the ADCs with, as in `moopim.network.crossbar.inference.on_crossbars`.
        layers: Whether to count what the ADCs lose.
        progress: Whether a terminal shows how far it is.

    Returns:
        The accuracies.

    Raises:
        ConfigError: If a number is not allowed, or a layer cannot be on crossbars, which shows before any is found.
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
    return Accuracies(plain, quantised, np.array(found), losses)


def chip_networks(
    net: Module,
    circuit: Circuit,
    devices: CellModel | None = None,
    *,
    chips: int = 1,
    seed: int = 1,
    images: Tensor | None = None,
) -> Iterator[Module]:
    """Puts a quantised network on several chips, one at a time.

    Args:
        net: Result of `moopim.network.quantisation.quantise_module`, trained or calibrated; not changed.
        circuit: The circuit of all layers.
        devices: What cells are like; ideal if not given.
        chips: Number of chips; they are chips 0, 1, ... of `moopim.network.crossbar.devices.chip_programmer`.
        seed: Seed of the chips, not negative.
        images: Images to calibrate the ADCs with, as in `moopim.network.crossbar.inference.on_crossbars`.

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
    """Counts what the ADCs of each layer lose on images.

    Args:
        net: Result of `moopim.network.crossbar.inference.on_crossbars`.
        split: The images.
        progress: Called with the number of images that have been run, time and again.

    Returns:
        Path -> what its ADCs lose, in the order in which layers run.

    Raises:
        ConfigError: If the network is not on crossbars, or there are no images.
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
        bits = round(math.log2(layer.converter.limit + 1)) + (layer.circuit.subtraction == "analog")
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
