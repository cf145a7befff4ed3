"""Tables and figures: TOML and CSV files."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np

from hostile.changes import Content, change_value, to_json


def _toml_files() -> dict[str, Content]:
    data = Path(__file__).parents[2] / "moopim" / "hardware" / "data"
    devices = (data / "stack_devices.toml").read_text(encoding="utf-8")
    device = devices[devices.index("[S]") : devices.index("[S.variants" if "[S.variants" in devices else "[R]")]
    stack = (data / "stack.toml").read_text(encoding="utf-8").replace("\n[", "\n[stack.")
    presets = (Path(__file__).parents[2] / "problems" / "crossnas" / "data" / "presets.toml").read_text(
        encoding="utf-8"
    )
    preset = presets[presets.index("[digits]") + len("[digits]") : presets.index("# The same in less time")]
    adc = "[adc.mine]\nbits = 6\npower_W = 1e-3\narea_um2 = 50\n"
    adc += "rate_GSps = 1\n[dac.mine]\nbits = 2\narea_um2 = 1\npower_W = 1e-6\nrate_GSps = 1\n"
    adc += "[device.mine]\ncell_area_um2 = 0.1\ncell_bits = 2\n"
    adc += "resistance_low_ohm = 1e4\nresistance_high_ohm = 1e6\nread_low_V = 0\nread_high_V = 0.2\n"
    adc += "read_ns = 10\nwrite_ns = 50\nwrite_pJ = 1\n"
    thermal = "\n[thermal]\nambient_K = 310\n[thermal.tier.2]\nsilicon_um = 50\n"
    files = {
        "components": adc,
        "devices": device.replace("[S]", "[X]") + '[Y]\nlike = "reram:hp"\nname = "Other"\nstatic_mW = 2\n',
        "stack": ("[stack]\ntiers = 2\nmesh = 3\n" if "[stack." not in stack[:2000] else stack) + thermal,
        "factors": (data / "stack_calibrated.toml").read_text(encoding="utf-8"),
        "preset": preset,
    }
    return {name: {"file.toml": text.encode()} for name, text in files.items()}


def read_components(folder: Path) -> None:
    from moopim.hardware.planar.components import load_components

    load_components(folder / "file.toml")


def read_devices(folder: Path) -> None:
    from moopim.hardware.stack.parameters import load_parameters

    load_parameters(devices=f"S,{folder / 'file.toml'}")


def read_stack(folder: Path) -> None:
    from moopim.hardware.stack.parameters import load_stack
    from moopim.hardware.thermal import load_thermal

    load_stack(folder / "file.toml")
    load_thermal(folder / "file.toml")


def read_factors(folder: Path) -> None:
    from moopim.hardware.stack.parameters import load_parameters

    load_parameters(factors=str(folder / "file.toml"))


def read_preset(folder: Path) -> None:
    from moopim.problems.crossnas.settings import load_preset

    load_preset(str(folder / "file.toml"))


def designs() -> Content:
    rows = Path(__file__).parents[1] / "reference" / "hardware" / "designs_public.csv.gz"
    lines = gzip.decompress(rows.read_bytes()).splitlines(keepends=True)
    return {"file.csv": b"".join(lines[:4])}


def read_designs(folder: Path) -> None:
    from moopim.hardware.planar.designs import read_designs

    read_designs(folder / "file.csv", "cur")


def spoil_designs(random: Random, files: Content) -> Content:

    rows = list(csv.DictReader(io.StringIO(files["file.csv"].decode())))
    row = random.choice(rows)
    value = json.loads(row["design"])
    for _ in range(random.choice((1, 1, 2))):
        value = change_value(random, value)
    row["design"] = to_json(value)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return {"file.csv": text.getvalue().encode()}


def genes() -> Content:
    from moopim.problems.crossnas import CrossNasSpace

    space = CrossNasSpace(classes=10)
    decoded = space.genome.decode(space.genome.sample(3, np.random.default_rng(1)))
    columns = {"id": ["a", "b", "c"]}
    for group in space.genome.groups:
        values = np.asarray(decoded[group.name]).reshape(3, -1)
        columns |= {name: values[:, i].tolist() for i, name in enumerate(group.columns)}
    rows = [",".join(columns), *(",".join(str(column[i]) for column in columns.values()) for i in range(3))]
    return {"file.csv": "\n".join(rows).encode()}


def read_genes(folder: Path) -> None:
    from moopim.cli.hardware import read_file

    read_file(folder / "file.csv", {})


def read_traffic(folder: Path) -> None:
    from moopim.cli.noc import evaluate_noc

    evaluate_noc(folder / "file.csv", folder / "out.csv")


def read_front(folder: Path) -> None:
    from moopim import Objective
    from moopim.experiment.true_fronts import read_true_front

    read_true_front(folder / "file.csv", [Objective("cost", "mJ"), Objective("gain", sense="max")])


def power() -> Content:
    names = [f"T{tier}_PE{pe}" for tier in range(1, 5) for pe in range(16)]
    return {"file.csv": f"case,quantity,{','.join(names)}\na,power_W,{','.join(['1.5'] * 64)}\n".encode()}


def read_power(folder: Path) -> None:
    from moopim.cli.thermal import evaluate_thermal

    evaluate_thermal(folder / "file.csv", folder / "out.csv")


def read_mappings(folder: Path) -> None:
    from moopim.problems.hunt.evaluate import evaluate_file

    evaluate_file(folder / "file.csv", folder / "out.csv")


def read_idealised_mappings(folder: Path) -> None:
    from moopim.problems.hunt.evaluate import evaluate_file

    evaluate_file(folder / "file.csv", folder / "out.csv", equations="idealised")


def toml(name: str) -> Callable[[], Content]:
    return lambda: _toml_files()[name]


TRAFFIC = b"case,src,dst,packets_per_cycle\nx,0,1,.05\ny,5,5,0.1\nx,0,1,.05\nz,0,1,.3\n"
TRUE_FRONT = b"x,cost_mJ,gain,returned\n0,1.5,3,True\n2,2.5,1e3,True\n"
MAPPINGS = b"case,workload,tiers,genes,pace,dataset,options\n"
MAPPINGS += b"a,VGG11,RRFS,1 2 3 4 5 6 7 8 9 10 46,20,,\nb,VGG11,SFRR,1 2 3 4 5 6 7 8 9 10 40,63,cifar100,"
MAPPINGS += b"wear=tier;R.endurance=1e12;F.read=parallel;max_peak=330\n"
IDEALISED_MAPPINGS = b"case,set,workload,tiers,genes\na,physical,VGG11,RRFS,1 2 3 4 5 6 7 8 9 10 46\n"
IDEALISED_MAPPINGS += b"b,calibrated,VGG11,SFRR,1 2 3 4 5 6 7 8 9 10 40\n"
