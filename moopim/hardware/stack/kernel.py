"""Loops of the system model over designs, compiled by numba (the extra ``compiled``).

They give the same bits as the array code of `moopim.hardware.stack.system`, which has the equations: sums run in the
same order, or are exact.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
from numba import njit

from moopim.hardware.thermal.leakage import COARSE, FINE, LEAST_CONTRACTION, MOST_CONTRACTION, ROUGH, TOLERANCE
from moopim.typing import BoolArray, FloatArray, IntArray

ROWS = 8
"""Rows of the influence that are multiplied at a time; their number is a multiple of it."""
_DIRECTIONS = 6  # towards larger x, smaller x, larger y, smaller y, larger tier, smaller tier
_UP, _DOWN = 4, 5
_WORK = 7  # arrays of the iteration

# Wrappers for calls from Python and C take long to compile.
_compiled = partial(njit, nogil=True, error_model="numpy", no_cfunc_wrapper=True, no_cpython_wrapper=True)


class Tables(NamedTuple):
    """Tables and numbers of a model; tables by level, device or layer have these axes in this order.

    Attributes:
        copies: Copies of a layer at a level of the pace, shape ``(levels, devices, layers)``.
        arrays: Arrays of the layer, alike.
        stage_ns: Time of its stage (ns), alike.
        busy_ns: Time in which its arrays read and are written (ns), alike.
        held: Arrays of one copy and of the activations, shape ``(devices, layers)``.
        image_pj: Energy of an image (pJ), alike.
        read_pj: Its part that reads, alike.
        weights_pj: Energy to write the weights of one copy (pJ), alike.
        activation_writes: Cells that activations of an image write, alike.
        weight_writes: Cells that hold the weights of one copy, alike.
        cell_lifetime: Images until the first cell is worn out, alike.
        output_bits: Bits of the output of an image, shape ``(layers,)``.
        gradient_bits: Bits of the weight gradients, alike.
        stored_bits: Stored bits, alike.
        arrays_per_pe: Arrays of a PE, shape ``(devices,)``.
        serves_bp: Above 0 where a device can serve back-propagation, alike.
        static_mw: Static power of a PE (mW), alike.
        rewrite_ns: Time to rewrite an array (ns), alike.
        gradient_ns: Time of the gradients of an image (ns), alike.
        gradient_pj: Energy of these (pJ), alike.
        gradient_tmacs: Rate of gradients (TMAC/s), alike.
        gradient_store: Weight gradients over the memory for them, alike.
        nonvolatile: Above 0 where a device can be gated, alike.
        slope_per_k: Relative growth of the static power (1/K), alike.
        array_endurance: Writes that all cells of an array endure, alike.
        snake: PE at each place of a tier, shape ``(pes_per_tier,)``.
        node: Number of each PE in the order of x, y and tier, shape ``(pes,)``.
        places: x, y, tier and PE by this number, shape ``(pes, 4)``.
        transfers: Producer, end of its consumers and volume, shape ``(transfers, 3)``.
        consumers: Consumers of all transfers.
        mirrored: Place of each PE in the order of `moopim.hardware.stack.compiled.Mirrored`, shape ``(pes,)``.
        influence_high: High digits of the influence, see there, shape ``(images, places, places)``.
        influence_low: Low digits, alike.
        plane: PEs of a tier.
        mesh: PEs along each side of it.
        parts: Parts of a layer.
        farthest_bp: Whether only the farthest tier may serve back-propagation.
        wear_cell: Whether the first cell that is worn out ends the life of a tier.
        batch: Images of a batch.
        bits_per_part: Bits of an activation over the parts.
        link_rate: Rate of a link (bit/ns).
        link_rate_used: Largest rate in use (bit/ns).
        write_rate: Power for rewriting weights (mW).
        gated_share: Leakage of a gated array over that of one in use.
        hop_pj: Energy of a bit over a link (pJ).
        pe_area: Area of a PE (mm2).
        tiles_per_pe: Tiles of a PE.
        operations: Operations of an image.
        training_images: Images of a training.
        ambient_k: Ambient temperature (K).
        row_sum: Largest row sum of the influence (K/W).
        least_violation: Least violation.
    """

    copies: FloatArray
    arrays: FloatArray
    stage_ns: FloatArray
    busy_ns: FloatArray
    held: FloatArray
    image_pj: FloatArray
    read_pj: FloatArray
    weights_pj: FloatArray
    activation_writes: FloatArray
    weight_writes: FloatArray
    cell_lifetime: FloatArray
    output_bits: FloatArray
    gradient_bits: FloatArray
    stored_bits: FloatArray
    arrays_per_pe: FloatArray
    serves_bp: FloatArray
    static_mw: FloatArray
    rewrite_ns: FloatArray
    gradient_ns: FloatArray
    gradient_pj: FloatArray
    gradient_tmacs: FloatArray
    gradient_store: FloatArray
    nonvolatile: FloatArray
    slope_per_k: FloatArray
    array_endurance: FloatArray
    snake: IntArray
    node: IntArray
    places: IntArray
    transfers: IntArray
    consumers: IntArray
    mirrored: IntArray
    influence_high: FloatArray
    influence_low: FloatArray
    plane: int
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
    hop_pj: float
    pe_area: float
    tiles_per_pe: float
    operations: float
    training_images: float
    ambient_k: float
    row_sum: float
    least_violation: float


# The loop over the designs is one piece: handing tables and the values of a design to further functions takes time.
@_compiled(no_cpython_wrapper=False)
def evaluate(  # noqa: C901, PLR0912, PLR0915 (see above)
    tables: Tables,
    tiers: IntArray,
    genes: IntArray,
    pace: IntArray,
    scalars: FloatArray,
    by_design: FloatArray,
    stored: FloatArray,
    rises: FloatArray,
) -> BoolArray:
    """Evaluate designs; return whether each is left to the array code, shape ``(designs,)``.

    Fills ``scalars``, shape ``(results, designs)``, and ``by_design``, the copies of the layers, then the levels and
    then the tiles of the forward tiers, shape ``(designs, layers + 2 forward_tiers)``; ``stored`` and ``rises`` are
    stored bits and temperature rises (K), shape ``(designs, pes)``. Where a design has no results, all keep what they
    hold.
    """
    (designs, n_tiers), layers = tiers.shape, genes.shape[1]
    forward_tiers, plane, parts, batch = n_tiers - 1, tables.plane, tables.parts, tables.batch
    pes = n_tiers * plane
    left = np.zeros(designs, np.bool_)
    # Of the design in hand. By forward tier: tier, device, layers, level of the pace, used arrays, written cells.
    forward, kind, count = (
        np.empty(forward_tiers, np.int64),
        np.empty(forward_tiers, np.int64),
        np.empty(n_tiers, np.int64),
    )
    level, used, written = np.empty(forward_tiers, np.int64), np.empty(forward_tiers), np.empty(forward_tiers)
    # By layer: forward tier, copies, nodes of its parts; the order of the layers.
    tier_of, copies, nodes = np.empty(layers, np.int64), np.empty(layers), np.empty((layers, parts), np.int64)
    order, slots = np.empty(layers, np.int64), np.empty(forward_tiers * plane + 1, np.int64)
    loads, targets = np.empty((_DIRECTIONS, pes)), np.empty(layers, np.int64)
    links, up, down = loads.reshape(-1), loads[_UP], loads[_DOWN]
    # By piece of a layer on a PE: layer, PE, share of the PE.
    most = layers + forward_tiers * plane
    piece_layer, piece_pe, piece_extent = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most)
    # By PE: bits to and from the BP tier, energy (pJ), share that is on; static power (mW), power (W) and slope (W/K).
    sent, received, dynamic, on = np.empty(pes), np.empty(pes), np.empty(pes), np.empty(pes)
    leak, power, slope = np.empty(pes), np.empty(pes), np.empty(pes)
    images, places = tables.influence_high.shape[:2]
    work = np.empty((_WORK, images * places))

    for d in range(designs):
        # Roles of the tiers.
        bp, has_bp = n_tiers - 1, False
        for z in range(n_tiers - 1, n_tiers - 2 if tables.farthest_bp else -1, -1):
            if tables.serves_bp[tiers[d, z]] > 0:
                bp, has_bp = z, True
                break
        for f in range(forward_tiers):
            forward[f] = f if f < bp else f + 1
            kind[f], used[f], count[f] = tiers[d, forward[f]], 0.0, 0

        # Fit of one copy.
        for i in range(layers):
            f = genes[d, i] // plane
            tier_of[i] = f
            used[f] += tables.held[kind[f], i]
            count[f] += 1
        violation = 0.0
        for f in range(forward_tiers):
            capacity = plane * tables.arrays_per_pe[kind[f]]
            violation += max(0.0, used[f] - capacity) / capacity
        if not has_bp:
            violation += 1.0
        if violation > 0:
            scalars[0, d] = max(violation, tables.least_violation)
            continue

        # Levels.
        _sort(genes[d], order, slots)
        first = 0
        for f in range(forward_tiers):
            end, capacity = first + count[f], plane * tables.arrays_per_pe[kind[f]]
            level[f] = _level(tables.arrays, kind[f], order, first, end, pace[d], capacity)
            first = end
            used[f] = 0.0

        # Places.
        sent[:], received[:], dynamic[:], on[:], stored[d, :] = 0.0, 0.0, 0.0, 0.0, 0.0
        pieces = 0
        for place in range(layers):
            i = order[place]
            f = tier_of[i]
            k, base = kind[f], forward[f] * plane
            begin, arrays, per_pe = used[f], tables.arrays[level[f], k, i], tables.arrays_per_pe[k]
            used[f] += arrays
            copies[i] = tables.copies[level[f], k, i]
            middle, finer = 2 * parts * begin + arrays + 0.5, 1 / (2 * parts * per_pe)
            for part in range(parts):
                # Of whole numbers, with a half added, so that rounding does not reach the next whole number.
                nodes[i, part] = tables.node[base + tables.snake[int((middle + 2 * part * arrays) * finer)]]
            layer_pj = tables.image_pj[k, i] + copies[i] * tables.weights_pj[k, i] / batch
            for q in range(int(begin / per_pe), int((begin + arrays - 1) / per_pe) + 1):
                there = min(begin + arrays, (q + 1) * per_pe) - max(begin, q * per_pe)
                share, pe = there / arrays, base + tables.snake[q]
                sent[pe] += share * tables.output_bits[i]
                received[pe] += tables.gradient_bits[i] * min(1.0, copies[i] * share)
                dynamic[pe] += share * layer_pj
                stored[d, pe] += share * tables.stored_bits[i]
                piece_layer[pieces], piece_pe[pieces], piece_extent[pieces] = i, pe, there / per_pe
                pieces += 1

        # Traffic.
        _add_trees(loads, tables.transfers, tables.consumers, nodes, targets, tables.places, tables.mesh)
        _add_up(loads, tables.mesh, plane)
        values = _total(links)
        for link in range(len(links)):
            links[link] *= tables.bits_per_part
        _add_columns(up, down, sent, bp * plane, plane)
        busiest = _largest(links)
        up[:], down[:] = 0.0, 0.0
        _add_columns(up, down, received, bp * plane, plane)
        gradient_bits, column_hops = max(_largest(up), _largest(down)), 0.0
        for z in range(n_tiers):
            away = float(abs(z - bp))
            for pe in range(z * plane, (z + 1) * plane):
                column_hops += (sent[pe] + received[pe] / batch) * away
        bit_hops = tables.bits_per_part * values + column_hops

        # Period.
        rewritten_pj, read_pj, write_pj, stages_ns, layer_ns = 0.0, 0.0, 0.0, 0.0, 0.0
        for i in range(layers):
            f = tier_of[i]
            k = kind[f]
            weights_pj = copies[i] * tables.weights_pj[k, i]
            rewritten_pj += weights_pj
            read_pj += tables.read_pj[k, i]
            write_pj += (tables.image_pj[k, i] - tables.read_pj[k, i]) + weights_pj / batch
            stages_ns += tables.stage_ns[level[f], k, i]
            layer_ns = max(layer_ns, tables.stage_ns[level[f], k, i])
            by_design[d, i] = copies[i]
        rewrite_ns, all_tiles = 0.0, 0.0
        for f in range(forward_tiers):
            if count[f] > 0:
                rewrite_ns = max(rewrite_ns, tables.rewrite_ns[kind[f]])
            tiles = np.ceil(tables.tiles_per_pe * used[f] / tables.arrays_per_pe[kind[f]])
            by_design[d, layers + f], by_design[d, layers + forward_tiers + f] = level[f], tiles
            all_tiles += tiles
        link_ns = busiest / tables.link_rate_used
        update_ns = max(rewrite_ns, rewritten_pj / tables.write_rate, gradient_bits / tables.link_rate_used)
        engine = tiers[d, bp]
        gradient_ns, gradient_pj = tables.gradient_ns[engine], tables.gradient_pj[engine]
        slowest = max(layer_ns, gradient_ns, link_ns)
        period = (max(slowest, stages_ns + gradient_ns) + (batch - 1) * slowest + update_ns) / batch

        # Power.
        for piece in range(pieces):
            i, duty = piece_layer[piece], 1.0
            f = tier_of[i]
            if tables.nonvolatile[kind[f]] > 0:
                duty = min(1.0, tables.busy_ns[level[f], kind[f], i] / period)
            on[piece_pe[piece]] += piece_extent[piece] * duty
        noc_pj = tables.hop_pj * bit_hops
        noc_mw, gradient_mw = noc_pj / (pes * period), gradient_pj / (plane * period)
        for z in range(n_tiers):
            static, growth = tables.static_mw[tiers[d, z]], tables.slope_per_k[tiers[d, z]]
            for pe in range(z * plane, (z + 1) * plane):
                share = 1.0 if z == bp else tables.gated_share + (1 - tables.gated_share) * on[pe]
                leak[pe] = static * share
                total = dynamic[pe] / period + leak[pe] + noc_mw
                power[pe] = (total + (gradient_mw if z == bp else 0.0)) * 1e-3
                slope[pe] = 1e-3 * leak[pe] * growth

        # Temperature.
        contraction = _largest(slope) * tables.row_sum
        if contraction > MOST_CONTRACTION:
            left[d] = True
            continue
        rise = rises[d]
        high, low = tables.influence_high, tables.influence_low
        _iterate(high, low, tables.mirrored, power, slope, contraction, rise, work)
        total_w, static_mw = 0.0, 0.0
        for pe in range(pes):
            total_w += power[pe] + slope[pe] * rise[pe]
            static_mw += leak[pe] + 1e3 * slope[pe] * rise[pe]

        # Lifetime.
        lifetime = np.inf
        for f in range(forward_tiers):
            written[f] = 0.0
        for i in range(layers):
            f = tier_of[i]
            if tables.wear_cell:
                lifetime = min(lifetime, tables.cell_lifetime[kind[f], i])
            else:
                weights = copies[i] * tables.weight_writes[kind[f], i] / batch
                written[f] += tables.activation_writes[kind[f], i] + weights
        for f in range(forward_tiers):
            if written[f] > 0:
                capacity = plane * tables.arrays_per_pe[kind[f]]
                lifetime = min(lifetime, tables.array_endurance[kind[f]] * capacity / written[f])

        energy = 1e3 * total_w * period
        area = tables.pe_area * (all_tiles / tables.tiles_per_pe + plane)
        per_ns = tables.operations / (period * 1e3)
        found = (
            *(0.0, period, area, energy, total_w, tables.ambient_k + _largest(rise), lifetime),
            *(lifetime / tables.training_images, busiest / tables.link_rate / period, tables.operations / energy),
            *(per_ns / area, per_ns / (tables.pe_area * pes), tables.gradient_tmacs[engine]),
            *(tables.gradient_store[engine], slowest, gradient_ns, layer_ns, link_ns, update_ns, read_pj, write_pj),
            *(gradient_pj, noc_pj, period * static_mw),
        )
        for result in range(len(found)):
            scalars[result, d] = found[result]
    return left


@_compiled()
def _sort(genes: IntArray, order: IntArray, slots: IntArray) -> None:
    """Order of the layers by gene and number."""
    slots[:] = 0
    for gene in genes:
        slots[gene + 1] += 1
    for slot in range(1, len(slots)):
        slots[slot] += slots[slot - 1]
    for i in range(len(genes)):
        order[slots[genes[i]]] = i
        slots[genes[i]] += 1


@_compiled()
def _level(arrays: FloatArray, kind: int, order: IntArray, first: int, end: int, pace: int, capacity: float) -> int:
    """Smallest level, from the pace on, at which the layers of a tier fit; without layers the pace."""
    low, high = pace, len(arrays) - 1 if first < end else pace
    middle = low  # fits most often
    while low < high:
        used = 0.0
        for place in range(first, end):
            used += arrays[middle, kind, order[place]]
        if used <= capacity:
            high = middle
        else:
            low = middle + 1
        middle = (low + high) // 2
    return low


@_compiled()
def _add_trees(
    loads: FloatArray,
    transfers: IntArray,
    consumers: IntArray,
    nodes: IntArray,
    targets: IntArray,
    places: IntArray,
    mesh: int,
) -> None:
    """Values of all transfers between the layers, part by part, see `_add_leg`."""
    loads[:] = 0.0
    first = 0
    for transfer in range(len(transfers)):
        producer, end, volume = transfers[transfer, 0], transfers[transfer, 1], float(transfers[transfer, 2])
        for part in range(nodes.shape[1]):
            source = nodes[producer, part]
            if end == first + 1:
                x, y, begin = places[source, 0], places[source, 1], places[source, 3]
                _add_path(loads, volume, x, y, begin, nodes[consumers[first], part], places, mesh)
                continue
            for c in range(first, end):
                target = nodes[consumers[c], part]
                for place in range(c - first):
                    smaller = min(targets[place], target)
                    target = max(targets[place], target)
                    targets[place] = smaller
                targets[c - first] = target
            _add_tree(loads, volume, source, targets, end - first, places, mesh)
        first = end


@_compiled()
def _add_up(loads: FloatArray, mesh: int, plane: int) -> None:
    """Loads of the links from the differences of `_add_leg`; at the end of a line, they add up to 0."""
    for direction in range(2):
        sign = 1.0 - 2.0 * direction
        for axis in range(3):
            values, step = loads[2 * axis + direction], (1, mesh, plane)[axis]
            for pe in range(step):
                values[pe] *= sign
            for pe in range(step, len(values)):
                values[pe] = values[pe - step] + sign * values[pe]


@_compiled()
def _add_columns(up: FloatArray, down: FloatArray, values: FloatArray, bp: int, plane: int) -> None:
    """Add what each PE sends to the PE above or below it on the BP tier, whose first PE is ``bp``."""
    for column in range(plane):
        total = 0.0
        for pe in range(column, bp, plane):
            total += values[pe]
            up[pe] += total
        total = 0.0
        for pe in range(len(values) - plane + column, bp + plane - 1, -plane):
            total += values[pe]
            down[pe - plane] += total


@_compiled()
def _iterate(
    influence_high: FloatArray,
    influence_low: FloatArray,
    mirrored: IntArray,
    power: FloatArray,
    slope: FloatArray,
    contraction: float,
    rise: FloatArray,
    work: FloatArray,
) -> None:
    """Iterate the temperature rise (K) to its fixed point, see `moopim.hardware.thermal.leakage`.

    In ``work``, shape ``(_WORK, images places)``, PEs are in the order of `moopim.hardware.stack.compiled.Mirrored`.
    """
    start, growth, now, high, fixed, rest, new = work[0], work[1], work[2], work[3], work[4], work[5], work[6]
    work[:] = 0.0
    for pe in range(len(power)):
        start[mirrored[pe]], growth[mirrored[pe]] = power[pe], slope[pe]
    contraction = max(contraction, LEAST_CONTRACTION)
    coarse = _largest(power) * COARSE
    unit, scale, limit, started = coarse, 0.0, 0.0, False
    for rough in (True, False):
        waiting = True
        while waiting:
            _cut(growth, now, start, high, unit, rest)
            _multiply(influence_high, rest, new)
            change = _move(new, fixed, now)
            waiting = change > limit
            if not started:  # from no rise to that at ambient temperature
                scale = change * ((1 - contraction) / contraction)
                limit, waiting, started = ROUGH * scale, True, True
        if rough:
            unit, limit = coarse * FINE, TOLERANCE * scale
            _cut(growth, now, start, fixed, coarse, high)
            for influence in (influence_low, influence_high):
                for place in range(len(high)):  # assigning arrays takes long to compile
                    rest[place] = high[place]
                _multiply(influence, rest, new)
                for place in range(len(new)):
                    fixed[place] += new[place]
    for pe in range(len(rise)):
        rise[pe] = now[mirrored[pe]]


@_compiled()
def _cut(
    slope: FloatArray, rise: FloatArray, power: FloatArray, high: FloatArray, unit: float, rest: FloatArray
) -> None:
    """Cut the power that its high digits leave."""
    for place in range(len(rest)):
        rest[place] = slope[place] * rise[place] + power[place] - high[place] + unit - unit


@_compiled()
def _move(new: FloatArray, fixed: FloatArray, rise: FloatArray) -> float:
    """Move to a new rise; return the largest change. Changes take the place of ``new``."""
    for place in range(len(rise)):
        value = new[place] + fixed[place]
        new[place] = abs(value - rise[place])
        rise[place] = value
    return _largest(new)


# Products of cut numbers and sums of whole multiples are exact: neither order nor contraction changes them.
@_compiled(fastmath={"contract", "reassoc", "nsz"})
def _multiply(matrices: FloatArray, factors: FloatArray, product: FloatArray) -> None:
    """Product of the influence and a vector, which it folds."""
    images, places = matrices.shape[:2]
    _fold(factors, images)
    for image in range(images):
        first = image * places
        for row in range(0, places, ROWS):
            a, b, c, d, e, f, g, h = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            for k in range(places):
                factor = factors[first + k]
                a += matrices[image, row, k] * factor
                b += matrices[image, row + 1, k] * factor
                c += matrices[image, row + 2, k] * factor
                d += matrices[image, row + 3, k] * factor
                e += matrices[image, row + 4, k] * factor
                f += matrices[image, row + 5, k] * factor
                g += matrices[image, row + 6, k] * factor
                h += matrices[image, row + 7, k] * factor
            at = first + row
            product[at], product[at + 1], product[at + 2], product[at + 3] = a, b, c, d
            product[at + 4], product[at + 5], product[at + 6], product[at + 7] = e, f, g, h
    _fold(product, images)


@_compiled()
def _fold(values: FloatArray, images: int) -> None:
    """Sums and differences of the values of mirrored PEs; done twice, four times the values."""
    if images == 1:
        return
    quarter = len(values) // 4
    for at in range(quarter):
        a, b, c, d = values[at], values[quarter + at], values[2 * quarter + at], values[3 * quarter + at]
        e, f, g, h = a + b, a - b, c + d, c - d
        values[at], values[quarter + at] = e + g, f + h
        values[2 * quarter + at], values[3 * quarter + at] = e - g, f - h


@_compiled(fastmath={"reassoc", "nsz"})
def _total(values: FloatArray) -> float:
    """Sum of whole numbers."""
    total = 0.0
    for i in range(len(values)):
        total += values[i]
    return total


@_compiled()
def _add_tree(
    loads: FloatArray, volume: float, source: int, targets: IntArray, count: int, places: IntArray, mesh: int
) -> None:
    """Add the volume to the links of a multicast tree.

    Nodes are in the order of x, y and tier, and so are the targets: the path to one leaves the tree of those before it
    where it leaves the path to the one right before it.
    """
    x0, y0, z0 = places[source, 0], places[source, 1], places[source, 2]
    _add_path(loads, volume, x0, y0, places[source, 3], targets[0], places, mesh)
    for i in range(1, count):
        before, target = targets[i - 1], targets[i]
        x, y, z = max(places[before, 0], min(places[target, 0], x0)), y0, z0
        if places[before, 0] == places[target, 0]:
            y = max(places[before, 1], min(places[target, 1], y0))
            if places[before, 1] == places[target, 1]:
                z = max(places[before, 2], min(places[target, 2], z0))
        _add_path(loads, volume, x, y, x + mesh * (y + mesh * z), target, places, mesh)


@_compiled()
def _add_path(
    loads: FloatArray, volume: float, x: int, y: int, begin: int, target: int, places: IntArray, mesh: int
) -> None:
    """Add the volume to the links from a PE at (x, y) to a node."""
    to = np.uint64(target)  # see `_add_leg`
    turn = begin + places[to, 0] - x
    rise = turn + mesh * (places[to, 1] - y)
    _add_leg(loads, 0, volume, begin, turn)
    _add_leg(loads, 2, volume, turn, rise)
    _add_leg(loads, 4, volume, rise, places[to, 3])


@_compiled()
def _add_leg(loads: FloatArray, direction: int, volume: float, begin: int, end: int) -> None:
    """Add the volume to the links of a straight leg between two PEs.

    A link is numbered by the PE at its lower end. The entry of a PE holds the difference between its load and that of
    the link before it on the line, so that a leg takes two entries; towards smaller coordinates, its negative.
    """
    # Unsigned numbers never count from the end, which takes time to find out.
    towards, first, last = np.uint64(direction + (end < begin)), np.uint64(begin), np.uint64(end)
    loads[towards, first] += volume
    loads[towards, last] -= volume


@_compiled(fastmath={"nnan", "nsz"})
def _largest(values: FloatArray) -> float:
    """Largest of numbers that are not negative."""
    a, b, c, d, e, f, g, h = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    rest = len(values) % 8
    for i in range(0, len(values) - rest, 8):  # no comparison waits for the one before
        a, b, c, d = max(a, values[i]), max(b, values[i + 1]), max(c, values[i + 2]), max(d, values[i + 3])
        e, f, g, h = max(e, values[i + 4]), max(f, values[i + 5]), max(g, values[i + 6]), max(h, values[i + 7])
    for i in range(len(values) - rest, len(values)):
        a = max(a, values[i])
    return max(a, b, c, d, e, f, g, h)
