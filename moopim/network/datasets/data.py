"""Labelled image sets as tensors in three splits, normalised per channel, and their standard augmentation."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own short name)

from moopim.constants import constant, read_table
from moopim.errors import ConfigError
from moopim.network.tools import check_device
from moopim.typing import FloatArray, IntArray

_CHUNK = 1000  # images converted at a time: bounds the memory that the statistics of a large set need
_MIRRORED = ("cifar10", "cifar100", "shapes32", "tinyimagenet")  # a mirror image is of the same class


class Raw(NamedTuple):
    """Images before normalisation.

    Attributes:
        images: Pixels, shape ``(images, channels, height, width)``: uint8 (0 to 255), or float32 of any range.
        labels: Class numbers, int64, shape ``(images,)``.
    """

    images: NDArray[Any]
    labels: IntArray


_Splits: TypeAlias = Mapping[str, Raw]


@dataclass(frozen=True, eq=False)
class Split:
    """Images and labels of one split.

    Attributes:
        images: Normalised pixels, float32, shape ``(images, channels, height, width)``.
        labels: Class numbers from 0, int64, shape ``(images,)``.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> "Split":
        """Copy of the split on a device."""
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True, eq=False)
class ImageData:
    """Labelled image set with training, validation and test split.

    Attributes:
        name: Name of the set.
        classes: Number of classes.
        class_names: Names of the classes, in the order of the labels.
        synthetic: Whether the images are generated; any accuracy on them must be reported as synthetic.
        train: Training split.
        validation: Validation split, for training and search.
        test: Test split, for final results only.
        mean: Mean of each channel of the training split before normalisation; bytes are scaled to 0..1 first.
        std: Standard deviation of each channel of the training split; 1 where it is 0.
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
        """Copy of the set on a device; ConfigError if torch cannot compute there."""
        check_device(device)
        return replace(
            self, train=self.train.to(device), validation=self.validation.to(device), test=self.test.to(device)
        )


def image_data(
    name: str, class_names: Sequence[str], train: Raw, validation: Raw, test: Raw, *, synthetic: bool = False
) -> ImageData:
    """Normalise three splits; raise ConfigError for an empty one, unequal shapes or a class without training images."""
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
    """Raise ConfigError unless all labels, shape ``(images,)``, are within 0..classes-1."""
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        raise ConfigError(
            f"{what}: image {wrong[0]} has label {labels[wrong[0]]}; expected 0..{classes - 1} ({classes} classes)"
        )


def random_source(seed: int | None) -> np.random.Generator:
    """Generator for dividing a set; the seed of ``data/datasets.toml`` by default."""
    if seed is None:
        seed = int(split_constant("split_seed"))
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ConfigError(f"seed of the split is {seed!r}; expected a whole number, 0 or more")
    return np.random.default_rng(np.random.SeedSequence(int(seed)))


def hold_out(raw: Raw, seed: int | None = None) -> tuple[Raw, Raw]:
    """Training and validation images: a random tenth is held out, by a seed."""
    order = random_source(seed).permutation(len(raw.labels))
    kept = len(order) - round(len(order) * split_constant("validation_share"))
    first, last = np.sort(order[:kept]), np.sort(order[kept:])
    return Raw(raw.images[first], raw.labels[first]), Raw(raw.images[last], raw.labels[last])


def split_constant(name: str) -> float:
    """Constant of ``data/datasets.toml``."""
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
    """Chunks of images in float64; bytes are scaled to 0..1."""
    scale = 255 if images.dtype == np.uint8 else 1
    for start in range(0, len(images), _CHUNK):
        yield images[start : start + _CHUNK].astype(np.float64) / scale


def _statistics(images: NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of each channel, shape ``(channels,)``; 1 instead of a deviation of 0."""
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


@dataclass(frozen=True)
class Augmentation:
    """Random crops of padded images and random horizontal flips (He et al., CVPR 2016, section 4.2).

    Images are padded with 0, the mean of the training images.

    Attributes:
        padding: Padding on each side before an image of the original size is cropped (px).
        mirror: Whether images are flipped horizontally with probability 1/2.

    Raises:
        ConfigError: If the padding is negative.
    """

    padding: int
    mirror: bool = True

    def __post_init__(self) -> None:
        if self.padding < 0:
            raise ConfigError(f"padding of the augmentation is {self.padding}; expected 0 or more")

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Augment a batch.

        Args:
            images: Images, shape ``(images, channels, height, width)``.
            generator: Source of randomness; a CPU generator gives the same crops on every device.

        Returns:
            Augmented images of the same shape.
        """
        count, _, height, width = images.shape
        device = generator.device
        corner = torch.randint(0, 2 * self.padding + 1, (2, count, 1), generator=generator, device=device)
        turned = torch.rand((count, 1), generator=generator, device=device) < (0.5 if self.mirror else 0)
        columns = torch.arange(width, device=device).expand(count, width)
        columns = torch.where(turned, width - 1 - columns, columns) + corner[1]
        rows = torch.arange(height, device=device) + corner[0]
        rows, columns = rows.to(images.device), columns.to(images.device)
        padded = F.pad(images, (self.padding,) * 4)
        image = torch.arange(count, device=images.device)[:, None, None]
        cut = padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]]
        return cut.permute(0, 3, 1, 2)


def standard_augmentation(data: ImageData) -> Augmentation | None:
    """Usual augmentation of a set: crops with 4 px of padding and horizontal flips for small natural images.

    Args:
        data: Image set.

    Returns:
        The augmentation; None for digits, which must not be mirrored, and for sets that moopim does not know.
    """
    return Augmentation(int(split_constant("crop_padding"))) if data.name in _MIRRORED else None
