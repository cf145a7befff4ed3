"""Files of supernets: the weights, and what else it takes to make the supernet again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moopim.errors import ConfigError
from moopim.network.checkpoint import load_weights, read_about, save_weights
from moopim.network.supernet import Supernet

__all__ = ["load_supernet", "save_supernet"]

_KEY = "supernet"
_ARGUMENTS = ("image_shape", "classes", "max_blocks", "channels", "strides", "seed")


def save_supernet(supernet: Supernet, path: Path | str, about: Mapping[str, Any] | None = None) -> None:
    """Writes a supernet.

    Args:
        supernet: The supernet.
        path: The file, such as ``supernet.safetensors``.
        about: Whatever else should be known about it, such as how it was trained, in values that JSON has.

    Raises:
        ConfigError: If the file cannot be written, a weight is NaN or infinite, or `about` is not for JSON.
    """
    arguments = {name: getattr(supernet, name) for name in _ARGUMENTS}
    save_weights(supernet, path, {**(about or {}), _KEY: arguments})


def load_supernet(path: Path | str) -> Supernet:
    """Makes a supernet from a file.

    Args:
        path: A file of `save_supernet`.

    Returns:
        The supernet, on the CPU.

    Raises:
        ConfigError: If the file is missing or damaged, or does not hold a supernet.
    """
    arguments = read_about(path).get(_KEY)
    if not isinstance(arguments, dict) or set(arguments) != set(_ARGUMENTS):
        raise ConfigError(f"file {str(path)!r} holds other weights than those of a supernet; expected save_supernet's")
    shape = tuple(arguments.pop("image_shape"))
    supernet = Supernet(shape, **arguments)
    load_weights(supernet, path)
    return supernet
