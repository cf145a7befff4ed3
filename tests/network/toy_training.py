"""A data set of seeded noise and a network that trains in no time; shared by the tests of training."""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Split:
    images: Tensor
    labels: Tensor


def split(count, seed, classes):
    """Noisy 5x5 images; the row that is lit tells the class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (count,), generator=generator)
    images = torch.randn(count, 1, 5, 5, generator=generator)
    images[torch.arange(count), 0, labels] += 2
    return Split(images, labels)


@dataclass(frozen=True)
class Rows:
    """What `fit` needs of a data set."""

    name: str = "rows"
    classes: int = 4
    synthetic: bool = True
    train: Split = field(default_factory=lambda: split(70, 1, 4))
    validation: Split = field(default_factory=lambda: split(30, 2, 4))

    def to(self, device):
        return self


def noisy_rows():
    """The data set with a pixel that is NaN."""
    data = Rows()
    images = data.train.images.clone()
    images[3, 0, 1, 1] = float("nan")
    return replace(data, train=Split(images, data.train.labels))


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
