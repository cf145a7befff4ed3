"""Breakdown of a design on a planar chip: the frame adds up, the tables agree, the figure shows it."""

import warnings

import numpy as np
import pandas as pd
import pytest

from moopim.analysis.hardware import COMPONENTS, breakdown_frame, component_table, layer_table, plot_breakdown
from moopim.hardware.planar.chip import make_chip
from moopim.hardware.planar.model import break_down
from moopim.workload import LayerKind, network_table, stack_tables


@pytest.fixture(params=["compat", "physical"])
def mode(request):
    return request.param


@pytest.fixture
def resnet(mode):
    table = network_table("resnet18")
    return table, break_down(table, make_chip("paper", crossbar=128), mode)


def test_the_frame_adds_up_to_the_design_by_layer_and_by_component(resnet, mode):
    table, breakdown = resnet
    frame = breakdown_frame(breakdown, table)
    assert frame["energy_mJ"].sum() == pytest.approx(breakdown.totals["energy"][0], rel=1e-12)
    assert frame["area_mm2"].sum() == pytest.approx(breakdown.totals["area"][0], rel=1e-12)
    sums = frame.groupby("layer")[["energy_mJ", "time_ms", "area_mm2"]].sum()
    columns = breakdown.layers
    for name, column in (("energy_mJ", "energy_nJ"), ("time_ms", "time_ns"), ("area_mm2", "area_um2")):
        expected = columns[column][0] * 1e-6
        assert sums[name][: table.layers].tolist() == pytest.approx(expected.tolist(), rel=1e-12), name
    assert ("leakage" in set(frame["component"])) == (mode == "physical")


def test_the_accumulator_of_sums_is_shared_by_the_sums():
    table = network_table("resnet18")
    breakdown = break_down(table, make_chip("paper"), "physical")
    digital = breakdown_frame(breakdown, table).query("component == 'digital' and kind == 'sum'")["area_mm2"]
    assert breakdown.layers["tiles"][0][table.kind[0] == LayerKind.SUM].sum() == 0
    assert digital.tolist() == pytest.approx([breakdown.area_mm2["element_wise"][0] / 8] * 8, rel=1e-12)


def test_what_is_not_modelled_is_no_zero(resnet, mode):
    table, breakdown = resnet
    frame = breakdown_frame(breakdown, table)
    unknown = frame["component"] == "interconnect"
    if mode == "compat":  # MNSIM counts the time of element-wise layers only
        unknown |= frame["kind"] == "sum"
    for name in ("energy_mJ", "area_mm2"):
        assert (frame[name].isna() == unknown).all()
        assert component_table(frame).set_index("component")[name].isna().sum() == 1
        layers = layer_table(frame, breakdown)
        assert (layers[name].isna() == ((layers["kind"] == "sum") & (mode == "compat"))).all()
    assert frame["time_ms"].notna().all()
    assert frame.query("component == 'interconnect'")["time_ms"].sum() > 0.1 * frame["time_ms"].sum()
    note = "energy and area not modelled: interconnect" + (", layers with a cross" if mode == "compat" else "")
    axes = plot_breakdown(frame).axes
    assert axes[4].get_xlabel() == note
    crossed = [ax.lines[0].get_xdata().tolist() if ax.lines else [] for ax in axes[0:5:2]]
    sums = np.flatnonzero(layers["kind"] == "sum").tolist() if mode == "compat" else []
    assert crossed == [sums, [], sums]


def test_every_part_of_the_model_is_in_one_component(resnet):
    _, breakdown = resnet
    members = [member for group in COMPONENTS.values() for member in group]
    assert len(members) == len(set(members))
    names = {*breakdown.energy_mJ, *breakdown.area_mm2}
    names |= {name[5:-3] for name in breakdown.layers if name.startswith("time_") and name != "time_ns"}
    assert names <= set(members)


def test_a_design_of_a_batch_is_shown_without_its_padding():
    tables = [network_table("alexnet"), network_table("vgg11")]
    chip = make_chip("cur", crossbar=[128, 256])
    both = break_down(stack_tables(tables), chip)
    for design, table in enumerate(tables):
        alone = breakdown_frame(break_down(table, chip.take(np.array([design]))), table)
        found = breakdown_frame(both, stack_tables(tables), design)
        assert found["layer"].tolist() == alone["layer"].tolist()
        assert found["energy_mJ"].tolist() == pytest.approx(alone["energy_mJ"].tolist(), rel=1e-12, nan_ok=True)
        assert set(found["name"]) == {str(i) for i in range(table.layers)}


def test_the_table_of_components_holds_sums_and_shares(resnet, mode):
    table, breakdown = resnet
    found = component_table(breakdown_frame(breakdown, table)).set_index("component")
    assert list(found.index) == [name for name in COMPONENTS if mode == "physical" or name != "leakage"]
    assert found.loc["ADC", "energy_mJ"] == pytest.approx(breakdown.energy_mJ["adc"][0], rel=1e-12)
    assert found.loc["ADC", "area_%"] == pytest.approx(100 * breakdown.area_mm2["adc"][0] / breakdown.totals["area"][0])
    assert found[["energy_%", "time_%", "area_%"]].sum().tolist() == pytest.approx([100, 100, 100])


def test_the_table_of_layers_says_when_each_works_and_what_it_takes(resnet):
    table, breakdown = resnet
    found = layer_table(breakdown_frame(breakdown, table), breakdown)
    assert found["name"].tolist() == list(table.names)
    assert found["tiles"].tolist() == breakdown.layers["tiles"][0].tolist()
    assert found["finish_ms"].max() == pytest.approx(breakdown.totals["latency"][0], rel=1e-12)
    assert (found["begin_ms"] + found["time_ms"] <= found["finish_ms"] * (1 + 1e-9)).all()
    assert found["energy_%"].sum() == pytest.approx(100)


@pytest.mark.parametrize("network", ["alexnet", "densenet40"])
def test_bars_end_at_the_sums(network, mode):
    table = network_table(network)
    breakdown = break_down(table, make_chip("cur"), mode)
    frame = breakdown_frame(breakdown, table)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = plot_breakdown(frame, "a title")
        figure.canvas.draw()
    energy, whole = figure.axes[:2]
    ends = np.max([[bar.get_y() + bar.get_height() for bar in bars] for bars in energy.containers], axis=0)
    assert ends.tolist() == pytest.approx((breakdown.layers["energy_nJ"][0] * 1e-6).tolist(), rel=1e-9)
    assert whole.containers[-1][0].get_y() + whole.containers[-1][0].get_height() == pytest.approx(
        breakdown.totals["energy"][0], rel=1e-9
    )
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        name for name in COMPONENTS if mode == "physical" or name != "leakage"
    ]
    assert figure.legends[0].get_title().get_text() == "a title"
    assert [tick.get_text() for tick in figure.axes[4].get_xticklabels()] == list(table.names)
    assert [figure.axes[i].get_ylabel() for i in (0, 2, 4)] == ["energy (mJ)", "busy time (ms)", "area (mm²)"]


def test_of_very_many_layers_every_few_are_named():
    table = network_table("densenet40")
    frame = breakdown_frame(break_down(table, make_chip("cur")), table)
    copies = [frame.assign(layer=frame["layer"] + i * table.layers) for i in range(4)]
    figure = plot_breakdown(pd.concat(copies))
    assert len(figure.axes[4].get_xticklabels()) == pytest.approx(4 * table.layers / 3, abs=1)
