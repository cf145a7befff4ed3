"""HuNT's surrogates as printed: eqs 2-7 and 9-11 written out for one design at a time, and what follows from them."""

import math

import numpy as np
import pytest
from literal_idealised import REFERENCE, TABLE, reference_factors

from moopim.hardware.stack import evaluate_idealised, evaluate_surrogates, idealised_model
from moopim.workload import WORKLOADS, load_workload

LETTERS = "SRF"
INFLUENCE = np.load(REFERENCE / "influence_64x64.npy")


def literal(workload, factors, tiers, genes):
    """Latency, PEs, power, Err and peak of one design that fits, with layers of one copy."""
    K, b = len(workload), int(factors["bits"])
    bp = tiers.rindex("S")
    forward = [z for z in range(4) if z != bp]
    a, w = workload.activations_out.tolist(), workload.weights.tolist()
    time, energy, extent, where = [], [], [], [forward[g // 16] for g in genes]
    for i in range(K):
        t = tiers[where[i]]
        r, c, B, arrays, t_w, eps = TABLE[t]
        eps *= factors["w_R"] if t == "R" else 1
        rows, cells, v = int(workload.rows[i]), math.ceil(b / B), int(workload.positions[i])
        nr, nc = math.ceil(rows / r), math.ceil(int(workload.c_out[i]) * cells / c)
        U_r, U_c = rows / (nr * r), int(workload.c_out[i]) * cells / (nc * c)
        step = factors["t_R"] * U_c if t == "R" else 256 * factors[f"t_{t}"] * U_r
        time.append(v * b * step + a[i] * b / (c * B) * t_w * factors["g_w"] / (nr * nc))
        used = U_c if t == "R" else U_r * U_c
        writes = (w[i] / workload.batch + a[i]) * cells * eps
        energy.append(v * b * nr * nc * factors[f"e_{t}"] * used + writes)
        extent.append((nr * nc + factors["n_act"] * a[i] * b / (r * c * B)) / arrays)
    place = {}
    for z in forward:
        start = 0.0
        for _, i in sorted((genes[i], i) for i in range(K) if where[i] == z):
            place[i] = (z, start, start + extent[i])
            start += extent[i]

    def corner(s):
        return (s % 4 if s // 4 % 2 == 0 else 3 - s % 4), s // 4

    centre = {i: (*corner(min(15, math.floor((p + q) / 2))), z) for i, (z, p, q) in place.items()}
    # F_ij M_ij: activations and their gradients to the next layer and to the tier of the gradients, weight gradients.
    FM = sum(
        2 * b * a[i] * sum(abs(x - y) for x, y in zip(centre[i], centre[i + 1], strict=True)) for i in range(K - 1)
    ) + sum((2 * b * a[i] + 32 * w[i] / workload.batch) * abs(where[i] - bp) for i in range(K))
    latency = sum(time) + FM / 128
    power, values = np.full(64, 0.1 * FM / 64 / latency), np.zeros(64)
    for i, (z, p, q) in place.items():
        for s in range(16):
            covered = max(0.0, min(q, s + 1) - max(p, s))
            x, y = corner(s)
            pe = 16 * z + 4 * y + x
            power[pe] += covered / extent[i] * energy[i] / latency + covered * factors[f"p_{tiers[z]}"]
            values[pe] += covered / extent[i] * (w[i] + a[i])
    power *= 1e-3
    rise = INFLUENCE @ power
    noise = {"S": lambda Q: 0.0, "R": lambda Q: math.exp(Q / 20), "F": lambda Q: Q / 100}
    err = sum(values[pe] * noise[tiers[pe // 16]](rise[pe]) for pe in range(64))
    return {"latency": latency, "pes": sum(extent), "power": power.sum(), "err": err, "peak": 300 + rise.max()}


@pytest.mark.parametrize("network", ["vgg11", "resnet18"])
def test_the_surrogates_are_the_printed_sums(network, rng):
    model = idealised_model(load_workload(network), traffic="chain")
    tiers, genes = rng.integers(0, 3, (40, 4)), rng.integers(0, 48, (40, len(model.workload)))
    tiers[np.arange(40), rng.integers(0, 4, 40)] = 0
    found = evaluate_surrogates(model, tiers, genes)
    assert (found["violation"] == 0).sum() > 20
    factors = reference_factors("physical")
    for i in np.flatnonzero(found["violation"] == 0):
        expected = literal(model.workload, factors, "".join(LETTERS[t] for t in tiers[i]), genes[i].tolist())
        for name, value in expected.items():
            assert found[name][i] == pytest.approx(value, rel=1e-11), name


def test_both_models_agree_on_what_fits(rng):
    model = idealised_model(load_workload("densenet40"))
    tiers, genes = rng.integers(0, 3, (200, 4)), rng.integers(0, 16, (200, len(model.workload)))
    printed, idealised = evaluate_surrogates(model, tiers, genes), evaluate_idealised(model, tiers, genes)
    assert printed["violation"].tolist() == idealised["violation"].tolist()
    assert np.array_equal(np.isnan(printed["latency"]), np.isnan(idealised["period"]))
    assert np.isfinite(printed["pes"]).all()


def test_err_of_a_cold_resistive_tier_is_what_it_stores():
    # As printed, noise is exp(Q), 1 at no rise over ambient.
    model = idealised_model(load_workload("vgg11"), override="R.static_mW=0,R.vector_pJ=0,R.write_pJ=0,hop_energy_pJ=0")
    genes = np.zeros((1, 11), dtype=np.int64)
    found = evaluate_surrogates(model, np.array([[1, 0, 0, 0]]), genes)
    stored = (model.workload.weights + model.workload.activations_out).sum()
    assert found["err"][0] == pytest.approx(stored, rel=1e-12)


@pytest.mark.parametrize("network", WORKLOADS)
def test_read_as_a_step_of_training_the_sums_are_far_from_the_papers_throughput(network, rng):
    # 10.73 TOPS/mm2 at best, over the 102.4 mm2 of the stack: more than a hundred times as much.
    model = idealised_model(load_workload(network))
    genes = rng.integers(0, 48, (300, len(model.workload)))
    latency = evaluate_surrogates(model, np.tile([1, 1, 2, 0], (300, 1)), genes)["latency"]
    assert model.operations / (1e3 * np.nanmin(latency)) / 102.4 < 10.73 / 100
