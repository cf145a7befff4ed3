"""A network of one's own on crossbars, in one step."""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor, nn

from moopim.errors import ConfigError
from moopim.network.crossbar.circuit import Circuit
from moopim.network.crossbar.inference import Program, check_circuits, on_crossbars
from moopim.network.quantisation import LayerBits, calibrate, quantise_module, set_bits

__all__ = ["convert"]

Module = TypeVar("Module", bound=nn.Module)


def convert(
    model: Module,
    circuit: Circuit,
    images: Tensor,
    *,
    weight_bits: LayerBits = 9,
    activation_bits: LayerBits = 9,
    input_bits: int = 9,
    program: Program | None = None,
) -> Module:
    """Quantises a trained network, measures the scales of its activations, and puts it on crossbars.

    The steps on their own, for a network that is trained further in between, are
    `moopim.network.quantisation.quantise_module`, `moopim.network.quantisation.set_bits`,
    `moopim.network.quantisation.calibrate` and `moopim.network.crossbar.inference.on_crossbars`.

    Subclasses of the layers may pad, pick or turn round their inputs, and do anything to the product. Layers whose
    inputs do not depend on the image stay as they are. Refused are other modules that multiply by weights (transposed
    and three-dimensional convolutions, recurrent layers, `torch.nn.MultiheadAttention`), layers whose weights are used
    by a function outside of them, and layers that change them first, as weight standardisation does.

    Args:
        model: Any module that calls layers of `torch.nn.Conv1d`, `torch.nn.Conv2d` and `torch.nn.Linear`, and whatever
            is computed digitally between them: batch norms, functions, pooling, sums, concatenations, products of
            activations. Not changed.
        circuit: The circuit of all layers.
        images: Images to calibrate with, shape ``(images, ...)``, on the device of the model; they go through it at
            once.
        weight_bits: Bits of weights, sign included.
        activation_bits: Bits of the outputs of layers, sign included.
        input_bits: Bits of a value of the image, sign included.
        program: What the cells of a layer turn out to hold; their ideal digits if not given.

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
