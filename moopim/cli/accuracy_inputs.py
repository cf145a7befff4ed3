"""What ``moopim evaluate accuracy`` reads: images, a network and its weights, checked against each other."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from moopim.errors import ConfigError
from moopim.messages import count
from moopim.network.calibration import CALIBRATION, calibration_images
from moopim.network.datasets import ImageData, Split, load_data
from moopim.network.quantisation import calibrate
from moopim.network.quantised_file import Trained, load_trained
from moopim.network.tools import check_device, evaluating
from moopim.user_code import reason
from moopim.workload.tracing import load_module

__all__ = ["Inputs", "Selection", "load_inputs"]


class Selection(NamedTuple):
    """Which images are evaluated.

    Attributes:
        data: Name of the data set.
        root: Folder of its files.
        split: ``validation`` or ``test``.
        images: How many, from the first on; None for all.
    """

    data: str
    root: Path | None = None
    split: str = "test"
    images: int | None = None


class Inputs(NamedTuple):
    """What is evaluated.

    Attributes:
        trained: The network with its weights and scales.
        split: Images to evaluate on.
        calibration: Images to calibrate with, on the device.
        what: What the images are, in words.
        scales: Where the scales of activations are from, in words.
    """

    trained: Trained
    split: Split
    calibration: Tensor
    what: str
    scales: str


def load_inputs(
    network: str,
    weights: Path,
    selection: Selection,
    calibration: int | None,
    calibrated: bool,
    device: str,
    *,
    weight_bits: int,
    activation_bits: int,
    input_bits: int,
) -> Inputs:
    """Loads everything that an evaluation needs and measures scales where the weights have none.

    Args:
        network: What `moopim.workload.tracing.load_module` takes.
        weights: File of its weights.
        selection: The images.
        calibration: Number of training images to calibrate with; None for the usual one.
        calibrated: Whether ADCs will be calibrated.
        device: Where to compute.
        weight_bits: Bits of weights, sign included.
        activation_bits: Bits of activations, sign included.
        input_bits: Bits of a value of the image, sign included.

    Returns:
        The inputs.

    Raises:
        ConfigError: If something is missing, damaged or not allowed, or does not fit the rest.
    """
    check_device(device)
    if not weights.is_file():  # before images, which may take long
        raise ConfigError(f"weights {str(weights)!r} do not exist; expected a file in safetensors format")
    module = load_module(network).to(device)
    data = load_data(selection.data, selection.root)
    split, what = _select(data, selection)
    number = min(CALIBRATION, len(data.train)) if calibration is None else calibration
    images = calibration_images(data, number).to(device)
    _check_network(network, module, data, split.images[:1].to(device))
    trained = load_trained(
        module, weights, data.image_shape, weight_bits=weight_bits, activation_bits=activation_bits,
        input_bits=input_bits
    )  # fmt: skip
    if not trained.scaled:
        calibrate(trained.quantised, images)
        return Inputs(trained, split, images, what, f"measured on {count(number, 'training image')}")
    if calibration is not None and not calibrated:
        raise ConfigError(
            f"--calibration {calibration} has no effect: {str(weights)!r} has scales of activations, and only ADCs of "
            "--adc-range calibrated are measured"
        )
    return Inputs(trained, split, images, what, "as trained; float is the same weights without quantisers")


def _select(data: ImageData, selection: Selection) -> tuple[Split, str]:
    """The images to evaluate on, and what they are."""
    split: Split = getattr(data, selection.split)
    number = len(split) if selection.images is None else selection.images
    if not 1 <= number <= len(split):
        raise ConfigError(f"--images {number} is not allowed; expected 1..{len(split)} ({selection.split} images)")
    first = f"the first {number} of " if number < len(split) else ""
    name = f"{data.name} (synthetic)" if data.synthetic else data.name
    chosen = replace(split, images=split.images[:number], labels=split.labels[:number])
    return chosen, f"{name}, {first}{count(len(split), f'{selection.split} image')}"


def _check_network(name: str, module: nn.Module, data: ImageData, image: Tensor) -> None:
    """Checks that a network takes the images of a data set, two at a time, and tells its classes apart."""
    size = "x".join(map(str, data.image_shape))
    try:
        with evaluating(module):
            output = module(torch.cat([image, image]))
    except (Exception, SystemExit) as error:
        words = " ".join(reason(error).split())
        raise ConfigError(
            f"network {name!r} cannot be run on images of {size} of data {data.name!r}: {words}"
        ) from error
    shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if shape != (2, data.classes):
        raise ConfigError(
            f"network {name!r} makes {shape} of two images; expected (2, {data.classes}) for the {data.classes} "
            f"classes of data {data.name!r}"
        )
