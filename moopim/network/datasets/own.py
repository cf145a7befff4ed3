"""A user's own images: any ``torch.utils.data.Dataset`` with a length."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from moopim.errors import ConfigError
from moopim.network.datasets.data import ImageData, Raw, check_labels, hold_out, image_data
from moopim.typing import IntArray

__all__ = ["from_dataset"]

_IMAGE_DIMENSIONS = 3


def from_dataset(
    train: Dataset[Any],
    test: Dataset[Any],
    validation: Dataset[Any] | None = None,
    *,
    classes: int | Sequence[str] | None = None,
    name: str = "own",
    seed: int | None = None,
) -> ImageData:
    """Takes the images of datasets of torch, all of them, once.

    An item is a pair of an image and its class. The image is a tensor or an array (channels, height, width), or an
    image of Pillow; bytes are taken as shares of 255, other numbers as they are. Transforms run once, so random ones
    do not belong here: see `moopim.network.datasets.augmentation`.

    Args:
        train: Training images.
        test: Test images.
        validation: Validation images; if not given, the last tenth of the training images by the seed.
        classes: Names of the classes, or how many there are; as many as the training labels say if not given.
        name: Name of the set.
        seed: Seed of the split; a fixed one if not given.

    Returns:
        The set.

    Raises:
        ConfigError: If an item is not such a pair, images differ in shape or hold NaN or infinity, a label is not a
            class, or a class has no training image.
    """
    parts = [_collect(data, f"{what} data of {name!r}") for data, what in ((train, "training"), (test, "test"))]
    if validation is not None:
        parts.append(_collect(validation, f"validation data of {name!r}"))
    names = _class_names(classes, parts[0].labels, f"training data of {name!r}")
    for part, what in zip(parts, ("training", "test", "validation"), strict=False):
        check_labels(part.labels, len(names), f"{what} data of {name!r}")
    if validation is None:
        parts[0], held = hold_out(parts[0], seed)
        parts.append(held)
    return image_data(name, names, parts[0], parts[2], parts[1])


def _class_names(classes: int | Sequence[str] | None, labels: IntArray, what: str) -> list[str]:
    if classes is None:
        check_labels(labels, len(labels), what)  # with more classes than images, some would have none
        classes = int(labels.max()) + 1
    if isinstance(classes, int):
        if classes < 1:
            raise ConfigError(f"classes is {classes}; expected at least 1")
        return [str(number) for number in range(classes)]
    if isinstance(classes, str) or len(set(classes)) < len(classes) or not classes:
        raise ConfigError(f"classes is {classes!r}; expected how many there are, or a list of different names")
    return list(classes)


def _collect(data: Dataset[Any], what: str) -> Raw:
    length = len(data) if hasattr(data, "__len__") else 0
    if not length:
        raise ConfigError(f"{what}: {type(data).__name__} has no length; expected a dataset with at least one item")
    labels = np.empty(length, np.int64)
    images: NDArray[Any] | None = None
    for place in range(length):
        image, labels[place] = _item(data[place], f"{what}: item {place}")
        if images is None:
            images = np.empty((length, *image.shape), image.dtype)
        if image.shape != images.shape[1:] or image.dtype != images.dtype:
            raise ConfigError(
                f"{what}: image {place} is {image.dtype} of shape {image.shape}; "
                f"expected {images.dtype} of shape {images.shape[1:]}, as image 0"
            )
        images[place] = image
    assert images is not None  # noqa: S101 (the length is not 0)
    return Raw(images, labels)


def _item(item: Any, what: str) -> tuple[NDArray[Any], int]:
    if not isinstance(item, tuple | list) or len(item) != 2:  # noqa: PLR2004 (a pair)
        raise ConfigError(f"{what} is a {type(item).__name__}; expected a pair of an image and its class")
    image, label = _array(item[0]), np.asarray(item[1])
    if label.shape != () or label.dtype.kind not in "iu":
        raise ConfigError(f"{what} has label {item[1]!r}; expected a whole number")
    if image.ndim != _IMAGE_DIMENSIONS or image.dtype.kind not in "fiub" or 0 in image.shape:
        raise ConfigError(
            f"{what} has an image of {image.dtype} of shape {image.shape}; expected numbers (channels, height, width)"
        )
    if image.dtype != np.uint8:
        image = image.astype(np.float32)
        if not np.isfinite(image).all():
            raise ConfigError(f"{what} has an image with NaN or infinity; expected finite numbers")
    return image, int(label)


def _array(image: Any) -> NDArray[Any]:
    if isinstance(image, Tensor):
        image = image.detach().cpu()
        numbers: NDArray[Any] = (image.float() if image.is_floating_point() else image).numpy()
        return numbers
    if hasattr(image, "getbands"):  # an image of Pillow: (height, width) or (height, width, channels)
        if image.mode == "P":  # numbers of colours in a palette
            image = image.convert("RGB")
        return np.atleast_3d(np.asarray(image)).transpose(2, 0, 1)
    return np.asarray(image)
