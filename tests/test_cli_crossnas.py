"""``moopim crossnas``: one command from images to a report, and bad input in one line before anything is trained."""

import re
import subprocess
import sys

import pandas as pd
import pytest
from crossnas_toys import SIMULATOR, write_images, write_preset

import moopim.problems.crossnas.steps as trainings
from moopim.cli.entry import main

QUICK = [("= 21", "= 2"), ("= 11", "= 2"), ("cycles = 2", "cycles = 1")]
WRONG = """
import numpy as np

class NoMethod: pass

class Missing:
    def hardware(self, table, circuit): return {"energy": np.ones(len(circuit["crossbar"]))}

class Unknown(Missing):
    def hardware(self, table, circuit): return {"energy": 1, "latency": 1, "edb": 1}

class Short(Missing):
    def hardware(self, table, circuit): return {"energy": np.ones(1), "latency": np.ones(1)}
"""


def call(*words):
    with pytest.raises(SystemExit) as end:
        main(["crossnas", *words])
    return end.value.code


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_preset(tmp_path, *QUICK)
    write_images(tmp_path / "digits")
    return tmp_path


ARGUMENTS = ("--preset", "tiny.toml", "--root", "digits", "--output", "out")


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_one_command_makes_all_and_says_where_it_is(folder, capsys):
    assert call(*ARGUMENTS, "--w-acc", "0.8") == 0
    first = capsys.readouterr().out
    assert re.search(r"^out/supernet: made, \d+\.\d s$", first, re.MULTILINE)
    assert "written to out: tables/chosen.csv, tables/provenance.csv" in first
    chosen = (folder / "out" / "tables" / "chosen.csv").read_bytes()
    assert call(*ARGUMENTS, "--w-acc", "0.8") == 0
    assert re.findall(r": (\w+), ", capsys.readouterr().out)[:5] == ["found"] * 5
    assert (folder / "out" / "tables" / "chosen.csv").read_bytes() == chosen
    assert call(*ARGUMENTS, "--step", "circuit", "--quiet") == 0
    assert capsys.readouterr().out == ""
    assert call(*ARGUMENTS, "--seed", "2") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: step 'supernet' in 'out/supernet' was made with other settings: seed is 1 there")
    assert error.count("\n") == 1
    assert call(*ARGUMENTS, "--step", "final", "--force") == 0
    assert re.findall(r": (\w+), ", capsys.readouterr().out)[:5] == [*["found"] * 4, "made"]
    _check_show(folder, capsys)


def _check_show(folder, capsys):
    with pytest.raises(SystemExit) as end:
        main(["show", "out"])
    assert end.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["folder", "step", "state", "time", "seed", "command", "products"]
    steps = [line.split() for line in lines[1:6]]
    assert [step[1] for step in steps] == ["supernet", "architecture", "training", "circuit", "final"]
    assert all(step[2] == "finished" for step in steps)
    assert all((folder / "out" / step[0] / "step.json").exists() for step in steps)
    assert [step[6] for step in steps] == ["1"] * 5  # the command
    assert lines[6].startswith("command 1, ")
    assert len(lines) == 7
    assert max(map(len, lines[:6])) <= 130


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_steps_can_be_made_one_by_one_and_by_another_algorithm(folder, capsys):
    for step in ("supernet", "architecture"):
        assert call(*ARGUMENTS, "--step", step, "--algorithm", "nsga2") == 0
    out = capsys.readouterr().out
    assert out.count(": made, ") == 2
    assert not (folder / "out" / "tables").exists()
    front = pd.read_csv(folder / "out" / "w0.8" / "architecture" / "run" / "front.csv")
    assert {"accuracy", "edp_mJ_ms"} <= set(front)
    assert call(*ARGUMENTS, "--step", "final", "--algorithm", "nsga2") == 2
    assert "step 'training' has not been made in" in capsys.readouterr().err


BAD = [
    (("--w-acc", "1.5"), "w_acc=1.5 is not allowed; expected a number from 0 to 1"),
    (("--w-acc", "-0.1"), "w_acc=-0.1 is not allowed"),
    (("--w-acc", "nan"), "w_acc=nan is not allowed"),
    (("--w-acc", "0.8,0.5,0.80"), "w_acc=0.8 is given twice; expected different ones"),
    (("--w-acc", "high"), "w_acc='high' is not allowed; expected numbers from 0 to 1, such as 0.99,0.8"),
    (("--w-acc", ""), "w_acc='' is not allowed"),
    (("--preset", "tiny"), "unknown preset 'tiny'"),
    (("--preset", "none.toml"), "cannot read none.toml"),
    (("--algorithm", "nsga"), "unknown algorithm 'nsga'"),
    (("--step", "search"), "unknown step 'search'; allowed: supernet, architecture, training, circuit, final"),
    (("--data", "digit"), "unknown data set 'digit'"),
    (("--data", "cifar10", "--root", "none"), "none"),
    (("--reference", "0"), "reference=0 is not allowed; expected an EDP above 0"),
    (("--reference", "lenet"), "unknown network 'lenet'"),
    (("--max", "volume=3"), "unknown max of 'volume'"),
    (("--min", "accuracy"), "min 'accuracy' is not allowed; expected NAME=NUMBER"),
    (("--jobs", "0"), "jobs=0 is not allowed"),
    (("--seed", "-1"), "seed=-1 is not allowed"),
    (("--device", "abacus"), "device 'abacus' cannot be used"),
    (("--output", "tiny.toml"), "output 'tiny.toml' is not a folder"),
    (("--simulator", "none.py:A"), "none.py' does not exist"),
    (("--simulator", "wrong.py:Nope"), "unknown simulator in wrong.py 'Nope'"),
    (("--simulator", "wrong.py:NoMethod"), "has no method 'hardware'; expected hardware(table, circuit)"),
    (("--simulator", "wrong.py:Missing", "--reference", "1"), "Missing.hardware did not return 'latency'"),
    (("--simulator", "wrong.py:Unknown", "--reference", "1"), "Unknown.hardware returned unknown name 'edb'"),
    (("--simulator", "wrong.py:Short", "--reference", "1"), "Short.hardware returned 'energy' with shape (1,)"),
    (("--step", "circuit"), "step 'supernet' has not been made in 'out/supernet'; expected it before circuit"),
]


@pytest.mark.parametrize(("words", "message"), BAD)
def test_bad_input_is_one_line_before_anything_is_trained_or_written(folder, capsys, monkeypatch, words, message):
    (folder / "wrong.py").write_text(WRONG)
    monkeypatch.delitem(sys.modules, "wrong", raising=False)  # of another folder
    check_refused(folder, capsys, monkeypatch, words, message)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[4, 6, 8]", "[]", "gene group 'channels' has no allowed values"),
        ("[4, 6, 8]", "[4, 4]", "gene group 'channels' has a repeated value"),
        ("[4, 6, 8]", "[8, 4]", "channels (8, 4) of the supernet do not nest"),
        ("[4, 6, 8]", "[4.5]", "channels 4.5 of the CrossNAS space is not allowed"),
        ("[4, 6, 8]", "[0, 4]", "channels 0 of the CrossNAS space is not allowed"),
        ("max_blocks = 2", "max_blocks = 0", "max_blocks=0 of a preset is not allowed"),
        ("calibration = 40", "calibration = 4000", "calibration 4000 is not allowed; expected 1 .. 240"),
    ],
)
def test_spaces_that_are_none_are_refused(folder, capsys, monkeypatch, old, new, message):
    write_preset(folder, *QUICK, (old, new))
    check_refused(folder, capsys, monkeypatch, (), message)


def check_refused(folder, capsys, monkeypatch, words, message):
    monkeypatch.setattr(trainings, "fit", lambda *a, **k: pytest.fail("a training was started"))
    before = {path for path in folder.rglob("*") if "__pycache__" not in path.parts}
    assert call(*ARGUMENTS, *words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error
    assert {path for path in folder.rglob("*") if "__pycache__" not in path.parts} == before


def test_the_help_names_every_option(capsys):
    assert call("--help") == 0
    text = capsys.readouterr().out
    for option in ("--w-acc", "--preset", "--algorithm", "--reference", "--simulator", "--step", "--force", "--max"):
        assert option in text


def test_simulators_of_the_other_tests_are_as_short_as_promised():
    assert len(SIMULATOR.strip().splitlines()) <= 20


def test_the_start_loads_no_compiler_of_torch_and_no_statistics():
    code = """
import subprocess
import sys
import moopim.problems.crossnas.pipeline
from moopim.network.datasets import load_data
from moopim.network.quantisation import quantise_module
from moopim.network.supernet import Supernet
from torch import nn
Supernet((1, 8, 8), classes=10, channels=(8, 16), max_blocks=2)
load_data("digits")
quantise_module(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 10)), (1, 8, 8))
print([name for name in ("torch._dynamo", "sympy", "sklearn", "scipy.stats", "matplotlib") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
