"""Widths of layers: set, read, drawn, and the same as in layer tables; training at many widths."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from small_nets import Chain, Odd, Residual, seeded
from torch import nn
from torch.nn import functional

from moopim import ConfigError
from moopim.network.quantisation import (
    calibrate,
    input_grid,
    layer_bits,
    output_grid,
    quantise_module,
    sample_bits,
    sampling_forward,
    set_bits,
    table_with_bits,
)
from moopim.workload.layers import stack_tables
from moopim.workload.tracing import trace


@pytest.fixture
def net():
    return quantise_module(Chain(), (1, 8, 8))


def test_widths_are_set_for_all_in_order_or_by_path(net):
    assert layer_bits(net) == {"a": (9, 9), "b": (9, 9), "head": (9, 9)}
    set_bits(net, 7)
    assert layer_bits(net) == {"a": (7, 9), "b": (7, 9), "head": (7, 9)}
    set_bits(net, [5, 6, 7], np.array([2, 3, 16]))
    assert layer_bits(net) == {"a": (5, 2), "b": (6, 3), "head": (7, 16)}
    set_bits(net, activations={"b": 4})
    assert layer_bits(net) == {"a": (5, 2), "b": (6, 4), "head": (7, 16)}
    set_bits(net, *zip(*layer_bits(net).values(), strict=True))
    assert layer_bits(net) == {"a": (5, 2), "b": (6, 4), "head": (7, 16)}


@pytest.mark.parametrize(
    ("weights", "activations", "message"),
    [
        (1, None, r"layer 'a' \(weights\) has 1 bits; expected a whole number 2 \.\. 16"),
        (5, {"head": 17}, r"layer 'head' \(activations\) has 17 bits"),
        (5, {"b": 8.0}, r"layer 'b' \(activations\) has 8.0 bits"),
        (5, {"b": True}, "has True bits"),
        ([5, 5], None, "2 widths of weights for 3 layers"),
        (5, {"heat": 5}, r"unknown quantised layer 'heat' \(did you mean 'head'\?\)"),
    ],
)
def test_bad_widths_set_nothing(net, weights, activations, message):
    with pytest.raises(ConfigError, match=message):
        set_bits(net, weights, activations)
    assert set(layer_bits(net).values()) == {(9, 9)}


def test_a_width_changes_its_layer_and_what_it_makes_only():
    model, images = seeded(Residual(), 2, 6, 6)
    net = quantise_module(model, (2, 6, 6))
    calibrate(net, images)
    before = {path: input_grid(net, path).bits for path in layer_bits(net)}
    set_bits(net, activations={"shortcut": 4})
    after = {path: input_grid(net, path).bits for path in layer_bits(net)}
    assert {path for path in before if before[path] != after[path]} == {"c"}
    outputs = {}
    for path in ("a_norm", "b_norm", "shortcut"):
        net.get_submodule(path).register_forward_hook(lambda _, __, y, path=path: outputs.update({path: y}))
    net(images)
    assert len(outputs["shortcut"].unique()) <= 15
    assert len(outputs["b_norm"].unique()) > 100


def test_every_choice_is_drawn_as_often_as_another(net):
    rng = np.random.default_rng(1)
    drawn = []
    for _ in range(600):
        sample_bits(net, rng, (5, 7, 9), (3, 4))
        drawn.append([width for pair in layer_bits(net).values() for width in pair])
    for column, choices in zip(np.transpose(drawn), [(5, 7, 9), (3, 4)] * 3, strict=True):
        counts = [np.sum(column == choice) for choice in choices]
        assert sum(counts) == 600
        assert min(counts) > 600 / len(choices) * 0.8
    assert np.abs(np.corrcoef(np.transpose(drawn)) - np.eye(6)).max() < 0.2


def test_draws_follow_the_seed(net):
    draws = []
    for _ in range(2):
        sample_bits(net, np.random.default_rng(5))
        draws.append(layer_bits(net))
    assert draws[0] == draws[1]
    with pytest.raises(ConfigError, match="no choice for the bits of weights"):
        sample_bits(net, np.random.default_rng(5), ())


@pytest.mark.parametrize(("maker", "shape"), [(Chain, (1, 8, 8)), (Residual, (2, 6, 6)), (Odd, (4, 5, 5))])
def test_the_quantised_network_has_the_layer_table_of_the_module(maker, shape):
    model, images = seeded(maker(), *shape)
    net = quantise_module(model, shape)
    calibrate(net, images)
    table, traced = trace(model, shape), trace(net, shape)
    assert traced.names == table.names
    for column in ("kind", "inputs", "c_in", "c_out", "h_out", "groups"):
        assert np.array_equal(getattr(traced, column), getattr(table, column)), column


@pytest.mark.parametrize(("maker", "shape"), [(Chain, (1, 8, 8)), (Residual, (2, 6, 6)), (Odd, (4, 5, 5))])
def test_layer_tables_get_the_widths_that_the_network_computes_with(maker, shape):
    model, images = seeded(maker(), *shape)
    net = quantise_module(model, shape, input_bits=8)
    calibrate(net, images)
    sample_bits(net, np.random.default_rng(2), range(2, 17), range(2, 17))
    table = table_with_bits(net, trace(model, shape))
    seen = set()
    for place in np.flatnonzero(table.weighted[0]):
        path = table.names[place].replace("same.conv", "twice")
        assert table.weight_bits[0, place] == layer_bits(net)[path][0]
        assert table.output_bits[0, place] == output_grid(net, path).bits == layer_bits(net)[path][1]
        if path not in seen:  # a layer has one input width, that of its first call
            assert table.input_bits[0, place] == input_grid(net, path).bits
        seen.add(path)
    assert seen == set(layer_bits(net))


def test_a_table_of_another_network_is_refused(net):
    with pytest.raises(ConfigError, match="unknown quantised layer 'shortcut'"):
        table_with_bits(net, trace(Residual(), (2, 6, 6)))
    with pytest.raises(ConfigError, match="layer table without names is not allowed"):
        table_with_bits(net, stack_tables([trace(Residual(), (2, 6, 6)), trace(Chain(), (1, 8, 8))]))


class Digits(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
        )
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        return self.head(self.features(x).mean((2, 3)))


def digits():
    data = load_digits()
    images = torch.tensor(data.images, dtype=torch.float32)[:, None] / 8 - 1
    order = np.random.default_rng(0).permutation(len(images))
    labels = torch.tensor(data.target)
    return [(images[part], labels[part]) for part in (order[:1300], order[1300:])]


def train(net, data, steps, rate, forward):
    images, labels = data
    rng = np.random.default_rng(1)
    optimiser = torch.optim.Adam(net.parameters(), rate)
    net.train()
    for _ in range(steps):
        batch = rng.integers(len(images), size=128)
        loss = functional.cross_entropy(forward(net, images[batch], rng), labels[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net.eval()


def share_right(net, data):
    with torch.no_grad():
        return (net(data[0]).argmax(1) == data[1]).float().mean().item()


@pytest.mark.slow
def test_training_at_many_widths_keeps_the_accuracy_of_the_float_network():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(1)
            net = Digits()
        training, test = digits()
        train(net, training, 300, 1e-2, lambda net, images, _: net(images))
        expected = share_right(net, test)
        assert expected > 0.95
        nine = train(quantise_module(net, (1, 8, 8)), training, 100, 8e-4, lambda net, images, _: net(images))
        assert share_right(nine, test) > expected - 0.01
        mixed = train(quantise_module(net, (1, 8, 8)), training, 200, 8e-4, sampling_forward())
        for width in (5, 7, 9):
            set_bits(mixed, width, width)
            assert share_right(mixed, test) > expected - 0.02, width
        set_bits(mixed, 2, 2)
        assert share_right(mixed, test) < 0.8  # widths do count
    finally:
        torch.set_num_threads(threads)
