"""Cells that do not hold what they were programmed to: stuck ones, variation, leakage, noise and drift.

All numbers are drawn once per chip: a chip computes with the same cells from image to image, as in aihwkit's inference
(Rasch et al., AICAS 2021); read noise is thus that of one read of all cells.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor

from moopim.checks import whole_number
from moopim.errors import ConfigError, unknown_name
from moopim.figures import check_bounds, is_whole, load_bounds, plain, read_table
from moopim.network.crossbar.circuit import Circuit
from moopim.network.crossbar.slices import Cells
from moopim.typing import FloatArray

__all__ = ["Devices", "Distribution", "chip_programmer", "device_names", "load_devices", "programmed"]

Distribution: TypeAlias = Literal["gaussian", "lognormal"]

_BOUNDS = load_bounds("moopim.network")["cells"]
_CELL_BITS = (1, 4)
_EFFECTS = ("variation", "sigma", "stuck", "drift", "read")  # each has random numbers of its own


@dataclass(frozen=True)
class Devices:
    """What cells are like; ideal by default.

    Conductances ``g`` are shares of the conductance of the lowest-resistance state (LRS), without dimensions.

    Attributes:
        stuck_at_hrs: Share of cells that stay at the highest resistance (HRS), 0 .. 1.
        stuck_at_lrs: Share of cells that stay at the lowest resistance, 0 .. 1.
        variation: Relative standard deviation of a programmed conductance; of its logarithm for ``lognormal``.
        distribution: Of the variation: ``gaussian``, ``g (1 + s n)``, or ``lognormal``, ``g exp(s n)``, with ``n`` of
            a standard normal distribution.
        sigma_0: With the next two, standard deviation of a programmed conductance that depends on it:
            ``sigma_0 + sigma_1 g + sigma_2 g^2``, not below 0.
        sigma_1: See `sigma_0`.
        sigma_2: See `sigma_0`.
        on_off: Conductance of the LRS over that of the HRS, above 1; infinite without leakage.
        read_noise: Relative standard deviation of a conductance as it is read.
        drift_exponent: ``nu`` of the drift ``g (t / t_0)^-nu`` of programmed cells.
        drift_spread: Standard deviation of ``nu`` from cell to cell; none gets negative.
        time_s: Time since programming, ``t`` (s), at least `drift_start_s`.
        drift_start_s: ``t_0`` (s).
    """

    stuck_at_hrs: float = 0.0
    stuck_at_lrs: float = 0.0
    variation: float = 0.0
    distribution: Distribution = "gaussian"
    sigma_0: float = 0.0
    sigma_1: float = 0.0
    sigma_2: float = 0.0
    on_off: float = math.inf
    read_noise: float = 0.0
    drift_exponent: float = 0.0
    drift_spread: float = 0.0
    time_s: float = 1.0
    drift_start_s: float = 1.0

    def __post_init__(self) -> None:
        if self.distribution not in get_args(Distribution):
            raise unknown_name("distribution of devices", self.distribution, get_args(Distribution))
        for name, bounds in _BOUNDS.items():
            check_bounds(f"{name} of devices", getattr(self, name), bounds)
        both = self.stuck_at_hrs + self.stuck_at_lrs
        _check("stuck_at_hrs + stuck_at_lrs", both, both <= 1, "at most 1")
        ratio = isinstance(self.on_off, int | float) and not isinstance(self.on_off, bool) and self.on_off > 1
        _check("on_off", self.on_off, ratio, "a ratio above 1")
        start = self.drift_start_s
        _check("time_s", self.time_s, start <= self.time_s, f"a time from drift_start_s={start} on (s)")


def programmed(
    cells: Cells, devices: Devices, cell_bits: int, *, seed: int = 1, chip: int = 0, name: str = ""
) -> Cells:
    """What cells hold once they are programmed, have drifted and are read.

    Args:
        cells: What they should hold: whole levels.
        devices: What they are like.
        cell_bits: Bits of a cell.
        seed: Seed, not negative.
        chip: Number of the chip, not negative.
        name: Of the layer. The numbers drawn depend on the seed, the chip and this name, not on other layers.

    Returns:
        The cells, on the same device: whole levels (uint8) if no effect makes them others, else float64.

    Raises:
        ConfigError: If the seed or the chip is negative, or a cell has another number of bits than 1 .. 4.
    """
    _check_numbers(seed, chip)
    whole_number("cell_bits", cell_bits, *_CELL_BITS)
    sides = [
        _side(levels, devices, 2**cell_bits - 1, _Draws(seed, (chip, side, *name.encode())))
        for side, levels in enumerate(cells)
    ]
    whole = all(bool((side == side.round()).all()) for side in sides)
    return Cells(*(side.to(torch.uint8) if whole else side for side in sides))


def chip_programmer(devices: Devices, *, seed: int = 1, chip: int = 0) -> Callable[[str, Cells, Circuit], Cells]:
    """Programs the layers of a network on one chip, as `moopim.network.crossbar.inference.on_crossbars` asks for.

    Args:
        devices: What cells are like.
        seed: Seed, not negative.
        chip: Number of the chip, not negative.

    Returns:
        Gives what the cells of a layer hold, from its path, what they should hold and its circuit.

    Raises:
        ConfigError: If the seed or the chip is not a whole number from 0.
    """
    _check_numbers(seed, chip)
    return lambda path, cells, circuit: programmed(cells, devices, circuit.cell_bits, seed=seed, chip=chip, name=path)


def device_names() -> tuple[str, ...]:
    """Names of the built-in devices; ``data/devices.toml`` says where their numbers are from."""
    return tuple(_tables())


def load_devices(name: str) -> Devices:
    """Built-in devices.

    Args:
        name: One of `device_names`.

    Returns:
        The devices.

    Raises:
        ConfigError: If there are none of this name.
    """
    if name not in _tables():
        raise unknown_name("devices", name, _tables())
    return Devices(**plain(f"devices {name}", _tables()[name], _BOUNDS))


@cache
def _tables() -> dict[str, dict[str, Any]]:
    return read_table("moopim.network", "devices.toml")


class _Draws:
    """Random numbers of one side of a layer; an effect has the same ones whatever the others are."""

    def __init__(self, seed: int, key: tuple[int, ...]) -> None:
        self._seed, self._key = seed, key

    def of(self, effect: str) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=(_EFFECTS.index(effect), *self._key)))


def _side(levels: Tensor, devices: Devices, top: int, draws: _Draws) -> Tensor:
    """Levels of one polarity after all effects (float64)."""
    shape = tuple(levels.shape)
    leak = 0.0 if math.isinf(devices.on_off) else top / devices.on_off
    # In levels rather than shares, so that ideal cells stay whole.
    ideal = levels.double().cpu().numpy()
    held: FloatArray = ideal if not leak else leak + (1 - 1 / devices.on_off) * ideal
    if devices.variation:
        deviation = devices.variation * draws.of("variation").standard_normal(shape)
        held = held * (np.exp(deviation) if devices.distribution == "lognormal" else 1 + deviation)
    if devices.sigma_0 or devices.sigma_1 or devices.sigma_2:
        share = held / top
        sigma = devices.sigma_0 + devices.sigma_1 * share + devices.sigma_2 * share**2
        held = held + top * np.maximum(sigma, 0) * draws.of("sigma").standard_normal(shape)
    held = np.maximum(held, 0)
    if devices.drift_exponent or devices.drift_spread:
        exponent = np.full(shape, devices.drift_exponent)
        if devices.drift_spread:
            exponent += devices.drift_spread * draws.of("drift").standard_normal(shape)
        held = held * (devices.time_s / devices.drift_start_s) ** -np.maximum(exponent, 0)
    if devices.stuck_at_hrs or devices.stuck_at_lrs:
        chance = draws.of("stuck").random(shape)
        held = np.where(chance < devices.stuck_at_hrs, leak, held)
        held = np.where(chance >= 1 - devices.stuck_at_lrs, top, held)
    if devices.read_noise:
        held = np.maximum(held * (1 + devices.read_noise * draws.of("read").standard_normal(shape)), 0)
    return torch.from_numpy(held).to(levels.device)


def _check_numbers(seed: int, chip: int) -> None:
    for what, number in (("seed", seed), ("chip", chip)):
        if not is_whole(number, 0):
            raise ConfigError(f"{what}={number!r} of devices is not allowed; expected 0, 1, ...")


def _check(name: str, value: object, fine: bool, allowed: str) -> None:
    if not fine:
        raise ConfigError(f"{name}={value!r} of devices is not allowed; expected {allowed}")
