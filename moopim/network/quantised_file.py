"""Quantised networks from files of weights, whether they were trained so or not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from torch import nn

from moopim.network.checkpoint import load_weights, weight_names
from moopim.network.quantisation import quantise_module

__all__ = ["Trained", "load_trained"]


class Trained(NamedTuple):
    """A trained network, with quantisers and without.

    Attributes:
        plain: Without.
        quantised: With; result of `moopim.network.quantisation.quantise_module`.
        scaled: Whether the scales of activations came with the weights; else they are still to be measured.
    """

    plain: nn.Module
    quantised: nn.Module
    scaled: bool


def load_trained(
    model: nn.Module,
    path: Path | str,
    image_shape: Sequence[int],
    *,
    input_bits: int = 9,
    weight_bits: int = 9,
    activation_bits: int = 9,
) -> Trained:
    """Reads the weights of a network, or of its quantised version with its scales, and gives both.

    Args:
        model: The network; it gets the weights.
        path: A file in safetensors format, of `moopim.network.checkpoint.save_weights` or of others.
        image_shape: Shape of an image, such as channels, height, width.
        input_bits: Bits of a value of the image.
        weight_bits: Bits of the weights of every layer, sign included.
        activation_bits: Bits of the outputs of every layer, sign included.

    Returns:
        The network, with quantisers and without.

    Raises:
        ConfigError: If the file is missing, damaged or does not fit, a width is not allowed, or the network cannot be
            quantised.
    """
    bits = {"input_bits": input_bits, "weight_bits": weight_bits, "activation_bits": activation_bits}
    names = weight_names(path)
    quantised = quantise_module(model, image_shape, **bits)
    own = model.state_dict().keys()
    if not (quantised.state_dict().keys() - own).intersection(names):
        load_weights(model, path, foreign=True)
        return Trained(model, quantise_module(model, image_shape, **bits), scaled=False)
    load_weights(quantised, path, foreign=True)
    model.load_state_dict({name: value for name, value in quantised.state_dict().items() if name in own})
    return Trained(model, quantised, scaled=True)
