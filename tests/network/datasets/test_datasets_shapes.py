"""`shapes32`: the same images from a seed, however many; ten even classes; harder with difficulty."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moopim import ConfigError
from moopim.network.datasets import draw_shapes, load_data
from moopim.network.datasets.shapes import OUTLINES


@settings(max_examples=10)
@given(count=st.integers(0, 1200), seed=st.integers(0, 3))
def test_an_image_does_not_depend_on_how_many_are_drawn(count, seed):
    many, some = drawn(seed), draw_shapes(count, seed)
    assert some.images.shape == (count, 3, 32, 32)
    assert np.array_equal(some.images, many.images[:count])
    assert np.array_equal(some.labels, many.labels[:count])


def drawn(seed, cache={}):  # noqa: B006 (a cache)
    if seed not in cache:
        cache[seed] = draw_shapes(1200, seed)
    return cache[seed]


def test_seeds_streams_and_blocks_differ():
    images = [draw_shapes(500, seed, stream=stream).images for seed in (1, 2) for stream in (0, 1)]
    images.append(draw_shapes(1000, 1).images[500:])
    keys = {image.tobytes() for block in images for image in block}
    assert len(keys) == 2500


def test_classes_are_even():
    labels = draw_shapes(1500, 7).labels
    assert [np.bincount(labels[start : start + 500]).tolist() for start in (0, 500, 1000)] == [[50] * 10] * 3
    assert labels.dtype == np.int64


def test_the_set_is_marked_synthetic_and_its_splits_are_streams():
    data = load_data("shapes32", train=600, validation=70, test=80, difficulty=0.2, seed=4)
    assert data.synthetic
    assert data.class_names == tuple(OUTLINES)
    assert (data.image_shape, data.classes) == ((3, 32, 32), 10)
    for split, stream, count in ((data.train, 0, 600), (data.validation, 1, 70), (data.test, 2, 80)):
        raw = draw_shapes(count, 4, 0.2, stream)
        mean, std = (np.array(value)[:, None, None] for value in (data.mean, data.std))
        assert np.array_equal(np.rint((split.images.numpy() * std + mean) * 255), raw.images)
        assert np.array_equal(split.labels.numpy(), raw.labels)


def test_difficulty_makes_noise():
    """The smallest difference between neighbours is noise alone; it grows with every step."""
    noise = [
        np.median(np.abs(np.diff(draw_shapes(500, 1, difficulty).images.astype(float), axis=3)))
        for difficulty in (0, 0.25, 0.5, 0.75, 1)
    ]
    assert (np.diff(noise) > 0).all()


@pytest.mark.parametrize("name", OUTLINES)
def test_a_shape_lies_within_its_radius_and_its_outline_is_a_distance(name):
    v, u = np.mgrid[-1.5:1.5:301j, -1.5:1.5:301j].astype(np.float32)[:, None]
    found = OUTLINES[name](u, v)
    inside = found < 0
    assert np.hypot(u, v)[inside].max() < 1.01
    assert 0.1 < inside.mean() * 9 / np.pi < 1  # share of the unit disc
    assert found.dtype == np.float32
    assert np.abs(np.diff(found, axis=2)).max() <= 0.01 * 1.01  # never steeper than a distance


def areas():
    v, u = np.mgrid[-1.5:1.5:601j, -1.5:1.5:601j].astype(np.float32)[:, None]
    return {name: float((outline(u, v) < 0).mean() * 9) for name, outline in OUTLINES.items()}


def test_areas_are_those_of_the_figures():
    found = areas()
    expected = {
        "disc": np.pi * 0.9**2,
        "ring": np.pi * (0.95**2 - 0.45**2),
        "triangle": 3 * np.sqrt(3) / 4,
        "square": 1.4**2,
        "star": 5 * 0.4 * np.sin(np.pi / 5),
        "cross": 2 * 1.9 * 0.56 - 0.56**2,
        "L": 0.48 * 1.5 + 1.26 * 0.48 - 0.48 * 0.48,
        "T": 0.48 * 1.5 + 1.30 * 0.48 - 0.48 * 0.48,
        "hourglass": 2 * 0.7**2,
    }
    for name, area in expected.items():
        assert found[name] == pytest.approx(area, rel=0.02), name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"difficulty": 1.5}, "difficulty of shapes32 is 1.5; expected 0 to 1"),
        ({"difficulty": float("nan")}, "difficulty of shapes32 is nan; expected 0 to 1"),
        ({"difficulty": "hard"}, "difficulty of shapes32 is 'hard'; expected 0 to 1"),
        ({"seed": -1}, "seed of shapes32 is -1; expected a whole number, 0 or more"),
        ({"train": 2.5}, "number of images of shapes32 is 2.5"),
        ({"train": 0}, "there is no training image"),
        ({"train": 9}, "has no training image; expected at least one for each of the 10 classes"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        load_data("shapes32", **options)
