"""Pictures of tier orders, architectures and placements: what is on the axes, and bad frames."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from moopim import ConfigError
from moopim.analysis.stack import plot_placement
from moopim.analysis.style import save_figure
from moopim.analysis.tier_orders import plot_architectures, plot_order_efficiency, plot_tier_orders

ORDERS = pd.DataFrame(
    {
        "model": "physical",
        "tiers": ["SSSS", "RRFS", "RRSF"],
        "kind": ["a", "b", "b"],
        "period_norm": [8.0, 1.0, 1.2],
        "power_norm": [0.1, 1.0, 0.9],
        "area_norm": [1.7, 1.0, 1.0],
        "peak_K": [305.0, 320.0, 310.0],
        "tops_per_W": [1.0, 3.0, 2.0],
        "tops_per_mm2": [0.1, 0.9, 0.8],
        "tops_per_W_feasible": [1.0, 2.0, np.nan],
        "tops_per_mm2_feasible": [0.1, 0.5, np.nan],
    }
)
BARS = pd.DataFrame(
    {
        "model": ["physical"] * 4,
        "workload": ["VGG11", "VGG11", "VGG16", "VGG16"],
        "architecture": ["SSSS", "RRFS"] * 2,
        "tops_per_W": [1.0, 2.0, 3.0, 4.0],
        "tops_per_mm2": [0.1, 0.2, 0.3, 0.4],
        "loss": [0.0, 0.02, 0.0, 0.3],
    }
)
LAYERS = pd.DataFrame(
    {
        "tier": [1, 1, 2],
        "device": ["R", "R", "S"],
        "back_propagation": [False, False, True],
        "layer": [2, 1, 0],
        "start": [0.0, 3.0, 0.0],
        "extent": [3.0, 0.1, 0.0],
        "copies": [4.0, 1.0, np.nan],
        "in_use": [3.25, 3.25, 16.0],
        "engine": [0.0, 0.0, 0.5],
    }
)


def test_every_tier_order_is_a_mark_and_the_named_ones_have_names(tmp_path):
    figure = plot_tier_orders(ORDERS, ["RRFS"])
    latency, area = figure.get_axes()
    for ax in (latency, area):
        assert sum(len(line.get_xdata()) for line in ax.lines) == 3 + 1  # and a ring around the named one
        assert [text.get_text() for text in ax.texts if text.get_text()] == ["RRFS"]
    assert latency.get_xscale() == "log"
    assert area.get_ylabel() == "hottest PE (K)"
    near = plot_tier_orders(ORDERS.assign(period_norm=[1.0, 1.1, 1.9])).get_axes()
    assert near[0].get_xscale() == "linear"
    assert save_figure(figure, tmp_path / "orders.png").stat().st_size > 10_000


def test_bars_of_tier_orders_are_their_efficiencies_best_on_top():
    figure = plot_order_efficiency(ORDERS.sort_values("tops_per_W", ascending=False), ["SSSS"], shown=1)
    first, second = figure.get_axes()
    assert [text.get_text() for text in first.get_yticklabels()] == ["SSSS", "RRFS"]
    assert [text.get_fontweight() for text in first.get_yticklabels()] == ["bold", "normal"]
    assert [bar.get_width() for bar in first.patches] == [1, 3, 1, 2]
    assert second.get_xlabel() == "TOPS/mm² ↑"


def test_bars_of_architectures_stand_by_network_and_long_ones_carry_their_number():
    claims = pd.DataFrame(
        {"architecture": ["RRFS", "SSSS"], "quantity": "tops_per_W", "statistic": ["max", "mean"], "value": [20.0, 3.5]}
    )
    figure = plot_architectures(BARS, claims)
    watts, area, loss = figure.get_axes()
    assert [bar.get_height() for bar in watts.patches] == [1, 3, 2, 4]
    assert [line.get_ydata()[0] for line in watts.lines] == [3.5]
    assert "RRFS max 20 (off scale), SSSS mean 3.5" in watts.texts[0].get_text()
    assert not area.lines
    assert loss.get_ylim() == (0, 5)
    assert [text.get_text() for text in loss.texts] == ["30"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["SSSS", "RRFS"]


def test_a_model_without_losses_says_so():
    *_, loss = plot_architectures(BARS.assign(loss=np.nan)).get_axes()
    assert [text.get_text() for text in loss.texts] == ["no loss in this model"]


def test_layers_are_runs_on_their_tiers_with_their_numbers():
    (ax,) = plot_placement({"VGG": LAYERS}).get_axes()
    spans = [tuple(np.round((p.get_x(), p.get_width(), p.get_y()), 6).tolist()) for p in ax.patches]
    assert {(0, 3, 0), (3, 0.1, 0)} <= set(spans)  # the layers
    assert (3.25, 16 - 3.25, 0) in spans  # not in use
    assert (0, 0.5, 1) in spans  # the gradient engine on the first PE
    colors = [to_hex(p.get_facecolor()) for p in ax.patches if round(p.get_width(), 6) in (3, 0.1)]
    assert len(set(colors)) == 2
    assert {text.get_text() for text in ax.texts} == {"2 x4", "1", "back-propagation"}
    assert [text.get_text() for text in ax.get_yticklabels()] == ["tier 1: R", "tier 2: S"]


@pytest.mark.parametrize("draw", [plot_tier_orders, plot_order_efficiency, plot_architectures])
def test_frames_that_cannot_be_drawn_are_refused(draw):
    with pytest.raises(ConfigError, match="has no column 'model'"):
        draw(pd.DataFrame({"x": [1]}))
    with pytest.raises(ConfigError, match="the frame has no rows"):
        draw(ORDERS.assign(workload="", architecture="", loss=0)[:0])


def test_placements_that_cannot_be_drawn_are_refused():
    with pytest.raises(ConfigError, match="there is no mapping to plot"):
        plot_placement({})
    with pytest.raises(ConfigError, match="has no column 'start'"):
        plot_placement({"x": LAYERS.drop(columns="start")})
