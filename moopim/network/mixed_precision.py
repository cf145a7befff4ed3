"""Widths of the layers of a quantised network: set, read, drawn at random, and put into layer tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from torch import Tensor, nn

from moopim.errors import ConfigError, unknown_name
from moopim.network.quantisation import Widths, input_width, quantised_layers
from moopim.network.quantiser import check_bits
from moopim.workload.layers import LayerTable

__all__ = ["BITS", "Given", "bits", "sample_bits", "sampling_forward", "set_bits", "table_with_bits"]

BITS = (5, 7, 9)
"""Widths of weights and of activations that CrossNAS chooses from (arXiv 2505.22868, Table 1)."""

Given = int | Sequence[int] | Mapping[str, int]
"""Widths: one for all layers, one per layer in the order in which they run, or by the paths of some layers."""


def bits(net: nn.Module) -> dict[str, tuple[int, int]]:
    """Reads the widths of a network.

    Args:
        net: Result of `moopim.network.quantisation.quantise_module`.

    Returns:
        Path -> bits of the weights and of the outputs of a layer, in the order in which the layers run.

    Raises:
        ConfigError: If the network is not quantised.
    """
    return {path: (widths.weights, widths.activations) for path, widths in quantised_layers(net).items()}


def set_bits(net: nn.Module, weights: Given | None = None, activations: Given | None = None) -> None:
    """Sets widths of a network; its scales and weights stay as they are.

    Args:
        net: Result of `moopim.network.quantisation.quantise_module`.
        weights: Bits of the weights, sign included; None leaves them.
        activations: Bits of the outputs, sign included; None leaves them.

    Raises:
        ConfigError: If a layer or a width is not allowed, or their number is wrong; nothing is set then.
    """
    layers = quantised_layers(net)
    new_weights = _by_path("weights", weights, list(layers))
    new_activations = _by_path("activations", activations, list(layers))
    for path, width in new_weights.items():
        layers[path].weights = width
    for path, width in new_activations.items():
        layers[path].activations = width


def sample_bits(
    net: nn.Module, rng: np.random.Generator, weights: Sequence[int] = BITS, activations: Sequence[int] = BITS
) -> None:
    """Draws the widths of every layer, each choice as likely as another.

    Args:
        net: Result of `moopim.network.quantisation.quantise_module`.
        rng: Source of randomness.
        weights: Choices for the bits of weights.
        activations: Choices for the bits of outputs.

    Raises:
        ConfigError: If there is no choice or one is not allowed.
    """
    count = len(quantised_layers(net))
    drawn: list[list[int]] = []
    for what, choices in (("weights", weights), ("activations", activations)):
        if not len(choices):
            raise ConfigError(f"no choice for the bits of {what}; expected at least one")
        drawn.append([choices[i] for i in rng.integers(len(choices), size=count)])
    set_bits(net, *drawn)


def sampling_forward(
    weights: Sequence[int] = BITS, activations: Sequence[int] = BITS
) -> Callable[[nn.Module, Tensor, np.random.Generator], Tensor]:
    """Makes the step of the mixed-precision supernet (CrossNAS, section 3.3): other widths at each step.

    Args:
        weights: Choices for the bits of weights.
        activations: Choices for the bits of outputs.

    Returns:
        ``forward(net, images, rng)``, which draws the widths and returns the network's output.
    """

    def forward(net: nn.Module, images: Tensor, rng: np.random.Generator) -> Tensor:
        sample_bits(net, rng, weights, activations)
        output: Tensor = net(images)
        return output

    return forward


def table_with_bits(net: nn.Module, table: LayerTable) -> LayerTable:
    """Puts the widths of a network into its layer table.

    Args:
        net: Result of `moopim.network.quantisation.quantise_module`.
        table: Table of the network or of the module that it was made of, from `moopim.workload.tracing.trace`;
            its names are the paths of layers.

    Returns:
        The table with the widths of weights, outputs and inputs.

    Raises:
        ConfigError: If a layer with weights of the table is none of the network.
    """
    layers = quantised_layers(net)
    if not table.names:
        raise ConfigError("a layer table without names is not allowed; expected that of one network")
    modules = {net.get_submodule(path): widths for path, widths in layers.items()}
    # A layer may have several paths.
    paths = net.named_modules(remove_duplicate=False)
    known = {path: modules[module] for path, module in paths if module in modules}
    columns = np.ones((2, 1, table.layers), dtype=np.int64)
    for place in np.flatnonzero(table.weighted[0]):
        widths = _find(table.names[place], known)
        columns[:, 0, place] = widths.weights, widths.activations
    return table.with_bits(columns[0], columns[1], input_width(net))


def _find(name: str, known: Mapping[str, Widths]) -> Widths:
    """The widths of a layer of a table: its name is a path, with a number and a kind behind it where it runs again."""
    path = re.sub(r"_\d+$", "", name)
    for candidate in (name, path, path.rpartition(".")[0]):
        if candidate in known:
            return known[candidate]
    raise unknown_name("quantised layer", name, known)


def _by_path(what: str, given: Given | None, paths: Sequence[str]) -> dict[str, int]:
    if given is None:
        return {}
    if isinstance(given, Mapping):
        unknown = next((path for path in given if path not in paths), None)
        if unknown is not None:
            raise unknown_name("quantised layer", unknown, paths)
        chosen = dict(given)
    elif isinstance(given, Sequence | np.ndarray):
        if len(given) != len(paths):
            raise ConfigError(f"{len(given)} widths of {what} for {len(paths)} layers; expected one per layer")
        chosen = dict(zip(paths, given, strict=True))
    else:
        chosen = dict.fromkeys(paths, given)
    return {path: check_bits(f"layer {path!r} ({what})", width) for path, width in chosen.items()}
