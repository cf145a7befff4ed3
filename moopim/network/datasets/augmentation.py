"""Standard augmentation of small images, for a whole batch at once."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from moopim.errors import ConfigError
from moopim.network.datasets.data import ImageData, split_figure

__all__ = ["Augmentation", "standard_augmentation"]

_MIRRORED = ("cifar10", "cifar100", "shapes32", "tinyimagenet")  # a mirror image is of the same class


@dataclass(frozen=True)
class Augmentation:
    """Random crops of padded images and random mirror images (He et al., CVPR 2016, section 4.2).

    Padding is 0, the mean of the training images.

    Attributes:
        padding: Pixels added on each side before an image of the old size is cut out.
        mirror: Whether one image in two, at random, is mirrored left to right.
    """

    padding: int
    mirror: bool = True

    def __post_init__(self) -> None:
        if self.padding < 0:
            raise ConfigError(f"padding of the augmentation is {self.padding}; expected 0 or more")

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Draws a crop, and perhaps a mirror image, of each image.

        Args:
            images: Images (n, channels, height, width).
            generator: Source of randomness; one of the CPU gives the same crops on every device.

        Returns:
            Images of the same shape.
        """
        count, _, height, width = images.shape
        device = generator.device
        corner = torch.randint(0, 2 * self.padding + 1, (2, count, 1), generator=generator, device=device)
        turned = torch.rand((count, 1), generator=generator, device=device) < (0.5 if self.mirror else 0)
        columns = torch.arange(width, device=device).expand(count, width)
        columns = torch.where(turned, width - 1 - columns, columns) + corner[1]
        rows = torch.arange(height, device=device) + corner[0]
        rows, columns = rows.to(images.device), columns.to(images.device)
        padded = functional.pad(images, (self.padding,) * 4)
        image = torch.arange(count, device=images.device)[:, None, None]
        cut = padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]]
        return cut.permute(0, 3, 1, 2)


def standard_augmentation(data: ImageData) -> Augmentation | None:
    """Chooses what is usual for a set: crops with 4 pixels of padding and mirror images for small natural images.

    Args:
        data: The set.

    Returns:
        The augmentation; none for digits, which a mirror image makes unreadable, nor for sets that moopim does not
        know.
    """
    return Augmentation(int(split_figure("crop_padding"))) if data.name in _MIRRORED else None
