"""Layers of a torch module: its exported graph of ATen operations, interpreted without numbers."""

import inspect
import io
import logging
import operator
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from moopim.errors import ConfigError
from moopim.user_code import reason
from moopim.workload._trace_layers import LAYERS
from moopim.workload._trace_moves import FREE, function
from moopim.workload._trace_state import Builder, Call, Value, constant, user_place
from moopim.workload.layers import Layer

_HANDLERS = {**FREE, **LAYERS}
_SUPPORTED = (
    "conv1d, conv2d, linear, matrix products, attention, pools, means, interpolation, sums and products of "
    "activations, and what is free (documentation, 'Your own network')"
)
_LONGEST_REASON = 200
_NUMBERS = (
    "what is computed depends on the numbers of the image; expected branches and sizes that depend on shapes only"
)
_NEEDS_NUMBERS = (GuardOnDataDependentSymNode, DataDependentOutputException, DynamicOutputShapeException)


class _ChangedInPlaceError(ConfigError):
    """In-place change of a part of a tensor, which torch can rewrite out of the graph."""


def find_layers(model: nn.Module, shape: tuple[int, int, int]) -> list[Layer]:
    """Layers that the output of a module depends on, in topological order, at least one.

    ``shape`` is that of the image, (channels, height, width).
    """
    try:
        with _quiet(model):
            program = _export(model, shape)
            try:
                layers = _read(program, model, shape)
            except _ChangedInPlaceError:
                layers = _read(_export(model, shape, rewritten=True), model, shape)
        if not layers:
            place = f"{file}: " if (file := _file(model)) else ""
            raise ConfigError(f"{place}no layer lies between its input and its output; expected outputs of layers")
        return layers
    except ConfigError as error:
        size = "x".join(map(str, shape))
        raise ConfigError(f"{type(model).__name__} cannot be traced with an input of {size}: {error}") from error


@contextmanager
def _quiet(model: nn.Module) -> Iterator[None]:
    """Context without gradients and without torch's fused attention, which hides its layers.

    Training flags are restored. torch reports failed exports in its log and on standard error, before it raises the
    error that repeats them.
    """
    training = {module: module.training for module in model.modules()}
    fused, disabled = torch.backends.mha.get_fastpath_enabled(), logging.root.manager.disable
    printed = io.StringIO()
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        logging.disable()
        with torch.no_grad(), warnings.catch_warnings(), redirect_stderr(printed):
            warnings.simplefilter("ignore")  # of torch about its own workings
            yield
        sys.stderr.write(printed.getvalue())  # all went well: it is the network's own
    finally:
        logging.disable(disabled)
        torch.backends.mha.set_fastpath_enabled(fused)
        for module, flag in training.items():
            module.training = flag


def _export(model: nn.Module, shape: tuple[int, int, int], *, rewritten: bool = False) -> torch.export.ExportedProgram:
    tensors = (tensor for tensor in (*model.parameters(), *model.buffers()) if tensor.is_floating_point())
    like = next(tensors, torch.empty(0))
    try:
        image = torch.zeros((1, *shape), device=like.device, dtype=like.dtype)
        _check_arguments(model, image)
        model.eval()
        program = torch.export.export(model, (image,), strict=False)
        return program.run_decompositions({}) if rewritten else program
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{_place(error, model)}{_explanation(error)}") from error


def _check_arguments(model: nn.Module, image: Tensor) -> None:
    """Raise ConfigError unless ``forward`` takes one image batch."""
    try:
        signature = inspect.signature(model.forward)
    except (TypeError, ValueError):  # of compiled code, which has none
        return
    try:
        signature.bind(image)
    except TypeError as error:
        message = f"{_place(error, model)}forward{signature} takes no single batch of images: {error}"
        raise ConfigError(message) from error


def _place(error: BaseException, model: nn.Module) -> str:
    """Prefix of a message: line of the user's code and module of the network that failed, as far as known."""
    frames = list(traceback.walk_tb(error.__traceback__))
    place = user_place((frame.f_code.co_filename, line) for frame, line in frames)
    paths = {module: path for path, module in model.named_modules() if path}
    callers = (frame.f_locals.get("self") for frame, _ in reversed(frames) if frame.f_code.co_name == "_call_impl")
    inner = next((module for module in callers if isinstance(module, nn.Module) and module in paths), None)
    module = f"module {paths[inner]!r} ({type(inner).__name__})" if inner is not None else ""
    return "".join(f"{part}: " for part in (place or _file(model), module) if part)


def _file(model: nn.Module) -> str:
    """The user's file that defines the class of a network, or ""."""
    try:
        return user_place([(inspect.getfile(type(model)), None)])
    except (OSError, TypeError):  # a class that was made elsewhere
        return ""


def _explanation(error: BaseException) -> str:
    """Cause of a failed trace and its remedy."""
    if isinstance(error, _NEEDS_NUMBERS):
        return _NUMBERS
    return f"{_line(error)}; expected a network that takes such images and that torch.export can follow"


def _line(error: BaseException) -> str:
    """First line of an explanation, shortened."""
    lines = [line.strip() for line in reason(error).splitlines() if line.strip()]
    return lines[0][:_LONGEST_REASON].rstrip(".")


def _read(program: torch.export.ExportedProgram, model: nn.Module, shape: tuple[int, int, int]) -> list[Layer]:
    leaves = frozenset(path for path, module in model.named_modules() if next(module.children(), None) is None)
    builder = Builder(shape[1:], type(model).__name__, leaves)
    reader = _Reader(program, builder, shape[0])
    outputs = torch.utils._pytree.tree_leaves(reader.run())
    codes = [output.code for output in outputs if isinstance(output, Value)]
    return _needed(builder.layers, [place for code in codes for place in builder.origins.producers(code)])


def _needed(layers: Sequence[Layer], ends: Sequence[int]) -> list[Layer]:
    """The layers that some others depend on, renumbered."""
    needed, waiting = set(), [place for place in ends if place >= 0]
    while waiting:
        place = waiting.pop()
        if place not in needed:
            needed.add(place)
            waiting.extend(producer for producer in layers[place].inputs if producer >= 0)
    number = {place: i for i, place in enumerate(sorted(needed))}
    return [
        layers[place]._replace(inputs=tuple(number.get(producer, producer) for producer in layers[place].inputs))
        for place in sorted(needed)
    ]


class _Reader(torch.fx.Interpreter):
    """Runs the graph on `Value` in place of tensors."""

    def __init__(self, program: torch.export.ExportedProgram, builder: Builder, channels: int) -> None:
        super().__init__(program.graph_module)
        self.extra_traceback = False  # it would be put into the text of errors
        self._builder = builder
        self._image = set(program.graph_signature.user_inputs)
        self._channels = channels
        signature = program.graph_signature
        sources = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        self._state = {name: program.state_dict.get(source) for name, source in sources.items()}
        self._state |= {
            name: program.constants.get(source)
            for name, source in {
                **signature.inputs_to_buffers,
                **signature.inputs_to_lifted_tensor_constants,
            }.items()
            if self._state.get(name) is None
        }

    def run_node(self, n: torch.fx.Node) -> Any:
        if n.op == "placeholder":
            return self._placeholder(n)
        if n.op != "call_function" or n.target is operator.getitem:
            return super().run_node(n)
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        call = Call(n, args, kwargs)
        if isinstance(n.target, torch._ops.HigherOrderOperator):
            raise call.error("control flow that depends on the image is not supported")
        if not isinstance(n.target, torch._ops.OpOverload):
            raise call.error("not supported")
        return self._call(call)

    def _placeholder(self, node: torch.fx.Node) -> Any:
        if node.name in self._image:
            return self._builder.origins.image(self._channels)
        result = node.meta.get("val")
        if not isinstance(result, Tensor):
            return result
        state = self._state.get(node.name)
        # A copy: the graph may change it in place.
        return constant(result.shape, state.cpu().clone() if state is not None and _is_index(state) else None)

    def _call(self, call: Call) -> Any:
        if not call.activations:
            return _constants(call)
        handler = _HANDLERS.get(call.operation)
        if call.target._schema.is_mutable and handler is not function and _is_shared(call.node):
            raise _ChangedInPlaceError(str(call.error("this change of a part of a tensor in place is not supported")))
        if handler is None or call.target.namespace != "aten":
            raise call.error(_NUMBERS if _needs_numbers(call) else f"not supported; supported are {_SUPPORTED}")
        try:
            result = handler(self._builder, call)
        except ConfigError:
            raise
        except Exception as error:
            raise call.error(_NUMBERS if _needs_numbers(call) else f"cannot be followed: {_line(error)}") from error
        if isinstance(result, Value) and isinstance(call.node.meta["val"], tuple | list):
            return result, None  # the places where a maximum was found
        return result


def _needs_numbers(call: Call) -> bool:
    """Whether the result of an operation is a number or a size that depends on the image."""
    tags = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
    return call.operation == "item" or not tags.isdisjoint(call.target.tags)


def _constants(call: Call) -> Any:
    """Result of an operation on parameters, independent of the image."""
    result = call.node.meta.get("val")
    if isinstance(result, tuple | list):
        return tuple(constant(part.shape) if isinstance(part, Tensor) else part for part in result)
    if not isinstance(result, Tensor):
        return result
    tensors = call.tensors
    if not _is_index(result) or any(value.known is None for value in tensors):
        return constant(result.shape)

    def numbers(item: Any) -> Any:
        if isinstance(item, torch.device):
            return torch.device("cpu")
        return item.known if isinstance(item, Value) else item

    args, kwargs = torch.utils._pytree.tree_map(numbers, (call.args, call.kwargs))
    return constant(result.shape, call.target(*args, **kwargs))


def _is_index(tensor: Tensor) -> bool:
    """Whether a tensor holds whole numbers in memory (not on the ``meta`` device)."""
    return not tensor.is_floating_point() and not tensor.is_complex() and tensor.device.type != "meta"


def _is_view(node: torch.fx.Node) -> bool:
    """Whether the output of a node shares the memory of its input."""
    schema = getattr(node.target, "_schema", None)
    return schema is not None and not schema.is_mutable and any(item.alias_info for item in schema.returns)


def _is_shared(node: torch.fx.Node) -> bool:
    """Whether an in-place change is visible through another tensor."""
    child, tensor = node, node.all_input_nodes[0]
    if any(user is not node and _is_view(user) for user in tensor.users):
        return True
    while _is_view(tensor):
        child, tensor = tensor, tensor.all_input_nodes[0]
        if any(user is not child for user in tensor.users):
            return True
    return False
