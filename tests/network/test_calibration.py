"""Recalibration against statistics worked out layer by layer."""

from types import SimpleNamespace

import numpy as np
import pytest

from moopim import ConfigError

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from moopim.network.blocks import make_network  # noqa: E402
from moopim.network.calibration import calibration_images, measure, recalibrate  # noqa: E402
from moopim.network.subnets import Block  # noqa: E402
from moopim.network.supernet import Supernet  # noqa: E402
from moopim.network.tools import evaluating  # noqa: E402

NORMS = ("block1.norm_a", "block1.norm_b", "block1.norm_shortcut", "block2.norm_a", "block2.norm_b")


def network():
    return make_network((Block("RES", 4), Block("VGG", 6)), (3, 8, 8), classes=5, seed=1)


def images(count=130, seed=3):
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) + 1


def inputs_of(model, x):
    """What each batch normalisation reads, in the model as it is."""
    seen = {}
    hooks = [
        model.get_submodule(name).register_forward_pre_hook(lambda _, args, name=name: seen.update({name: args[0]}))
        for name in NORMS
    ]
    with torch.inference_mode():
        model.eval()(x)
    for hook in hooks:
        hook.remove()
    return {name: value.double().numpy() for name, value in seen.items()}


def test_every_layer_ends_with_the_statistics_of_what_it_reads():
    model = network()
    recalibrate(model, images())
    for name, values in inputs_of(model, images()).items():
        norm = model.get_submodule(name)
        assert np.allclose(norm.running_mean, values.mean((0, 2, 3)), atol=1e-5), name
        assert np.allclose(norm.running_var, values.var((0, 2, 3)), rtol=1e-5), name


def test_the_outcome_depends_neither_on_what_was_there_before_nor_on_the_order_of_images():
    first, second = network(), network()
    with torch.no_grad():
        for _ in range(3):
            second.train()(images(seed=8))
    recalibrate(first, images())
    recalibrate(second, images().flip(0))
    for name in NORMS:
        for buffer in ("running_mean", "running_var"):
            values = [model.get_submodule(name).get_buffer(buffer) for model in (first, second)]
            assert torch.allclose(*values, rtol=1e-5, atol=1e-6)


def test_a_module_in_training_stays_so_and_its_weights_stay():
    model = network().train()
    model.block2.eval()
    before = {name: value.clone() for name, value in model.named_parameters()}
    recalibrate(model, images())
    assert model.training
    assert model.block1.training
    assert not model.block2.training
    assert all(torch.equal(value, before[name]) for name, value in model.named_parameters())
    model.train()(images()).sum().backward()  # buffers are ordinary tensors still


def test_statistics_are_exact_far_from_zero():
    values = np.random.default_rng(1).normal(1000, 1, (200, 3, 5, 5)).astype(np.float32)
    mean, variance = measure(torch.from_numpy(values), "x")
    assert np.allclose(mean, values.astype(float).mean((0, 2, 3)), rtol=1e-7)
    assert np.allclose(variance, values.astype(float).var((0, 2, 3)), rtol=1e-6)


def test_one_dimensional_batch_normalisation_is_measured_too():
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 4), nn.BatchNorm1d(4))
    recalibrate(model, images())
    outputs = model.eval()(images()).detach().numpy()
    assert np.allclose(outputs.mean(0), 0, atol=1e-5)
    assert np.allclose(outputs.std(0), 1, atol=1e-4)


def test_a_layer_that_runs_twice_is_refused_and_no_hook_is_left():
    norm = nn.BatchNorm2d(3)
    with pytest.raises(ConfigError, match="layer '0' runs twice in a pass"):
        recalibrate(nn.Sequential(norm, nn.ReLU(), norm), images())
    assert not norm._forward_pre_hooks


def test_weights_that_are_not_numbers_are_refused():
    model = network()
    with torch.no_grad():
        model.block1.b.weight[0, 0, 0, 0] = torch.nan
    with pytest.raises(ConfigError, match=r"input of layer 'block1.norm_b' are not finite.*without NaN"):
        recalibrate(model, images())


def test_evaluation_leaves_every_part_as_it_was():
    model = nn.Sequential(nn.Dropout(), nn.Dropout()).train()
    model[1].eval()
    with evaluating(model):
        assert not model[0].training
    assert [model.training, model[0].training, model[1].training] == [True, True, False]


def test_a_supernet_has_nothing_to_recalibrate():
    net = Supernet((3, 8, 8), classes=5, max_blocks=1, channels=(4,))
    assert not list(net.buffers())


def data(count):
    return SimpleNamespace(train=SimpleNamespace(images=torch.arange(count).reshape(count, 1, 1, 1)))


def test_calibration_images_are_drawn_once_and_always_the_same():
    picked = calibration_images(data(100), 40).flatten().tolist()
    assert len(set(picked)) == 40
    assert picked == calibration_images(data(100), 40).flatten().tolist()
    assert min(picked) < 20
    assert max(picked) > 80


@pytest.mark.parametrize("count", [0, 101])
def test_more_calibration_images_than_there_are_is_refused(count):
    with pytest.raises(ConfigError, match=rf"calibration {count} is not allowed; expected 1 \.\. 100"):
        calibration_images(data(100), count)
