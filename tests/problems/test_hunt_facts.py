"""Facts of HuNT's idealised model that hold whatever the paper claims; how near the calibrated factors come to it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from moopim.hardware.stack import evaluate_idealised, idealised_model
from moopim.problems.hunt import HuntMapping
from moopim.problems.hunt.paper import baseline_frame, ratios
from moopim.problems.hunt.search import loss_scales, losses, tier_orders, with_loss_scales
from moopim.workload import load_workload

# Of a fit of the calibrated factors to the claims: what it reached.
CALIBRATED = {
    "over_SSSS_tops_per_W": 9.26,
    "over_SSSS_tops_per_mm2": 8.86,
    "over_FFFS_tops_per_W": 2.66,
    "over_FFFS_tops_per_mm2": 1.52,
    "over_RRRS_tops_per_W": 1.17,
    "over_RRRS_tops_per_mm2": 1.27,
    "over_HyperX_tops_per_W": 2.73,
    "over_HyperX_tops_per_mm2": 3.05,
    "over_AccuReD_tops_per_W": 1.41,
    "over_AccuReD_tops_per_mm2": 1.51,
    "SSSS_tops_per_W": 2.37,
    "SSSS_tops_per_mm2": 1.16,
    "RRFS_tops_per_W": 21.0,
    "RRFS_tops_per_mm2": 9.74,
}


IDEALISED = ("idealised physical", "idealised calibrated")


@pytest.fixture(scope="module")
def frame():
    return baseline_frame(models=IDEALISED)


def test_the_calibrated_factors_reach_what_their_fit_reached(frame):
    found = ratios(frame).set_index("name")["idealised calibrated"]
    for name, value in CALIBRATED.items():
        assert found[name] == pytest.approx(value, rel=0.15), name
    assert found["peak_FFFS"] - 300 == pytest.approx(366 - 300, rel=0.15)


def test_ratios_are_those_of_the_figures(frame):
    rows = frame[(frame["model"] == "idealised physical") & (frame["workload"] == "VGG16")].set_index("architecture")
    expected = rows.loc["RRFS", "tops_per_W"] / rows.loc["HyperX RSSS", "tops_per_W"]
    assert rows.loc["HyperX RSSS", "over_tops_per_W"] == expected
    only = ratios(frame[frame["workload"] == "VGG16"]).set_index("name")["idealised physical"]
    assert only["over_HyperX_tops_per_W"] == expected
    assert np.isnan(only["peak_FFFS"])  # a claim about ResNet34


def test_sram_alone_is_least_efficient_by_area_with_both_sets(frame):
    worst = frame.loc[frame.groupby(["model", "workload"])["tops_per_mm2"].idxmin(), "architecture"]
    assert set(worst) == {"SSSS"}


def test_fefet_alone_is_hottest_with_the_calibrated_set(frame):
    part = frame[frame["model"] == "idealised calibrated"]
    assert set(part.loc[part.groupby("workload")["peak_K"].idxmax(), "architecture"]) == {"FFFS"}


def test_fefet_alone_takes_most_energy_of_one_device_with_the_physical_set(frame):
    part = frame[(frame["model"] == "idealised physical") & frame["architecture"].isin(["SSSS", "RRRS", "FFFS"])]
    assert set(part.loc[part.groupby("workload")["energy_pJ"].idxmax(), "architecture"]) == {"FFFS"}


@pytest.mark.parametrize("factors", ["physical", "calibrated"])
def test_the_scales_of_the_loss_give_what_they_are_pinned_to(frame, factors):
    worst = frame[frame["model"] == f"idealised {factors}"].groupby("architecture")["loss"].max()
    assert worst["RRRS"] == pytest.approx(0.025, rel=1e-12)
    assert worst["FFFS"] == pytest.approx(0.04, rel=1e-12)
    assert worst["SSSS"] == 0
    assert min(loss_scales(factors)) > 0


def random_designs(model, n, rng, letters=(0, 1, 2)):
    tiers = rng.choice(letters, (n, model.stack.tiers))
    tiers[np.arange(n), rng.integers(0, 4, n)] = 0
    return tiers, rng.integers(0, model.slots, (n, len(model.workload)))


def without_communication(model, **changes):
    stack = replace(model.stack, hop_energy_pJ=0.0, **changes)
    object.__setattr__(stack, "link_bits_per_ns", 1e300)  # far out of its bounds, so that links take no time at all
    return replace(model, stack=stack)


def test_communication_power_is_linear_in_bits_times_hops(rng):
    model = idealised_model(load_workload("vgg11"), traffic="chain")
    tiers, genes = random_designs(model, 40, rng)

    def results(pj):
        out = evaluate_idealised(replace(model, stack=replace(model.stack, hop_energy_pJ=pj)), tiers, genes)
        return out["energy"], out["period"]

    (zero, period), (one, same), (three, _) = results(0.0), results(1.0), results(3.0)
    fit = np.isfinite(zero)
    assert fit.sum() > 20
    assert np.array_equal(period[fit], same[fit])
    # Energy of communication at 1 pJ per bit and hop is the sum F M of eq. 4, which also takes the links' time.
    silent = evaluate_idealised(without_communication(model), tiers, genes)["period"]
    bit_hops = (period - silent) * model.stack.links * model.stack.link_bits_per_ns
    assert (one - zero)[fit] == pytest.approx(bit_hops[fit], rel=1e-6)
    assert (three - zero)[fit] == pytest.approx(3 * (one - zero)[fit], rel=1e-6)


@pytest.mark.parametrize("network", ["vgg11", "resnet34"])
@pytest.mark.parametrize("factors", ["physical", "calibrated"])
def test_a_reram_tier_nearer_to_the_sink_never_has_more_noise(network, factors, rng):
    # No noise of FeFET, and no communication, whose power depends on distances: what is left is the noise of the tier.
    model = without_communication(idealised_model(load_workload(network), factors), noise_linear_per_K=0.0)
    n = 400
    tiers, genes = random_designs(model, n, rng, letters=(0, 2))
    place = rng.integers(1, 4, n)
    rows = np.arange(n)
    keep = (tiers == 0).sum(axis=1) - (tiers[rows, place] == 0) > 0  # a tier for back-propagation is left
    tiers, genes, place, rows = tiers[keep], genes[keep], place[keep], np.arange(keep.sum())
    tiers[rows, place] = 1
    nearer = tiers.copy()
    nearer[rows, place], nearer[rows, place - 1] = tiers[rows, place - 1], 1
    bp = 3 - (tiers[:, ::-1] == 0).argmax(axis=1)
    # The forward tiers that change places keep their layers.
    moved = genes.copy()
    for i in rows:
        if bp[i] != place[i] - 1:
            lower = place[i] - 1 - (bp[i] < place[i] - 1)
            upper = place[i] - (bp[i] < place[i])
            tier = genes[i] // 16
            moved[i] += 16 * ((tier == lower) * (upper - lower) - (tier == upper) * (upper - lower))
    before, after = evaluate_idealised(model, tiers, genes), evaluate_idealised(model, nearer, moved)
    fit = np.isfinite(before["err"])
    assert fit.sum() > 100
    assert np.array_equal(before["period"][fit], after["period"][fit])
    assert (after["err"][fit] <= before["err"][fit] * (1 + 1e-9) + 1e-12).all()
    assert (after["err"][fit] < before["err"][fit]).mean() > 0.9


def test_losses_of_a_front_are_those_of_the_scaled_model(rng):
    problem = HuntMapping("vgg11", equations="idealised", factors="calibrated")
    X = problem.repair_designs(problem.genome.sample(20, rng))
    designs = problem.genome.decode(X)
    tiers, genes = designs.indices("tier"), designs.indices("pe")
    columns = {f"tier_{i}": designs["tier"][:, i] for i in range(4)} | {f"pe_{i}": genes[:, i] for i in range(11)}
    front = pd.DataFrame(columns)
    scales, stack = loss_scales("calibrated"), problem.model.stack
    parts = [
        evaluate_idealised(replace(problem.model, stack=replace(stack, **{name: 0.0})), tiers, genes)["err"]
        for name in ("noise_linear_per_K", "noise_exponential")
    ]
    expected = scales.exponential * parts[0] + scales.linear * parts[1]
    assert losses(problem, front) == pytest.approx(expected, rel=1e-9)
    assert with_loss_scales(problem.model, "calibrated").stack.noise_scale_K == stack.noise_scale_K
    assert tier_orders(front).tolist() == ["".join(row) for row in designs["tier"]]
