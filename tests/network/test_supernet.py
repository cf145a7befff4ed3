"""The supernet: slices of its weights, uniform sampling, and subnets cut out."""

from collections import Counter
from functools import partial

import numpy as np
import pytest

from moopim import ConfigError

torch = pytest.importorskip("torch")

from moopim.network.datasets import ImageData, Split  # noqa: E402
from moopim.network.recipes import Recipe  # noqa: E402
from moopim.network.subnets import Block, network_layers  # noqa: E402
from moopim.network.supernet import Supernet  # noqa: E402
from moopim.network.training import fit  # noqa: E402


def supernet(**changes):
    return Supernet(**{"image_shape": (3, 8, 8), "classes": 5, "max_blocks": 3, "channels": (4, 6, 8)} | changes)


def images(count=6, size=8, seed=3):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def scatter_norms(net, seed=4):
    """Gives batch normalisation other weights than 1 and 0."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in net.named_parameters():
            if "norm" in name:
                value.uniform_(0.5, 1.5, generator=generator)
    return net


@pytest.mark.parametrize(
    "subnet",
    [
        (Block("VGG", 4),),
        (Block("MVGG", 8), Block("RES", 4)),
        (Block("RES", 6, 2), Block("VGG", 4), Block("RES", 8, 2)),
        (Block("VGG", 8), Block("VGG", 4), Block("VGG", 6)),  # down to 1x1
    ],
)
def test_a_subnet_cut_out_computes_what_the_supernet_does(subnet):
    net = scatter_norms(supernet(strides=(1, 2)))
    plain = net.cut(subnet)
    assert not [name for name, _ in plain.named_modules() if "." in name and "VGG" in name]
    assert torch.allclose(plain.train()(images()), net(images(), subnet), atol=1e-5)


def test_a_subnet_cut_out_is_a_copy():
    net = supernet()
    plain = net.cut((Block("VGG", 4),))
    before = net.head.weight.clone()
    with torch.no_grad():
        for value in plain.parameters():
            value.fill_(7)
    assert torch.equal(net.head.weight, before)


def test_a_training_step_moves_the_leading_channels_of_the_chosen_path_alone():
    net = supernet()
    net(images(), (Block("RES", 4), Block("MVGG", 6))).square().sum().backward()
    moved = {name: value.grad for name, value in net.named_parameters() if value.grad is not None}
    assert {name.rsplit(".", 2)[0] for name in moved} == {"places.0.RES", "places.1.MVGG", "head"} | set()
    leading = {"places.0.RES.a": (4, 3), "places.0.RES.b": (4, 4), "places.1.MVGG.a": (6, 4), "places.1.MVGG.b": (6, 6)}
    for name, (c_out, c_in) in leading.items():
        gradient = moved[f"{name}.weight"]
        assert (gradient[:c_out, :c_in] != 0).all()
        assert gradient.count_nonzero() == gradient[:c_out, :c_in].count_nonzero()
    assert moved["head.weight"].count_nonzero() == 5 * 6


def test_subnets_are_drawn_uniformly():
    net = supernet(image_shape=(3, 32, 32), max_blocks=4, strides=(1, 2))
    rng = np.random.default_rng(1)
    subnets = [net.random_subnet(rng) for _ in range(6000)]
    blocks = [block for subnet in subnets for block in subnet]
    counts = [
        (Counter(map(len, subnets)), 4),
        (Counter(block.kind for block in blocks), 3),
        (Counter(block.channels for block in blocks), 3),
        (Counter(block.stride for block in blocks if block.kind == "RES"), 2),
        (Counter(subnet[0][:2] for subnet in subnets), 9),
    ]
    for count, values in counts:
        total = sum(count.values())
        assert len(count) == values
        spread = np.sqrt(total * (1 / values) * (1 - 1 / values))
        assert max(abs(number - total / values) for number in count.values()) < 4 * spread
    assert {block.stride for block in blocks if block.kind != "RES"} == {1}


def test_drawn_subnets_are_allowed_and_canonical_down_to_one_pixel():
    net = supernet(image_shape=(3, 2, 2), strides=(1, 2))
    rng = np.random.default_rng(1)
    for subnet in [net.random_subnet(rng) for _ in range(50)]:
        net.check(subnet)
        assert net.canonical(subnet) == subnet
        assert net(images(size=2), subnet).shape == (6, 5)


def test_a_stride_on_one_pixel_has_no_effect():
    net = supernet(image_shape=(3, 1, 1), strides=(1, 2))
    assert torch.equal(net(images(size=1), (Block("RES", 4, 2),)), net(images(size=1), (Block("RES", 4),)))


@pytest.mark.filterwarnings("ignore:TF32 acceleration")
def test_gradients_of_a_shortcut_with_a_stride_are_those_without_onednn():
    """oneDNN 3.12 writes beyond its memory there, which ends the process sooner or later."""
    net = supernet(strides=(1, 2))
    subnet = (Block("RES", 4, 2), Block("RES", 6, 2))
    for model, forward in ((net, lambda: net(images(), subnet)), (net.cut(subnet), None)):
        gradients = []
        for enabled in (True, False):
            model.zero_grad()
            with torch.backends.mkldnn.flags(enabled=enabled):
                (forward() if forward else model(images())).square().sum().backward()
            gradients.append({name: value.grad for name, value in model.named_parameters() if value.grad is not None})
        assert sum(".shortcut.weight" in name for name in gradients[0]) == 2
        for name, value in gradients[0].items():
            torch.testing.assert_close(value, gradients[1][name], rtol=1e-3, atol=1e-3)


def test_weights_depend_on_the_seed_alone():
    state = torch.get_rng_state()
    first, same, other = supernet(seed=1), supernet(seed=1), supernet(seed=2)
    assert torch.equal(torch.get_rng_state(), state)
    weights = [net.state_dict() for net in (first, same, other)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    assert not torch.equal(weights[0]["head.weight"], weights[2]["head.weight"])


@pytest.mark.parametrize("recipe", [Recipe("adamw", 0.01, batch=8, epochs=4), Recipe("sgd", 0.05, 8, 4, momentum=0.9)])
def test_a_training_goes_on_to_the_same_bits(recipe, tmp_path):
    """Also where the checkpoint comes before a path was drawn for the first time."""
    generator = torch.Generator().manual_seed(1)
    part = Split(images(24), torch.randint(5, (24,), generator=generator))
    data = ImageData("noise", 5, tuple("abcde"), True, part, part, part, (0.0,) * 3, (1.0,) * 3)
    seen = set()

    def forward(net, x, rng, stop=None):
        subnet = net.random_subnet(rng)
        if len(seen) == stop:
            raise KeyboardInterrupt
        seen.add((len(seen), subnet))
        return net(x, subnet)

    whole, stopped, resumed = supernet(), supernet(), supernet(seed=2)
    path = tmp_path / "supernet.safetensors"
    fit(whole, data, recipe, forward=forward)
    seen.clear()
    with pytest.raises(KeyboardInterrupt, match="the same call goes on from"):
        fit(stopped, data, recipe, forward=partial(forward, stop=4), checkpoint=path)
    fit(resumed, data, recipe, forward=forward, checkpoint=path)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert not torch.equal(stopped.head.weight, whole.head.weight)


def test_layers_are_those_of_the_network():
    subnet = (Block("VGG", 4), Block("RES", 8))
    table = supernet().layers(subnet)
    assert table.names == network_layers(subnet, (3, 8, 8), 5).names
    assert table.parameters.sum() == 4 * 3 * 9 + 4 * 4 * 9 + 8 * 4 * 9 + 8 * 8 * 9 + 8 * 4 + 5 * 8


@pytest.mark.parametrize(
    ("subnet", "message"),
    [
        ((), "a subnet without blocks is not allowed"),
        ((Block("MVGG", 4),) * 4, r"a subnet of 4 blocks is too deep; expected 1 \.\. 3"),
        ((Block("VGG", 5),), "channels 5 of block 1 is not allowed; expected one of 4, 6, 8"),
        ((Block("VGG", 4), Block("RES", 4, 3)), "stride 3 of block 2 is not allowed; expected one of 1, 2"),
        ((Block("vgg", 4),), "unknown kind of block 1 'vgg'"),
        ((Block("VGG", 4), Block("RES", 4, 2), Block("VGG", 8)), r"block 3 \(VGG\) cannot halve .* 1x2; expected MVGG"),
    ],
)
def test_subnets_that_it_does_not_hold_are_refused(subnet, message):
    net = supernet(image_shape=(3, 4, 8), strides=(1, 2))
    for use in (net.check, net.cut, net.layers, lambda subnet: net(images(), subnet)):
        with pytest.raises(ConfigError, match=message):
            use(subnet)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": (8, 4)}, r"channels \(8, 4\) of the supernet do not nest; expected whole numbers >= 1 in rising"),
        ({"channels": (4, 4)}, r"channels \(4, 4\) of the supernet do not nest"),
        ({"channels": ()}, r"channels \(\) of the supernet do not nest"),
        ({"strides": (0, 1)}, r"strides \(0, 1\) of the supernet do not nest"),
        ({"max_blocks": 0}, "max_blocks 0 of the supernet is not allowed; expected a whole number >= 1"),
        ({"classes": 1}, "classes 1 is not allowed; expected a whole number >= 2"),
        ({"image_shape": (8, 8)}, r"image_shape \(8, 8\) is not allowed"),
    ],
)
def test_arguments_that_are_not_allowed_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        supernet(**changes)
