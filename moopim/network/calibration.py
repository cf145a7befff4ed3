"""Recalibration of batch norms: statistics of given images, measured for one network.

In training, batch normalisation keeps running averages, in which weights and subnets of many steps are mixed, and
divides a batch's squared deviations by one less than their number. Here the statistics are those of given images in
the network as it is: layer by layer, the mean and variance over all images at once, where the layers in front are
normalised by their own new statistics. They depend neither on an order of images or a batch size nor on earlier
measurements. The statistics of a block depend on the blocks in front of it only, so subnets that start with the same
blocks share them exactly.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from moopim.checks import is_whole
from moopim.errors import ConfigError
from moopim.network.datasets import ImageData
from moopim.network.supernet import Statistics
from moopim.network.tools import channels_last, evaluating

CALIBRATION = 512
"""Default number of images for calibration; a choice of moopim."""

_SEED = 0  # of the selection of these images
_CHUNK = 64  # images that are summed at a time: bounds the memory for doubles


def calibration_images(data: ImageData, count: int = CALIBRATION) -> Tensor:
    """Fixed random selection of training images for calibration.

    Args:
        data: Image set.
        count: Number of images.

    Returns:
        Images drawn without replacement, the same ones in each call, shape ``(count, channels, height, width)``.

    Raises:
        ConfigError: If there are not as many training images.
    """
    images = data.train.images
    if not is_whole(count, 1, len(images)):
        raise ConfigError(f"calibration {count!r} is not allowed; expected 1 .. {len(images)} (the training images)")
    picked = np.sort(np.random.default_rng(_SEED).choice(len(images), count, replace=False))
    return images[torch.from_numpy(picked).to(images.device)]


def measure(y: Tensor, what: str) -> Statistics:
    """Batch norm statistics of an input ``(images, channels, ...)``, in its type; summed in double precision.

    ConfigError, naming `what` for the layer, if there are no values or the statistics are not finite.
    """
    if y.dim() < 2 or not y.numel():  # noqa: PLR2004 (images and channels)
        raise ConfigError(f"the values of {what} have shape {tuple(y.shape)}; expected (images, channels, ...)")
    dims = [dim for dim in range(y.dim()) if dim != 1]
    total = torch.zeros(2, y.shape[1], dtype=torch.float64, device=y.device)
    for start in range(0, len(y), _CHUNK):
        values = y[start : start + _CHUNK].double()
        total[0] += values.sum(dims)
        total[1] += values.square_().sum(dims)
    mean, square = total / (y.numel() // y.shape[1])
    statistics = Statistics(mean.to(y.dtype), (square - mean.square()).clamp(min=0).to(y.dtype))
    if not all(values.isfinite().all() for values in statistics):
        raise ConfigError(f"the values of {what} are not finite; expected weights and images without NaN or infinity")
    return statistics


def recalibrate(model: nn.Module, images: Tensor) -> None:
    """Measure the statistics of all batch norms of a module anew and set them.

    All images run through it at once, in evaluation mode; its mode is restored.

    Args:
        model: Module; changed. Batch norms without statistics, such as those of a supernet, are left alone.
        images: Images on the device of the module, shape ``(images, channels, height, width)``.

    Raises:
        ConfigError: If statistics are not finite or a layer runs twice in a pass, which names the layer.
    """
    seen: set[str] = set()

    def hook(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def update(norm: nn.Module, args: tuple[Any, ...]) -> None:
            if name in seen:
                raise ConfigError(f"layer {name!r} runs twice in a pass; expected batch normalisation that runs once")
            seen.add(name)
            mean, variance = measure(args[0], f"the input of layer {name!r}")
            norm.get_buffer("running_mean").copy_(mean)
            norm.get_buffer("running_var").copy_(variance)

        return update

    norms = [(name, part) for name, part in model.named_modules() if isinstance(part, _BatchNorm)]
    hooks = [norm.register_forward_pre_hook(hook(name)) for name, norm in norms if norm.track_running_stats]
    try:
        with evaluating(model):
            model(channels_last(images))
    finally:
        for handle in hooks:
            handle.remove()
