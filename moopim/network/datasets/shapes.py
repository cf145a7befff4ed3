"""`shapes32`: synthetic 3x32x32 images of ten shapes, which small networks do not saturate on.

A textured shape of random size, place and angle lies on a textured background, behind bars, under noise. The
difficulty lowers the contrast and the smallest size and raises texture, noise and the width of bars; all figures are in
``data/shapes32.toml``. Images are the same on every run; processors whose sines differ in the last place may round a
few bytes otherwise. Accuracies on these images say nothing of real ones and are to be called synthetic.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from moopim.constants import constant, read_table
from moopim.errors import ConfigError
from moopim.network.datasets.data import ImageData, Raw, image_data
from moopim.network.datasets.outlines import OUTLINES
from moopim.typing import IntArray

__all__ = ["draw_shapes", "load_shapes"]

_SIDE = 32
# Images are drawn by blocks with a source of randomness each, so that an image does not depend on how many are drawn.
_BLOCK = 500
_Floats: TypeAlias = NDArray[Any]  # float32
_Levels: TypeAlias = Mapping[str, float]


def load_shapes(
    train: int = 5000, validation: int = 1000, test: int = 2000, difficulty: float | None = None, seed: int = 1
) -> ImageData:
    """Draws `shapes32`; the images of one split do not depend on how many the others have.

    Args:
        train: Training images.
        validation: Validation images.
        test: Test images.
        difficulty: From 0 to 1; the calibrated one of ``data/shapes32.toml`` if not given.
        seed: Seed of all images.

    Returns:
        The set, marked synthetic; images (n, 3, 32, 32).

    Raises:
        ConfigError: If a number is out of range or so small that a class has no training image.
    """
    parts = [draw_shapes(count, seed, difficulty, stream) for stream, count in enumerate((train, validation, test))]
    return image_data("shapes32", tuple(OUTLINES), *parts, synthetic=True)


def draw_shapes(count: int, seed: int = 1, difficulty: float | None = None, stream: int = 0) -> Raw:
    """Draws images of the ten shapes; image ``i`` is the same however many are drawn.

    Args:
        count: How many.
        seed: Seed, 0 or more.
        difficulty: From 0 to 1; the calibrated one if not given.
        stream: Which of the independent streams of images of the seed, 0 or more.

    Returns:
        Images (count, 3, 32, 32), uint8, and their classes, as many of each within 500 images.

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
    return (1 - difficulty) * constant(name, entry, "easy") + difficulty * constant(name, entry, "hard")


def _block(rng: np.random.Generator, levels: _Levels) -> Raw:
    """Images (block, 3, side, side) and their classes (block,)."""
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
    """How much of each pixel is covered (block, 1, side, side) by a shape of random size, place and angle."""
    radius = _uniform(rng, levels["smallest_radius"], levels["largest_radius"], 1, 1)
    right, down = x - _uniform(rng, -levels["shift"], levels["shift"], 1, 1), y
    down = down - _uniform(rng, -levels["shift"], levels["shift"], 1, 1)
    angle = _uniform(rng, 0, 2 * np.pi, 1, 1)
    mirror = np.where(_uniform(rng, 0, 1, 1, 1) < np.float32(0.5), np.float32(-1), np.float32(1))
    u = (right * np.cos(angle) + down * np.sin(angle)) / radius
    v = mirror * (down * np.cos(angle) - right * np.sin(angle)) / radius
    distance = np.empty_like(u)
    for label, outline in enumerate(OUTLINES.values()):
        own = labels == label
        distance[own] = outline(u[own], v[own])
    found: _Floats = (np.float32(0.5) - distance * radius).clip(0, 1)[:, None]
    return found


def _bar(rng: np.random.Generator, levels: _Levels, x: _Floats, y: _Floats) -> _Floats:
    """How much of each pixel is covered (block, 1, side, side) by a bar of random width, place and angle."""
    angle = _uniform(rng, 0, 2 * np.pi, 1, 1)
    middle = _uniform(rng, -levels["bar_distance"], levels["bar_distance"], 1, 1)
    half = _uniform(rng, 0, levels["bar"] / 2, 1, 1)
    distance = np.abs(x * np.cos(angle) + y * np.sin(angle) - middle) - half
    found: _Floats = (np.float32(0.5) - distance).clip(0, 1)[:, None]
    return found


def _texture(rng: np.random.Generator, levels: _Levels, colour: _Floats, x: _Floats, y: _Floats) -> _Floats:
    """Waves, or products of two, around a mean colour (block, 3): images (block, 3, side, side)."""
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
    """Random numbers (block, *shape) between two bounds."""
    return rng.random((_BLOCK, *shape), dtype=np.float32) * np.float32(high - low) + np.float32(low)


def _direction(rng: np.random.Generator) -> _Floats:
    """Random directions in colour space (block, 3) whose root mean square is 1."""
    way = rng.standard_normal((_BLOCK, 3), dtype=np.float32)
    found: _Floats = way / np.sqrt(np.mean(way**2, axis=1, keepdims=True))
    return found
