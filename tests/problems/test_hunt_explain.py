"""One mapping in words: numbers of the worked example, sums of shares, and reasons why a mapping is infeasible."""

import re

import numpy as np
import pytest

import moopim
from moopim import ConfigError
from moopim.experiment.frames import read_designs
from moopim.hardware.stack import evaluate_system
from moopim.problems.hunt import HuntMapping


def design_of(problem, tiers, genes, pace=None):
    columns = {"tier": np.array([list(tiers)]), "pe": np.array([genes])}
    columns |= {} if pace is None else {"pace": np.array([pace])}
    return problem.genome.decode(problem.genome.encode(columns))


def rows_of(text, first, last):
    """Cells of the lines of a block, from the line that begins with a word up to the line that begins with another."""
    lines = text.splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith(first))
    end = next((i for i, line in enumerate(lines[begin:], begin) if line.startswith(last)), len(lines))
    return [re.split(r"\s{2,}", line.strip()) for line in lines[begin + 1 : end] if line]


def test_the_worked_example_of_the_model_in_words():
    problem = HuntMapping("vgg11", precision="fp32")
    text = problem.describe_design(design_of(problem, "RRRS", [0] * 11, 36))
    assert text.startswith("VGG11, cifar10, batch 64, on R R R S\n")
    assert re.search(r"^1 +R ReRAM +36 +131\.07 +22 +908 +6,144 +10 +64 +1-11$", text, re.MULTILINE)
    assert re.search(r"^3 +R ReRAM +36 +131\.07 +0 +0 +6,144 +0 +64 +none$", text, re.MULTILINE)
    assert re.search(r"^4 +S SRAM .* 64 +64 +back-propagation$", text, re.MULTILINE)
    assert "period of an image: 140.10 us" in text
    parts = {name: (float(us), float(share)) for name, us, share in rows_of(text, "period", "stages")}
    assert parts["slowest stage: the slowest layer"] == (128.75, 91.9)
    assert parts["update of the weights, once in 64 images"] == (round(251.6453064 / 64, 2), 2.8)
    links = {name: float(us) for name, us, _ in rows_of(text, "stages", "layer")}
    assert links == {
        "slowest layer, 1 conv1": 128.75,
        "gradients": 118.52,
        "busiest link, tier 1 PE 0 to tier 2 PE 0, at 70 % of its rate": 10.07,
    }
    first = rows_of(text, "layer", "energy")[0]
    assert first == ["1", "conv1", "1", "R ReRAM", "10", "1,024", "33", "128.75", "91.9"]
    # A batch of 64 images goes through all stages in a row, the gradients last, once more than in steady state.
    through = sum(float(cells[7]) for cells in rows_of(text, "layer", "energy")) + 118.52
    assert parts["fill and drain, once in 64 images"][0] == pytest.approx((through - 128.75) / 64, abs=0.01)
    assert {name: float(uj) for name, uj, _ in rows_of(text, "energy", "power")} == {
        "reading": 45.284,
        "writing": 20.830,
        "gradients": 195.250,
        "network": 0.513,
        "leakage": 75.045,
    }
    assert "power 2.405 W; peak 303.12 K, 3.12 K over ambient, at tier 4 PE " in text
    assert "lifetime 100,000,000 images, 10 trainings, ended by layers 1-11 on tier 1, R ReRAM" in text
    assert "gradients on tier 4, S SRAM (fp32): 0.396 TMAC/s, 0.01547 TMAC/s per mm2 of the tier" in text


@pytest.mark.parametrize("workload", ["resnet34", "densenet40"])
@pytest.mark.parametrize("wear", ["cell", "tier"])
def test_shares_add_up_and_copies_tiles_and_arrays_are_those_of_the_model(workload, wear):
    problem = HuntMapping(workload, wear=wear)
    front = moopim.run(problem, "random", evaluations=60, seed=2).front
    for row in range(min(4, len(front))):
        designs = read_designs(problem.genome, front.iloc[[row]])
        text = problem.describe_design(designs)
        assert max(map(len, text.splitlines())) <= 100
        found = evaluate_system(problem.model, *(designs.indices(name) for name in ("tier", "pe", "pace")))
        for first, last, total in (("period", "stages", "period"), ("energy", "power", "energy")):
            cells = rows_of(text, first, last)
            amounts, shares = (np.array([cell[i] for cell in cells]) for i in (1, 2))
            assert shares.astype(float).sum() == pytest.approx(100, abs=0.05 * len(cells) + 1e-9)
            unit = 1e3 if total == "period" else 1e6
            whole = sum(float(amount.replace(",", "")) for amount in amounts)
            assert whole == pytest.approx(found[total][0] / unit, abs=0.005 * len(cells))
        layers = rows_of(text, "layer", "energy")
        assert [int(cells[4].replace(",", "")) for cells in layers] == found["copies"][0].tolist()
        assert max(float(cells[7].replace(",", "")) for cells in layers) == round(found["layer_ns"][0] / 1e3, 2)
        tiers = [cells for cells in rows_of(text, "tier", "period") if len(cells) > 2 and "back" not in cells[-1]]
        assert [int(cells[7]) for cells in tiers] == found["tiles"][0].tolist()
        assert [int(cells[2]) for cells in tiers] == found["levels"][0].tolist()
        arrays = {tier: 0 for tier, *_ in tiers}
        for cells in layers:
            arrays[cells[2]] += int(cells[6].replace(",", ""))
        assert [int(cells[5].replace(",", "")) for cells in tiers] == list(arrays.values())


def test_the_life_of_a_stack_ends_where_cells_endure_least():
    problem = HuntMapping("vgg11")
    text = problem.describe_design(design_of(problem, "RFRS", [0] * 9 + [16, 17], 63))
    assert "lifetime 100,000 images, 0.01 trainings, ended by layers 10-11 on tier 2, F FeFET" in text
    tier = HuntMapping("vgg11", wear="tier")
    assert "ended by tier 2, F FeFET" in tier.describe_design(design_of(tier, "RFRS", [0] * 9 + [16, 17], 63))


@pytest.mark.parametrize(
    ("options", "tiers", "reason"),
    [
        # 679 arrays of one copy of ResNet34 with its activations, on a tier of 16 PEs with 36 arrays.
        ({}, "RSRS", "tier 2 (S SRAM) is overfull by 103 arrays: one copy of its 37 layers takes 679 of 576"),
        ({}, "RRRR", "there is no tier for back-propagation: no tier has one of the devices that can serve it, S"),
        ({"bp_tier": "farthest"}, "RRSR", "there is no tier for back-propagation: tier 4 has none of the devices that"),
        (
            {"override": "S.static_mW=2500,gated_share=1", "workload": "vgg11"},
            "SSSS",
            "the heat runs away: a rise of 1 K makes leakage that adds up to ",
        ),
    ],
)
def test_an_infeasible_mapping_says_why_and_has_no_pictures(options, tiers, reason):
    problem = HuntMapping(**{"workload": "resnet34", "repair": False} | options)
    genes = [16] * 37 if problem.workload == "resnet34" else list(range(0, 44, 4))
    design = design_of(problem, tiers, genes, 40)
    assert problem.evaluate_designs(design)["violation"][0] > 0
    lines = problem.describe_design(design).splitlines()
    assert lines[1].startswith(reason)
    assert not any(line.startswith("period") for line in lines)
    with pytest.raises(ConfigError, match=re.escape(reason)):
        problem.plot_design(design, "one")


@pytest.mark.parametrize("equations", ["idealised", "paper"])
def test_other_equations_have_tiers_by_device(equations):
    problem = HuntMapping("vgg11", equations=equations)
    assert problem.describe_design(design_of(problem, "FRRS", [0, 0, 0, 20, *[40] * 7])).splitlines() == [
        "VGG11, cifar10, batch 64, on F R R S",
        "",
        "tier  device   layers",
        "1     F FeFET  1-3",
        "2     R ReRAM  4",
        "3     R ReRAM  5-11",
        "4     S SRAM   back-propagation",
    ]
