"""Accuracies of subnets: what one is, and that the company it is found in has no say."""

from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest

from moopim import ConfigError

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from moopim.network.accuracy import accuracy, subnet_accuracies  # noqa: E402
from moopim.network.calibration import calibration_images, recalibrate  # noqa: E402
from moopim.network.subnets import Block  # noqa: E402
from moopim.network.supernet import Supernet  # noqa: E402

evaluation = import_module("moopim.network.accuracy")


def split(count, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(5, size=count)
    pictures = rng.normal(0, 1, (count, 1, 6, 6)) + 1.5 * np.eye(6)[labels][:, None, :, None]
    return SimpleNamespace(images=torch.from_numpy(pictures.astype(np.float32)), labels=torch.from_numpy(labels))


@pytest.fixture(scope="module")
def data():
    parts = {"train": split(96, 1), "validation": split(300, 2), "test": split(50, 3)}
    return SimpleNamespace(name="stripes", classes=5, image_shape=(1, 6, 6), **parts)


@pytest.fixture(scope="module")
def supernet(data):
    """A supernet with a little training, so that accuracies differ."""
    net = Supernet((1, 6, 6), classes=5, max_blocks=3, channels=(4, 6, 8), strides=(1, 2), seed=1)
    rng = np.random.default_rng(1)
    optimiser = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(40):
        optimiser.zero_grad()
        F.cross_entropy(net(data.train.images, net.random_subnet(rng)), data.train.labels).backward()
        optimiser.step()
    return net


@pytest.fixture(scope="module")
def subnets(supernet):
    rng = np.random.default_rng(2)
    return [supernet.random_subnet(rng) for _ in range(50)]


def test_a_subnet_alone_in_a_batch_of_50_and_in_another_order_is_the_same(supernet, subnets, data):
    together = subnet_accuracies(supernet, subnets, data, calibration=64)
    alone = [subnet_accuracies(supernet, [subnet], data, calibration=64)[0] for subnet in subnets]
    order = np.random.default_rng(3).permutation(50)
    shuffled = subnet_accuracies(supernet, [subnets[i] for i in order], data, calibration=64)
    assert together.tolist() == alone
    assert together[order].tolist() == shuffled.tolist()
    assert len(set(alone)) > 20


def test_logits_of_a_subnet_are_the_same_to_the_last_bit_in_company(supernet, subnets, data, monkeypatch):
    seen = {}
    count = evaluation.count_correct

    def correct(logits, labels, what):
        seen.setdefault(what, []).append(logits.clone())
        return count(logits, labels, what)

    monkeypatch.setattr(evaluation, "count_correct", correct)
    subnet_accuracies(supernet, subnets, data, calibration=64)
    together = dict(seen)
    seen.clear()
    for subnet in subnets[::7]:
        subnet_accuracies(supernet, [subnet], data, calibration=64)
    assert len(seen) > 5
    for name, chunks in seen.items():
        assert all(torch.equal(*pair) for pair in zip(chunks, together[name], strict=True))


def test_it_is_the_accuracy_of_the_network_cut_out_and_recalibrated(supernet, subnets, data):
    images = calibration_images(data, 64)
    for subnet, found in zip(
        subnets[:12], subnet_accuracies(supernet, subnets[:12], data, calibration=64), strict=True
    ):
        network = supernet.cut(subnet)
        recalibrate(network, images)
        # Folding moves the last bits of the outputs, so an image at the border may change sides.
        assert abs(accuracy(network, data.validation) - found) <= 1 / 300


def test_blocks_that_subnets_share_from_the_start_are_run_once(supernet, data, monkeypatch):
    ran = []
    parts = Supernet.parts
    monkeypatch.setattr(Supernet, "parts", lambda net, place, *rest: ran.append(place) or parts(net, place, *rest))
    first, second = Block("VGG", 4), Block("RES", 8)
    wanted = [(first,), (first, second), (first, second, first), (first, second, second), (second, first)]
    subnet_accuracies(supernet, [*wanted, *wanted], data, split="test", calibration=64)
    # Once in calibration and once on the only chunk of the test images.
    assert sorted(ran) == [0] * 2 * 2 + [1] * 2 * 2 + [2] * 2 * 2


@pytest.mark.parametrize("shared", range(4))
def test_feature_maps_held_are_those_that_the_next_subnet_goes_on_from(shared):
    start, end = (Block("VGG", 4),) * shared, (Block("VGG", 4),) * (4 - shared)
    subnets = [(*start, Block("MVGG", 4), *end), (*start, Block("RES", 4), *end)]
    alive, most = set(), 0

    class Map:
        def __init__(self):
            nonlocal most
            alive.add(id(self))
            most = max(most, len(alive))

        def __del__(self):
            alive.discard(id(self))

    ran = []
    for _ in evaluation._depth_first(subnets, Map(), lambda prefix, x: ran.append(prefix) or Map()):
        pass
    assert len(ran) == len(set(ran)) == shared + 2 * (5 - shared)
    # The image, the shared ones, what a block reads and makes, and the result of the subnet before.
    assert most == 1 + shared + 3


def test_equal_networks_have_equal_accuracies(supernet, data):
    shrunk = (Block("VGG", 4), Block("VGG", 4))  # 6x6 -> 3x3 -> 1x1
    wanted = [(*shrunk, Block("RES", 6)), (*shrunk, Block("RES", 6, 2))]
    first, second = subnet_accuracies(supernet, wanted, data, calibration=64)
    assert first == second


def test_the_supernet_is_left_as_it_was(supernet, subnets, data):
    supernet.train()
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    subnet_accuracies(supernet, subnets[:3], data, calibration=64)
    assert supernet.training
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())
    supernet(data.train.images, subnets[0]).sum().backward()
    supernet.zero_grad()


def test_no_subnets_have_no_accuracies(supernet, data):
    assert subnet_accuracies(supernet, [], data, calibration=64).shape == (0,)


class Constant(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, images):
        return torch.full((len(images), 5), 0.0).index_fill(1, torch.tensor(2), self.value)


def test_accuracy_is_the_fraction_of_images_told_right(data):
    expected = (data.validation.labels == 2).sum().item() / 300
    assert accuracy(Constant(1.0), data.validation) == expected


def test_outputs_that_are_not_numbers_are_refused(supernet, data):
    with pytest.raises(ConfigError, match=r"outputs of the network are not finite.*without NaN"):
        accuracy(Constant(torch.nan), data.validation)
    broken = Supernet((1, 6, 6), classes=5, max_blocks=1, channels=(4,))
    with torch.no_grad():
        broken.head.weight[0, 0] = torch.inf
    with pytest.raises(ConfigError, match="outputs of subnet RES4 are not finite"):
        subnet_accuracies(broken, [(Block("RES", 4),)], data, calibration=64)
    with torch.no_grad():
        broken.places[0]["RES"].norm_a.weight[0] = torch.nan
    with pytest.raises(ConfigError, match="convolution 'b' of the last block of RES4 are not finite"):
        subnet_accuracies(broken, [(Block("RES", 4),)], data, calibration=64)


def test_data_that_do_not_fit_are_refused(supernet, data):
    def refused(message, **changes):
        arguments = {"split": "test", "calibration": 64} | changes
        other = SimpleNamespace(**vars(data) | arguments.pop("data", {}))
        with pytest.raises(ConfigError, match=message):
            subnet_accuracies(supernet, [(Block("VGG", 4),)], other, **arguments)

    refused("data 'stripes' has 7 classes; expected the supernet's 5", data={"classes": 7})
    refused(r"have the shape \(3, 6, 6\); expected the supernet's \(1, 6, 6\)", data={"image_shape": (3, 6, 6)})
    refused("unknown split 'tests' .did you mean 'test'", split="tests")
    refused(r"calibration 512 is not allowed; expected 1 \.\. 96", calibration=512)
    empty = SimpleNamespace(images=data.test.images[:0], labels=data.test.labels[:0])
    refused("a split without images has no accuracy", data={"test": empty})
    with pytest.raises(ConfigError, match="channels 5 of block 1 is not allowed"):
        subnet_accuracies(supernet, [(Block("VGG", 5),)], data)
