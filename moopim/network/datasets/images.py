"""Reading JPEG and PNG images of one size."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moopim.errors import ConfigError
from moopim.network.datasets.archives import Files, short_reason

__all__ = ["is_image", "read_images"]

MAX_SIDE = 1024
"""Largest height and width of an image (px); whole sets are held in memory."""

_ENDINGS = (".jpeg", ".jpg", ".png")
_MODES = ("1", "CMYK", "L", "LA", "P", "RGB", "RGBA", "YCbCr")  # eight bits a channel or less


def is_image(name: str) -> bool:
    """Tells from the name of a file whether it is a JPEG or PNG image."""
    return name.lower().endswith(_ENDINGS)


def read_images(files: Files, names: Sequence[str], size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Reads images in red, green and blue.

    Args:
        files: Where they are.
        names: Their names.
        size: Height and width that they must have (px); that of the first if not given.

    Returns:
        Images (n, 3, height, width).

    Raises:
        ConfigError: If Pillow is not installed, or an image is missing, truncated, no JPEG or PNG, of more than eight
            bits a channel or of another size.
    """
    images: NDArray[np.uint8] | None = None
    for place, name in enumerate(names):
        image = _read(files, name, size)
        if images is None:
            images = np.empty((len(names), *image.shape), np.uint8)
            size = (image.shape[1], image.shape[2])
        images[place] = image
    return np.empty((0, 3, *(size or (0, 0))), np.uint8) if images is None else images


def _read(files: Files, name: str, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    module = _pillow()
    content = files.read(name)
    try:
        with module.open(io.BytesIO(content), formats=("JPEG", "PNG")) as image:
            _check(image, size, files.where(name))
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, module.DecompressionBombError) as error:
        if isinstance(error, ConfigError):
            raise
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
