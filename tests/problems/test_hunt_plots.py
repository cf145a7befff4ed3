"""Pictures of one mapping: labels by hand, loads that are those of the model, and the command."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

import moopim
from moopim.cli.entry import main
from moopim.experiment.frames import read_designs
from moopim.hardware.stack import evaluate_system
from moopim.problems.hunt import HuntMapping
from moopim.problems.hunt.plots import layers_frame, pe_labels, settle


def invoke(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    out, err = capsys.readouterr()
    return stop.value.code, out, err


def test_labels_are_the_layers_on_each_pe_along_the_snake():
    problem = HuntMapping("vgg11")
    layers = pd.DataFrame(
        [(1, 3, 0.0, 0.5), (1, 1, 0.5, 4.0), (3, 2, 15.0, 1.0), (2, 0, 0.0, 0.0), (4, 0, 0.0, 0.0)],
        columns=["tier", "layer", "start", "extent"],
    )
    labels = pe_labels(problem, layers)
    # Layer 3 fills half of PE 0, layer 1 the rest and the PEs 1, 2, 3 and half of the next: the snake turns, so PE 7.
    expected = {0: "3 1", 1: "1", 2: "1", 3: "1", 7: "1", 32 + 12: "2"}
    assert {pe: label for pe, label in enumerate(labels) if label} == expected


@pytest.mark.parametrize("equations", ["system", "idealised"])
def test_the_figures_show_the_numbers_of_the_model(equations):
    problem = HuntMapping("vgg11", equations=equations)
    front = moopim.run(problem, "random", evaluations=50, seed=3).front
    design, designs = front.iloc[0], read_designs(problem.genome, front.head(1))
    figures = problem.plot_design(designs, "one")
    assert list(figures) == ["placement", "heat", "links"]
    assert figures["heat"].get_suptitle() == f"VGG11 on {''.join(designs['tier'][0])}, one"
    panels = figures["heat"].axes[:4]
    hottest = max(np.asarray(ax.images[0].get_array()).max() for ax in panels)
    assert hottest == pytest.approx(design["peak_K"], rel=1e-12)
    assert figures["links"].axes[4].get_ylim()[1] == pytest.approx(design["link_util"], rel=1e-6)


def test_traffic_of_a_chain_has_no_picture_of_links():
    problem = HuntMapping("vgg11", equations="idealised", traffic="chain")
    front = moopim.run(problem, "random", evaluations=50, seed=3).front
    assert list(problem.plot_design(read_designs(problem.genome, front.head(1)), "one")) == ["placement", "heat"]


def test_the_placement_has_copies_tiles_and_engine_of_the_system_model():
    problem = HuntMapping("vgg11", override="engine_share=0.25")
    row = moopim.run(problem, "random", evaluations=50, seed=3).front.head(1)
    designs = read_designs(problem.genome, row)
    layers = layers_frame(problem, settle(problem, designs))
    found = evaluate_system(problem.model, *(designs.indices(name) for name in ("tier", "pe", "pace")))
    placed = layers[layers["layer"] > 0].sort_values("layer")
    assert placed["copies"].tolist() == found["copies"][0].tolist()
    bp = layers["back_propagation"]
    by_tier = layers[~bp].groupby("tier")
    assert (4 * by_tier["in_use"].first()).tolist() == found["tiles"][0].tolist()
    assert np.ceil(4 * by_tier["extent"].sum() - 1e-9).tolist() == found["tiles"][0].tolist()
    assert layers.loc[bp, ["engine", "in_use"]].to_numpy().tolist() == [[0.25, 16.0]]
    assert not layers.loc[~bp, "engine"].any()


def test_a_mapping_of_a_run_is_plotted_by_command(capsys, tmp_path):
    run = tmp_path / "run"
    found = moopim.run(HuntMapping("vgg11"), "random", evaluations=50, seed=3, output=run).evaluations
    number = found["evaluation"][found["feasible"]].iloc[0]
    code, out, err = invoke(capsys, "plot", run, "-o", tmp_path / "figures", "--design", number)
    assert (code, err) == (0, "")
    names = ["heat.png", "links.png", "placement.png"]
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == names
    assert all(name in out for name in names)
    assert invoke(capsys, "plot", run, "--design", number)[0] == 0
    assert invoke(capsys, "plot", run, "--design", number)[0] == 0  # in the run directory, again
    assert sorted(path.name for path in (run / f"design_{number}").iterdir()) == names
    for words, message in (
        ((run, "--design", 0), "design=0 is not allowed; expected a number of the column 'evaluation', 1 .. 50"),
        ((tmp_path / "none", "--design", 1), "none"),
    ):
        code, out, err = invoke(capsys, "plot", *words, "-o", tmp_path / "more")
        assert (code, out) == (2, "")
        assert message in err
        assert err.count("\n") == 1
    assert not (tmp_path / "more").exists()
    code, out, err = invoke(capsys, "plot", run, "-o", tmp_path / "figures", "--design", number)
    assert (code, out) == (2, "")
    assert "placement.png" in err


def test_a_mapping_of_a_run_is_shown_by_command(capsys, tmp_path):
    run = tmp_path / "run"
    problem = HuntMapping("vgg11", max="period=1000000")
    found = moopim.run(problem, "random", evaluations=50, seed=3, output=run).evaluations
    row = found[found["feasible"]].head(1)
    code, out, err = invoke(capsys, "show", run, "--design", row["evaluation"].iloc[0])
    assert (code, err) == (0, "")
    assert out.startswith(f"design {row['evaluation'].iloc[0]}: feasible\n")
    assert f"  limit       period (ns)         {row['period_ns'].iloc[0]:.6g} " in out
    assert out.rstrip("\n").endswith(problem.describe_design(read_designs(problem.genome, row)))
    slow = found[found["period_ns"] > 1e6].iloc[0]
    code, out, _ = invoke(capsys, "show", run, "--design", slow["evaluation"])
    assert out.startswith(
        f"design {slow['evaluation']}: infeasible, period {slow['period_ns']:g} ns is not <= 1000000\n"
    )


def test_a_run_of_the_former_model_is_refused_in_one_line_but_for_its_own_results(capsys, tmp_path):
    run = tmp_path / "run"
    moopim.run(HuntMapping("vgg11", equations="idealised"), "random", evaluations=20, seed=3, output=run)
    manifest = json.loads((run / "manifest.json").read_text())
    # What was the system model then is the idealised one now; there were no limits.
    manifest["problem"]["parameters"]["equations"] = "system"
    for name in ("goals", "max", "min", "precision", "wear"):
        del manifest["problem"]["parameters"][name]
    (run / "manifest.json").write_text(json.dumps(manifest))
    assert invoke(capsys, "show", run)[0] == 0
    assert invoke(capsys, "plot", run)[0] == 0
    (tmp_path / "stopped").mkdir()
    for file in run.glob("evaluations.sqlite*"):
        shutil.copy(file, tmp_path / "stopped")
    (tmp_path / "stopped" / "manifest.json").write_text(json.dumps(manifest | {"status": "running"}))
    for words in (("show", run, "--design", 1), ("plot", run, "--design", 1), ("resume", tmp_path / "stopped")):
        code, out, err = invoke(capsys, *words)
        assert (code, out) == (2, "")
        assert err.startswith(f"error: the run in '{words[1]}' belongs to another problem or version: ")
        assert "its genes were tier, pe, now tier, pe, pace; changed: " in err
        assert err.count("\n") == 1
    manifest["problem"]["parameters"]["traffic"] = "chain"
    (run / "manifest.json").write_text(json.dumps(manifest))
    assert invoke(capsys, "show", run, "--design", 1)[2] == (
        "error: problem 'hunt' cannot be built again as in its run: traffic 'chain' is given with equations 'system'; "
        "expected 'idealised' or 'paper'\n"
    )


def test_evaluations_without_a_gene_are_refused_in_one_line(capsys, tmp_path):
    run = tmp_path / "run"
    moopim.run(HuntMapping("vgg11"), "random", evaluations=20, seed=3, output=run)
    file = run / "evaluations.csv"
    pd.read_csv(file).drop(columns="pe_3").to_csv(file, index=False)
    code, out, err = invoke(capsys, "plot", run, "--design", 1)
    assert (code, out) == (2, "")
    assert "the frame has no column 'pe_3'; it has: evaluation" in err


def test_the_old_command_names_the_new_one(capsys):
    code, out, err = invoke(capsys, "hunt", "draw", "run", "--design", 1, "--output", "figures")
    assert (code, out) == (2, "")
    assert err == "error: 'moopim hunt draw' is now 'moopim plot DIR --design N'; N is the 'evaluation' of the design\n"
