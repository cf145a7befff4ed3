"""CIFAR-10 and CIFAR-100 from their published files (Krizhevsky, "Learning multiple layers of features", 2009).

Both are published in two formats, "binary" and "python", each as an archive; either is read, unpacked or not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from moopim.errors import ConfigError
from moopim.network.datasets.archives import FILE_BYTES, TOTAL_BYTES, FolderFiles, read_tar
from moopim.network.datasets.data import ImageData, Raw, check_labels, hold_out, image_data
from moopim.network.datasets.pickles import read_pickle

_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32
_SHOWN = 10  # entries that a message lists


@dataclass(frozen=True)
class _Format:
    """Published format of a set.

    Attributes:
        folder: Folder within the archive.
        archive: Name of the archive.
        train: Files of the training images.
        test: File of the test images.
        names: File of the class names.
        label_bytes: Bytes before the pixels of a record, the last of which is the label; 0 for pickles.
        keys: Keys of the labels and of the class names in pickles.
    """

    folder: str
    archive: str
    train: tuple[str, ...]
    test: str
    names: str
    label_bytes: int = 0
    keys: tuple[str, str] = ("", "")

    @property
    def files(self) -> tuple[str, ...]:
        return (*self.train, self.test, self.names)


_FORMATS = {
    10: (
        _Format(
            "cifar-10-batches-bin",
            "cifar-10-binary.tar.gz",
            tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
            "test_batch.bin",
            "batches.meta.txt",
            label_bytes=1,
        ),
        _Format(
            "cifar-10-batches-py",
            "cifar-10-python.tar.gz",
            tuple(f"data_batch_{i}" for i in range(1, 6)),
            "test_batch",
            "batches.meta",
            keys=("labels", "label_names"),
        ),
    ),
    100: (
        _Format(
            "cifar-100-binary",
            "cifar-100-binary.tar.gz",
            ("train.bin",),
            "test.bin",
            "fine_label_names.txt",
            label_bytes=2,
        ),
        _Format(
            "cifar-100-python",
            "cifar-100-python.tar.gz",
            ("train",),
            "test",
            "meta",
            keys=("fine_labels", "fine_label_names"),
        ),
    ),
}


def load_cifar(root: Path, classes: int) -> ImageData:
    """CIFAR-10 or CIFAR-100, images ``(images, 3, 32, 32)``; a random tenth of the training images is for validation.

    `root` holds the published archive, the folder it unpacks to, or the files of that folder. ConfigError if no format
    of the set is there, or a file is missing, truncated or holds anything else.
    """
    fmt, files, where = _find(root, classes)
    names = _class_names(fmt, files[fmt.names], f"{fmt.names!r} of {where}")
    if len(names) != classes:
        raise ConfigError(f"{fmt.names!r} of {where} names {len(names)} classes; expected {classes}")
    parts = {name: _images(fmt, files[name], f"{name!r} of {where}") for name in (*fmt.train, fmt.test)}
    for name, part in parts.items():
        check_labels(part.labels, classes, f"{name!r} of {where}")
    images = np.concatenate([parts[name].images for name in fmt.train])
    labels = np.concatenate([parts[name].labels for name in fmt.train])
    train, validation = hold_out(Raw(images, labels))
    return image_data(f"cifar{classes}", names, train, validation, parts[fmt.test])


def _find(root: Path, classes: int) -> tuple[_Format, Mapping[str, bytes], str]:
    """First format that is present, its files and their location."""
    for fmt in _FORMATS[classes]:
        for folder in (root / fmt.folder, root):
            if any((folder / name).is_file() for name in (*fmt.train, fmt.test)):
                return fmt, _read(folder, fmt), repr(str(folder))
    for fmt in _FORMATS[classes]:
        archive = root / fmt.archive
        if archive.is_file():
            found = read_tar(archive, [f"{fmt.folder}/{name}" for name in fmt.files])
            return fmt, {name: found[f"{fmt.folder}/{name}"] for name in fmt.files}, repr(str(archive))
    formats = " or ".join(f"{fmt.archive} or {fmt.folder}/ with {', '.join(fmt.files)}" for fmt in _FORMATS[classes])
    raise ConfigError(f"cifar{classes} is not in folder {str(root)!r}; expected {formats}")


def _read(folder: Path, fmt: _Format) -> dict[str, bytes]:
    files, left = FolderFiles(folder), TOTAL_BYTES
    found = {}
    for name in fmt.files:
        found[name] = files.read(name, min(FILE_BYTES, left))
        left -= len(found[name])
    return found


def _class_names(fmt: _Format, content: bytes, what: str) -> list[str]:
    if fmt.label_bytes:
        return content.decode("utf-8", "replace").split()
    names = _list(read_pickle(content, what), fmt.keys[1], what)
    if not all(isinstance(name, bytes | str) for name in names):
        raise ConfigError(f"{what} has {fmt.keys[1]!r} that are not text; expected the name of each class")
    return [name.decode("utf-8", "replace") if isinstance(name, bytes) else name for name in names]


def _images(fmt: _Format, content: bytes, what: str) -> Raw:
    return _binary(content, fmt.label_bytes, what) if fmt.label_bytes else _pickled(content, fmt.keys[0], what)


def _binary(content: bytes, label_bytes: int, what: str) -> Raw:
    size = label_bytes + _PIXELS
    if not content or len(content) % size:
        raise ConfigError(f"{what} has {len(content)} bytes; expected a multiple of {size}, the size of a record")
    records = np.frombuffer(content, np.uint8).reshape(-1, size)
    images = records[:, label_bytes:].reshape(-1, *_SHAPE)
    return Raw(images, records[:, label_bytes - 1].astype(np.int64))


def _pickled(content: bytes, key: str, what: str) -> Raw:
    entries = read_pickle(content, what)
    pixels, labels = entries.get("data"), _list(entries, key, what)
    if not isinstance(pixels, np.ndarray) or pixels.shape != (len(labels), _PIXELS):
        shape = getattr(pixels, "shape", type(pixels).__name__)
        raise ConfigError(f"{what} has 'data' of shape {shape}; expected ({len(labels)}, {_PIXELS}) as {key!r} says")
    if not all(type(label) is int and abs(label) < 2**31 for label in labels):
        raise ConfigError(f"{what} has {key!r} that are not whole numbers; expected one class number per image")
    return Raw(pixels.reshape(-1, *_SHAPE), np.array(labels, np.int64))


def _list(entries: Mapping[str, Any], key: str, what: str) -> list[Any]:
    found = entries.get(key)
    if not isinstance(found, list):
        there = ", ".join(map(repr, islice(entries, _SHOWN)))
        raise ConfigError(f"{what} has no list {key!r}; it has {there[: 20 * _SHOWN] or 'nothing'}")
    return found
