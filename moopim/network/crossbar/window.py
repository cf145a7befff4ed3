"""What a two-dimensional convolution does beside multiplying."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

from moopim.errors import ConfigError

__all__ = ["POINT", "Window", "check_window"]


class Window(NamedTuple):
    """What a two-dimensional convolution does beside multiplying. Pairs are (height, width).

    Attributes:
        kernel: Positions of the kernel.
        stride: Positions from one output to the next.
        padding: Zeros on each side.
        dilation: Positions from one weight to the next.
        groups: Groups of channels that know nothing of each other.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the output for those of the input."""
        sizes = (
            (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
            for size, kernel, stride, pad, dilation in zip(
                (height, width), self.kernel, self.stride, self.padding, self.dilation, strict=True
            )
        )
        return next(sizes), next(sizes)


POINT = Window((1, 1))
"""One position, as that of a linear layer."""


def check_window(window: Window, weights: Tensor) -> None:
    """Checks a window.

    Args:
        window: The window.
        weights: Weights, shape ``(outputs, channels, height, width)``.

    Raises:
        ConfigError: If a size is not allowed or not that of the weights.
    """
    for name in ("kernel", "stride", "dilation"):
        if min(getattr(window, name)) < 1:
            raise ConfigError(f"{name}={getattr(window, name)} of a convolution is not allowed; expected 1, 2, ...")
    if min(window.padding) < 0:
        raise ConfigError(f"padding={window.padding} of a convolution is not allowed; expected 0, 1, ...")
    if window.kernel != tuple(weights.shape[2:]):
        raise ConfigError(f"kernel={window.kernel} of a convolution; its weights have {tuple(weights.shape[2:])}")
    if window.groups < 1 or weights.shape[0] % window.groups:
        raise ConfigError(f"groups={window.groups} of a convolution do not divide its {weights.shape[0]} outputs")


def sliding_windows(window: Window, codes: Tensor) -> Tensor:
    """View of padded codes as what each output needs, shape ``(images, height, width, channels, *kernel)``."""
    height, width = window.output_size(*codes.shape[2:])
    (step_y, step_x), (far_y, far_x), (pad_y, pad_x) = window.stride, window.dilation, window.padding
    padded = functional.pad(codes, (pad_x, pad_x, pad_y, pad_y)).contiguous()
    image, channel, y, x = padded.stride()
    return padded.as_strided(
        (len(codes), height, width, codes.shape[1], *window.kernel),
        (image, y * step_y, x * step_x, channel, y * far_y, x * far_x),
    )
