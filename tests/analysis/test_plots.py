import subprocess
import sys
import warnings

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from made_up import COST, FOUR, GAIN, TIME, frame, run, search

import moopim.analysis
from moopim import ConfigError
from moopim.analysis import (
    Box,
    comparison_figures,
    design_figures,
    hypervolume_history,
    plot_hypervolume,
    plot_samples,
    run_figures,
    save_figures,
)
from moopim.analysis.style import thin

PNG = b"\x89PNG"


@pytest.fixture(autouse=True)
def _strict():
    """Pictures are drawn without a warning, and leave matplotlib's settings alone."""
    before = mpl.rcParams.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    assert mpl.rcParams.copy() == before


def names(paths):
    assert all(path.read_bytes().startswith(PNG) for path in paths)
    return [path.name for path in paths]


def test_figures_of_a_run(tmp_path):
    paths = save_figures(run_figures(search(600, 1), FOUR), tmp_path)
    assert names(paths) == ["front.png", "front_3d.png", "parallel.png", "hypervolume.png"]
    assert {path.parent for path in paths} == {tmp_path}


@pytest.mark.parametrize(
    ("data", "objectives", "expected"),
    [
        (frame((COST, GAIN), [(1, 1), (2, 2)]), (COST, GAIN), ["front.png", "parallel.png", "hypervolume.png"]),
        (frame((COST,), [(3,), (2,), (1,)]), (COST,), ["hypervolume.png"]),
        (frame((COST, GAIN), [(1, 1)]), (COST, GAIN), ["front.png", "parallel.png", "hypervolume.png"]),
        (frame((COST, GAIN), [(1, 1), (2, 2)], feasible=False), (COST, GAIN), ["front.png"]),
        (frame((COST, GAIN), [(np.nan, np.nan)], feasible=False), (COST, GAIN), []),
        (search(50, 1).assign(feasible=False), FOUR, ["front.png"]),
        (frame((COST, GAIN), np.empty((0, 2))), (COST, GAIN), []),
    ],
    ids=["two", "one", "one-design", "infeasible", "unknown", "infeasible-four", "empty"],
)
def test_figures_of_unusual_runs(data, objectives, expected, tmp_path):
    assert names(save_figures(run_figures(data, objectives), tmp_path)) == expected


def test_figures_of_a_comparison(tmp_path):
    runs = [run(name, seed, search(200, seed)) for name in ("a", "b") for seed in (1, 2, 3)]
    nothing = run("c", 1, search(200, 1).assign(feasible=False))
    assert names(save_figures(comparison_figures([*runs, nothing], FOUR), tmp_path)) == [
        "fronts.png",
        "hypervolume.png",
        "comparison.png",
    ]


def test_comparison_without_a_feasible_design_is_refused():
    with pytest.raises(ConfigError, match="no design is feasible"):
        comparison_figures([run("a", 1, search(20, 1).assign(feasible=False))], FOUR)


@pytest.mark.parametrize("objectives", [FOUR[:1], FOUR[:2], FOUR])
def test_a_design_is_shown_among_the_others_and_by_its_genes(objectives):
    data = search(300, 1)
    genes = {"bits": [8], "width": list(range(40)), "kind": ["depthwise"]}
    figures = design_figures(data, objectives, genes, 7)
    assert list(figures) == ["objectives", "genes"]
    value = f"{data[objectives[0].column].iloc[6]:.4g}"
    assert figures["objectives"].get_suptitle().startswith(f"design 7: {objectives[0].label} {value}")
    (ax,) = figures["genes"].axes
    texts = [text.get_text() for text in ax.texts]
    assert {"bits", "width", "kind", "8", "39", "depthw…"} <= set(texts)
    assert len(ax.patches) == 42


def test_a_design_without_objectives_is_shown_by_its_genes():
    data = frame((COST, GAIN), [(np.nan, np.nan)], feasible=False)
    assert list(design_figures(data, (COST, GAIN), {"a": [1]}, 1)) == ["genes"]
    with pytest.raises(ConfigError, match="design=2 is not allowed"):
        design_figures(data, (COST, GAIN), {"a": [1]}, 2)


def test_hypervolume_of_one_run():
    data = frame((COST, GAIN), [(10, 0), (5, 5), (2, 9)] * 10)
    history = hypervolume_history(data, Box((COST, GAIN), (0, 10), (10, 0)))
    (ax,) = plot_hypervolume(history).axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("evaluations", "hypervolume (share of the box)")
    box = Box((COST, GAIN, TIME), (0, 10, 3), (10, 0, 3), fronts="front over time")
    (ax,) = plot_hypervolume(history.assign(hypervolume_error=0.0021), box=box).axes
    lines = ["hypervolume", "share of the box of the front over time,", "without time (constant)"]
    assert ax.get_ylabel().split("\n") == [*lines, "estimate, standard error up to 0.002"]
    assert len(ax.lines) == 1
    assert ax.get_xlim() == (0, 30)
    assert ax.get_legend() is None


def test_hypervolume_bands_have_a_line_and_a_band_each():
    bands = pd.DataFrame(
        {"algorithm": ["a", "a", "b", "b"], "evaluation": [1, 100, 1, 100]}
        | {"median": [0.1, 0.8, 0.1, 0.9], "q25": [0.0, 0.7, 0.0, 0.85], "q75": [0.2, 0.9, 0.2, 0.95]}
    )
    (ax,) = plot_hypervolume(bands).axes
    assert [line.get_label() for line in ax.lines] == ["a", "b"]
    assert len(ax.collections) == 2
    low, high = ax.get_ylim()
    assert 0.5 < low < 0.7  # the steep start is left out
    assert high > 0.95


def test_samples_show_every_run_and_the_quartiles():
    values = pd.DataFrame({"algorithm": ["a"] * 4 + ["b"] * 2, "hv": [1, 2, 3, 5, 4, np.inf]})
    (ax,) = plot_samples(values, "hv", "hypervolume").axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    assert ax.get_ylim()[0] < ax.get_yticks()[1] < ax.get_yticks()[0]  # the first on top
    box = ax.patches[0]
    assert (box.get_x(), box.get_x() + box.get_width()) == (1.75, 3.5)
    points = [np.asarray(group.get_offsets())[:, 0].tolist() for group in ax.collections if len(group.get_offsets())]
    assert [1, 2, 3, 5] in points
    assert [4] in points
    assert ax.get_xlabel() == "hypervolume"


def test_thinning_is_even_and_keeps_what_it_has_to():
    assert thin(5, 10).tolist() == [0, 1, 2, 3, 4]
    assert thin(101, 3).tolist() == [0, 50, 100]
    assert thin(101, 3, np.array([7, 50])).tolist() == [0, 7, 50, 100]


def test_public_names_can_be_imported():
    for name in moopim.analysis.__all__:
        assert getattr(moopim.analysis, name).__module__.startswith("moopim.analysis.")
    assert set(moopim.analysis.__all__) <= set(dir(moopim.analysis))
    with pytest.raises(AttributeError, match="attribute hypervolum"):
        moopim.analysis.hypervolum  # noqa: B018


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import moopim.analysis", {"matplotlib", "pandas", "scipy"}),
        ("from moopim.analysis import hypervolume, rank_optimisers", {"matplotlib"}),
        (
            """
import tempfile
from made_up import FOUR, run, search
from moopim.analysis import comparison_figures, run_figures, save_figures
save_figures(run_figures(search(50, 1), FOUR), tempfile.mkdtemp())
save_figures(comparison_figures([run("a", 1, search(50, 1))], FOUR), tempfile.mkdtemp())""",
            {"matplotlib.pyplot"},
        ),
    ],
    ids=["import", "numbers", "figures"],
)
def test_only_what_is_needed_is_loaded(code, absent, request, monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    code = f"{code}\nimport sys; print(sorted({absent} & set(sys.modules)))"
    folder = request.path.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
