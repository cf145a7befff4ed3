"""``moopim evaluate accuracy``: the library's numbers through the command, and bad input in one line."""

import os
import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from moopim.cli import groups
from moopim.cli.entry import main
from moopim.network.accuracy import accuracy
from moopim.network.calibration import calibration_images
from moopim.network.checkpoint import save_weights
from moopim.network.crossbar import (
    CellModel,
    Circuit,
    cell_model_names,
    chip_programmer,
    count_layer_conversions,
    on_crossbars,
)
from moopim.network.datasets import Split, load_data
from moopim.network.noise import mean_interval
from moopim.network.quantisation import calibrate, quantise_module
from moopim.workload.tracing import load_module

NETWORKS = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self, classes=10):
        super().__init__(
            nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, classes)
        )

def seven(): return Net(7)

class Colour(nn.Sequential):
    def __init__(self): super().__init__(nn.Conv2d(3, 10, 8), nn.Flatten())

class Line(nn.Sequential):
    def __init__(self): super().__init__(nn.Flatten(), nn.Linear(64, 10))

def transposed():
    return nn.Sequential(nn.ConvTranspose2d(1, 2, 3), nn.Flatten(), nn.Linear(200, 10))

class One(nn.Sequential):
    def __init__(self): super().__init__(nn.Flatten(0), nn.Linear(64, 10))

class Pair(nn.Linear):
    def __init__(self): super().__init__(64, 10)
    def forward(self, x): return super().forward(x.flatten(1)), x
"""
CIRCUIT = ("--crossbar", "32", "--adc-bits", "5", "--dac-bits", "2")
WIDTHS = ("--weight-bits", "5", "--activation-bits", "5")
COUNT = 60  # images
ARGUMENTS = ("--network", "nets.py:Net", "--weights", "plain.safetensors", "--data", "digits", *CIRCUIT, *WIDTHS)


def make_net():
    """A convolution of random features, and a classifier that least squares gave."""
    data, net = load_data("digits"), load_module("nets.py:Net")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        for layer in net:
            if not isinstance(layer, nn.BatchNorm2d) and hasattr(layer, "reset_parameters"):
                layer.reset_parameters()
    net.eval()
    with torch.no_grad():
        features = nn.Sequential(*list(net)[:4])(data.train.images).double()
        inputs = torch.cat([features, torch.ones(len(features), 1)], 1)
        targets = nn.functional.one_hot(data.train.labels, 10).double()
        found = torch.linalg.solve(inputs.T @ inputs + 10 * torch.eye(65), inputs.T @ targets)
        net[4].weight.copy_(found[:-1].T)
        net[4].bias.copy_(found[-1])
    return net


@pytest.fixture
def folder(tmp_path, monkeypatch, one_thread):
    """A folder with a network, and its weights in each form."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(NETWORKS)
    net = make_net()
    save_weights(net, "own.safetensors")
    save_file(net.state_dict(), "plain.safetensors")
    quantised = quantised_net(net, 300)
    save_weights(quantised, "quantised.safetensors")
    save_file(quantised.state_dict(), "quantised-plain.safetensors")
    save_weights(quantise_module(net, (1, 8, 8)), "unmeasured.safetensors")
    torch.save(net.state_dict(), "pickle.pt")
    save_file(net.state_dict() | {"4.bias": torch.full((10,), torch.nan)}, "nan.safetensors")
    return net


def quantised_net(net, calibration):
    quantised = quantise_module(net, (1, 8, 8), weight_bits=5, activation_bits=5)
    calibrate(quantised, calibration_images(load_data("digits"), calibration))
    return quantised


def first(split, count=COUNT):
    return Split(split.images[:count], split.labels[:count])


@pytest.fixture
def invoke(capsys, monkeypatch):
    """Runs the command, whether the package was installed with it or not."""
    entry = EntryPoint("accuracy", "moopim.cli.accuracy:evaluate_accuracy", "moopim.evaluate")
    monkeypatch.setattr(groups, "_entries", lambda group: EntryPoints([entry] if group == "moopim.evaluate" else []))

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main(["evaluate", "accuracy", *map(str, arguments)])
        return end.value.code, *capsys.readouterr()

    return run


def shown(out):
    """The accuracies that the table shows, by row."""
    lines = out.split("\n\n")[1].split("\nwritten")[0].splitlines()[1:]
    return {line[:26].strip(" 0123456789."): [float(word) for word in line.split() if "." in word] for line in lines}


@pytest.mark.parametrize("weights", ["own.safetensors", "plain.safetensors"])
def test_accuracies_are_those_of_the_library(folder, invoke, weights):
    code, out, err = invoke(*ARGUMENTS, "--weights", weights, "--images", COUNT, "-o", "out.csv")
    assert (code, err) == (0, "")
    split = first(load_data("digits").test)
    quantised = quantised_net(folder, 512)
    crossbars = on_crossbars(quantised, Circuit(32, 5, 2))
    expected = [accuracy(net, split) for net in (folder, quantised, crossbars)]
    assert pd.read_csv("out.csv")["accuracy"].tolist() == expected
    assert expected[0] > 0.8
    assert len(set(expected)) == 3
    assert list(shown(out).values()) == [[pytest.approx(value, abs=5e-5)] for value in expected]
    assert out.startswith(f"digits, the first {COUNT} of 497 test images\n")
    assert "measured on 512 training images" in out


@pytest.mark.parametrize("weights", ["quantised.safetensors", "quantised-plain.safetensors"])
def test_a_quantised_network_keeps_its_scales(folder, invoke, weights):
    code, out, err = invoke(*ARGUMENTS, "--weights", weights, "--split", "validation", "-o", "out.csv")
    assert (code, err) == (0, "")
    split = load_data("digits").validation
    quantised = quantised_net(folder, 300)
    expected = [accuracy(net, split) for net in (folder, quantised, on_crossbars(quantised, Circuit(32, 5, 2)))]
    assert pd.read_csv("out.csv")["accuracy"].tolist() == expected
    assert accuracy(quantised_net(folder, 512), split) != expected[1]
    assert "scales as trained; float is the same weights without quantisers" in out


def test_calibrated_converters_are_measured_on_as_many_images_as_asked_for(folder, invoke):
    arguments = (*ARGUMENTS, "--weights", "quantised.safetensors", "--adc-range", "calibrated", "--calibration", 40)
    code, _, err = invoke(*arguments, "-o", "out.csv")
    assert (code, err) == (0, "")
    images = calibration_images(load_data("digits"), 40)
    net = on_crossbars(quantised_net(folder, 300), Circuit(32, 5, 2, adc_range="calibrated"), images)
    assert pd.read_csv("out.csv")["accuracy"][2] == accuracy(net, load_data("digits").test)


def test_chips_are_drawn_and_their_interval_is_shown(folder, invoke):
    cells = ("--variation", 0.3, "--distribution", "lognormal", "--stuck-at", "0.01,0.02", "--seed", 7, "--chips", 3)
    arguments = (*ARGUMENTS, *cells, "--adc-bits", 8, "--images", COUNT, "-o", "out.csv")
    code, out, err = invoke(*arguments)
    assert (code, err) == (0, "")
    devices = CellModel(variation=0.3, distribution="lognormal", stuck_at_hrs=0.01, stuck_at_lrs=0.02)
    split, quantised = first(load_data("digits").test), quantised_net(folder, 512)
    expected = np.array(
        [
            accuracy(
                on_crossbars(quantised, Circuit(32, 8, 2), program=chip_programmer(devices, seed=7, chip=k)), split
            )
            for k in range(3)
        ]
    )
    found = pd.read_csv("out.csv").query("network == 'crossbar'")
    assert found["chip"].tolist() == [0, 1, 2]
    assert found["accuracy"].tolist() == expected.tolist()
    assert len(set(expected)) > 1
    mean, low, high = mean_interval(expected)
    row = shown(out)["crossbar, mean of 3 chips"]
    assert row == pytest.approx([mean, max(low, 0), min(high, 1), expected.min(), expected.max()], abs=5e-5)
    assert invoke(*arguments, "--force")[1] == out


def test_devices_by_name_are_changed_by_options(folder, invoke):
    code, out, _ = invoke(*ARGUMENTS, "--devices", "rram", "--on-off", 5, "--adc-bits", 8, "-o", "out.csv")
    assert code == 0
    assert "chips" not in out
    devices = CellModel(stuck_at_hrs=0.001, stuck_at_lrs=0.001, on_off=5)
    net = on_crossbars(quantised_net(folder, 512), Circuit(32, 8, 2), program=chip_programmer(devices))
    assert pd.read_csv("out.csv")["accuracy"][2] == accuracy(net, load_data("digits").test)


def test_cells_with_effects_of_nothing_are_ideal(folder, invoke):
    _, ideal, _ = invoke(*ARGUMENTS)
    _, zero, _ = invoke(*ARGUMENTS, "--variation", 0, "--stuck-at", 0, "--read-noise", 0)
    assert zero == ideal


def test_the_layers_show_what_converters_lose(folder, invoke):
    code, out, err = invoke(*ARGUMENTS, "--adc-range", "unit", "--adc-bits", 3, "--layers", "layers.csv")
    assert (code, err) == (0, "")
    found = pd.read_csv("layers.csv", dtype={"layer": str}, index_col="layer")
    # 4 slices of 5-bit weights; 8-bit magnitudes of the image, 4-bit ones behind it, on DACs of 2 bits.
    assert found["conversions"].tolist() == [497 * 16 * 4 * 4 * 4, 497 * 2 * 10 * 4 * 2]
    assert found["shape"].tolist() == ["4x1x3x3", "10x64"]
    assert found[["weight_bits", "input_bits", "output_bits"]].to_numpy().tolist() == [[5, 9, 5], [5, 5, 5]]
    assert found[["rows", "row_blocks", "adc_bits"]].to_numpy().tolist() == [[9, 1, 3], [32, 2, 3]]
    net = on_crossbars(quantised_net(folder, 512), Circuit(32, 3, 2, adc_range="unit"))
    counts = count_layer_conversions(net, load_data("digits").test.images)
    for path, count in counts.items():
        assert count.clipped > 0
        # One code per unit: nothing is altered that is not clipped.
        assert found.loc[path, "clipped_%"] == found.loc[path, "altered_%"] == 100 * count.clipped / count.total
    assert out.count("4x1x3x3") == 1
    assert out.endswith("written: layers.csv\n")


def test_synthetic_images_are_called_so(folder, invoke, tmp_path):
    (tmp_path / "nets32.py").write_text(
        NETWORKS.replace("Linear(64,", "Linear(1024,").replace("Conv2d(1,", "Conv2d(3,")
    )
    save_weights(load_module("nets32.py:Net"), "net32.safetensors")
    arguments = ("--network", "nets32.py:Net", "--weights", "net32.safetensors", "--data", "shapes32", "--images", 5)
    code, out, _ = invoke(*ARGUMENTS, *arguments, "--calibration", 8)
    assert code == 0
    assert out.startswith("shapes32 (synthetic), the first 5 of ")


def test_the_help_names_all_devices_and_ranges(invoke, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = invoke("--help")
    assert code == 0
    assert all(name in out for name in (*cell_model_names(), "full|fix|output|calibrated|unit"))


@pytest.mark.parametrize("command", ["accuracy", "crossbar"])
def test_without_torch_the_error_says_what_to_install(command, tmp_path):
    words = {"accuracy": [*ARGUMENTS], "crossbar": ["layer.npz", "-o", "out"]}[command]
    code = f"""
import sys
sys.modules["torch"] = None
from importlib.metadata import EntryPoint, EntryPoints
from moopim.cli import groups
from moopim.cli.entry import main
value = "moopim.cli.{command}:evaluate_{command}"
groups._entries = lambda group: EntryPoints([EntryPoint("{command}", value, "moopim.evaluate")])
main(["evaluate", "{command}", *{words!r}])
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: this command needs torch; install moopim[network]\n"


BAD = {
    "no weights": (["--weights", "none.safetensors"], "weights 'none.safetensors' do not exist"),
    "pickle": (["--weights", "pickle.pt"], "'pickle.pt' is damaged, cut short or not in safetensors format"),
    "nan": (["--weights", "nan.safetensors"], "'4.bias' of 'nan.safetensors' holds NaN or infinite values"),
    "unmeasured": (["--weights", "unmeasured.safetensors"], "has not been measured"),
    "other weights": (["--network", "nets.py:Line"], "'plain.safetensors' does not fit the network: '0.bias' is"),
    "colour": (["--network", "nets.py:Colour"], "'nets.py:Colour' cannot be run on images of 1x8x8 of data 'digits'"),
    "shape": (["--network", "nets.py:One"], "cannot be run on images of 1x8x8 of data 'digits'"),
    "classes": (["--network", "nets.py:seven"], "makes (2, 7) of two images; expected (2, 10)"),
    "outputs": (["--network", "nets.py:Pair"], "makes tuple of two images; expected (2, 10)"),
    "layer": (["--network", "nets.py:transposed"], "module '0' (ConvTranspose2d)"),
    "no network": (["--network", "nets.py:Not"], "unknown name in nets.py 'Not'"),
    "data": (["--data", "digts"], "unknown data set 'digts' (did you mean 'digits'?)"),
    "root": (["--root", "."], "data set 'digits' comes with moopim; expected no root"),
    "split": (["--split", "train"], "unknown --split 'train'"),
    "images": (["--images", 498], "--images 498 is not allowed; expected 1..497 (test images)"),
    "no images": (["--images", 0], "--images 0 is not allowed; expected 1..497 (test images)"),
    "calibration": (["--calibration", 1001], "calibration 1001 is not allowed; expected 1 .. 1000"),
    "no calibration": (
        ["--calibration", 9, "--weights", "quantised.safetensors"],
        "--calibration 9 has no effect: 'quantised.safetensors' has scales of activations",
    ),
    "crossbar": (["--crossbar", 8], "layer '0': rows=8 of a crossbar are too few for a kernel of 9 positions"),
    "no crossbar": (["--crossbar", 0], "'--crossbar'"),
    "adc": (["--adc-bits", 17], "adc_bits=17 of a circuit is not allowed; expected a whole number 2..16"),
    "dac": (["--dac-bits", 0], "dac_bits=0 of a circuit is not allowed; expected a whole number 1..8"),
    "cell": (["--cell-bits", 5], "cell_bits=5 of a circuit is not allowed; expected a whole number 1..4"),
    "range": (["--adc-range", "half"], "unknown --adc-range 'half'"),
    "weight": (["--weight-bits", 17], "'--weight-bits'"),
    "activation": (["--activation-bits", 1], "'--activation-bits'"),
    "input": (["--input-bits", 1], "'--input-bits'"),
    "rate": (["--stuck-at", "1.5,0"], "stuck_at_hrs of devices is 1.5; expected a number from 0 to 1"),
    "rates": (["--stuck-at", "0.6"], "stuck_at_hrs + stuck_at_lrs=1.2 of devices is not allowed; expected at most 1"),
    "three rates": (["--stuck-at", "0,0,0"], "--stuck-at '0,0,0' is not allowed; expected a rate, or two"),
    "variation": (["--variation", "nan"], "variation of devices is nan; expected"),
    "devices": (["--devices", "rrram"], "unknown devices 'rrram' (did you mean 'rram'?)"),
    "chips": (["--chips", 0, "--variation", 0.1], "'--chips'"),
    "equal chips": (["--chips", 3], "--chips 3 has no effect: ideal chips are equal"),
    "seed": (["--seed", 3], "--seed 3 has no effect"),
    "distribution": (["--distribution", "lognormal"], "--distribution lognormal has no effect without --variation"),
    "time": (["--time", 9, "--devices", "rram"], "--time 9.0 has no effect without --drift-exponent"),
    "drift": (["--drift-exponent", 0.1], "--drift-exponent 0.1 has no effect without --time"),
    "device": (["--device", "meta"], "device 'meta' cannot be used"),
    "folder": (["-o", "none/out.csv"], "output 'none/out.csv' cannot be written: folder 'none' does not exist"),
    "weights out": (["-o", "plain.safetensors"], "file 'plain.safetensors' is given twice"),
    "network out": (["--layers", "nets.py"], "file 'nets.py' is given twice"),
    "same out": (["-o", "out.csv", "--layers", "./out.csv"], "file 'out.csv' is given twice"),
}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_nothing_is_written(invoke, tmp_path, monkeypatch, name):
    def unexpected(*_, **__):
        raise AssertionError("an accuracy was measured before all was checked")

    monkeypatch.setattr("moopim.network.crossbar.accuracy.accuracy", unexpected)
    before = sorted(path.name for path in tmp_path.iterdir())
    arguments, message = BAD[name]
    code, out, err = invoke(*ARGUMENTS, *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "__pycache__") == before
