"""Top-1 accuracy of networks, and of many subnets of a supernet at once.

A subnet has the weights that it inherits, and its own batch norm statistics (CrossNAS, arXiv 2505.22868, section 3.2).
Subnets run depth first in sorted order: those which start with the same blocks share their feature maps, of which no
more are held than the next subnet continues from.

Every tensor has the shape that it would have for a single subnet, so the accuracy of a subnet is bit-identical alone,
among others and in any order.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile, zip_longest

import numpy as np
import torch
from torch import Tensor, nn

from moopim.errors import ConfigError, unknown_name
from moopim.network.blocks import run_layers
from moopim.network.calibration import CALIBRATION, calibration_images, measure
from moopim.network.datasets import ImageData, Split
from moopim.network.subnets import Subnet, subnet_name
from moopim.network.supernet import ConvNorm, Statistics, Supernet
from moopim.network.tools import channels_last, evaluating
from moopim.typing import FloatArray

CHUNK = 256
"""Images per forward pass. It is fixed, since the last bits of a convolution may depend on it."""

_SPLITS = ("train", "validation", "test")


def accuracy(model: nn.Module, split: Split, *, progress: Callable[[int], None] | None = None) -> float:
    """Top-1 accuracy of a network, 0 to 1, in evaluation mode on the device of its weights.

    Args:
        model: Network; left as it was.
        split: Images, shape ``(images, channels, height, width)``, and labels, shape ``(images,)``.
        progress: Called with the number of images that have been run, after each chunk.

    Returns:
        Fraction of the images whose largest logit is that of their label.

    Raises:
        ConfigError: If an output is not finite or has the wrong shape, or there are no images.
    """
    device = next((weights.device for weights in model.parameters()), split.images.device)
    correct = done = 0
    with evaluating(model):
        for images, labels in image_chunks(split, device):
            correct += count_correct(model(images), labels, "the network")
            done += len(labels)
            if progress is not None:
                progress(done)
    return correct / len(split.labels)


def subnet_accuracies(
    supernet: Supernet,
    subnets: Sequence[Subnet],
    data: ImageData,
    *,
    split: str = "validation",
    calibration: int = CALIBRATION,
) -> FloatArray:
    """Top-1 accuracies of subnets with inherited weights and their own batch norm statistics.

    Args:
        supernet: Supernet, on the device that computes; not changed.
        subnets: Subnets, each a tuple of `Block`.
        data: Image set.
        split: Split that is evaluated: ``train``, ``validation`` or ``test``.
        calibration: Number of training images that statistics are measured from.

    Returns:
        Accuracies, 0 to 1, shape ``(subnets,)``.

    Raises:
        ConfigError: If a subnet, the data or a number does not fit, or an output is not finite.
    """
    for subnet in subnets:
        supernet.check(subnet)
    _check_data(supernet, data, split)
    wanted = [supernet.canonical(subnet) for subnet in subnets]
    distinct = sorted(set(wanted))
    device = supernet.head.weight.device
    part = getattr(data, split)
    with torch.inference_mode():
        statistics = _calibrate(supernet, distinct, calibration_images(data, calibration).to(device))

        def run(prefix: Subnet, x: Tensor) -> Tensor:
            return _run_last(supernet, prefix, x, lambda name, layer, x: layer.folded(x, statistics[prefix][name]))

        correct = dict.fromkeys(distinct, 0)
        for images, labels in image_chunks(part, device):
            for subnet, x in _depth_first(distinct, images, run):
                correct[subnet] += count_correct(supernet.run_head(x), labels, f"subnet {subnet_name(subnet)}")
    return np.array([correct[subnet] / len(part.labels) for subnet in wanted], dtype=np.float64)


def image_chunks(split: Split, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Images and labels on a device, `CHUNK` at a time; ConfigError if the split is empty."""
    if not len(split.labels):
        raise ConfigError("a split without images has no accuracy; expected at least one image")
    for start in range(0, len(split.labels), CHUNK):
        end = start + CHUNK
        yield channels_last(split.images[start:end].to(device)), split.labels[start:end].to(device)


def count_correct(logits: Tensor, labels: Tensor, what: str) -> int:
    """Number of correct top-1 predictions of logits ``(images, classes)`` for labels ``(images,)``.

    ConfigError, naming the network by `what`, unless logits are finite with a row per label.
    """
    if logits.dim() != 2 or not logits.shape[1] or len(logits) != len(labels):  # noqa: PLR2004 (images and classes)
        raise ConfigError(
            f"outputs of {what} have shape {tuple(logits.shape)}; expected ({len(labels)}, classes), a row per image"
        )
    if not logits.isfinite().all():
        raise ConfigError(f"outputs of {what} are not finite; expected weights and images without NaN or infinity")
    return int((logits.argmax(1) == labels).sum())


def _calibrate(supernet: Supernet, subnets: Sequence[Subnet], images: Tensor) -> dict[Subnet, dict[str, Statistics]]:
    """Batch norm statistics of the last block of each prefix, by name of the convolution in front."""
    statistics: dict[Subnet, dict[str, Statistics]] = {}

    def run(prefix: Subnet, x: Tensor) -> Tensor:
        measured = statistics[prefix] = {}

        def layer(name: str, part: ConvNorm, x: Tensor) -> Tensor:
            y = part.convolve(x)
            measured[name] = measure(y, f"convolution {name!r} of the last block of {subnet_name(prefix)}")
            return part.normalise(y, measured[name])

        return _run_last(supernet, prefix, x, layer)

    for _ in _depth_first(subnets, channels_last(images), run):
        pass
    return statistics


def _run_last(
    supernet: Supernet, prefix: Subnet, x: Tensor, layer: Callable[[str, ConvNorm, Tensor], Tensor]
) -> Tensor:
    """Run the last block of a prefix on the feature maps behind the others."""
    block = prefix[-1]
    parts = supernet.parts(len(prefix) - 1, block, x.shape[1])
    return run_layers(block.kind, x, lambda name, x: layer(name, parts[name], x))


def _depth_first(
    subnets: Sequence[Subnet], images: Tensor, run: Callable[[Subnet, Tensor], Tensor]
) -> Iterator[tuple[Subnet, Tensor]]:
    """Run sorted subnets, each prefix once; yield each subnet and the feature maps behind it.

    ``run`` runs the last block of a prefix on the feature maps behind the others.
    """
    maps = [images]  # behind each of the first blocks that the subnet shares with the one before it
    for subnet, following in zip_longest(subnets, subnets[1:], fillvalue=()):
        shared = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(subnet, following, strict=False))))
        x = maps[-1]
        for end in range(len(maps), len(subnet) + 1):
            x = run(subnet[:end], x)
            if end <= shared:
                maps.append(x)
        yield subnet, x
        del maps[shared + 1 :]


def _check_data(supernet: Supernet, data: ImageData, split: str) -> None:
    if split not in _SPLITS:
        raise unknown_name("split", split, _SPLITS)
    if data.classes != supernet.classes:
        raise ConfigError(f"data {data.name!r} has {data.classes} classes; expected the supernet's {supernet.classes}")
    if tuple(data.image_shape) != tuple(supernet.image_shape):
        raise ConfigError(
            f"images of data {data.name!r} have the shape {tuple(data.image_shape)}; "
            f"expected the supernet's {tuple(supernet.image_shape)}"
        )
