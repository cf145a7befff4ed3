"""Plots of networks: frames from a small network, and figures with the numbers of their frames."""

import warnings
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from moopim.analysis.network import (
    accuracy_frame,
    conversion_frame,
    plot_adc_accuracy,
    plot_conversions,
    plot_training,
)
from moopim.errors import ConfigError
from moopim.network.accuracy import accuracy
from moopim.network.crossbar import Circuit, count_layer_conversions, on_crossbars
from moopim.network.crossbar.engines import Conversions
from moopim.network.datasets import Split
from moopim.network.quantisation import calibrate, quantise_module


def made_up(ranges=("full", "unit"), rows=(32, 128), adcs=(4, 8, 6), dacs=(1,)):
    points = list(product(ranges, rows, adcs, dacs))
    frame = pd.DataFrame(points, columns=["adc_range", "rows", "adc_bits", "dac_bits"])
    return frame.assign(accuracy=frame["adc_bits"] / 10 - frame["rows"] / 1000, quantised=0.9)


def drawn(figure):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.canvas.draw()
    return figure


@pytest.fixture
def net(one_thread):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    images = torch.rand((20, 1, 6, 6))
    net = quantise_module(model, (1, 6, 6), weight_bits=5, activation_bits=5)
    calibrate(net, images)
    labels = net.eval()(images).argmax(1)  # so that the network itself tells all right
    return net, Split(images, labels)


def test_a_row_holds_the_accuracy_of_its_circuit(net):
    net, split = net
    circuits = [Circuit(32, adc, adc_range=rule) for adc, rule in ((12, "unit"), (2, "full"), (4, "calibrated"))]
    frame = accuracy_frame(net, split, circuits, split.images)
    assert frame[["rows", "adc_bits", "adc_range"]].to_numpy().tolist() == [
        [32, 12, "unit"],
        [32, 2, "full"],
        [32, 4, "calibrated"],
    ]
    expected = [accuracy(on_crossbars(net, circuit, split.images), split) for circuit in circuits]
    assert frame["accuracy"].tolist() == expected
    assert frame["quantised"].tolist() == [1.0] * 3
    assert frame["accuracy"][0] == 1.0  # no conversion loses anything


def test_shares_of_conversions_are_counted_by_hand():
    frame = conversion_frame({"conv": Conversions(200, 10, 50), "idle": Conversions()})
    assert frame.to_dict("list") == {
        "layer": ["conv", "idle"],
        "conversions": [200, 0],
        "clipped": [0.05, 0.0],
        "rounded": [0.2, 0.0],
        "altered": [0.25, 0.0],
    }


def test_layers_of_a_network_come_in_order(net):
    net, split = net
    frame = conversion_frame(count_layer_conversions(on_crossbars(net, Circuit(32, 3)), split.images))
    assert frame["layer"].tolist() == ["0", "3"]
    assert (frame["clipped"] + frame["rounded"]).tolist() == frame["altered"].tolist()
    assert 0 < frame["altered"].iloc[0] <= 1


def test_each_range_has_a_panel_and_each_size_a_line_through_its_points():
    frame = made_up()
    figure = drawn(plot_adc_accuracy(frame, "a title"))
    assert [ax.get_title() for ax in figure.axes] == ["range full", "range unit"]
    for ax in figure.axes:
        lines = {line.get_label(): line for line in ax.get_lines()}
        assert list(lines) == ["32 rows", "128 rows", "quantised, no crossbars"]
        assert lines["128 rows"].get_xdata().tolist() == [4, 6, 8]
        assert lines["128 rows"].get_ydata() == pytest.approx([0.272, 0.472, 0.672])
        assert set(lines["quantised, no crossbars"].get_ydata()) == {0.9}
    assert figure.legends[0].get_title().get_text() == "a title"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "32 rows",
        "128 rows",
        "quantised, no crossbars",
    ]


def test_resolutions_of_dacs_are_drawn_below_each_other():
    figure = drawn(plot_adc_accuracy(made_up(dacs=(2, 1))))
    assert [ax.get_ylabel() for ax in figure.axes] == ["DAC of 1 bit\naccuracy ↑", "", "DAC of 2 bits\naccuracy ↑", ""]
    assert [ax.get_xlabel() for ax in figure.axes] == ["", "", "ADC (bit)", "ADC (bit)"]


def test_a_size_may_lack_points():
    frame = made_up().query("not (adc_range == 'full' and rows == 32)")
    figure = drawn(plot_adc_accuracy(frame))
    assert [len(line.get_xdata()) for line in figure.axes[0].get_lines()][:2] == [0, 3]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (made_up().drop(columns="rows"), "no column 'rows'"),
        (made_up().iloc[:0], "no rows"),
        (pd.concat([made_up(), made_up()]), "adc_range=full, rows=32, adc_bits=4, dac_bits=1 twice"),
    ],
)
def test_frames_that_cannot_be_drawn_are_refused(frame, message):
    with pytest.raises(ConfigError, match=message):
        plot_adc_accuracy(frame)


def test_bars_end_at_the_share_that_is_altered():
    frame = conversion_frame({"conv": Conversions(200, 10, 50), "head": Conversions(10, 4, 5)})
    figure = plot_conversions(frame, title="a title")
    (ax,) = drawn(figure).axes
    ends = np.max([[bar.get_y() + bar.get_height() for bar in bars] for bars in ax.containers], axis=0)
    assert ends.tolist() == pytest.approx([0.25, 0.5])
    assert [bar.get_height() for bar in ax.containers[0]] == pytest.approx([0.05, 0.4])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["conv", "head"]
    assert ax.get_legend().get_title().get_text() == "a title"


def test_bars_are_drawn_on_axes_that_are_given():
    given = Figure().add_subplot()
    assert plot_conversions(conversion_frame({"conv": Conversions(2, 0, 1)}), given) is given.figure
    assert given.containers
    with pytest.raises(ConfigError, match="no rows"):
        plot_conversions(conversion_frame({}))


def test_a_training_has_its_loss_beside_the_measured_accuracies():
    frame = pd.DataFrame({"epoch": [1, 2, 3], "loss": [2.0, 0.5, 0.01], "train_accuracy": [0.1, np.nan, 0.9]})
    left, right = drawn(plot_training(frame, "a title")).axes
    assert left.get_yscale() == "log"  # more than two decades
    assert left.get_lines()[0].get_ydata().tolist() == [2.0, 0.5, 0.01]
    assert right.get_lines()[0].get_xdata().tolist() == [1, 3]
    with pytest.raises(ConfigError, match="no column 'loss'; it has: epoch"):
        plot_training(frame.drop(columns="loss"))
    with pytest.raises(ConfigError, match="no rows"):
        plot_training(frame.head(0))
