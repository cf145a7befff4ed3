"""The planar chip written out for one design at a time, straight from the equations of MNSIM 2.0.

An independent second implementation: plain numbers, a loop over every output position and over every pair of tiles,
its own constants. It shares nothing with the package; tests compare the two. Times in ns, powers in W, energies in nJ,
areas in um2, sizes of buffers in KB.

Points that the equations leave open are settled here:

* A sum takes its width, channels and positions from its first producer that is a layer and no sum. Where there is none
  (a sum of sums or of the image), its own ``ib``, ``cout``, ``oh`` and ``ow`` count.
* The global accumulator sits at row ``side / 2``, halved exactly, also where the side is odd.
* A layer that nobody reads, be it the last one or not, sends nothing: its transfer distance is 0.
* A 1x1 convolution with padding waits for a pixel of the map at most: its row ``s i`` is bounded by ``h - 1``.
"""

import math
from types import SimpleNamespace

T_D = 2.0  # ns, one cycle at 500 MHz
ACCESS = 20.0  # ns, one access of a buffer, which moves 64 bits
KAPPA = (45 / 65) ** 2
ADDER_AREA, ADDER_POWER = 8 * 0.2835, 8 * 2.5e-9
SHIFT_AREA, SHIFT_POWER = 1.42, 8.1e-7
REGISTER_AREA, REGISTER_POWER = 1.4256 * KAPPA, 18.8e-9 * KAPPA
JOINT_AREA, JOINT_POWER = 353.76 * KAPPA, 2.64e-4 * KAPPA
POOLING_AREA, POOLING_POWER = 91917.1562, 3.082e-3

# choice: area um2, bits, power W, rate GS/s
ADC = {
    1: (1600, 10, 6.92e-3, 1.5),
    2: (1200, 8, 2e-3, 1.28),
    3: (1650, 8, 4e-3, 1.1),
    4: (580, 6, 1.26e-3, 1.0),
    5: (1650, 8, 4e-3, 1.1),
    6: (1650, 6, 1.26e-3, 1.0),
    7: (500, 4, 0.7e-3, 1.0),
    8: (1, 1, 1.629e-6, 1.0),
    9: (15899, 8, 5.84e-5, 6.0),
}
# choice: area um2, bits, power W
DAC = {
    1: (0.166, 1, 3.9e-6),
    2: (0.332, 2, 7.8e-6),
    3: (0.664, 3, 15.6e-6),
    4: (1.328, 4, 31.2e-6),
    5: (5.312, 6, 124.8e-6),
    6: (21.248, 8, 0.4992),
    7: (0.166, 1, 3.9e-6),
}
# up to KB: area mm2, leakage mW, read nJ, write nJ
SRAM = [
    (2, 0.0405803, 1.006428, 0.0075695, 0.0131361),
    (4, 0.0686947, 1.95684, 0.00854257, 0.0199484),
    (8, 0.156974886, 4.1222, 0.018382, 0.0211344),
    (16, 0.616313686, 8.86342, 0.044837, 0.0437094),
    (32, 1.060004216, 17.46566, 0.0618356, 0.0601423),
    (64, 1.974404875, 32.1096, 0.103042, 0.08827501),
    (128, 3.583918894, 63.688, 0.156421, 0.116896),
    (256, 6.974574682, 121.8756, 0.27502, 0.162096),
    (math.inf, 14.22112082, 243.484, 0.356492, 0.243037),
]
CIRCUITS = ["xbar", "ADC", "DAC", "iReg", "oReg", "input_demux", "output_mux", "shiftreg"]
ENERGIES = [*CIRCUITS, "jointmodule", "pooling", "buf_r", "buf_w"]
TIMES = [*CIRCUITS, "adder", "jointmodule", "pooling", "buffer_r", "buffer_w"]
TIMES += ["intra_tile", "tile_merge", "tile_transfer"]
DIGITAL = ("iReg", "oReg", "input_demux", "output_mux", "shiftreg", "jointmodule")
NAMES = {"conv": "conv", "fc": "fc", "pool": "pooling", "sum": "element_sum"}


def tau(bits):
    """Time to move bits into or out of a buffer (ns)."""
    return ACCESS * math.ceil(bits / 64)


def mux_transistors(q):
    """Transistors of a multiplexer with q inputs."""
    for most, count in ((2, 8), (4, 24), (8, 72), (16, 216), (32, 648)):
        if q <= most:
            return count
    return 1944


def mux_levels(q):
    """Levels of a decoder or multiplexer tree."""
    m = 1
    while q > 0:
        q //= 8
        m += 1
    return m


def sram(size):
    """A buffer: area (um2), leakage (W), energies of an access (nJ) and powers (W) of reads and writes."""
    area, leak, read, write = next(figures for most, *figures in SRAM if size <= most)
    leak *= 1e-3
    return SimpleNamespace(
        area=area * 1e6,
        leak=leak,
        read=read,
        write=write,
        read_power=read / ACCESS + leak,
        write_power=write / ACCESS + leak,
    )


def circuit(hw):
    """The circuit of a chip: areas, powers and times that do not depend on the network.

    Beyond the schema it reads `pol` (crossbars of a signed weight, 2) and `subpos` (digital subtraction, 0).
    """
    X, G, nA, nD = hw["xbar"], hw["group_num"], hw["adc_num"], hw["dac_num"]
    pol, subpos = hw.get("pol", 2), hw.get("subpos", 0)
    A_ADC, bA, P_ADC, rate = ADC[hw["adc_choice"]]
    A_DAC, bD, P_DAC = DAC[hw["dac_choice"]]
    if bA == 1:
        t_A = 1 / rate
    elif hw["adc_choice"] == 9:
        t_A = 2**bA / rate
    else:
        t_A = (bA + 2) / rate
    om = math.ceil(X / nA * (1 + subpos)) if pol == 2 else math.ceil(X / nA)
    dm = math.ceil(X / nD)
    s = X * X / 8192
    V2 = 0.9 * 0.0**2 + 0.1 * hw["v"] ** 2
    return SimpleNamespace(
        X=X,
        G=G,
        nA=nA,
        nD=nD,
        nPE=hw["pe"],
        S=hw["side"],
        pol=pol,
        noc=hw["noc"],
        intra=hw["intra"],
        om=om,
        dm=dm,
        bA=bA,
        bD=bD,
        A_ADC=A_ADC,
        A_DAC=A_DAC,
        P_ADC=P_ADC,
        P_DAC=P_DAC,
        t_A=t_A,
        t_D=bD + 2,
        t_x=hw["t_dev"] + 1e-3 * (2e-4 * s * s + 5e-6 * s + 4e-14),
        t_dec=0.27933 * mux_levels(math.ceil(X / nD)),
        t_mux=0.032744 * mux_levels(math.ceil(X / nA)),
        P_dev=V2 / (hw["rh"] * hw["rl"] / (0.67 * hw["rl"] + 0.33 * hw["rh"])),
        A_x=X * X * hw["dev_area"] + hw["drv"] * X,
        A_demux=mux_transistors(dm) * 10 * hw["nm_t"] ** 2 * 1e-6,
        A_omux=mux_transistors(om) * 10 * hw["nm_t"] ** 2 * 1e-6,
        P_demux=mux_transistors(dm) * 1.2e-8,
        P_omux=mux_transistors(om) * 1.2e-8,
    )


def map_layers(layers, c, cell_bits=1):
    """Crossbars, PEs and tiles of every layer, in the order of the layers."""
    maps, start = [], 0
    for layer in layers:
        m = SimpleNamespace(n_pe=0, mx=0, my=0, R=0, C=0, P=0, g=0, c_p=0, n_s=0, c_x=0, k=0, n_t=0, start=start)
        if layer["type"] == "pool":
            m.n_pe = m.mx = m.my = m.P = m.n_t = 1
        elif layer["type"] != "sum":
            m.k = layer["k"] if layer["type"] == "conv" else 1
            m.n_s = math.ceil((layer["wb"] - 1 if c.pol == 2 else layer["wb"]) / cell_bits)
            m.c_x = c.X // m.k**2
            m.mx = math.ceil(m.n_s / c.G) * math.ceil(layer["cout"] / c.X)
            m.my = math.ceil(layer["cin"] / m.c_x)
            m.n_pe = m.mx * m.my
            m.g = min(m.n_s, c.G)
            m.R = min(m.c_x, layer["cin"]) * m.k**2
            m.C = min(layer["cout"], c.X)
            m.c_p = m.R // m.k**2
            m.n_t = math.ceil(m.n_pe / c.nPE)
            m.P = min(m.n_pe, c.nPE)
        start += m.n_t
        maps.append(m)
    return maps


def buffer_sizes(layers, maps, by_row_blocks=False):
    """Sizes of a PE's input buffer and of a tile's output buffer (KB); the worst layer decides."""
    inputs, outputs = [], []
    for layer, m in zip(layers, maps, strict=True):
        if layer["type"] == "conv":
            D = layer["w"] * layer["k"] * layer["cin"] * layer["ib"] / 8
        elif layer["type"] == "fc":
            D = layer["cin"] * layer["ib"] / 8
        else:
            continue
        inputs.append(2 ** math.ceil(math.log2(D / (m.my if by_row_blocks else m.n_pe))) / 1024)
        outputs.append(2 ** math.ceil(math.log2(2 * layer["cout"] * layer["ob"] / 8 / m.n_t)) / 1024)
    return max(inputs), max(outputs)


def tile_areas(c, inbuf, outbuf):
    """Areas of a tile by component (um2)."""
    n_add, t = 0, c.G
    while t / 2 >= 1:
        n_add += t // 2
        t = t // 2 + t % 2
    n_j, q = 0, c.nPE
    while q / 2 >= 1:
        n_j += q // 2 + q % 2
        q //= 2
    digital = (
        c.G * (c.nA * SHIFT_AREA + (c.nA + c.nD) * REGISTER_AREA + c.nD * c.A_demux + c.nA * c.A_omux)
        + c.nA * n_add * ADDER_AREA
    )
    return {
        "xbar": c.nPE * c.G * c.pol * c.A_x,
        "ADC": c.nPE * c.G * c.nA * c.A_ADC,
        "DAC": c.nPE * c.G * c.nD * c.A_DAC,
        "digital": c.nPE * digital + n_j * c.G * c.nA * JOINT_AREA,
        "buf": c.nPE * inbuf.area + outbuf.area,
        "pooling": POOLING_AREA,
    }


def grid_position(n):
    """Row and column of the n-th tile: square shells, walked to and fro."""
    K = math.isqrt(n)
    r = n - K * K
    if K % 2:
        return (r, K) if r <= K else (K, 2 * K - r)
    return (K, r) if r <= K else (2 * K - r, K)


def distance(a, b):
    """Manhattan distance of two tiles."""
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def hop_distances(layers, maps, c):
    """Hops within each layer and on to its consumers: two lists."""
    tiles = [sorted(grid_position(n) for n in range(m.start, m.start + m.n_t)) for m in maps]
    consumers = [[j for j, layer in enumerate(layers) if i in layer["in"]] for i in range(len(layers))]

    def to_accumulator(tile):
        return abs(tile[0] - c.S / 2) + tile[1]

    d_in, d_tr = [], []
    for i, layer in enumerate(layers):
        if layer["type"] == "sum":
            d_in.append(0)
            d_tr.append(max((to_accumulator(tiles[j][0]) for j in consumers[i] if tiles[j]), default=0))
            continue
        others = [j for j in consumers[i] if layers[j]["type"] != "sum"]
        targets = [tile for j in others for tile in tiles[j]]
        best = None
        for A in tiles[i]:
            within = max(distance(A, B) for B in tiles[i])
            if not consumers[i]:
                on = 0
            elif targets:
                on = max(distance(A, B) for B in targets)
            else:
                on = to_accumulator(A)
            if best is None or within + on < sum(best):
                best = within, on
        d_in.append(best[0])
        d_tr.append(best[1])
    return d_in, d_tr


def cycle_times(c, m, ib, R=None, C=None):
    """Times of a PE with R rows and C columns for one output position, by component (ns)."""
    rho, chi = math.ceil((m.R if R is None else R) / c.nD), math.ceil((m.C if C is None else C) / c.nA)
    n_c = math.ceil(ib / c.bD) * rho * chi
    return {
        "xbar": n_c * c.t_x,
        "DAC": n_c * c.t_D,
        "ADC": n_c * c.t_A,
        "iReg": (rho * chi + n_c) * T_D,
        "shiftreg": n_c * T_D,
        "input_demux": n_c * c.t_dec,
        "output_mux": n_c * c.t_mux,
        "oReg": chi * T_D,
        "adder": chi * math.ceil(math.log2(c.G)) * T_D,
    }


def fill(layer, m, i, j):
    """Times to write and to read the input buffer for output position (i, j) (ns)."""
    b = layer["ib"]
    if layer["type"] == "fc":
        return tau(m.R * b), tau(m.R * b)
    k, s = layer["k"], layer["s"]
    k1 = max(k - layer["p"], 0)
    pool = layer["type"] == "pool"
    ch = layer["cin"] if pool else m.c_p
    if i == 0 and j == 0:
        W = tau(ch * k1 * k1 * b)
    elif j == 0:
        W = tau(ch * s * k1 * b)
    elif i == 0 and not pool:
        W = tau(ch * s * k * b)
    else:
        W = tau(ch * s * s * b)
    return W, tau(ch * k * k * b) if j == 0 else tau(s * k * ch * b)


def sum_shape(layers, i):
    """Bits, channels, height and width that a sum works on."""
    for producer in layers[i]["in"]:
        if producer >= 0 and layers[producer]["type"] != "sum":
            q = layers[producer]
            return q["ob"], q["cout"], q["oh"], q["ow"]
    return layers[i]["ib"], layers[i]["cout"], layers[i]["oh"], layers[i]["ow"]


def position_times(layers, i, m, c, d_in, d_tr, sign_bits=0, pool_reads=2):
    """Latency of every output position and the parts summed over them: `(latencies, T, shape)`.

    `T` has the parts of the reference tables and the sums `W` and `Q` of the input buffer, `t_or` and `t_ow` of the
    output buffer for one position; `shape` is the height and width that the positions have.
    """
    layer = layers[i]
    T = dict.fromkeys([*TIMES, "W", "Q", "t_or", "t_ow"], 0.0)
    if layer["type"] == "sum":
        bits, ch, oh, ow = sum_shape(layers, i)
        move = tau(len(layer["in"]) * bits * ch)
        send = d_tr * ch * bits / c.noc
        N = oh * ow
        T |= {"buffer_r": N * move, "buffer_w": N * move, "tile_transfer": N * send}
        return [10 + 2 * move + send] * N, T, (oh, ow)
    send = d_tr * layer["cout"] * layer["ob"] / c.noc
    if layer["type"] == "pool":
        t_or, t_ow = tau(layer["cout"] * layer["ob"]), tau(layer["cin"] * layer["ob"])
        once = {
            "pooling": 100 * math.ceil(layer["cin"] / 64) * math.ceil(layer["k"] ** 2 / 9),
            "tile_merge": t_or,
            "tile_transfer": send,
        }
        base = once["pooling"] + t_ow + pool_reads * t_or + send
    else:
        mu = math.ceil(math.log2(m.P))
        t_or, t_ow = tau(m.C * layer["ob"] * m.P), tau((c.bA + mu) * m.C * m.P)
        once = cycle_times(c, m, max(layer["ib"] - sign_bits, 1)) | {
            "jointmodule": mu * T_D,
            "intra_tile": (math.ceil(math.log2(c.nPE)) * (c.bA + mu) - mu * (mu + 1) / 2) * m.C / c.intra,
            "tile_merge": t_or + d_in * (T_D + m.C * m.P * layer["ob"] / c.noc),
            "tile_transfer": send,
        }
        base = sum(once.values()) + t_ow
    latencies = []
    for row in range(layer["oh"]):
        for column in range(layer["ow"]):
            W, Q = fill(layer, m, row, column)
            latencies.append(base + W + Q)
            T["W"] += W
            T["Q"] += Q
    N = len(latencies)
    T |= {part: N * time for part, time in once.items()}
    T |= {"t_or": t_or, "t_ow": t_ow, "buffer_r": N * t_or + T["Q"], "buffer_w": N * t_ow + T["W"]}
    return latencies, T, (layer["oh"], layer["ow"])


def ready(layers, i, finish, row, column):
    """When the data of an output position are there (ns)."""
    layer, times = layers[i], [0.0]
    for producer in layer["in"]:
        if producer < 0:
            continue
        done = finish[producer]
        if layer["type"] == "fc":
            times.append(done[-1])
        elif layer["type"] == "sum":
            times.append(done[row * sum_shape(layers, i)[3] + column])
        else:
            k, s, p, h, w = (layer[name] for name in "ksphw")
            if layer["type"] == "conv" and k == 1:
                r, q = min(s * row, h - 1), min(s * column, w - 1)
            else:
                r, q = min(max(k - p, 1) + s * row, h) - 1, min(max(k - p, 1) + s * column, w) - 1
            times.append(done[r * w + q])
    return max(times)


def schedule(layers, latencies, shapes):
    """Finish of every output position of every layer (ns)."""
    finish = []
    for i, (times, (oh, ow)) in enumerate(zip(latencies, shapes, strict=True)):
        done, now = [], 0.0
        for row in range(oh):
            for column in range(ow):
                now = max(now, ready(layers, i, finish, row, column)) + times[row * ow + column]
                done.append(now)
        finish.append(done)
    return finish


def pe_powers(c, R, C, g):
    """Powers of a PE by component (W)."""
    a_r, a_c = math.ceil(R / c.dm), math.ceil(C / c.om)
    return {
        "xbar": g * c.pol * R * C * c.P_dev / (c.dm * c.om),
        "DAC": g * a_r * c.P_DAC,
        "input_demux": g * a_r * c.P_demux,
        "iReg": g * a_r * REGISTER_POWER,
        "ADC": g * a_c * c.P_ADC,
        "output_mux": g * a_c * c.P_omux,
        "shiftreg": g * a_c * SHIFT_POWER,
        "oReg": g * a_c * REGISTER_POWER,
        "adder": (g - 1) * a_c * ADDER_POWER,
    }


def power_and_energy(layer, m, c, T, inbuf, outbuf):
    """Power of a layer (W) and its energies by component (nJ)."""
    E = dict.fromkeys(ENERGIES, 0.0)
    if layer["type"] == "sum":
        return 0.0, E
    if layer["type"] == "pool":
        E["pooling"] = POOLING_POWER * T["pooling"]
        E["buf_r"] = outbuf.read_power * T["buffer_r"]
        E["buf_w"] = outbuf.write_power * T["buffer_w"]
        return POOLING_POWER + outbuf.read_power + outbuf.write_power, E
    p = pe_powers(c, m.R, m.C, m.g)
    p_joint = (m.P - 1) * math.ceil(m.C / c.om) * JOINT_POWER
    p_br = m.P * inbuf.read_power + outbuf.read_power
    p_bw = m.P * inbuf.write_power + outbuf.write_power
    for part in p:
        if part != "adder":
            E[part] = m.n_t * m.P * p[part] * T[part]
    E["jointmodule"] = m.n_t * p_joint * T["jointmodule"]
    E["buf_r"] = m.n_t * p_br * T["buffer_r"]
    E["buf_w"] = m.n_t * p_bw * T["buffer_w"]
    return m.n_t * (m.P * sum(p.values()) + p_joint + p_br + p_bw), E


def lay_out(design, cell_bits=1, sign_bits=0, pool_reads=2, by_row_blocks=False):
    """Everything up to the latency: circuit, mapping, buffers, distances, times, finish times.

    The keyword arguments are the places where the physical mode differs; the defaults are MNSIM's.
    """
    layers, c = design["layers"], circuit(design["hw"])
    maps = map_layers(layers, c, cell_bits)
    chip = SimpleNamespace(layers=layers, c=c, maps=maps, tiles=sum(m.n_t for m in maps))
    chip.feasible = chip.tiles <= c.S**2
    if not chip.feasible:
        return chip
    chip.inbuf_KB, chip.outbuf_KB = buffer_sizes(layers, maps, by_row_blocks)
    chip.inbuf, chip.outbuf = sram(chip.inbuf_KB), sram(chip.outbuf_KB)
    chip.areas = tile_areas(c, chip.inbuf, chip.outbuf)
    chip.d_in, chip.d_tr = hop_distances(layers, maps, c)
    parts = [
        position_times(layers, i, m, c, chip.d_in[i], chip.d_tr[i], sign_bits, pool_reads) for i, m in enumerate(maps)
    ]
    chip.latencies, chip.times, shapes = zip(*parts, strict=True)
    chip.finish = schedule(layers, chip.latencies, shapes)
    return chip


def layer_row(chip, i, power, E):
    """One row of the layer table, with the columns of the reference."""
    layer, m, T = chip.layers[i], chip.maps[i], chip.times[i]
    first = chip.finish[i][0]
    row = {"layer": i, "type": NAMES[layer["type"]], "tiles": m.n_t, "PEs": m.n_pe, "mx": m.mx, "my": m.my}
    row |= {"max_row": m.R, "max_col": m.C, "max_PE": m.P, "start_tile": m.start}
    row |= {"d_in": chip.d_in[i], "d_trans": chip.d_tr[i]}
    # The reference repeats the one finish time of a fully connected layer for each of its outputs.
    row["n_out"] = layer["cout"] if layer["type"] == "fc" else len(chip.finish[i])
    row |= {"begin_ns": first - chip.latencies[i][0], "finish_ns": chip.finish[i][-1], "first_finish_ns": first}
    row |= {"area_um2": m.n_t * sum(chip.areas.values()), "power_W": power, "energy_nJ": sum(E.values())}
    row |= {f"E_{part}_nJ": value for part, value in E.items()}
    return row | {f"T_{part}_ns": T[part] for part in TIMES}


def totals(chip, rows, energies):
    """The totals of a chip, with the columns of the reference; `energies` holds those of each layer by component."""
    result = {"tiles": chip.tiles, "feasible": True, "tile_area_um2": sum(chip.areas.values())}
    result |= {"inbuf_KB": chip.inbuf_KB, "outbuf_KB": chip.outbuf_KB}
    result |= {f"area_{part}_mm2": chip.tiles * area * 1e-6 for part, area in chip.areas.items()}
    groups = {part: [part] for part in ("xbar", "ADC", "DAC", "pooling")}
    groups |= {"digital": [*DIGITAL, "adder"], "buf": ["buf_r", "buf_w"]}
    for name, parts in groups.items():
        result[f"energy_{name}_mJ"] = 1e-6 * math.fsum(E.get(part, 0.0) for E in energies for part in parts)
    return result | {
        "energy_mJ": 1e-6 * math.fsum(row["energy_nJ"] for row in rows),
        "latency_ms": 1e-6 * chip.finish[-1][-1],
        "area_mm2": 1e-6 * math.fsum(row["area_um2"] for row in rows),
        "power_W": math.fsum(row["power_W"] for row in rows),
    }


def evaluate(design):
    """Evaluates one design as MNSIM does.

    Args:
        design: The design as a dict, JSON schema 1 of the reference.

    Returns:
        The totals by the names of the reference tables and the rows of the layer table. A design that needs more tiles
        than the grid has yields only `tiles` and `feasible`, and no rows.
    """
    chip = lay_out(design)
    if not chip.feasible:
        return {"tiles": chip.tiles, "feasible": False}, []
    rows, energies = [], []
    for i, layer in enumerate(chip.layers):
        power, E = power_and_energy(layer, chip.maps[i], chip.c, chip.times[i], chip.inbuf, chip.outbuf)
        rows.append(layer_row(chip, i, power, E))
        energies.append(E)
    result = totals(chip, rows, energies)
    result["edp_mJms"] = result["energy_mJ"] * result["latency_ms"]
    return result, rows
