"""HuNT's idealised model written out for one design at a time, straight from its equations.

An independent second implementation: no arrays, nothing of the package but the layers of the network. Tests compare the
two on random designs.
"""

import csv
import math
from pathlib import Path

REFERENCE = Path(__file__).parents[2] / "reference" / "hunt"

# rows, columns, bits per cell, arrays per PE (Table II), ns to write a row, pJ to write a cell (Table I).
TABLE = {
    "S": (256, 256, 1, 36, 1, 3 / 64),
    "R": (128, 128, 2, 384, 100, 2000),
    "F": (256, 256, 1, 192, 3, 5 / 64),
}


def reference_factors(name):
    """The factors of a set by name, from the reference file."""
    with (REFERENCE / "factors.csv").open() as file:
        return {row["name"]: float(row[name]) for row in csv.DictReader(file)}


def evaluate(workload, factors, influence, tiers, genes):
    """Evaluates one design; returns a dict, with only violation and area where it does not fit."""
    K, b = len(workload), factors["bits"]
    A = {t: row[3] * factors.get(f"rho_{t}", 1.0) for t, row in TABLE.items()}
    w = [int(v) for v in workload.weights]
    a = [int(v) for v in workload.activations_out]

    def layer(i, t):
        r, c, B, _, t_w, eps = TABLE[t]
        eps *= factors["w_R"] if t == "R" else 1.0
        rows, cells = int(workload.column("c_in")[i]) * int(workload.column("kernel_h")[i]) ** 2, math.ceil(b / B)
        nr, nc = math.ceil(rows / r), math.ceil(int(workload.c_out[i]) * cells / c)
        n, Ur, Uc = nr * nc, rows / (nr * r), int(workload.c_out[i]) * cells / (nc * c)
        v = int(workload.column("h_out")[i]) ** 2
        vector = factors["t_R"] * Uc if t == "R" else 256 * factors[f"t_{t}"] * Ur
        tau = v * b * vector + (a[i] * b / (c * B)) * t_w * factors["g_w"] / n
        e = v * b * n * factors[f"e_{t}"] * (Uc if t == "R" else Ur * Uc)
        e += w[i] * cells * eps / workload.batch + a[i] * cells * eps
        s = factors["n_act"] * a[i] * b / (r * c * B)
        return n, tau, e, s

    bp_tiers = [z for z in range(4) if tiers[z] == "S"]
    bp = bp_tiers[-1] if bp_tiers else 3
    forward = [z for z in range(4) if z != bp]
    where = [forward[g // 16] for g in genes]
    data = [layer(i, tiers[where[i]]) for i in range(K)]
    tiles = math.ceil(4 * sum((n + s) / A[tiers[z]] for (n, _, _, s), z in zip(data, where, strict=True)))
    result = {"area": 1.6 * (tiles / 4 + 16), "violation": 0.0 if bp_tiers else 1.0}
    period, place = {}, {}
    for z in forward:
        members = sorted((genes[i] % 16, i) for i in range(K) if where[i] == z)
        free = 16 * A[tiers[z]] - sum(data[i][3] for _, i in members)
        result["violation"] += max(0.0, sum(data[i][0] for _, i in members) - free) / (16 * A[tiers[z]])
        if result["violation"]:
            continue
        # The smallest T by trying every number of copied layers, slowest first.
        slow = sorted(members, key=lambda m: -data[m[1]][1])
        T = 0.0
        for k in range(1, len(slow) + 1):
            rest = free - sum(data[i][0] for _, i in slow[k:])
            T = sum(data[i][0] * data[i][1] for _, i in slow[:k]) / rest
            if k == len(slow) or data[slow[k][1]][1] <= T:
                break
        period[z], p = T, 0.0
        for _, i in members:
            n, tau, _, s = data[i]
            u = (n * max(1.0, tau / T) + s) / A[tiers[z]]
            place[i] = (z, p, u)
            p += u
    if result["violation"]:
        result["violation"] = max(result["violation"], 1e-3)
        return result

    macs = [int(v) for v in workload.macs]
    G = macs[0] + 2 * sum(macs[1:])
    rate = factors["x_bw"] * 16 * A["S"] * 65536 / (b * b * 256 * factors["t_S"])
    rewrite = max(TABLE[tiers[z]][0] * TABLE[tiers[z]][4] for z in set(where))
    centre = {}
    for i, (z, p, u) in place.items():
        s = min(15, math.floor(p + u / 2))
        centre[i] = (s % 4 if (s // 4) % 2 == 0 else 3 - s % 4, s // 4, z)
    traffic = 0.0
    for i in range(K):
        if i + 1 < K:
            hops = sum(abs(c - d) for c, d in zip(centre[i], centre[i + 1], strict=True))
            traffic += 2 * b * a[i] * hops
        traffic += (2 * b * a[i] + 32 * w[i] / workload.batch) * abs(centre[i][2] - bp)
    T = max(max(period.values()), G / rate) + rewrite / workload.batch + traffic / (288 * 128)
    power, bits = [0.0] * 64, [0.0] * 64
    for z in range(4):
        for s in range(16):
            y = s // 4
            x = s % 4 if y % 2 == 0 else 3 - s % 4
            q = 16 * z + 4 * y + x
            power[q] = factors[f"p_{tiers[z]}"] + 0.1 * traffic / (64 * T)
            if z == bp:
                power[q] += G * factors["e_bw"] / (16 * T)
            for i, (zi, p, u) in place.items():
                if zi == z:
                    share = max(0.0, min(p + u, s + 1) - max(p, s)) / u
                    power[q] += share * data[i][2] / T
                    bits[q] += share * (w[i] + factors["n_act"] * a[i]) * b
    power = [1e-3 * value for value in power]
    rise = [math.fsum(float(influence[q][k]) * power[k] for k in range(64)) for q in range(64)]
    noise = {"S": lambda Q: 0.0, "R": lambda Q: math.exp(min(Q / 20, 50)) - 1, "F": lambda Q: Q / 100}
    P = math.fsum(power)
    E, ops = P * T * 1e3, 2 * (sum(macs) + G) * factors["kappa"]
    stored = sum((w[i] + factors["n_act"] * a[i]) * b for i in range(K))
    err = math.fsum(bits[q] * noise[tiers[q // 16]](rise[q]) for q in range(64)) / stored
    result |= {"period": T, "power": P, "energy": E, "peak": 300 + max(rise), "err": err}
    return result | {"tops_per_W": ops / E, "tops_per_mm2": ops / (1e3 * T) / 102.4}
