"""Files of supernets: the weights, and what else it takes to make the supernet again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from moopim.errors import ConfigError, first_fault
from moopim.network.checkpoint import count_values, load_weights, read_about, save_weights
from moopim.network.network_file import Channels, Classes, ImageShape
from moopim.network.supernet import Supernet

__all__ = ["load_supernet", "save_supernet"]

_KEY = "supernet"

_Several = Annotated[list[Channels], Field(min_length=1, max_length=1000)]


class _Arguments(BaseModel):
    """Architecture of a stored supernet, without its weights."""

    model_config = ConfigDict(extra="forbid")

    image_shape: ImageShape
    classes: Classes
    max_blocks: Annotated[int, Field(strict=True, ge=1, le=1000)]
    channels: _Several
    strides: _Several
    seed: Annotated[int, Field(strict=True, ge=0)]


def save_supernet(supernet: Supernet, path: Path | str, about: Mapping[str, Any] | None = None) -> None:
    """Writes a supernet.

    Args:
        supernet: The supernet.
        path: The file, such as ``supernet.safetensors``.
        about: Whatever else should be known about it, such as how it was trained, in values that JSON has.

    Raises:
        ConfigError: If the file cannot be written, a weight is NaN or infinite, or `about` is not for JSON.
    """
    arguments = {name: getattr(supernet, name) for name in _Arguments.model_fields}
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
    try:
        arguments = _Arguments.model_validate(read_about(path).get(_KEY))
    except ValidationError as error:
        raise ConfigError(
            f"file {str(path)!r} holds other weights than those of a supernet: {first_fault(error)}; expected "
            "save_supernet's"
        ) from None
    # The supernet has more weights than any of these: what the file has no room for is not even made.
    widest = max(arguments.channels)
    least = widest * max(arguments.max_blocks * widest, arguments.image_shape[0], arguments.classes)
    if least > count_values(path):
        raise ConfigError(f"file {str(path)!r} holds too few weights for a supernet of {least:,} or more")
    supernet = Supernet(**arguments.model_dump())
    load_weights(supernet, path)
    return supernet
