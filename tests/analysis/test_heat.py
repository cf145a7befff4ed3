"""Temperatures of a stack as rows and as a figure."""

import numpy as np
import pandas as pd
import pytest

from moopim import ConfigError
from moopim.analysis.stack import heat_frame, plot_heat


def panels(figure):
    return [ax for ax in figure.axes if ax.images and ax.get_title()]


def test_pes_and_cells_in_rows():
    pes = heat_frame(np.arange(8.0), mesh=2)
    assert pes["tier"].tolist() == [1] * 4 + [2] * 4
    assert pes["pe"].tolist() == [0, 1, 2, 3] * 2
    assert pes["temperature_K"].tolist() == list(range(8))
    cells = heat_frame(np.arange(32.0).reshape(2, 4, 4), mesh=2)
    assert cells["pe"].tolist()[:16] == [0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 3, 3, 2, 2, 3, 3]
    assert cells.iloc[22].tolist() == [2, 1, 2, 1, 22]


@pytest.mark.parametrize("shape", [(7,), (0,), (2, 4, 3), (2, 3, 3), (4, 4)])
def test_temperatures_that_fill_no_tiers_are_refused(shape):
    with pytest.raises(ConfigError, match=r"expected tiers of 2 x 2 PEs"):
        heat_frame(np.ones(shape), mesh=2)


def test_one_panel_per_tier_on_one_scale(rng):
    temperature = rng.uniform(310, 390, (3, 8, 8))
    figure = plot_heat(heat_frame(temperature, mesh=4), title="a map")
    assert [ax.get_title() for ax in panels(figure)] == ["tier 1, next to the sink", "tier 2", "tier 3"]
    for ax, tier in zip(panels(figure), temperature, strict=True):
        assert np.array_equal(ax.images[0].get_array(), tier)
        assert ax.images[0].get_clim() == (temperature.min(), temperature.max())
        assert ax.images[0].origin == "lower"
    assert "temperature (K)" in [ax.get_ylabel() for ax in figure.axes]


def test_labels_stand_on_their_pes():
    labels = [f"conv{i}" for i in range(18)]
    figure = plot_heat(heat_frame(np.linspace(300, 400, 18), mesh=3), labels)
    for place, ax in enumerate(panels(figure)):
        texts = {text.get_text(): text.get_position() for text in ax.texts}
        assert texts == {f"conv{9 * place + pe}": (pe % 3, pe // 3) for pe in range(9)}
    colors = [text.get_color() for ax in panels(figure) for text in ax.texts]
    assert colors == ["white"] * 11 + ["black"] * 7  # black above six tenths of the scale


def test_labels_fit_into_their_pes():
    labels = ["a very long label"] * 15 + ["one\ntwo\nthree\nfour\nfive\nsix"]
    figure = plot_heat(heat_frame(np.linspace(300, 400, 16), mesh=4), labels)
    figure.draw_without_rendering()
    (ax,) = panels(figure)
    side = ax.get_window_extent().width / 4
    for text in ax.texts:
        box = text.get_window_extent()
        assert max(box.width, box.height) < side


def test_many_tiers_take_several_rows_and_one_temperature_is_drawn_too():
    figure = plot_heat(heat_frame(np.full(9 * 5, 300.0), mesh=3))
    assert len(panels(figure)) == 5
    figure.draw_without_rendering()


@pytest.mark.parametrize(
    ("frame", "labels", "message"),
    [
        (pd.DataFrame({"tier": [1]}), (), "the frame of temperatures has no column 'y'; it has: tier"),
        (heat_frame(np.ones(4), 2).iloc[:0], (), "the frame of temperatures has no rows; expected at least one"),
        (heat_frame(np.ones(8), 2), ["a"] * 4, "4 labels are given; expected 8, one per PE"),
    ],
)
def test_frames_that_cannot_be_drawn_are_refused(frame, labels, message):
    with pytest.raises(ConfigError, match=message):
        plot_heat(frame, labels)
