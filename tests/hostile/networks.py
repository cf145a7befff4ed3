"""Files of weights, and layers of crossbars."""

import io
import json
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from hostile.changes import DEEP, VALUES, Content, change_value, to_json


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

    about = json.loads(json.dumps(about)) if DEEP not in json.dumps(about) else about
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


def spoil_weights(random: Random, files: Content) -> Content:
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


def weights() -> Content:
    from moopim.network.checkpoint import save_weights

    return _saved(lambda path: save_weights(_toy(), path, {"accuracy": 0.5, "rows": [1, 2], "of": {"a": "b"}}))


def _saved(save: Callable[[Path], object]) -> Content:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.safetensors"
        save(path)
        return {path.name: path.read_bytes()}


def read_weights(folder: Path) -> None:
    from moopim.network.checkpoint import load_weights, read_about

    read_about(folder / "file.safetensors")
    load_weights(_toy(), folder / "file.safetensors")


def foreign() -> Content:
    return {"file.safetensors": _safetensors(_toy().state_dict(), {"format": "pt"})}


def read_foreign(folder: Path) -> None:
    from moopim.network.network_files import load_trained

    load_trained(_toy(), folder / "file.safetensors", (1, 5, 5))


def training() -> Content:
    import torch

    from moopim.network.checkpoint import save_training

    model = _toy()
    optimiser = _adam(model)
    model(torch.ones(2, 1, 5, 5)).sum().backward()
    optimiser.step()
    rows = [{"epoch": 1, "step": 3, "loss": 0.5}, {"epoch": 2, "step": 6, "loss": 0.25}]
    return _saved(lambda path: save_training(path, model, optimiser, {"seed": 1, "data": "rows"}, rows))


def read_training(folder: Path) -> None:
    from moopim.network.checkpoint import load_training

    model = _toy()
    load_training(folder / "file.safetensors", model, _adam(model), {"seed": 1, "data": "rows"})


def supernet() -> Content:
    from moopim.network.network_files import save_supernet
    from moopim.network.supernet import Supernet

    supernet = Supernet((1, 8, 8), 10, max_blocks=2, channels=(4, 8), strides=(1, 2), seed=3)
    return _saved(lambda path: save_supernet(supernet, path, {"recipe": "x"}))


def read_supernet(folder: Path) -> None:
    from moopim.network.network_files import load_supernet

    load_supernet(folder / "file.safetensors")


def network() -> Content:
    from moopim.network.blocks import make_network
    from moopim.network.network_files import save_network
    from moopim.network.quantisation import quantise_module
    from moopim.network.subnets import Block

    subnet = (Block("RES", 4, 2), Block("VGG", 6), Block("MVGG", 4))
    net = quantise_module(make_network(subnet, (1, 8, 8), 5).eval(), (1, 8, 8))
    return _saved(lambda path: save_network(net, path, subnet, (1, 8, 8), 5, {"recipe": "x"}))


def read_network(folder: Path) -> None:
    from moopim.network.network_files import load_network

    load_network(folder / "file.safetensors")


def layer() -> Content:
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


def spoil_layer(random: Random, files: Content) -> Content:
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


def read_layer(folder: Path) -> None:
    from moopim.network.crossbar import evaluate_layer_file, read_layer

    evaluate_layer_file(read_layer(folder / "file.npz"))
