"""Layers in ``.npz`` files: integer weights and inputs, with the circuit in ``meta``, and their results.

The schema is that of the reference vectors in ``tests/reference/crossbar``, with the names of MNSIM 2.0.
"""

from __future__ import annotations

import json
import math
import sys
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moopim.errors import ConfigError, shown, unknown_name
from moopim.files import ZipSource, open_output
from moopim.network.crossbar.circuit import AdcRange, Circuit
from moopim.network.crossbar.layers import (
    CrossbarLayer,
    check_inputs,
    crossbar_layer,
    layer_sums,
    requantise,
)
from moopim.network.crossbar.mapping import Cells, Window
from moopim.network.datasets.archives import short_reason
from moopim.network.quantiser import check_bits, largest_code
from moopim.network.tools import check_finite
from moopim.typing import FloatArray

_RANGES: dict[str, AdcRange] = {"SCALE": "output", "FIX": "fix"}  # MNSIM's names
_DIMENSIONS = {"conv": 4, "fc": 2}  # of weights and inputs
_DEFAULTS = {"cell_bits": 1, "dac_num": 128, "kernel": 1, "stride": 1, "padding": 0, "point_shift": -2.0}
# Most values of each array that is read: with them, and all in double precision, a layer takes less than a gigabyte.
_MOST = {"W": 2**22, "X": 2**23, "cells_pos": 2**24, "cells_neg": 2**24, "meta": 1}
_BYTES = 2**26  # of an array
_MEMBERS = 1000  # arrays of a file
_META = 2**16  # characters
_WINDOW = 4096  # positions, as in the layers of planar designs
_BLOCKS = 2**16  # crossbars of a layer
_LARGEST = sys.float_info.max
_KINDS = "biufU"
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_ONE_ARRAY = b"\x93NUMPY"


class LayerFile(NamedTuple):
    """Layer of a file.

    Attributes:
        layer: The layer.
        inputs: Codes of its inputs (int32), shape ``(batch, inputs)`` or ``(images, channels, height, width)``.
        step: Product of one step of a weight and of an input, without dimensions.
        output_scale: Full scale of the output, without dimensions.
        output_bits: Bits of an output, sign included.
    """

    layer: CrossbarLayer
    inputs: Tensor
    step: float
    output_scale: float
    output_bits: int


class LayerResult(NamedTuple):
    """Outputs of a layer.

    Attributes:
        codes: Codes of the output (int16), shape ``(batch, outputs)`` or ``(images, outputs, height, width)``.
        values: Values of the codes (float64), without dimensions, same shape.
        sums: Sums before they are rounded (float64), in steps of a weight times steps of an input, same shape.
    """

    codes: NDArray[np.int16]
    values: FloatArray
    sums: FloatArray


def read_layer(path: Path) -> LayerFile:
    """Read a layer and its inputs.

    Args:
        path: The file. Read of it are ``X`` (inputs), ``W`` (weights) or ``cells_pos`` and ``cells_neg`` (levels of
            cells, the least significant slice first), and ``meta``, a JSON object.

    Returns:
        The layer and its inputs.

    Raises:
        ConfigError: If the file cannot be read, holds pickled objects, or a field is missing or not allowed; names the
            file and the field.
    """
    arrays = _arrays(path)
    try:
        return _layer(arrays)
    except ConfigError as error:
        raise ConfigError(f"layer file {str(path)!r}: {error}") from None


def evaluate_layer_file(read: LayerFile, *, fuse: bool = True, device: str = "cpu") -> LayerResult:
    """Outputs of the layer of a file.

    Args:
        read: The layer and its inputs.
        fuse: Whether columns that are proven to be lossless are computed together; the result is the same.
        device: Device of torch to compute on.

    Returns:
        Codes, values and sums of the output.
    """
    layer = read.layer.to(device)
    sums = layer_sums(layer, read.inputs.to(device), fuse=fuse)
    kappa, theta = layer.adc.kappa, largest_code(read.output_bits)
    codes = requantise(sums, theta * read.step / (kappa * read.output_scale), read.output_bits)
    values = codes.double() * read.output_scale / theta
    return LayerResult(codes.to(torch.int16).cpu().numpy(), values.cpu().numpy(), (sums / kappa).cpu().numpy())


def write_layer_result(path: Path, result: LayerResult) -> None:
    """Write outputs of a layer as ``Ycode``, ``Y`` and ``Yint``, under a temporary name first.

    Args:
        path: The file.
        result: The outputs.

    Raises:
        ConfigError: If it cannot be written.
    """
    with open_output(path) as file:
        np.savez_compressed(file, Ycode=result.codes, Y=result.values, Yint=result.sums)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        problem = "is no file" if path.exists() else "does not exist"
        raise ConfigError(f"layer file {str(path)!r} {problem}; expected an .npz file")
    try:
        with ZipSource(path, _BYTES, _MEMBERS) as file:
            if file.peek(len(_ONE_ARRAY)).startswith(_ONE_ARRAY):
                raise ConfigError(f"layer file {str(path)!r} holds one array; expected an .npz file")
            with zipfile.ZipFile(file) as archive:
                stored = {*archive.namelist()}
                return {name: _array(archive, name) for name in _MOST if f"{name}.npy" in stored}
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001 (a damaged file makes zipfile and NumPy fail in many ways)
        raise ConfigError(
            f"layer file {str(path)!r} is damaged or no .npz file of plain arrays: {short_reason(error)}"
        ) from None


def _array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """An array of the archive; its header is checked before anything of it is unpacked."""
    with archive.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"{name!r} is of version {version} of the format; expected 1.0 or 2.0")
        shape, column_major, dtype = _HEADERS[version](file)
        if dtype.kind not in _KINDS:
            raise ValueError(f"{name!r} holds objects of type {dtype}; expected numbers, and one text as 'meta'")
        count = math.prod(shape)
        if min(shape, default=0) < 0 or count > _MOST[name] or count * dtype.itemsize > _BYTES:
            most = f"{_MOST[name]:,} values and {_BYTES:,} bytes"
            raise ValueError(f"{name!r} has shape {shape} and type {dtype}; expected at most {most}")
        content = file.read(count * dtype.itemsize)
        if len(content) < count * dtype.itemsize or file.read(1):
            raise ValueError(f"{name!r} has another length than its shape says")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if column_major else "C")


def _layer(arrays: Mapping[str, NDArray[Any]]) -> LayerFile:
    meta = _meta(arrays)
    kind = _one_of(meta, "type", _DIMENSIONS)
    whole = {name: _whole(meta, name) for name in ("weight_bits", "activation_bits", "kernel", "stride", "padding")}
    for name in ("kernel", "stride", "padding"):
        if whole[name] > _WINDOW:
            raise ConfigError(f"{name}={whole[name]} of 'meta' is not allowed; expected at most {_WINDOW}")
    for name in ("weight_bits", "activation_bits"):
        check_bits(name, whole[name])
    circuit = Circuit(
        rows=_whole(meta, "xbar_rows"),
        adc_bits=_whole(meta, "adc_bits"),
        dac_bits=_whole(meta, "dac_bits"),
        cell_bits=_whole(meta, "cell_bits"),
        dacs=_whole(meta, "dac_num"),
        adc_range=_RANGES[_one_of(meta, "adc_action", _RANGES)],
        step="any",
        point_shift=_number(meta, "point_shift"),
    )
    inputs = _integers(arrays, "X", _DIMENSIONS[kind])
    cells = _cells(arrays)
    kernel = (whole["kernel"], whole["kernel"])
    weights = _weights(arrays, cells, (inputs.shape[1], *(kernel if kind == "conv" else ())))
    step, scale = _positive(meta, "weight_scale") * _positive(meta, "input_scale"), _positive(meta, "output_scale")
    if not (0 < step < math.inf and 0 < scale / step < math.inf):
        product = f"weight_scale * input_scale of 'meta' is {step!r} and output_scale {scale!r}"
        raise ConfigError(f"{product}; expected a finite ratio above 0")
    if kind == "conv" and whole["padding"] > whole["kernel"]:  # outputs of nothing but zeros
        raise ConfigError(f"padding={whole['padding']} of 'meta' is not allowed; expected at most kernel={kernel[0]}")
    if weights[0].numel() > circuit.rows * _BLOCKS:
        rows = weights[0].numel()
        raise ConfigError(f"xbar_rows={circuit.rows} of 'meta' cut {rows} rows into more than {_BLOCKS} crossbars")
    layer = crossbar_layer(
        weights,
        circuit,
        weight_bits=whole["weight_bits"],
        input_bits=whole["activation_bits"],
        window=Window(kernel, (whole["stride"],) * 2, (whole["padding"],) * 2) if kind == "conv" else None,
        cells=cells,
        output_scale=scale / step,
    )
    check_inputs(layer, inputs)
    return LayerFile(layer, inputs, step, scale, whole["activation_bits"])


def _weights(arrays: Mapping[str, NDArray[Any]], cells: Cells | None, shape: tuple[int, ...]) -> Tensor:
    """The weights, checked against the shape of the inputs; zeros stand for those whose cells alone are given."""
    if "W" not in arrays and cells is not None:
        if math.prod(shape) != cells.positive.shape[2]:
            raise ConfigError(f"'cells_pos' has {cells.positive.shape[2]} rows; expected {math.prod(shape)}")
        return torch.zeros((cells.positive.shape[1], *shape), dtype=torch.int32)
    weights = _integers(arrays, "W", len(shape) + 1)
    if weights.shape[1:] != shape:
        raise ConfigError(f"'W' has shape {tuple(weights.shape)}; expected (outputs, {', '.join(map(str, shape))})")
    return weights


def _cells(arrays: Mapping[str, NDArray[Any]]) -> Cells | None:
    given = [name for name in ("cells_pos", "cells_neg") if name in arrays]
    if not given:
        return None
    if len(given) == 1:
        raise ConfigError(f"{given[0]!r} is there alone; expected 'cells_pos' and 'cells_neg', or neither")
    positive, negative = (_numbers(arrays, name, 3) for name in given)
    return Cells(positive, negative)


def _numbers(arrays: Mapping[str, NDArray[Any]], name: str, dimensions: int) -> Tensor:
    if name not in arrays:
        raise ConfigError(f"array {name!r} is missing")
    array = arrays[name]
    if array.dtype.kind not in "iuf" or array.ndim != dimensions or not array.size:
        raise ConfigError(
            f"{name!r} has type {array.dtype} and shape {array.shape}; expected numbers in {dimensions} dimensions"
        )
    numbers = torch.from_numpy(array.astype(np.float64))
    check_finite([(f"{name!r}", numbers)])
    return numbers


def _integers(arrays: Mapping[str, NDArray[Any]], name: str, dimensions: int) -> Tensor:
    numbers = _numbers(arrays, name, dimensions)
    if not bool((numbers == numbers.round()).all()) or float(numbers.abs().max()) > np.iinfo(np.int16).max:
        raise ConfigError(f"{name!r} holds numbers that are no codes; expected whole numbers of 16 bits")
    return numbers.to(torch.int32)


def _meta(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    if "meta" not in arrays:
        raise ConfigError("array 'meta' is missing; expected a JSON object")
    text = arrays["meta"]
    if text.size != 1 or text.itemsize > 4 * _META:
        raise ConfigError(f"'meta' has shape {text.shape} and type {text.dtype}; expected a JSON object as text")
    try:
        meta = json.loads(str(text.flat[0]))
    except RecursionError:
        raise ConfigError("'meta' is nested too deep; expected a JSON object of numbers and words") from None
    except ValueError as error:
        raise ConfigError(f"'meta' is no JSON: {error}") from None
    if not isinstance(meta, dict):
        raise ConfigError(f"'meta' is a JSON {type(meta).__name__}; expected an object")
    return {**_DEFAULTS, **meta}


def _field(meta: Mapping[str, Any], name: str) -> Any:
    if name not in meta:
        raise ConfigError(f"field {name!r} of 'meta' is missing")
    return meta[name]


def _one_of(meta: Mapping[str, Any], name: str, allowed: Collection[str]) -> str:
    value = _field(meta, name)
    if value not in list(allowed):
        raise unknown_name(f"{name} of 'meta'", value, allowed)
    return str(value)


def _number(meta: Mapping[str, Any], name: str) -> float:
    value = _field(meta, name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:
        raise ConfigError(f"{name}={shown(value)} of 'meta' is not allowed; expected a finite number")
    return float(value)


def _positive(meta: Mapping[str, Any], name: str) -> float:
    value = _number(meta, name)
    if value <= 0:
        raise ConfigError(f"{name}={value!r} of 'meta' is not allowed; expected a number above 0")
    return value


def _whole(meta: Mapping[str, Any], name: str) -> int:
    value = _number(meta, name)
    if not value.is_integer():
        raise ConfigError(f"{name}={value!r} of 'meta' is not allowed; expected a whole number")
    return int(value)
