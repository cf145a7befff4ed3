"""Weight noise of memory cells in any module: ``W + sigma max|W| eps``, ``eps ~ N(0, 1)``.

HuNT (III-B) takes the deviation of weights in a layer as normal; the standard deviation per layer is an input here, as
the paper gives none for a temperature. In a quantised network, noise is added to the quantised weights, as in cells
that hold them.
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
from moopim.network.tools import (
    Forward,
    check_finite,
    current_weight,
    hook_substitution,
    substitute_weight,
    weighted_layers,
)
from moopim.typing import FloatArray

Sigma = float | Mapping[str, float]
"""Standard deviation relative to the largest weight of a layer: one for all layers, or by path (0 for others)."""


class MeanInterval(NamedTuple):
    """Mean with its confidence interval.

    Attributes:
        mean: Mean of the sample.
        low: Lower end of the interval.
        high: Upper end of the interval.
    """

    mean: float
    low: float
    high: float


@contextmanager
def with_weight_noise(model: nn.Module, sigma: Sigma, seed: int = 1, draw: int = 0) -> Iterator[None]:
    """Context in which the layers of a module compute with noisy weights; its parameters are unchanged.

    The noise of a layer depends on the seed, the draw and the path of the layer only: not on other layers, the device
    or earlier draws. It is the same for all images while the context lasts. Gradients reach the parameters.
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
                handles += hook_substitution(layers[path], _adding(noise))
        yield
    finally:
        for handle in handles:
            handle.remove()


def noisy_accuracies(model: nn.Module, split: Split, sigma: Sigma, draws: int = 10, seed: int = 1) -> FloatArray:
    """Top-1 accuracies of a network under several draws of weight noise.

    Args:
        model: Network, quantised or not; run in evaluation mode.
        split: Images and labels, on the device of the network.
        sigma: Standard deviation relative to the largest weight of a layer: one for all layers, or by path.
        draws: Number of draws.
        seed: Seed, 0 or more; the noise of a draw does not depend on the number of draws.

    Returns:
        Accuracy of each draw, 0 to 1, shape ``(draws,)``.

    Raises:
        ConfigError: If a number is not allowed, there is no such layer, or weights hold NaN; names the layer.
    """
    if not is_whole(draws, 1):
        raise ConfigError(f"{draws} draws are not allowed; expected 1, 2, ...")
    accuracies = np.empty(draws)
    for draw in range(draws):
        with with_weight_noise(model, sigma, seed, draw):
            accuracies[draw] = accuracy(model, split)
    return accuracies


def mean_interval(sample: FloatArray, confidence: float = 0.95) -> MeanInterval:
    """Mean of a sample with Student's t interval: ``mean +- t(n - 1) s / sqrt(n)``.

    Args:
        sample: Independent values, such as accuracies of draws, shape ``(draws,)``.
        confidence: Confidence level, between 0 and 1.

    Returns:
        Mean, lower and upper end of the interval.

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
    """Training step with noise injection: new weight noise at each step.

    Args:
        sigma: Standard deviation relative to the largest weight of a layer: one for all layers, or by path.
        forward: Training step to which noise is added, such as `sampling_forward`; by default the network is called.

    Returns:
        ``forward(model, images, rng) -> logits`` for `fit`.
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
        substitute_weight(layer, current_weight(layer) + noise)

    return add
