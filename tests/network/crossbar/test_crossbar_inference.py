"""Quantised networks on crossbars: what ideal converters change (nothing), what poor ones change, what is refused."""

import pytest
import torch
from torch import nn

from moopim.errors import ConfigError
from moopim.network.crossbar import Circuit, count_layer_conversions, crossbar_layers, on_crossbars
from moopim.network.quantisation import calibrate, quantise_module, quantised_layers, set_bits

IDEAL = Circuit(rows=64, adc_bits=16, adc_range="unit")


class Branches(nn.Module):
    """Batch norm, ReLU, pooling, a sum, a concatenation, groups, strides, padding and biases."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(2, 8, 3, padding="same", dilation=2)
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8, bias=False)
        self.shortcut = nn.Conv2d(8, 8, 1, stride=2)
        self.wide = nn.Conv2d(8, 4, (1, 3), padding=(0, 1))
        self.line = nn.Conv1d(12, 5, 3, padding=1)
        self.head = nn.Linear(5, 4)

    def forward(self, x):
        x = torch.relu(self.norm(self.stem(x)))
        x = self.depthwise(x) + self.shortcut(x)
        x = torch.cat([x, self.wide(torch.relu(x))], 1)
        x = self.line(nn.functional.max_pool2d(x, 2).flatten(2))
        return self.head(torch.relu(x).mean(2))


@pytest.fixture
def images():
    return torch.randn((24, 2, 12, 12), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def net(images):
    torch.manual_seed(0)
    quantised = quantise_module(Branches().eval(), (2, 12, 12), weight_bits=5, activation_bits=6)
    set_bits(quantised, {"wide": 3, "line": 7}, {"wide": 8, "line": 4})
    calibrate(quantised, images)
    return quantised


@pytest.mark.parametrize("bits", [(1, 1), (2, 3)])
def test_with_converters_that_lose_nothing_a_network_computes_what_its_parent_does(net, images, bits):
    circuit = Circuit(rows=64, adc_bits=16, adc_range="unit", cell_bits=bits[0], dac_bits=bits[1])
    found, expected = on_crossbars(net, circuit)(images), net.eval()(images)
    assert len(expected.unique()) > 5
    assert torch.allclose(found, expected, atol=1e-5)


def test_the_parent_stays_as_it_is(net, images):
    net.train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    copied = on_crossbars(net, Circuit(rows=32, adc_bits=4))
    copied(images)
    assert net.training
    assert not copied.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    with pytest.raises(ConfigError, match="is not on crossbars"):
        crossbar_layers(net)


def test_poor_converters_change_the_result_the_same_way_fused_or_not_and_in_any_batch(net, images):
    circuit = Circuit(rows=16, adc_bits=3, adc_range="unit")
    whole = on_crossbars(net, circuit)(images)
    assert not torch.allclose(whole, net.eval()(images), atol=1e-3)
    assert torch.equal(on_crossbars(net, circuit, fuse=False)(images), whole)
    copied = on_crossbars(net, circuit, engine="torch")
    assert torch.equal(torch.cat([copied(images[:5]), copied(images[5:])]), whole)


def test_calibrated_ranges_lose_less_than_the_full_one(net, images):
    parent = net.eval()(images)
    errors = {}
    for name in ("full", "calibrated"):
        circuit = Circuit(rows=64, adc_bits=5, adc_range=name)
        errors[name] = float((on_crossbars(net, circuit, images)(images) - parent).detach().square().mean())
    assert errors["calibrated"] < errors["full"]


def test_each_layer_may_have_a_circuit_of_its_own(net, images):
    circuits = dict.fromkeys(quantised_layers(net), IDEAL) | {"depthwise": Circuit(rows=16, adc_bits=2)}
    layers = crossbar_layers(on_crossbars(net, circuits))
    assert list(layers) == list(quantised_layers(net))
    assert layers["depthwise"].circuit.adc_bits == 2
    assert (layers["wide"].weight_bits, layers["line"].weight_bits, layers["line"].input_bits) == (3, 7, 6)


def test_counts_say_where_conversions_are_lost(net, images):
    circuits = dict.fromkeys(quantised_layers(net), IDEAL) | {"stem": Circuit(rows=64, adc_bits=2, adc_range="unit")}
    copied = on_crossbars(net, circuits)
    counts = count_layer_conversions(copied, images)
    assert counts["stem"].altered >= counts["stem"].clipped > 0
    assert all(count.altered == 0 < count.total for path, count in counts.items() if path != "stem")
    # 5-bit weights have 4 slices, 9-bit images 8; both images' channels fit one crossbar.
    assert counts["stem"].total == 24 * 8 * 144 * 4 * 8


def test_cells_may_turn_out_otherwise(net, images):
    paths = []

    def stuck(path, cells, circuit):
        assert circuit == IDEAL
        paths.append(path)
        return cells._replace(positive=cells.positive * 0) if path == "head" else cells

    copied = on_crossbars(net, IDEAL, program=stuck)
    assert paths == list(quantised_layers(net))
    assert (copied(images) <= copied.get_submodule("head").bias.detach().max() + 1).all()
    assert not torch.allclose(copied(images), net.eval()(images))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda net: {"circuit": Circuit(rows=8, adc_bits=4)}, r"layer 'stem': .*8"),
        (
            lambda net: {"circuit": dict.fromkeys([*quantised_layers(net), "tail"], IDEAL)},
            "layer with a circuit 'tail'",
        ),
        (lambda net: {"circuit": "ideal"}, "circuit is 'ideal'; expected a Circuit"),
        (lambda net: {"circuit": IDEAL, "engine": "fast"}, "engine 'fast'"),
        (lambda net: {"circuit": IDEAL, "program": lambda *_: None}, "layer 'stem': program gave None; expected Cells"),
        (lambda net: {"circuit": {"stem": IDEAL}}, r"layer 'depthwise' has no circuit; expected one for each of stem"),
        (lambda net: {"circuit": Circuit(rows=64, adc_bits=4, adc_range="calibrated")}, "of layer 'stem' needs images"),
    ],
)
def test_what_does_not_fit_is_named(net, change, message):
    with pytest.raises(ConfigError, match=message):
        on_crossbars(net, **change(net))


def test_layers_without_crossbars_are_named():
    class Volume(nn.Module):
        def __init__(self):
            super().__init__()
            self.deep = nn.Sequential(nn.Conv3d(1, 2, 1))
            self.padded = nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular")

        def forward(self, x):
            return self.padded(self.deep(x[:, :, None])[:, :, 0]).mean((2, 3))

    volume = quantise_module(Volume(), (1, 4, 4))
    calibrate(volume, torch.rand((4, 1, 4, 4)))
    with pytest.raises(ConfigError, match=r"layer 'deep.0': a Conv3d has no crossbars; expected Conv1d"):
        on_crossbars(volume, IDEAL)


def test_a_network_is_put_on_crossbars_once_and_takes_finite_images(net, images):
    copied = on_crossbars(net, IDEAL)
    with pytest.raises(ConfigError, match="Branches is on crossbars; expected a quantised network"):
        on_crossbars(copied, IDEAL)
    images[0, 0, 0, 0] = float("nan")
    with pytest.raises(ConfigError, match="layer 'stem': inputs hold NaN or infinity"):
        copied(images)
