"""A pipeline of CrossNAS that takes seconds, what it leaves behind, and how to kill it."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pandas as pd
from PIL import Image
from sklearn.datasets import load_digits

IMAGES_PER_CLASS = 30
# Trainings of one epoch more than the interval of their checkpoints, and searches of two generations.
PRESET = """
data = "folder"
recipes = { supernet = "digits-supernet", float = "digits-float", quantisation = "digits-qat" }
channels = [4, 6, 8]
augmentation = false
reference = "median"
max_blocks = 2
supernet_epochs = 21
float_epochs = 11
quantisation_epochs = 11
cycles = 2
circuit_cycles = 2
final_epochs = 11
calibration = 40
"""
SIMULATOR = '''
import numpy as np


class Ruler:
    """Energy by the multiplications, latency by the layers and the DACs."""

    def hardware(self, table, circuit):
        sums = table.c_in * table.c_out * table.kernel_h * table.kernel_w * table.h_out * table.w_out
        energy = 1e-9 * (sums * table.weight_bits).sum(axis=1)  # mJ
        return {"energy": energy * np.ones(len(circuit["crossbar"])), "latency": 1.0 / circuit["dac_bits"]}


class Oracle(Ruler):
    """Better with more bits of the ADCs."""

    def accuracies(self, net, designs, split, calibration):
        return np.array([design.circuit.adc_bits / 16 for design in designs])
'''
KILLER = """
import importlib, json, os, signal, sys
from pathlib import Path
import torch

torch.set_num_threads(1)
from moopim.problems.crossnas import Pipeline, Settings

what, count, options = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
module, _, name = what.partition(":")
owner = importlib.import_module(module)
*path, name = name.split(".")
for part in path:
    owner = getattr(owner, part)
original, calls = getattr(owner, name), 0

def counted(*arguments, **named):
    global calls
    found = original(*arguments, **named)
    calls += 1
    if calls == count:
        os.kill(os.getpid(), signal.SIGKILL)
    return found

setattr(owner, name, counted)
Pipeline(Settings(**options | {"output": Path(options["output"]), "w_acc": tuple(options["w_acc"])})).run()
"""


def write_images(folder):
    """A few digits, as a folder of images; gives it."""
    found = load_digits()
    for label in range(10):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        for number, pixels in enumerate(found.images[found.target == label][:IMAGES_PER_CLASS]):
            Image.fromarray((pixels * 15.9).astype("uint8")).convert("RGB").save(folder / str(label) / f"{number}.png")
    return str(folder)


def write_preset(folder, *changes):
    """The preset as a file, with words exchanged."""
    text = PRESET
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "tiny.toml"
    path.write_text(text)
    return str(path)


def run_and_kill(what, count, **options):
    """Runs a pipeline in another process until something has been called so often; gives the exit code."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    words = [sys.executable, "-c", KILLER, what, str(count), json.dumps(options)]
    return subprocess.run(words, env=environment, check=False).returncode


def contents(folder):
    """All that a pipeline made, but times, paths and words of the command line."""
    return {
        path.relative_to(folder).as_posix(): _content(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in (".png", ".parquet", ".partial")
    }


def _content(path: Path):
    if path.name == "step.json":
        record = json.loads(path.read_text())
        timed = {name: None for name in record["products"] if name.endswith((".csv", "manifest.json"))}
        return {name: record[name] for name in ("name", "state", "facts", "result")} | {
            "products": record["products"] | timed
        }
    if path.name == "manifest.json":
        record = json.loads(path.read_text())
        left_out = ("command", "created", "seconds", "jobs", "problem")
        return {name: value for name, value in record.items() if name not in left_out}
    if path.name.endswith(".accuracies.sqlite"):
        with sqlite3.connect(path) as connection:
            return connection.execute("SELECT * FROM metrics ORDER BY facts, design").fetchall()
    if path.name == "evaluations.sqlite":
        with sqlite3.connect(path) as connection:
            return connection.execute("SELECT start, generation, genes, metrics FROM batches ORDER BY start").fetchall()
    if path.suffix == ".csv":
        frame = pd.read_csv(path)
        timed = ("seconds", "search_h", "created", "command")
        return frame.drop(columns=[name for name in timed if name in frame]).to_csv()
    return path.read_bytes()
