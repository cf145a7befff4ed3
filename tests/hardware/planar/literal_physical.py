"""The physical mode of the planar chip, one design at a time: each of its fixes written out, and switchable by name.

Without fixes it is `literal_planar`. The names and what they mend (numbers: quirks in the list of the equations):

* ``adder_energy`` (1): the adders of a PE draw power, so they take energy: power times time, N positions, every PE.
* ``sum_layers`` (2): an element-wise sum needs a buffer and adders; it costs energy, power and area.
* ``buffers`` (3): the two kinds of buffers are charged for their own accesses, not for each other's; leakage flows all
  the time, in every tile, not only during accesses.
* ``pool_read`` (4): a pool reads a tile's output buffer once.
* ``occupancy`` (5): the last crossbars and the last tile of a layer are only as full as they are.
* ``magnitude_bits`` (6): the sign of an input is not streamed, so a position takes a bit less.
* ``cell_bits`` (7): a cell of several bits holds several slices.
* ``input_buffer`` (10): PEs that differ in columns or slices need the same inputs, so the line buffer is shared among
  the row blocks only.

What the definitions left open:

* Bits of a cell are those of `hw["cell_bits"]`; where it is missing, 2 for the profile ``paper`` (its device has four
  levels) and 1 for ``cur``.
* ``cell_bits`` is applied before anything else: PEs, tiles, active groups and the slice blocks of ``occupancy`` follow
  from the fewer slices. ``magnitude_bits`` changes the number of cycles alone, not buffers or transfers.
* The input register of a PE counts ``(rho chi + n_c)`` cycles, also with the PE's own rho, chi and n_c.
* ``occupancy``: the adder tree of a PE is as deep as in section 6.1, ``ceil(log2 G)`` with the groups that are built;
  ``p_add`` has the groups in use. Each joint module works with the layer's full a_c. A layer of n_t tiles
  merges its n_pe PEs in n_pe - n_t modules. The mode changes no time of the layer table: the fullest PE decides.
* ``buffers``: accesses of the output buffer are those that its busy times hold, N t_or / 20 ns, and so on. A pool's
  output buffer is one, and no input buffer works. The leakage of a chip is part of its buffers' energy (and told
  apart as `energy_leakage_mJ`, `power_leakage_W`), but of no layer's.
* ``sum_layers``: bits, channels and positions are those by which a sum is timed (`literal_planar.sum_shape`). The
  global buffer leaks during its accesses, or with ``buffers`` all the time. Its area counts as buffer and its adders as
  digital area of the chip (`area_global_mm2`), of no layer.
"""

import math
from collections import Counter

from literal_planar import (
    ACCESS,
    ADDER_AREA,
    ADDER_POWER,
    ENERGIES,
    JOINT_POWER,
    POOLING_POWER,
    T_D,
    cycle_times,
    lay_out,
    layer_row,
    pe_powers,
    sram,
    sum_shape,
    totals,
)

FIXES = frozenset(
    {"adder_energy", "sum_layers", "buffers", "pool_read", "occupancy", "magnitude_bits", "cell_bits", "input_buffer"}
)


def bits_per_cell(hw):
    """Bits that a cell can hold."""
    return hw.get("cell_bits", 2 if hw["profile"] == "paper" else 1)


def occupied_pes(layer, m, c):
    """The PEs of a layer by used rows, used columns and used groups, counted."""
    pes = Counter()
    slice_blocks = math.ceil(m.n_s / c.G)
    column_blocks = math.ceil(layer["cout"] / c.X)
    for row_block in range(m.my):
        channels = layer["cin"] - (m.my - 1) * m.c_x if row_block == m.my - 1 else m.c_x
        for column_block in range(column_blocks):
            columns = layer["cout"] - (column_blocks - 1) * c.X if column_block == column_blocks - 1 else c.X
            for slice_block in range(slice_blocks):
                groups = m.n_s - (slice_blocks - 1) * c.G if slice_block == slice_blocks - 1 else c.G
                pes[channels * m.k**2, columns, groups] += 1
    return pes


def access_powers(buffer, fixes):
    """Powers of reads and of writes of a buffer (W), leakage included unless it is charged for the whole time."""
    if "buffers" in fixes:
        return buffer.read / ACCESS, buffer.write / ACCESS
    return buffer.read_power, buffer.write_power


def weighted_layer(layer, m, chip, T, N, fixes):
    """Power (W) and energies (nJ) of a convolution or a fully connected layer."""
    c, E = chip.c, dict.fromkeys([*ENERGIES, "adder"], 0.0)
    if "occupancy" in fixes:
        pes, joints, inbufs = occupied_pes(layer, m, c), m.n_pe - m.n_t, m.n_pe
    else:
        pes, joints, inbufs = {(m.R, m.C, m.g): m.n_t * m.P}, m.n_t * (m.P - 1), m.n_t * m.P
    power = 0.0
    for (R, C, g), count in pes.items():
        p = pe_powers(c, R, C, g)
        t = cycle_times(c, m, max(layer["ib"] - ("magnitude_bits" in fixes), 1), R, C)
        power += count * sum(p.values())
        for part in p:
            if part != "adder" or "adder_energy" in fixes:
                E[part] += count * N * p[part] * t[part]
    joint = joints * math.ceil(m.C / c.om) * JOINT_POWER
    E["jointmodule"] = joint * T["jointmodule"]
    in_r, in_w = access_powers(chip.inbuf, fixes)
    out_r, out_w = access_powers(chip.outbuf, fixes)
    if "buffers" in fixes:
        E["buf_r"] = inbufs * in_r * T["Q"] + m.n_t * out_r * N * T["t_or"]
        E["buf_w"] = inbufs * in_w * T["W"] + m.n_t * out_w * N * T["t_ow"]
    else:
        E["buf_r"] = (inbufs * in_r + m.n_t * out_r) * T["buffer_r"]
        E["buf_w"] = (inbufs * in_w + m.n_t * out_w) * T["buffer_w"]
    return power + joint + inbufs * (in_r + in_w) + m.n_t * (out_r + out_w), E


def pool_layer(chip, T, fixes):
    """Power (W) and energies (nJ) of a pooling layer."""
    read, write = access_powers(chip.outbuf, fixes)
    E = dict.fromkeys([*ENERGIES, "adder"], 0.0)
    E |= {"pooling": POOLING_POWER * T["pooling"], "buf_r": read * T["buffer_r"], "buf_w": write * T["buffer_w"]}
    return POOLING_POWER + read + write, E


def sum_layer(layers, i, N, globalbuf, fixes):
    """Power (W) and energies (nJ) of an element-wise sum."""
    E = dict.fromkeys([*ENERGIES, "adder"], 0.0)
    if "sum_layers" not in fixes:
        return 0.0, E
    bits, ch, _, _ = sum_shape(layers, i)
    accesses = math.ceil(len(layers[i]["in"]) * bits * ch / 64)
    adders = ch * (len(layers[i]["in"]) - 1)
    read, write = access_powers(globalbuf, fixes)
    E["buf_r"] = N * accesses * ACCESS * read
    E["buf_w"] = N * accesses * ACCESS * write
    E["adder"] = N * adders * ADDER_POWER * T_D
    return read + write + adders * ADDER_POWER, E


def global_accumulator(layers):
    """Size of the global buffer (KB) and number of global adders; the largest sum decides. Zeros without a sum."""
    size, adders = 0.0, 0
    for i, layer in enumerate(layers):
        if layer["type"] == "sum":
            bits, ch, oh, ow = sum_shape(layers, i)
            inputs = len(layer["in"])
            size = max(size, 2 ** math.ceil(math.log2(inputs * ch * oh * ow * bits / 8)) / 1024)
            adders = max(adders, ch * (inputs - 1))
    return size, adders


def evaluate(design, fixes=FIXES):
    """Evaluates one design in the physical mode.

    Args:
        design: The design as a dict, JSON schema 1 of the reference; `hw` may hold `cell_bits` as well.
        fixes: Names of the fixes, a subset of `FIXES`.

    Returns:
        Totals and rows as `literal_planar.evaluate` gives them, the rows with `E_adder_nJ` as well, and further totals:
        `globalbuf_KB`, `area_global_mm2`, `energy_leakage_mJ`, `power_leakage_W`. The components of area and energy
        add up to the totals, and so do the layers together with these chip-level shares.
    """
    chip = lay_out(
        design,
        cell_bits=bits_per_cell(design["hw"]) if "cell_bits" in fixes else 1,
        sign_bits=1 if "magnitude_bits" in fixes else 0,
        pool_reads=1 if "pool_read" in fixes else 2,
        by_row_blocks="input_buffer" in fixes,
    )
    if not chip.feasible:
        return {"tiles": chip.tiles, "feasible": False}, []
    size, adders = global_accumulator(chip.layers) if "sum_layers" in fixes else (0.0, 0)
    globalbuf = sram(size)
    rows, energies = [], []
    for i, layer in enumerate(chip.layers):
        T, N = chip.times[i], len(chip.latencies[i])
        if layer["type"] == "sum":
            power, E = sum_layer(chip.layers, i, N, globalbuf, fixes)
        elif layer["type"] == "pool":
            power, E = pool_layer(chip, T, fixes)
        else:
            power, E = weighted_layer(layer, chip.maps[i], chip, T, N, fixes)
        rows.append(layer_row(chip, i, power, E))
        energies.append(E)
    result = totals(chip, rows, energies)

    buffer_area, adder_area = (globalbuf.area if size else 0.0), adders * ADDER_AREA
    leak = 0.0
    if "buffers" in fixes:
        leak = (chip.c.nPE * chip.inbuf.leak + chip.outbuf.leak) * chip.tiles + (globalbuf.leak if size else 0.0)
    result["globalbuf_KB"] = size
    result["area_global_mm2"] = 1e-6 * (buffer_area + adder_area)
    result["power_leakage_W"] = leak
    result["energy_leakage_mJ"] = leak * result["latency_ms"]  # W ms
    result["area_buf_mm2"] += 1e-6 * buffer_area
    result["area_digital_mm2"] += 1e-6 * adder_area
    result["area_mm2"] += result["area_global_mm2"]
    result["power_W"] += leak
    result["energy_buf_mJ"] += result["energy_leakage_mJ"]
    result["energy_mJ"] += result["energy_leakage_mJ"]
    result["edp_mJms"] = result["energy_mJ"] * result["latency_ms"]
    return result, rows
