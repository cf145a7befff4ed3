"""Where each value of a tensor comes from, while a network is traced.

Every element of an activation carries a code: its producer, and the position in the producer's order at which it is
known. Operations that only move values are run on the codes themselves, so that every reordering is seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from moopim.workload.layers import IMAGE

__all__ = ["CONSTANT", "Origins", "Value", "compact", "constant", "thin"]

CONSTANT = -1
"""Code of an element that no layer makes: a parameter or a number."""
_SHIFT = 32  # bits of the position in a code
_MASK = (1 << _SHIFT) - 1


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the network, without its numbers.

    Attributes:
        code: Producer and position of each element; shape of the tensor.
        constant: Whether it depends on parameters only.
        known: Its numbers, kept of constant integers only: they may be indices.
        root: Tensor of which it is an element-wise function; two functions of one tensor are one again.
        statistic: Whether it is a statistic of a normalisation, such as a mean over channels.
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
    """A tensor that no layer makes."""
    return Value(torch.tensor(CONSTANT).expand(tuple(shape)), constant=True, known=known)


def compact(code: Tensor) -> Tensor:
    """A view with one element along each dimension along which the codes are one number in memory."""
    for dim, stride in enumerate(code.stride()):
        if stride == 0 and code.shape[dim] > 1:
            code = code.narrow(dim, 0, 1)
    return code


def thin(code: Tensor) -> Tensor:
    """The same codes with one number in memory along each dimension along which they are equal."""
    small = compact(code)
    for dim, size in enumerate(small.shape):
        if size > 1 and bool((small == small.narrow(dim, 0, 1)).all()):
            small = small.narrow(dim, 0, 1)
    return small.expand(code.shape)


def _origins(code: Tensor) -> list[int]:
    """Numbers of the producers that occur, in increasing order; `CONSTANT` for none."""
    return (torch.bincount((compact(code) >> _SHIFT).reshape(-1) + 1).nonzero().flatten() - 1).tolist()


class Origins:
    """The producers of one network, numbered; codes hold the number.

    A producer is a layer, the image, or several of them whose values were mixed.

    Args:
        size: Height and width of the image.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._places: list[tuple[int, ...]] = [(IMAGE,)]
        self._sizes: list[tuple[int, int]] = [size]
        self._mixed: dict[tuple[int, ...], int] = {}

    def make(self, place: int, size: tuple[int, int], order: Tensor, shape: Sequence[int]) -> Value:
        """The output of a layer.

        Args:
            place: Place of the layer.
            size: Height and width of its output.
            order: Position at which an element is made, broadcast to the shape.
            shape: Shape of the output.

        Returns:
            The output, with codes of a producer of its own.
        """
        self._places.append((place,))
        self._sizes.append(size)
        return Value(((len(self._places) - 1 << _SHIFT) + order).expand(tuple(shape)))

    def image(self, channels: int) -> Value:
        """The image, shape ``(1, channels, height, width)``."""
        height, width = self._sizes[0]
        return Value(torch.arange(height * width).view(1, 1, height, width).expand(1, channels, height, width))

    def producers(self, code: Tensor) -> tuple[int, ...]:
        """Places of the layers that a tensor comes from, in the order in which they appear in it."""
        origins = torch.unique_consecutive(compact(code).reshape(-1) >> _SHIFT).tolist()
        places = (place for origin in dict.fromkeys(origins) if origin >= 0 for place in self._places[origin])
        return tuple(dict.fromkeys(places))

    def position(self, code: Tensor) -> Tensor:
        """Position of each element in its producer's order."""
        return code & _MASK

    def is_late(self, code: Tensor, order: Tensor, count: int) -> bool:
        """Tells whether a consumer needs values before their turn.

        Args:
            code: Codes of its input.
            order: Its position at which it needs an element; broadcasts to the codes.
            count: Number of its positions.

        Returns:
            Whether a producer has another number of positions, save a single one, or makes some element later in its
            order than the consumer needs it.
        """
        code = compact(code)
        counts = torch.tensor([height * width for height, width in self._sizes])[code >> _SHIFT]
        wrong = (counts != count) | ((code & _MASK) > order)
        return bool((wrong & (counts != 1) & (code != CONSTANT)).any())

    def size(self, code: Tensor, count: int) -> tuple[int, int]:
        """Height and width of a map of positions: those of the producer if it has as many, else one row."""
        for origin in _origins(code):
            height, width = self._sizes[origin] if origin >= 0 else (0, 0)
            if height * width == count:
                return height, width
        return 1, count

    def lead(self, codes: Sequence[Tensor]) -> tuple[Tensor, int]:
        """The order in which an element-wise operation on several tensors makes its output.

        It is the order of the operand with most positions that has as many elements at each of them.

        Args:
            codes: Codes of the operands, all of one shape.

        Returns:
            Position of each element, broadcasting to the shape, and the number of positions.
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
        """Codes of a tensor whose elements each depend on one element of each operand.

        Args:
            codes: Codes of the operands, all of one shape.

        Returns:
            Codes: the latest of the positions.
        """
        merged, *others = map(compact, codes)
        for code in others:
            merged = torch.maximum(self._unify(merged, code), self._unify(code, merged))
        return merged.expand(codes[0].shape)

    def mix(self, code: Tensor, dims: Sequence[int]) -> Tensor:
        """Codes of a tensor whose elements depend on all elements along some dimensions, which are kept.

        Args:
            code: Codes of the input.
            dims: The dimensions.

        Returns:
            Codes, same shape: the latest of the positions.
        """
        small = compact(code)
        return self._unify(small, small).amax(tuple(dims), keepdim=True).expand(code.shape)

    def _unify(self, code: Tensor, other: Tensor) -> Tensor:
        """Codes as they are if both tensors have one producer in all, else with all of their producers as one."""
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
