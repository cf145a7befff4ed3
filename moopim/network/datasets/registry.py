"""All sets of images by name."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from moopim.errors import ConfigError, unknown_name
from moopim.network.datasets.cifar import load_cifar
from moopim.network.datasets.data import ImageData
from moopim.network.datasets.digits import load_digits
from moopim.network.datasets.folder import load_folder
from moopim.network.datasets.shapes import load_shapes
from moopim.network.datasets.tiny_imagenet import load_tiny_imagenet

__all__ = ["DATASETS", "load_data"]

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
"""Name -> what it is, in a line."""

_LOADERS: Mapping[str, Callable[..., ImageData]] = {
    "digits": load_digits,
    "shapes32": load_shapes,
    "cifar10": lambda root: load_cifar(root, 10),
    "cifar100": lambda root: load_cifar(root, 100),
    "tinyimagenet": load_tiny_imagenet,
    "folder": load_folder,
}


def load_data(name: str, root: Path | str | None = None, **options: Any) -> ImageData:
    """Loads a set of images by name.

    Args:
        name: One of `DATASETS`.
        root: Folder of its files, for sets that are read from files.
        **options: Options of the set: those of `moopim.network.datasets.shapes.load_shapes` and
            `moopim.network.datasets.folder.load_folder`.

    Returns:
        The set.

    Raises:
        ConfigError: If the name or an option is unknown, the folder is missing or not needed, or the files are not
            what they should be.
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
    return load(_folder(name, root), **options)


def _folder(name: str, root: Path | str | None) -> Path:
    if root is None:
        raise ConfigError(f"data set {name!r} is read from files; expected root, the folder that holds them")
    path = Path(root)
    if not path.is_dir():
        problem = "is not a folder" if path.exists() else "does not exist"
        raise ConfigError(f"root {str(path)!r} of data set {name!r} {problem}; expected the folder that holds it")
    return path
