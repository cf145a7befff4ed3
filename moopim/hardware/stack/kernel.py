"""Loops of the system model over designs, compiled by numba (the extra ``compiled``).

They give the same bits as the array code of `moopim.hardware.stack.system`, which has the equations, since sums run in
the same order or are exact. Link ``6 node + direction`` leaves a node towards larger x, smaller x, larger y, smaller y,
larger tier, smaller tier.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from moopim.hardware.thermal.leakage import COARSE, FINE, MOST_CONTRACTION, ROUGH, TOLERANCE
from moopim.typing import FloatArray, IntArray

_DIRECTIONS = 6
ROWS = 4
"""Rows of the influence that are added at a time; their number is a multiple of it."""


class Tables(NamedTuple):
    """Tables and numbers of a model, few arrays, since handing each over takes time.

    Attributes:
        paced: Copies, arrays, stage (ns) and busy time (ns) at each level, shape ``(4, levels, devices, layers)``.
        costs: Arrays, activation arrays, energy of an image (pJ), its part that reads, energy of the weights (pJ),
            written cells of activations and of weights, images in a lifetime, shape ``(8, devices, layers)``.
        layers: Output (bit), weight gradients (bit) and stored bits, shape ``(3, layers)``.
        devices: Arrays of a PE, service for back-propagation, static power (mW), rewriting (ns), gradients of an image
            (ns, pJ), their rate (TMAC/s) and store, service when gated, slope (1/K), writes of a PE array, shape
            ``(11, devices)``.
        snake: PE at each place of a tier, shape ``(pes_per_tier,)``.
        transfers: Producer, end of its consumers and volume, shape ``(transfers, 3)``.
        consumers: Consumers of all transfers.
        influence: High and low digits of the influence, transposed, with rows of zeros behind, shape ``(2, rows,
            pes)``.
        tiers: Tiers.
        mesh: PEs along each side of a tier.
        parts: Parts of a layer.
        farthest_bp: Whether only the farthest tier may serve back-propagation.
        wear_cell: Whether the first cell that is worn out ends the life of a tier.
        batch: Images of a batch.
        bits_per_part: Bits of an activation over the parts.
        link_rate: Rate of a link (bit/ns).
        link_rate_used: Largest rate in use.
        write_rate: Power for rewriting weights (mW).
        gated_share: Leakage of a gated array over that of one in use.
        hop_pJ: Energy of a bit over a link.
        pe_area: Area of a PE (mm2).
        tiles_per_pe: Tiles of a PE.
        operations: Operations of an image.
        training_images: Images of a training.
        ambient_K: Ambient temperature (K).
        row_sum: Largest row sum of the influence (K/W).
        least_violation: Least violation.
    """

    paced: FloatArray
    costs: FloatArray
    layers: FloatArray
    devices: FloatArray
    snake: IntArray
    transfers: IntArray
    consumers: IntArray
    influence: FloatArray
    tiers: int
    mesh: int
    parts: int
    farthest_bp: bool
    wear_cell: bool
    batch: float
    bits_per_part: float
    link_rate: float
    link_rate_used: float
    write_rate: float
    gated_share: float
    hop_pJ: float
    pe_area: float
    tiles_per_pe: float
    operations: float
    training_images: float
    ambient_K: float
    row_sum: float
    least_violation: float


@njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True)
def evaluate(
    tables: Tables,
    tiers: IntArray,
    genes: IntArray,
    pace: IntArray,
    values: FloatArray,
    copies: FloatArray,
    levels: FloatArray,
    tiles: FloatArray,
    stored: FloatArray,
    rises: FloatArray,
) -> Any:
    """Evaluate designs; returns whether each is left to the array code.

    Fills ``values``, shape ``(results, designs)``, in the order of the results, and ``copies``, ``levels`` and
    ``tiles``; ``stored`` and ``rises`` are the stored bits and temperature rises (K), shape ``(designs, pes)``, 0 where
    a design does not fit. What is not filled is left as it is.
    """
    copies_at, arrays_at, stage_at, busy_at = tables.paced[0], tables.paced[1], tables.paced[2], tables.paced[3]
    costs, layer, device, influence = tables.costs, tables.layers, tables.devices, tables.influence
    transfers, consumers, snake, mesh, parts = (
        tables.transfers,
        tables.consumers,
        tables.snake,
        tables.mesh,
        tables.parts,
    )
    batch = tables.batch
    designs, n_tiers = tiers.shape
    n_layers, plane = genes.shape[1], mesh * mesh
    forward_tiers, pes = n_tiers - 1, n_tiers * plane
    in_order = np.empty(pes, dtype=np.int64)
    for pe in range(pes):
        in_order[pe] = (pe % mesh * mesh + pe // mesh % mesh) * n_tiers + pe // plane
    left = np.zeros(designs, dtype=np.bool_)
    forward, used = np.empty(forward_tiers, dtype=np.int64), np.empty(forward_tiers)
    count, level = np.empty(forward_tiers, dtype=np.int64), np.empty(forward_tiers, dtype=np.int64)
    tier, kind = np.empty(n_layers, dtype=np.int64), np.empty(n_layers, dtype=np.int64)
    order, first_at = np.empty(n_layers, dtype=np.int64), np.empty(forward_tiers * plane + 1, dtype=np.int64)
    start, extent, copy = np.empty(n_layers), np.empty(n_layers), np.empty(n_layers)
    node = np.empty((n_layers, parts), dtype=np.int64)
    loads = np.empty((_DIRECTIONS, pes))
    targets = np.empty(len(consumers), dtype=np.int64)
    most = n_layers + forward_tiers * plane
    piece_pe, piece_layer = np.empty(most, dtype=np.int64), np.empty(most, dtype=np.int64)
    piece_extent = np.empty(most)
    sent, received, dynamic = np.empty(pes), np.empty(pes), np.empty(pes)
    on, power, leak, slope = np.empty(pes), np.empty(pes), np.empty(pes), np.empty(pes)
    work = np.empty((5, influence.shape[1]))

    for d in range(designs):
        # Roles of the tiers.
        bp, has_bp = n_tiers - 1, False
        for z in range(n_tiers - 1, n_tiers - 2 if tables.farthest_bp else -1, -1):
            if device[1, tiers[d, z]] > 0:
                bp, has_bp = z, True
                break
        for f in range(forward_tiers):
            forward[f] = f if f < bp else f + 1
            used[f] = 0.0
            count[f] = 0
        # Fit.
        for i in range(n_layers):
            f = genes[d, i] // plane
            tier[i], kind[i] = f, tiers[d, forward[f]]
            used[f] += costs[0, kind[i], i] + costs[1, kind[i], i]
            count[f] += 1
        excess = 0.0
        for f in range(forward_tiers):
            room = plane * device[0, tiers[d, forward[f]]]
            excess += max(0.0, used[f] - room) / room
        if not has_bp:
            excess += 1.0
        if excess > 0:
            values[0, d] = max(excess, tables.least_violation)
            continue
        # Levels.
        for f in range(forward_tiers):
            low, high = pace[d], len(copies_at) - 1
            room = plane * device[0, tiers[d, forward[f]]]
            if count[f] == 0:
                high = low
                used[f] = 0.0
            while low < high:
                middle = (low + high) // 2
                total = 0.0
                for i in range(n_layers):
                    if tier[i] == f:
                        total += arrays_at[middle, kind[i], i]
                if total <= room:
                    high = middle
                else:
                    low = middle + 1
            level[f] = low
        # Order along the tiers: a counting sort.
        first_at[:] = 0
        for i in range(n_layers):
            first_at[genes[d, i] + 1] += 1
        for slot in range(forward_tiers * plane):
            first_at[slot + 1] += first_at[slot]
        for i in range(n_layers):
            order[first_at[genes[d, i]]] = i
            first_at[genes[d, i]] += 1
        # Layers, pieces on PEs and places of parts.
        for f in range(forward_tiers):
            used[f] = 0.0
        sent[:], received[:], dynamic[:], stored[d, :] = 0.0, 0.0, 0.0, 0.0
        pieces = 0
        for place in range(n_layers):
            i = order[place]
            f, k = tier[i], kind[i]
            copy[i], size, room = copies_at[level[f], k, i], arrays_at[level[f], k, i], device[0, k]
            begin = used[f]
            used[f] += size
            base = forward[f] * plane
            for part in range(parts):
                at = np.floor((2 * parts * begin + (2 * part + 1) * size) / (2 * parts * room))
                node[i, part] = in_order[base + snake[int(at)]]
            layer_pj = costs[2, k, i] + copy[i] * costs[4, k, i] / batch
            for q in range(int(np.floor(begin / room)), int(np.floor((begin + size - 1) / room)) + 1):
                there = min(begin + size, (q + 1) * room) - max(begin, q * room)
                share, pe = there / size, base + snake[q]
                sent[pe] += share * layer[0, i]
                received[pe] += layer[1, i] * min(1.0, copy[i] * share)
                dynamic[pe] += share * layer_pj
                stored[d, pe] += share * layer[2, i]
                piece_pe[pieces], piece_layer[pieces], piece_extent[pieces] = pe, i, there / room
                pieces += 1
        # Traffic between the layers: the difference of the values over each link and over the one before it.
        loads[:] = 0.0
        all_values = 0.0
        consumer = 0
        for t in range(len(transfers)):
            producer, end, volume = transfers[t, 0], transfers[t, 1], float(transfers[t, 2])
            for part in range(parts):
                for c in range(consumer, end):
                    target, place = node[consumers[c], part], c - consumer
                    while place > 0 and targets[place - 1] > target:
                        targets[place] = targets[place - 1]
                        place -= 1
                    targets[place] = target
                all_values += volume * _add_tree(
                    loads, volume, node[producer, part], targets, end - consumer, mesh, n_tiers
                )
            consumer = end
        for pe in range(pes):
            x, y = pe % mesh, pe // mesh % mesh
            for direction in range(2):
                if x > 0:
                    loads[direction, pe] += loads[direction, pe - 1]
                if y > 0:
                    loads[direction + 2, pe] += loads[direction + 2, pe - mesh]
                if pe >= plane:
                    loads[direction + 4, pe] += loads[direction + 4, pe - plane]
        most_bits, weight_bits, hops_bits = 0.0, 0.0, 0.0
        for direction in range(_DIRECTIONS):
            for pe in range(pes):
                loads[direction, pe] *= tables.bits_per_part
        # Traffic to and from the BP tier.
        for p in range(plane):
            up, back = 0.0, 0.0
            for z in range(bp):
                up += sent[z * plane + p]
                back += received[z * plane + p]
                loads[4, z * plane + p] += up
                weight_bits = max(weight_bits, back)
            down, back = 0.0, 0.0
            for z in range(n_tiers - 1, bp, -1):
                down += sent[z * plane + p]
                back += received[z * plane + p]
                loads[5, (z - 1) * plane + p] += down
                weight_bits = max(weight_bits, back)
        for direction in range(_DIRECTIONS):
            for pe in range(pes):
                most_bits = max(most_bits, loads[direction, pe])
        for pe in range(pes):
            hops_bits += (sent[pe] + received[pe] / batch) * abs(pe // plane - bp)
        bit_hops = tables.bits_per_part * all_values + hops_bits
        # Period.
        link_ns = most_bits / tables.link_rate_used
        rewritten_pj, read_pj, write_pj, stage_sum, layer_ns = 0.0, 0.0, 0.0, 0.0, 0.0
        for i in range(n_layers):
            k = kind[i]
            weights_pj = copy[i] * costs[4, k, i]
            rewritten_pj += weights_pj
            read_pj += costs[3, k, i]
            write_pj += (costs[2, k, i] - costs[3, k, i]) + weights_pj / batch
            stage_ns = stage_at[level[tier[i]], k, i]
            stage_sum += stage_ns
            layer_ns = max(layer_ns, stage_ns)
            copies[d, i] = copy[i]
        rewrite_ns, all_tiles = 0.0, 0.0
        for f in range(forward_tiers):
            k = tiers[d, forward[f]]
            if count[f] > 0:
                rewrite_ns = max(rewrite_ns, device[3, k])
            levels[d, f] = level[f]
            tiles[d, f] = np.ceil(tables.tiles_per_pe * used[f] / device[0, k])
            all_tiles += tiles[d, f]
        update_ns = max(max(rewrite_ns, rewritten_pj / tables.write_rate), weight_bits / tables.link_rate_used)
        on_bp = tiers[d, bp]
        gradient_ns, gradient_pj = device[4, on_bp], device[5, on_bp]
        slowest = max(max(layer_ns, gradient_ns), link_ns)
        period = (max(slowest, stage_sum + gradient_ns) + (batch - 1) * slowest + update_ns) / batch
        # Power.
        on[:] = 0.0
        for piece in range(pieces):
            i = piece_layer[piece]
            duty = 1.0
            if device[8, kind[i]] > 0:
                duty = min(1.0, busy_at[level[tier[i]], kind[i], i] / period)
            on[piece_pe[piece]] += piece_extent[piece] * duty
        noc_pj = tables.hop_pJ * bit_hops
        noc_mw, gradient_mw = noc_pj / (pes * period), gradient_pj / (plane * period)
        share, steepest = tables.gated_share, 0.0
        for pe in range(pes):
            k = tiers[d, pe // plane]
            leak[pe] = device[2, k] * (1.0 if pe // plane == bp else share + (1 - share) * on[pe])
            total = dynamic[pe] / period + leak[pe] + noc_mw
            power[pe] = (total + (gradient_mw if pe // plane == bp else 0.0)) * 1e-3
            slope[pe] = 1e-3 * leak[pe] * device[9, k]
            steepest = max(steepest, slope[pe])
        if steepest * tables.row_sum > MOST_CONTRACTION:
            left[d] = True
            stored[d, :] = 0.0
            continue
        rise = rises[d]
        _iterate(influence, power, slope, rise, work)
        total_w, static_mw, hottest = 0.0, 0.0, 0.0
        for pe in range(pes):
            total_w += power[pe] + slope[pe] * rise[pe]
            static_mw += leak[pe] + 1e3 * slope[pe] * rise[pe]
            hottest = max(hottest, rise[pe])
        # Lifetime.
        lifetime = np.inf
        if tables.wear_cell:
            for i in range(n_layers):
                lifetime = min(lifetime, costs[7, kind[i], i])
        else:
            for f in range(forward_tiers):
                used[f] = 0.0
            for i in range(n_layers):
                used[tier[i]] += costs[5, kind[i], i] + copy[i] * costs[6, kind[i], i] / batch
            for f in range(forward_tiers):
                if used[f] > 0:
                    k = tiers[d, forward[f]]
                    lifetime = min(lifetime, device[10, k] * (plane * device[0, k]) / used[f])
        energy = 1e3 * total_w * period
        area = tables.pe_area * (all_tiles / tables.tiles_per_pe + plane)
        per_ns = tables.operations / (period * 1e3)
        found = (
            *(0.0, period, area, energy, total_w, tables.ambient_K + hottest, lifetime),
            *(lifetime / tables.training_images, most_bits / tables.link_rate / period, tables.operations / energy),
            *(per_ns / area, per_ns / (tables.pe_area * pes), device[6, on_bp], device[7, on_bp], slowest, gradient_ns),
            *(layer_ns, link_ns, update_ns, read_pj, write_pj, gradient_pj, noc_pj, period * static_mw),
        )
        for result in range(len(found)):
            values[result, d] = found[result]
    return left


@njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True, no_cpython_wrapper=True)
def _iterate(influence: FloatArray, power: FloatArray, slope: FloatArray, rise: FloatArray, work: FloatArray) -> None:
    """Iterate the temperature rise (K) to its fixed point."""
    coarse = 0.0
    for pe in range(len(power)):
        coarse = max(coarse, power[pe])
    coarse *= COARSE
    work[:] = 0.0
    rise[:] = 0.0
    high, of_high, of_low, rest = work[0], work[1], work[2], work[3]
    for rough in (True, False):
        unit, tolerance = (coarse, ROUGH) if rough else (coarse * FINE, TOLERANCE)
        if not rough:
            for pe in range(len(power)):
                high[pe] = power[pe] + slope[pe] * rise[pe] + coarse - coarse
            _multiply(influence[0], high, of_high)
            _multiply(influence[1], high, of_low)
        waiting = True
        while waiting:
            for pe in range(len(power)):
                rest[pe] = slope[pe] * rise[pe] + power[pe] - high[pe] + unit - unit
            _multiply(influence[0], rest, work[4])
            change, hottest = 0.0, 0.0
            for pe in range(len(power)):
                new = work[4, pe] + of_low[pe] + of_high[pe]
                change = max(change, abs(new - rise[pe]))
                hottest = max(hottest, new)
                rise[pe] = new
            waiting = change > tolerance * hottest


# The product of cut numbers is exact, so that contracted operations change nothing.
@njit(nogil=True, error_model="numpy", fastmath={"contract"}, no_cfunc_wrapper=True, no_cpython_wrapper=True)
def _multiply(matrix: FloatArray, factors: FloatArray, total: FloatArray) -> None:
    """Sum of the rows of a matrix times factors."""
    total[:] = 0.0
    for row in range(0, len(matrix), ROWS):
        p, q, r, s = factors[row], factors[row + 1], factors[row + 2], factors[row + 3]
        for k in range(matrix.shape[1]):
            total[k] += p * matrix[row, k] + q * matrix[row + 1, k] + r * matrix[row + 2, k] + s * matrix[row + 3, k]


@njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True, no_cpython_wrapper=True)
def _add_tree(
    loads: FloatArray, volume: float, source: int, targets: IntArray, count: int, mesh: int, tiers: int
) -> int:
    """Add the volume to the links of a multicast tree, as differences; return how many they are.

    Nodes are numbered ``(mesh x + y) tiers + tier``, targets are in this order: the path to one leaves the tree of those
    before it where it leaves the path to the one right before it.
    """
    hops = 0
    x0, y0, z0 = source // tiers // mesh, source // tiers % mesh, source % tiers
    before_x, before_y, before_z = x0, y0, z0
    for i in range(count):
        x, y, z = targets[i] // tiers // mesh, targets[i] // tiers % mesh, targets[i] % tiers
        begin_x, begin_y, begin_z = x0, y0, z0
        if i > 0:
            begin_x = max(before_x, min(x, x0))
            if before_x == x:
                begin_y = max(before_y, min(y, y0))
                if before_y == y:
                    begin_z = max(before_z, min(z, z0))
        hops += _add_leg(loads, 0, volume, begin_x, x, 1, mesh * (begin_y + mesh * begin_z))
        hops += _add_leg(loads, 2, volume, begin_y, y, mesh, x + mesh * mesh * begin_z)
        hops += _add_leg(loads, 4, volume, begin_z, z, mesh * mesh, x + mesh * y)
        before_x, before_y, before_z = x, y, z
    return hops


@njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True, no_cpython_wrapper=True)
def _add_leg(loads: FloatArray, direction: int, volume: float, begin: int, end: int, step: int, line: int) -> int:
    """Add the volume to the links of a straight leg, as differences; return how many they are."""
    low, high = min(begin, end), max(begin, end)
    towards = direction if end > begin else direction + 1
    loads[towards, line + step * low] += volume
    loads[towards, line + step * high] -= volume
    return high - low
