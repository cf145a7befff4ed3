"""Noise on weights: its size, its seeds, what it leaves behind, and intervals."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats
from small_nets import Chain, seeded
from torch import nn

from moopim import ConfigError
from moopim.network.noise import mean_interval, noisy_accuracies, noisy_forward, with_weight_noise
from moopim.network.quantisation import calibrate, quantise_module, sampling_forward, set_bits, weight_codes


def weights_seen(net, images, sigma, seed=1, draw=0):
    """The weights that each layer computes with under noise."""
    seen = {}
    with with_weight_noise(net, sigma, seed, draw):
        handles = [
            layer.register_forward_pre_hook(lambda layer, _, path=path: seen.update({path: layer.weight.detach()}))
            for path, layer in net.named_modules()
            if isinstance(layer, nn.Conv2d | nn.Linear)
        ]
        net(images)
        for handle in handles:
            handle.remove()
    return seen


@pytest.fixture
def model():
    return seeded(Chain(), 1, 8, 8)


def test_noise_has_the_size_of_the_equation():
    net = nn.Linear(400, 300)
    noisy = weights_seen(net, torch.zeros(1, 400), 0.1)[""]
    eps = ((noisy - net.weight) / (0.1 * net.weight.abs().max())).detach().double().flatten().numpy()
    assert stats.kstest(eps, "norm").pvalue > 0.01
    assert eps.std() == pytest.approx(1, abs=0.01)


def test_noise_of_a_layer_depends_on_seed_draw_and_path_only(model):
    net, images = model
    everywhere = weights_seen(net, images, 0.2)
    alone = weights_seen(net, images, {"b": 0.2})
    assert torch.equal(alone["b"], everywhere["b"])
    assert torch.equal(alone["a"], net.a.weight)
    assert torch.equal(weights_seen(net, images, {"head": 0, "b": 0.2})["b"], everywhere["b"])
    others = [weights_seen(net, images, 0.2, *which)["b"] for which in [(2, 0), (1, 1), (1, 2)]]
    assert all(not torch.equal(other, everywhere["b"]) for other in others)
    twins = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5))
    twins[1].load_state_dict(twins[0].state_dict())
    seen = weights_seen(twins, torch.zeros(1, 5), 0.1)
    assert not torch.equal(seen["0"], seen["1"])


def test_noise_is_the_same_for_all_images_and_gone_afterwards(model):
    net, images = model
    before = {name: value.clone() for name, value in net.state_dict().items()}
    expected = net(images)
    with with_weight_noise(net, 0.3):
        first = net(images)
        assert torch.equal(net(images), first)
        assert torch.equal(torch.cat([net(images[:5]), net(images[5:])]).argmax(1), first.argmax(1))
    assert not torch.allclose(first, expected)
    assert torch.equal(net(images), expected)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    with pytest.raises(RuntimeError), with_weight_noise(net, 0.3):
        net(images[:, :, :3])
    assert torch.equal(net(images), expected)


def test_noise_is_on_the_quantised_weights(model):
    net, images = model
    quantised = quantise_module(net, (1, 8, 8))
    calibrate(quantised, images)
    set_bits(quantised, 4)
    seen = weights_seen(quantised, images, {"b": 0.1})
    codes, step = weight_codes(quantised, "b")
    noise = weights_seen(net, images, {"b": 0.1})["b"] - net.b.weight
    assert torch.allclose(seen["b"], codes * step + noise, atol=1e-6)
    codes, step = weight_codes(quantised, "a")
    assert torch.equal(seen["a"], codes * step)


def test_accuracies_of_draws(model):
    net, images = model
    split = SimpleNamespace(images=images, labels=net(images).argmax(1))
    assert noisy_accuracies(net, split, 0.0, draws=2).tolist() == [1, 1]
    several = noisy_accuracies(net, split, 0.3, draws=4, seed=7)
    assert several.shape == (4,)
    assert len(set(several)) > 1
    assert noisy_accuracies(net, split, 0.3, draws=2, seed=7).tolist() == several[:2].tolist()
    with with_weight_noise(net, 0.3, seed=7, draw=3), torch.no_grad():
        assert several[3] == pytest.approx((net(images).argmax(1) == split.labels).double().mean().item())
    assert noisy_accuracies(net, split, 0.02, draws=4).mean() > several.mean()


def test_the_interval_is_that_of_student():
    sample = np.array([0.91, 0.95, 0.93, 0.90])
    mean, low, high = mean_interval(sample)
    expected = stats.t.interval(0.95, 3, sample.mean(), stats.sem(sample))
    assert mean == pytest.approx(0.9225)
    assert (low, high) == pytest.approx(expected)
    half = 3.182446 * np.sqrt(((sample - 0.9225) ** 2).sum() / 3 / 4)  # t of 3 degrees from a printed table
    assert high - mean == pytest.approx(half, rel=1e-6)
    narrow = mean_interval(sample, 0.5)
    assert low < narrow.low < mean < narrow.high < high
    assert mean_interval(np.array([0.5, 0.5])) == (0.5, 0.5, 0.5)


def test_training_with_noise_draws_new_noise_at_each_step(model):
    net, images = model
    forward = noisy_forward({"a": 0.1})
    rng = np.random.default_rng(1)
    first, second = forward(net, images, rng), forward(net, images, rng)
    assert not torch.equal(first, second)
    assert torch.equal(forward(net, images, np.random.default_rng(1)), first)
    first.sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    assert isinstance(net.a.weight, nn.Parameter)


def test_noise_goes_together_with_drawn_widths(model):
    net, images = model
    quantised = quantise_module(net, (1, 8, 8)).train()
    forward = noisy_forward(0.1, sampling_forward())
    outputs = [forward(quantised, images, np.random.default_rng(3)) for _ in range(1)]
    outputs[0].sum().backward()
    assert all(parameter.grad is not None for parameter in quantised.parameters())


@pytest.mark.parametrize(
    ("sigma", "options", "message"),
    [
        (-0.1, {}, "sigma -0.1 of layer 'a' is not allowed; expected a finite number >= 0"),
        (float("nan"), {}, "sigma nan of layer 'a'"),
        ({"heat": 0.1}, {}, "unknown layer with weights 'heat'"),
        (0.1, {"draws": 0}, "0 draws are not allowed"),
        (0.1, {"seed": -1}, "seed -1 of weight noise is not allowed"),
    ],
)
def test_bad_input_is_refused(model, sigma, options, message):
    net, images = model
    split = SimpleNamespace(images=images, labels=torch.zeros(len(images), dtype=torch.long))
    with pytest.raises(ConfigError, match=message):
        noisy_accuracies(net, split, sigma, **options)


def test_weights_with_nan_and_samples_without_interval_are_refused(model):
    net, _ = model
    net.b.weight.data[0] = torch.nan
    with pytest.raises(ConfigError, match="weights of layer 'b' hold NaN"), with_weight_noise(net, 0.1):
        pass
    assert not net.a._forward_pre_hooks
    with pytest.raises(ConfigError, match="interval of 1 values is not defined"):
        mean_interval(np.array([0.9]))
    with pytest.raises(ConfigError, match="confidence 1 is not allowed"):
        mean_interval(np.array([0.9, 0.8]), 1)
