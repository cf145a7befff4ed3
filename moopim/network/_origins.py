"""Where the inputs of layers come from: one image is run through a module and its values are followed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from moopim.errors import ConfigError
from moopim.network.tools import weighted_layers

__all__ = ["IMAGE", "Origin", "find_origins"]

IMAGE = "<image>"
"""Stands for the image where the path of a module is expected."""

_INPUT = "<input>"
"""Stands in front of the path of a layer for the grid of its inputs while it is being called."""

_NORMS = nn.modules.batchnorm._BatchNorm

_MOVES = (
    "_reshape_alias _unsafe_view abs adaptive_max_pool2d alias as_strided cat channel_shuffle clone constant_pad_nd "
    "contiguous detach expand flatten flip max_pool1d max_pool2d max_pool2d_with_indices max_pool3d_with_indices neg "
    "permute pixel_shuffle pixel_unshuffle reflection_pad1d reflection_pad2d relu repeat replication_pad1d "
    "replication_pad2d reshape roll select slice split split_with_sizes squeeze stack t transpose unbind unfold "
    "unsqueeze upsample_nearest2d view"
)
"""Operations that only pick, repeat or move values, make them 0, or change their sign."""

_PRODUCTS = (
    "_convolution _native_multi_head_attention _transformer_encoder_layer_fwd _trilinear addbmm addmm addmv baddbmm "
    "bmm convolution linear mkldnn_rnn_layer mm mv"
)
"""Operations that may multiply by weights."""

_SHAPES = "empty_like full_like new_empty new_empty_strided new_full new_ones new_zeros ones_like zeros_like"
"""Operations that take a shape from a tensor, and no values."""


class Origin(NamedTuple):
    """Where values come from.

    Attributes:
        layer: Path of the layer with weights that made them, of the first one where there are several, or `IMAGE`.
        grid: Path of the module whose outputs they are but for moves, ReLU and maximum pooling, or `IMAGE`; None if
            something else changed them.
    """

    layer: str
    grid: str | None


def find_origins(
    model: nn.Module, image_shape: Sequence[int]
) -> tuple[dict[str, list[Origin]], dict[str, list[Origin]]]:
    """Follows the values of an image through a module.

    Args:
        model: The module; it is run in evaluation mode and left as it was.
        image_shape: Shape of an image, such as channels, height, width.

    Returns:
        For the layers with weights, and for the batch norms, in the order in which they run: path -> origin of the
        input of each of its calls. Modules that do not run are left out, and so are those whose inputs do not depend on
        the image, such as layers that make positions: what they give can be computed once.

    Raises:
        ConfigError: If the module cannot be run, or multiplies by weights that are not those of a convolution or linear
            layer that is called; names the path of the module that has them.
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
    """Refuses layers that another image does reach, by a way on which it could not be followed."""
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
    """Knows the origin of every tensor that depends on the image."""

    def __init__(self, model: nn.Module, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.layers: dict[str, list[Origin]] = {}
        self.norms: dict[str, list[Origin]] = {}
        self.constant: dict[str, list[Tensor]] = {}
        self._model = model
        self._inside: list[str] = []  # paths of the layers that are being called
        # The tensors are kept, or another one could get the number or the memory of one that is gone.
        self._known: dict[int, tuple[Tensor, Origin]] = {}
        self._changed: dict[int, Origin] = {}  # address of memory that values were written into
        self._mark(image, Origin(IMAGE, IMAGE))

    def watch(self, layers: Mapping[str, nn.Module], norms: Mapping[str, nn.Module]) -> list[Any]:
        """Adds hooks to modules and returns their handles."""
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
        """Whether torch's compiler is to be kept off the method below, for which torch would load it: 2 s."""
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
        """Refuses a product that is not of the inputs and the weights of the layer that is being called."""
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
        """None if a tensor does not depend on the image."""
        if id(tensor) in self._known:
            return self._known[id(tensor)][1]
        return self._changed.get(tensor.untyped_storage().data_ptr())

    def _origin_of_input(self, path: str, inputs: Any) -> Origin | None:
        tensor = next(iter(inputs), None)
        if not isinstance(tensor, Tensor):
            raise ConfigError(f"input of layer {path!r} is not given by position; expected one tensor")
        return self._origin(tensor)


def _weight(tensor: Tensor) -> nn.Parameter | None:
    """The matrix of parameters that a tensor is, or is a view of; a bias is none."""
    owner = tensor if tensor._base is None else tensor._base
    return owner if isinstance(owner, nn.Parameter) and owner.dim() > 1 else None


def _misused(model: nn.Module, weight: nn.Parameter, operation: str) -> str:
    """Says whose weights an operation outside of all layers uses."""
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
