"""`shapes32`: synthetic 3x32x32 images of ten shapes, which small networks do not saturate on.

A textured shape of random size, position and angle lies on a textured background, behind bars, under noise. The
difficulty lowers the contrast and the smallest size and raises texture, noise and the width of bars; all constants are
in ``data/shapes32.toml``. Images are the same on every run; processors whose sines differ in the last place may round a
few bytes differently. Accuracies on these images must be reported as synthetic.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from moopim.constants import constant, read_table
from moopim.errors import ConfigError
from moopim.network.datasets.data import ImageData, Raw, image_data
from moopim.typing import IntArray

_SIDE = 32
# Images are drawn in blocks with a generator each, so that an image does not depend on how many are drawn.
_BLOCK = 500
_Floats: TypeAlias = NDArray[Any]  # float32
_Levels: TypeAlias = Mapping[str, float]


def load_shapes(
    train: int = 5000, validation: int = 1000, test: int = 2000, difficulty: float | None = None, seed: int = 1
) -> ImageData:
    """Generate the image set `shapes32`; the images of a split do not depend on the sizes of the others.

    Args:
        train: Number of training images.
        validation: Number of validation images.
        test: Number of test images.
        difficulty: From 0 (easy) to 1 (hard); the calibrated one of ``data/shapes32.toml`` by default.
        seed: Seed of all images, 0 or more.

    Returns:
        The set, marked synthetic; images have the shape ``(images, 3, 32, 32)``.

    Raises:
        ConfigError: If a number is out of range, or a class has no training image.
    """
    parts = [draw_shapes(count, seed, difficulty, stream) for stream, count in enumerate((train, validation, test))]
    return image_data("shapes32", tuple(OUTLINES), *parts, synthetic=True)


def draw_shapes(count: int, seed: int = 1, difficulty: float | None = None, stream: int = 0) -> Raw:
    """Draw images of the ten shapes; image ``i`` does not depend on how many are drawn.

    Args:
        count: Number of images.
        seed: Seed, 0 or more.
        difficulty: From 0 (easy) to 1 (hard); the calibrated one of ``data/shapes32.toml`` by default.
        stream: Number of the independent stream of images of the seed, 0 or more.

    Returns:
        Images, uint8, shape ``(count, 3, 32, 32)``, and labels, shape ``(count,)``, balanced within 500 images.

    Raises:
        ConfigError: If a number is out of range.
    """
    table = read_table("moopim.network", "shapes32.toml")
    difficulty = constant("difficulty", table["difficulty"]) if difficulty is None else difficulty
    if not isinstance(difficulty, int | float | np.floating) or not 0 <= difficulty <= 1:
        raise ConfigError(f"difficulty of shapes32 is {difficulty!r}; expected 0 to 1")
    for name, value in (("number of images", count), ("seed", seed), ("stream", stream)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
            raise ConfigError(f"{name} of shapes32 is {value!r}; expected a whole number, 0 or more")
    levels = {name: _level(name, entry, difficulty) for name, entry in table.items()}
    images = np.empty((count, 3, _SIDE, _SIDE), np.uint8)
    labels = np.empty(count, np.int64)
    for number, start in enumerate(range(0, count, _BLOCK)):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(stream, number)))
        drawn, classes = _block(rng, levels)
        images[start : start + _BLOCK] = drawn[: count - start]
        labels[start : start + _BLOCK] = classes[: count - start]
    return Raw(images, labels)


def _level(name: str, entry: Mapping[str, float], difficulty: float) -> float:
    if "value" in entry:
        return constant(name, entry)
    return (1 - difficulty) * constant(name, entry, key="easy") + difficulty * constant(name, entry, key="hard")


def _block(rng: np.random.Generator, levels: _Levels) -> Raw:
    """Images, shape ``(block, 3, side, side)``, and labels, shape ``(block,)``."""
    y, x = np.indices((_SIDE, _SIDE), dtype=np.float32) - np.float32((_SIDE - 1) / 2)
    labels = rng.permutation(_BLOCK) % len(OUTLINES)
    colour = _uniform(rng, levels["darkest"], levels["brightest"], 3)
    image = _texture(rng, levels, colour, x, y)
    shape = _texture(rng, levels, colour + _direction(rng) * np.float32(levels["contrast"]), x, y)
    image += (shape - image) * _shapes(rng, levels, labels, x, y)
    for _ in range(int(levels["bars"])):
        colour = _uniform(rng, levels["darkest"], levels["brightest"], 3)
        bar = _texture(rng, levels, colour, x, y)
        image += (bar - image) * _bar(rng, levels, x, y)
    image += rng.standard_normal(image.shape, dtype=np.float32) * np.float32(levels["noise"])
    return Raw(np.rint(image.clip(0, 1) * 255).astype(np.uint8), labels)


def _shapes(rng: np.random.Generator, levels: _Levels, labels: IntArray, x: _Floats, y: _Floats) -> _Floats:
    """Coverage of the pixels by a shape of random size, position and angle, shape ``(block, 1, side, side)``."""
    radius = _uniform(rng, levels["smallest_radius"], levels["largest_radius"], 1, 1)
    right, down = x - _uniform(rng, -levels["shift"], levels["shift"], 1, 1), y
    down = down - _uniform(rng, -levels["shift"], levels["shift"], 1, 1)
    angle = _uniform(rng, 0, 2 * np.pi, 1, 1)
    mirror = np.where(_uniform(rng, 0, 1, 1, 1) < np.float32(0.5), np.float32(-1), np.float32(1))
    u = (right * np.cos(angle) + down * np.sin(angle)) / radius
    v = mirror * (down * np.cos(angle) - right * np.sin(angle)) / radius
    distance = np.empty_like(u)
    for label, outline in enumerate(OUTLINES.values()):
        chosen = labels == label
        distance[chosen] = outline(u[chosen], v[chosen])
    found: _Floats = (np.float32(0.5) - distance * radius).clip(0, 1)[:, None]
    return found


def _bar(rng: np.random.Generator, levels: _Levels, x: _Floats, y: _Floats) -> _Floats:
    """Coverage of the pixels by a bar of random width, position and angle, shape ``(block, 1, side, side)``."""
    angle = _uniform(rng, 0, 2 * np.pi, 1, 1)
    middle = _uniform(rng, -levels["bar_distance"], levels["bar_distance"], 1, 1)
    half = _uniform(rng, 0, levels["bar"] / 2, 1, 1)
    distance = np.abs(x * np.cos(angle) + y * np.sin(angle) - middle) - half
    found: _Floats = (np.float32(0.5) - distance).clip(0, 1)[:, None]
    return found


def _texture(rng: np.random.Generator, levels: _Levels, colour: _Floats, x: _Floats, y: _Floats) -> _Floats:
    """Waves, or products of two, around a mean colour ``(block, 3)``; shape ``(block, 3, side, side)``."""
    waves = []
    for _ in range(2):
        number = _uniform(rng, 2 * np.pi / levels["longest_wave"], 2 * np.pi / levels["shortest_wave"], 1, 1)
        angle = _uniform(rng, 0, 2 * np.pi, 1, 1)
        phase = _uniform(rng, 0, 2 * np.pi, 1, 1)
        waves.append(np.sin(number * (x * np.cos(angle) + y * np.sin(angle)) + phase))
    first, second = waves
    single = _uniform(rng, 0, 1, 1, 1) < np.float32(0.5)
    pattern = np.where(single, first, first * second)
    amplitude = _direction(rng) * np.float32(levels["texture"])
    found: _Floats = colour[:, :, None, None] + amplitude[:, :, None, None] * pattern[:, None]
    return found


def _uniform(rng: np.random.Generator, low: float, high: float, *shape: int) -> _Floats:
    """Uniform random numbers, shape ``(block, *shape)``."""
    return rng.random((_BLOCK, *shape), dtype=np.float32) * np.float32(high - low) + np.float32(low)


def _direction(rng: np.random.Generator) -> _Floats:
    """Random directions in colour space with a root mean square of 1, shape ``(block, 3)``."""
    way = rng.standard_normal((_BLOCK, 3), dtype=np.float32)
    found: _Floats = way / np.sqrt(np.mean(way**2, axis=1, keepdims=True))
    return found


# Outlines: signed distance to the edge of a shape, negative inside it. Coordinates u and v and the distance are in
# radii of the shape; all have the shape (images, height, width).


def _box(u: _Floats, v: _Floats, centre: tuple[float, float], half: tuple[float, float]) -> _Floats:
    return np.maximum(np.abs(u - centre[0]) - half[0], np.abs(v - centre[1]) - half[1])


def _sector(u: _Floats, v: _Floats, corners: int) -> tuple[_Floats, _Floats]:
    """Fold the plane into a half-sector of a regular polygon: along the middle of a side, and across it."""
    angle = np.float32(2 * np.pi / corners)
    off = np.abs(np.mod(np.arctan2(v, u), angle) - angle / 2)
    radius = np.hypot(u, v)
    return radius * np.cos(off), radius * np.sin(off)


def _disc(u: _Floats, v: _Floats) -> _Floats:
    return np.hypot(u, v) - 0.9


def _ring(u: _Floats, v: _Floats) -> _Floats:
    return np.abs(np.hypot(u, v) - 0.7) - 0.25


def _triangle(u: _Floats, v: _Floats) -> _Floats:
    return _sector(u, v, 3)[0] - 0.5


def _square(u: _Floats, v: _Floats) -> _Floats:
    return _box(u, v, (0, 0), (0.7, 0.7))


def _star(u: _Floats, v: _Floats) -> _Floats:
    """Star of five points at radius 1, with the corners between them at radius 0.4."""
    along, across = _sector(u, v, 5)
    x, y = np.cos(np.pi / 5) - 0.4, np.sin(np.pi / 5)  # the edge, from a corner to a point
    return ((along - 0.4) * np.float32(y) - across * np.float32(x)) / np.float32(np.hypot(x, y))


def _cross(u: _Floats, v: _Floats) -> _Floats:
    return np.minimum(_box(u, v, (0, 0), (0.95, 0.28)), _box(u, v, (0, 0), (0.28, 0.95)))


def _crescent(u: _Floats, v: _Floats) -> _Floats:
    found: _Floats = np.maximum(np.hypot(u, v) - 1, 0.75 - np.hypot(u - 0.45, v))
    return found


def _l(u: _Floats, v: _Floats) -> _Floats:
    return np.minimum(_box(u, v, (-0.39, 0), (0.24, 0.75)), _box(u, v, (0, 0.51), (0.63, 0.24)))


def _t(u: _Floats, v: _Floats) -> _Floats:
    return np.minimum(_box(u, v, (0, 0), (0.24, 0.75)), _box(u, v, (0, -0.51), (0.65, 0.24)))


def _hourglass(u: _Floats, v: _Floats) -> _Floats:
    return np.maximum((np.abs(v) - np.abs(u)) * np.float32(np.sqrt(0.5)), np.abs(u) - 0.7)


OUTLINES: Mapping[str, Callable[[_Floats, _Floats], _Floats]] = MappingProxyType(
    {
        "disc": _disc,
        "ring": _ring,
        "triangle": _triangle,
        "square": _square,
        "star": _star,
        "cross": _cross,
        "crescent": _crescent,
        "L": _l,
        "T": _t,
        "hourglass": _hourglass,
    }
)
"""Outline functions by shape; each shape has about unit radius around the origin."""
