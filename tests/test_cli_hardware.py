"""``moopim evaluate hardware``: reference designs, networks and genes through the command; bad input in one line."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moopim.cli.entry import main
from moopim.experiment.frames import genes_frame
from moopim.hardware.planar.chip import make_chip
from moopim.hardware.planar.components import load_components
from moopim.hardware.planar.designs import read_designs
from moopim.hardware.planar.model import break_down, evaluate_planar
from moopim.problems.crossnas import CrossNasSpace
from moopim.workload import IMAGE, Layer, make_table, network_table

REFERENCE = Path(__file__).parent / "reference" / "hardware"
DAC = "bits = 5\narea_um2 = 3\npower_W = 6e-5\nrate_GSps = 1\n"
FIGURES = ["energy_mJ", "latency_ms", "area_mm2", "edp_mJms", "power_W", "tiles"]
TABLE_3 = ("--crossbar", 128, "--adc-bits", 6, "--dac-bits", 2, "--profile", "paper")


def invoke(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", "hardware", *map(str, arguments)])
    return stop.value.code, *capsys.readouterr()


@pytest.fixture
def networks(tmp_path):
    """The reference networks as a file of designs, with ids that are not numbers."""
    frame = pd.read_csv(REFERENCE / "reference_nets.csv")
    frame.insert(0, "id", [f"n{i}" for i in frame.index[::-1]])
    frame.to_csv(tmp_path / "networks.csv", index=False)
    return tmp_path / "networks.csv", frame


@pytest.fixture
def genes(tmp_path):
    """Designs of the CrossNAS space as a run writes them, and their genes."""
    space = CrossNasSpace()
    X = space.genome.sample(30, np.random.default_rng(5))
    frame = genes_frame(space.genome, X)
    frame.insert(0, "evaluation", np.arange(1, 31))
    frame.assign(energy_mJ=0.0).to_csv(tmp_path / "evaluations.csv", index=False)
    return tmp_path / "evaluations.csv", space.genome.decode(X), space


def test_the_reference_networks_through_the_command(capsys, tmp_path, networks):
    path, expected = networks
    code, out, err = invoke(capsys, path, "-o", tmp_path / "out.csv")
    assert (code, err) == (0, "")
    assert "24 designs, 24 feasible" in out
    found = pd.read_csv(tmp_path / "out.csv")
    assert list(found.columns) == ["id", *FIGURES, "feasible"]
    assert found["id"].tolist() == expected["id"].tolist()
    assert found["feasible"].all()
    for column in FIGURES:
        assert found[column].tolist() == pytest.approx(expected[column].tolist(), rel=1e-9), column


def test_numbers_are_written_in_full(capsys, tmp_path, networks):
    path, _ = networks
    assert invoke(capsys, path, "-o", tmp_path / "out.csv")[0] == 0
    designs = read_designs(path)
    totals = evaluate_planar(designs.table, designs.chip)
    found = pd.read_csv(tmp_path / "out.csv", float_precision="round_trip")
    for column, figure in zip(FIGURES, ("energy", "latency", "area", "edp", "power", "tiles"), strict=True):
        assert found[column].tolist() == totals[figure].tolist()
    assert found["tiles"].dtype == np.int64


def test_designs_that_do_not_fit_are_rows_like_others(capsys, tmp_path):
    path = tmp_path / "in.csv"
    path.write_bytes(gzip.decompress((REFERENCE / "designs_infeasible.csv.gz").read_bytes()))
    code, out, _ = invoke(capsys, path, "-o", tmp_path / "out.csv")
    assert code == 0
    assert "6 designs, 0 feasible" in out
    found = pd.read_csv(tmp_path / "out.csv")
    assert found["feasible"].tolist() == [False] * 6
    assert (found["tiles"] > 4096).all()


def test_layers_add_up_to_the_designs(capsys, tmp_path, networks):
    path, _ = networks
    assert invoke(capsys, path, "-o", tmp_path / "out.csv", "--layers", tmp_path / "layers.csv")[0] == 0
    totals, layers = pd.read_csv(tmp_path / "out.csv"), pd.read_csv(tmp_path / "layers.csv")
    sums = layers.groupby("id", sort=False)[["energy_nJ", "power_W", "tiles", "area_um2"]].sum()
    assert sums.index.tolist() == totals["id"].tolist()
    assert (sums["energy_nJ"] * 1e-6).tolist() == pytest.approx(totals["energy_mJ"].tolist(), rel=1e-12)
    assert (sums["area_um2"] * 1e-6).tolist() == pytest.approx(totals["area_mm2"].tolist(), rel=1e-12)
    assert sums["tiles"].tolist() == totals["tiles"].tolist()
    parts = [name for name in layers.columns if name.startswith("energy_") and name != "energy_nJ"]
    expected = pytest.approx(layers["energy_nJ"].tolist(), rel=1e-12, nan_ok=True)
    assert layers[parts].sum(axis=1, min_count=1).tolist() == expected
    assert set(layers["kind"]) == {"conv", "pool", "fc", "sum"}
    for name in ("energy_nJ", "power_W", "area_um2"):  # MNSIM counts the time of sums only: not modelled, and not 0
        assert (layers[name].isna() == (layers["kind"] == "sum")).all()
    assert layers["time_ns"].gt(0).all()


def test_the_physical_mode_reaches_the_model(capsys, tmp_path, networks):
    path, _ = networks
    files = ("-o", tmp_path / "out.csv", "--layers", tmp_path / "layers.csv")
    assert invoke(capsys, path, *files, "--mode", "physical")[0] == 0
    designs = read_designs(path)
    found = pd.read_csv(tmp_path / "out.csv", float_precision="round_trip")
    assert found["energy_mJ"].tolist() == evaluate_planar(designs.table, designs.chip, "physical")["energy"].tolist()
    breakdown = break_down(designs.table, designs.chip, "physical")
    assert list(pd.read_csv(tmp_path / "layers.csv").columns[4:]) == list(breakdown.layers)


def test_networks_by_name_give_the_baselines_of_crossnas(capsys, tmp_path):
    expected = pd.read_csv(REFERENCE / "reference_nets.csv").query("config == 'paper_table3'")
    names = [word for name in ("alexnet", "vgg16", "ResNet18") for word in ("--network", name)]
    classes = ("--classes", 10, "--classes", 100)
    code, out, _ = invoke(capsys, *names, *classes, *TABLE_3, "-o", tmp_path / "out.csv")
    assert code == 0
    found = pd.read_csv(tmp_path / "out.csv").set_index("id")
    for _, row in expected.iterrows():
        name = f"{row['net']}-{row['classes']}"
        assert name in out
        assert found.loc[name, FIGURES].tolist() == pytest.approx(row[FIGURES].tolist(), rel=1e-9)
        for column in ("energy_mJ", "latency_ms", "area_mm2"):
            assert abs(found.loc[name, column] - row[f"paper_{column}"]) <= 0.0051


def test_one_network_is_printed_with_its_breakdown_and_drawn(capsys, tmp_path):
    code, out, err = invoke(capsys, "--network", "alexnet", *TABLE_3, "--plot", tmp_path / "a.png")
    assert (code, err) == (0, "")
    chip, totals, components, layers = out.split("\n\n")
    assert "crossbar 128, 8 groups with 4 ADCs (6 bit) and 64 DACs (2 bit)" in chip
    energy = evaluate_planar(network_table("alexnet"), make_chip("paper", crossbar=128, adc_bits=6))["energy"][0]
    assert f"energy_mJ {energy:.6g}" in " ".join(totals.split())
    assert "feasible True" in " ".join(totals.split())
    rows = [line.replace("not modelled", "nan").split() for line in components.splitlines()]
    assert rows[0] == ["component", "energy_mJ", "energy_%", "time_ms", "time_%", "area_mm2", "area_%"]
    assert rows[-1][:2] == ["interconnect", "nan"]  # but for its time
    assert float(rows[-1][2]) > 0.05
    assert [row[0] for row in rows[1:] if "nan" in row] == ["interconnect"]
    modelled = rows[1:-1]
    assert sum(float(row[1]) for row in modelled) == pytest.approx(energy, rel=1e-3)
    for share in (2, 6):
        assert sum(float(row[share]) for row in modelled) == pytest.approx(100, abs=0.4)
    assert sum(float(row[4]) for row in modelled) + float(rows[-1][3]) == pytest.approx(100, abs=0.4)
    assert [line.split()[1] for line in layers.splitlines()[1:11]] == list(network_table("alexnet").names)
    assert out.endswith(f"written: {tmp_path / 'a.png'}\n")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_network_of_the_user_is_traced(capsys, tmp_path):
    pytest.importorskip("torch")
    net = Path(__file__).parents[1] / "docs" / "examples" / "tiny_net.py"
    words = ("--network", f"{net}:TinyNet", "--input", "3x16x16", "--weight-bits", 5, "-o", tmp_path / "out.csv")
    assert invoke(capsys, *words)[0] == 0
    sizes = {"kernel": (3, 3), "padding": (1, 1), "size_in": (16, 16), "size_out": (16, 16), "weight_bits": 5}
    table = make_table(
        [
            Layer("stem", "conv", (IMAGE,), 3, 16, **sizes),
            Layer("block", "conv", (0,), 16, 16, **sizes),
            Layer("sum", "sum", (0, 1), 16, 16, size_in=(16, 16), size_out=(16, 16)),
            Layer("pool", "pool", (2,), 16, 16, kernel=(16, 16), size_in=(16, 16)),
            Layer("classify", "fc", (3,), 16, 10, weight_bits=5),
        ]
    )
    totals = evaluate_planar(table, make_chip("cur"))
    found = pd.read_csv(tmp_path / "out.csv").iloc[0]
    assert found["id"] == "TinyNet"
    assert found["energy_mJ"] == pytest.approx(totals["energy"][0], rel=1e-12)
    assert found["latency_ms"] == pytest.approx(totals["latency"][0], rel=1e-12)
    assert found["tiles"] == totals["tiles"][0]


def test_every_option_of_the_chip_and_the_bits_reaches_the_model(capsys, tmp_path):
    parts = tmp_path / "parts.toml"
    parts.write_text("[adc.mine]\nbits = 7\narea_um2 = 900\npower_W = 1e-3\nrate_GSps = 1.0\n")
    chip = {"crossbar": 64, "adc": "mine", "dac": "mnsim3", "device": "rram-2bit", "groups": 4, "adcs": 16}
    chip |= {"dacs": 32, "pes": 9, "grid": 50}
    options = [word for name, value in chip.items() for word in (f"--{name}", value)]
    bits = ("--weight-bits", 5, "--activation-bits", 7)
    words = ("--network", "vgg11", *options, *bits, "--components", parts, "-o", tmp_path / "out.csv")
    assert invoke(capsys, *words)[0] == 0
    table = network_table("vgg11")
    table = table.with_bits(np.full(table.kind.shape, 5), np.full(table.kind.shape, 7))
    totals = evaluate_planar(table, make_chip("cur", load_components(parts), **chip))
    found = pd.read_csv(tmp_path / "out.csv", float_precision="round_trip").iloc[0]
    assert found["energy_mJ"] == totals["energy"][0]
    assert found["area_mm2"] == totals["area"][0]


def test_genes_of_a_run_give_what_the_space_says(capsys, tmp_path, genes):
    path, designs, space = genes
    code, _, err = invoke(capsys, path, "-o", tmp_path / "out.csv", "--profile", "paper", "--adcs", 8)
    assert (code, err) == (0, "")
    chip = make_chip("paper", adcs=8, **space.chip_parameters(designs))
    totals = evaluate_planar(space.layer_table(designs), chip)
    found = pd.read_csv(tmp_path / "out.csv", float_precision="round_trip")
    assert found["id"].tolist() == list(range(1, 31))
    assert found["energy_mJ"].tolist() == totals["energy"].tolist()
    assert found["tiles"].tolist() == totals["tiles"].tolist()


def test_a_wrong_gene_is_named_with_its_row(capsys, tmp_path, genes):
    path, _, _ = genes
    frame = pd.read_csv(path, dtype=str)
    frame.loc[6, "adc_bits"] = "7"
    frame.to_csv(path, index=False)
    code, _, err = invoke(capsys, path, "-o", tmp_path / "out.csv")
    assert code == 2
    assert f"row 7 (evaluation '7') of '{path}': adc_bits='7' is not allowed; expected 4 | 6 | 8 | 10" in err
    assert invoke(capsys, path, "-o", tmp_path / "out.csv", "--adc-bits", 6)[0] == 2
    assert not (tmp_path / "out.csv").exists()


def test_genes_that_the_command_line_sets_too_are_refused(capsys, tmp_path, genes):
    code, _, err = invoke(capsys, genes[0], "-o", tmp_path / "out.csv", "--crossbar", 64)
    assert code == 2
    assert "--crossbar is not allowed: the gene crossbar of the file says it" in err


def test_genes_written_as_floats_are_whole_numbers_too(capsys, tmp_path, genes):
    path, _, _ = genes
    frame = pd.read_csv(path)
    numbers = frame.select_dtypes("int64").columns
    frame.astype(dict.fromkeys(numbers, float)).to_csv(tmp_path / "floats.csv", index=False)
    assert ",4.0," in (tmp_path / "floats.csv").read_text()
    assert invoke(capsys, path, "-o", tmp_path / "a.csv")[0] == 0
    assert invoke(capsys, tmp_path / "floats.csv", "-o", tmp_path / "b.csv")[0] == 0
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_rows_of_genes_without_a_name_are_told_by_their_number(capsys, tmp_path, genes):
    frame = pd.read_csv(genes[0], dtype=str).drop(columns="evaluation")
    frame.loc[1, "depth"] = "4.5"
    frame.to_csv(tmp_path / "bare.csv", index=False)
    frame.assign(id="x" + frame.index.astype(str)).to_csv(tmp_path / "named.csv", index=False)
    for name, where in (("bare.csv", "row 2 of"), ("named.csv", "row 2 (id 'x1') of")):
        code, _, err = invoke(capsys, tmp_path / name, "-o", tmp_path / "out.csv")
        assert code == 2
        assert err.startswith(f"error: {where} '{tmp_path / name}': depth='4.5' is not allowed; expected ")


def test_a_profile_is_that_of_designs_that_say_none(capsys, tmp_path, networks):
    path, frame = networks
    paper = frame[frame["config"] == "paper_table3"].reset_index(drop=True)
    design = json.loads(paper["design"][0])
    del design["hw"]["profile"]
    paper.loc[0, "design"] = json.dumps(design)
    paper.to_csv(path, index=False)
    assert "hw.profile is missing" in invoke(capsys, path, "-o", tmp_path / "out.csv")[2]
    assert invoke(capsys, path, "-o", tmp_path / "out.csv", "--profile", "paper")[0] == 0
    found = pd.read_csv(tmp_path / "out.csv")
    assert found["energy_mJ"].tolist() == pytest.approx(paper["energy_mJ"].tolist(), rel=1e-9)


NET = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, {width}, 3))

class Other(Net):
    pass
"""


def test_networks_of_one_name_are_told_apart_by_their_files(capsys, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr("sys.path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    for file, width in (("a/same_net.py", 4), ("b/same_net.py", 400), ("b/next_net.py", 800)):
        Path(file).parent.mkdir(exist_ok=True)
        Path(file).write_text(NET.format(width=width))

    def found(*names):
        words = [word for name in names for word in ("--network", name)]
        assert invoke(capsys, *words, "--input", "3x8x8", "-o", "out.csv", "--force")[0] == 0
        return dict(pd.read_csv("out.csv")[["id", "tiles"]].itertuples(index=False))

    first, second, third = "a/same_net.py:Net", "b/same_net.py:Net", "b/next_net.py:Net"
    alone = [found(name)["Net"] for name in (first, second, third)]
    assert alone == sorted(set(alone))
    assert found(first, second) == {first: alone[0], second: alone[1]}
    assert found(first, third) == {"same_net:Net": alone[0], "next_net:Net": alone[2]}
    assert found(second, "b/same_net.py:Other") == {"Net": alone[1], "Other": alone[1]}
    code, _, err = invoke(capsys, "--network", first, "--network", f"./{first}", "--input", "3x8x8")
    assert code == 2
    assert "is given twice" in err


@pytest.mark.parametrize("code", ["import sys; sys.exit(3)", "1 / 0", "def Net(): raise KeyError", "def Net(): exit()"])
def test_a_file_that_fails_is_one_line(capsys, tmp_path, monkeypatch, code):
    pytest.importorskip("torch")
    monkeypatch.setattr("sys.path", list(sys.path))
    (tmp_path / "failing_net.py").write_text(code)
    found, out, err = invoke(capsys, "--network", f"{tmp_path / 'failing_net.py'}:Net", "--input", "3x8x8")
    assert (found, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: ")


def test_an_image_without_end_is_one_line(capsys):
    pytest.importorskip("torch")
    code, out, err = invoke(capsys, "--network", "torch.nn:ReLU", "--input", "3x99999x99999")
    assert (code, out) == (2, "")
    assert err == "error: an input of 3x99999x99999 is too large; expected at most 67108864 values\n"


def test_nothing_is_loaded_or_traced_before_all_outputs_are_known_to_have_a_place(capsys, tmp_path, monkeypatch):
    (tmp_path / "slow_net.py").write_text("raise AssertionError('imported')")
    monkeypatch.chdir(tmp_path)
    words = ("--network", "slow_net.py:Net", "--network", "slow_net.py:Other", "--input", "3x8x8", "-o", "out.csv")
    assert "folder 'none' does not exist" in invoke(capsys, *words, "--layers", "none/x.csv")[2]
    assert "--plot 'x.png' shows one network; got 2" in invoke(capsys, *words, "--plot", "x.png")[2]


def test_matplotlib_is_not_loaded_for_several_networks(tmp_path):
    code = (
        "import sys\nfrom moopim.cli.entry import main\n"
        "try:\n    main('evaluate hardware --network vgg11 --network alexnet'.split())\n"
        "finally:\n    print({'matplotlib', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")


def test_a_broken_design_is_one_line_and_nothing_is_written(capsys, tmp_path, networks):
    path, frame = networks
    design = json.loads(frame["design"][2])
    design["layers"][1]["cin"] = -3
    frame.loc[2, "design"] = json.dumps(design)
    frame.to_csv(path, index=False)
    code, out, err = invoke(capsys, path, "-o", tmp_path / "out.csv")
    assert (code, out) == (2, "")
    assert err == (f"error: row 3 (id 'n21') of '{path}': layers[1].cin=-3 is not allowed; expected at least 1\n")
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "a file of designs or --network is needed; got neither"),
        (("NETWORKS", "--network", "vgg16"), "got both"),
        (("NETWORKS",), "needs --output"),
        (("NETWORKS", "-o", "x.csv", "--plot", "x.png"), "--plot 'x.png' shows one network"),
        (("NETWORKS", "-o", "x.csv", "--profile", "paper"), "row 1 (id 'n23') of "),
        (("NETWORKS", "-o", "x.csv", "--profile", "paper"), "hw.profile='cur' is not allowed: 'paper' is given for"),
        (("NETWORKS", "-o", "x.csv", "--classes", 10), "--classes is not allowed with the designs of"),
        (("NETWORKS", "-o", "x.csv", "--components", "parts.toml"), "which have no parts by name; expected it with"),
        (("NETWORKS", "-o", "x.csv", "--layers", "none/x.csv"), "folder 'none' does not exist"),
        (("NETWORKS", "-o", "x.csv", "--layers", "."), "output '.' cannot be written: is a folder"),
        (("--network", "vgg16", "-o", "x.csv", "--plot", "none/x.png"), "folder 'none' does not exist"),
        (("--network", "vgg16", "-o", "x.png", "--plot", "x.png"), "file 'x.png' is given twice"),
        (("--network", "vgg16", "--components", "parts.toml", "-o", "parts.toml"), "file 'parts.toml' is given twice"),
        (("--network", "net.py:Net", "--input", "3x8x8", "-o", "./net.py"), "file 'net.py' is given twice"),
        (("NETWORKS", "-o", "none/x.csv"), "folder 'none' does not exist"),
        (("NETWORKS", "-o", "x.csv", "--layers", "x.csv"), "file 'x.csv' is given twice"),
        (("NETWORKS", "-o", "NETWORKS"), "is given twice; expected different files"),
        (("GENES", "-o", "x.csv", "--input", "3x32x32"), "--input is not allowed with a file of genes"),
        (("GENES", "-o", "x.csv", "--classes", 10, "--classes", 100), "--classes was given 2 times"),
        (("GENES", "-o", "x.csv", "--classes", 10**22), "'--classes': Input should be less than or equal to 1000000"),
        (("GENES", "-o", "x.csv", "--adc", "mnsim1"), "--adc is not allowed: the gene adc_bits of the file says it"),
        (("GENES", "-o", "x.csv", "--dac", "mnsim1"), "--dac is not allowed: the gene dac_bits of the file says it"),
        (("no.csv", "-o", "x.csv"), "designs 'no.csv' cannot be read"),
        (("other.csv", "-o", "x.csv"), "has no column 'design' and no gene 'depth' of crossnas"),
        (("--network", "vgg17"), "unknown network 'vgg17' (did you mean 'vgg16'?)"),
        (("--network", "vgg17", "--input", "3x32x32"), "unknown network 'vgg17' (did you mean 'vgg16'?)"),
        (
            ("--network", "n.onnx", "--input", "3x32x32"),
            "network 'n.onnx' is a model in ONNX format; expected FILE.py:Name",
        ),
        (("--network", "n.onnx:Net", "--input", "3x32x32"), "network 'n.onnx' is a model in ONNX format; expected"),
        (("--network", "n.pth"), "network 'n.pth' is a pickle of torch or Python; expected FILE.py:Name"),
        (("--network", "chip.ini"), "network 'chip.ini' is a configuration file of MNSIM: give its numbers as options"),
        (("--network", "SimConfig.ini"), "network 'SimConfig.ini' is a configuration file of MNSIM"),
        (("chip.ini", "-o", "x.csv"), "designs 'chip.ini' is a configuration file of MNSIM"),
        (("--network", "net.py"), "network 'net.py' names nothing in the file; expected net.py:Tiny, net.py:make"),
        (("--network", "none.py"), "network 'none.py' is a file that does not exist"),
        (("--network", "."), "network '.' is a folder"),
        (("--network", "vgg16", "--dac-bits", 5), "dac_bits is 5; expected one of 1, 2, 3, 4, 6"),
        (("--network", "vgg16", "--components", "two.toml", "--dac-bits", 5), "dac_bits 5 is that of several: a, b;"),
        (("--network", "vgg16", "--network", "VGG16"), "network 'vgg16' is given twice; expected different"),
        (("--network", "vgg16", "--classes", 10, "--classes", 10), "--classes '10' is given twice; expected different"),
        (("--network", "vgg16", "--network", "vgg11", "--plot", "x.png"), "shows one network; got 2"),
        (("--network", "vgg16", "--plot", "x.doc"), "figure 'x.doc' has no known suffix; expected one of"),
        (("--network", "vgg16", "--input", "3x32x32"), "--input is for networks FILE.py:Name"),
        (("--network", "net.py:Net"), "network 'net.py:Net' needs --input"),
        (("--network", "net.py:Net", "--input", "3x32"), "input '3x32' is not allowed"),
        (("--network", "net.py:Net", "--input", "3x8x8", "--classes", 5), "--classes is for built-in networks"),
        (("--network", "vgg16", "--crossbar", 0), "crossbar is 0; expected a whole number from 1 to 65536"),
        (
            ("--network", "vgg16", "--crossbar", 8),
            "crossbar 8 is smaller than one kernel of layer 0 (conv1) (9 entries)",
        ),
        (("--network", "vgg16", "--adc-bits", 7), "adc_bits is 7; expected one of 1, 4, 6, 8, 10"),
        (("--network", "vgg16", "--adc", "flash"), "unknown adc 'flash'"),
        (("--network", "vgg16", "--weight-bits", 1), "'--weight-bits'"),
        (("--network", "vgg16", "--activation-bits", 0), "(got '0')"),
        (("--network", "vgg16", "--classes", 1), "'--classes': Input should be greater than or equal to 2"),
        (("--network", "vgg16", "--classes", 10**22), "'--classes': Input should be less than or equal to 1000000"),
        (("--network", "vgg16", "--components", "no.toml"), "no.toml"),
        (("--network", "vgg16", "--mode", "real"), "unknown --mode 'real'; allowed: compat, physical"),
        (("--network", "vgg16", "--profile", "new"), "unknown --profile 'new'"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    capsys, tmp_path, monkeypatch, networks, genes, arguments, message
):
    (tmp_path / "other.csv").write_text("id,genes\n1,2\n")
    (tmp_path / "net.py").write_text("Net = 3\nclass Tiny: pass\ndef make(): pass\n")
    (tmp_path / "chip.ini").write_text("[Device level]\nDevice_Tech = 45\n[Crossbar level]\nXbar_Size = 256,256\n")
    (tmp_path / "two.toml").write_text("".join(f"[dac.{name}]\n{DAC}" for name in "ab"))
    (tmp_path / "parts.toml").write_text("")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.chdir(tmp_path)
    files = {"NETWORKS": networks[0], "GENES": genes[0]}
    code, out, err = invoke(capsys, *(files.get(word, word) for word in arguments))
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
