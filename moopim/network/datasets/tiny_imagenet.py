"""TinyImageNet from its published files: 200 classes of 64x64 images (CS231n, Stanford, 2015)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from moopim.errors import ConfigError
from moopim.network.datasets.archives import Files, FolderFiles, open_zip
from moopim.network.datasets.data import ImageData, Raw, hold_out, image_data
from moopim.network.datasets.images import is_image, read_images

_FOLDER = "tiny-imagenet-200"
_SIZE = (64, 64)
_CLASSES = "wnids.txt"
_TEST = "val/val_annotations.txt"
_SHOWN = 100  # characters of a line in messages
_MOST_CLASSES = 1000  # there are 200
_TEXT_BYTES = 2**22  # the longer text file has 0.5 MB


def load_tiny_imagenet(root: Path) -> ImageData:
    """TinyImageNet, images ``(images, 3, 64, 64)``.

    The labels of its test images are not published, so its validation images are the test split here, as usual, and a
    random tenth of the training images by a fixed seed is for validation. `root` holds the published
    ``tiny-imagenet-200.zip``, the folder it unpacks to, or the files of that folder. ConfigError if it is not there, or
    a file is missing, truncated or holds anything else.
    """
    with _open(root) as files:
        classes = _read_classes(files, _CLASSES)
        train = _train(files, classes)
        test = _test(files, classes)
    train, validation = hold_out(train)
    return image_data("tinyimagenet", classes, train, validation, test)


@contextmanager
def _open(root: Path) -> Iterator[Files]:
    for folder in (root / _FOLDER, root):
        if (folder / _CLASSES).is_file() or (folder / _TEST).is_file():
            yield FolderFiles(folder)
            return
    archive = root / f"{_FOLDER}.zip"
    if not archive.is_file():
        raise ConfigError(
            f"tinyimagenet is not in folder {str(root)!r}; expected {archive.name} or {_FOLDER}/ with {_CLASSES}, "
            f"train/CLASS/images/*.JPEG, {_TEST} and val/images/*.JPEG"
        )
    with open_zip(archive, f"{_FOLDER}/") as files:
        yield files


def _train(files: Files, classes: list[str]) -> Raw:
    for name in files.names("train"):
        if name not in classes:
            raise ConfigError(f"{files.where(_CLASSES)} does not name class {name!r}, for which there are images")
    names, labels = [], []
    for label, word in enumerate(classes):
        folder = f"train/{word}/images"
        found = [f"{folder}/{name}" for name in files.names(folder) if is_image(name)]
        if not found:
            raise ConfigError(f"{files.where(f'{folder}/*.JPEG')} is missing: class {word!r} has no training image")
        names.extend(found)
        labels.extend([label] * len(found))
    return Raw(read_images(files, names, _SIZE), np.array(labels, np.int64))


def _test(files: Files, classes: list[str]) -> Raw:
    numbers = {word: number for number, word in enumerate(classes)}
    lines = [line.split("\t") for line in _read_text(files, _TEST).splitlines() if line.strip()]
    for number, line in enumerate(lines, start=1):
        # File, class and bounding box of the object; the box is not used.
        if len(line) < 2 or line[1] not in numbers or not _is_name(line[0]):  # noqa: PLR2004 (see above)
            raise ConfigError(
                f"line {number} of {files.where(_TEST)} is {' '.join(line)[:_SHOWN]!r}; "
                f"expected the name of an image and a class of {_CLASSES}, with a tab between them"
            )
    images = read_images(files, [f"val/images/{line[0]}" for line in lines], _SIZE)
    return Raw(images, np.array([numbers[line[1]] for line in lines], np.int64))


def _read_classes(files: Files, name: str) -> list[str]:
    words = _read_text(files, name).split()
    if not words or len(set(words)) < len(words):
        raise ConfigError(f"{files.where(name)} names {len(words)} classes, {len(set(words))} of them different")
    if len(words) > _MOST_CLASSES:
        raise ConfigError(f"{files.where(name)} names {len(words)} classes; expected at most {_MOST_CLASSES}")
    for word in words:
        if not _is_name(word):
            raise ConfigError(f"{files.where(name)} names class {word[:_SHOWN]!r}; expected such as 'n01443537'")
    return words


def _is_name(text: str) -> bool:
    """Whether a name cannot lead to another folder."""
    return text not in {"", ".", ".."} and not set(text) & set("/\\:\0")


def _read_text(files: Files, name: str) -> str:
    return files.read(name, _TEXT_BYTES).decode("utf-8", "replace")
