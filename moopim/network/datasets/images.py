"""JPEG and PNG images of one size, and image sets in folders with one subfolder per class."""

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moopim.errors import ConfigError
from moopim.network.datasets.archives import Files, FolderFiles, short_reason
from moopim.network.datasets.data import ImageData, Raw, image_data, random_source, split_constant
from moopim.typing import IntArray

MAX_SIDE = 1024
"""Largest height and width of an image (px); whole sets are held in memory."""

SPLIT_BYTES = 2**31
"""Largest size of the pixels of a split (byte); TinyImageNet's training images have 1.2 GB."""

_FILE_BYTES = 2**23
_SCANS = 100  # of a JPEG, each of which covers the whole image; progressive ones have about 10
_ENDINGS = (".jpeg", ".jpg", ".png")
_MODES = ("1", "CMYK", "L", "LA", "P", "RGB", "RGBA", "YCbCr")  # eight bits a channel or less


def is_image(name: str) -> bool:
    """Whether a file is a JPEG or PNG image, by its name."""
    return name.lower().endswith(_ENDINGS)


def read_images(files: Files, names: Sequence[str], size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """RGB images, shape ``(images, 3, height, width)``; `size` (height, width; px) is that of the first by default."""
    images: NDArray[np.uint8] | None = None
    for index, name in enumerate(names):
        image = _read_image(files, name, size)
        if images is None:
            if len(names) * image.size > SPLIT_BYTES:
                total = f"{len(names)} images like it have {len(names) * image.size} bytes"
                raise ConfigError(f"{files.where(name)}: {total}; expected at most {SPLIT_BYTES}")
            images = np.empty((len(names), *image.shape), np.uint8)
            size = (image.shape[1], image.shape[2])
        images[index] = image
    return np.empty((0, 3, *(size or (0, 0))), np.uint8) if images is None else images


def _read_image(files: Files, name: str, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """RGB image, shape ``(3, height, width)``."""
    module = _pillow()
    content = files.read(name, _FILE_BYTES)
    if content.startswith(b"\xff\xd8") and content.count(b"\xff\xda") > _SCANS:
        raise ConfigError(f"{files.where(name)} is a JPEG image of more than {_SCANS} scans; expected fewer")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, and of sizes that are refused here
            with module.open(io.BytesIO(content), formats=("JPEG", "PNG")) as image:
                _check(image, size, files.where(name))
                pixels = np.asarray(image.convert("RGB"))
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001 (a hostile image may fail in any way)
        raise ConfigError(f"{files.where(name)} cannot be read as a JPEG or PNG image: {_reason(error)}") from None
    return pixels.transpose(2, 0, 1)


def _check(image: Any, size: tuple[int, int] | None, what: str) -> None:
    found = (image.height, image.width)
    if max(found) > MAX_SIDE:
        raise ConfigError(f"{what} is {found[0]}x{found[1]} px; expected at most {MAX_SIDE}x{MAX_SIDE}")
    if size is not None and found != size:
        raise ConfigError(
            f"{what} is {found[0]}x{found[1]} px; expected {size[0]}x{size[1]}, one size for all: resize the images"
        )
    if image.mode not in _MODES:
        raise ConfigError(f"{what} has pixels of kind {image.mode!r}; expected eight bits a channel")


def _reason(error: Exception) -> str:
    """Pillow's reason, without the address of the buffer in it."""
    return "not one" if "cannot identify" in str(error) else short_reason(error)


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise ConfigError("reading JPEG or PNG images needs Pillow; install moopim[network]") from None
    return Image


def load_folder(root: Path, seed: int | None = None) -> ImageData:
    """Image set of the JPEG and PNG files in ``root/CLASS/``, or in ``root/{train,val,test}/CLASS/``.

    Without the folder ``val``, a tenth of the training images of each class, drawn by the seed, is for validation.
    Without all three, a tenth of each class is for validation and a tenth for the test. Other files are ignored.

    Args:
        root: Folder of the set.
        seed: Seed of the splits, 0 or more; a fixed one by default.

    Returns:
        The set, named ``folder:`` and the name of the folder; classes are in the order of their names, images have the
        shape ``(images, 3, height, width)``.

    Raises:
        ConfigError: If the seed is not allowed, a class has too few images, the classes of the splits differ, or an
            image cannot be read or differs in size from the first.
    """
    name = f"folder:{root.resolve().name}"
    rng = random_source(seed)
    folders = _folders(root)
    if "train" not in folders:
        train, *rest = _divide(_read_classes(root, folders), folders, ("validation", "test"), rng)
        return image_data(name, folders, train, *rest)
    if "test" not in folders:
        raise ConfigError(f"folder {str(root)!r} has {', '.join(folders)}; expected train, test and, if there is, val")
    classes = _folders(root / "train")
    train = _read_classes(root / "train", classes)
    size = (train.images.shape[2], train.images.shape[3])
    test = _read_classes(root / "test", classes, size)
    if "val" in folders:
        return image_data(name, classes, train, _read_classes(root / "val", classes, size), test)
    train, validation = _divide(train, classes, ("validation",), rng)
    return image_data(name, classes, train, validation, test)


def _folders(root: Path) -> list[str]:
    found = [name for name in FolderFiles(root).names("") if (root / name).is_dir()]
    if not found:
        raise ConfigError(f"folder {str(root)!r} has no folders; expected one for each class")
    return found


def _read_classes(root: Path, classes: Sequence[str], size: tuple[int, int] | None = None) -> Raw:
    """Images of all classes, in the order of classes and file names."""
    odd = sorted(set(_folders(root)) ^ set(classes))
    if odd:
        raise ConfigError(f"class {odd[0]!r} is not in all splits of {str(root.parent)!r}; expected the same classes")
    files = FolderFiles(root)
    names = [[f"{word}/{name}" for name in files.names(word) if is_image(name)] for word in classes]
    for word, found in zip(classes, names, strict=True):
        if not found:
            raise ConfigError(f"folder {str(root / word)!r} has no JPEG or PNG image; expected at least one")
    labels = np.repeat(np.arange(len(classes)), [len(found) for found in names])
    return Raw(read_images(files, [name for found in names for name in found], size), labels)


def _divide(raw: Raw, classes: Sequence[str], parts: Sequence[str], rng: np.random.Generator) -> list[Raw]:
    """Remaining images, then the held-out parts: a share of each class, at least 1 image."""
    places: list[list[IntArray]] = [[] for _ in range(len(parts) + 1)]
    for label, word in enumerate(classes):
        order = rng.permutation(np.flatnonzero(raw.labels == label))
        if len(order) <= len(parts):
            raise ConfigError(f"class {word!r} has {len(order)} images; expected at least {len(parts) + 1} to divide")
        sizes = [max(1, round(len(order) * split_constant(f"{part}_share"))) for part in parts]
        for found, piece in zip(places, np.split(order, len(order) - np.cumsum(sizes)[::-1]), strict=True):
            found.append(piece)
    chosen = [np.sort(np.concatenate(found)) for found in places]
    return [Raw(raw.images[found], raw.labels[found]) for found in chosen]
