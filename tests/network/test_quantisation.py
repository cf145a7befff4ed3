"""Quantised modules: what is quantised where, codes to read, and what evaluation leaves alone."""

import copy

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_nets import Chain, Odd, Residual, seeded
from torch import nn
from torch.nn import functional

from moopim import ConfigError
from moopim.network.quantisation import (
    calibrate,
    freeze,
    input_grid,
    layer_bits,
    output_grid,
    quantise_module,
    quantised_layers,
    set_bits,
    weight_codes,
    weight_grid,
)

MIXED = {"a": (4, 7), "b": (6, 5), "head": (9, 8)}


def eq5(x, alpha, width):
    theta = 2 ** (width - 1) - 1
    return (theta * x / alpha).round().clamp(-theta, theta) * alpha / theta


def alphas(net):
    return {name: value.clone() for name, value in net.named_buffers() if name.endswith("_alpha")}


def quantised(maker, *shape, dtype=torch.float32):
    model, images = seeded(maker(), *shape, dtype=dtype)
    net = quantise_module(model, shape)
    calibrate(net, images)
    return net, images


def set_mixed(net):
    set_bits(net, {p: w for p, (w, _) in MIXED.items()}, {p: a for p, (_, a) in MIXED.items()})


def test_a_network_is_quantised_where_mnsim_quantises():
    net, images = quantised(Chain, 1, 8, 8, dtype=torch.float64)
    set_mixed(net)
    scale = alphas(net)
    x = eq5(images, scale["image_alpha"], 9)
    x = eq5(functional.conv2d(x, eq5(net.a.weight, net.a.weight.abs().max(), 4), padding=1), scale["a.output_alpha"], 7)
    norm = net.norm
    x = (x - norm.running_mean[:, None, None]) / (norm.running_var[:, None, None] + norm.eps).sqrt()
    x = x * norm.weight[:, None, None] + norm.bias[:, None, None]
    x = eq5(x, scale["norm.output_alpha"], 7).relu()  # in the width of the layer in front
    w = eq5(net.b.weight, net.b.weight.abs().max(), 6)
    x = eq5(functional.conv2d(x, w, net.b.bias, padding=1), scale["b.output_alpha"], 5)
    x = functional.max_pool2d(x.relu(), 2).flatten(1)
    x = eq5(
        functional.linear(x, eq5(net.head.weight, net.head.weight.abs().max(), 9), net.head.bias),
        scale["head.output_alpha"],
        8,
    )
    assert torch.allclose(net(images), x, rtol=1e-12, atol=1e-12)
    assert set(scale) == {"image_alpha", *(f"{name}.output_alpha" for name in ("a", "norm", "b", "head"))}


def test_inputs_on_no_grid_get_a_scale_of_their_own():
    net, images = quantised(Residual, 2, 6, 6)
    own = {name.removesuffix(".input_alpha") for name in alphas(net) if name.endswith("input_alpha")}
    assert own == {"c", "head"}  # behind the sum, and behind the average
    set_bits(net, activations={"a": 5, "b": 6, "shortcut": 7, "c": 8})
    assert input_grid(net, "a") == (net.image_alpha, 9)
    assert input_grid(net, "b") == (net.a_norm.output_alpha, 5)
    assert input_grid(net, "c") == (net.c.input_alpha, 7)  # the shortcut comes first in the sum
    assert input_grid(net, "head") == (net.head.input_alpha, 8)
    seen = []
    net.c.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    net(images)
    grid = input_grid(net, "c")
    assert torch.equal(seen[0], grid.codes(seen[0]) * grid.step)


@pytest.mark.parametrize(("maker", "shape"), [(Chain, (1, 8, 8)), (Residual, (2, 6, 6)), (Odd, (4, 5, 5))])
def test_every_layer_multiplies_whole_numbers(maker, shape):
    net, images = quantised(maker, *shape, dtype=torch.float64)
    width = {path: (4 + i, 9 - i) for i, path in enumerate(layer_bits(net))}
    set_bits(net, {p: w for p, (w, _) in width.items()}, {p: a for p, (_, a) in width.items()})
    expected = net(images)
    replaced = []
    for path in layer_bits(net):
        layer = net.get_submodule(path)
        codes, step = weight_codes(net, path)
        assert codes.abs().max() <= 2 ** (width[path][0] - 1) - 1

        def product(x, layer=layer, path=path, codes=codes, step=step):
            """What a crossbar would do in place of the layer's own product."""
            grid = input_grid(net, path)
            inputs = grid.codes(x).double()
            assert torch.equal(inputs * grid.step, x)
            replaced.append(path)
            bias = 0 if layer.bias is None else layer.bias.view(-1, *[1] * (layer.weight.dim() - 2))
            if isinstance(layer, nn.Linear):
                whole = functional.linear(inputs, codes.double())
            else:
                whole = layer._conv_forward(inputs, codes.double(), None)
            assert torch.equal(whole, whole.round())
            return whole * grid.step * step + bias

        layer.forward = product
    assert torch.allclose(net(images), expected, rtol=1e-9, atol=1e-9)
    assert set(replaced) == set(layer_bits(net))


def test_grids_are_those_that_the_network_uses():
    net, _ = quantised(Chain, 1, 8, 8)
    set_mixed(net)
    assert weight_grid(net, "b") == (net.b.weight.abs().max(), 6)
    assert output_grid(net, "b") == (net.b.output_alpha, 5)
    assert output_grid(net, "b").step == net.b.output_alpha / 15
    seen = []
    net.b.register_forward_pre_hook(lambda layer, _: seen.append(layer.weight))
    net(torch.ones(1, 1, 8, 8))
    codes, step = weight_codes(net, "b")
    assert torch.equal(seen[0], codes * step)  # to the last bit


def test_odd_modules_are_quantised():
    net, images = quantised(Odd, 4, 5, 5)
    assert list(layer_bits(net)) == ["grouped", "depthwise", "twice", "tokens"]
    own = {name.removesuffix(".input_alpha") for name in alphas(net) if name.endswith("input_alpha")}
    assert own == {"twice"}  # behind a leaky ReLU; its second call has another input
    assert input_grid(net, "tokens") == (net.twice.output_alpha, 9)
    fine, coarse = net(images), None
    set_bits(net, 3, 3)
    coarse = net(images)
    assert (coarse - seeded(Odd(), 4, 5, 5)[0](images)).abs().mean() > (fine - coarse).abs().mean() / 2 > 0


def test_sixteen_bits_are_almost_the_float_network():
    model, images = seeded(Residual(), 2, 6, 6)
    net = quantise_module(model, (2, 6, 6), input_bits=16, weight_bits=16, activation_bits=16)
    calibrate(net, images)
    inside = images.clamp(-2, 2)
    assert (net(inside) - model(inside)).abs().max() < 0.3  # but for values beyond three deviations
    assert (net(inside) - model(inside)).abs().median() < 1e-3


def test_the_module_and_its_weights_stay_as_they_are():
    model, images = seeded(Chain(), 1, 8, 8)
    before = copy.deepcopy(model.state_dict())
    expected = model(images)
    net = quantise_module(model, (1, 8, 8))
    net.train()(images).sum().backward()
    assert torch.equal(model(images), expected)
    for name, value in before.items():
        assert torch.equal(model.state_dict()[name], value)
    assert all(torch.equal(net.get_parameter(name), value) for name, value in model.named_parameters())
    assert isinstance(net, Chain)


def test_gradients_reach_the_parameters_through_all_quantisers():
    model, images = seeded(Chain(), 1, 8, 8, dtype=torch.float64)
    net = quantise_module(model, (1, 8, 8), input_bits=16, weight_bits=16, activation_bits=16)
    calibrate(net, 2 * images)
    net(images).square().sum().backward()
    model(images).square().sum().backward()
    for (name, ours), float_one in zip(net.named_parameters(), model.parameters(), strict=True):
        assert torch.allclose(ours.grad, float_one.grad, rtol=0.02, atol=0.02 * float_one.grad.abs().max().item()), name


def test_a_call_that_fails_leaves_the_weights():
    net, _ = quantised(Chain, 1, 8, 8)
    with pytest.raises(RuntimeError):
        net.b(torch.ones(1, 3, 8, 8))
    assert isinstance(net.b.weight, nn.Parameter)


def test_evaluation_moves_no_scale_and_its_order_does_not_matter():
    net, images = quantised(Residual, 2, 6, 6)
    before = alphas(net)
    first, second = net(images[:16]), net(3 * images[16:])
    assert torch.equal(net(3 * images[16:]), second)
    assert torch.equal(net(images[:16]), first)
    assert alphas(net) == before
    net.train()
    freeze(net)
    net(5 * images)
    assert alphas(net) == before
    freeze(net, False)
    net(5 * images)
    assert all(value != before[name] for name, value in alphas(net).items())


def test_scales_move_in_training_as_equation_6():
    model, images = seeded(Chain(), 1, 8, 8)
    net = quantise_module(model, (1, 8, 8), momentum=0.5).train()
    net(images)
    assert net.image_alpha == pytest.approx((images.mean().abs() + 3 * images.std()).item(), rel=1e-6)
    net(3 * images)
    assert net.image_alpha == pytest.approx(2 * (images.mean().abs() + 3 * images.std()).item(), rel=1e-6)


def test_scales_do_not_depend_on_the_width_that_they_serve():
    net, images = quantised(Chain, 1, 8, 8)
    before = alphas(net)
    set_bits(net, activations={"head": 3})
    calibrate(net, images)
    assert alphas(net) == before


def test_calibration_forgets_what_was():
    net, images = quantised(Chain, 1, 8, 8)
    before = alphas(net)
    net.train()(5 * images)
    net.eval()
    calibrate(net, 5 * images)
    assert alphas(net) != before
    net.norm.load_state_dict(quantised(Chain, 1, 8, 8)[0].norm.state_dict())
    calibrate(net, images)
    assert alphas(net) == before


def test_calibration_that_fails_leaves_the_scales():
    net, images = quantised(Chain, 1, 8, 8)
    before = alphas(net)
    with pytest.raises(ConfigError, match="values of the image hold NaN"):
        calibrate(net, torch.full_like(images, torch.nan))
    with pytest.raises(ConfigError, match="no images to calibrate with"):
        calibrate(net, images[:0])
    with pytest.raises(ConfigError, match=r"images have type torch.float64; expected torch.float32, as the weights"):
        calibrate(net, images.double())
    assert alphas(net) == before
    net.train()(images)
    assert alphas(net) != before


def test_a_copy_is_a_network_of_its_own():
    net, images = quantised(Chain, 1, 8, 8)
    expected, before = net(images), alphas(net)
    other = copy.deepcopy(net)
    set_bits(other, 2, 2)
    freeze(other)
    other.train()(images)
    freeze(other, False)
    other(7 * images)
    assert alphas(net) == before
    assert torch.equal(net(images), expected)
    assert not torch.equal(other.eval()(images), expected)
    assert set(quantised_layers(other)["a"].__dict__.values()) == {2}


def test_the_state_is_tensors_that_safetensors_keep(tmp_path):
    net, images = quantised(Odd, 4, 5, 5)
    state = {name: value for name, value in net.state_dict().items() if not name.startswith("same.")}
    save_file(state, tmp_path / "net.safetensors")
    other = quantise_module(Odd(), (4, 5, 5)).eval()
    other.load_state_dict(load_file(tmp_path / "net.safetensors"), strict=False)
    assert torch.equal(other(images), net(images))


def test_a_scale_that_was_not_measured_is_an_error_in_evaluation():
    model, images = seeded(Chain(), 1, 8, 8)
    net = quantise_module(model, (1, 8, 8))
    with pytest.raises(ConfigError, match=r"image_alpha of a Chain has not been measured; train .* or calibrate it"):
        net(images)
    with pytest.raises(ConfigError, match="output_alpha of a Conv2d has not been measured"):
        output_grid(net, "b")


def test_the_mode_is_that_of_the_module():
    assert quantise_module(Chain().train(), (1, 8, 8)).training
    model = Chain().train()
    model.norm.eval()
    net = quantise_module(model, (1, 8, 8))
    assert net.training
    assert not net.norm.training


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 2)
        self.kernel = nn.Parameter(torch.ones(4, 1, 3, 3))

    def forward(self, x):
        return self.head(functional.conv2d(x, self.kernel).mean((2, 3)))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x)[0]


class Body(nn.Module):
    """A convolution, another part, and the mean of what comes out."""

    def __init__(self, part):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3), part)

    def forward(self, x):
        return self.body(x).mean((2, 3))


class Tokens(nn.Module):
    """Another part behind the rows of a convolution's outputs."""

    def __init__(self, part):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3)
        self.part = part

    def forward(self, x):
        found = self.part(self.stem(x).mean(1))
        return found[0] if isinstance(found, tuple) else found


class Standardised(nn.Conv2d):
    def forward(self, x):
        return functional.conv2d(x, self.weight - self.weight.mean((1, 2, 3), keepdim=True), self.bias)


class Averaged(nn.Linear):
    def forward(self, x):
        return super().forward((x + x.flip(-1)) / 2)


class Outside(nn.Module):
    """Uses the weights of a layer that it does not call."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3)
        self.gate = nn.Sequential(nn.Linear(4, 2))

    def forward(self, x):
        return functional.linear(self.stem(x).mean((2, 3)), self.gate[0].weight)


class Positions(nn.Module):
    """Adds what a small network makes of positions, which do not depend on the image."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3)
        self.positions = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 4, 1))
        self.head = nn.Linear(4, 2)
        self.register_buffer("grid", torch.rand(1, 2, 6, 6))

    def forward(self, x):
        return self.head((self.stem(x) + self.positions(self.grid)).mean((2, 3)))


class Written(nn.Module):
    """Writes what a layer makes into a part of a tensor of zeros."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3)
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        padded = x.new_zeros(len(x), 6)
        padded[:, 1:5] = self.stem(x).mean((2, 3))
        return self.head(padded)


class Both(nn.Module):
    """Runs a layer on the image and on nothing of it."""

    def __init__(self):
        super().__init__()
        self.shared = nn.Conv2d(1, 4, 3)

    def forward(self, x):
        return (self.shared(x) + self.shared(torch.ones_like(self.shared.weight[:1, :, :3]))).mean((2, 3))


class Abroad(nn.Module):
    """Leaves torch between its layers."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(torch.tensor(self.stem(x).mean((2, 3)).tolist()))


class Keeping(nn.Linear):
    """Keeps what it made."""

    def forward(self, x):
        self.kept = super().forward(x)
        return self.kept


def after_a_run():
    net = Body(Keeping(6, 2))
    net(torch.ones(1, 1, 8, 8))
    return net


class Single(nn.Linear):
    """A network that is one layer."""


def test_layers_that_the_image_does_not_reach_are_left_as_they_are():
    net, _ = quantised(Positions, 1, 8, 8)
    assert list(layer_bits(net)) == ["stem", "head"]
    set_bits(net, 2, 2)
    assert torch.equal(net.positions(net.grid), seeded(Positions(), 1, 8, 8)[0].positions(net.grid))
    assert set(alphas(net)) == {"image_alpha", "stem.output_alpha", "head.input_alpha", "head.output_alpha"}


def test_values_that_are_written_into_others_are_followed():
    net, _ = quantised(Written, 1, 8, 8)
    assert list(layer_bits(net)) == ["stem", "head"]
    set_bits(net, activations={"stem": 5})
    assert input_grid(net, "head") == (net.head.input_alpha, 5)


def test_a_single_layer_is_a_network():
    net, images = quantised(lambda: Single(6, 3), 6, dtype=torch.float64)
    assert layer_bits(net) == {"": (9, 9)}
    x = functional.linear(eq5(images, net.image_alpha, 9), eq5(net.weight, net.weight.abs().max(), 9), net.bias)
    assert torch.allclose(net(images), eq5(x, net.output_alpha, 9))


def parametrised():
    net = Chain()
    nn.utils.parametrizations.weight_norm(net.b)
    return net


def with_nan():
    net = Chain()
    net.b.weight.data[0, 0, 0, 0] = torch.nan
    return net


@pytest.mark.parametrize(
    ("maker", "shape", "options", "message"),
    [
        (Chain, (1, 8, 8), {"weight_bits": 1}, r"the weights has 1 bits; expected a whole number 2 \.\. 16"),
        (Chain, (1, 8, 8), {"activation_bits": 17}, "the activations has 17 bits"),
        (Chain, (1, 8, 8), {"input_bits": True}, "the image has True bits"),
        (Chain, (1, 8, 8), {"momentum": 1}, "momentum 1 of activation scales is not allowed"),
        (Chain, (3, 8, 8), {}, "Chain cannot be run on an image of 3x8x8: "),
        (with_nan, (1, 8, 8), {}, "weights of layer 'b' hold NaN or infinity"),
        (parametrised, (1, 8, 8), {}, "layer 'b' has a parametrised weight"),
        (nn.ReLU, (1, 8, 8), {}, "ReLU has no convolution or linear layer"),
        (Functional, (1, 8, 8), {}, "operation convolution multiplies by 'kernel' of Functional, which is no layer"),
        (Attention, (5, 8), {}, r"multiplies by 'in_proj_weight' of module 'attention' \(MultiheadAttention\)"),
        (
            lambda: Body(nn.ConvTranspose2d(4, 2, 2)),
            (1, 8, 8),
            {},
            r"multiplies by 'weight' of module 'body.1' \(ConvTranspose2d\), which is no layer that .* expected Conv1d",
        ),
        (lambda: Tokens(nn.LSTM(6, 3)), (1, 8, 8), {}, r"by 'weight_ih_l0' of module 'part' \(LSTM\)"),
        (lambda: Tokens(nn.TransformerEncoderLayer(6, 2)), (1, 8, 8), {}, "of module 'part.self_attn'"),
        (
            lambda: Body(Standardised(4, 2, 3)),
            (1, 8, 8),
            {},
            r"layer 'body.1' \(Standardised\) multiplies by other weig",
        ),
        (
            lambda: Body(Averaged(6, 2)),
            (1, 8, 8),
            {},
            r"layer 'body.1' \(Averaged\) changes its inputs before it multip",
        ),
        (
            Outside,
            (1, 8, 8),
            {},
            r"uses 'weight' of module 'gate.0' \(Linear\) outside of it; expected a layer that is",
        ),
        (Abroad, (1, 8, 8), {}, "input of layer 'head' depends on the image in a way that cannot be followed"),
        (after_a_run, (1, 8, 8), {}, "Body cannot be copied: RuntimeError: .* has not been run with gradients"),
        (
            lambda: Chain().half(),
            (1, 8, 8),
            {},
            r"weights of layer 'a' have type torch.float16; expected torch.float32",
        ),
        (Both, (1, 3, 3), {}, "layer 'shared' runs on inputs that depend on the image and on others that do not"),
    ],
)
def test_bad_input_is_one_clear_line(maker, shape, options, message):
    with pytest.raises(ConfigError, match=message):
        quantise_module(maker(), shape, **options)


def test_a_quantised_network_is_not_quantised_again():
    net, _ = quantised(Chain, 1, 8, 8)
    with pytest.raises(ConfigError, match="Chain is quantised; expected a module that is not"):
        quantise_module(net, (1, 8, 8))
    with pytest.raises(ConfigError, match="Chain is not quantised; expected the result of quantise_module"):
        calibrate(Chain(), torch.zeros(1, 1, 8, 8))
    with pytest.raises(ConfigError, match=r"unknown quantised layer 'heat' .*'head'"):
        weight_codes(net, "heat")
