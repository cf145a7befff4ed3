"""Quantiser of CrossNAS: integer codes times one step, with a straight-through gradient.

Equations (5) and (6) of CrossNAS (arXiv 2505.22868), read as MNSIM 2.0 does (IEEE TCAD 2023,
doi:10.1109/TCAD.2023.3251696): uniform, symmetric, 0 is a level, one bit holds the sign. The sign bit of ReLU outputs
is unused and kept.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from moopim.checks import is_whole
from moopim.errors import ConfigError

LEAST_BITS = 2
"""Fewest bits: a sign and one digit."""
MOST_BITS = 16
"""Most bits: single precision still separates neighbouring codes with room for rounding."""
MOMENTUM = 0.707
"""Weight of the old scale in eq. (6): MNSIM 2.0's value; CrossNAS gives none."""
SIGMAS = 3.0
"""Standard deviations that the scale of activations covers, eq. (6)."""
UNSET = -1.0
"""Scale of activations before the first measurement; in MNSIM, too, a scale that is not positive is unset."""

_LARGEST_SINGLE = 2**11  # 11 bits of theta and 12 of a tie are 23


class Grid(NamedTuple):
    """Grid of a quantiser: integer codes from ``-theta`` to ``theta`` times a step.

    Attributes:
        alpha: Full scale, the value of the largest code; a scalar tensor in the unit of the values.
        bits: Width, sign included.
    """

    alpha: Tensor
    bits: int

    @property
    def step(self) -> Tensor:
        """Value of one code, a scalar tensor: ``alpha / theta``."""
        return self.alpha / largest_code(self.bits)

    def codes(self, values: Tensor) -> Tensor:
        """Codes of values (int32, same shape)."""
        return integer_codes(values, self.alpha, self.bits)


def check_bits(what: str, bits: object) -> int:
    """Width as an int; raise ConfigError unless it is a whole number from `LEAST_BITS` to `MOST_BITS`."""
    if not is_whole(bits, LEAST_BITS, MOST_BITS):
        raise ConfigError(f"{what} has {bits!r} bits; expected a whole number {LEAST_BITS} .. {MOST_BITS}")
    return int(bits)


def largest_code(bits: int) -> int:
    """Largest code of a width, sign included: ``theta = 2^(bits - 1) - 1``."""
    return int(2 ** (check_bits("a quantiser", bits) - 1) - 1)


def quantise(x: Tensor, alpha: Tensor, bits: int) -> Tensor:
    """Round values to a grid, eq. (5): ``clip(round(theta x / alpha), -theta, theta) alpha / theta``, same shape.

    `alpha` is a scalar tensor >= 0; at 0 every value becomes 0. Ties go to the even code. The gradient for ``x`` passes
    unchanged, outside of the clipping range too, as in MNSIM; none reaches ``alpha``. Half-precision values become
    single precision, which their codes need. The result is exactly `integer_codes` times the step of the `Grid`.
    """
    rounded: Tensor = _StraightThrough.apply(x, alpha, largest_code(bits))  # type: ignore[no-untyped-call]
    return rounded


def integer_codes(x: Tensor, alpha: Tensor, bits: int) -> Tensor:
    """Codes (int32, same shape) of eq. (5): ``clip(round(theta x / alpha), -theta, theta)``; alpha is a scalar >= 0."""
    return _codes(x.detach(), alpha.detach(), largest_code(bits)).to(torch.int32)


def weight_alpha(weight: Tensor) -> Tensor:
    """Full scale of weights, their largest magnitude ``max|w|``: a scalar tensor without gradient."""
    return weight.detach().abs().amax()


def activation_alpha(x: Tensor) -> Tensor:
    """Full scale of activations of any shape, ``|mean| + 3 std``: a scalar tensor without gradient.

    CrossNAS writes ``mean + 3 std``; the magnitude is MNSIM's and keeps the scale positive. The standard deviation is
    that of a sample, over the whole tensor.
    """
    x = x.detach()
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    mean = x.mean()
    # torch.std_mean goes over single values on CPUs, ten times slower.
    deviation: Tensor = torch.linalg.vector_norm(x - mean) / max(x.numel() - 1, 1) ** 0.5
    return mean.abs() + SIGMAS * deviation


def moving_alpha(alpha: Tensor, x: Tensor, momentum: float = MOMENTUM) -> Tensor:
    """Next scale of activations ``x``, eq. (6): ``m alpha + (1 - m) (|mean| + 3 std)``; measured anew if unset."""
    new = activation_alpha(x)
    return torch.where(alpha > 0, momentum * alpha + (1 - momentum) * new, new)


def _codes(x: Tensor, alpha: Tensor, theta: int) -> Tensor:
    """Codes as floating-point numbers, in single precision at least."""
    dtype = torch.promote_types(x.dtype, alpha.dtype)
    # In the order of the equation, and in double precision where single has no room for theta x, so that ties are ties.
    codes: Tensor = x.to(torch.float64 if theta > _LARGEST_SINGLE else dtype) * theta
    codes /= alpha.clamp_min(torch.finfo(alpha.dtype).tiny)  # 0 / 0 is 0
    return codes.round_().clamp_(-theta, theta).to(dtype)


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: Tensor, theta: int) -> Tensor:
        ctx.dtype = x.dtype
        return _codes(x, alpha, theta).mul_(alpha / theta)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0].to(ctx.dtype), None, None
