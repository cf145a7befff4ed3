"""Reading JPEG and PNG images of one size."""

import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moopim.errors import ConfigError
from moopim.network.datasets.archives import Files, short_reason

__all__ = ["is_image", "read_images"]

MAX_SIDE = 1024
"""Largest height and width of an image (px); whole sets are held in memory."""

SET_BYTES = 2**31
"""Most that the pixels of a split may have (byte); TinyImageNet's training images have 1.2 GB."""

_FILE_BYTES = 2**23
_SCANS = 100  # of a JPEG, each of which goes over the whole image; progressive ones have about 10
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
        ConfigError: If Pillow is not installed, an image is missing, truncated, no JPEG or PNG, of more than eight bits
            a channel, of another size or larger than `MAX_SIDE`, or all of them together than `SET_BYTES`.
    """
    images: NDArray[np.uint8] | None = None
    for place, name in enumerate(names):
        image = _read(files, name, size)
        if images is None:
            if len(names) * image.size > SET_BYTES:
                total = f"{len(names)} images like it have {len(names) * image.size} bytes"
                raise ConfigError(f"{files.where(name)}: {total}; expected at most {SET_BYTES}")
            images = np.empty((len(names), *image.shape), np.uint8)
            size = (image.shape[1], image.shape[2])
        images[place] = image
    return np.empty((0, 3, *(size or (0, 0))), np.uint8) if images is None else images


def _read(files: Files, name: str, size: tuple[int, int] | None) -> NDArray[np.uint8]:
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
