"""The plots of CrossNAS: contents, and refused input."""

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest

from moopim import ConfigError
from moopim.analysis.crossnas import network_strip, plot_accuracy_edp, plot_networks
from moopim.analysis.style import save_figure
from moopim.network.subnets import KINDS, Block, convolutions, network_layers
from moopim.workload import LayerKind

BLOCKS = (Block("RES", 32, 2), Block("MVGG", 64), Block("VGG", 128))
CIRCUIT = {"crossbar": 256, "adc_bits": 8, "dac_bits": 2}


@pytest.fixture(autouse=True)
def _strict():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def methods():
    return pd.DataFrame(
        [
            ("ours (0.5)", 0.80, 0.02, False, 0.5),
            ("ours (0.99)", 0.91, 0.3, False, 0.99),
            ("ours (0.8)", 0.88, 0.07, False, 0.8),
            ("AlexNet", 0.82, 0.38, False, np.nan),
            ("VGG16", np.nan, 17.0, False, np.nan),
            ("NACIM", 0.739, 1.55, True, np.nan),
            ("UAE", 0.83, np.nan, True, np.nan),
        ],
        columns=["method", "accuracy", "edp_mJ_ms", "quoted", "w_acc"],
    )


def texts(ax):
    return [text.get_text() for text in ax.texts]


def strip(blocks=BLOCKS, weights=5, activations=9):
    layers = 1 + sum(len(convolutions(block.kind)) for block in blocks)
    return network_strip(blocks, [weights] * layers, [activations] * layers, CIRCUIT)


def test_the_sweep_is_joined_in_the_order_of_its_weights(methods):
    (ax,) = plot_accuracy_edp(methods).axes
    lines = {line.get_label(): line for line in ax.lines}
    sweep = lines["found here, by w_acc"]
    assert sweep.get_xdata().tolist() == [0.02, 0.07, 0.3]
    assert sweep.get_ydata().tolist() == pytest.approx([80, 88, 91])
    assert sweep.get_linestyle() == "-"
    assert lines["quoted"].get_xdata().tolist() == [1.55]
    assert lines["evaluated here"].get_xdata().tolist() == [0.38]
    assert lines["quoted"].get_linestyle() == lines["evaluated here"].get_linestyle() == "None"
    assert len({line.get_marker() for line in lines.values()}) >= 3
    assert ax.get_xscale() == "log"
    assert sorted(texts(ax)) == sorted(["UAE: no EDP given", "NACIM", "AlexNet", "0.5", "0.8", "0.99"])


def test_labels_hide_neither_each_other_nor_points(methods):
    (ax,) = plot_accuracy_edp(methods).axes
    boxes = [text.get_window_extent() for text in ax.texts]
    assert not any(first.overlaps(second) for first, second in itertools.combinations(boxes, 2))
    points = ax.transData.transform(methods[["edp_mJ_ms", "accuracy"]].dropna() * [1, 100])
    assert not any(box.contains(*point) for box in boxes for point in points)
    assert all(ax.bbox.x0 <= box.x0 and box.x1 <= ax.bbox.x1 for box in boxes)


def test_everything_that_was_evaluated_is_a_cloud(methods):
    cloud = pd.DataFrame({"accuracy": [0.5, 0.6, np.nan, 0.7], "edp_mJ_ms": [1.0, 2.0, 3.0, 0.0]})
    (ax,) = plot_accuracy_edp(methods, cloud=cloud).axes
    assert np.asarray(ax.collections[0].get_offsets()).tolist() == [[1, 50], [2, 60]]
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["all evaluated", "quoted", "evaluated here", "found here, by w_acc"]


def test_methods_alone_need_no_weights(methods):
    quoted = methods[methods["quoted"]].drop(columns="w_acc")
    assert sorted(texts(plot_accuracy_edp(quoted).axes[0])) == ["NACIM", "UAE: no EDP given"]
    empty = plot_accuracy_edp(methods.head(0), title="a title").axes[0]
    assert texts(empty) == []
    assert empty.get_title(loc="left") == "a title"


def test_a_missing_column_is_refused(methods):
    with pytest.raises(ConfigError, match="has no column 'quoted'; it has: method"):
        plot_accuracy_edp(methods.drop(columns="quoted"))
    with pytest.raises(ConfigError, match="has no column 'accuracy'"):
        plot_accuracy_edp(methods, cloud=methods[["edp_mJ_ms"]])


@pytest.mark.parametrize("kind", KINDS)
def test_a_strip_has_the_layers_of_the_network(kind):
    blocks = (Block("VGG", 32), Block(kind, 64))
    table = network_layers(blocks, (3, 32, 32), 10)
    weighted = np.flatnonzero(np.isin(table.kind[0], (LayerKind.CONV, LayerKind.FC)))
    found = strip(blocks)
    assert len(found) == len(weighted)
    channels = table.c_out[0, weighted[:-1]]
    assert found["channels"].tolist() == [*channels, 0]
    assert found["layer"].tolist() == ["a", "b", *convolutions(kind), "head"]
    assert found["place"].tolist() == [1, 1, *[2] * len(convolutions(kind)), 3]


def test_bits_go_to_the_layers_in_order():
    found = network_strip(BLOCKS, range(2, 10), range(10, 18), CIRCUIT)
    assert found["weight_bits"].tolist() == list(range(2, 10))
    assert found.query("layer == 'shortcut'")[["block", "stride", "activation_bits"]].to_numpy().tolist() == [
        ["RES", 2, 12]
    ]
    assert found[["crossbar", "adc_bits", "dac_bits"]].drop_duplicates().to_numpy().tolist() == [[256, 8, 2]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blocks": ()}, "the network has no blocks"),
        ({"blocks": [("VGGG", 32, 1)]}, r"unknown kind of block 'VGGG' \(did you mean 'VGG'\?\)"),
        ({"weight_bits": [5] * 7}, "weight_bits has 7 values; expected 8, one per layer, the head last"),
        ({"circuit": {"crossbar": 64, "adc_bits": 8}}, "dac_bits of the circuit is missing"),
    ],
)
def test_a_strip_that_does_not_fit_is_refused(change, message):
    right = {"blocks": BLOCKS, "weight_bits": [5] * 8, "activation_bits": [5] * 8, "circuit": CIRCUIT}
    with pytest.raises(ConfigError, match=message):
        network_strip(**(right | change))


def test_networks_are_drawn_with_their_bits_names_and_circuit(tmp_path):
    figure = plot_networks({"first": strip(), "second": strip(BLOCKS[1:], 7, 5)}, "a title")
    found = texts(figure.axes[0])
    assert found.count("256x256 crossbar, 8-bit ADC, 2-bit DAC") == 2
    for word, times in (("first", 1), ("second", 1), ("a title", 1), ("RES 32", 1), ("MVGG 64", 2), ("FC", 2)):
        assert found.count(word) == times, word
    # Eight layers with 5 and 9 bits, five with 7 and 5, and the legend.
    assert [found.count(bits) for bits in "579"] == [8 + 5 + 1, 5 + 1, 8 + 1]
    assert "columns: 3x3 convolutions, last of RES: 1x1; underlined: stride 2" in found
    assert save_figure(figure, tmp_path / "a.png").stat().st_size > 0


def test_only_a_stride_of_two_is_underlined():
    drawn = plot_networks({"a": strip()}).axes[0]
    (line,) = drawn.lines
    name = next(text for text in drawn.texts if text.get_text() == "RES 32")
    assert np.mean(line.get_xdata()) == pytest.approx(name.get_position()[0])
    plain = plot_networks({"a": strip(BLOCKS[1:])}).axes[0]
    assert not plain.lines
    assert "columns: 3x3 convolutions" in texts(plain)


def test_equal_bits_have_one_colour_and_more_are_darker():
    ax = plot_networks({"a": strip(BLOCKS, 5, 9), "b": strip(BLOCKS, 7, 7)}).axes[0]
    cells = {}
    for text in ax.texts:
        if text.get_text() in "579":
            x, y = text.get_position()
            patches = [p for p in ax.patches if p.get_fill() and p.get_x() < x < p.get_x() + p.get_width()]
            (cell,) = [p for p in patches if p.get_y() < y < p.get_y() + p.get_height()]
            cells.setdefault(text.get_text(), set()).add(cell.get_facecolor())
    assert {bits: len(colors) for bits, colors in cells.items()} == {"5": 1, "7": 1, "9": 1}
    light = {bits: sum(next(iter(colors))[:3]) for bits, colors in cells.items()}
    assert light["5"] > light["7"] > light["9"]


def test_no_network_is_refused():
    with pytest.raises(ConfigError, match="there is no network to plot"):
        plot_networks({})
