"""Sets of labelled images as tensors: three splits, normalised per channel by the training split."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moopim.constants import constant, read_table
from moopim.errors import ConfigError
from moopim.network.device import check_device
from moopim.typing import FloatArray, IntArray

__all__ = ["ImageData", "Raw", "Split", "check_labels", "hold_out", "image_data", "random_source", "split_figure"]

_CHUNK = 1000  # images taken at a time, so that the statistics of a large set need little memory


class Raw(NamedTuple):
    """Images as they are read: bytes from 0 to 255, or numbers of any range.

    Attributes:
        images: Images (n, channels, height, width), uint8 or float32.
        labels: Their classes (n,), int64.
    """

    images: NDArray[Any]
    labels: IntArray


_Splits: TypeAlias = Mapping[str, Raw]


@dataclass(frozen=True, eq=False)
class Split:
    """Images and their classes.

    Attributes:
        images: Normalised images (n, channels, height, width), float32.
        labels: Their classes (n,), int64.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> "Split":
        """Moves both tensors to a device.

        Args:
            device: The device.

        Returns:
            The split there.
        """
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True, eq=False)
class ImageData:
    """A set of labelled images.

    Attributes:
        name: Its name.
        classes: Number of classes.
        class_names: Their names.
        synthetic: Whether the images were made by a program; whatever shows an accuracy on them has to say so.
        train: What networks are trained on.
        validation: What training and search may look at.
        test: What neither may look at.
        mean: What was subtracted from each channel, for bytes as a share of 255.
        std: What each channel was divided by after that.
    """

    name: str
    classes: int
    class_names: tuple[str, ...]
    synthetic: bool
    train: Split
    validation: Split
    test: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    def to(self, device: torch.device | str) -> "ImageData":
        """Moves all images and labels to a device.

        Args:
            device: The device.

        Returns:
            The set there.

        Raises:
            ConfigError: If torch cannot compute on the device.
        """
        check_device(device)
        return replace(
            self, train=self.train.to(device), validation=self.validation.to(device), test=self.test.to(device)
        )


def image_data(
    name: str, class_names: Sequence[str], train: Raw, validation: Raw, test: Raw, *, synthetic: bool = False
) -> ImageData:
    """Normalises three splits by the mean and the standard deviation of each channel of the training split.

    Args:
        name: Name of the set.
        class_names: Names of its classes.
        train: Training images.
        validation: Validation images.
        test: Test images.
        synthetic: Whether the images were made by a program.

    Returns:
        The set.

    Raises:
        ConfigError: If a split is empty or its images have another shape than those of the training split, or a class
            has no training image.
    """
    splits = {"training": train, "validation": validation, "test": test}
    _check_shapes(name, splits)
    counts = np.bincount(train.labels, minlength=len(class_names))
    if not counts.all():
        empty = int(counts.argmin())
        raise ConfigError(
            f"{name}: class {empty} ({class_names[empty]!r}) has no training image; "
            f"expected at least one for each of the {len(class_names)} classes"
        )
    mean, std = _statistics(train.images)
    return ImageData(
        name=name,
        classes=len(class_names),
        class_names=tuple(class_names),
        synthetic=synthetic,
        train=_normalise(train, mean, std),
        validation=_normalise(validation, mean, std),
        test=_normalise(test, mean, std),
        mean=tuple(mean.tolist()),
        std=tuple(std.tolist()),
    )


def check_labels(labels: IntArray, classes: int, what: str) -> None:
    """Checks that labels name classes.

    Args:
        labels: Labels (n,).
        classes: Number of classes.
        what: Where the labels come from, for messages.

    Raises:
        ConfigError: If a label is not one of ``0 .. classes - 1``.
    """
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        raise ConfigError(
            f"{what}: image {wrong[0]} has label {labels[wrong[0]]}; expected 0..{classes - 1} ({classes} classes)"
        )


def random_source(seed: int | None) -> np.random.Generator:
    """Makes the source of randomness of a split.

    Args:
        seed: Seed, 0 or more; that of ``data/datasets.toml`` if not given.

    Returns:
        The source.

    Raises:
        ConfigError: If the seed is no such number.
    """
    if seed is None:
        seed = int(split_figure("split_seed"))
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ConfigError(f"seed of the split is {seed!r}; expected a whole number, 0 or more")
    return np.random.default_rng(np.random.SeedSequence(int(seed)))


def hold_out(raw: Raw, seed: int | None = None) -> tuple[Raw, Raw]:
    """Takes the validation images out of the training images: the last tenth of them in an order given by a seed.

    Args:
        raw: All training images.
        seed: Seed of the order; a fixed one if not given.

    Returns:
        The training and the validation images.

    Raises:
        ConfigError: If the seed is not a whole number, 0 or more.
    """
    order = random_source(seed).permutation(len(raw.labels))
    kept = len(order) - round(len(order) * split_figure("validation_share"))
    first, last = np.sort(order[:kept]), np.sort(order[kept:])
    return Raw(raw.images[first], raw.labels[first]), Raw(raw.images[last], raw.labels[last])


def split_figure(name: str) -> float:
    """Reads a figure of ``data/datasets.toml``.

    Args:
        name: Its name.

    Returns:
        The number.
    """
    return constant(name, read_table("moopim.network", "datasets.toml")[name])


def _check_shapes(name: str, splits: _Splits) -> None:
    shape = splits["training"].images.shape[1:]
    for split, raw in splits.items():
        if not len(raw.labels):
            raise ConfigError(f"{name}: there is no {split} image; expected at least one")
        if raw.images.shape[1:] != shape:
            raise ConfigError(
                f"{name}: {split} images have shape {raw.images.shape[1:]}; expected {shape}, as the training images"
            )


def _scaled(images: NDArray[Any]) -> Iterator[FloatArray]:
    """Images in float64, some at a time; bytes as shares of 255."""
    scale = 255 if images.dtype == np.uint8 else 1
    for start in range(0, len(images), _CHUNK):
        yield images[start : start + _CHUNK].astype(np.float64) / scale


def _statistics(images: NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of each channel; 1 instead of a deviation of 0."""
    count = images.size / images.shape[1]
    mean = sum(chunk.sum(axis=(0, 2, 3)) for chunk in _scaled(images)) / count
    squares = sum(((chunk - mean[:, None, None]) ** 2).sum(axis=(0, 2, 3)) for chunk in _scaled(images))
    std = np.sqrt(squares / count)
    return mean, np.where(std > 0, std, 1.0)


def _normalise(raw: Raw, mean: FloatArray, std: FloatArray) -> Split:
    images = torch.from_numpy(raw.images.astype(np.float32))
    if raw.images.dtype == np.uint8:
        images.div_(255)
    for channel in range(len(mean)):
        images[:, channel].sub_(mean[channel]).div_(std[channel])
    return Split(images, torch.from_numpy(raw.labels.astype(np.int64)))
