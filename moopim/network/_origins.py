"""Where the inputs of layers come from: one image is run through a module and its values are followed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from moopim.errors import ConfigError
from moopim.network._layers import weighted_layers

__all__ = ["IMAGE", "Origin", "find_origins"]

IMAGE = "<image>"
"""Stands for the image where the path of a module is expected."""

_NORMS = nn.modules.batchnorm._BatchNorm

_MOVES = (
    "_reshape_alias _unsafe_view abs adaptive_max_pool2d alias as_strided cat channel_shuffle clone constant_pad_nd "
    "contiguous detach expand flatten flip max_pool1d max_pool2d max_pool2d_with_indices max_pool3d_with_indices neg "
    "permute pixel_shuffle pixel_unshuffle relu repeat reshape roll select slice split split_with_sizes squeeze stack "
    "t transpose unbind unfold unsqueeze upsample_nearest2d view"
)
"""Operations that only pick, repeat or move values, make them 0, or change their sign."""

_PRODUCTS = "_convolution _native_multi_head_attention _transformer_encoder_layer_fwd addmm bmm convolution linear mm"
"""Operations that may multiply by weights."""


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
        input of each of its calls. Modules that do not run are left out.

    Raises:
        ConfigError: If the module cannot be run, or uses weights outside of a convolution or linear layer.
    """
    layers = weighted_layers(model)
    norms = {path: module for path, module in model.named_modules() if isinstance(module, _NORMS)}
    first = next(model.parameters())
    image = torch.zeros((1, *image_shape), device=first.device, dtype=first.dtype)
    follower = _Follower(image)
    training = {module: module.training for module in model.modules()}
    handles = follower.watch(layers, norms)
    try:
        model.eval()
        with torch.no_grad(), follower:
            model(image)
    except ConfigError:
        raise
    except Exception as error:
        size = "x".join(map(str, image_shape))
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConfigError(f"{type(model).__name__} cannot be run on an image of {size}: {reason}") from error
    finally:
        for handle in handles:
            handle.remove()
        for module, flag in training.items():
            module.training = flag
    return follower.layers, follower.norms


class _Follower(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Knows the origin of every tensor that depends on the image."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.layers: dict[str, list[Origin]] = {}
        self.norms: dict[str, list[Origin]] = {}
        self._inside: str | None = None
        # The tensors are kept, or another one could get the number of one that is gone.
        self._known: dict[int, tuple[Tensor, Origin]] = {}
        self._mark(image, Origin(IMAGE, IMAGE))

    def watch(self, layers: Mapping[str, nn.Module], norms: Mapping[str, nn.Module]) -> list[Any]:
        """Adds hooks to modules and returns their handles."""
        handles: list[Any] = []
        for path, module in layers.items():

            def enter(module: nn.Module, inputs: Any, path: str = path) -> None:
                del module
                self._inside = path
                self.layers.setdefault(path, []).append(self._origin_of_input(path, inputs))

            def leave(module: nn.Module, inputs: Any, output: Any, path: str = path) -> None:
                del module, inputs
                self._inside = None
                self._mark(output, Origin(path, path))

            handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
        for path, module in norms.items():

            def normalise(module: nn.Module, inputs: Any, output: Any, path: str = path) -> None:
                del module
                origin = self._origin_of_input(path, inputs)
                self.norms.setdefault(path, []).append(origin)
                self._mark(output, Origin(origin.layer, path))

            handles.append(module.register_forward_hook(normalise))
        return handles

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        origins = [self._known[id(tensor)][1] for tensor in tensors if id(tensor) in self._known]
        name = func.overloadpacket.__name__.rstrip("_")
        if not origins:
            return result
        if name in _PRODUCTS.split() and self._inside is None and any(map(_is_weight, tensors)):
            raise ConfigError(
                f"operation {name} uses weights that are not those of a torch.nn convolution or linear layer; expected "
                "layers that are called as modules"
            )
        first = origins[0]
        moved = name in _MOVES.split() and all(origin.grid == first.grid for origin in origins)
        filled = name == "constant_pad_nd" and any(args[2:])
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._mark(leaf, Origin(first.layer, first.grid if moved and not filled else None))
        return result

    def _mark(self, tensor: Tensor, origin: Origin) -> None:
        self._known[id(tensor)] = (tensor, origin)

    def _origin_of_input(self, path: str, inputs: Any) -> Origin:
        tensor = next(iter(inputs), None)
        if not isinstance(tensor, Tensor) or id(tensor) not in self._known:
            raise ConfigError(f"input of layer {path!r} does not come from the image, or not by position")
        return self._known[id(tensor)][1]


def _is_weight(tensor: Tensor) -> bool:
    """Whether a tensor is a matrix of parameters or a view of one; a bias is not."""
    owner = tensor if tensor._base is None else tensor._base
    return isinstance(owner, nn.Parameter) and owner.dim() > 1
