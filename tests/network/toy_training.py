"""A small data set and a network that trains in no time; shared by the tests of training."""

import torch
from torch import nn

from moopim.network.datasets import ImageData, Split


def split(count, seed, classes=4):
    """Noisy 5x5 images; the row that is lit tells the class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (count,), generator=generator)
    images = torch.randn(count, 1, 5, 5, generator=generator)
    images[torch.arange(count), 0, labels] += 2
    return Split(images, labels)


def rows_data(count=70, synthetic=True):
    """The data set: 70 training images, 30 others."""
    names = ("first", "second", "third", "fourth")
    parts = {"train": split(count, 1), "validation": split(30, 2), "test": split(30, 3)}
    return ImageData("rows", 4, names, synthetic=synthetic, **parts, mean=(0.0,), std=(1.0,))


def network(seed=0, classes=4, dropout=0.0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d((5, 1)),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(20, classes),
        )
