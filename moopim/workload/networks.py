"""The five networks of HuNT (TCAD 2024, Table III) on three data sets.

The paper gives layer counts and parameter totals only; the widths here were chosen to meet both.
"""

from collections.abc import Callable, Iterator
from functools import cache

from moopim.errors import unknown_name
from moopim.workload.table import Layer, Workload, make_workload

__all__ = ["DATASETS", "NETWORKS", "load_workload"]

# Input height and width, number of classes.
DATASETS = {"cifar10": (32, 10), "cifar100": (32, 100), "tinyimagenet": (64, 200)}


def _vgg(widths: tuple[tuple[int, ...], ...], hidden: int, size: int, classes: int) -> Iterator[Layer]:
    """Stages of 3x3 convolutions with 2x2 pooling between them, global average pooling, three FC layers."""
    channels, number = 3, 0
    for stage in widths:
        for width in stage:
            number += 1
            yield Layer(f"conv{number}", "conv", channels, width, 3, 1, size, size)
            channels = width
        size //= 2
    for i, width in enumerate((hidden, hidden, classes), start=1):
        yield Layer(f"fc{i}", "fc", channels, width, 1, 1, 1, 1)
        channels = width


def _resnet(blocks: tuple[int, ...], base: int, size: int, classes: int) -> Iterator[Layer]:
    """Basic blocks with a 3x3 stem and 1x1 projections where a stage halves the feature map."""
    yield Layer("stem", "conv", 3, base, 3, 1, size, size)
    channels = base
    for stage, count in enumerate(blocks, start=1):
        width = base * 2 ** (stage - 1)
        for block in range(1, count + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            out = size // stride
            name = f"s{stage}b{block}"
            yield Layer(f"{name}a", "conv", channels, width, 3, stride, size, out)
            yield Layer(f"{name}b", "conv", width, width, 3, 1, out, out)
            if stride > 1:
                yield Layer(f"{name}sc", "conv", channels, width, 1, stride, size, out)
            channels, size = width, out
    yield Layer("fc", "fc", channels, classes, 1, 1, 1, 1)


def _densenet(layers: int, growth: int, stem: int, compression: float, size: int, classes: int) -> Iterator[Layer]:
    """Three dense blocks of 3x3 convolutions with 1x1 transitions and 2x2 pooling between them."""
    yield Layer("stem", "conv", 3, stem, 3, 1, size, size)
    channels = stem
    for block in (1, 2, 3):
        for i in range(1, layers + 1):
            yield Layer(f"d{block}l{i}", "conv", channels, growth, 3, 1, size, size)
            channels += growth
        if block < 3:  # noqa: PLR2004 (no transition after the last block)
            out = int(channels * compression)
            yield Layer(f"t{block}", "conv", channels, out, 1, 1, size, size)
            channels, size = out, size // 2
    yield Layer("fc", "fc", channels, classes, 1, 1, 1, 1)


# Name -> (training batch of Table III, layers from input size and number of classes).
NETWORKS: dict[str, tuple[int, Callable[[int, int], Iterator[Layer]]]] = {
    "VGG11": (64, lambda size, n: _vgg(((25,), (50,), (100, 100), (200, 200), (200, 200)), 200, size, n)),
    "VGG16": (64, lambda size, n: _vgg(((24,) * 2, (48,) * 2, (96,) * 3, (192,) * 3, (192,) * 3), 192, size, n)),
    "ResNet18": (128, lambda size, n: _resnet((2, 2, 2, 2), 20, size, n)),
    "ResNet34": (128, lambda size, n: _resnet((3, 4, 6, 3), 20, size, n)),
    "DenseNet40": (128, lambda size, n: _densenet(12, 12, 16, 0.9, size, n)),
}


@cache
def load_workload(network: str, dataset: str = "cifar10") -> Workload:
    """Makes the layer table of a built-in network.

    Args:
        network: A name of `NETWORKS`, in any case.
        dataset: A name of `DATASETS`, in any case.

    Returns:
        The workload.

    Raises:
        ConfigError: If a name is unknown.
    """
    names = {name.lower(): name for name in NETWORKS}
    if network.lower() not in names:
        raise unknown_name("workload", network, names)
    if dataset.lower() not in DATASETS:
        raise unknown_name("dataset", dataset, DATASETS)
    name = names[network.lower()]
    batch, layers = NETWORKS[name]
    return make_workload(name, dataset.lower(), batch, layers(*DATASETS[dataset.lower()]))
