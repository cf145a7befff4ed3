"""Fake quantisation of convolutional and linear networks, for training and for reading integer codes.

Values stay floating-point numbers, on the grids that a crossbar and its converters have:

* weights of a layer are quantised with its weight width, ``alpha = max|w|`` taken anew at each call;
* its output, bias included, is quantised with its activation width, as in MNSIM 2.0;
* so is the output of a batch norm, with the width of the layer in front of it, as in MNSIM 2.0;
* the image is quantised with a width of its own;
* an input that is on no grid, behind a sum, an average or a function other than ReLU, is quantised at the layer, with
  its own scale and the width of the first layer that produced it. MNSIM takes the step of whichever quantiser ran
  last, which clips sums. The input width of a layer is thus that of `moopim.workload.LayerTable.with_bits`.

So every layer multiplies integer codes by integer codes, and the product can be computed by a crossbar model instead
without any other change. The scales of activations follow eq. (6) of CrossNAS in training, do not depend on the
widths, and are constant in evaluation. Automatic mixed precision would round the codes: train quantised networks
without it.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from moopim.checks import is_whole
from moopim.errors import ConfigError, unknown_name
from moopim.network._origins import FROM_IMAGE, Origin, find_origins
from moopim.network.quantiser import (
    MOMENTUM,
    UNSET,
    Grid,
    check_bits,
    integer_codes,
    moving_alpha,
    quantise,
    weight_alpha,
)
from moopim.network.tools import (
    Forward,
    check_finite,
    current_weight,
    evaluating,
    hook_substitution,
    substitute_weight,
    weighted_layers,
)
from moopim.user_code import reason
from moopim.workload.layers import LayerTable

_ModuleT = TypeVar("_ModuleT", bound=nn.Module)

_MOST_SIZE = 1_000_000
_SETTINGS, _SITE = "_moopim_quantisation", "_moopim_quantiser"  # attributes of the network and of its modules
_IMAGE_ALPHA, _INPUT_ALPHA, _OUTPUT_ALPHA = "image_alpha", "input_alpha", "output_alpha"  # buffers


@dataclass
class Widths:
    """Bit widths of a layer; changes apply to the layer, its batch norm and the inputs made of its output.

    Attributes:
        weights: Width of the weights, sign included (bit).
        activations: Width of the outputs, sign included (bit).
    """

    weights: int
    activations: int


@dataclass
class _Settings:
    """State that all quantisers of a network share."""

    image: Widths
    layers: dict[str, Widths]
    momentum: float
    frozen: bool = False
    measuring: bool = False


@dataclass
class _Site:
    """Quantisation site: state of the hooks of a module.

    Attributes:
        settings: Settings of the network.
        widths: Widths of the layer, or of the layer in front of a batch norm.
        source: Widths of the layer that produces the input; None for a batch norm.
        reads: Path of the module whose grid the input is on, or `FROM_IMAGE`; None if the layer quantises it.
    """

    settings: _Settings
    widths: Widths
    source: Widths | None = None
    reads: str | None = None


def quantise_module(
    model: _ModuleT,
    image_shape: Sequence[int],
    *,
    input_bits: int = 9,
    weight_bits: int = 9,
    activation_bits: int = 9,
    momentum: float = MOMENTUM,
) -> _ModuleT:
    """Quantised copy of a module, to be trained further, or calibrated and evaluated.

    The copy has the parameters and the paths of the module, and one number per quantiser more in its state. Layers that
    the module does not run in evaluation mode are left unquantised. `set_bits` sets the widths of single layers.

    Args:
        model: Network that takes a batch of images.
        image_shape: Shape of an image, such as ``(channels, height, width)``.
        input_bits: Width of the image values (bit).
        weight_bits: Width of the weights of every layer, sign included (bit).
        activation_bits: Width of the outputs of every layer, sign included (bit).
        momentum: Weight of the old activation scale in its moving average, eq. (6) of CrossNAS; 0 <= momentum < 1.

    Returns:
        The copy, in the mode of the module.

    Raises:
        ConfigError: If a width, the momentum or a weight is not allowed, or the module cannot be run or has weights
            outside of its convolutions and linear layers; names the layer and the value.
    """
    if is_quantised(model):
        raise ConfigError(f"{type(model).__name__} is quantised; expected a module that is not")
    if not all(is_whole(size, 1, _MOST_SIZE) for size in image_shape):
        raise ConfigError(
            f"image shape {tuple(image_shape)!r} is not allowed; expected 1 .. {_MOST_SIZE} for each axis"
        )
    if not 0 <= momentum < 1:
        raise ConfigError(f"momentum {momentum!r} of activation scales is not allowed; expected 0 <= momentum < 1")
    image = Widths(0, check_bits("the image", input_bits))
    widths = Widths(check_bits("the weights", weight_bits), check_bits("the activations", activation_bits))
    weights = {f"weights of layer {path!r}": current_weight(layer) for path, layer in weighted_layers(model).items()}
    for what, weight in weights.items():
        if weight.dtype not in (torch.float32, torch.float64):
            raise ConfigError(f"{what} have type {weight.dtype}; expected torch.float32 or torch.float64")
    check_finite(weights.items())
    net = _copied(model)
    layers, norms = find_origins(net, image_shape)
    settings = _Settings(image, {path: copy.copy(widths) for path in layers}, momentum)
    setattr(net, _SETTINGS, settings)
    _add_quantisers(net, settings, layers, norms)
    return net


def is_quantised(net: nn.Module) -> bool:
    """Whether a network is a result of `quantise_module`."""
    return _SETTINGS in net.__dict__


def quantised_layers(net: nn.Module) -> dict[str, Widths]:
    """Widths of the quantised layers by path, in the order in which they run; ConfigError if there are none."""
    return dict(_settings(net).layers)


def input_width(net: nn.Module) -> int:
    """Width of the image values, sign included (bit)."""
    return _settings(net).image.activations


def calibrate(net: nn.Module, images: Tensor) -> None:
    """Measure the activation scales from scratch, in evaluation mode.

    All images run through the network at once; each layer gets values that are quantised with the new scales.

    Args:
        net: Quantised network, result of `quantise_module`; changed.
        images: Images, shape ``(images, ...)``, on the device of the network.

    Raises:
        ConfigError: If the network is not quantised, there are no images or they are more precise than its weights, or
            a scale is not finite; the scales are unchanged then.
    """
    settings = _settings(net)
    if not isinstance(images, Tensor):
        raise ConfigError(f"images are a {type(images).__name__}; expected a tensor")
    if not len(images):
        raise ConfigError("no images to calibrate with; expected at least one")
    precision: torch.dtype = getattr(net, _IMAGE_ALPHA).dtype
    if torch.promote_types(images.dtype, precision) != precision:
        raise ConfigError(f"images have type {images.dtype}; expected {precision}, as the weights of the network")
    before = [(alpha, alpha.clone()) for _, alpha in _alphas(net)]
    settings.measuring = True
    try:
        with evaluating(net):
            net(images)
        check_finite((f"values of {name}", alpha) for name, alpha in _alphas(net))
    except BaseException:
        for alpha, value in before:
            alpha.copy_(value)
        raise
    finally:
        settings.measuring = False


def freeze(net: nn.Module, frozen: bool = True) -> None:
    """Keep activation scales constant in training too, such as while batch norms are recalibrated."""
    _settings(net).frozen = frozen


def weight_grid(net: nn.Module, path: str) -> Grid:
    """Grid of the weights of a layer."""
    layer, site = _layer(net, path)
    return Grid(weight_alpha(current_weight(layer)), site.widths.weights)


def weight_codes(net: nn.Module, path: str) -> tuple[Tensor, Tensor]:
    """Weight codes of a layer (int32, shape of its weights) and the value of one step.

    Their product is bit for bit what the layer computes with.
    """
    layer, _ = _layer(net, path)
    grid = weight_grid(net, path)
    return integer_codes(current_weight(layer), *grid), grid.step.detach()


def input_grid(net: nn.Module, path: str) -> Grid:
    """Grid of the input of a layer: that of the layer, batch norm or image that produces it, or its own."""
    layer, site = _layer(net, path)
    if site.reads is None:
        module, name = layer, _INPUT_ALPHA
    elif site.reads == FROM_IMAGE:
        module, name = net, _IMAGE_ALPHA
    else:
        module, name = net.get_submodule(site.reads), _OUTPUT_ALPHA
    return Grid(_measured(module, name), cast("Widths", site.source).activations)


def output_grid(net: nn.Module, path: str) -> Grid:
    """Grid of the output of a layer, in front of a batch norm."""
    layer, site = _layer(net, path)
    return Grid(_measured(layer, _OUTPUT_ALPHA), site.widths.activations)


def _copied(model: _ModuleT) -> _ModuleT:
    try:
        return copy.deepcopy(model)
    except RuntimeError as error:  # of a tensor that depends on parameters, which some modules keep between calls
        raise ConfigError(
            f"{type(model).__name__} cannot be copied: {reason(error)}; expected one that has not been "
            "run with gradients"
        ) from error


def _add_quantisers(
    net: nn.Module, settings: _Settings, layers: Mapping[str, list[Origin]], norms: Mapping[str, list[Origin]]
) -> None:
    """Add scales and hooks where values are quantised."""
    sources = {**settings.layers, FROM_IMAGE: settings.image}
    _add_alpha(net, _IMAGE_ALPHA)
    net.register_forward_pre_hook(_quantise_image)
    for path, origins in layers.items():
        layer = net.get_submodule(path)
        grids = {origin.grid for origin in origins}
        reads = origins[0].grid if len(grids) == 1 else None
        setattr(layer, _SITE, _Site(settings, settings.layers[path], sources[origins[0].layer], reads))
        if reads is None:
            _add_alpha(layer, _INPUT_ALPHA)
        _add_alpha(layer, _OUTPUT_ALPHA)
        hook_substitution(layer, _quantise_operands)
        layer.register_forward_hook(_quantise_output)
    for path, origins in norms.items():
        norm = net.get_submodule(path)
        setattr(norm, _SITE, _Site(settings, sources[origins[0].layer]))
        _add_alpha(norm, _OUTPUT_ALPHA)
        norm.register_forward_hook(_quantise_output)


def _quantise_image(net: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    settings = _settings(net)
    return (_scaled(net, _IMAGE_ALPHA, inputs[0], settings, settings.image), *inputs[1:])


def _quantise_operands(layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    site: _Site = getattr(layer, _SITE)
    weight = current_weight(layer)
    substitute_weight(layer, quantise(weight, weight_alpha(weight), site.widths.weights))
    if site.reads is not None:
        return inputs
    return (_scaled(layer, _INPUT_ALPHA, inputs[0], site.settings, cast("Widths", site.source)), *inputs[1:])


def _quantise_output(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    del inputs
    site: _Site = getattr(module, _SITE)
    return _scaled(module, _OUTPUT_ALPHA, output, site.settings, site.widths)


def _scaled(module: nn.Module, name: str, x: Tensor, settings: _Settings, widths: Widths) -> Tensor:
    """Quantise activations of a module with its scale, which moves in training."""
    alpha: Tensor = getattr(module, name)
    if settings.measuring:
        alpha.copy_(moving_alpha(alpha, x, momentum=0))
    elif module.training and not settings.frozen:
        alpha.copy_(moving_alpha(alpha, x, settings.momentum))
    elif not torch.compiler.is_exporting():  # a graph cannot depend on numbers
        alpha = _measured(module, name)
    return quantise(x, alpha, widths.activations)


def _measured(module: nn.Module, name: str) -> Tensor:
    alpha: Tensor = getattr(module, name)
    if alpha < 0:
        raise ConfigError(
            f"{name} of a {type(module).__name__} has not been measured; train the quantised network or calibrate it"
        )
    return alpha


def _add_alpha(module: nn.Module, name: str) -> None:
    weight = next(module.parameters())
    dtype = torch.promote_types(weight.dtype, torch.float32)
    module.register_buffer(name, torch.full((), UNSET, dtype=dtype, device=weight.device))


def _alphas(net: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield "the image", getattr(net, _IMAGE_ALPHA)
    for path, module in net.named_modules():
        if _SITE in module.__dict__:
            names = (_INPUT_ALPHA, _OUTPUT_ALPHA)
            yield from ((f"{path} ({name})", getattr(module, name)) for name in names if hasattr(module, name))


def _settings(net: nn.Module) -> _Settings:
    settings = net.__dict__.get(_SETTINGS)
    if not isinstance(settings, _Settings):
        raise ConfigError(f"{type(net).__name__} is not quantised; expected the result of quantise_module")
    return settings


def _layer(net: nn.Module, path: str) -> tuple[nn.Module, _Site]:
    layers = _settings(net).layers
    if path not in layers:
        raise unknown_name("quantised layer", path, layers)
    layer = net.get_submodule(path)
    return layer, getattr(layer, _SITE)


BIT_CHOICES = (5, 7, 9)
"""Bit widths of weights and activations in CrossNAS's search space (arXiv 2505.22868, Table 1)."""

LayerBits = int | Sequence[int] | Mapping[str, int]
"""Bit widths: one for all layers, one per layer in the order in which they run, or by path for some layers."""


def layer_bits(net: nn.Module) -> dict[str, tuple[int, int]]:
    """Bit widths of the layers of a quantised network.

    Args:
        net: Quantised network, result of `quantise_module`.

    Returns:
        Widths of weights and outputs by path (bit), in the order in which the layers run.

    Raises:
        ConfigError: If the network is not quantised.
    """
    return {path: (widths.weights, widths.activations) for path, widths in quantised_layers(net).items()}


def set_bits(net: nn.Module, weights: LayerBits | None = None, activations: LayerBits | None = None) -> None:
    """Set bit widths of a quantised network; its scales and weights are unchanged.

    Args:
        net: Quantised network, result of `quantise_module`; changed.
        weights: Widths of the weights, sign included (bit): one for all layers, one per layer in the order in which
            they run, or by path; None keeps them.
        activations: Widths of the outputs, likewise.

    Raises:
        ConfigError: If a layer, a width or the number of widths is not allowed; no width is changed then.
    """
    layers = quantised_layers(net)
    new_weights = _by_path("weights", weights, list(layers))
    new_activations = _by_path("activations", activations, list(layers))
    for path, width in new_weights.items():
        layers[path].weights = width
    for path, width in new_activations.items():
        layers[path].activations = width


def sample_bits(
    net: nn.Module,
    rng: np.random.Generator,
    weights: Sequence[int] = BIT_CHOICES,
    activations: Sequence[int] = BIT_CHOICES,
) -> None:
    """Draw the widths of every layer uniformly from the choices for weights and outputs (bit)."""
    count = len(quantised_layers(net))
    drawn: list[list[int]] = []
    for what, choices in (("weights", weights), ("activations", activations)):
        if not len(choices):
            raise ConfigError(f"no choice for the bits of {what}; expected at least one")
        drawn.append([choices[i] for i in rng.integers(len(choices), size=count)])
    set_bits(net, *drawn)


def sampling_forward(weights: Sequence[int] = BIT_CHOICES, activations: Sequence[int] = BIT_CHOICES) -> Forward:
    """Training step of the mixed-precision supernet (CrossNAS, section 3.3): random bit widths at each step.

    Args:
        weights: Choices for the widths of weights (bit).
        activations: Choices for the widths of outputs (bit).

    Returns:
        ``forward(net, images, rng) -> logits`` for `fit`: draws the widths of all layers, then runs the network.
    """

    def forward(net: nn.Module, images: Tensor, rng: np.random.Generator) -> Tensor:
        sample_bits(net, rng, weights, activations)
        output: Tensor = net(images)
        return output

    return forward


def table_with_bits(net: nn.Module, table: LayerTable) -> LayerTable:
    """Layer table of a network with the bit widths of its quantised version.

    Args:
        net: Quantised network, result of `quantise_module`.
        table: Layer table of the network before or after quantisation, from `moopim.workload.trace`; its names are
            paths of layers.

    Returns:
        The table with the widths of weights, outputs and inputs.

    Raises:
        ConfigError: If a layer with weights of the table is not a layer of the network.
    """
    layers = quantised_layers(net)
    if not table.names:
        raise ConfigError("a layer table without names is not allowed; expected that of one network")
    modules = {net.get_submodule(path): widths for path, widths in layers.items()}
    # A layer may have several paths.
    paths = net.named_modules(remove_duplicate=False)
    known = {path: modules[module] for path, module in paths if module in modules}
    columns = np.ones((2, 1, table.layers), dtype=np.int64)
    for layer in np.flatnonzero(table.weighted[0]):
        widths = _find(table.names[layer], known)
        columns[:, 0, layer] = widths.weights, widths.activations
    return table.with_bits(columns[0], columns[1], input_width(net))


def _find(name: str, known: Mapping[str, Widths]) -> Widths:
    """Widths of a layer of a table, named by its path, with a number and a kind appended where it runs again."""
    path = re.sub(r"_\d+$", "", name)
    for candidate in (name, path, path.rpartition(".")[0]):
        if candidate in known:
            return known[candidate]
    raise unknown_name("quantised layer", name, known)


def _by_path(what: str, given: LayerBits | None, paths: Sequence[str]) -> dict[str, int]:
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
