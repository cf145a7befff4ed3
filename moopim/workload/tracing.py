"""Layer table of any ``torch.nn.Module``.

torch exports the module as a graph of ATen operations with their shapes; the graph is then interpreted without numbers.
Operations that compute become layers, others are free, and an unknown operation is an error.
"""

from __future__ import annotations

import importlib.util
import inspect
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from moopim.checks import is_whole, whole_number
from moopim.errors import ConfigError, MoopimError
from moopim.files import file_format
from moopim.user_code import forget_namesakes, import_member, reason, referenced_file, split_reference
from moopim.workload.layers import LayerTable, make_table
from moopim.workload.networks import network_error

if TYPE_CHECKING:
    from torch import nn

# Every value of an image is tracked; so many take some gigabytes.
_MOST_VALUES = 2**26


def trace(
    model: nn.Module,
    input_shape: tuple[int, int, int],
    *,
    input_bits: int = 9,
    weight_bits: int = 9,
    activation_bits: int = 9,
) -> LayerTable:
    """Trace a module to its layer table.

    The module is not run: its weights may be on any device, the ``meta`` device included.

    Args:
        model: Module that takes a batch of images. It is traced in evaluation mode; its training flags are restored.
        input_shape: Channels, height and width of an image.
        input_bits: Bits of a value of the image.
        weight_bits: Bits of a weight, sign included.
        activation_bits: Bits of an output value of a layer with weights.

    Returns:
        A table of one network; layers have the paths of their modules as names, or the name of the network's class if
        it has no submodules.

    Raises:
        ConfigError: If a number is out of range, torch is not installed or cannot export the module, or an operation is
            not supported; names the class, the user's file and line and the path of the module within it, as far as
            known.
    """
    _need_torch()
    for name, bits in (("input", input_bits), ("weight", weight_bits), ("activation", activation_bits)):
        whole_number(f"{name}_bits", bits, 1)
    if np.shape(input_shape) != (3,) or not all(is_whole(size, 1) for size in input_shape):
        raise ConfigError(f"input shape {input_shape} is not allowed; expected channels, height and width")
    if math.prod(input_shape) > _MOST_VALUES:
        size = "x".join(map(str, input_shape))
        raise ConfigError(f"an input of {size} is too large; expected at most {_MOST_VALUES} values")
    from torch import nn

    from moopim.workload._trace_graph import find_layers

    if not isinstance(model, nn.Module):
        hint = ", made by calling the class" if isinstance(model, type) else ""
        raise ConfigError(f"network is {model!r}; expected a torch.nn.Module{hint}")
    table = make_table(find_layers(model, input_shape))
    shape = table.kind.shape
    return table.with_bits(np.full(shape, weight_bits), np.full(shape, activation_bits), input_bits)


def load_module(spec: str) -> nn.Module:
    """Load a torch module that a user names.

    Args:
        spec: ``path/to/file.py:Name`` or ``package.module:Name``: a module, or a class or function that builds one
            without arguments.

    Returns:
        The module.

    Raises:
        ConfigError: If there is no such file or name, or it needs arguments, fails or builds no module.
    """
    reference, file = split_reference(spec), referenced_file(spec)
    if reference is None or not all(reference):
        raise network_error(spec.removesuffix(":"))
    if file is None and file_format(Path(reference[0])):
        raise network_error(reference[0])
    _need_torch()
    from torch import nn

    if file is not None:
        forget_namesakes(file)
    found = import_member(*reference, "name", lambda _: True)
    if not isinstance(found, nn.Module):
        found = _build(spec, found)
    if not isinstance(found, nn.Module):
        raise ConfigError(f"network {spec!r} is a {type(found).__name__}; expected a torch.nn.Module")
    return found


def _build(spec: str, maker: object) -> object:
    """Call a class or function without arguments; return other objects as they are."""
    if not callable(maker):
        return maker
    try:
        parameters = inspect.signature(maker).parameters.values()
    except (TypeError, ValueError):  # built-in callables have none
        parameters = {}.values()
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [item.name for item in parameters if item.default is item.empty and item.kind not in kinds]
    if needed:
        raise ConfigError(
            f"network {spec!r} needs arguments ({', '.join(needed)}); expected a class or a function that needs none"
        )
    try:
        return maker()
    except MoopimError:
        raise
    except (Exception, SystemExit) as error:
        raise ConfigError(f"network {spec!r} cannot be built: {reason(error)}") from error


def parse_input(text: str) -> tuple[int, int, int]:
    """Channels, height and width of an image from text such as ``3x32x32``."""
    match = re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})x([1-9]\d{0,5})", text.strip())
    if not match:
        raise ConfigError(f"input {text!r} is not allowed; expected channels x height x width, such as 3x32x32")
    channels, height, width = map(int, match.groups())
    return channels, height, width


def _need_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        raise ConfigError("tracing a module needs torch; install moopim[network]")
