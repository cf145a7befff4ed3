"""Model of memory cells: stuck cells, variation, leakage, noise and drift.

All numbers are drawn once per chip: a chip computes with the same cells from image to image, as in aihwkit's inference
(Rasch et al., AICAS 2021); read noise is thus that of one read of all cells.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from moopim.checks import is_whole, whole_number
from moopim.constants import ABOVE_ONE, bounded, check_constants, load_constants, read_table
from moopim.errors import ConfigError, unknown_name
from moopim.network.crossbar.circuit import Circuit
from moopim.network.crossbar.mapping import Cells
from moopim.typing import FloatArray

Distribution: TypeAlias = Literal["gaussian", "lognormal"]

_CELL_BITS = (1, 4)
_EFFECTS = ("variation", "sigma", "stuck", "drift", "read")  # each has random numbers of its own


@dataclass(frozen=True)
class CellModel:
    """Model of memory cells; ideal by default.

    Conductances ``g`` are shares of the conductance of the lowest-resistance state (LRS), without dimensions.

    Attributes:
        stuck_at_hrs: Share of cells that stay at the highest resistance (HRS), 0 .. 1.
        stuck_at_lrs: Share of cells that stay at the lowest resistance, 0 .. 1.
        variation: Relative standard deviation of a programmed conductance; of its logarithm for ``lognormal``.
        distribution: Distribution of the variation: ``gaussian``, ``g (1 + s n)``, or ``lognormal``, ``g exp(s n)``,
            with ``n`` of a standard normal distribution.
        sigma_0: With the next two, standard deviation of a programmed conductance that depends on it:
            ``sigma_0 + sigma_1 g + sigma_2 g^2``, not below 0.
        sigma_1: See `sigma_0`.
        sigma_2: See `sigma_0`.
        on_off: Conductance of the LRS over that of the HRS, above 1; infinite without leakage.
        read_noise: Relative standard deviation of a conductance as it is read.
        drift_exponent: Mean ``nu`` of the drift ``g (t / t_0)^-nu`` of programmed cells.
        drift_spread: Standard deviation of ``nu`` from cell to cell; none gets negative.
        time_s: Time ``t`` since programming (s), at least `drift_start_s`.
        drift_start_s: Time ``t_0`` that drift starts at (s).
    """

    stuck_at_hrs: float = field(default=0.0, metadata=bounded("1", 0, 1, "a share of all cells"))
    stuck_at_lrs: float = field(default=0.0, metadata=bounded("1", 0, 1, "a share of all cells"))
    variation: float = field(
        default=0.0,
        metadata=bounded(
            "1",
            0,
            10,
            "a standard deviation of ten times the mean says nothing of the mean; per cent are given as shares",
        ),
    )
    distribution: Distribution = "gaussian"
    sigma_0: float = field(default=0.0, metadata=bounded("1", -10, 10, "shares of the largest conductance"))
    sigma_1: float = field(default=0.0, metadata=bounded("1", -10, 10, "as sigma_0"))
    sigma_2: float = field(default=0.0, metadata=bounded("1", -10, 10, "as sigma_0"))
    on_off: float = field(default=math.inf, metadata=bounded("1", ABOVE_ONE, math.inf, "a ratio of conductances"))
    read_noise: float = field(default=0.0, metadata=bounded("1", 0, 10, "as variation"))
    drift_exponent: float = field(
        default=0.0,
        metadata=bounded(
            "1", 0, 10, "0.05 is usual of amorphous phase-change material; at 1 a cell loses its state within seconds"
        ),
    )
    drift_spread: float = field(default=0.0, metadata=bounded("1", 0, 10, "as drift_exponent"))
    time_s: float = field(default=1.0, metadata=bounded("s", 1e-9, 1e12, "from a nanosecond to 30,000 years"))
    drift_start_s: float = field(default=1.0, metadata=bounded("s", 1e-9, 1e9, "from a nanosecond to 30 years"))

    def __post_init__(self) -> None:
        check_constants(self, "devices")
        both = self.stuck_at_hrs + self.stuck_at_lrs
        if both > 1:
            raise ConfigError(f"stuck_at_hrs + stuck_at_lrs={both:g} of devices is not allowed; expected at most 1")
        if self.time_s < self.drift_start_s:
            raise ConfigError(
                f"time_s of devices is {self.time_s:g} s; expected at least drift_start_s, {self.drift_start_s:g} s"
            )


def programmed(
    cells: Cells, devices: CellModel, cell_bits: int, *, seed: int = 1, chip: int = 0, name: str = ""
) -> Cells:
    """Cells after programming, drift and reading: whole levels (uint8) if no effect changes that, else float64.

    Random numbers depend on the seed, the chip and the layer's name, not on other layers.
    """
    _check_numbers(seed, chip)
    whole_number("cell_bits", cell_bits, *_CELL_BITS)
    sides = [
        _side(levels, devices, 2**cell_bits - 1, _Draws(seed, (chip, side, *name.encode())))
        for side, levels in enumerate(cells)
    ]
    whole = all(bool((side == side.round()).all()) for side in sides)
    return Cells(*(side.to(torch.uint8) if whole else side for side in sides))


def chip_programmer(devices: CellModel, *, seed: int = 1, chip: int = 0) -> Callable[[str, Cells, Circuit], Cells]:
    """Programmer of the cells of a network on one chip, for the argument ``program`` of `on_crossbars` and others.

    Args:
        devices: Model of the cells.
        seed: Seed, not negative.
        chip: Number of the chip, not negative.

    Returns:
        Function of a layer's path, its ideal cells and its circuit that returns its cells as programmed.

    Raises:
        ConfigError: If the seed or the chip is not a whole number from 0.
    """
    _check_numbers(seed, chip)
    return lambda path, cells, circuit: programmed(cells, devices, circuit.cell_bits, seed=seed, chip=chip, name=path)


def cell_model_names() -> tuple[str, ...]:
    """Names of the built-in models of cells; ``data/devices.toml`` holds the source of each constant."""
    return tuple(_tables())


def load_cell_model(name: str) -> CellModel:
    """Built-in model of cells.

    Args:
        name: One of `cell_model_names`.

    Returns:
        The model.

    Raises:
        ConfigError: If the name is unknown.
    """
    if name not in _tables():
        raise unknown_name("devices", name, _tables())
    return load_constants(CellModel, f"devices {name}", _tables()[name])


@cache
def _tables() -> dict[str, dict[str, Any]]:
    return read_table("moopim.network", "devices.toml")


class _Draws:
    """Random numbers of one polarity of a layer, independent for each effect."""

    def __init__(self, seed: int, key: tuple[int, ...]) -> None:
        self._seed, self._key = seed, key

    def of(self, effect: str) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=(_EFFECTS.index(effect), *self._key)))


def _side(levels: Tensor, devices: CellModel, top: int, draws: _Draws) -> Tensor:
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
