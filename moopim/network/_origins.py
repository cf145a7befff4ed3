"""Origins of layer inputs, found by following the values of one image through a module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from moopim.errors import ConfigError
from moopim.network.tools import weighted_layers

FROM_IMAGE = "<image>"
"""Placeholder of the image where the path of a module is expected."""

_INPUT = "<input>"
"""Prefix of the path of a layer for the grid of its inputs while it runs."""

_NORMS = nn.modules.batchnorm._BatchNorm

_MOVES = (
    "_reshape_alias _unsafe_view abs adaptive_max_pool2d alias as_strided cat channel_shuffle clone constant_pad_nd "
    "contiguous detach expand flatten flip max_pool1d max_pool2d max_pool2d_with_indices max_pool3d_with_indices neg "
    "permute pixel_shuffle pixel_unshuffle reflection_pad1d reflection_pad2d relu repeat replication_pad1d "
    "replication_pad2d reshape roll select slice split split_with_sizes squeeze stack t transpose unbind unfold "
    "unsqueeze upsample_nearest2d view"
)
"""Operations that only select, repeat or move values, set them to 0, or change their sign."""

_PRODUCTS = (
    "_convolution _native_multi_head_attention _transformer_encoder_layer_fwd _trilinear addbmm addmm addmv baddbmm "
    "bmm convolution linear mkldnn_rnn_layer mm mv"
)
"""Operations that may multiply by weights."""

_SHAPES = "empty_like full_like new_empty new_empty_strided new_full new_ones new_zeros ones_like zeros_like"
"""Operations that take only the shape of a tensor."""


class Origin(NamedTuple):
    """Origin of values.

    Attributes:
        layer: Path of the weighted layer that produced them, of the first one where there are several, or `FROM_IMAGE`.
        grid: Path of the module whose outputs they are but for moves, ReLU and maximum pooling, or `FROM_IMAGE`; None
            if another operation changed them.
    """

    layer: str
    grid: str | None


def find_origins(
    model: nn.Module, image_shape: Sequence[int]
) -> tuple[dict[str, list[Origin]], dict[str, list[Origin]]]:
    """Origins of the inputs of the weighted layers and of the batch norms, by path and call, in the order of running.

    The module is run on a zero image of `image_shape` in evaluation mode and left as it was. Modules that do not run
    are left out, and so are those whose inputs do not depend on the image, such as layers that make positions: their
    outputs are constant. Raises ConfigError, naming the path of the module, if the module cannot be run, or multiplies
    by weights that are not those of a convolution or linear layer that is called.
    """
    layers = weighted_layers(model)
    norms = {path: module for path, module in model.named_modules() if isinstance(module, _NORMS)}
    first = next(model.parameters())
    image = torch.zeros((1, *image_shape), device=first.device, dtype=first.dtype)
    follower = _Follower(model, image)
    training = {module: module.training for module in model.modules()}
    handles = follower.watch(layers, norms)
    try:
        model.eval()
        with torch.no_grad():
            with follower:
                model(image)
            _remove(handles)
            both = [path for path in follower.constant if path in follower.layers]
            if both:
                raise ConfigError(
                    f"layer {both[0]!r} runs on inputs that depend on the image and on others that do not; expected "
                    "one or the other"
                )
            if follower.constant:
                _check_constant(model, follower.constant, image)
    except ConfigError:
        raise
    except Exception as error:
        size = "x".join(map(str, image_shape))
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConfigError(f"{type(model).__name__} cannot be run on an image of {size}: {reason}") from error
    finally:
        _remove(handles)
        for module, flag in training.items():
            module.training = flag
    return follower.layers, follower.norms


def _check_constant(model: nn.Module, constant: Mapping[str, list[Tensor]], image: Tensor) -> None:
    """Raise ConfigError for layers whose input changes with the image although it could not be followed."""
    expected = {path: iter(inputs) for path, inputs in constant.items()}
    handles: list[Any] = []
    for path in constant:

        def compare(module: nn.Module, inputs: Any, path: str = path) -> None:
            del module
            if not torch.equal(inputs[0], next(expected[path])):
                raise ConfigError(
                    f"input of layer {path!r} depends on the image in a way that cannot be followed; expected "
                    "operations of torch only"
                )

        handles.append(model.get_submodule(path).register_forward_pre_hook(compare))
    try:
        model(torch.rand(image.shape, generator=torch.Generator().manual_seed(1)).to(image))
    finally:
        _remove(handles)


def _remove(handles: Sequence[Any]) -> None:
    for handle in handles:
        handle.remove()


class _Follower(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Dispatch mode that records the origin of every tensor that depends on the image."""

    def __init__(self, model: nn.Module, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.layers: dict[str, list[Origin]] = {}
        self.norms: dict[str, list[Origin]] = {}
        self.constant: dict[str, list[Tensor]] = {}
        self._model = model
        self._inside: list[str] = []  # paths of the layers that are being called
        # The tensors are kept alive: another one could get the id or the memory of a deleted one.
        self._known: dict[int, tuple[Tensor, Origin]] = {}
        self._changed: dict[int, Origin] = {}  # by address of memory that values were written into
        self._mark(image, Origin(FROM_IMAGE, FROM_IMAGE))

    def watch(self, layers: Mapping[str, nn.Module], norms: Mapping[str, nn.Module]) -> list[Any]:
        """Register hooks on modules; return their handles."""
        handles: list[Any] = []
        for path, module in layers.items():

            def enter(module: nn.Module, inputs: Any, path: str = path) -> None:
                del module
                self._inside.append(path)
                origin = self._origin_of_input(path, inputs)
                if origin is None:
                    self.constant.setdefault(path, []).append(inputs[0].clone())
                else:
                    self.layers.setdefault(path, []).append(origin)
                    self._mark(inputs[0], Origin(origin.layer, _INPUT + path))

            def leave(module: nn.Module, inputs: Any, output: Any, path: str = path) -> None:
                del module
                self._inside.pop()
                if self._origin_of_input(path, inputs) is not None:
                    self._mark(inputs[0], self.layers[path][-1])
                    self._mark(output, Origin(path, path))

            handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
        for path, module in norms.items():

            def normalise(module: nn.Module, inputs: Any, output: Any, path: str = path) -> None:
                del module
                origin = self._origin_of_input(path, inputs)
                if origin is not None:
                    self.norms.setdefault(path, []).append(origin)
                    self._mark(output, Origin(origin.layer, path))

            handles.append(module.register_forward_hook(normalise))
        return handles

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Whether torch's compiler must skip the method below, for which torch would load it (2 s)."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        origins = [origin for origin in map(self._origin, tensors) if origin is not None]
        name = func.overloadpacket.__name__.rstrip("_")
        if not origins or name in _SHAPES.split():
            return result
        if name in _PRODUCTS.split():
            self._check_product(name, tensors, origins)
        first = origins[0]
        moved = name in _MOVES.split() and all(origin.grid == first.grid for origin in origins)
        filled = name == "constant_pad_nd" and any(args[2:])
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._mark(leaf, Origin(first.layer, first.grid if moved and not filled else None))
        for argument, value in zip(func._schema.arguments, args, strict=False):
            if argument.is_write and isinstance(value, Tensor):
                self._changed[value.untyped_storage().data_ptr()] = Origin(first.layer, None)
                if value._base is not None:
                    self._mark(value._base, Origin(first.layer, None))
        return result

    def _check_product(self, name: str, tensors: Sequence[Tensor], origins: Sequence[Origin]) -> None:
        """Raise ConfigError unless a product is of the inputs and the weights of the layer that is running."""
        weights = [owner for owner in map(_weight, tensors) if owner is not None]
        if not self._inside:
            if weights:
                raise ConfigError(_misused(self._model, weights[0], name))
            return
        path = self._inside[-1]
        layer = self._model.get_submodule(path)
        if not any(owner is layer.weight for owner in weights):
            reason = "multiplies by other weights than its own, such as standardised ones"
        # Torch writes a circular padding piece by piece.
        elif any(origin.grid != _INPUT + path for origin in origins) and vars(layer).get("padding_mode") != "circular":
            reason = "changes its inputs before it multiplies them"
        else:
            return
        raise ConfigError(
            f"layer {path!r} ({type(layer).__name__}) {reason}; expected one that multiplies its inputs by the weights "
            "that it holds"
        )

    def _mark(self, tensor: Tensor, origin: Origin) -> None:
        self._known[id(tensor)] = (tensor, origin)

    def _origin(self, tensor: Tensor) -> Origin | None:
        """Origin of a tensor; None if it does not depend on the image."""
        if id(tensor) in self._known:
            return self._known[id(tensor)][1]
        return self._changed.get(tensor.untyped_storage().data_ptr())

    def _origin_of_input(self, path: str, inputs: Any) -> Origin | None:
        tensor = next(iter(inputs), None)
        if not isinstance(tensor, Tensor):
            raise ConfigError(f"input of layer {path!r} is not given by position; expected one tensor")
        return self._origin(tensor)


def _weight(tensor: Tensor) -> nn.Parameter | None:
    """Matrix of parameters that a tensor is, or is a view of; None for a bias."""
    owner = tensor if tensor._base is None else tensor._base
    return owner if isinstance(owner, nn.Parameter) and owner.dim() > 1 else None


def _misused(model: nn.Module, weight: nn.Parameter, operation: str) -> str:
    """Message for weights used by an operation outside of all layers."""
    name = next(name for name, parameter in model.named_parameters() if parameter is weight)
    path, _, attribute = name.rpartition(".")
    owner = model.get_submodule(path)
    what = f"module {path!r} ({type(owner).__name__})" if path else type(owner).__name__
    if path in weighted_layers(model):
        return f"operation {operation} uses {attribute!r} of {what} outside of it; expected a layer that is called"
    return (
        f"operation {operation} multiplies by {attribute!r} of {what}, which is no layer that can be quantised; "
        "expected Conv1d, Conv2d, Conv3d and Linear, called as modules"
    )
