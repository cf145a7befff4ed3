"""Hostile files: valid files of every loader, and what is done to them; shared by the tests and ``benchmarks/fuzz.py``.

A case changes the bytes of a file, its words, or what it says (wrong types, shapes and sizes in a sound container with
a matching checksum), or puts something else in its place: a folder, a pipe, an endless device, a file of a terabyte.
"""

import gzip
import io
import json
import os
import pickle
import re
import shutil
import sqlite3
import struct
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np

from moopim import Choice, Constraint, DesignProblem, Genome, MoopimError, Objective

Content = dict[str, bytes]
LONGEST = 4100  # characters of a message
_LARGE = 2**21  # byte; what has grown beyond is not changed further
_DEEP, _DIGITS = "@deep@", "@digits@"  # stand for text that json cannot write

WORDS = [
    "", "0", "-1", "1", "2", "1e308", "-1e308", "1e-320", "nan", "inf", "-inf", "NaN", "true", "null", "None", "{}", "[]",
    '""', "''", '"', "'", "[", "]", "{", "}", "=", ",", ":", "#", "\n", "\r", "\t", "\0", "\ufeff", "\u2028", "\U0001f600",
    "9" * 30, "9" * 5000, "-" + "9" * 400, "0x" + "f" * 400, "1" + "0" * 400 + ".5", "[" * 2000, "{" * 300, "a." * 60 + "a",
    "x" * 5000, "../../etc/passwd", "/dev/zero", "con", "__class__", "%s%n", "1979-05-27T07:32:00Z", "65536", "1000000000",
    "9223372036854775807", "18446744073709551616", "0.5", "1.0", "1_000", "+1", "\u0661\u0662", "value", "unit", "id",
]  # fmt: skip
VALUES = [
    None, True, False, 0, 1, -1, 2, 255, 65_536, 10**9, 2**31, 2**63, 10**18, 10**30, 10**400, -(10**400), 0.5, 1e308, -1e308,
    float("nan"), float("inf"), "", "0", "x", "x" * 5000, "\0", "\n", "../x", "/dev/zero", "\U0001f600", "\ud800", _DEEP,
    _DIGITS, [], {}, [[]], {"a": {}}, [None], [0] * 1000, ["a"] * 1000, {"x": [1, {"y": 2}]},
]  # fmt: skip


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
    """What came of a case: whether it was accepted, and how long that took (s)."""

    accepted: bool
    seconds: float


def attempt(name: str, random: Random, folder: Path) -> Outcome:
    """Reads one hostile set of files.

    Args:
        name: One of `LOADERS`.
        random: What chooses.
        folder: A folder for the files, which is emptied.

    Returns:
        Whether the set was accepted, and how long reading took.

    Raises:
        AssertionError: If it was refused in more than one line of bounded length.
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
        seconds = time.perf_counter() - begun
        message = str(error)
        assert message.strip(), "the message is empty"
        assert len(message.splitlines()) == 1, f"more than one line: {message[:500]!r}"
        assert len(message) <= LONGEST, f"{len(message)} characters: {message[:500]!r}"
        return Outcome(False, seconds)
    return Outcome(True, time.perf_counter() - begun)


def read_valid(name: str, folder: Path) -> None:
    """Reads the files of a loader as they should be."""
    for file, content in valid(name).items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    LOADERS[name].read(folder)


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
        if len(found[name]) > _LARGE:
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


def change_bytes(random: Random, content: bytes) -> bytes:
    """Content with some bytes changed, moved, taken out or put in."""
    if not content:
        return random.choice((b"\0", b"\xff\xfe", b"x", bytes(100)))
    at, to = sorted(random.randrange(len(content) + 1) for _ in range(2))
    near = min(len(content), at + random.choice((1, 2, 4, 8, 100)))
    numbers = [bytes(8), b"\xff" * 8, b"\xff\xff\xff\x7f", struct.pack("<Q", 2**40), struct.pack("<I", 2**30), b"\x80"]
    match random.randrange(9):
        case 0:
            return content[:at]
        case 1:
            return content[:at] + content[to:]
        case 2:
            return content[:at] + random.randbytes(near - at) + content[near:]
        case 3:
            number = random.choice(numbers)
            return content[:at] + number + content[at + len(number) :]
        case 4:
            return content[:at] + random.choice(numbers) + content[at:]
        case 5:
            return content[:at] + content[at:near] * random.choice((2, 3, 1000)) + content[near:]
        case 6:
            return content[to:] + content[:to]
        case 7:
            bit = bytes([content[min(at, len(content) - 1)] ^ 1 << random.randrange(8)])
            return content[:at] + bit + content[at + 1 :]
        case _:
            return random.choice(
                (b"", b"\xef\xbb\xbf" + content, content.decode("latin-1").encode("utf-16"), b"\0" * 5000)
            )


def change_words(random: Random, content: bytes) -> bytes:
    """Text with a word or a line replaced, repeated, taken out or moved."""
    text = content.decode("utf-8", "replace")
    if random.random() < 0.7:
        parts = [match.span() for match in re.finditer(r"[A-Za-z_]+\w*|[-+]?[\d.]+(?:e[-+]?\d+)?|[^\w\s]", text)] or [
            (0, 0)
        ]
        start, stop = random.choice(parts)
        other = random.choice(parts)
        word = random.choice([*WORDS, text[slice(*other)], text[start:stop] * 2])
        return (text[:start] + word + text[stop:]).encode("utf-8", "replace")
    lines = text.splitlines(keepends=True) or [""]
    at = random.randrange(len(lines))
    match random.randrange(4):
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, lines[at])
        case 2:
            lines.insert(at, random.choice(WORDS) + "\n")
        case _:
            lines[at] = lines[at] * random.choice((3, 500))
    return "".join(lines).encode("utf-8", "replace")


def change_value(random: Random, value: Any) -> Any:
    """Plain data with one part replaced, renamed, repeated or taken out."""
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(list(value))
        match random.randrange(6):
            case 0:
                return {name: entry for name, entry in value.items() if name != key}
            case 1:
                return {
                    **value,
                    random.choice(("extra", "", "../x", "x" * 300, key.upper(), "\0")): random.choice(VALUES),
                }
            case 2:
                return {(name.swapcase() + "s" if name == key else name): entry for name, entry in value.items()}
            case _:
                return {**value, key: change_value(random, value[key])}
    if isinstance(value, list) and value and random.random() < 0.8:
        at = random.randrange(len(value))
        match random.randrange(6):
            case 0:
                return value[:at] + value[at + 1 :]
            case 1:
                return value * random.choice((2, 50))
            case 2:
                return [*value, random.choice(VALUES)]
            case _:
                return [*value[:at], change_value(random, value[at]), *value[at + 1 :]]
    if isinstance(value, int | float) and not isinstance(value, bool) and random.random() < 0.4:
        return random.choice(
            (-value, value + 1, value * 1000, value / 3 if abs(value) < 10**300 else 0, str(value), [value])
        )
    return random.choice(VALUES)


def to_json(value: Any) -> str:
    """JSON, with what Python cannot write in its place."""
    text = json.dumps(value)
    return text.replace(f'"{_DEEP}"', "[" * 50_000 + "]" * 50_000).replace(f'"{_DIGITS}"', "9" * 10_000)


def spoil_json(random: Random, files: Content) -> Content:
    """Files of which one, of JSON, says something else."""
    name = random.choice([name for name in sorted(files) if name.endswith(".json")])
    value = json.loads(files[name])
    for _ in range(random.choice((1, 1, 2, 4))):
        value = change_value(random, value)
    return files | {name: to_json(value).encode()}


# Figures and tables.


def _toml_files() -> dict[str, Content]:
    data = Path(__file__).parents[1] / "moopim" / "hardware" / "data"
    devices = (data / "stack_devices.toml").read_text(encoding="utf-8")
    device = devices[devices.index("[S]") : devices.index("[S.variants" if "[S.variants" in devices else "[R]")]
    stack = (data / "stack.toml").read_text(encoding="utf-8").replace("\n[", "\n[stack.")
    presets = (Path(__file__).parents[1] / "problems" / "crossnas" / "data" / "presets.toml").read_text(
        encoding="utf-8"
    )
    preset = presets[presets.index("[digits]") + len("[digits]") : presets.index("# The same in less time")]
    adc = "[adc.mine]\nbits = 6\npower_W = 1e-3\narea_um2 = 50\n"
    adc += "rate_GSps = 1\n[dac.mine]\nbits = 2\narea_um2 = 1\npower_W = 1e-6\nrate_GSps = 1\n[device.mine]\ncell_area_um2 = 0.1\ncell_bits = 2\n"
    adc += "resistance_low_ohm = 1e4\nresistance_high_ohm = 1e6\nread_low_V = 0\nread_high_V = 0.2\n"
    adc += "read_ns = 10\nwrite_ns = 50\nwrite_pJ = 1\n"
    thermal = "\n[thermal]\nambient_K = 310\n[thermal.tier.2]\nsilicon_um = 50\n"
    files = {
        "components": adc,
        "devices": device.replace("[S]", "[X]") + '[Y]\nlike = "reram:hp"\nname = "Other"\nstatic_mW = 2\n',
        "stack": ("[stack]\ntiers = 2\nmesh = 3\n" if "[stack." not in stack[:2000] else stack) + thermal,
        "factors": (data / "stack_calibrated.toml").read_text(encoding="utf-8"),
        "preset": preset,
    }
    return {name: {"file.toml": text.encode()} for name, text in files.items()}


def _read_components(folder: Path) -> None:
    from moopim.hardware.planar.components import load_components

    load_components(folder / "file.toml")


def _read_devices(folder: Path) -> None:
    from moopim.hardware.stack.parameters import load_parameters

    load_parameters(devices=f"S,{folder / 'file.toml'}")


def _read_stack(folder: Path) -> None:
    from moopim.hardware.stack.parameters import load_stack
    from moopim.hardware.thermal import load_thermal

    load_stack(folder / "file.toml")
    load_thermal(folder / "file.toml")


def _read_factors(folder: Path) -> None:
    from moopim.hardware.stack.parameters import load_parameters

    load_parameters(factors=str(folder / "file.toml"))


def _read_preset(folder: Path) -> None:
    from moopim.problems.crossnas.presets import load_preset

    load_preset(str(folder / "file.toml"))


def _designs() -> Content:
    rows = Path(__file__).parent / "reference" / "hardware" / "designs_public.csv.gz"
    lines = gzip.decompress(rows.read_bytes()).splitlines(keepends=True)
    return {"file.csv": b"".join(lines[:4])}


def _read_designs(folder: Path) -> None:
    from moopim.hardware.planar.design_json import read_designs

    read_designs(folder / "file.csv", "cur")


def _spoil_designs(random: Random, files: Content) -> Content:
    import csv

    rows = list(csv.DictReader(io.StringIO(files["file.csv"].decode())))
    row = random.choice(rows)
    value = json.loads(row["design"])
    for _ in range(random.choice((1, 1, 2))):
        value = change_value(random, value)
    row["design"] = to_json(value)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return {"file.csv": text.getvalue().encode()}


def _genes() -> Content:
    from moopim.problems.crossnas import CrossNasSpace

    space = CrossNasSpace(classes=10)
    decoded = space.genome.decode(space.genome.sample(3, np.random.default_rng(1)))
    columns = {"id": ["a", "b", "c"]}
    for group in space.genome.groups:
        values = np.asarray(decoded[group.name]).reshape(3, -1)
        columns |= {name: values[:, i].tolist() for i, name in enumerate(group.columns)}
    rows = [",".join(columns), *(",".join(str(column[i]) for column in columns.values()) for i in range(3))]
    return {"file.csv": "\n".join(rows).encode()}


def _read_genes(folder: Path) -> None:
    from moopim.cli.planar_inputs import read_file

    read_file(folder / "file.csv", {})


def _read_traffic(folder: Path) -> None:
    from moopim.cli.noc import evaluate_noc

    evaluate_noc(folder / "file.csv", folder / "out.csv")


def _power() -> Content:
    names = [f"T{tier}_PE{pe}" for tier in range(1, 5) for pe in range(16)]
    return {"file.csv": f"case,quantity,{','.join(names)}\na,power_W,{','.join(['1.5'] * 64)}\n".encode()}


def _read_power(folder: Path) -> None:
    from moopim.cli.thermal import evaluate_thermal

    evaluate_thermal(folder / "file.csv", folder / "out.csv")


def _read_mappings(folder: Path) -> None:
    from moopim.problems.hunt.evaluate import evaluate_file

    evaluate_file(folder / "file.csv", folder / "out.csv")


# Files of weights.


def _safetensors(tensors: Mapping[str, Any], metadata: Mapping[str, str] | None) -> bytes:
    from safetensors.torch import save

    return save({name: tensor.clone().contiguous() for name, tensor in tensors.items()}, metadata)


def _opened(content: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    from safetensors import safe_open
    from safetensors.torch import load

    with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
        file.write(content)
        file.flush()
        with safe_open(file.name, "pt") as opened:
            return load(content), dict(opened.metadata() or {})


def _sealed(tensors: Mapping[str, Any], kind: object, about: Any) -> bytes:
    """A file of moopim's with a checksum that matches."""
    import torch

    about = json.loads(json.dumps(about)) if _DEEP not in json.dumps(about) else about
    total = zlib.crc32(json.dumps(about, sort_keys=True).encode())
    for name in sorted(tensors):
        total = zlib.crc32(name.encode(), total)
        total = zlib.crc32(tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().tobytes(), total)
    header = {"format": 1, "kind": kind, "checksum": total, "about": about}
    return _safetensors(tensors, {"moopim": to_json(header)})


def _change_tensors(random: Random, tensors: Mapping[str, Any]) -> dict[str, Any]:
    import torch

    found = dict(tensors)
    if not found:
        return {"x": torch.zeros(2)}
    name = random.choice(sorted(found))
    tensor = found[name]
    match random.randrange(8):
        case 0:
            del found[name]
        case 1:
            other = random.choice(
                ("extra", name + "s", "optimiser.0.x", "optimiser.99.exp_avg", "optimiser.-1.step", "\u00e9")
            )
            found[other] = found[name]
        case 2:
            types = (
                torch.float16,
                torch.float64,
                torch.int64,
                torch.bool,
                torch.uint8,
                torch.complex64,
                torch.bfloat16,
            )
            found[name] = tensor.to(random.choice((*types, torch.float8_e4m3fn)))
        case 3:
            shape = random.choice(((), (0,), (1,), (2, 3), (tensor.numel(),), (*tensor.shape, 1), (1, *tensor.shape)))
            found[name] = torch.zeros(shape, dtype=tensor.dtype)
        case 4:
            found[name] = torch.full_like(tensor, random.choice((0, 1, 100)))
        case 5:
            number = random.choice((float("nan"), float("inf"), -1e30, -1.0))
            found[name] = torch.full_like(tensor, number) if tensor.is_floating_point() else -tensor
        case 6:
            found |= {f"many.{i}": torch.zeros(1) for i in range(random.choice((3, 300)))}
        case _:
            found[name] = tensor.flatten()[: tensor.numel() // 2]
    return found


def _spoil_weights(random: Random, files: Content) -> Content:
    """Other tensors or facts, with a checksum that matches; now and then a header that lies."""
    (name, content), *_ = files.items()
    if random.random() < 0.15:
        length = struct.unpack("<Q", content[:8])[0]
        header = json.loads(content[8 : 8 + length])
        text = to_json(change_value(random, header)).encode("utf-8", "replace")
        return {name: struct.pack("<Q", len(text)) + text + content[8 + length :]}
    tensors, metadata = _opened(content)
    if "moopim" not in metadata:
        return {name: _safetensors(_change_tensors(random, tensors), metadata)}
    header = json.loads(metadata["moopim"])
    kind, about = header["kind"], header["about"]
    for _ in range(random.choice((1, 1, 2))):
        if random.random() < 0.4:
            tensors = _change_tensors(random, tensors)
        else:
            about = change_value(random, about)
    if random.random() < 0.05:
        kind = random.choice(VALUES)
    return {name: _sealed(tensors, kind, about)}


def _toy(seed: int = 0) -> Any:
    import torch
    from torch import nn

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = [nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU()]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d((5, 1)), nn.Flatten(), nn.Linear(20, 4))


def _adam(model: Any) -> Any:
    import torch

    return torch.optim.Adam(model.parameters(), lr=0.1, fused=True)


def _weights() -> Content:
    from moopim.network.checkpoint import save_weights

    return _saved(lambda path: save_weights(_toy(), path, {"accuracy": 0.5, "rows": [1, 2], "of": {"a": "b"}}))


def _saved(save: Callable[[Path], object]) -> Content:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.safetensors"
        save(path)
        return {path.name: path.read_bytes()}


def _read_weights(folder: Path) -> None:
    from moopim.network.checkpoint import load_weights, read_about

    read_about(folder / "file.safetensors")
    load_weights(_toy(), folder / "file.safetensors")


def _foreign() -> Content:
    return {"file.safetensors": _safetensors(_toy().state_dict(), {"format": "pt"})}


def _read_foreign(folder: Path) -> None:
    from moopim.network.quantised_file import load_trained

    load_trained(_toy(), folder / "file.safetensors", (1, 5, 5))


def _training() -> Content:
    import torch

    from moopim.network.checkpoint import save_training

    model = _toy()
    optimiser = _adam(model)
    model(torch.ones(2, 1, 5, 5)).sum().backward()
    optimiser.step()
    rows = [{"epoch": 1, "step": 3, "loss": 0.5}, {"epoch": 2, "step": 6, "loss": 0.25}]
    return _saved(lambda path: save_training(path, model, optimiser, {"seed": 1, "data": "rows"}, rows))


def _read_training(folder: Path) -> None:
    from moopim.network.checkpoint import load_training

    model = _toy()
    load_training(folder / "file.safetensors", model, _adam(model), {"seed": 1, "data": "rows"})


def _supernet() -> Content:
    from moopim.network.supernet import Supernet
    from moopim.network.supernet_file import save_supernet

    supernet = Supernet((1, 8, 8), 10, max_blocks=2, channels=(4, 8), strides=(1, 2), seed=3)
    return _saved(lambda path: save_supernet(supernet, path, {"recipe": "x"}))


def _read_supernet(folder: Path) -> None:
    from moopim.network.supernet_file import load_supernet

    load_supernet(folder / "file.safetensors")


def _network() -> Content:
    from moopim.network.blocks import make_network
    from moopim.network.network_file import save_network
    from moopim.network.quantisation import quantise_module
    from moopim.network.subnets import Block

    subnet = (Block("RES", 4, 2), Block("VGG", 6), Block("MVGG", 4))
    net = quantise_module(make_network(subnet, (1, 8, 8), 5).eval(), (1, 8, 8))
    return _saved(lambda path: save_network(net, path, subnet, (1, 8, 8), 5, {"recipe": "x"}))


def _read_network(folder: Path) -> None:
    from moopim.network.network_file import load_network

    load_network(folder / "file.safetensors")


# Layers.


def _layer() -> Content:
    rng = np.random.default_rng(1)
    meta = {
        "type": "conv",
        "weight_bits": 5,
        "activation_bits": 6,
        "kernel": 3,
        "stride": 1,
        "padding": 1,
        "cell_bits": 1,
    }
    meta |= {"xbar_rows": 64, "adc_bits": 8, "dac_bits": 1, "dac_num": 128, "adc_action": "SCALE", "point_shift": -2}
    meta |= {"weight_scale": 0.5, "input_scale": 0.25, "output_scale": 1.0}
    content = io.BytesIO()
    cells = rng.integers(0, 2, (2, 4, 4, 27)).astype(np.uint8)
    arrays = {"X": rng.integers(0, 16, (2, 3, 6, 6), np.int16), "W": rng.integers(-15, 16, (4, 3, 3, 3), np.int8)}
    np.savez(content, **arrays, cells_pos=cells[0], cells_neg=cells[1], meta=np.array(json.dumps(meta)))
    return {"file.npz": content.getvalue()}


def _spoil_layer(random: Random, files: Content) -> Content:
    with np.load(io.BytesIO(files["file.npz"])) as archive:
        arrays = dict(archive)
    content = io.BytesIO()
    name = random.choice(sorted(arrays))
    raw = None
    if name == "meta" or random.random() < 0.3:
        meta = json.loads(str(arrays["meta"]))
        for _ in range(random.choice((1, 1, 3))):
            meta = change_value(random, meta)
        arrays["meta"] = np.array(to_json(meta).encode("utf-8", "replace").decode())
    else:
        array = arrays[name]
        numbers = (0, -1, 300, 2**15, 2**40, float("nan"), float("inf"), 0.5)
        shapes = ((), (0,), (1,), (2, 2), (1, 1, 1, 1), (0, 3, 6, 6), array.shape[::-1], array.shape[1:])
        match random.randrange(6):
            case 0:
                del arrays[name]
            case 1:
                arrays[name] = np.zeros(random.choice(shapes), array.dtype)
            case 2:
                arrays[name] = np.full(array.shape, random.choice(numbers), np.float64)
            case 3:
                arrays[name] = array.astype(
                    random.choice(("f2", "f8", "c8", "U4", "S3", "?", "u8", "M8[s]", "O", "i4,f4"))
                )
            case _:
                raw = _lying_array(random, array)
    np.savez_compressed(content, **{key: value for key, value in arrays.items() if raw is None or key != name})
    if raw is not None:
        with zipfile.ZipFile(content, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{name}.npy", raw)
    return {"file.npz": content.getvalue()}


def _lying_array(random: Random, array: Any) -> bytes:
    """An array whose header says something else, such as that it has six gigabytes."""
    shape = random.choice(
        ((3000, 1000, 1000), (-1, 3), (10**9,), (2**40, 2**40), (0, 10**12), (True,), (5,) * 200, array.shape)
    )
    header = {
        "descr": random.choice(("<i2", "|O", "<U1000000000", "<f8", array.dtype.str)),
        "fortran_order": True,
        "shape": shape,
    }
    text = random.choice((repr(header), repr(header)[:-3], "(" * 5000, "{" + "'a':1," * 3000 + "}", "__import__('os')"))
    version = random.choice((b"\1\0", b"\1\0", b"\2\0", b"\3\0", b"\7\7"))
    length = struct.pack("<H" if version == b"\1\0" else "<I", len(text) + 1)
    return b"\x93NUMPY" + version + length + text.encode() + b"\n" + array.tobytes() + bytes(random.choice((0, 10**6)))


# Images.


_CIFAR = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


def _cifar() -> Content:
    files = {"batches.meta": pickle.dumps({"label_names": [str(i) for i in range(10)]}, 2)}
    for seed, name in enumerate(_CIFAR):
        files[name] = cifar_pickle(np.random.default_rng(seed).integers(0, 256, (10, 3072), np.uint8), list(range(10)))
    return files


def cifar_pickle(pixels: Any, labels: list[int]) -> bytes:
    """A batch as Python 2 and an old NumPy wrote it."""
    text = b"".join(b"K" + bytes([label]) for label in labels)
    rows, size = len(pixels).to_bytes(2, "little"), pixels.size.to_bytes(4, "little")
    return (
        b"\x80\x02}(U\x06labels]("
        + text
        + b"eU\x04datacnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR("
        b"K\x01(M"
        + rows
        + b"M\x00\x0ctcnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89T" + size + pixels.tobytes() + b"tbu."
    )


def _spoil_cifar(random: Random, files: Content) -> Content:
    """Instructions put into a pickle, replaced or repeated."""
    name = random.choice(sorted(files))
    content = files[name]
    collisions = b"".join(b"\x8a\x0c" + (i * (2**61 - 1)).to_bytes(12, "little") + b"N" for i in range(1, 20_000))
    parts = [
        b"(", b"]", b"}", b")", b"\x85", b"\x86", b"t", b"a", b"s", b"u", b"e", b"R", b"b", b"0", b"2", b"N", b"q\x00", b"h\x00",
        b"j\xff\xff\xff\x7f", b"r\xff\xff\xff\x7f", b"K\x01", b"M\xff\xff", b"J\xff\xff\xff\xff", b"\x8a\xff" + b"\xff" * 255,
        b"\x8b\xff\xff\xff\x7f", b"I" + b"9" * 5000 + b"\n", b"I99\n", b"cos\nsystem\n", b"cnumpy\ndtype\n", b"\x93", b"\x94",
        b"\x95" + b"\xff" * 8, b"\x8e" + b"\xff" * 8, b"T\xff\xff\xff\x7f", b"X\xff\xff\xff\xff", b"]" * 50_000, b"\x85" * 200,
        b"(" + b"]" * 1000 + b"t", b"Pme\n", b"Q", b"\x82\x01", b"i", b"}(" + collisions + b"u", b"G" + b"\x7f\xf8" + bytes(6), b".",
        b"S'x'\n", b"Vx\\ud800\n", b"U\x02u1", b"U\x02O8", b"\x8c\x01a",
    ]  # fmt: skip
    for _ in range(random.choice((1, 1, 2, 5))):
        at = random.randrange(min(len(content), 200) + 1)
        part = random.choice(parts)
        content = content[:at] + part + content[at + random.choice((0, 0, len(part))) :]
    return files | {name: content}


def _read_cifar(folder: Path) -> None:
    from moopim.network.datasets import load_data

    load_data("cifar10", folder)


def _tar() -> Content:
    return {"cifar-10-binary.tar.gz": _packed({name: (None, content) for name, content in _binary().items()})}


def _binary() -> Content:
    files = {"batches.meta.txt": "\n".join("abcdefghij").encode()}
    for seed, name in enumerate(_CIFAR):
        records = np.random.default_rng(seed).integers(0, 256, (10, 3073), np.uint8)
        records[:, 0] = range(10)
        files[f"{name}.bin"] = records.tobytes()
    return files


def _packed(members: Mapping[str, tuple[Any, bytes]]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, (info, data) in members.items():
            member = info or tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return gzip.compress(content.getvalue(), 1)


def _spoil_tar(random: Random, files: Content) -> Content:
    """Blocks put in between members: headers of all kinds and sizes, chains of names, holes, and zeros."""
    plain = gzip.decompress(files["cifar-10-binary.tar.gz"])
    kinds = (
        tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.GNUTYPE_SPARSE,
        tarfile.SOLARIS_XHDTYPE, tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, b"Z",
    )  # fmt: skip
    info = tarfile.TarInfo(random.choice(("x", "a/" * 60 + "x", "../x", "/x", "cifar-10-batches-bin/test_batch.bin")))
    info.type = random.choice(kinds)
    record = random.choice(
        (
            b"19 GNU.sparse.map=0,1\n",
            b"30 size=9999999999999999999\n",
            b"5 a=\n" * 100,
            b"2 " * 500,
            b"9" * 400 + b" a=b\n",
        )
    )
    body = random.choice((record, b"a" * 600, b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n", bytes(2000), b""))
    info.size = random.choice((len(body), len(body), 0, 900_000_000, 2**40))
    block = info.tobuf(tarfile.GNU_FORMAT) + body + bytes(-len(body) % 512)
    at = random.randrange(0, len(plain) // 512 + 1) * 512 if random.random() < 0.3 else 0
    plain = plain[:at] + block * random.choice((1, 1, 2, 5000 if len(block) < 2000 else 50)) + plain[at:]
    if random.random() < 0.1:
        plain = change_bytes(random, plain)
    packed = gzip.compress(plain, 1) + (gzip.compress(b"x") if random.random() < 0.03 else b"")
    if random.random() < 0.02:  # a header without an end
        packed = b"\x1f\x8b\x08\x08" + bytes(6) + b"a" * 5_000_000
    return {"cifar-10-binary.tar.gz": packed}


def _picture(level: int, kind: str, size: tuple[int, int] = (64, 64)) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    options = {"progressive": True} if kind == "JPEG" else {}
    Image.new("RGB", size, (level, level, 255 - level)).save(content, kind, **options)
    return content.getvalue()


def _tiny() -> Content:
    files = {
        "wnids.txt": b"n01\nn02\n",
        "val/val_annotations.txt": b"val_0.JPEG\tn01\t0\t0\t1\t1\nval_1.JPEG\tn02\t0\t0\t1\t1\n",
    }
    for word in ("n01", "n02"):
        files |= {f"train/{word}/images/{word}_{i}.JPEG": _picture(40 * i, "JPEG") for i in range(5)}
    files |= {f"val/images/val_{i}.JPEG": _picture(100 * i, "JPEG") for i in range(2)}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(f"tiny-imagenet-200/{name}", data)
    return {"tiny-imagenet-200.zip": content.getvalue()}


def _spoil_zip(random: Random, files: Content) -> Content:
    """Members that are changed, repeated, large or misnamed; numbers of the directory that lie."""
    with zipfile.ZipFile(io.BytesIO(files["tiny-imagenet-200.zip"])) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = random.choice(sorted(members))
    big = False
    match random.randrange(6):
        case 0:
            change = change_words if name.endswith("txt") else change_bytes
            members[name] = change(random, members[name])
        case 1:
            del members[name]
        case 2:
            odd = (
                "../x",
                "/x",
                "a/" * 40 + "x",
                "C:\\x",
                "tiny-imagenet-200/train/n03/images/a.JPEG",
                "\u00e9",
                "x" * 70_000,
            )
            members[random.choice(odd)[:65_000]] = b"x"
        case 3:
            members[name] = bytes(random.choice((30 * 2**20, 10 * 2**20)))
            big = True
        case 4:
            members[name] = spoil_picture(random, _picture(7, random.choice(("JPEG", "PNG"))))
        case _:
            members |= {f"tiny-imagenet-200/x{i}": b"" for i in range(random.choice((10, 2000)))}
    content = io.BytesIO()
    method = random.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2))
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED if big else method, compresslevel=1) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    found = content.getvalue()
    if random.random() < 0.3:
        at = found.index(b"PK\1\2") + random.choice((4, 6, 8, 10, 16, 20, 24, 28, 30, 32, 38, 42))
        found = found[:at] + random.randbytes(random.choice((1, 2, 4))) + found[at + 4 :]
    return {"tiny-imagenet-200.zip": found}


def spoil_picture(random: Random, content: bytes) -> bytes:
    """An image with other sizes, chunks or scans."""
    if content.startswith(b"\x89PNG"):
        size = struct.pack(
            ">II", *random.choice(((2**31 - 1, 2**31 - 1), (0, 0), (30_000, 30_000), (64, 2**31 - 1), (64, 63)))
        )
        kind = random.choice((b"zTXt", b"iCCP", b"tEXt", b"acTL", b"eXIf", b"IDAT", b"PLTE", b"tRNS", b"IHDR"))
        body = random.choice((b"x\0\0" + zlib.compress(bytes(10**7)), b"x\0" + b"9" * 1000, b"", size, size + bytes(5)))
        chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        header = content[12:16] + size + content[24:29]
        resized = content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]
        return random.choice((resized, content[:33] + chunk + content[33:], content[:33] + chunk * 200 + content[33:]))
    start, scan = content.index(b"\xff\xc2"), content.index(b"\xff\xda")
    size = struct.pack(">HH", *random.choice(((65_535, 65_535), (0, 0), (1024, 1024), (64, 63), (1, 65_535))))
    resized = content[: start + 5] + size + content[start + 9 :]
    return random.choice((resized, content[:-2] + content[scan:-2] * random.choice((3, 90, 5000)) + content[-2:]))


def _folder() -> Content:
    kinds = (("png", "PNG"), ("jpg", "JPEG"))
    return {
        f"{word}/{i}.{ending}": _picture(20 * i + base, kind, (8, 8))
        for word, base in (("cat", 0), ("dog", 50))
        for i in range(5)
        for ending, kind in kinds[i % 2 : i % 2 + 1]
    }


def _spoil_folder(random: Random, files: Content) -> Content:
    name = random.choice(sorted(files))
    return files | {name: spoil_picture(random, files[name])}


def _read_tiny(folder: Path) -> None:
    from moopim.network.datasets import load_data

    load_data("tinyimagenet", folder)


def _read_folder(folder: Path) -> None:
    from moopim.network.datasets import load_data

    load_data("folder", folder)


# Runs.


class Recorded(DesignProblem):
    """A genome of numbers and words, an objective and a constraint; its evaluations are in the log."""

    genome = Genome(Choice("x", (1, 2, 4), repeat=3), Choice("kind", ("a", "b")))
    objectives = (Objective("f", "mJ"), Objective("g", sense="max"))
    constraints = (Constraint("c", upper=10.0),)

    def evaluate_designs(self, designs: Any) -> dict[str, Any]:
        x = designs.x.sum(axis=1)
        return {"f": x * 1.0, "g": x - 2.0 * (designs.kind == "b"), "c": x * 1.0}


def _run() -> Content:
    import moopim

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        moopim.run(Recorded(), "random", evaluations=12, output=out, progress=False)
        with sqlite3.connect(out / "evaluations.sqlite") as log:
            log.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            log.execute("PRAGMA journal_mode = DELETE")
        log.close()
        names = ("manifest.json", "evaluations.csv", "front.csv", "evaluations.sqlite")
        return {name: (out / name).read_bytes() for name in names}


def _finished() -> Content:
    return {name: content for name, content in _run().items() if not name.endswith("sqlite")}


def _interrupted() -> Content:
    files = _run()
    manifest = json.loads(files["manifest.json"]) | {"status": "running"}
    return {"manifest.json": json.dumps(manifest).encode(), "evaluations.sqlite": files["evaluations.sqlite"]}


def _read_run(folder: Path) -> None:
    from moopim.experiment import load_run

    load_run(folder).summary()


def _spoil_log(random: Random, files: Content) -> Content:
    """A manifest that says something else, or a database with other rows, tables and views."""
    if random.random() < 0.4:
        return spoil_json(random, files)
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT"
    columns = ("start", "generation", "designs", "genes", "metrics", "cached", "seconds", "checksum")
    row = "x AS start, 1 AS generation, 1 AS designs, x'00' AS genes, x'00' AS metrics, x'00' AS cached, 1.0 AS seconds, x'00' AS checksum"
    values = (
        "-1",
        "0",
        "9223372036854775807",
        "x''",
        "zeroblob(100000)",
        "1e308",
        "'x'",
        "NULL",
        "randomblob(16)",
        "9e999",
        "start + 1",
    )
    statements = [
        f"UPDATE batches SET {random.choice(columns)} = {random.choice(values)}",
        f"UPDATE facts SET value = '{random.choice(('9' * 5000, '[' * 5000, 'x', '1', ''))}' WHERE rowid = {random.randrange(6)}",
        "DELETE FROM facts", "DELETE FROM batches", "DROP TABLE facts", "DROP TABLE batches", "DROP TABLE chunks",
        f"DROP TABLE batches; CREATE VIEW batches AS {endless} {row} FROM c",
        f"DROP TABLE chunks; CREATE VIEW chunks AS {endless} {row} FROM c",
        f"DROP TABLE facts; CREATE VIEW facts AS {endless} 'x' || x AS name, '1' AS value FROM c",
        "DROP TABLE batches; CREATE TABLE batches (start)", "DROP TABLE facts; CREATE TABLE facts (name, value, more)",
        "INSERT INTO batches SELECT start + 100000, generation, designs, genes, metrics, cached, seconds, checksum FROM batches",
        "INSERT INTO chunks SELECT * FROM batches", "PRAGMA user_version = 7", "PRAGMA application_id = 7",
        "CREATE TRIGGER t AFTER INSERT ON batches BEGIN DELETE FROM batches; END",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.sqlite"
        path.write_bytes(files["evaluations.sqlite"])
        connection = sqlite3.connect(path)
        for _ in range(random.choice((1, 1, 2))):
            try:
                connection.executescript(random.choice(statements))
            except sqlite3.Error:  # the second one finds a table gone
                continue
        if random.random() < 0.4:
            _reseal(connection, random)
        connection.commit()
        connection.close()
        return files | {"evaluations.sqlite": path.read_bytes()}


def _reseal(connection: sqlite3.Connection, random: Random) -> None:
    """Gives a batch other content with the checksum that it takes."""
    from moopim.evaluator.log import _checksum

    generation = random.choice((1, 0, -1, 2**40))
    designs = random.choice((12, 0, 1, -1, 10**9, 2**40))
    genes = random.choice((bytes(48), bytes(range(48)), b"", bytes(47)))
    table = random.choice(
        (np.ones(36).tobytes(), np.full(36, np.nan).tobytes(), np.full(36, np.inf).tobytes(), b"", bytes(7))
    )
    cached = random.choice((bytes(12), b"\7" * 12, b""))
    seconds = random.choice((0.5, -1.0, 1e308))
    row = (generation, designs, genes, table, cached, seconds)
    try:
        connection.execute("DELETE FROM batches")
        connection.execute("INSERT INTO batches VALUES (0, ?, ?, ?, ?, ?, ?, ?)", (*row, _checksum(*row)))
    except sqlite3.Error:  # a table that is gone or a view
        return


def _step() -> Content:
    from moopim.experiment.steps import run_step

    def make(folder: Path) -> dict[str, Any]:
        (folder / "product.txt").write_text("made")
        return {"accuracy": 0.5}

    with tempfile.TemporaryDirectory() as folder:
        run_step(Path(folder) / "a", "training", {"seed": 1, "sizes": [1, 2]}, make, products=("product.txt",))
        return {f"a/{name}": (Path(folder) / "a" / name).read_bytes() for name in ("step.json", "product.txt")}


def _read_step(folder: Path) -> None:
    from moopim.experiment.steps import run_step, steps_frame, steps_text

    steps_text(folder)
    steps_frame(folder)
    run_step(folder / "a", "training", {"seed": 1, "sizes": [1, 2]}, lambda _: {}, products=("product.txt",))


def _store() -> Content:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.sqlite"
        _answer(path)
        return {path.name: path.read_bytes()}


def _answer(path: Path) -> None:
    from moopim.evaluator.metric_store import MetricStore

    store = MetricStore(path, {"seed": 1})
    store.answer(["a", "b"], lambda places: np.arange(len(places)) / 2)
    store.count()


def _spoil_store(random: Random, files: Content) -> Content:
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT"
    statements = (
        "DROP TABLE metrics", "DELETE FROM metrics", "DROP TABLE metrics; CREATE TABLE metrics (facts, design, value)",
        f"DROP TABLE metrics; CREATE VIEW metrics AS {endless} 'x' AS facts, x AS design, x AS value FROM c",
        "DROP TABLE metrics; CREATE TABLE metrics (facts, design, value); INSERT INTO metrics "
        "VALUES ('{\"seed\": 1}', 'a', 'words'), ('{\"seed\": 1}', 'b', x'00')",
        "UPDATE metrics SET value = 9e999", "UPDATE metrics SET facts = zeroblob(10)",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.sqlite"
        path.write_bytes(files["store.sqlite"])
        connection = sqlite3.connect(path)
        try:
            connection.executescript(random.choice(statements))
        except sqlite3.Error:  # a type that the table refuses
            pass
        connection.commit()
        connection.close()
        return {"store.sqlite": path.read_bytes()}


def _toml(name: str) -> Callable[[], Content]:
    return lambda: _toml_files()[name]


_TRAFFIC = b"case,src,dst,packets_per_cycle\nx,0,1,.05\ny,5,5,0.1\nx,0,1,.05\nz,0,1,.3\n"
_MAPPINGS = b"case,set,workload,tiers,genes\na,physical,VGG11,RRFS,1 2 3 4 5 6 7 8 9 10 46\nb,calibrated,VGG11,SFRR,1 2 3 4 5 6 7 8 9 10 40\n"

LOADERS: dict[str, Loader] = {
    "components": Loader(_toml("components"), _read_components, text=True),
    "devices": Loader(_toml("devices"), _read_devices, text=True),
    "stack": Loader(_toml("stack"), _read_stack, text=True),
    "factors": Loader(_toml("factors"), _read_factors, text=True),
    "preset": Loader(_toml("preset"), _read_preset, text=True),
    "designs": Loader(_designs, _read_designs, _spoil_designs, text=True),
    "genes": Loader(_genes, _read_genes, text=True),
    "traffic": Loader(lambda: {"file.csv": _TRAFFIC}, _read_traffic, text=True),
    "power maps": Loader(_power, _read_power, text=True),
    "mappings": Loader(lambda: {"file.csv": _MAPPINGS}, _read_mappings, text=True),
    "layer": Loader(_layer, lambda folder: _read_layer(folder), _spoil_layer),
    "weights": Loader(_weights, _read_weights, _spoil_weights),
    "foreign weights": Loader(_foreign, _read_foreign, _spoil_weights),
    "training": Loader(_training, _read_training, _spoil_weights),
    "supernet": Loader(_supernet, _read_supernet, _spoil_weights),
    "network": Loader(_network, _read_network, _spoil_weights),
    "cifar pickles": Loader(_cifar, _read_cifar, _spoil_cifar),
    "cifar archive": Loader(_tar, _read_cifar, _spoil_tar),
    "tinyimagenet": Loader(_tiny, _read_tiny, _spoil_zip),
    "image folder": Loader(_folder, _read_folder, _spoil_folder),
    "finished run": Loader(_finished, _read_run, spoil_json, text=True),
    "interrupted run": Loader(_interrupted, _read_run, _spoil_log),
    "step": Loader(_step, _read_step, spoil_json, text=True),
    "metric store": Loader(_store, lambda folder: _answer(folder / "store.sqlite"), _spoil_store),
}


def _read_layer(folder: Path) -> None:
    from moopim.network.crossbar.files import evaluate_layer_file, read_layer

    evaluate_layer_file(read_layer(folder / "file.npz"))
