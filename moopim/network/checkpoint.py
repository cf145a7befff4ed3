"""Files of tensors: weights of a module, and checkpoints of a training between two epochs.

Files are in the safetensors format with a record as JSON in the header, so that reading one never runs code.
"""

import json
import math
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pydantic import ConfigDict, field_validator
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from moopim.errors import ConfigError, shown
from moopim.files import check_writable, open_output
from moopim.network.datasets import Split
from moopim.network.datasets.archives import short_reason
from moopim.records import Record, differences, parse_record

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


class _Header(Record):
    """Entry of moopim in the header of a file."""

    model_config = ConfigDict(extra="ignore")

    format: Any
    kind: Any
    checksum: Any
    about: dict[str, Any]


class _TrainingRecord(Record):
    """State of a training beside its tensors: settings, and a row of numbers for each epoch from 1 on."""

    model_config = ConfigDict(extra="ignore", strict=True)

    settings: dict[str, Any]
    rows: list[dict[str, int | float]]

    @field_validator("rows")
    @classmethod
    def _check_epochs(cls, rows: list[dict[str, int | float]]) -> list[dict[str, int | float]]:
        if [row.get("epoch") for row in rows] != list(range(1, len(rows) + 1)):
            raise ValueError("epochs are not 1, 2, ...")
        return rows


def checksum(*tensors: Tensor) -> str:
    """CRC-32 of the content of tensors, eight hexadecimal digits."""
    total = 0
    for tensor in tensors:
        total = zlib.crc32(tensor.cpu().contiguous().numpy().data, total)
    return f"{total:08x}"


def split_checksum(*splits: Split) -> str:
    """Checksum of images and labels."""
    return checksum(*(tensor for split in splits for tensor in (split.images, split.labels)))


def save_weights(module: nn.Module, path: Path | str, about: Mapping[str, Any] | None = None) -> None:
    """Write the parameters and buffers of a module; the file gets its name when it is complete.

    Args:
        module: The module.
        path: The file, such as ``supernet.safetensors``.
        about: Facts to store with them, in values that JSON has.

    Raises:
        ConfigError: If the file cannot be written, a value is NaN or infinite, or `about` has no JSON form.
    """
    path = Path(path)
    _write(path, "weights", _state(module), dict(about or {}))


def load_weights(module: nn.Module, path: Path | str, *, foreign: bool = False) -> dict[str, Any]:
    """Read the parameters and buffers of a module on any device.

    Args:
        module: The module; it stays as it is unless the whole file fits.
        path: A file of `save_weights`.
        foreign: Whether a file of other programs is accepted, such as one of
            ``safetensors.torch.save_file(module.state_dict(), path)``. It has no checksum; all else is checked.

    Returns:
        The facts that `save_weights` stored; empty for a file of other programs.

    Raises:
        ConfigError: If the file is missing, damaged or of another kind, or does not fit the module.
    """
    path = Path(path)
    tensors, about = _read(path, "weights", foreign=foreign, module=module)
    _check_finite(path, tensors)
    module.load_state_dict(tensors)
    return about


def weight_names(path: Path | str) -> list[str]:
    """Names of the parameters and buffers in a safetensors file; raises ConfigError if it is missing or damaged."""
    with _opened(Path(path), _FOREIGN) as file:
        return list(file.keys())


def count_values(path: Path | str) -> int:
    """Number of values of all parameters and buffers in a safetensors file, without reading them."""
    with _opened(Path(path), _FOREIGN) as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118 (no mapping)


def read_about(path: Path | str) -> dict[str, Any]:
    """Facts that `save_weights` stored, of a file of at most 256 MiB; raises ConfigError if it is not one of its."""
    return _read(Path(path), "weights", most=_OWN_BYTES)[1]


def save_training(
    path: Path, model: nn.Module, optimiser: Optimizer, settings: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]
) -> None:
    """Write a checkpoint: network, optimiser, log so far, and the settings that the result depends on.

    Random numbers follow from the seed and the epoch and are not stored. Raises ConfigError if the file cannot be
    written or a value is NaN or infinite.
    """
    tensors = {_MODEL + name: tensor for name, tensor in _state(model).items()}
    for number, values in optimiser.state_dict()["state"].items():
        tensors |= {f"{_OPTIMISER}{number}.{name}": value for name, value in values.items() if value is not None}
    _write(path, "training", tensors, {"settings": dict(settings), "rows": list(rows), "torch": torch.__version__})


def load_training(
    path: Path, model: nn.Module, optimiser: Optimizer, settings: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Load a checkpoint of `save_training` into a network and its optimiser; gives the log so far.

    Raises ConfigError if the file is missing, damaged or of a training with other settings.
    """
    tensors, about = _read(path, "training")
    problem = f"checkpoint {str(path)!r} has no settings or no log of a training"
    record = parse_record(_TrainingRecord, about, problem, "save_training's")
    if changes := differences(record.settings, settings):
        raise ConfigError(f"checkpoint {str(path)!r} is of another training: {changes}")
    weights = _without_prefix(tensors, _MODEL)
    _check_fit(path, _kinds(weights), model)
    state = _optimiser_state(path, _without_prefix(tensors, _OPTIMISER), optimiser)
    _check_finite(path, tensors)
    model.load_state_dict(weights)
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return record.rows


def _optimiser_state(path: Path, tensors: Mapping[str, Tensor], optimiser: Optimizer) -> dict[int, dict[str, Tensor]]:
    """State of each parameter that has one, checked against the optimiser."""
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
    """Types and shapes of tensors, for messages."""
    return {name: _kind(value.dtype, value.shape) for name, value in tensors.items()}


def _check_fit(path: Path, found: Mapping[str, str], module: nn.Module) -> None:
    """Raise ConfigError unless a module has tensors of just these names, shapes and types."""
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
    """Tensors and facts of a file; where a module is given, its fit is checked before tensors are read."""
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
    """Open a safetensors file within bounds; faults while it is read become a ConfigError of one line."""
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
    # The last three are torch's, for tensors of a type of less than a byte.
    except (OSError, SafetensorError, RuntimeError, TypeError, ValueError) as error:
        raise ConfigError(
            f"file {str(path)!r} is damaged, cut short or not in safetensors format{_guess(path)}: "
            f"{short_reason(error)}"
        ) from None


def _guess(path: Path) -> str:
    """Hint at a file of torch.save."""
    with path.open("rb") as file:
        pickled = file.read(2) in {b"PK", b"\x80\x02"}  # a ZIP archive, or a pickle of old
    return ", but of torch.save as it seems (write it with safetensors.torch.save_file)" if pickled else ""


def _about(path: Path, kind: str, header: str | None) -> tuple[dict[str, Any], Any]:
    """Facts and checksum of a header, if moopim wrote it for this kind of file."""
    if header is None:
        raise ConfigError(f"file {str(path)!r} was not written by moopim: its header has no entry {_KEY!r}")
    problem = f"file {str(path)!r} is damaged: entry {_KEY!r} of its header cannot be read"
    try:
        value = json.loads(header)
        json.dumps(value)  # for the checksum; text that is nested nearly too deep to be read may be so to be written
    except (ValueError, RecursionError):
        raise ConfigError(problem) from None
    read = parse_record(_Header, value, problem)
    found = (read.format, read.kind)
    if found != (_FORMAT, kind):
        words = " of format ".join(item if isinstance(item, str) else shown(item) for item in reversed(found))
        raise ConfigError(f"file {str(path)!r} holds {words[:_SHOWN]}; expected {kind} of format {_FORMAT}")
    return read.about, read.checksum
