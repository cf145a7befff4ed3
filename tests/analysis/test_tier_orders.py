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
    [
        (1, "R", False, 2, 0.3, 3.0, 12.0, 4.0, 0.0),
        (1, "R", False, 3, 3.3, 0.1, 1.0, 4.0, 0.0),
        (1, "R", False, 4, 3.4, 0.1, 1.0, 4.0, 0.0),
        (1, "R", False, 1, 3.5, 0.1, np.nan, 4.0, 0.0),
        (2, "S", True, 0, 0.0, 0.0, np.nan, 16.0, 0.25),
        (3, "F", False, 0, 0.0, 0.0, np.nan, 0.0, 0.0),
    ],
    columns=[
        *("tier", "device", "back_propagation", "layer", "start", "extent", "copies", "in_use", "engine"),
    ],
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


def test_layers_are_runs_on_their_tiers_with_numbers_and_copies():
    figure = plot_placement({"VGG": LAYERS})
    (ax,) = figure.get_axes()
    hatched = [patch for patch in ax.patches if patch.get_hatch()]
    assert [(patch.get_x(), patch.get_width(), round(patch.get_y())) for patch in hatched] == [
        *((4, 12, 0), (16, 0, 1), (0, 16, 2)),
    ]
    bars = [patch for patch in ax.patches if not patch.get_hatch() and patch.get_width()]
    engines = [bar for bar in bars if round(bar.get_y()) == 1]
    assert [(bar.get_x(), bar.get_width()) for bar in engines] == [(pe, 0.25) for pe in range(16)]
    runs = [bar for bar in bars if round(bar.get_y()) == 0]
    assert np.array([(bar.get_x(), bar.get_width()) for bar in runs]) == pytest.approx(
        LAYERS[LAYERS["layer"] > 0][["start", "extent"]].to_numpy()
    )
    assert len({to_hex(bar.get_facecolor()) for bar in runs}) == 4
    # Neighbours with successive numbers share a label.
    assert {text.get_text() for text in ax.texts} == {"2 x12", "3-4", "1", "back-propagation"}
    assert [text.get_text() for text in ax.get_yticklabels()] == ["tier 1: R", "tier 2: S", "tier 3: F"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["not in use", "gradient engine"]


def test_numbers_of_layers_cross_no_border_and_no_other_number(rng):
    parts = [
        pd.DataFrame(
            {
                "layer": rng.permutation(25) + 25 * tier + 1,
                "tier": tier + 1,
                "extent": extent,
                "start": np.cumsum([0, *extent])[:-1],
                "copies": rng.choice([1.0, 3.0, 86.0, 1024.0], 25),
            }
        )
        for tier, extent in enumerate((rng.dirichlet(np.ones(25)) * 15.9, rng.dirichlet(np.ones(25)) * 2.0))
    ]
    frame = pd.concat(parts).assign(device="R", back_propagation=False, in_use=16.0, engine=0.0)
    figure = plot_placement({"many": frame})
    figure.draw_without_rendering()
    (ax,) = figure.get_axes()
    borders = ax.transData.transform(np.column_stack([np.arange(17), np.zeros(17)]))[:, 0]
    boxes = [text.get_window_extent() for text in ax.texts]
    assert len(boxes) > 25
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])
        assert borders[0] - 2 <= box.x0
        assert box.x1 <= borders[-1] + 2
        if ax.texts[i].get_verticalalignment() == "center":
            assert not ((box.x0 < borders) & (borders < box.x1)).any()


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
