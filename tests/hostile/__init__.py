"""Hostile files: valid files of every loader, and what is done to them; shared by the tests and ``benchmarks/fuzz.py``.

A case changes the bytes of a file, its words, or what it says (wrong types, shapes and sizes in a sound container with
a matching checksum), or puts something else in its place: a folder, a pipe, an endless device, a file of a terabyte.
"""

import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from hostile import images, networks, runs, tables
from hostile.changes import LARGE, Content, change_bytes, change_words, spoil_json
from moopim import MoopimError

LONGEST = 4100  # characters of a message


@dataclass(frozen=True)
class Loader:
    """How a kind of file is made, spoilt and read.

    Attributes:
        make: Content of a valid set of files, by name.
        read: Reads them from a folder.
        spoil: Changes what a set says, if changing its bytes and words is not all.
        text: Whether its files are text.
    """

    make: Callable[[], Content]
    read: Callable[[Path], Any]
    spoil: Callable[[Random, Content], Content] | None = None
    text: bool = False


class Outcome(NamedTuple):
    """Refusal of a case, None if it was accepted, and the time of reading (s)."""

    refusal: str | None
    seconds: float

    @property
    def fault(self) -> str:
        """Fault of the refusal: empty, more than one line or too long; none if accepted or refused as it should be."""
        message = "fine" if self.refusal is None else self.refusal
        if not message.strip():
            return "the message is empty"
        if len(message.splitlines()) > 1:
            return f"more than one line: {message[:500]!r}"
        return f"{len(message)} characters: {message[:500]!r}" if len(message) > LONGEST else ""


def attempt(name: str, random: Random, folder: Path) -> Outcome:
    """Reads one hostile set of files.

    Args:
        name: One of `LOADERS`.
        random: What chooses.
        folder: A folder for the files, which is emptied.

    Returns:
        Its refusal, if it was refused, and the time of reading.

    Raises:
        Exception: If it was refused in any way that is not moopim's.
    """
    loader = LOADERS[name]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    place(random, hostile(loader, random, valid(name)), folder)
    begun = time.perf_counter()
    try:
        loader.read(folder)
    except MoopimError as error:
        return Outcome(str(error), time.perf_counter() - begun)
    return Outcome(None, time.perf_counter() - begun)


def read_valid(name: str, folder: Path) -> bool:
    """Reads the files of a loader as they should be; whether they are accepted."""
    for file, content in valid(name).items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    try:
        LOADERS[name].read(folder)
    except MoopimError:
        return False
    return True


@cache
def valid(name: str) -> Mapping[str, bytes]:
    """The files of a loader as they should be."""
    return LOADERS[name].make()


def hostile(loader: Loader, random: Random, files: Mapping[str, bytes]) -> Content:
    """Changed files of a loader."""
    found = dict(files)
    if loader.spoil is not None and random.random() < 0.6:
        found = loader.spoil(random, found)
        if random.random() < 0.8:
            return found
    name = random.choice(sorted(found))
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        if len(found[name]) > LARGE:
            break
        change = change_words if loader.text and random.random() < 0.75 else change_bytes
        found[name] = change(random, found[name])
    return found


def place(random: Random, files: Mapping[str, bytes], folder: Path) -> None:
    """Writes files, now and then something else in the place of one."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    if files and random.random() < 0.03:
        path = folder / random.choice(sorted(files))
        path.unlink()
        random.choice(_INSTEAD)(path)


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


_INSTEAD: list[Callable[[Path], object]] = [
    lambda path: None,
    lambda path: path.mkdir(),
    lambda path: os.mkfifo(path) if hasattr(os, "mkfifo") else None,
    lambda path: path.symlink_to("/dev/zero"),
    lambda path: path.symlink_to("/dev/full"),
    lambda path: path.symlink_to(path.name),
    _sparse,
]


LOADERS: dict[str, Loader] = {
    "components": Loader(tables.toml("components"), tables.read_components, text=True),
    "devices": Loader(tables.toml("devices"), tables.read_devices, text=True),
    "stack": Loader(tables.toml("stack"), tables.read_stack, text=True),
    "factors": Loader(tables.toml("factors"), tables.read_factors, text=True),
    "preset": Loader(tables.toml("preset"), tables.read_preset, text=True),
    "designs": Loader(tables.designs, tables.read_designs, tables.spoil_designs, text=True),
    "genes": Loader(tables.genes, tables.read_genes, text=True),
    "traffic": Loader(lambda: {"file.csv": tables.TRAFFIC}, tables.read_traffic, text=True),
    "power maps": Loader(tables.power, tables.read_power, text=True),
    "mappings": Loader(lambda: {"file.csv": tables.MAPPINGS}, tables.read_mappings, text=True),
    "idealised mappings": Loader(
        lambda: {"file.csv": tables.IDEALISED_MAPPINGS}, tables.read_idealised_mappings, text=True
    ),
    "layer": Loader(networks.layer, networks.read_layer, networks.spoil_layer),
    "weights": Loader(networks.weights, networks.read_weights, networks.spoil_weights),
    "foreign weights": Loader(networks.foreign, networks.read_foreign, networks.spoil_weights),
    "training": Loader(networks.training, networks.read_training, networks.spoil_weights),
    "supernet": Loader(networks.supernet, networks.read_supernet, networks.spoil_weights),
    "network": Loader(networks.network, networks.read_network, networks.spoil_weights),
    "cifar pickles": Loader(images.cifar, images.read_cifar, images.spoil_cifar),
    "cifar archive": Loader(images.tar, images.read_cifar, images.spoil_tar),
    "tinyimagenet": Loader(images.tiny, images.read_tiny, images.spoil_zip),
    "image folder": Loader(images.folder, images.read_folder, images.spoil_folder),
    "finished run": Loader(runs.finished, runs.read_run, spoil_json, text=True),
    "interrupted run": Loader(runs.interrupted, runs.read_run, runs.spoil_log),
    "interrupted enumeration": Loader(runs.enumeration, runs.read_run, runs.spoil_state),
    "true front": Loader(lambda: {"file.csv": tables.TRUE_FRONT}, tables.read_front, text=True),
    "step": Loader(runs.step, runs.read_step, spoil_json, text=True),
    "metric store": Loader(runs.store, runs.read_store, runs.spoil_store),
}
