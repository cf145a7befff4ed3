"""Image sets by name, the bundled digits, and images of any torch Dataset."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from moopim.errors import ConfigError, unknown_name
from moopim.network.datasets.cifar import load_cifar
from moopim.network.datasets.data import (
    ImageData,
    Raw,
    check_labels,
    hold_out,
    image_data,
    random_source,
    split_constant,
)
from moopim.network.datasets.images import load_folder
from moopim.network.datasets.shapes import load_shapes
from moopim.network.datasets.tiny_imagenet import load_tiny_imagenet
from moopim.typing import IntArray

DATASETS: Mapping[str, str] = MappingProxyType(
    {
        "digits": "1,797 handwritten digits of 8x8 pixels, shipped with scikit-learn; small networks saturate on it",
        "shapes32": "synthetic: ten shapes in 3x32x32 images, as many and as difficult as asked for",
        "cifar10": "CIFAR-10, 60,000 images of 3x32x32 in 10 classes, from local files",
        "cifar100": "CIFAR-100, 60,000 images of 3x32x32 in 100 classes, from local files",
        "tinyimagenet": "TinyImageNet, 110,000 images of 3x64x64 in 200 classes, from local files",
        "folder": "JPEG and PNG images of one size in a folder for each class",
    }
)
"""Names of the image sets of `load_data`, each with a line of description."""

_WHITE = 16  # brightest grey level of the digits
_IMAGE_DIMENSIONS = 3


def load_data(name: str, root: Path | str | None = None, **options: Any) -> ImageData:
    """Load an image set by name.

    Args:
        name: One of `DATASETS`.
        root: Folder of the files, for sets that are read from files.
        **options: Options of the set: the arguments of `load_shapes` for ``shapes32``, those of `load_folder` for
            ``folder``.

    Returns:
        The image set.

    Raises:
        ConfigError: If the name or an option is unknown, `root` is missing or not needed, or the files are missing,
            damaged or not those of the set.
    """
    if name not in DATASETS:
        raise unknown_name("data set", name, DATASETS)
    load = _LOADERS[name]
    parameters = list(inspect.signature(load).parameters)
    allowed = [parameter for parameter in parameters if parameter != "root"]
    for option in options:
        if option not in allowed:
            raise unknown_name(f"option of data set {name!r}", option, allowed)
    if "root" not in parameters:
        if root is not None:
            raise ConfigError(f"data set {name!r} comes with moopim; expected no root, got {str(root)!r}")
        return load(**options)
    return load(_checked_root(name, root), **options)


def _checked_root(name: str, root: Path | str | None) -> Path:
    if root is None:
        raise ConfigError(f"data set {name!r} is read from files; expected root, the folder that holds them")
    path = Path(root)
    if not path.is_dir():
        problem = "is not a folder" if path.exists() else "does not exist"
        raise ConfigError(f"root {str(path)!r} of data set {name!r} {problem}; expected the folder that holds it")
    return path


def load_digits() -> ImageData:
    """Handwritten digits of scikit-learn: 1,797 images of 8x8 pixels from 0 to 16, shape ``(images, 1, 8, 8)``.

    The test set of E. Alpaydin and C. Kaynak, "Optical recognition of handwritten digits", UCI repository, 1998, in a
    fixed random order: 1,000 images for training, 300 for validation, 497 for the test.
    """
    package = find_spec("sklearn")  # without an import, which takes a second
    if package is None or package.origin is None:
        raise ConfigError("data set 'digits' needs scikit-learn; install moopim[network]")
    path = Path(package.origin).with_name("datasets") / "data" / "digits.csv.gz"
    if not path.is_file():
        raise ConfigError(f"data set 'digits' is not in scikit-learn {version('scikit-learn')}: no {str(path)!r}")
    table = np.loadtxt(path, delimiter=",")  # 64 grey levels, row by row, and the digit
    images = (table[:, :-1].reshape(-1, 1, 8, 8) / _WHITE).astype(np.float32)
    labels = table[:, -1].astype(np.int64)
    order = random_source(None).permutation(len(labels))
    ends = np.cumsum([int(split_constant("digits_train")), int(split_constant("digits_validation"))])
    parts = [Raw(images[part], labels[part]) for part in np.split(order, ends)]
    return image_data("digits", [str(digit) for digit in range(10)], *parts)


_LOADERS: Mapping[str, Callable[..., ImageData]] = {
    "digits": load_digits,
    "shapes32": load_shapes,
    "cifar10": lambda root: load_cifar(root, 10),
    "cifar100": lambda root: load_cifar(root, 100),
    "tinyimagenet": load_tiny_imagenet,
    "folder": load_folder,
}


def from_dataset(
    train: Dataset[Any],
    test: Dataset[Any],
    validation: Dataset[Any] | None = None,
    *,
    classes: int | Sequence[str] | None = None,
    name: str = "own",
    seed: int | None = None,
) -> ImageData:
    """Image set of the items of torch Datasets, each read once into memory.

    An item is a pair of an image and its class number. The image is a tensor or an array, shape
    ``(channels, height, width)``, or a Pillow image; bytes are scaled to 0..1, other numbers are taken as they are.
    Transforms run once, so random ones belong to the augmentation in training: see `Augmentation`.

    Args:
        train: Training images.
        test: Test images.
        validation: Validation images; by default a tenth of the training images, drawn by the seed.
        classes: Names or number of the classes; by default the largest training label plus 1.
        name: Name of the set.
        seed: Seed of the validation split, 0 or more; a fixed one by default.

    Returns:
        The image set.

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
    for index in range(length):
        image, labels[index] = _item(data[index], f"{what}: item {index}")
        if images is None:
            images = np.empty((length, *image.shape), image.dtype)
        if image.shape != images.shape[1:] or image.dtype != images.dtype:
            raise ConfigError(
                f"{what}: image {index} is {image.dtype} of shape {image.shape}; "
                f"expected {images.dtype} of shape {images.shape[1:]}, as image 0"
            )
        images[index] = image
    assert images is not None  # noqa: S101 (the length is not 0)
    return Raw(images, labels)


def _item(item: Any, what: str) -> tuple[NDArray[Any], int]:
    """Image, shape ``(channels, height, width)``, and class number of a Dataset item."""
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
    if hasattr(image, "getbands"):  # a Pillow image: (height, width) or (height, width, channels)
        if image.mode == "P":  # indices of a palette
            image = image.convert("RGB")
        return np.atleast_3d(np.asarray(image)).transpose(2, 0, 1)
    return np.asarray(image)
