"""Networks put on crossbars in one step, of the forms that networks of others have."""

import pytest
import torch
from small_nets import Chain, Residual, seeded
from torch import nn
from torch.nn import functional

from moopim.errors import ConfigError
from moopim.network.crossbar import Circuit, convert, crossbar_layers, inference, on_crossbars
from moopim.network.quantisation import calibrate, quantise_module, set_bits

IDEAL = Circuit(rows=64, adc_bits=16, adc_range="unit")


def test_the_error_of_a_network_on_good_crossbars_is_that_of_its_quantisation():
    net, images = seeded(Residual(), 2, 8, 8)
    expected = net(images).detach()
    errors = [
        float(
            (convert(net, IDEAL, images, weight_bits=bits, activation_bits=bits)(images) - expected)
            .detach()
            .abs()
            .max()
        )
        for bits in (5, 7, 9)
    ]
    # Two bits more make steps four times as fine.
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    assert errors[2] < 0.02 * float(expected.abs().max())


def test_it_is_the_steps_one_by_one():
    net, images = seeded(Chain(), 1, 8, 8)
    circuit = Circuit(rows=32, adc_bits=4, adc_range="calibrated")
    quantised = quantise_module(net, (1, 8, 8), input_bits=6)
    set_bits(quantised, {"a": 5}, (4, 8, 7))
    calibrate(quantised, images)
    expected = on_crossbars(quantised, circuit, images)(images)
    found = convert(net, circuit, images, weight_bits={"a": 5}, activation_bits=(4, 8, 7), input_bits=6)
    assert torch.equal(found(images), expected)
    assert [layer.weight_bits for layer in crossbar_layers(found).values()] == [5, 9, 9]


class PaddedAsNeeded(nn.Conv2d):
    """Pads by what the size of the image needs, as networks that came from TensorFlow do."""

    def forward(self, x):
        sides = []
        for size, kernel, stride in zip(x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            needed = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            sides += [needed // 2, needed - needed // 2]
        return functional.conv2d(functional.pad(x, sides), self.weight, self.bias, stride=self.stride)


class Scaled(nn.Linear):
    """Does more than multiply, and gives its arguments by name."""

    def forward(self, x):
        return 3 * functional.linear(bias=self.bias, input=x.flip(-1), weight=self.weight)


class PaddedInProduct(nn.Conv2d):
    """Turns its inputs round and says how to pad where it multiplies."""

    def _conv_forward(self, x, weight, bias):
        return functional.conv2d(-x.flip(2), weight, bias, self.stride, "same").abs()


class Gated(nn.Module):
    """Squeeze and excitation by layers that an attribute of a block holds in a dictionary."""

    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleDict({"down": nn.Conv2d(2, 1, 1), "up": nn.Conv2d(1, 2, 1)})

    def forward(self, x):
        gate = self.parts["up"](functional.silu(self.parts["down"](x.mean((2, 3), keepdim=True))))
        return x * functional.hardsigmoid(gate)


class Attention(nn.Module):
    """Products of activations, with positions that a small network makes of no image."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(2)
        self.together = nn.Linear(2, 6, bias=False)
        self.out = nn.Linear(2, 2)
        self.positions = nn.Sequential(nn.Linear(1, 4), nn.GELU(), nn.Linear(4, 2))

    def forward(self, x):
        tokens = x.flatten(2).mT
        places = torch.linspace(-1, 1, tokens.shape[1], dtype=x.dtype)[:, None]
        q, k, v = self.together(self.norm(tokens + self.positions(places))).chunk(3, -1)
        return (tokens + self.out(functional.scaled_dot_product_attention(q, k, v))).mT.reshape(x.shape)


class Shuffled(nn.Module):
    """Splits, computes half of the channels, joins and shuffles."""

    def __init__(self):
        super().__init__()
        self.branch = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.BatchNorm2d(1), nn.ReLU(inplace=True))

    def forward(self, x):
        left, right = x.chunk(2, 1)
        return functional.channel_shuffle(torch.cat([left, self.branch(right)], 1), 2)


class Whole(nn.Module):
    """A stem, a part and a head."""

    def __init__(self, part):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU6())
        self.body = nn.Sequential(nn.Identity(), part)
        self.head = nn.Linear(2, 3)

    def forward(self, x):
        return self.head(self.body(self.stem(x)).mean((2, 3)))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize(
    "part",
    [
        lambda: nn.Conv2d(2, 2, 3, padding=(1, 2), padding_mode="circular"),
        lambda: nn.Conv2d(2, 2, 3, padding="same", padding_mode="reflect"),
        lambda: nn.Conv2d(2, 2, (2, 4), padding="same", dilation=(3, 1)),
        lambda: nn.Conv2d(2, 2, (1, 3), padding="same"),
        lambda: nn.Conv2d(2, 2, 3, padding="valid"),
        lambda: nn.Sequential(nn.Flatten(2), nn.Conv1d(2, 2, 4, padding="same"), nn.Unflatten(2, (8, 8))),
        lambda: nn.Sequential(
            nn.Flatten(2), nn.Conv1d(2, 2, 3, 2, 1, padding_mode="replicate"), nn.Unflatten(2, (8, 4))
        ),
        lambda: PaddedAsNeeded(2, 2, 3, stride=2),
        lambda: PaddedAsNeeded(2, 2, (4, 5), bias=False),
        lambda: nn.Sequential(nn.Unflatten(1, (1, 2)), Scaled(8, 8), nn.Flatten(1, 2)),
        lambda: PaddedInProduct(2, 2, 2),
        Gated,
        Attention,
        Shuffled,
    ],
)
def test_networks_of_others_compute_what_their_quantised_parents_do(part):
    net, images = seeded(Whole(part()), 1, 8, 8, images=8, dtype=torch.float64)
    parent = quantise_module(net, (1, 8, 8))
    calibrate(parent, images)
    expected = parent(images).detach()
    assert len(expected.unique()) > 5
    assert torch.allclose(convert(net, IDEAL, images)(images), expected, rtol=1e-9, atol=1e-9)
    part_only = dict.fromkeys(crossbar_layers(on_crossbars(parent, IDEAL)), IDEAL)
    part_only |= {path: Circuit(rows=64, adc_bits=2) for path in part_only if path.startswith("body")}
    poor = on_crossbars(parent, part_only)
    assert not torch.allclose(poor(images), expected, atol=1e-3)
    # The cells of an image of another size are the same.
    other = images[:, :, :6, :6] if not isinstance(net.body[1], nn.Sequential) else images[:4]
    assert torch.allclose(on_crossbars(parent, IDEAL)(other), parent(other), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("part", "rows", "message"),
    [
        (
            lambda: nn.ConvTranspose2d(2, 2, 3),
            64,
            r"'weight' of module 'body.1' \(ConvTranspose2d\), .* expected Conv1d",
        ),
        (
            lambda: nn.Sequential(nn.Unflatten(1, (1, 2)), nn.Conv3d(1, 1, 1), nn.Flatten(1, 2)),
            64,
            r"layer 'body.1.1': a Conv3d has no crossbars; expected Conv1d, Conv2d or Linear",
        ),
        (lambda: nn.Conv2d(2, 2, 5), 24, r"layer 'body.1': rows=24 .* a kernel of 25 positions; expected at least 25"),
    ],
)
def test_what_cannot_be_on_crossbars_is_named_before_it_is_calibrated(part, rows, message, monkeypatch):
    monkeypatch.setattr(inference, "calibrate", lambda net, images: pytest.fail("calibrated"))
    net, images = seeded(Whole(part()), 1, 8, 8)
    with pytest.raises(ConfigError, match=message):
        convert(net, Circuit(rows=rows, adc_bits=8), images)


def test_a_layer_that_computes_otherwise_than_it_says_is_an_error():
    class Strided(nn.Conv2d):
        def forward(self, x):
            return functional.conv2d(x, self.weight, self.bias, 2)

    net, images = seeded(Whole(Strided(2, 2, 1)), 1, 8, 8)
    with pytest.raises(ConfigError, match=r"a Strided with stride=\(1, 1\) computes with stride=2; expected the same"):
        convert(net, IDEAL, images)(images)
