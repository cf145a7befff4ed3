"""Any folder of images in which each class has a folder of its own."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from moopim.errors import ConfigError
from moopim.network.datasets.archives import FolderFiles
from moopim.network.datasets.data import ImageData, Raw, image_data, random_source, split_figure
from moopim.network.datasets.images import is_image, read_images
from moopim.typing import IntArray

__all__ = ["load_folder"]


def load_folder(root: Path, seed: int | None = None) -> ImageData:
    """Reads JPEG and PNG images from ``root/CLASS/`` or from ``root/train/CLASS/``, ``root/val/`` and ``root/test/``.

    Without the folder ``val``, a tenth of the training images of each class by the seed is for validation. Without all
    three, a tenth of each class is for validation and a tenth for the test. Files of other kinds are passed over.

    Args:
        root: The folder.
        seed: Seed of the split; a fixed one if not given.

    Returns:
        The set, named ``folder:`` and the name of the folder; classes in the order of their names, images (n, 3,
        height, width).

    Raises:
        ConfigError: If the seed is not a whole number, 0 or more, a class has too few images, the classes of the splits
            differ, or an image cannot be read or has another size than the first.
    """
    name = f"folder:{root.resolve().name}"
    rng = random_source(seed)
    folders = _folders(root)
    if "train" not in folders:
        train, *rest = _divide(_read(root, folders), folders, ("validation", "test"), rng)
        return image_data(name, folders, train, *rest)
    if "test" not in folders:
        raise ConfigError(f"folder {str(root)!r} has {', '.join(folders)}; expected train, test and, if there is, val")
    classes = _folders(root / "train")
    train = _read(root / "train", classes)
    size = (train.images.shape[2], train.images.shape[3])
    test = _read(root / "test", classes, size)
    if "val" in folders:
        return image_data(name, classes, train, _read(root / "val", classes, size), test)
    train, validation = _divide(train, classes, ("validation",), rng)
    return image_data(name, classes, train, validation, test)


def _folders(root: Path) -> list[str]:
    found = [name for name in FolderFiles(root).names("") if (root / name).is_dir()]
    if not found:
        raise ConfigError(f"folder {str(root)!r} has no folders; expected one for each class")
    return found


def _read(root: Path, classes: Sequence[str], size: tuple[int, int] | None = None) -> Raw:
    """The images of all classes, in the order of classes and names."""
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
    """What is left of each class, then its parts by name; each as large as ``data/datasets.toml`` says, or 1 image."""
    places: list[list[IntArray]] = [[] for _ in range(len(parts) + 1)]
    for label, word in enumerate(classes):
        order = rng.permutation(np.flatnonzero(raw.labels == label))
        if len(order) <= len(parts):
            raise ConfigError(f"class {word!r} has {len(order)} images; expected at least {len(parts) + 1} to divide")
        sizes = [max(1, round(len(order) * split_figure(f"{part}_share"))) for part in parts]
        for found, piece in zip(places, np.split(order, len(order) - np.cumsum(sizes)[::-1]), strict=True):
            found.append(piece)
    chosen = [np.sort(np.concatenate(found)) for found in places]
    return [Raw(raw.images[found], raw.labels[found]) for found in chosen]
