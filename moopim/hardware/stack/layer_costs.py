"""Costs of layers on devices (one image, 1-bit input vectors), and their copies (HuNT, TCAD 2024, section III)."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from moopim.checks import check_shapes, number
from moopim.errors import ConfigError
from moopim.hardware.stack.devices import StackDevice
from moopim.hardware.stack.parameters import Factors
from moopim.typing import FloatArray, IntArray
from moopim.workload import Workload


@dataclass(frozen=True)
class LayerCosts:
    """Costs of one copy of each layer on each device, in all models; arrays of shape ``(devices, layers)``."""

    arrays: FloatArray  # arrays that hold its weights
    activation_arrays: FloatArray  # arrays that hold its output activations
    stored_bits: FloatArray  # bits of its weights and activations, shape (layers,)
    arrays_per_pe: FloatArray  # arrays of a PE, shape (devices,)


@dataclass(frozen=True)
class IdealisedCosts(LayerCosts):
    """Costs of one copy in the idealised model, for one image."""

    time: FloatArray  # ns
    energy: FloatArray  # dynamic (pJ)


@dataclass(frozen=True)
class SystemCosts(LayerCosts):
    """Costs in the system model."""

    position_ns: FloatArray  # time of an output position on one copy
    write_ns: FloatArray  # time to write the output activations of an image
    image_pJ: FloatArray  # energy to read an image and to write its output activations
    read_pJ: FloatArray  # the part of it that reads
    weights_pJ: FloatArray  # energy to write the weights of one copy, once per batch
    activation_writes: FloatArray  # cells that the output activations of an image write
    weight_writes: FloatArray  # cells that hold the weights of one copy


class _ArrayUse(NamedTuple):
    """Use of arrays by one copy of each layer on a device, shape ``(layers,)``."""

    cells: float  # cells of a weight
    arrays: FloatArray
    position_ns: FloatArray  # time of an output position
    position_pJ: FloatArray  # energy of an output position


def _array_use(workload: Workload, device: StackDevice, bits: float) -> _ArrayUse:
    """Arrays of one copy, time and energy of an output position."""
    if device.read == "macs":  # a core multiplies one weight after the other and holds nothing
        macs = (workload.rows * workload.c_out).astype(np.float64)
        return _ArrayUse(0.0, np.ones(len(workload)), macs * device.step_ns, macs * device.vector_pJ)
    cells = float(np.ceil(bits / device.bits_per_cell))
    row_blocks = np.ceil(workload.rows / device.rows)
    column_blocks = np.ceil(workload.c_out * cells / device.columns)
    arrays = row_blocks * column_blocks
    row_use = workload.rows / (row_blocks * device.rows)
    column_use = workload.c_out * cells / (column_blocks * device.columns)
    # Serial reads take time by the used part of an array; energy goes by the switched parts: one ADC per
    # used column, or the used cells.
    serial_use = {"columns": column_use, "rows": row_use, "parallel": np.ones(len(workload))}[device.read]
    energy_use = column_use if device.read == "columns" else row_use * column_use
    return _ArrayUse(cells, arrays, bits * device.vector_ns * serial_use, bits * arrays * device.vector_pJ * energy_use)


def idealised_costs(workload: Workload, devices: tuple[StackDevice, ...], factors: Factors) -> IdealisedCosts:
    """Tabulate the costs of the layers of a network in the idealised model; raise ConfigError without a device."""
    columns = [_idealised_columns(workload, device, factors) for device in _some(devices)]
    arrays, held, time, energy = (np.array(column, dtype=np.float64) for column in zip(*columns, strict=True))
    return IdealisedCosts(arrays, held, _stored_bits(workload, factors), _arrays_per_pe(devices), time, energy)


def _idealised_columns(workload: Workload, device: StackDevice, factors: Factors) -> tuple[NDArray[Any], ...]:
    """Arrays, activation arrays, time and energy of one copy on one device, shape ``(layers,)`` each."""
    use = _array_use(workload, device, factors.bits)
    time, energy = workload.positions * use.position_ns, workload.positions * use.position_pJ
    if device.read == "macs":
        return use.arrays, np.zeros(len(workload)), time, energy
    activations = workload.activations_out
    activation_rows = activations * factors.bits / (device.columns * device.bits_per_cell)
    time = time + activation_rows * device.write_row_ns * factors.g_w / use.arrays
    energy = energy + workload.weights * use.cells * device.write_cell_pJ / workload.batch
    energy = energy + (activations * use.cells * device.write_cell_pJ if factors.g_w > 0 else 0.0)
    held = factors.n_act * activations * factors.bits / (device.rows * device.columns * device.bits_per_cell)
    return use.arrays, held, time, energy


def system_costs(workload: Workload, devices: tuple[StackDevice, ...], factors: Factors) -> SystemCosts:
    r"""Tabulate the costs of the layers of a network in the system model.

    With ``a`` output activations of ``b`` bits on a device with ``B`` bits per cell, ``act_rows = ceil(a b / (columns
    B))`` rows of ``ceil(n_act act_rows / rows)`` whole arrays hold them, and writing those of an image takes
    ``ceil(act_rows / arrays) write_row_ns g_w``. They are written if ``g_w`` and ``n_act`` are above 0.
    Raise ConfigError without a device, or if ``n_act`` or the arrays of a PE are no whole numbers.
    """
    for what, count in (("n_act", factors.n_act), *((f"{d.letter}.arrays_per_pe", d.arrays_per_pe) for d in devices)):
        if count % 1:
            raise ConfigError(f"{what} is {count:g}; expected a whole number in the system model")
    columns = [_system_columns(workload, device, factors) for device in _some(devices)]
    arrays, held, *others = (np.array(column, dtype=np.float64) for column in zip(*columns, strict=True))
    return SystemCosts(arrays, held, _stored_bits(workload, factors), _arrays_per_pe(devices), *others)


def _system_columns(workload: Workload, device: StackDevice, factors: Factors) -> tuple[NDArray[Any], ...]:
    """Columns of `SystemCosts` on one device but for stored bits and arrays of a PE, shape ``(layers,)`` each."""
    use = _array_use(workload, device, factors.bits)
    none: NDArray[Any] = np.zeros(len(workload))
    read_pj = workload.positions * use.position_pJ
    if device.read == "macs":
        return use.arrays, none, use.position_ns, none, read_pj, read_pj, none, none, none
    activations = workload.activations_out
    act_rows = np.ceil(activations * factors.bits / (device.columns * device.bits_per_cell))
    held = np.ceil(factors.n_act * act_rows / device.rows)
    weight_cells, activation_cells = workload.weights * use.cells, none
    write_ns, image_pj = none, read_pj
    if factors.g_w > 0 and factors.n_act > 0:
        activation_cells = activations * use.cells
        write_ns = np.ceil(act_rows / held) * device.write_row_ns * factors.g_w
        image_pj = read_pj + activation_cells * device.write_cell_pJ
    weights_pj = weight_cells * device.write_cell_pJ
    return (
        *(use.arrays, held, use.position_ns, write_ns, image_pj, read_pj, weights_pj, activation_cells),
        weight_cells,
    )


def _some(devices: tuple[StackDevice, ...]) -> tuple[StackDevice, ...]:
    """The devices; raise ConfigError if there are none."""
    if not devices:
        raise ConfigError("there are no devices; expected at least one")
    return devices


def _stored_bits(workload: Workload, factors: Factors) -> FloatArray:
    return (workload.weights + factors.n_act * workload.activations_out) * factors.bits


def _arrays_per_pe(devices: tuple[StackDevice, ...]) -> FloatArray:
    return np.array([device.arrays_per_pe for device in devices], dtype=np.float64)


def mac_rate(device: StackDevice, bits: float) -> float:
    """Multiply-adds per time of the fully used arrays of a PE (1/ns), weights and inputs of ``bits``."""
    number("bits", bits, positive=True)
    if device.read == "macs":
        return device.arrays_per_pe / device.step_ns
    weights = device.rows * device.columns / np.ceil(bits / device.bits_per_cell)
    return float(device.arrays_per_pe * weights / (bits * device.vector_ns))


def copies_period(
    arrays: FloatArray, time: FloatArray, tier: IntArray, free: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Period of each forward tier when its bottleneck layers are copied until the tier is full (water filling).

    The period is the smallest T with ``sum arrays max(1, time / T) <= free``; copies are continuous. Arrays and time
    (ns) of one copy, and the forward tier of each layer, have shape ``(designs, layers)``; ``free``, the arrays of each
    forward tier without activations, ``(designs, forward_tiers)``. Returns the periods (ns), 0 where a tier has no
    layer, shape ``(designs, forward_tiers)``, and the copies of each layer, shape ``(designs, layers)``.
    """
    check_shapes(time=(time, arrays.shape), tier=(tier, arrays.shape), free=(free, (len(arrays), free.shape[-1])))
    designs, n_tiers = free.shape
    place = (np.arange(0, designs * n_tiers, n_tiers)[:, None] + tier).ravel()
    room, work = free.ravel(), (arrays * time).ravel()
    flat_arrays, flat_time = arrays.ravel(), time.ravel()
    period = np.bincount(place, work, room.size) / room
    active = flat_time > period[place]
    while True:
        idle = np.bincount(place, np.where(active, 0.0, flat_arrays), room.size)
        total = np.bincount(place, np.where(active, work, 0.0), room.size)
        # A tier whose layers all are faster than its period keeps it: every layer then has one copy.
        period = np.divide(total, room - idle, out=period, where=total > 0)
        now = flat_time > period[place]
        now &= active
        if np.array_equal(now, active):
            break
        active = now
    copies = np.maximum(1.0, flat_time / period[place]).reshape(arrays.shape)
    return period.reshape(free.shape), copies
