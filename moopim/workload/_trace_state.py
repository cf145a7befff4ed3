"""State of a trace: values of tensors, the call of an operation, and the layers found so far.

Every element of an activation carries a code: its producer, and the position in the producer's order at which it is
known. Operations that only move values are run on the codes themselves, so that every reordering is seen.
"""

import re
import sysconfig
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import moopim
from moopim.errors import ConfigError
from moopim.workload.layers import IMAGE, Layer

CONSTANT = -1
"""Code of an element that no layer computes: a parameter or a number."""
_SHIFT = 32  # bits of the position in a code
_MASK = (1 << _SHIFT) - 1


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the network, without its numbers.

    ``code`` holds producer and position of each element, in the shape of the tensor. ``constant``: depends on
    parameters only. ``known``: its numbers, of constant integers, which may be indices. ``root``: tensor of which it is
    an element-wise function; two functions of one tensor are one again. ``statistic``: of a normalisation, such as a
    mean over channels.
    """

    code: Tensor
    constant: bool = False
    known: Tensor | None = None
    root: object = field(default_factory=object)
    statistic: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor."""
        return tuple(self.code.shape)


def constant(shape: Sequence[int], known: Tensor | None = None) -> Value:
    """A tensor that no layer computes."""
    return Value(torch.tensor(CONSTANT).expand(tuple(shape)), constant=True, known=known)


def compact(code: Tensor) -> Tensor:
    """View with one element along each dimension of stride 0, along which all codes are equal."""
    for dim, stride in enumerate(code.stride()):
        if stride == 0 and code.shape[dim] > 1:
            code = code.narrow(dim, 0, 1)
    return code


def thin(code: Tensor) -> Tensor:
    """The same codes with stride 0 along each dimension along which they are equal."""
    small = compact(code)
    for dim, size in enumerate(small.shape):
        if size > 1 and bool((small == small.narrow(dim, 0, 1)).all()):
            small = small.narrow(dim, 0, 1)
    return small.expand(code.shape)


def _origins(code: Tensor) -> list[int]:
    """Numbers of the producers that occur, ascending; `CONSTANT` for none."""
    return (torch.bincount((compact(code) >> _SHIFT).reshape(-1) + 1).nonzero().flatten() - 1).tolist()


class Origins:
    """Producers of one network, numbered; codes hold the number.

    A producer is a layer, the image, or several of them whose values were mixed. ``size``: height and width of the
    image.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._places: list[tuple[int, ...]] = [(IMAGE,)]
        self._sizes: list[tuple[int, int]] = [size]
        self._mixed: dict[tuple[int, ...], int] = {}

    def make(self, place: int, size: tuple[int, int], order: Tensor, shape: Sequence[int]) -> Value:
        """Output of layer ``place``; ``size``: of its maps; ``order``: position of each element, broadcastable."""
        self._places.append((place,))
        self._sizes.append(size)
        return Value(((len(self._places) - 1 << _SHIFT) + order).expand(tuple(shape)))

    def image(self, channels: int) -> Value:
        """The image, shape ``(1, channels, height, width)``."""
        height, width = self._sizes[0]
        return Value(torch.arange(height * width).view(1, 1, height, width).expand(1, channels, height, width))

    def producers(self, code: Tensor) -> tuple[int, ...]:
        """Indices of the layers that a tensor comes from, in order of appearance."""
        origins = torch.unique_consecutive(compact(code).reshape(-1) >> _SHIFT).tolist()
        places = (place for origin in dict.fromkeys(origins) if origin >= 0 for place in self._places[origin])
        return tuple(dict.fromkeys(places))

    def position(self, code: Tensor) -> Tensor:
        """Position of each element in its producer's order."""
        return code & _MASK

    def is_late(self, code: Tensor, order: Tensor, count: int) -> bool:
        """Whether a consumer needs values before their turn.

        ``order`` is the consumer's position, of ``count``, at which it needs an element; it broadcasts to the codes. So
        it is if a producer has another number of positions, save a single one, or computes an element later.
        """
        code = compact(code)
        counts = torch.tensor([height * width for height, width in self._sizes])[code >> _SHIFT]
        wrong = (counts != count) | ((code & _MASK) > order)
        return bool((wrong & (counts != 1) & (code != CONSTANT)).any())

    def size(self, code: Tensor, count: int) -> tuple[int, int]:
        """Height and width of a map of positions: those of a producer with as many, else one row."""
        for origin in _origins(code):
            height, width = self._sizes[origin] if origin >= 0 else (0, 0)
            if height * width == count:
                return height, width
        return 1, count

    def lead(self, codes: Sequence[Tensor]) -> tuple[Tensor, int]:
        """Order in which an element-wise operation on tensors of one shape computes its output.

        It is the order of the operand with most positions that has as many elements at each of them. Returns the
        position of each element, broadcasting to the shape, and the number of positions.
        """
        best: tuple[Tensor, int] | None = None
        for code in map(compact, codes):
            origins = _origins(code)
            same_size = len({self._sizes[origin] for origin in origins if origin >= 0}) == 1
            if CONSTANT in origins or not same_size:
                continue
            position = code & _MASK
            counts = torch.bincount(position.reshape(-1))
            used = counts > 0
            count = int(used.sum())
            if (counts[used] == counts.max()).all() and (best is None or count > best[1]):
                best = (used.cumsum(0) - 1)[position], count
        if best is not None:
            return best
        # No operand is regular: positions by custom, of (batch, channels, height, width) or (..., channels).
        shape = list(codes[0].shape)
        shape[1 if len(shape) == 4 else -1] = 1  # noqa: PLR2004
        count = torch.Size(shape).numel()
        return torch.arange(count).view(shape), count

    def merge(self, codes: Sequence[Tensor]) -> Tensor:
        """Codes of an element-wise result of operands of one shape: the latest of their positions."""
        merged, *others = map(compact, codes)
        for code in others:
            merged = torch.maximum(self._unify(merged, code), self._unify(code, merged))
        return merged.expand(codes[0].shape)

    def mix(self, code: Tensor, dims: Sequence[int]) -> Tensor:
        """Codes of elements that depend on all elements along ``dims``, which are kept: the latest of the positions."""
        small = compact(code)
        return self._unify(small, small).amax(tuple(dims), keepdim=True).expand(code.shape)

    def _unify(self, code: Tensor, other: Tensor) -> Tensor:
        """Codes as they are if both tensors have one producer in all, else with their producers mixed into one."""
        origins = sorted({*_origins(code), *_origins(other)} - {CONSTANT})
        if len(origins) <= 1:
            return code
        places = tuple(dict.fromkeys(place for origin in origins for place in self._places[origin]))
        sizes = {self._sizes[origin] for origin in origins}
        if places not in self._mixed:
            self._mixed[places] = len(self._places)
            self._places.append(places)
            # Producers of several sizes have no common order: no consumer can keep it.
            self._sizes.append(sizes.pop() if len(sizes) == 1 else (0, 0))
        return torch.where(code == CONSTANT, code, (self._mixed[places] << _SHIFT) + (code & _MASK))


_NOT_USERS = (Path(torch.__file__).parent, Path(moopim.__file__).parent)
_STANDARD = Path(sysconfig.get_path("stdlib"))


def user_place(frames: Iterable[tuple[str, int | None]]) -> str:
    """``FILE:LINE`` of the innermost call (file, line if known; outermost first) in a file of the user, or ""."""
    places = [f"{file}:{line}" if line else file for file, line in frames if _is_users(Path(file))]
    return places[-1] if places else ""


def _is_users(file: Path) -> bool:
    standard = file.is_relative_to(_STANDARD) and "site-packages" not in file.parts
    return file.is_file() and not standard and not any(map(file.is_relative_to, _NOT_USERS))


class Call:
    """One call of an ATen operation: its node in the graph and its arguments, tensors as `Value`."""

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
        """Argument by its name in the operation's schema, or its default."""
        return self._bound[name]

    def __contains__(self, name: str) -> bool:
        """Whether the operation has an argument of this name, or was given one."""
        return name in self._bound

    def get(self, name: str, default: Any = None) -> Any:
        """Argument by name, or ``default`` where the operation has none or it is None."""
        value = self._bound.get(name)
        return default if value is None else value

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the (first) output."""
        result = self.node.meta["val"]
        return tuple((result[0] if isinstance(result, tuple | list) else result).shape)

    @property
    def activations(self) -> list[Value]:
        """Arguments that depend on the image, including those in lists."""
        return [value for value in self.tensors if not value.constant]

    @property
    def tensors(self) -> list[Value]:
        """Arguments that are tensors, including those in lists."""
        leaves = torch.utils._pytree.tree_leaves((self.args, self.kwargs))
        return [leaf for leaf in leaves if isinstance(leaf, Value)]

    @property
    def operation(self) -> str:
        """Name of the operation; of the plain one for in-place variants."""
        if not isinstance(self.target, torch._ops.OpOverload):
            return str(getattr(self.target, "__name__", self.target))
        return str(self.target.overloadpacket._qualified_op_name).removeprefix("aten::").rstrip("_")

    @property
    def path(self) -> str:
        """Path of the innermost module that makes the call; empty for the model itself."""
        stack = list(self.node.meta.get("nn_module_stack", {}).values())
        return re.sub(r"@\d+", "", stack[-1][0]) if stack else ""

    def error(self, reason: str) -> ConfigError:
        """ConfigError for an operation that cannot be traced; names the user's line, the module and the operation."""
        stack = list(self.node.meta.get("nn_module_stack", {}).values())
        kind = str(stack[-1][1]).rpartition(".")[2] if stack else "model"
        where = f"module {self.path!r} ({kind})" if self.path else "the network itself"
        calls = re.findall(r'File "(.+)", line (\d+)', self.node.meta.get("stack_trace") or "")
        place = user_place((file, int(line)) for file, line in calls)
        operation = self.target if isinstance(self.target, torch._ops.OpOverload) else self.operation
        return ConfigError(f"{f'{place}: ' if place else ''}{where}: operation {operation}: {reason}")


Handler = Callable[["Builder", Call], Any]


class Builder:
    """Layers found so far, for an image of ``size`` (height, width).

    ``name`` is that of layers which the network itself computes without a submodule; ``leaves`` are the paths of the
    modules without submodules.
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
        """Add a layer with the operands ``inputs`` (codes) and return its output.

        ``order``: position at which it computes an element of its output, broadcast to ``shape``; ``label``: name in
        its module, if not by operation or module alone; ``fields``: other fields of `Layer`.
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
