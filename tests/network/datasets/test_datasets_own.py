"""Data sets by name, digits, a user's own dataset, and the standard augmentation."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import IterableDataset, TensorDataset

from moopim import ConfigError
from moopim.network import datasets
from moopim.network.datasets import DATASETS, Augmentation, from_dataset, load_data, standard_augmentation


def test_digits_are_all_images_of_scikit_learn_once():
    from sklearn.datasets import load_digits

    data = load_data("digits")
    parts = (data.train, data.validation, data.test)
    assert [len(part) for part in parts] == [1000, 300, 497]
    assert (data.image_shape, data.classes, data.synthetic) == ((1, 8, 8), 10, False)
    images = torch.cat([part.images for part in parts]) * data.std[0] + data.mean[0]
    ours = [
        (label, *image.flatten().mul(16).round().int().tolist())
        for image, label in zip(images, torch.cat([part.labels for part in parts]).tolist(), strict=True)
    ]
    published = load_digits()
    theirs = [(label, *map(int, row)) for row, label in zip(published.data, published.target, strict=True)]
    assert sorted(ours) == sorted(theirs)
    assert data.train.images.dtype == torch.float32
    assert data.train.labels.dtype == torch.int64
    assert abs(data.train.images.double().mean()) < 1e-6
    assert abs(data.train.images.double().std(correction=0) - 1) < 1e-6


def test_digits_are_the_same_every_time():
    first, second = load_data("digits"), load_data("digits")
    assert torch.equal(first.test.images, second.test.images)
    assert torch.equal(first.test.labels, second.test.labels)
    assert first.test.labels[:8].tolist() != sorted(first.test.labels[:8].tolist())


def test_a_set_moves_whole(monkeypatch):
    monkeypatch.setattr(datasets.data, "check_device", lambda device: None)  # meta, which cannot compute
    data = load_data("digits").to("meta")
    assert {part.images.device.type for part in (data.train, data.validation, data.test)} == {"meta"}
    assert data.train.labels.device.type == "meta"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cifar", {}, r"unknown data set 'cifar' \(did you mean 'cifar10'\?\); allowed: digits, shapes32"),
        ("digits", {"root": "."}, r"'digits' comes with moopim; expected no root, got '.'"),
        ("digits", {"seed": 1}, "unknown option of data set 'digits' 'seed'; allowed: none"),
        ("shapes32", {"level": 1}, "unknown option of data set 'shapes32' 'level'; allowed: train, validation, test"),
        ("folder", {"root": "nowhere/at/all"}, r"root 'nowhere/at/all' of data set 'folder' does not exist"),
        ("folder", {"root": __file__}, r"is not a folder; expected the folder that holds it"),
        ("tinyimagenet", {}, "expected root, the folder that holds them"),
    ],
)
def test_wrong_names_and_options_are_refused(name, options, message):
    with pytest.raises(ConfigError, match=message):
        load_data(name, **options)


def test_every_set_is_described_in_a_line():
    assert {"digits", "shapes32", "cifar10", "cifar100", "tinyimagenet", "folder"} == set(DATASETS)
    assert "synthetic" in DATASETS["shapes32"]


def own(count=20, classes=2, shape=(2, 4, 3), seed=0):
    images = torch.rand((count, *shape), generator=torch.Generator().manual_seed(seed)) * 5
    return TensorDataset(images, torch.arange(count) % classes)


def test_an_own_dataset_keeps_its_images_and_labels():
    train, test = own(), own(6, seed=1)
    data = from_dataset(train, test, own(4), classes=["cat", "dog"], name="pets")
    assert (data.name, data.class_names, data.image_shape) == ("pets", ("cat", "dog"), (2, 4, 3))
    mean, std = (torch.tensor(value)[:, None, None] for value in (data.mean, data.std))
    assert torch.allclose(data.test.images * std + mean, test.tensors[0], atol=1e-5)
    assert torch.allclose(torch.tensor(data.mean), train.tensors[0].mean(dim=(0, 2, 3)), atol=1e-6)
    assert data.test.labels.tolist() == [0, 1] * 3


def test_validation_is_taken_from_the_training_images_by_the_seed():
    first, second = (from_dataset(own(50), own(6), seed=seed) for seed in (1, 2))
    assert (len(first.train), len(first.validation), first.classes) == (45, 5, 2)
    assert not torch.equal(first.validation.images, second.validation.images)


def test_images_of_pillow_are_bytes_with_channels_first():
    pixels = np.random.default_rng(1).integers(0, 256, (8, 4, 3, 3), dtype=np.uint8)
    items = [(Image.fromarray(image), i % 2) for i, image in enumerate(pixels)]
    data = from_dataset(items, items, items)
    assert data.image_shape == (3, 4, 3)
    assert np.allclose(data.mean, pixels.mean(axis=(0, 1, 2)) / 255)


def test_images_with_a_palette_are_taken_in_colour():
    image = Image.new("P", (3, 4), 1)
    image.putpalette([0, 0, 0, 255, 51, 102])
    items = [(image, 0)] * 4
    data = from_dataset(items, items, items)
    assert data.image_shape == (3, 4, 3)
    assert np.allclose(data.mean, (1, 0.2, 0.4))


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
def test_floats_of_any_width_are_taken(kind):
    items = [(torch.full((1, 2, 2), i / 4, dtype=kind, requires_grad=True), i % 2) for i in range(4)]
    data = from_dataset(items, items, items)
    assert data.train.images.dtype == torch.float32
    assert data.mean == (0.375,)


def test_more_classes_than_images_are_refused_at_once():
    with pytest.raises(ConfigError, match=r"training data of 'own': image 3 has label 1099511627776; expected 0\.\.5"):
        from_dataset(changed(i3=(IMAGE, 2**40)), changed(), changed())


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="device 'tpu' cannot be used"):
        load_data("digits").to("tpu")


def test_a_channel_without_contrast_stays_finite():
    blank = TensorDataset(torch.ones(4, 1, 2, 2), torch.tensor([0, 1, 0, 1]))
    assert torch.equal(from_dataset(blank, blank, blank).test.images, torch.zeros(4, 1, 2, 2))


def changed(**entries):
    items = [(torch.zeros(1, 2, 2), i % 2) for i in range(6)]
    for place, item in entries.items():
        items[int(place[1:])] = item
    return items


class Stream(IterableDataset):
    def __iter__(self):
        return iter(changed())


IMAGE = torch.zeros(1, 2, 2)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (changed(i3=(torch.full((1, 2, 2), torch.nan), 1)), "item 3 has an image with NaN or infinity"),
        (changed(i3=(torch.full((1, 2, 2), -torch.inf), 1)), "item 3 has an image with NaN or infinity"),
        (changed(i3=(IMAGE, 2)), r"training data of 'own': image 3 has label 2; expected 0\.\.1 \(2 classes\)"),
        (changed(i3=(IMAGE, -1)), r"image 3 has label -1; expected 0\.\.1"),
        (changed(i3=(IMAGE, 0.5)), r"item 3 has label 0.5; expected a whole number"),
        (changed(i3=(IMAGE, torch.tensor([1]))), "item 3 has label .* expected a whole number"),
        (changed(i3=(torch.zeros(1, 2, 3), 1)), r"image 3 is float32 of shape \(1, 2, 3\); expected float32 of shape"),
        (changed(i0=(torch.zeros(2, 2), 1)), r"item 0 has an image of float32 of shape \(2, 2\); expected numbers"),
        (changed(i0=("a.png", 1)), "item 0 has an image of .* expected numbers"),
        (changed(i0=IMAGE), "item 0 is a Tensor; expected a pair"),
        ([(IMAGE, 0)] * 6, r"class 1 \('1'\) has no training image; expected at least one for each of the 2 classes"),
        ([], "list has no length; expected a dataset with at least one item"),
        (Stream(), "Stream has no length"),
    ],
)
def test_own_data_that_cannot_be_used_are_refused(data, message):
    with pytest.raises(ConfigError, match=message):
        from_dataset(data, changed(), changed(), classes=2)


@pytest.mark.parametrize("classes", [0, [], "ab", ["a", "a"]])
def test_wrong_class_names_are_refused(classes):
    with pytest.raises(ConfigError, match=r"classes is .*; expected"):
        from_dataset(changed(), changed(), changed(), classes=classes)


def test_test_images_of_another_shape_are_refused():
    with pytest.raises(ConfigError, match=r"test images have shape \(2, 4, 4\); expected \(2, 4, 3\)"):
        from_dataset(own(), own(shape=(2, 4, 4)))


def generator(seed=1):
    return torch.Generator().manual_seed(seed)


def test_every_augmented_image_is_a_crop_of_the_padded_one_or_its_mirror_image():
    images = torch.rand(300, 2, 5, 4, generator=generator())
    padded = torch.zeros(300, 2, 9, 8)
    padded[:, :, 2:7, 2:6] = images
    found = Augmentation(2)(images, generator())
    seen = set()
    for image, wide in zip(found, padded, strict=True):
        fits = [
            (y, x, turned)
            for y in range(5)
            for x in range(5)
            for turned in (False, True)
            if torch.equal(image.flip(2) if turned else image, wide[:, y : y + 5, x : x + 4])
        ]
        assert len(fits) == 1
        seen.update(fits)
    assert len(seen) == 50  # every crop, both ways round


def test_augmentation_follows_its_generator_alone():
    images = torch.rand(8, 3, 6, 6, generator=generator())
    before = torch.get_rng_state()
    first, again, other = (Augmentation(4)(images, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_no_padding_and_no_mirror_change_nothing():
    images = torch.rand(8, 3, 6, 6, generator=generator())
    assert torch.equal(Augmentation(0, mirror=False)(images, generator()), images)


def test_negative_padding_is_refused():
    with pytest.raises(ConfigError, match="padding of the augmentation is -1; expected 0 or more"):
        Augmentation(-1)


def test_digits_are_not_augmented_and_shapes_are():
    assert standard_augmentation(load_data("digits")) is None
    shapes = load_data("shapes32", train=500, validation=10, test=10)
    assert standard_augmentation(shapes) == Augmentation(4, mirror=True)
