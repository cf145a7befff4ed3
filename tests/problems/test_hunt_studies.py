"""The studies behind the paper's figures, and the page of its claims."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moopim import ConfigError
from moopim.problems.hunt import VARIANTS, HuntMapping, TierOrderMapping, make_study, published
from moopim.problems.hunt.paper import (
    architecture_claims,
    baseline_frame,
    claims_page,
    mapped_layers,
    markdown_table,
    number_text,
    search_claims,
    search_facts,
)
from moopim.problems.hunt.search import efficiency_by_order, farthest_share, front_by_order, is_heterogeneous

PAGE = Path(__file__).parents[2] / "docs" / "hunt_claims.md"
FRONT = pd.DataFrame(
    {
        "tiers": ["RRFS", "RRFS", "FFFS", "RSFF"],
        "period_ns": [10.0, 20.0, 5.0, 8.0],
        "energy_pJ": [10.0, 4.0, 5.0, 9.0],
        "area_mm2": [30.0, 31.0, 32.0, 33.0],
        "power_W": [1.0, 2.0, 3.0, 4.0],
        "err": [0.1, 0.2, 0.3, 0.0],
        "tops_per_W": [5.0, 7.0, 6.0, 1.0],
        "tops_per_mm2": [3.0, 1.0, 6.0, 1.0],
        "loss": [0.01, 0.02, 0.03, 0.0],
    }
)


def test_each_tier_order_is_shown_by_its_design_of_least_energy_times_period():
    orders = front_by_order(FRONT, FRONT.iloc[2]).set_index("tiers")
    assert orders["designs"].to_dict() == {"FFFS": 1, "RRFS": 2, "RSFF": 1}
    assert orders.loc["RRFS", "period_norm"] == 20 / 5
    assert orders.loc["RRFS", ["area_norm", "power_norm"]].tolist() == pytest.approx([31 / 32, 2 / 3])
    assert (orders.loc["FFFS", [f"{name}_norm" for name in ("period", "area", "power")]] == 1).all()


def test_efficiencies_of_an_order_are_the_best_with_and_without_the_limit():
    orders = efficiency_by_order(FRONT)
    assert orders["tiers"].tolist() == ["RRFS", "FFFS", "RSFF"]
    found = orders.set_index("tiers")
    assert found.loc["RRFS", ["tops_per_W", "tops_per_W_feasible", "tops_per_mm2_feasible"]].tolist() == [7, 5, 3]
    assert np.isnan(found.loc["FFFS", "tops_per_W_feasible"])


def test_one_device_in_the_forward_tiers_is_homogeneous():
    orders = pd.Series(["SSSS", "RRRS", "SRRR", "RRFS", "RSRS", "SSRS", "FSFF"])
    assert is_heterogeneous(orders).tolist() == [False, False, False, True, True, True, False]
    assert farthest_share(FRONT) == 2 / 3


@pytest.mark.parametrize("equations", ["system", "idealised"])
@pytest.mark.parametrize("tiers", ["RRFS", "SFFR"])
def test_layers_lie_end_to_end_on_the_tiers_of_their_genes(tiers, equations, rng):
    problem = TierOrderMapping(tiers, "vgg16", equations=equations)
    X = problem.repair_designs(problem.genome.sample(1, rng))
    designs = problem.genome.decode(X)
    genes = designs.indices("pe")[0]
    row = pd.Series(
        {f"tier_{i}": tier for i, tier in enumerate(tiers)}
        | {f"pe_{i}": gene for i, gene in enumerate(genes)}
        | {"pace": 20}
    )
    layers = mapped_layers(problem, row)
    assert layers.drop_duplicates("tier")["device"].tolist() == list(tiers)
    bp = tiers.index("S") + 1
    assert set(layers.loc[layers["back_propagation"], "tier"]) == {bp}
    forward = [tier for tier in range(1, 5) if tier != bp]
    placed = layers[layers["layer"] > 0].set_index("layer").sort_index()
    assert placed.index.tolist() == list(range(1, 17))
    assert placed["tier"].tolist() == [forward[gene // 16] for gene in genes]
    for _, part in layers[layers["layer"] > 0].groupby("tier"):
        assert part["start"].to_numpy() == pytest.approx(np.cumsum([0, *part["extent"]])[:-1])
        assert part["extent"].sum() <= 16 + 1e-9
        order = [(genes[layer - 1] % 16, layer) for layer in part["layer"]]
        assert order == sorted(order)


def test_a_mapping_that_does_not_fit_has_no_placement():
    problem = HuntMapping("resnet34", repair=False)
    row = pd.Series({f"tier_{i}": "S" for i in range(4)} | {f"pe_{i}": 0 for i in range(37)} | {"pace": 0})
    with pytest.raises(ConfigError, match="the mapping of ResNet34 does not fit: tier 1"):
        mapped_layers(problem, row)


def test_published_numbers_say_where_they_stand():
    claims = published()
    assert claims["name"].is_unique
    assert claims["source"].str.contains("section").all()
    assert claims.set_index("name").loc["RRFS_tops_per_mm2", "value"] == 10.73


@pytest.mark.parametrize(
    ("figure", "options", "message"),
    [
        ("7", {}, "unknown figure '7'"),
        ("3", {"workloads": ("vgg11", "vgg16")}, "figure 3 is of one network; got VGG11, VGG16"),
        ("6", {"workloads": ("lenet",)}, "unknown workload 'lenet'"),
        ("6", {"evaluations": 0}, "evaluations=0 is not allowed"),
        ("4", {"evaluations": -3}, "evaluations=-3 is not allowed"),
        ("5", {"seed": -1}, "seed=-1 is not allowed"),
    ],
)
def test_a_study_refuses_bad_input(figure, options, message):
    with pytest.raises(ConfigError, match=message):
        make_study(figure, **options)


@pytest.mark.filterwarnings("ignore:.*evaluations leave each")
@pytest.mark.parametrize("figure", ["3", "4", "5", "6"])
def test_a_study_gives_frames_a_figure_and_the_papers_numbers(figure):
    made = make_study(figure, ("vgg11",), 600, 1)
    assert all("paper" in note for note in made.notes)
    assert not any(frame.empty for frame in made.frames.values())
    assert set(next(iter(made.frames.values()))["model"]) == set(VARIANTS)
    assert made.plot().get_axes()


def page_rows(page):
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in page.splitlines() if line[:1] == "|"]


def test_the_claims_page_has_the_numbers_of_the_pools():
    models = ("idealised physical", "idealised calibrated")
    lines = page_rows(PAGE.read_text(encoding="utf-8"))
    written = {row[0]: row[3:] for row in lines if len(row) == 2 + len(VARIANTS)}
    for claim, *cells in architecture_claims(baseline_frame(models=models)).to_numpy().tolist():
        assert written[claim] == tuple(cells), claim


@pytest.mark.slow
def test_the_claims_page_has_about_the_numbers_of_the_searches():
    written = {row[0]: row for row in page_rows(PAGE.read_text(encoding="utf-8"))}
    for claim, *found, paper in search_claims().to_numpy().tolist():
        _, *cells, cited = written[claim]
        assert cited == paper
        if "TOPS/W" in claim and "layers" not in claim:
            # Rounding may lead a search on another processor to another mapping, hardly to a much better one.
            best = [[float(cell.split()[-1]) for cell in some] for some in (cells, found)]
            assert best[0] == pytest.approx(best[1], rel=0.1), claim


@pytest.mark.filterwarnings("ignore:.*evaluations leave each")
@pytest.mark.slow
def test_the_page_has_all_tables_and_how_they_were_made():
    page = claims_page(evaluations=1_000, seed=3)
    assert "1,000 evaluations, seed 3" in page
    assert "--evaluations 1000 --seed 3" in page
    assert len(page_rows(page)) == len(page_rows(PAGE.read_text(encoding="utf-8")))


@pytest.mark.filterwarnings("ignore:.*evaluations leave each")
def test_facts_of_a_search_show_what_bounds_copies():
    facts = search_facts(600, 1).set_index("quantity")
    copies = facts.loc["most copies of a layer over its positions, on the front"]
    assert [float(copies[name].replace(",", "")) <= 1 for name in VARIANTS] == [True, True, False, False]
    shares = facts.loc["non-dominated, of all designs evaluated"].str.removesuffix(" %").astype(float)
    assert shares["system int8"] < shares["idealised physical"] / 2
    assert facts.loc["its lifetime (trainings)", "idealised physical"] == "-"


@pytest.mark.filterwarnings("ignore:.*evaluations leave each")
def test_baselines_of_the_system_model_are_placed_on_their_tiers():
    frame = baseline_frame(["vgg11"], evaluations=600, models=["system int8", "system fp32"])
    for model, part in frame.groupby("model"):
        rows = part.set_index("architecture")
        assert (rows["layers"] == "placed").all()
        assert rows.loc["HyperX RSSS", "tiers"] == "RSSS"
        assert rows["loss"].isna().all()
        expected = rows.loc["RRFS", "tops_per_mm2"] / rows.loc["SSSS", "tops_per_mm2"]
        assert rows.loc["SSSS", "over_tops_per_mm2"] == expected
        assert rows.loc["SSSS", "tops_per_W"] < rows.loc["RRRS", "tops_per_W"], model
    # 8-bit gradients take less time and energy than 32-bit ones; a GPU-like tier computes AccuReD's in either case.
    ratio = frame.pivot(index="architecture", columns="model", values="tops_per_W")
    assert (ratio["system int8"] > ratio["system fp32"]).drop("AccuReD RRGG").all()
    assert ratio.loc["AccuReD RRGG", "system int8"] == ratio.loc["AccuReD RRGG", "system fp32"]


def test_numbers_are_written_with_three_digits_or_whole():
    assert [number_text(x) for x in (0.0123456, 12.345, 1528.4, 1e10, np.nan)] == [
        "0.0123",
        "12.3",
        "1,528",
        "1e+10",
        "-",
    ]


def test_tables_have_columns_of_even_width():
    table = markdown_table(["a", "value"], [["long name", "1"], ["b", "23"]])
    assert table.splitlines() == [
        "| a         | value |",
        "| --------- | ----: |",
        "| long name |     1 |",
        "| b         |    23 |",
    ]
