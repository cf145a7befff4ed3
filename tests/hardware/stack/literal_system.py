"""HuNT's system model written out for one design at a time, straight from its equations.

An independent second implementation in plain loops: of the package it takes parameters, layers and the influences of
PEs on each other.
"""

import math

import numpy as np
from literal_traffic import walk


def ceil(ratio):
    return math.ceil(ratio)


def floor(ratio):
    return math.floor(ratio + 1e-9)


def layer_on(device, workload, i, factors):
    """Costs of a layer on a device: arrays, activation arrays, times and energies."""
    b, B = int(factors.bits), device.bits_per_cell
    rows, c_out, v = int(workload.rows[i]), int(workload.c_out[i]), int(workload.positions[i])
    w, a, m = int(workload.weights[i]), int(workload.activations_out[i]), int(workload.macs[i])
    if device.read == "macs":
        read = m * device.vector_pJ
        return {
            "v": v,
            "n": 1,
            "s": 0,
            "pos": rows * c_out * device.step_ns,
            "write": 0.0,
            "read": read,
        } | dict.fromkeys(("act_pJ", "weight_pJ", "act_cells", "weight_cells"), 0.0)
    cells = ceil(b / B)
    n_r, n_c = ceil(rows / device.rows), ceil(c_out * cells / device.columns)
    U_r, U_c = rows / (n_r * device.rows), c_out * cells / (n_c * device.columns)
    step = {"rows": device.rows * device.step_ns * U_r, "columns": device.step_ns * U_c, "parallel": device.step_ns}
    u = U_c if device.read == "columns" else U_r * U_c
    act_rows = ceil(a * b / (device.columns * B))
    s = ceil(factors.n_act * act_rows / device.rows)
    written = factors.g_w > 0 and factors.n_act > 0
    eps = device.write_pJ / device.write_cells
    return {
        "v": v,
        "n": n_r * n_c,
        "s": s,
        "pos": b * step[device.read],
        "write": ceil(act_rows / s) * device.write_row_ns * factors.g_w if written else 0.0,
        "read": v * b * n_r * n_c * device.vector_pJ * u,
        "act_pJ": a * cells * eps if written else 0.0,
        "weight_pJ": w * cells * eps,
        "act_cells": a * cells if written else 0.0,
        "weight_cells": w * cells,
    }


def copies_at(layer, wanted):
    per_copy = layer["v"]
    if not math.isinf(wanted):
        per_copy = min(max(floor(max(wanted, layer["write"]) / layer["pos"]), 1), layer["v"])
    return ceil(layer["v"] / per_copy)


def engine_of(parameters, precision):
    """MACs of a tier per ns and pJ of a MAC of the gradient engine."""
    engine, stack = parameters.engine, parameters.stack
    shrink = engine.feature_nm / engine.mac_feature_nm
    unit = engine.mac_overhead * (precision.multiplier_um2 + precision.accumulator_um2) * shrink**2
    units = floor(engine.engine_share * stack.pe_area_mm2 * 1e6 / unit)
    operands = 2 / engine.buffer_reuse * engine.buffer_pJ_per_64bit * precision.word_bits / 64
    energy = (precision.multiplier_pJ + precision.accumulator_pJ + operands) * shrink
    return stack.mesh**2 * units * engine.engine_clock_GHz * engine.engine_use, energy


def evaluate(parameters, precision, workload, influence, wear, training_images, farthest, tiers, genes, pace):
    """Results of one design by name; only the violation where it does not fit or its heat runs away."""
    devices, factors, stack, op = parameters.devices, parameters.factors, parameters.stack, parameters.operation
    macs_per_ns, mac_pj = engine_of(parameters, precision)
    Z, mesh = stack.tiers, stack.mesh
    M, N, L, B = mesh**2, Z * mesh**2, len(workload), workload.batch
    used = [devices[t] for t in tiers]
    able = [z for z in range(Z) if used[z].serves_back_propagation and (z == Z - 1 or not farthest)]
    bp = able[-1] if able else Z - 1
    forward = [z for z in range(Z) if z != bp]
    where = [forward[g // M] for g in genes]
    layers = [layer_on(used[where[i]], workload, i, factors) for i in range(L)]
    A = [int(device.arrays_per_pe) for device in used]

    excess = 0.0 if able else 1.0
    for z in forward:
        need = sum(layers[i]["n"] + layers[i]["s"] for i in range(L) if where[i] == z)
        excess += max(0.0, need - M * A[z]) / (M * A[z])
    if excess:
        return {"violation": max(excess, 1e-3)}

    wanted = [op.pace_first_ns * 2 ** (j / op.pace_steps_per_octave) for j in range(op.pace_levels - 1)] + [math.inf]
    copies, levels, tiles = [0] * L, [], []
    share, extent = np.zeros((L, N)), np.zeros((L, N))
    first, place_of = [0] * L, {}

    def pe(z, place):
        y, along = divmod(place, mesh)
        return M * z + mesh * y + (along if y % 2 == 0 else mesh - 1 - along)

    for z in forward:
        members = sorted((genes[i], i) for i in range(L) if where[i] == z)
        level = pace
        while sum(copies_at(layers[i], wanted[level]) * layers[i]["n"] + layers[i]["s"] for _, i in members) > M * A[z]:
            level += 1
        levels.append(level)
        at = 0
        for _, i in members:
            copies[i] = copies_at(layers[i], wanted[level])
            arrays = copies[i] * layers[i]["n"] + layers[i]["s"]
            first[i] = at
            for q in range(M):
                there = max(0, min(at + arrays, (q + 1) * A[z]) - max(at, q * A[z]))
                share[i, pe(z, q)] = there / arrays
                extent[i, pe(z, q)] = there / A[z]
            for h in range(op.parts):
                slot = (2 * op.parts * at + (2 * h + 1) * arrays) // (2 * op.parts * A[z])
                place_of[i, h] = pe(z, slot)
            at += arrays
        tiles.append(ceil(stack.tiles_per_pe * at / A[z]))

    busy = [ceil(layer["v"] / c) * layer["pos"] + layer["write"] for layer, c in zip(layers, copies, strict=True)]
    stage = [max(ceil(x["v"] / c) * x["pos"], x["write"]) for x, c in zip(layers, copies, strict=True)]
    m = [int(x) for x in workload.macs]
    m_grad = m[0] + 2 * sum(m[1:])
    if used[bp].read == "macs":
        macs_per_ns, mac_pj = M * A[bp] / used[bp].step_ns, used[bp].vector_pJ
    T_grad, E_grad = m_grad / macs_per_ns, m_grad * mac_pj
    bits_left = (1 - parameters.engine.engine_share) * M * A[bp] * used[bp].rows * used[bp].columns
    store = stack.gradient_bits * sum(int(w) for w in workload.weights) / (bits_left * used[bp].bits_per_cell)

    image, gradient = {}, {}

    def send(load, links, bits):
        for link in links:
            load[link] = load.get(link, 0.0) + bits

    for producer, volume, consumers in workload.transfers:
        for h in range(op.parts):
            tree = {link for consumer in consumers for link in walk(mesh, place_of[producer, h], place_of[consumer, h])}
            send(image, tree, volume * factors.bits / op.parts)
    for i in range(L):
        for q in range(N):
            if share[i, q]:
                above = q % M + M * bp
                send(image, walk(mesh, q, above), share[i, q] * factors.bits * int(workload.activations_out[i]))
                once = min(1.0, copies[i] * share[i, q])
                send(gradient, walk(mesh, above, q), stack.gradient_bits * int(workload.weights[i]) * once)
    rate = stack.link_bits_per_ns * op.link_limit
    busiest = max(image.values(), default=0.0)
    T_link = busiest / rate
    E_noc = stack.hop_energy_pJ * (sum(image.values()) + sum(gradient.values()) / B)

    writes = sum(c * layer["weight_pJ"] for layer, c in zip(layers, copies, strict=True))
    T_update = max(
        max(used[z].rows * used[z].write_row_ns for z in set(where)),
        writes / (1e3 * op.write_power_W),
        max(gradient.values(), default=0.0) / rate,
    )
    slow = max(*stage, T_grad, T_link)
    T = (max(slow, sum(stage) + T_grad) + (B - 1) * slow + T_update) / B

    leak, P0, slope = np.zeros(N), np.zeros(N), np.zeros(N)
    for q in range(N):
        device = used[q // M]
        on = sum(extent[i, q] * (min(1.0, busy[i] / T) if used[where[i]].nonvolatile else 1.0) for i in range(L))
        leak[q] = device.static_mW * (1.0 if q // M == bp else op.gated_share + (1 - op.gated_share) * on)
        dynamic = sum(
            share[i, q] * (x["read"] + x["act_pJ"] + copies[i] * x["weight_pJ"] / B) for i, x in enumerate(layers)
        )
        P0[q] = 1e-3 * (dynamic / T + leak[q] + E_noc / (N * T) + (E_grad / (M * T) if q // M == bp else 0.0))
        slope[q] = 1e-3 * leak[q] * device.static_slope_per_K
    gain = influence * slope
    radius = np.abs(np.linalg.eigvals(gain)).max()
    if radius >= 1:
        return {"violation": gain.sum(axis=1).max()}
    Q = np.linalg.solve(np.eye(N) - gain, influence @ P0)
    P = (P0 + slope * Q).sum()
    E = 1e3 * P * T

    def noise(device, rise):
        if device.noise == "exponential":
            return stack.noise_exponential * (math.exp(min(rise / stack.noise_scale_K, stack.noise_exponent_cap)) - 1)
        return stack.noise_linear_per_K * rise if device.noise == "linear" else 0.0

    stored = [
        (int(workload.weights[i]) + factors.n_act * int(workload.activations_out[i])) * factors.bits for i in range(L)
    ]
    err = sum(
        stored[i] * share[i, q] * noise(used[q // M], max(0.0, Q[q] - op.noise_onset_K))
        for i in range(L)
        for q in range(N)
    )
    lives = [math.inf]
    if wear == "cell":
        for i, layer in enumerate(layers):
            if layer["weight_cells"]:
                each = max(1 / factors.n_act if layer["act_cells"] else 0.0, 1 / B)
                lives.append(used[where[i]].endurance / each)
    else:
        for z in forward:
            cells = sum(
                x["act_cells"] + c * x["weight_cells"] / B
                for x, c, at in zip(layers, copies, where, strict=True)
                if at == z
            )
            if cells:
                lives.append(used[z].endurance * M * A[z] * used[z].rows * used[z].columns / cells)
    ops = 2 * factors.kappa * (sum(m) + m_grad)
    area = stack.pe_area_mm2 * (sum(tiles) / stack.tiles_per_pe + M)
    return {
        "violation": 0.0,
        "period": T,
        "area": area,
        "energy": E,
        "err": err / sum(stored),
        "power": P,
        "peak": parameters.thermal.ambient_K + Q.max(),
        "lifetime": min(lives),
        "trainings": min(lives) / (op.epochs * training_images),
        "link_util": busiest / stack.link_bits_per_ns / T,
        "tops_per_W": ops / E,
        "tops_per_mm2": ops / (1e3 * T) / area,
        "tops_per_mm2_stack": ops / (1e3 * T) / (stack.pe_area_mm2 * N),
        "gradient_tmacs": macs_per_ns / 1e3,
        "gradient_store": math.nan if used[bp].read == "macs" else store,
        "slowest": slow,
        "gradient_ns": T_grad,
        "layer_ns": max(stage),
        "link_ns": T_link,
        "update_ns": T_update,
        "read_pJ": sum(x["read"] for x in layers),
        "write_pJ": sum(x["act_pJ"] + c * x["weight_pJ"] / B for x, c in zip(layers, copies, strict=True)),
        "gradient_pJ": E_grad,
        "noc_pJ": E_noc,
        "static_pJ": T * (leak + 1e3 * slope * Q).sum(),
        "copies": copies,
        "levels": levels,
        "tiles": tiles,
    }
