"""TinyImageNet, and any folder with a folder for each class, from tiny files; images that are not what they seem."""

import io
import stat
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from PIL import Image

from moopim import ConfigError
from moopim.network.datasets import load_data

WORDS = ("n01", "n02", "n03")
TRAIN, TEST = 20, 2


def grey(value, size=(64, 64), mode="RGB", kind="PNG"):
    """An image of one brightness, which compression keeps."""
    stream = io.BytesIO()
    Image.new("RGB", size[::-1], (value,) * 3).convert(mode).save(stream, kind)
    return stream.getvalue()


def tiny(**changes):
    files = {"wnids.txt": "\n".join(WORDS), "words.txt": "n01\tfish"}
    lines = []
    for number, word in enumerate(WORDS):
        for i in range(TRAIN):
            mode = "L" if i == 0 else "RGB"  # some published images are grey
            files[f"train/{word}/images/{word}_{i}.JPEG"] = grey(60 * number + 10 + i, mode=mode, kind="JPEG")
        files[f"train/{word}/{word}_boxes.txt"] = "0\t0\t1\t1"
    for i in range(len(WORDS) * TEST):
        files[f"val/images/val_{i}.JPEG"] = grey(60 * (i % 3) + 40 + i, kind="JPEG")
        lines.append(f"val_{i}.JPEG\t{WORDS[i % 3]}\t0\t0\t62\t62")
    files["val/val_annotations.txt"] = "\n".join(lines) + "\n"
    return {**files, **changes}


def write(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def pack(path, files, top="tiny-imagenet-200/"):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name if isinstance(name, zipfile.ZipInfo) else top + name, content)


def brightness(data, split):
    """Brightness of the first pixel of each image, as published."""
    first = split.images[:, :, 0, 0].numpy()
    return np.rint((first * np.array(data.std) + np.array(data.mean)) * 255).astype(int)


@pytest.mark.parametrize("place", ["root", "subfolder", "zip"])
def test_tiny_imagenet_is_read_from_a_folder_or_the_published_archive(tmp_path, place):
    if place == "zip":
        pack(tmp_path / "tiny-imagenet-200.zip", tiny())
    else:
        write(tmp_path / ("tiny-imagenet-200" if place == "subfolder" else "."), tiny())
    data = load_data("tinyimagenet", tmp_path)
    assert (data.class_names, data.image_shape) == (WORDS, (3, 64, 64))
    assert (len(data.train), len(data.validation), len(data.test)) == (54, 6, 6)
    assert data.test.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert (brightness(data, data.test) == [[60 * (i % 3) + 40 + i] * 3 for i in range(6)]).all()
    values = np.concatenate([brightness(data, part) for part in (data.train, data.validation)])[:, 0]
    labels = np.concatenate([part.labels.numpy() for part in (data.train, data.validation)])
    assert sorted(values) == [60 * number + 10 + i for number in range(3) for i in range(TRAIN)]
    assert (labels == values // 60).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"wnids.txt": "n01\nn02"}, r"wnids.txt' does not name class 'n03', for which there are images"),
        ({"wnids.txt": "n01\nn02\nn03\nn04"}, r"train/n04/images/\*.JPEG' is missing: class 'n04'"),
        ({"wnids.txt": "n01\nn02\nn03\nn03"}, "names 4 classes, 3 of them different"),
        ({"val/val_annotations.txt": "val_0.JPEG\tn01\nval_1.JPEG\tn09"}, "line 2 of .* 'val_1.JPEG n09'; expected"),
        ({"wnids.txt": "n01\n../n02\nn03"}, r"names class '../n02'; expected such as 'n01443537'"),
        ({"wnids.txt": "n01\n..\nn03"}, r"names class '..'; expected such as 'n01443537'"),
        ({"val/val_annotations.txt": f"{'x' * 5000}\tn01"}, "cannot be read: File name too long"),
        ({"val/val_annotations.txt": "x" * 5000}, "line 1 of .* 'x{100}'; expected"),
        ({"val/val_annotations.txt": "../../x.JPEG\tn01"}, r"line 1 of .* '../../x.JPEG n01'; expected"),
        ({"val/val_annotations.txt": "val_77.JPEG\tn01"}, r"val_77.JPEG' is missing"),
        ({"val/val_annotations.txt": ""}, "there is no test image"),
        ({"val/images/val_1.JPEG": grey(1, (64, 63))}, r"val_1.JPEG' is 64x63 px; expected 64x64"),
        ({"val/images/val_1.JPEG": grey(1, kind="JPEG")[:-300]}, r"val_1.JPEG' cannot be read as a JPEG or PNG image"),
        ({"val/images/val_1.JPEG": b"<html>"}, r"val_1.JPEG' cannot be read as a JPEG or PNG image: not one"),
        ({"val/images/val_1.JPEG": grey(1, kind="BMP")}, "cannot be read as a JPEG or PNG image: not one"),
    ],
)
def test_a_tiny_imagenet_that_is_not_one_is_refused(tmp_path, changes, message):
    write(tmp_path, tiny(**changes))
    with pytest.raises(ConfigError, match=message) as caught:
        load_data("tinyimagenet", tmp_path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 6000


def test_a_tiny_imagenet_that_is_not_there_is_described(tmp_path):
    with pytest.raises(ConfigError, match=r"tiny-imagenet-200.zip or tiny-imagenet-200/ with wnids.txt, train/CLASS"):
        load_data("tinyimagenet", tmp_path)


def test_a_file_missing_from_the_archive_is_named(tmp_path):
    files = tiny()
    del files["wnids.txt"]
    pack(tmp_path / "tiny-imagenet-200.zip", files)
    with pytest.raises(ConfigError, match=r"'tiny-imagenet-200/wnids.txt' of archive '.*zip' is missing"):
        load_data("tinyimagenet", tmp_path)


def special(name, mode=stat.S_IFREG):
    info = zipfile.ZipInfo(name)
    info.external_attr = (mode | 0o644) << 16
    return info


@pytest.mark.parametrize(
    ("info", "message"),
    [
        (special("../evil"), "member '../evil' .* would leave the folder"),
        (special("tiny-imagenet-200/../../evil"), "would leave the folder"),
        (special("/evil"), "would leave the folder"),
        (special("tiny-imagenet-200/..\\evil"), "would leave the folder"),
        (special("tiny-imagenet-200/link", stat.S_IFLNK), "is a link, a special file or encrypted"),
        (special("a/" * 50 + "x"), "is 51 folders deep; expected at most 16"),
    ],
)
def test_hostile_zip_archives_are_refused_and_nothing_is_written(tmp_path, info, message):
    root = tmp_path / "a" / "b"
    root.mkdir(parents=True)
    pack(root / "tiny-imagenet-200.zip", {**tiny(), info: "x"})
    with pytest.raises(ConfigError, match=message):
        load_data("tinyimagenet", root)
    assert [path.name for path in sorted(tmp_path.rglob("*"))] == ["a", "b", "tiny-imagenet-200.zip"]


@pytest.mark.parametrize("limit", ["_PIECE", "ZIP_BYTES"])
def test_zip_archives_that_unpack_to_too_much_are_refused(tmp_path, monkeypatch, limit):
    pack(tmp_path / "tiny-imagenet-200.zip", tiny(big=bytes(60_000)))
    monkeypatch.setattr(f"moopim.network.datasets.archives.{limit}", 50_000)
    with pytest.raises(ConfigError, match=r"60000 bytes; expected at most 50000|unpacks to more than 50000 bytes"):
        load_data("tinyimagenet", tmp_path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_archives_that_cannot_be_unpacked_bit_by_bit_are_refused(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "tiny-imagenet-200.zip", "w", method) as archive:
        archive.writestr("tiny-imagenet-200/wnids.txt", "n01")
    with pytest.raises(ConfigError, match=rf"compressed by method {method}; expected 0 or 8"):
        load_data("tinyimagenet", tmp_path)


def test_a_member_that_unpacks_to_more_than_it_says_takes_no_memory(tmp_path):
    path = tmp_path / "tiny-imagenet-200.zip"
    size = 50_000_000
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tiny-imagenet-200/wnids.txt", bytes(size))
    path.write_bytes(path.read_bytes().replace(size.to_bytes(4, "little"), (100).to_bytes(4, "little")))
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError, match="Bad CRC-32"):
            load_data("tinyimagenet", tmp_path)
        assert tracemalloc.get_traced_memory()[1] < size / 10
    finally:
        tracemalloc.stop()


def test_a_zip_archive_of_a_later_version_is_refused(tmp_path):
    path = tmp_path / "tiny-imagenet-200.zip"
    pack(path, {"wnids.txt": "n01"})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 6] = 147  # the version that is needed
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"archive '.*' cannot be read: zip file version 14\.7"):
        load_data("tinyimagenet", tmp_path)


def test_truncated_and_damaged_zip_archives_are_refused(tmp_path):
    path = tmp_path / "tiny-imagenet-200.zip"
    pack(path, tiny())
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(ConfigError, match=r"archive '.*' cannot be read"):
        load_data("tinyimagenet", tmp_path)
    path.write_bytes(whole.replace(b"n01\nn02", b"n01\nn12", 1))
    with pytest.raises(ConfigError, match=r"wnids.txt' of archive .* cannot be read: Bad CRC-32"):
        load_data("tinyimagenet", tmp_path)


def test_a_zip_archive_with_a_large_directory_is_refused_before_it_is_held(tmp_path):
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", 20, 3, 20, *[0] * 8, 1, *[0] * 6) + b"a"
    for count, message in ((300_000, "more than 200000 members"), (600_000, "expected at most 25165824")):
        directory = entry * count
        end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(directory), 0)
        end += struct.pack("<4sLQL", b"PK\6\7", 0, len(directory), 1)
        end += struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, 2**32 - 1, 2**32 - 1, 0)
        (tmp_path / "tiny-imagenet-200.zip").write_bytes(directory + end)
        with pytest.raises(ConfigError, match=message):
            load_data("tinyimagenet", tmp_path)


def test_an_image_with_many_scans_is_refused(tmp_path):
    image = io.BytesIO()
    Image.new("RGB", (64, 64)).save(image, "JPEG", progressive=True)
    content = image.getvalue()
    scans = content[content.index(b"\xff\xda") : -2]
    write(tmp_path, {**animals(), "dog/00.jpg": content[:-2] + scans * 20 + content[-2:]})
    with pytest.raises(ConfigError, match="is a JPEG image of more than 100 scans"):
        load_data("folder", tmp_path)


def test_images_that_are_too_many_for_memory_are_refused(tmp_path, monkeypatch):
    write(tmp_path, animals())
    monkeypatch.setattr("moopim.network.datasets.images.SPLIT_BYTES", 1000)
    with pytest.raises(ConfigError, match="20 images like it have 1800 bytes; expected at most 1000"):
        load_data("folder", tmp_path)


def animals(count=10, size=(6, 5), folder=""):
    """Cats are darker than 100, dogs brighter."""
    return {
        f"{folder}{name}/{i:02d}.{kind}": grey(base + i, size, kind=written)
        for name, base in (("cat", 0), ("dog", 100))
        for i, (kind, written) in zip(range(count), (("png", "PNG"), ("JPG", "JPEG")) * count, strict=False)
    }


def test_a_folder_per_class_is_divided_by_the_seed(tmp_path):
    write(tmp_path, {**animals(20), "cat/notes.txt": "not an image", ".hidden/x.png": "", "readme.md": ""})
    data = load_data("folder", tmp_path, seed=3)
    assert data.name == f"folder:{tmp_path.name}"
    assert (data.class_names, data.image_shape) == (("cat", "dog"), (3, 6, 5))
    assert (len(data.train), len(data.validation), len(data.test)) == (32, 4, 4)
    parts = [brightness(data, part)[:, 0] for part in (data.train, data.validation, data.test)]
    assert sorted(np.concatenate(parts)) == [*range(20), *range(100, 120)]
    for values, part in zip(parts, (data.train, data.validation, data.test), strict=True):
        assert ((values >= 100) == part.labels.numpy()).all()
        assert part.labels.double().mean() == 0.5
    again, other = load_data("folder", tmp_path, seed=3), load_data("folder", tmp_path, seed=4)
    assert (brightness(again, again.test)[:, 0] == parts[2]).all()
    assert (brightness(other, other.test)[:, 0] != parts[2]).any()


@pytest.mark.parametrize("given", [("train", "val", "test"), ("train", "test")])
def test_folders_for_the_splits_are_taken_as_they_are(tmp_path, given):
    counts = {"train": 20, "val": 3, "test": 4}
    for split in given:
        write(tmp_path, animals(counts[split], folder=f"{split}/"))
    data = load_data("folder", tmp_path)
    sizes = (40, 6, 8) if "val" in given else (36, 4, 8)
    assert (len(data.train), len(data.validation), len(data.test)) == sizes
    assert sorted(brightness(data, data.test)[:, 0]) == [0, 1, 2, 3, 100, 101, 102, 103]


@pytest.mark.parametrize("seed", [-1, 1.5, "a", True])
def test_a_seed_that_is_none_is_refused(tmp_path, seed):
    write(tmp_path, animals())
    with pytest.raises(ConfigError, match=r"seed of the split is .*; expected a whole number, 0 or more"):
        load_data("folder", tmp_path, seed=seed)


def deep():
    stream = io.BytesIO()
    Image.fromarray(np.full((6, 5), 40_000, np.uint16)).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "has no folders; expected one for each class"),
        ({"cat/a.png": grey(1)}, "class 'cat' has 1 images; expected at least 3 to divide"),
        ({**animals(), "cow/readme.txt": ""}, "cow' has no JPEG or PNG image"),
        ({**animals(), "dog/00.png": grey(1, (5, 6))}, r"dog/00.png' is 5x6 px; expected 6x5, one size for all"),
        ({"cat/a.png": grey(1, (1, 1025))}, "is 1x1025 px; expected at most 1024x1024"),
        ({**animals(), "dog/00.png": deep()}, "pixels of kind 'I;16'; expected eight bits"),
        ({**animals(), "dog/00.png": b""}, "cannot be read as a JPEG or PNG image"),
        ({**animals(), "dog/00.png": grey(9, (6, 5))[:-30]}, "cannot be read as a JPEG or PNG image"),
        (animals(folder="train/"), "has train; expected train, test and, if there is, val"),
        ({**animals(folder="train/"), "test/cat/a.png": grey(1, (6, 5))}, "class 'dog' is not in all splits"),
        ({**animals(folder="train/"), **animals(3, (5, 5), "test/")}, "is 5x5 px; expected 6x5"),
    ],
)
def test_folders_that_are_no_image_set_are_refused(tmp_path, files, message):
    write(tmp_path, files)
    with pytest.raises(ConfigError, match=message):
        load_data("folder", tmp_path)
