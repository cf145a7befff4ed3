"""What the handlers of operations work with: a call of an operation, and the layers found so far."""

import re
import sysconfig
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import moopim
from moopim.errors import ConfigError
from moopim.workload._trace_values import Origins, Value
from moopim.workload.layers import Layer

__all__ = ["Builder", "Call", "Handler", "user_place"]

_NOT_USERS = (Path(torch.__file__).parent, Path(moopim.__file__).parent)
_STANDARD = Path(sysconfig.get_path("stdlib"))


def user_place(frames: Iterable[tuple[str, int | None]]) -> str:
    """The last place of a stack that lies in a file of the user.

    Args:
        frames: File and line, if known, of each call, the outermost first.

    Returns:
        Such as ``/home/me/net.py:12``; nothing where no file of the user is among them.
    """
    places = [f"{file}:{line}" if line else file for file, line in frames if _is_users(Path(file))]
    return places[-1] if places else ""


def _is_users(file: Path) -> bool:
    standard = file.is_relative_to(_STANDARD) and "site-packages" not in file.parts
    return file.is_file() and not standard and not any(map(file.is_relative_to, _NOT_USERS))


class Call:
    """One call of an ATen operation.

    Args:
        node: Its node in the graph.
        args: Its positional arguments, tensors as `Value`.
        kwargs: Its other arguments.
    """

    def __init__(self, node: torch.fx.Node, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self.node = node
        self.args = args
        self.kwargs = kwargs
        self.target: Any = node.target
        schema = getattr(node.target, "_schema", None)  # control flow has none
        arguments = schema.arguments if schema is not None else []
        names = [argument.name for argument in arguments]
        defaults = {argument.name: argument.default_value for argument in arguments if argument.has_default_value()}
        self._bound = {**defaults, **dict(zip(names, args, strict=False)), **kwargs}

    def __getitem__(self, name: str) -> Any:
        """An argument by its name in the operation's schema; its default if it was left out."""
        return self._bound[name]

    def __contains__(self, name: str) -> bool:
        """Whether the operation has an argument of this name, or was given one."""
        return name in self._bound

    def get(self, name: str, default: Any = None) -> Any:
        """An argument, or a default where the operation has no such argument or no value for it."""
        value = self._bound.get(name)
        return default if value is None else value

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the output, of the first one if there are several."""
        result = self.node.meta["val"]
        return tuple((result[0] if isinstance(result, tuple | list) else result).shape)

    @property
    def activations(self) -> list[Value]:
        """The arguments that depend on the image, those in lists included."""
        return [value for value in self.tensors if not value.constant]

    @property
    def tensors(self) -> list[Value]:
        """The arguments that are tensors, those in lists included."""
        leaves = torch.utils._pytree.tree_leaves((self.args, self.kwargs))
        return [leaf for leaf in leaves if isinstance(leaf, Value)]

    @property
    def operation(self) -> str:
        """Name of the operation; in-place variants have the name of the plain one."""
        if not isinstance(self.target, torch._ops.OpOverload):
            return str(getattr(self.target, "__name__", self.target))
        return str(self.target.overloadpacket._qualified_op_name).removeprefix("aten::").rstrip("_")

    @property
    def path(self) -> str:
        """Path of the innermost module that makes the call; empty for the model itself."""
        stack = list(self.node.meta.get("nn_module_stack", {}).values())
        return re.sub(r"@\d+", "", stack[-1][0]) if stack else ""

    def error(self, reason: str) -> ConfigError:
        """The error for a call that cannot be handled."""
        stack = list(self.node.meta.get("nn_module_stack", {}).values())
        kind = str(stack[-1][1]).rpartition(".")[2] if stack else "model"
        where = f"module {self.path!r} ({kind})" if self.path else "the network itself"
        calls = re.findall(r'File "(.+)", line (\d+)', self.node.meta.get("stack_trace") or "")
        place = user_place((file, int(line)) for file, line in calls)
        operation = self.target if isinstance(self.target, torch._ops.OpOverload) else self.operation
        return ConfigError(f"{f'{place}: ' if place else ''}{where}: operation {operation}: {reason}")


Handler = Callable[["Builder", Call], Any]


class Builder:
    """The layers found so far.

    Args:
        size: Height and width of the image.
        name: What a layer is called that the network itself computes without a module of its own.
        leaves: Paths of the modules without modules of their own.
    """

    def __init__(self, size: tuple[int, int], name: str, leaves: frozenset[str]) -> None:
        self.origins = Origins(size)
        self.layers: list[Layer] = []
        self._root = name
        self._leaves = leaves
        self._names: set[str] = set()

    def add(
        self,
        call: Call,
        kind: str,
        inputs: Sequence[Tensor],
        *,
        c_in: int,
        c_out: int,
        size_in: tuple[int, int],
        size_out: tuple[int, int],
        order: Tensor,
        shape: Sequence[int],
        label: str = "",
        **fields: Any,
    ) -> Value:
        """Adds a layer.

        Args:
            call: The call that computes it.
            kind: Its kind.
            inputs: Codes of its operands.
            c_in: Input channels.
            c_out: Output channels.
            size_in: Size of the input.
            size_out: Size of the output.
            order: Position at which it makes an element of its output, broadcast to the shape.
            shape: Shape of the output tensor.
            label: What it is called within its module, if not by its operation or by the module alone.
            **fields: Other fields of the `Layer`.

        Returns:
            Its output.
        """
        places = tuple(place for code in inputs for place in self.origins.producers(code))
        name = self._name(call, kind, label)
        layer = Layer(name, kind, places, c_in, c_out, size_in=size_in, size_out=size_out, **fields)
        self.layers.append(layer)
        return self.origins.make(len(self.layers) - 1, size_out, order, shape)

    def _name(self, call: Call, kind: str, label: str) -> str:
        path = call.path
        if not label and path in self._leaves and kind not in {"sum", "product", "matmul"}:
            name = path or self._root
        else:
            name = ".".join(filter(None, (path, label or kind)))
        numbered = (f"{name}_{number}" for number in count(2))
        free = next(candidate for candidate in chain([name], numbered) if candidate not in self._names)
        self._names.add(free)
        return free
