"""Pictures of one mapping: labels by hand, loads that are those of the model, and the command."""

import numpy as np
import pandas as pd
import pytest

import moopim
from moopim.cli.entry import main
from moopim.problems.hunt import HuntMapping
from moopim.problems.hunt.pictures import draw_mapping, pe_labels


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


def test_the_pictures_show_the_numbers_of_the_model():
    problem = HuntMapping("vgg11")
    design = moopim.run(problem, "random", evaluations=50, seed=3).front.iloc[0]
    figures = draw_mapping(problem, design, "one")
    assert list(figures) == ["placement", "heat", "links"]
    panels = figures["heat"].axes[:4]
    hottest = max(np.asarray(ax.images[0].get_array()).max() for ax in panels)
    assert hottest == pytest.approx(design["peak_K"], rel=1e-12)
    assert figures["links"].axes[4].get_ylim()[1] == pytest.approx(design["link_util"], rel=1e-6)
    chain = HuntMapping("vgg11", traffic="chain")
    assert list(draw_mapping(chain, design)) == ["placement", "heat"]


def test_a_mapping_of_a_run_is_drawn_by_command(capsys, tmp_path):
    run = tmp_path / "run"
    moopim.run(HuntMapping("vgg11"), "random", evaluations=50, seed=3, output=run)
    code, out, err = invoke(capsys, "hunt", "draw", run, "-o", tmp_path / "pictures", "--design", 2)
    assert (code, err) == (0, "")
    names = ["heat.png", "links.png", "placement.png"]
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == names
    assert all(name in out for name in names)
    for words, message in (
        ((run, "--design", 0), "design=0 is not allowed; expected a row of the front, 1 .."),
        ((tmp_path / "none",), "none"),
    ):
        code, out, err = invoke(capsys, "hunt", "draw", *words, "-o", tmp_path / "more")
        assert (code, out) == (2, "")
        assert message in err
        assert err.count("\n") == 1
    assert not (tmp_path / "more").exists()
