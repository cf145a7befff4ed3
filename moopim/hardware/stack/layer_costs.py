"""What one copy of each layer costs on each device (HuNT, TCAD 2024, section III; one image, 1-bit input vectors)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moopim.hardware.stack.parameters import Device, Factors
from moopim.workload import Workload

__all__ = ["LayerCosts", "device_arrays", "layer_costs", "vector_time"]

FloatArray = NDArray[np.float64]


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


def layer_costs(workload: Workload, devices: tuple[Device, ...], factors: Factors) -> LayerCosts:
    """Tabulates the costs of a network.

    Args:
        workload: The network.
        devices: The devices.
        factors: The factor set.

    Returns:
        The costs.
    """
    columns = [_device_costs(workload, device, factors) for device in devices]
    arrays, time, energy, held = (np.array(column, dtype=np.float64) for column in zip(*columns, strict=True))
    stored = workload.weights + factors["n_act"] * workload.activations_out
    return LayerCosts(
        arrays=arrays,
        time=time,
        energy=energy,
        activation_arrays=held,
        stored_bits=stored * factors["bits"],
        arrays_per_pe=np.array([device_arrays(device, factors) for device in devices]),
    )


def device_arrays(device: Device, factors: Factors) -> float:
    """Arrays of a PE: those of Table II times the share ``rho`` of the factor set, where it has one.

    Args:
        device: The device.
        factors: The factor set.
    """
    return device.arrays_per_pe * factors.get(f"rho_{device.letter}", 1.0)


def vector_time(device: Device, factors: Factors) -> float:
    """Time of a 1-bit input vector through a fully used array (ns).

    Args:
        device: The device; ``t`` is its time per array if it reads columns, per row if it reads rows.
        factors: The factor set.
    """
    time = factors[f"t_{device.letter}"]
    return time if device.read == "columns" else device.rows * time


def _device_costs(
    workload: Workload, device: Device, factors: Factors
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Arrays, time, energy and activation arrays of one copy on one device, shape ``(layers,)`` each."""
    bits = factors["bits"]
    cells = np.ceil(bits / device.bits_per_cell)
    row_blocks = np.ceil(workload.rows / device.rows)
    column_blocks = np.ceil(workload.c_out * cells / device.columns)
    arrays = row_blocks * column_blocks
    row_use = workload.rows / (row_blocks * device.rows)
    column_use = workload.c_out * cells / (column_blocks * device.columns)
    # What an array reads one after the other takes time by its used part; energy goes by what is switched.
    serial_use, energy_use = (column_use, column_use) if device.read == "columns" else (row_use, row_use * column_use)
    vectors = workload.positions * bits
    activations = workload.activations_out
    write = factors["g_w"] > 0
    activation_rows = activations * bits / (device.columns * device.bits_per_cell)
    time = vectors * vector_time(device, factors) * serial_use
    time = time + activation_rows * device.write_row_ns * factors["g_w"] / arrays
    write_cell = device.write_cell_pJ * factors.get(f"w_{device.letter}", 1.0)
    energy = vectors * arrays * factors[f"e_{device.letter}"] * energy_use
    energy = energy + workload.weights * cells * write_cell / workload.batch
    energy = energy + (activations * cells * write_cell if write else 0.0)
    held = factors["n_act"] * activations * bits / (device.rows * device.columns * device.bits_per_cell)
    return arrays, time, energy, held
