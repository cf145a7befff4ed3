"""Built-in networks as layer tables.

- ``alexnet``, ``vgg16`` and ``resnet18`` are the CIFAR definitions of MNSIM 2.0 (Zhu et al., TCAD 2023), with which
  CrossNAS (arXiv 2505.22868) is compared in Tables 3 and 4. They flatten the last feature map. ``vgg11`` (Simonyan
  and Zisserman, ICLR 2015, configuration A) and ``resnet34`` (He et al., CVPR 2016) follow the same style.
- ``densenet40`` is the DenseNet of Huang et al. (CVPR 2017) for CIFAR with 40 layers, growth 12, no bottleneck and no
  compression.
- ``lenet5`` is the LeNet-5 of LeCun et al. (Proc. IEEE 86(11), 1998) on colour images, with every map of its second
  convolution connected to all of the first, as is usual today.
- ``hunt-...`` are the five networks of HuNT (TCAD 2024, Table III). The paper gives layer counts and parameter totals
  only; the widths here were chosen to meet both.

ReLU, batch normalisation, flattening and dropout are free in the hardware models and are no layers here.
"""

import ast
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from moopim.checks import is_whole
from moopim.errors import ConfigError, unknown_name
from moopim.files import file_format, read_bounded
from moopim.workload.layers import IMAGE, Layer, LayerTable, make_table

Stages = tuple[tuple[int, ...], ...]

_LEAST_SIZE = 16  # halved four times
_MOST_SIZE = 4096
_MOST_CLASSES = 1_000_000
_MOST_SOURCE = 2**20


class _Builder:
    """Layers of a network under construction; each method appends one and returns its index."""

    def __init__(self, size: int) -> None:
        self.layers: list[Layer] = []
        self._size = size

    def conv(
        self,
        name: str,
        inputs: tuple[int, ...],
        width: int,
        kernel: int = 3,
        stride: int = 1,
        padding: int | None = None,
    ) -> int:
        """Convolution, padded by default so that a stride of 1 keeps the size."""
        channels, size = self.shape(inputs)
        padding = kernel // 2 if padding is None else padding
        out = (size + 2 * padding - kernel) // stride + 1
        return self._append(name, "conv", inputs, channels, width, (kernel, stride, padding), (size, out))

    def pool(self, name: str, inputs: tuple[int, ...]) -> int:
        """2x2 pooling."""
        channels, size = self.shape(inputs)
        return self._append(name, "pool", inputs, channels, channels, (2, 2, 0), (size, size // 2))

    def average(self, inputs: tuple[int, ...]) -> int:
        """Global average pooling."""
        channels, size = self.shape(inputs)
        return self._append("average", "pool", inputs, channels, channels, (size, 1, 0), (size, 1))

    def sum(self, name: str, inputs: tuple[int, ...]) -> int:
        channels, size = self.shape(inputs[:1])
        return self._append(name, "sum", inputs, channels, channels, (1, 1, 0), (size, size))

    def fc(self, inputs: tuple[int, ...], widths: tuple[int, ...]) -> None:
        """Fully connected layers, the first on the flattened feature map."""
        channels, size = self.shape(inputs)
        features = channels * size**2
        for number, width in enumerate(widths, start=1):
            name = f"fc{number}" if len(widths) > 1 else "fc"
            inputs = (self._append(name, "fc", inputs, features, width, (1, 1, 0), (1, 1)),)
            features = width

    def shape(self, inputs: tuple[int, ...]) -> tuple[int, int]:
        """Channels of the concatenated inputs; height (= width) of the first."""
        if inputs == (IMAGE,):
            return 3, self._size
        producers = [self.layers[index] for index in inputs]
        return sum(producer.c_out for producer in producers), producers[0].size_out[0]

    def _append(
        self,
        name: str,
        kind: str,
        inputs: tuple[int, ...],
        c_in: int,
        c_out: int,
        window: tuple[int, int, int],
        sizes: tuple[int, int],
    ) -> int:
        (kernel, stride, padding), (size_in, size_out) = window, sizes
        layer = Layer(
            name,
            kind,
            inputs,
            c_in,
            c_out,
            kernel=(kernel, kernel),
            stride=(stride, stride),
            padding=(padding, padding),
            size_in=(size_in, size_in),
            size_out=(size_out, size_out),
            weight_bits=9 if kind in {"conv", "fc"} else 0,
        )
        self.layers.append(layer)
        return len(self.layers) - 1


def _lenet5(size: int, classes: int) -> list[Layer]:
    """Two 5x5 convolutions without padding, each with 2x2 pooling; three FC layers."""
    net = _Builder(size)
    last = IMAGE
    for number, width in enumerate((6, 16), 1):
        last = net.conv(f"conv{number}", (last,), width, kernel=5, padding=0)
        last = net.pool(f"pool{number}", (last,))
    net.fc((last,), (120, 84, classes))
    return net.layers


def _alexnet(size: int, classes: int) -> list[Layer]:
    """Five 3x3 convolutions, the first with stride 2, three of them with pooling; two FC layers."""
    net = _Builder(size)
    last = IMAGE
    for number, (width, pooled) in enumerate(((64, True), (192, True), (384, False), (256, False), (256, True)), 1):
        last = net.conv(f"conv{number}", (last,), width, stride=2 if number == 1 else 1)
        if pooled:
            last = net.pool(f"pool{number}", (last,))
    net.fc((last,), (512, classes))
    return net.layers


def _vgg(size: int, classes: int, stages: Stages, hidden: tuple[int, ...] = (), average: bool = False) -> list[Layer]:
    """Stages of 3x3 convolutions with 2x2 pooling between; global average pooling if ``average``; FC layers."""
    net = _Builder(size)
    last, number = IMAGE, 0
    for stage, widths in enumerate(stages):
        if stage:
            last = net.pool(f"pool{stage}", (last,))
        for width in widths:
            number += 1
            last = net.conv(f"conv{number}", (last,), width)
    if average:
        last = net.average((last,))
    net.fc((last,), (*hidden, classes))
    return net.layers


def _resnet(size: int, classes: int, blocks: tuple[int, ...], base: int, hunt: bool = False) -> list[Layer]:
    """Basic blocks behind a 3x3 stem, with projections where a stage halves the feature map.

    MNSIM pools behind the stem, projects with 3x3 kernels and ends with two FC layers; HuNT projects with 1x1 kernels
    and ends with global average pooling and one FC layer.
    """
    net = _Builder(size)
    last = net.conv("stem", (IMAGE,), base)
    if not hunt:
        last = net.pool("pool", (last,))
    for stage, count in enumerate(blocks, start=1):
        width = base * 2 ** (stage - 1)
        for block in range(1, count + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            name = f"s{stage}b{block}"
            first = net.conv(f"{name}a", (last,), width, stride=stride)
            second = net.conv(f"{name}b", (first,), width)
            # MNSIM reads an identity behind the second convolution, a projection before it.
            branches = (second, last)
            if stride > 1:
                projection = net.conv(f"{name}sc", (last,), width, kernel=1 if hunt else 3, stride=stride)
                branches = (projection, second)
            last = net.sum(f"{name}sum", branches)
    if hunt:
        last = net.average((last,))
    net.fc((last,), (classes,) if hunt else (512, classes))
    return net.layers


def _densenet(size: int, classes: int, layers: int, growth: int, stem: int, compression: float) -> list[Layer]:
    """Three dense blocks of 3x3 convolutions with 1x1 transitions and 2x2 pooling between; average pooling; FC."""
    net = _Builder(size)
    # Every layer of a block reads the concatenation of the block's input and of all layers before it.
    dense = [net.conv("stem", (IMAGE,), stem)]
    for block in (1, 2, 3):
        if block > 1:
            width = int(net.shape(tuple(dense))[0] * compression)
            transition = net.conv(f"t{block - 1}", tuple(dense), width, kernel=1)
            dense = [net.pool(f"pool{block - 1}", (transition,))]
        for number in range(1, layers + 1):
            dense.append(net.conv(f"d{block}l{number}", tuple(dense), growth))
    net.fc((net.average(tuple(dense)),), (classes,))
    return net.layers


BUILT_IN_NETWORKS: dict[str, Callable[[int, int], list[Layer]]] = {
    "lenet5": _lenet5,
    "alexnet": _alexnet,
    "vgg11": partial(_vgg, stages=((64,), (128,), (256,) * 2, (512,) * 2, (512,) * 2)),
    "vgg16": partial(_vgg, stages=((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3)),
    "resnet18": partial(_resnet, blocks=(2, 2, 2, 2), base=64),
    "resnet34": partial(_resnet, blocks=(3, 4, 6, 3), base=64),
    "densenet40": partial(_densenet, layers=12, growth=12, stem=16, compression=1.0),
    "hunt-vgg11": partial(
        _vgg, stages=((25,), (50,), (100,) * 2, (200,) * 2, (200,) * 2), hidden=(200, 200), average=True
    ),
    "hunt-vgg16": partial(
        _vgg, stages=((24,) * 2, (48,) * 2, (96,) * 3, (192,) * 3, (192,) * 3), hidden=(192, 192), average=True
    ),
    "hunt-resnet18": partial(_resnet, blocks=(2, 2, 2, 2), base=20, hunt=True),
    "hunt-resnet34": partial(_resnet, blocks=(3, 4, 6, 3), base=20, hunt=True),
    "hunt-densenet40": partial(_densenet, layers=12, growth=12, stem=16, compression=0.9),
}
"""Name -> layers of the network from the image height (= width) and the number of classes."""


def network_table(name: str, classes: int = 10, size: int = 32) -> LayerTable:
    """Build the layer table of a built-in network; weights and activations have 9 bits.

    Args:
        name: A name of `BUILT_IN_NETWORKS`, in any case.
        classes: Number of classes.
        size: Height and width of the image.

    Returns:
        A table of one network; `LayerTable.with_bits` sets other widths.

    Raises:
        ConfigError: If the name is unknown or a number out of range.

    Example:
        >>> from moopim.workload import network_table
        >>> table = network_table("resnet18", classes=100)
        >>> table.layers, table.names[-1], int(table.c_out[0, -1])
        (31, 'fc2', 100)
    """
    if not isinstance(name, str) or name.lower() not in BUILT_IN_NETWORKS:
        raise unknown_name("network", name, BUILT_IN_NETWORKS)
    for field, value, least, most in (("classes", classes, 2, _MOST_CLASSES), ("size", size, _LEAST_SIZE, _MOST_SIZE)):
        if not is_whole(value, least, most):
            raise ConfigError(f"{field}={value!r} of network {name!r} is not allowed; expected {least} .. {most}")
    return make_table(BUILT_IN_NETWORKS[name.lower()](size, classes))


def network_error(name: str, built_in: Iterable[str] = ()) -> ConfigError:
    """ConfigError for a name of no network: says what the file is and what is expected, ``built_in`` names included."""
    path = Path(name)
    expected = "FILE.py:Name, a module of torch" + (", or a built-in network" if built_in else "")
    if name and path.is_dir():
        return ConfigError(f"network {name!r} is a folder; expected {expected}")
    if path.suffix == ".py" and not path.is_file():
        return ConfigError(f"network {name!r} is a file that does not exist; expected {expected}")
    if path.suffix == ".py":
        names = [f"{name}:{found}" for found in _top_names(path)]
        return ConfigError(f"network {name!r} names nothing in the file; expected {', '.join(names) or 'FILE.py:Name'}")
    if found := file_format(path):
        return ConfigError(f"network {name!r} is {found}; expected {expected}")
    if not built_in and name.lower() in BUILT_IN_NETWORKS:
        return ConfigError(f"network {name!r} is built in, which has no weights; expected a trained one, FILE.py:Name")
    return unknown_name("network", name, [*built_in, "FILE.py:Name"])


def _top_names(path: Path) -> list[str]:
    """Names of the public classes and functions of a Python file, without running it."""
    try:
        body = ast.parse(read_bounded(path, _MOST_SOURCE)).body
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    kinds = (ast.ClassDef, ast.FunctionDef)
    return [item.name for item in body if isinstance(item, kinds) and not item.name.startswith("_")]
