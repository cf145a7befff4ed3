"""Files of tensors: weights of a module, and the state of a training between two epochs.

A file is in the safetensors format, with what is known about it as JSON in its header, so that reading it never runs
code. It is written under another name first and then renamed: the old file or the new one is there, never half of it.
"""

import json
import math
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeGuard

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from moopim.errors import ConfigError, differences, shown
from moopim.files import check_writable, open_output
from moopim.network.datasets import Split
from moopim.network.datasets.archives import short_reason

__all__ = [
    "checksum",
    "count_values",
    "load_training",
    "load_weights",
    "read_about",
    "save_training",
    "save_weights",
    "split_checksum",
    "weight_names",
]

_BYTES = 2**30  # of a file: the largest network that is mapped in public, VGG16, has 0.55 GB
_OWN_BYTES = 2**28  # of a file of which a network is made again; CrossNAS's supernets have 30 MB
_HEADER_BYTES = 2**22
_TENSORS = 2**16
_LENGTH = struct.Struct("<Q")  # of the header, with which a file begins
_SHOWN = 80  # characters of a wrong kind in messages
_KEY = "moopim"
_FORMAT = 1
_FOREIGN = "weights in safetensors format"
_MODEL, _OPTIMISER = "model.", "optimiser."


def checksum(*tensors: Tensor) -> str:
    """Tells tensors of other content apart, in a few letters.

    Args:
        tensors: The tensors, on any device.

    Returns:
        Their CRC-32, eight hexadecimal digits.
    """
    total = 0
    for tensor in tensors:
        total = zlib.crc32(tensor.cpu().contiguous().numpy().data, total)
    return f"{total:08x}"


def split_checksum(*splits: Split) -> str:
    """Tells images and labels of other content apart.

    Args:
        splits: Parts of a set of images, on any device.

    Returns:
        Their checksum.
    """
    return checksum(*(tensor for split in splits for tensor in (split.images, split.labels)))


def save_weights(module: nn.Module, path: Path | str, about: Mapping[str, Any] | None = None) -> None:
    """Writes the parameters and buffers of a module.

    Args:
        module: The module.
        path: The file, such as ``supernet.safetensors``.
        about: Whatever should be known about them, in values that JSON has.

    Raises:
        ConfigError: If the file cannot be written, a value is NaN or infinite, or `about` is not for JSON.
    """
    path = Path(path)
    _write(path, "weights", _state(module), dict(about or {}))


def load_weights(module: nn.Module, path: Path | str, *, foreign: bool = False) -> dict[str, Any]:
    """Reads the parameters and buffers of a module, on whatever device it is.

    Args:
        module: The module that they are for; nothing of it changes unless the whole file fits.
        path: A file of `save_weights`.
        foreign: Whether a file of others will do, such as one of
            ``safetensors.torch.save_file(module.state_dict(), path)``. It has no checksum; all else is checked.

    Returns:
        What `save_weights` was told about them; nothing for a file of others.

    Raises:
        ConfigError: If the file is missing, damaged or not one of those, or does not fit the module.
    """
    path = Path(path)
    tensors, about = _read(path, "weights", foreign=foreign, module=module)
    _check_finite(path, tensors)
    module.load_state_dict(tensors)
    return about


def weight_names(path: Path | str) -> list[str]:
    """Reads which parameters and buffers a file holds, without their values.

    Args:
        path: A file in safetensors format, of `save_weights` or of others.

    Returns:
        Their names.

    Raises:
        ConfigError: If the file is missing, damaged or in another format.
    """
    with _opened(Path(path), _FOREIGN) as file:
        return list(file.keys())


def count_values(path: Path | str) -> int:
    """Counts the numbers of all parameters and buffers that a file holds, without reading them.

    Args:
        path: A file in safetensors format, of `save_weights` or of others.

    Returns:
        How many there are.

    Raises:
        ConfigError: If the file is missing, damaged or in another format.
    """
    with _opened(Path(path), _FOREIGN) as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118 (no mapping)


def read_about(path: Path | str) -> dict[str, Any]:
    """Reads what is known about weights, such as what network they are for.

    Args:
        path: A file of `save_weights`.

    Returns:
        What `save_weights` was told about them.

    Raises:
        ConfigError: If the file is missing, damaged, larger than 256 MiB or not one of `save_weights`.
    """
    return _read(Path(path), "weights", most=_OWN_BYTES)[1]


def save_training(
    path: Path, model: nn.Module, optimiser: Optimizer, settings: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]
) -> None:
    """Writes all that a training needs to go on after an epoch; random numbers follow from the seed and the epoch.

    Args:
        path: The file.
        model: The network.
        optimiser: Its optimiser.
        settings: What the result depends on, as words and numbers by name.
        rows: The training log so far.

    Raises:
        ConfigError: If the file cannot be written, or a value is NaN or infinite.
    """
    tensors = {_MODEL + name: tensor for name, tensor in _state(model).items()}
    for number, values in optimiser.state_dict()["state"].items():
        tensors |= {f"{_OPTIMISER}{number}.{name}": value for name, value in values.items() if value is not None}
    _write(path, "training", tensors, {"settings": dict(settings), "rows": list(rows), "torch": torch.__version__})


def load_training(
    path: Path, model: nn.Module, optimiser: Optimizer, settings: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Takes a training up where `save_training` left it.

    Args:
        path: The file.
        model: The network; it gets the weights of the file.
        optimiser: Its optimiser; it gets the state of the file.
        settings: As `save_training` got them.

    Returns:
        The training log so far.

    Raises:
        ConfigError: If the file is missing, damaged or of another training; says what differs.
    """
    tensors, about = _read(path, "training")
    settings_there, rows = about.get("settings"), about.get("rows")
    if not isinstance(settings_there, dict) or not _is_log(rows):
        raise ConfigError(f"checkpoint {str(path)!r} has no settings or no log of a training; expected save_training's")
    if told := differences(settings_there, settings):
        raise ConfigError(f"checkpoint {str(path)!r} is of another training: {told}")
    weights = _without_prefix(tensors, _MODEL)
    _check_fit(path, _kinds(weights), model)
    state = _optimiser_state(path, _without_prefix(tensors, _OPTIMISER), optimiser)
    _check_finite(path, tensors)
    model.load_state_dict(weights)
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return rows


def _is_log(rows: object) -> TypeGuard[list[dict[str, Any]]]:
    """Whether something is the log of a training: a row of numbers for each epoch."""
    return isinstance(rows, list) and all(
        isinstance(row, dict)
        and row.get("epoch") == number
        and all(isinstance(value, int | float) for value in row.values())
        for number, row in enumerate(rows, start=1)
    )


def _optimiser_state(path: Path, tensors: Mapping[str, Tensor], optimiser: Optimizer) -> dict[int, dict[str, Tensor]]:
    """The state of each parameter that has one, checked against what the optimiser keeps."""
    parameters = optimiser.param_groups[0]["params"]
    kept = ("momentum_buffer",) if isinstance(optimiser, SGD) else ("step", "exp_avg", "exp_avg_sq")
    known = {f"{number}.{key}": (number, key) for number in range(len(parameters)) for key in kept}
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        number, key = known.get(name, (0, ""))
        like = parameters[number]
        shape = () if key == "step" else tuple(like.shape)
        if not key or tensor.dtype != like.dtype or tuple(tensor.shape) != shape:
            raise ConfigError(
                f"checkpoint {str(path)!r} does not fit the training: state {shown(name)} of its optimiser is "
                f"{_kind(tensor.dtype, tensor.shape)}; expected {_kind(like.dtype, shape) if key else 'none'}"
            )
        # In the memory format of its parameter, as if it had never left.
        state.setdefault(number, {})[key] = torch.empty_like(like).copy_(tensor) if shape else tensor
    for number, entries in state.items():
        if len(entries) < len(kept):
            raise ConfigError(
                f"checkpoint {str(path)!r} does not fit the training: state {number} of its optimiser has "
                f"{', '.join(sorted(entries))}; expected {', '.join(sorted(kept))}"
            )
    return state


def _state(module: nn.Module) -> dict[str, Tensor]:
    state = module.state_dict()
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise ConfigError(f"state {name!r} of the network is a {type(value).__name__}; expected a tensor")
    return state


def _without_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _kind(dtype: torch.dtype, shape: Sequence[int]) -> str:
    return f"{dtype} of shape {tuple(shape)}"


def _kinds(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Type and shape of tensors, in words."""
    return {name: _kind(value.dtype, value.shape) for name, value in tensors.items()}


def _check_fit(path: Path, found: Mapping[str, str], module: nn.Module) -> None:
    """Checks that a module has tensors of just these names, shapes and types."""
    expected = _kinds(_state(module))
    for name in sorted({*expected, *found}, key=lambda name: (name in expected, name in found, name)):
        if expected.get(name) != found.get(name):
            there, here = found.get(name, "missing"), expected.get(name, "missing")
            raise ConfigError(
                f"{str(path)!r} does not fit the network: {shown(name)} is {there} in the file, {here} in it"
            )


def _check_finite(path: Path, tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        # Types of a byte have no such function.
        if not (tensor.float() if tensor.is_floating_point() else tensor).isfinite().all():
            raise ConfigError(f"{name!r} of {str(path)!r} holds NaN or infinite values; expected finite ones")


def _checksum(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> int:
    total = zlib.crc32(json.dumps(about, sort_keys=True).encode())
    for name in sorted(tensors):
        total = zlib.crc32(name.encode(), total)
        total = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy().data, total)
    return total


def _write(path: Path, kind: str, tensors: Mapping[str, Tensor], about: dict[str, Any]) -> None:
    check_writable(path)
    try:
        about = json.loads(json.dumps(about, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"about={about!r} cannot be written as JSON: {error}") from None
    # A copy of each, since the format has no tensors that share memory.
    copies = {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    _check_finite(path, copies)
    header = {"format": _FORMAT, "kind": kind, "checksum": _checksum(copies, about), "about": about}
    with open_output(path) as file:
        file.write(save(copies, metadata={_KEY: json.dumps(header)}))


def _read(
    path: Path, kind: str, *, foreign: bool = False, module: nn.Module | None = None, most: int = _BYTES
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and what is known about them; those that do not fit a module are not even read."""
    with _opened(path, _FOREIGN if foreign else f"{kind} written by moopim", most) as file:
        header = (file.metadata() or {}).get(_KEY)
        about, checksum = ({}, None) if header is None and foreign else _about(path, kind, header)
        names = list(file.keys())
        if module is not None:
            # A slice of none has the type; a tensor without dimensions has no slices.
            heads = {name: (file.get_slice(name), file.get_slice(name).get_shape()) for name in names}
            types = {
                name: (head[:0] if shape else file.get_tensor(name)).dtype for name, (head, shape) in heads.items()
            }
            _check_fit(path, {name: _kind(types[name], heads[name][1]) for name in names}, module)
        tensors = {name: file.get_tensor(name) for name in names}
    if checksum is not None and checksum != _checksum(tensors, about):
        raise ConfigError(f"file {str(path)!r} is damaged: its content does not match its checksum")
    return tensors, about


@contextmanager
def _opened(path: Path, expected: str, most: int = _BYTES) -> Iterator[Any]:
    """Opens a file within bounds; what goes wrong while it is read is one line."""
    if not path.is_file():
        problem = "is no file" if path.exists() and not path.is_dir() else "does not exist"
        raise ConfigError(f"file {str(path)!r} {problem}; expected {expected}")
    try:
        with path.open("rb") as start:
            head = start.read(_LENGTH.size)
        header = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else 0
        size = path.stat().st_size
        # A length beyond the file is none; safetensors says so.
        if size > most or _HEADER_BYTES < header < size:
            raise ConfigError(
                f"file {str(path)!r} has {size} bytes, {header} of them in its header; expected at most {most} and "
                f"{_HEADER_BYTES}"
            )
        with safe_open(path, framework="pt") as file:
            if len(file.keys()) > _TENSORS:
                raise ConfigError(f"file {str(path)!r} has {len(file.keys())} tensors; expected at most {_TENSORS}")
            yield file
    except ConfigError:
        raise
    # Torch says in errors of its own that a tensor of a type of less than a byte cannot be made.
    except (OSError, SafetensorError, RuntimeError, TypeError, ValueError) as error:
        raise ConfigError(
            f"file {str(path)!r} is damaged, cut short or not in safetensors format{_guess(path)}: "
            f"{short_reason(error)}"
        ) from None


def _guess(path: Path) -> str:
    """What a file may be that is not in safetensors format."""
    with path.open("rb") as file:
        pickled = file.read(2) in {b"PK", b"\x80\x02"}  # a ZIP archive, or a pickle of old
    return ", but of torch.save as it seems (write it with safetensors.torch.save_file)" if pickled else ""


def _about(path: Path, kind: str, header: str | None) -> tuple[dict[str, Any], Any]:
    """Facts and checksum of a header, if moopim wrote it for this kind of file."""
    if header is None:
        raise ConfigError(f"file {str(path)!r} was not written by moopim: its header has no entry {_KEY!r}")
    try:
        read = json.loads(header)
        found, checksum, about = (read["format"], read["kind"]), read["checksum"], read["about"]
        json.dumps(about)  # for the checksum; what is nested nearly too deep to be read may be too deep to be written
    except (ValueError, TypeError, KeyError, RecursionError):
        about = None
    if not isinstance(about, dict):
        raise ConfigError(f"file {str(path)!r} is damaged: entry {_KEY!r} of its header cannot be read")
    if found != (_FORMAT, kind):
        words = " of format ".join(item if isinstance(item, str) else shown(item) for item in reversed(found))
        raise ConfigError(f"file {str(path)!r} holds {words[:_SHOWN]}; expected {kind} of format {_FORMAT}")
    return about, checksum
