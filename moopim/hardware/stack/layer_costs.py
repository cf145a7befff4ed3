"""What one copy of each layer costs on each device (HuNT, TCAD 2024, section III; one image, 1-bit input vectors)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moopim.checks import number
from moopim.errors import ConfigError
from moopim.hardware.stack.devices import StackDevice
from moopim.hardware.stack.parameters import Factors
from moopim.typing import FloatArray
from moopim.workload import Workload

__all__ = ["LayerCosts", "layer_costs", "mac_rate"]


@dataclass(frozen=True)
class LayerCosts:
    """Costs by device and layer.

    Attributes:
        arrays: Arrays of one copy, shape ``(devices, layers)``.
        time: Time of one copy per image (ns), shape ``(devices, layers)``.
        energy: Dynamic energy per image (pJ), shape ``(devices, layers)``.
        activation_arrays: Arrays that hold activations, shape ``(devices, layers)``.
        stored_bits: Bits of weights and activations (bit), shape ``(layers,)``.
        arrays_per_pe: Arrays of a PE, shape ``(devices,)``.
    """

    arrays: FloatArray
    time: FloatArray
    energy: FloatArray
    activation_arrays: FloatArray
    stored_bits: FloatArray
    arrays_per_pe: FloatArray


def layer_costs(workload: Workload, devices: tuple[StackDevice, ...], factors: Factors) -> LayerCosts:
    """Tabulates the costs of a network.

    Args:
        workload: The network.
        devices: The devices.
        factors: The factor set.

    Returns:
        The costs.

    Raises:
        ConfigError: If there is no device, or a factor is missing or not usable.
    """
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
    """Multiply-adds that the arrays of a PE do per time when they are fully used (1/ns).

    Args:
        device: The device.
        bits: Width of weights and inputs (bit).

    Raises:
        ConfigError: If there are no bits.
    """
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
    # What an array reads one after the other takes time by its used part; energy goes by what is switched: one ADC per
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
