"""Costs of layers on devices (one image, 1-bit input vectors), and their copies (HuNT, TCAD 2024, section III)."""

from dataclasses import dataclass
from typing import Any

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
    """Costs of one copy of each layer on each device, for one image."""

    arrays: FloatArray  # shape (devices, layers), like the next three
    time: FloatArray  # ns
    energy: FloatArray  # dynamic (pJ)
    activation_arrays: FloatArray  # arrays that hold activations
    stored_bits: FloatArray  # weights and activations, shape (layers,)
    arrays_per_pe: FloatArray  # shape (devices,)


def layer_costs(workload: Workload, devices: tuple[StackDevice, ...], factors: Factors) -> LayerCosts:
    """Tabulate the costs of the layers of a network; raise ConfigError without a device."""
    if not devices:
        raise ConfigError("there are no devices; expected at least one")
    columns = [_device_costs(workload, device, factors) for device in devices]
    arrays, time, energy, held = (np.array(column, dtype=np.float64) for column in zip(*columns, strict=True))
    stored = workload.weights + factors.n_act * workload.activations_out
    return LayerCosts(
        arrays=arrays,
        time=time,
        energy=energy,
        activation_arrays=held,
        stored_bits=stored * factors.bits,
        arrays_per_pe=np.array([device.arrays_per_pe for device in devices]),
    )


def mac_rate(device: StackDevice, bits: float) -> float:
    """Multiply-adds per time of the fully used arrays of a PE (1/ns), weights and inputs of ``bits``."""
    number("bits", bits, positive=True)
    if device.read == "macs":
        return device.arrays_per_pe / device.step_ns
    weights = device.rows * device.columns / np.ceil(bits / device.bits_per_cell)
    return float(device.arrays_per_pe * weights / (bits * device.vector_ns))


def _device_costs(
    workload: Workload, device: StackDevice, factors: Factors
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Arrays, time, energy and activation arrays of one copy on one device, shape ``(layers,)`` each."""
    if device.read == "macs":  # a core holds nothing: no weights, no activations
        macs = workload.macs.astype(np.float64)
        none = np.zeros(len(workload))
        return none + 1.0, macs * device.step_ns, macs * device.vector_pJ, none
    bits = factors.bits
    cells = np.ceil(bits / device.bits_per_cell)
    row_blocks = np.ceil(workload.rows / device.rows)
    column_blocks = np.ceil(workload.c_out * cells / device.columns)
    arrays = row_blocks * column_blocks
    row_use = workload.rows / (row_blocks * device.rows)
    column_use = workload.c_out * cells / (column_blocks * device.columns)
    # Serial reads take time by the used part of an array; energy goes by the switched parts: one ADC per
    # used column, or the used cells.
    serial_use = {"columns": column_use, "rows": row_use, "parallel": 1.0}[device.read]
    energy_use = column_use if device.read == "columns" else row_use * column_use
    vectors = workload.positions * bits
    activations = workload.activations_out
    write = factors.g_w > 0
    activation_rows = activations * bits / (device.columns * device.bits_per_cell)
    time = vectors * device.vector_ns * serial_use
    time = time + activation_rows * device.write_row_ns * factors.g_w / arrays
    energy = vectors * arrays * device.vector_pJ * energy_use
    energy = energy + workload.weights * cells * device.write_cell_pJ / workload.batch
    energy = energy + (activations * cells * device.write_cell_pJ if write else 0.0)
    held = factors.n_act * activations * bits / (device.rows * device.columns * device.bits_per_cell)
    return arrays, time, energy, held


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
