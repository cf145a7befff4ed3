import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional
from toy_training import network, rows_data, split

from moopim.errors import ConfigError, EvaluationError
from moopim.network.accuracy import accuracy
from moopim.network.datasets import Augmentation, Split
from moopim.network.recipes import Recipe
from moopim.network.training import fit

SGD = Recipe(
    "sgd", 0.05, batch=16, epochs=5, momentum=0.9, weight_decay=1e-3, schedule="step", drops=(3,), drop_factor=5
)
ADAM = Recipe("adamw", 5e-3, batch=16, steps=19, schedule="cosine", warm_up=0.2, label_smoothing=0.1)


class Stop(Exception):  # noqa: N818 (it stands for no error)
    """Stands for a process that is killed."""


def half_of_it(model, images, rng):
    """A forward with random numbers of its own: the pixels of some rows are left out."""
    return model(images * torch.from_numpy(rng.integers(0, 2, (1, 1, 5, 1))).float())


def assert_same_model(a, b):
    for (name, value), other in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        assert torch.equal(value, other), name


def assert_same_log(a, b):
    pd.testing.assert_frame_equal(a.frame.drop(columns="seconds"), b.frame.drop(columns="seconds"), check_exact=True)


def test_a_network_learns():
    model, data = network(), rows_data(200)
    log = fit(model, data, Recipe("adam", 0.02, batch=20, epochs=15))
    assert log.frame["loss"].iloc[-1] < 0.5 * log.frame["loss"].iloc[0]
    assert log.frame["train_accuracy"].iloc[-1] > 0.9
    assert accuracy(model, data.test) > 0.85
    assert not model.training


def test_a_step_is_the_one_of_torch():
    """Five epochs of one batch written out with torch's own optimiser, in its plain form."""
    data = rows_data(16)
    model, plain = network(), network()
    fit(model, data, SGD)
    optimiser = torch.optim.SGD(plain.parameters(), 0.05, momentum=0.9, weight_decay=1e-3, foreach=False)
    for epoch in range(5):
        optimiser.param_groups[0]["lr"] = 0.05 if epoch < 3 else 0.01
        optimiser.zero_grad()
        functional.cross_entropy(plain(data.train.images), data.train.labels).backward()
        optimiser.step()
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=1e-4, atol=1e-6)


def test_each_epoch_takes_every_image_once_in_an_order_of_its_own_but_for_what_fills_no_batch():
    data = rows_data()
    seen = []

    def forward(model, images, rng):
        seen.append(images[:, 0, 0, 0].tolist())
        return model(images)

    fit(network(), data, SGD.scaled(2), forward=forward)
    assert [len(batch) for batch in seen] == [16] * 8  # 70 images: 4 batches and 6 that are left out
    known = set(data.train.images[:, 0, 0, 0].tolist())
    for epoch in (seen[:4], seen[4:]):
        pixels = list(chain.from_iterable(epoch))
        assert len(set(pixels)) == 64
        assert set(pixels) <= known
    assert seen[:4] != seen[4:]


def test_a_data_set_below_a_batch_is_one_batch():
    sizes = []

    def forward(model, images, rng):
        sizes.append(len(images))
        return model(images)

    fit(network(), rows_data(10), SGD.scaled(2), forward=forward)
    assert sizes == [10, 10]


def test_a_training_may_be_one_step_on_one_image(tmp_path):
    file = tmp_path / "run.safetensors"
    logs = [fit(network(), rows_data(1), "digits-float", epochs=1, checkpoint=file) for _ in range(2)]  # and read back
    for log in logs:
        assert log.frame["learning_rate"].tolist() == [5e-3]
        assert log.frame[["loss", "train_accuracy", "validation_accuracy"]].notna().all(axis=None)


def test_a_batch_that_cannot_be_normalised_is_one_plain_error():
    model = nn.Sequential(nn.Flatten(), nn.Linear(25, 4), nn.BatchNorm1d(4))
    with pytest.raises(ConfigError, match=r"^batch=1 of 'rows' leaves batch normalisation a single value per channel"):
        fit(model, rows_data(1), SGD)


def test_the_log_has_a_row_for_each_epoch():
    log = fit(network(), rows_data(), ADAM)
    assert list(log.frame) == [
        "epoch",
        "step",
        "learning_rate",
        "loss",
        "train_accuracy",
        "validation_accuracy",
        "seconds",
    ]
    assert list(log.frame["epoch"]) == [1, 2, 3, 4, 5]
    assert list(log.frame["step"]) == [4, 8, 12, 16, 19]  # in steps: the last epoch is shorter
    np.testing.assert_array_equal(log.frame["learning_rate"], ADAM.learning_rates(4)[[3, 7, 11, 15, 18]])
    assert log.frame.notna().all(axis=None)
    assert (log.title, log.recipe, log.seed) == ("rows (synthetic)", ADAM, 1)
    assert fit(network(), rows_data(synthetic=False), SGD, epochs=1).title == "rows"


def test_loss_and_accuracy_of_the_log_are_means_over_the_steps():
    data = rows_data(32)
    outputs = []

    def forward(model, images, rng):
        logits = model(images)
        outputs.append((images, logits.detach()))
        return logits

    row = fit(network(), data, SGD, epochs=1, forward=forward).frame.iloc[0]
    place = {image.numpy().tobytes(): label for image, label in zip(data.train.images, data.train.labels, strict=True)}
    losses, hits = [], []
    for images, logits in outputs:
        labels = torch.stack([place[image.numpy().tobytes()] for image in images])
        losses.append(functional.cross_entropy(logits, labels).item())
        hits += (logits.argmax(1) == labels).tolist()
    assert row["loss"] == pytest.approx(np.mean(losses), rel=1e-6)
    assert row["train_accuracy"] == np.mean(hits)


def test_validation_accuracy_is_that_of_the_network_after_the_epoch():
    data, model = rows_data(), network()
    log = fit(model, data, SGD)
    assert log.frame["validation_accuracy"].iloc[-1] == accuracy(model, data.validation)


def test_the_evaluation_is_called_every_few_epochs_and_at_the_end():
    modes = []

    def evaluate(model):
        modes.append(torch.is_grad_enabled())
        return {"validation_accuracy": 0.5, "spread": torch.tensor(2.0)}

    log = fit(network(), rows_data(), replace(SGD, interval=2), evaluate=evaluate)
    expected = [np.nan, 0.5, np.nan, 0.5, 0.5]
    np.testing.assert_array_equal(log.frame["validation_accuracy"], expected)
    np.testing.assert_array_equal(log.frame["spread"], np.array(expected) * 4)
    assert modes == [False] * 3
    assert list(log.frame)[-2:] == ["spread", "seconds"]


def test_nothing_is_evaluated_by_default_where_the_forward_is_ones_own():
    log = fit(network(), rows_data(), SGD, epochs=2, forward=half_of_it)
    assert log.frame["validation_accuracy"].isna().all()


def test_the_seed_decides_everything():
    def run(seed):
        model = network(dropout=0.3)
        log = fit(model, rows_data(), SGD, seed=seed, forward=half_of_it, augmentation=Augmentation(1))
        return model, log

    (first, log), (second, same), (third, other) = run(1), run(1), run(2)
    assert_same_model(first, second)
    assert_same_log(log, same)
    assert not torch.equal(first[0].weight, third[0].weight)
    assert not log.frame["loss"].equals(other.frame["loss"])


def test_the_random_numbers_of_others_are_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(network(dropout=0.5), rows_data(), SGD, epochs=1)
    assert torch.equal(torch.rand(3), expected)


def test_parameters_that_a_step_does_not_use_keep_their_values():
    model = nn.ModuleDict({"used": network(), "not": network(1)})
    before = {name: value.clone() for name, value in model["not"].state_dict().items()}
    fit(model, rows_data(), ADAM, forward=lambda model, images, rng: model["used"](images))
    assert all(torch.equal(value, before[name]) for name, value in model["not"].state_dict().items())


@pytest.mark.parametrize(
    "recipe", [SGD, ADAM, replace(ADAM, optimiser="adam", interval=2)], ids=["sgd", "adamw", "adam"]
)
@pytest.mark.parametrize("channels_last", [False, True])
def test_a_training_that_was_killed_goes_on_to_the_same_bits(recipe, channels_last, tmp_path):
    options = {"forward": half_of_it, "augmentation": Augmentation(1), "channels_last": channels_last, "seed": 3}

    def measure(model):
        return {"validation_accuracy": accuracy(model, rows_data().validation)}

    def killed(model):
        calls.append(measure(model))
        if len(calls) > kept:
            raise Stop
        return calls[-1]

    whole = network(dropout=0.2)
    log = fit(whole, rows_data(), recipe, evaluate=measure, **options)
    for kept in (0, 1, 2):
        calls = []
        path = tmp_path / f"{kept}.safetensors"
        with pytest.raises(Stop):
            fit(network(dropout=0.2), rows_data(), recipe, evaluate=killed, checkpoint=path, **options)
        assert path.exists() == (kept > 0)
        resumed = network(seed=9, dropout=0.2) if kept else network(dropout=0.2)
        again = fit(resumed, rows_data(), recipe, evaluate=measure, checkpoint=path, **options)
        assert_same_model(whole, resumed)
        assert_same_log(log, again)


def test_a_finished_training_is_read_back(tmp_path):
    path = tmp_path / "run.safetensors"
    first = network()
    log = fit(first, rows_data(), SGD, checkpoint=path)
    written = path.read_bytes()
    second = network(seed=4)
    again = fit(second, rows_data(), SGD, checkpoint=path)
    assert_same_model(first, second)
    pd.testing.assert_frame_equal(log.frame, again.frame, check_exact=True)
    assert path.read_bytes() == written
    assert not second.training


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 2}, "seed is 1 there and 2 here"),
        ({"recipe": replace(SGD, learning_rate=0.1)}, "recipe.learning_rate is 0.05 there and 0.1 here"),
        ({"epochs": 4}, "recipe.epochs is 5 there and 4 here"),
        ({"data": rows_data(71)}, "data is 'rows, 70 training images, checksum "),
        (
            {"augmentation": Augmentation(2)},
            "augmentation is 'None' there and 'Augmentation(padding=2, mirror=True)' here",
        ),
        ({"channels_last": True}, "channels_last is False there and True here"),
        ({"model": network(classes=4)[:6].append(nn.Linear(20, 5))}, "does not fit the network: '6.bias' is"),
    ],
)
def test_a_checkpoint_of_other_settings_is_refused_with_what_differs(changes, message, tmp_path):
    path = tmp_path / "run.safetensors"
    arguments = {"model": network(), "data": rows_data(), "recipe": SGD, "checkpoint": path}
    fit(**arguments)
    written = path.read_bytes()
    with pytest.raises(ConfigError) as error:
        fit(**(arguments | changes))
    assert message in str(error.value)
    assert repr(str(path)) in str(error.value)
    assert path.read_bytes() == written


def test_a_damaged_checkpoint_is_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    fit(network(), rows_data(), SGD, checkpoint=path, epochs=1)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ConfigError, match="damaged, cut short"):
        fit(network(), rows_data(), SGD, checkpoint=path, epochs=1)


def test_a_loss_that_is_nan_is_one_clear_error_and_the_checkpoint_before_it_stays(tmp_path):
    path = tmp_path / "run.safetensors"
    calls = []

    def forward(model, images, rng):
        calls.append(0)
        return model(images) * (float("nan") if len(calls) > 6 else 1)

    with pytest.raises(EvaluationError) as error:
        fit(network(), rows_data(), SGD, checkpoint=path, forward=forward)
    assert str(error.value) == (
        "loss is nan in epoch 2 (steps 5 to 8, learning rate 0.05); expected finite numbers: "
        "a lower learning_rate may help"
    )
    model = network()
    log = fit(model, rows_data(), SGD, checkpoint=path, forward=lambda model, images, rng: model(images))
    whole = network()
    assert_same_log(log, fit(whole, rows_data(), SGD, forward=lambda model, images, rng: model(images)))
    assert_same_model(model, whole)


def nan_image():
    train = split(70, 1)
    train.images[3, 0, 1, 1] = float("nan")
    return replace(rows_data(), train=train)


def nan_weight():
    model = network()
    model[1].running_mean[2] = float("nan")
    return model


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipe": "digit-supernet"}, "unknown recipe 'digit-supernet' (did you mean 'digits-supernet'?)"),
        ({"epochs": 0}, "epochs of a recipe is 0 epochs; expected a whole number from 1 epochs"),
        ({"seed": -1}, "seed=-1 is not allowed; expected 0, 1, ..."),
        ({"data": nan_image()}, "training images of 'rows' hold NaN or infinite values; expected finite ones"),
        ({"model": nan_weight()}, "'1.running_mean' of the network holds NaN or infinite values"),
        ({"model": network(classes=3)}, "outputs of the network have shape (16, 3); expected (16, 4) for a batch of"),
        ({"data": replace(rows_data(), train=Split(torch.zeros(0, 1, 5, 5), torch.zeros(0).long()))}, "no training im"),
        ({"checkpoint": Path("missing") / "run.safetensors"}, "cannot be written: folder 'missing' does not exist"),
        ({"device": "gpu"}, "device 'gpu' cannot be used: "),
        ({"device": "cuda:99"}, "device 'cuda:99' cannot be used: "),
    ],
)
def test_what_is_refused_before_any_work(changes, message):
    with pytest.raises(ConfigError) as error:
        fit(**({"model": network(), "data": rows_data(), "recipe": SGD} | changes))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_autocast_runs_in_bfloat16():
    types = set()

    def forward(model, images, rng):
        logits = model(images)
        types.add(logits.dtype)
        return logits

    log = fit(network(), rows_data(), SGD, epochs=1, autocast=True, forward=forward)
    assert types == {torch.bfloat16}
    assert np.isfinite(log.frame["loss"].iloc[0])


def test_nothing_is_printed_without_a_terminal(capfd):
    fit(network(), rows_data(), SGD, epochs=1)
    assert capfd.readouterr() == ("", "")


SCRIPT = """
import sys, time
from pathlib import Path
import torch
sys.path.insert(0, {folder!r})
from toy_training import network, rows_data
from moopim.network.checkpoint import save_weights
from moopim.network.recipes import Recipe
from moopim.network.training import fit

torch.set_num_threads(1)
slow = len(sys.argv) > 2
def forward(model, images, rng):
    if slow and Path(sys.argv[1]).exists():
        time.sleep(0.2)
    return model(images)

model = network(dropout=0.2)
log = fit(model, rows_data(), Recipe("adamw", 0.01, batch=16, epochs=12), forward=forward, checkpoint=sys.argv[1])
save_weights(model, sys.argv[1] + ".end")
log.frame.drop(columns="seconds").to_csv(sys.argv[1] + ".csv", index=False)
"""


def test_ctrl_c_leaves_a_usable_checkpoint_and_says_how_to_go_on(tmp_path):
    script = SCRIPT.format(folder=str(Path(__file__).parent))
    command = [sys.executable, "-c", script]
    paths = [tmp_path / name for name in ("whole", "stopped")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    subprocess.run([*command, str(paths[0])], check=True, env=environment)
    with subprocess.Popen(
        [*command, str(paths[1]), "slow"], stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        while not paths[1].exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        error = process.communicate()[1]
    assert process.returncode != 0
    assert "KeyboardInterrupt: training was interrupted in epoch " in error
    assert f"; the same call goes on from {str(paths[1])!r}" in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stopped", "whole", "whole.csv", "whole.end"]
    subprocess.run([*command, str(paths[1])], check=True, env=environment)
    for suffix in (".csv", ".end"):
        assert (tmp_path / f"stopped{suffix}").read_bytes() == (tmp_path / f"whole{suffix}").read_bytes()


def test_ctrl_c_without_a_checkpoint_says_that_nothing_is_kept():
    def interrupted(model):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="training was interrupted in epoch 1; nothing is kept"):
        fit(network(), rows_data(), SGD, evaluate=interrupted)
