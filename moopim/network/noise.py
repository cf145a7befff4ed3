"""Noise on the weights of any module, as that of memory cells: ``W + sigma max|W| eps``, ``eps ~ N(0, 1)``.

HuNT (III-B) takes the deviation of weights in a layer as normal; the standard deviation per layer is an input here, as
the paper gives none for a temperature. In a quantised network, noise is on the quantised weights, as in cells that hold
them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.special import stdtrit
from torch import Tensor, nn

from moopim.checks import is_whole, numbers
from moopim.errors import ConfigError, unknown_name
from moopim.network.accuracy import accuracy
from moopim.network.datasets import Split
from moopim.network.quantiser import weight_alpha
from moopim.network.tools import add_stand_in, check_finite, current_weight, stand_in, weighted_layers
from moopim.typing import FloatArray

__all__ = ["MeanInterval", "Sigma", "mean_interval", "noisy_accuracies", "noisy_forward", "with_weight_noise"]

Sigma = float | Mapping[str, float]
"""Standard deviation as a part of the largest magnitude of a layer: one for all layers, or by path; else 0."""

Forward = Callable[[nn.Module, Tensor, np.random.Generator], Tensor]


class MeanInterval(NamedTuple):
    """A mean with its confidence interval.

    Attributes:
        mean: Mean of the sample.
        low: Lower end.
        high: Upper end.
    """

    mean: float
    low: float
    high: float


@contextmanager
def with_weight_noise(model: nn.Module, sigma: Sigma, seed: int = 1, draw: int = 0) -> Iterator[None]:
    """Adds noise to the weights that the layers of a module compute with; its parameters are not touched.

    The noise of a layer depends on the seed, the draw and the path of the layer only: not on other layers, the device
    or what was drawn before. It is the same for all images while the context lasts. Gradients reach the parameters.

    Args:
        model: The module, quantised or not.
        sigma: Standard deviation per layer.
        seed: Seed, not negative.
        draw: Number of the draw, not negative.

    Yields:
        Nothing; the module is as it was afterwards.

    Raises:
        ConfigError: If there is no such layer, or a standard deviation is negative or not finite; names the layer.
    """
    for what, number in (("seed", seed), ("draw", draw)):
        if number < 0:
            raise ConfigError(f"{what} {number} of weight noise is not allowed; expected 0, 1, ...")
    layers = weighted_layers(model)
    handles: list[Any] = []
    try:
        for path, deviation in _deviations(sigma, list(layers)).items():
            if deviation:
                noise = _noise(layers[path], path, deviation, seed, draw)
                handles += add_stand_in(layers[path], _adding(noise))
        yield
    finally:
        for handle in handles:
            handle.remove()


def noisy_accuracies(model: nn.Module, split: Split, sigma: Sigma, draws: int = 10, seed: int = 1) -> FloatArray:
    """Accuracies of a module under several draws of weight noise.

    Args:
        model: The module, quantised or not; it is evaluated in evaluation mode.
        split: Images and labels, on the device of the module.
        sigma: Standard deviation per layer.
        draws: Number of draws.
        seed: Seed; a draw has the same noise whatever the number of draws.

    Returns:
        Accuracy of each draw, 0 .. 1, shape ``(draws,)``.

    Raises:
        ConfigError: If a number is not allowed, or weights hold NaN; names the layer.
    """
    if not is_whole(draws, 1):
        raise ConfigError(f"{draws} draws are not allowed; expected 1, 2, ...")
    accuracies = np.empty(draws)
    for draw in range(draws):
        with with_weight_noise(model, sigma, seed, draw):
            accuracies[draw] = accuracy(model, split)
    return accuracies


def mean_interval(sample: FloatArray, confidence: float = 0.95) -> MeanInterval:
    """Mean of a sample and Student's t interval for the mean of what it is drawn from.

    Args:
        sample: Independent values, such as accuracies of draws, shape ``(draws,)``.
        confidence: How often such an interval holds the mean, 0 .. 1.

    Returns:
        The mean and the two ends.

    Raises:
        ConfigError: If there are fewer than two values, one is not finite, or the confidence is not between 0 and 1.
    """
    sample = numbers("sample", sample, ("draws",))
    n = len(sample)
    if n < 2:  # noqa: PLR2004 (a standard deviation needs two)
        raise ConfigError(f"an interval of {n} values is not defined; expected at least 2 draws")
    if not 0 < confidence < 1:
        raise ConfigError(f"confidence {confidence!r} is not allowed; expected a number between 0 and 1")
    mean = float(np.mean(sample))
    half = float(stdtrit(n - 1, (1 + confidence) / 2) * np.std(sample, ddof=1) / math.sqrt(n))
    return MeanInterval(mean, mean - half, mean + half)


def noisy_forward(sigma: Sigma, forward: Forward | None = None) -> Forward:
    """Makes the step of a training with noise injection: other noise on the weights at each step.

    Args:
        sigma: Standard deviation per layer.
        forward: How the network is run, such as `moopim.network.quantisation.sampling_forward`; by default it is
            called.

    Returns:
        ``forward(model, images, rng)``, which draws the noise and returns the network's output.
    """

    def noisy(model: nn.Module, images: Tensor, rng: np.random.Generator) -> Tensor:
        with with_weight_noise(model, sigma, int(rng.integers(2**63))):
            output: Tensor = forward(model, images, rng) if forward is not None else model(images)
        return output

    return noisy


def _deviations(sigma: Sigma, paths: list[str]) -> dict[str, float]:
    given = dict(sigma) if isinstance(sigma, Mapping) else dict.fromkeys(paths, sigma)
    for path, deviation in given.items():
        if path not in paths:
            raise unknown_name("layer with weights", path, paths)
        if not (math.isfinite(deviation) and deviation >= 0):
            raise ConfigError(f"sigma {deviation!r} of layer {path!r} is not allowed; expected a finite number >= 0")
    return given


def _noise(layer: nn.Module, path: str, deviation: float, seed: int, draw: int) -> Tensor:
    weight = current_weight(layer).detach()
    check_finite([(f"weights of layer {path!r}", weight)])
    source = np.random.SeedSequence(seed, spawn_key=(draw, *path.encode()))
    eps = np.random.default_rng(source).standard_normal(tuple(weight.shape), dtype=np.float32)
    scale = deviation * weight_alpha(weight)
    return scale * torch.from_numpy(eps).to(weight)


def _adding(noise: Tensor) -> Callable[[nn.Module, Any], None]:
    def add(layer: nn.Module, inputs: Any) -> None:
        del inputs
        stand_in(layer, current_weight(layer) + noise)

    return add
