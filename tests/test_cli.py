"""The command line: every command once, and one line with exit code 2 for every kind of bad input."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import moopim
from moopim.cli import commands
from moopim.cli.entry import main
from moopim.experiment.plugins import problem_entries

# The network is not looked for before the files.
ACCURACY = ("evaluate", "accuracy", "--network", "n", "--weights", "w", "--data", "digits", "--crossbar", "128")
ACCURACY += ("--adc-bits", "6", "--dac-bits", "2")
TOYS = f"{Path(__file__).parent / 'toys.py'}:Buffers"


def invoke(capsys, *arguments):
    """Runs the command in this process; returns exit code, standard output and standard error."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code, *capsys.readouterr()


@pytest.fixture
def finished(tmp_path, capsys):
    directory = tmp_path / "run"
    code, *_ = invoke(capsys, "run", TOYS, "--algorithm", "nsga2", "--evaluations", 300, "--output", directory)
    assert code == 0
    return directory


def test_run_says_what_it_found_and_where(capsys, tmp_path):
    words = ("run", TOYS, "--algorithm", "nsga2", "--evaluations", 300, "--seed", 3, "--traffic", 2)
    code, out, err = invoke(capsys, *words, "--output", tmp_path / "run")
    assert (code, err) == (0, "")
    assert "Buffers(traffic=2.0), nsga2, seed 3: 300 evaluations" in out
    assert "energy_mJ" in out
    assert str(tmp_path / "run") in out
    assert len(pd.read_csv(tmp_path / "run" / "evaluations.csv")) == 300


def test_quiet_prints_nothing(capsys, tmp_path):
    words = ("run", TOYS, "--evaluations", 4000, "--output", tmp_path / "run", "--quiet")
    assert invoke(capsys, *words) == (0, "", "")


WARNING_PROBLEM = """
import warnings

from moopim import DesignProblem, Genome, Index, Objective


class Warned(DesignProblem):
    genome = Genome(Index("gene", 5, repeat=9))
    objectives = (Objective("total"),)

    def evaluate_designs(self, designs):
        warnings.warn("a rough model")
        return {"total": designs.gene.sum(axis=1)}
"""


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_warning_is_one_line_once_and_none_with_quiet(tmp_path, jobs):
    (tmp_path / "warned.py").write_text(WARNING_PROBLEM)
    words = ("compare", f"{tmp_path / 'warned.py'}:Warned", "--algorithms", "amosa", "--seeds", 2)
    words += ("--evaluations", 300, "--jobs", jobs)
    command = [sys.executable, "-m", "moopim", *map(str, words), "--output"]
    shown = subprocess.run([*command, tmp_path / "a"], capture_output=True, text=True, check=True).stderr
    assert shown == "warning: a rough model\n"
    assert (
        subprocess.run([*command, tmp_path / "b", "--quiet"], capture_output=True, text=True, check=True).stderr == ""
    )


def test_the_default_directory_names_problem_algorithm_and_seed(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, *_ = invoke(capsys, "run", TOYS, "--algorithm", "random", "--evaluations", 10, "--seed", 5)
    assert code == 0
    assert (tmp_path / "runs" / "Buffers-random-s5" / "front.csv").is_file()


def test_resume_show_and_plot_take_a_run_directory(capsys, finished):
    for command in ("resume", "show"):
        code, out, _ = invoke(capsys, command, finished)
        assert code == 0
        assert "nsga2, seed 1: 300 evaluations" in out
    code, out, _ = invoke(capsys, "plot", finished)
    assert code == 0
    pictures = [Path(line) for line in out.split()]
    assert pictures
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)


def test_enumerate_says_the_size_before_and_the_front_after(capsys, tmp_path):
    directory = tmp_path / "whole"
    code, out, err = invoke(capsys, "enumerate", TOYS, "--output", directory)
    assert code == 0
    assert re.fullmatch(r"Buffers has 46,875 designs, which take about [\d.]+ s in 1 process\n", err)
    assert "Buffers(traffic=1.0), enumeration, seed 0: all 46,875 designs evaluated" in out
    assert f"written to {directory}" in out
    number = moopim.load_run(directory).evaluations["evaluation"].iloc[-1]
    for words in (("show", directory), ("show", directory, "--design", number), ("plot", directory)):
        assert invoke(capsys, *words)[0] == 0
    code, _, err = invoke(capsys, "show", directory, "--design", number + 1)
    assert (code, err.count("\n")) == (2, 1)
    assert f"expected a number of the column 'evaluation', 1 .. {number}" in err


def test_compare_prints_a_table_and_leaves_it_with_pictures(capsys, tmp_path):
    words = ("compare", TOYS, "--algorithms", "nsga2,random", "--seeds", 3, "--evaluations", 200, "--output", tmp_path)
    code, out, _ = invoke(capsys, *words)
    assert code == 0
    table = pd.read_csv(tmp_path / "comparison.csv")
    assert {"nsga2", "random"} <= set(table["algorithm"])
    assert "median" in out
    assert list(tmp_path.glob("*.png"))
    assert invoke(capsys, *words)[0] == 0  # goes on: everything is there already


def test_compare_shows_the_share_of_a_true_front(capsys, tmp_path):
    whole = tmp_path / "whole"
    assert invoke(capsys, "enumerate", TOYS, "--output", whole, "--quiet") == (0, "", "")
    words = ("compare", TOYS, "--algorithms", "nsga2,random", "--seeds", 2, "--evaluations", 2000)
    code, out, _ = invoke(capsys, *words, "--output", tmp_path / "cmp", "--true-front", whole)
    assert code == 0
    assert "share_found" in out
    table = pd.read_csv(tmp_path / "cmp" / "comparison.csv").set_index(["indicator", "algorithm"])
    objectives = ["energy_mJ", "latency_ms", "hit_rate"]
    vectors, shares = {tuple(row) for row in moopim.load_run(whole).front[objectives].to_numpy()}, []
    for seed in (1, 2):
        found = moopim.load_run(tmp_path / "cmp" / f"nsga2-s{seed}").evaluations
        found = found[found["feasible"]][objectives]
        shares.append(len(vectors & {tuple(row) for row in found.to_numpy()}) / len(vectors))
    assert float(table.loc[("share_found", "nsga2"), "median"]) == pytest.approx(sum(shares) / 2, abs=1e-12)
    assert sum(shares) > 0
    code, _, err = invoke(capsys, *words, "--output", tmp_path / "other", "--true-front", "hunt-lenet5")
    assert (code, err.count("\n")) == (2, 1)
    assert "is that of HuntMapping" in err
    assert not (tmp_path / "other").exists()


def test_list_names_problems_and_algorithms(capsys):
    code, out, _ = invoke(capsys, "list")
    assert code == 0
    for name in ("hunt", "amosa-paper", "nsga2-hv", "topk"):
        assert name in out


def test_show_describes_a_problem(capsys):
    code, out, _ = invoke(capsys, "show", TOYS)
    assert code == 0
    assert "Genome of 7 genes" in out
    assert "hit rate" in out
    assert "max" in out


def test_show_has_genes_quantities_and_missed_bounds_of_a_design(capsys, finished):
    frame = pd.read_csv(finished / "evaluations.csv")
    for _, row in frame.groupby("feasible").head(1).iterrows():
        code, out, err = invoke(capsys, "show", finished, "--design", row["evaluation"])
        assert (code, err) == (0, "")
        lines = [" ".join(line.split()) for line in out.splitlines()]
        why = "feasible" if row["feasible"] else f"infeasible, area {row['area_mm2']:g} mm2 is not <= 2"
        assert lines[0] == f"design {row['evaluation']}: {why}"
        assert "buffer_kb " + " ".join(str(row[f"buffer_kb_{i}"]) for i in range(6)) in lines
        assert f"clock_mhz {row['clock_mhz']}" in lines
        assert f"objective hit rate {row['hit_rate']:.6g} max" in lines
        assert f"constraint area (mm2) {row['area_mm2']:.6g} <= 2" in lines
        assert f"metric words {row['words']:.6g}" in lines
    code, out, err = invoke(capsys, "show", finished, "--design", 301)
    assert (code, out) == (2, "")
    assert err == "error: design=301 is not allowed; expected a number of the column 'evaluation', 1 .. 300\n"


def test_a_problem_describes_a_design_in_its_own_words(capsys, tmp_path):
    file = tmp_path / "mine.py"
    head = "from toys import Tiny\n\n\nclass Mine(Tiny):\n    def describe_design(self, designs):\n        return "
    file.write_text(head + "f'a is {designs.a[0]}'\n")
    assert invoke(capsys, "run", f"{file}:Mine", "--evaluations", 9, "--output", tmp_path / "run")[0] == 0
    a = pd.read_csv(tmp_path / "run" / "evaluations.csv")["a"][0]
    code, out, err = invoke(capsys, "show", tmp_path / "run", "--design", 1)
    assert (code, err) == (0, "")
    assert out.endswith(f"\n\na is {a}\n")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    for fault, message in (("designs.a[0]", "returned int64; expected text"), ("1 / 0", "raised ZeroDivisionError")):
        file.write_text(head + fault + "\n")
        command = [sys.executable, "-m", "moopim", "show", tmp_path / "run", "--design", "1"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        warning, error = done.stderr.splitlines()
        assert warning.startswith("warning: the source of ")
        assert f"Mine.describe_design {message}" in error


def test_help_of_a_problem_shows_its_options(capsys):
    code, out, _ = invoke(capsys, "run", TOYS, "--help")
    assert code == 0
    assert "--traffic" in out
    assert "Buffers of six layers" in out


def test_help_of_run_and_compare_shows_their_options_and_what_each_problem_is(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    for command, options in (
        ("run", ("--algorithm ", "--evaluations ", "--seed ", "--output ", "--jobs ", "--quiet ")),
        ("compare", ("--algorithms ", "--seeds ", "--evaluations ", "--output ", "--jobs ", "--quiet ")),
    ):
        code, out, _ = invoke(capsys, command, "--help")
        assert code == 0
        assert not [option for option in options if option not in out]
        for name, entry in problem_entries().items():
            assert re.search(rf"{name} +{re.escape(entry.load().__doc__.splitlines()[0])}", out)
    assert "options stand behind the problem" in invoke(capsys, "run", "--seed", 3, "hunt")[2]


def test_pictures_are_drawn_anew_in_the_run_but_replace_none_elsewhere(capsys, finished, tmp_path):
    assert {path.name for path in finished.glob("*.png")} == set()
    for _ in range(2):
        assert invoke(capsys, "plot", finished)[0] == 0
    names = {path.name for path in finished.glob("*.png")}
    assert names == {f"{name}.png" for name in commands._RUN_FIGURES}
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "parallel.png").write_text("mine")
    code, _, err = invoke(capsys, "plot", finished, "--output", tmp_path / "else")
    assert code == 2
    assert "parallel.png' exists; expected a new file, or --force to replace it" in err
    assert [path.read_text() for path in (tmp_path / "else").iterdir()] == ["mine"]
    assert invoke(capsys, "plot", finished, "--output", tmp_path / "else", "--force")[0] == 0
    assert {path.name for path in (tmp_path / "else").iterdir()} == names


WRITING = {
    "hunt": ("evaluate", "hunt", "mappings.csv", "-o", "x.csv"),
    "noc": ("evaluate", "noc", "traffic.csv", "-o", "x.csv"),
    "noc-plot": ("evaluate", "noc", "traffic.csv", "-o", "y.csv", "--plot", "x.png"),
    "thermal": ("evaluate", "thermal", "power_maps.csv", "-o", "x.csv"),
    "thermal-plot": ("evaluate", "thermal", "power_maps.csv", "-o", "y.csv", "--plot", "x.png"),
    "hardware": ("evaluate", "hardware", "--network", "vgg11", "-o", "x.csv"),
    "hardware-layers": ("evaluate", "hardware", "--network", "vgg11", "--layers", "x.csv"),
    "hardware-plot": ("evaluate", "hardware", "--network", "vgg11", "--plot", "x.png"),
    "accuracy": (*ACCURACY, "-o", "x.csv"),
    "accuracy-layers": (*ACCURACY, "--layers", "x.csv"),
    "crossbar": ("evaluate", "crossbar", "x.npz", "-o", "folder"),
    "baselines": ("hunt", "baselines", "-o", "x.csv"),
    "claims": ("hunt", "claims", "-o", "x.md"),
    "study": ("hunt", "study", "--figure", "5", "-o", "folder"),
    "study-tables": ("hunt", "study", "--figure", "4", "-o", "folder"),
}


@pytest.mark.parametrize("words", WRITING.values(), ids=WRITING)
def test_an_existing_file_is_refused_before_any_work(capsys, tmp_path, monkeypatch, words):
    examples = Path(__file__).parents[1] / "docs" / "examples"
    shutil.copytree(examples, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for name in ("x.csv", "x.png", "x.md", "folder/x.npz", "folder/figure_5.png", "folder/figure_4_orders.csv"):
        (tmp_path / name).write_text("mine")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    code, out, err = invoke(capsys, *words)
    assert (code, out) == (2, "")
    assert "exists; expected a new file, or --force to replace it" in err
    assert err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
    assert (tmp_path / "x.csv").read_text() == "mine"


def test_force_replaces_a_file_but_no_input(capsys, tmp_path):
    example = Path(__file__).parents[1] / "docs" / "examples" / "traffic.csv"
    path = tmp_path / "out.csv"
    path.write_text("mine")
    assert invoke(capsys, "evaluate", "noc", example, "-o", path, "--force")[0] == 0
    assert path.read_text().startswith("case,")
    code, _, err = invoke(capsys, "evaluate", "noc", path, "-o", path, "--force")
    assert code == 2
    assert "is given twice" in err


def test_standard_output_is_written_into_wherever_it_leads(tmp_path):
    example = Path(__file__).parents[1] / "docs" / "examples" / "traffic.csv"
    command = [sys.executable, "-m", "moopim", "evaluate", "noc", str(example), "-o", "/dev/stdout"]
    piped = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert piped.startswith("case,")
    (tmp_path / "log.txt").write_text("before\n")
    with (tmp_path / "log.txt").open("a") as log:
        subprocess.run(command, stdout=log, check=True)
    assert (tmp_path / "log.txt").read_text() == "before\n" + piped


def test_version(capsys):
    assert invoke(capsys, "--version")[1].strip() == moopim.__version__


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "hunnt"), "unknown problem 'hunnt' (did you mean 'hunt'?)"),
        (("run", TOYS, "--algorithm", "nsga9"), "unknown algorithm 'nsga9'"),
        (("run", TOYS, "--evaluations", -5), "evaluations=-5 is not allowed"),
        (("run", TOYS, "--evaluations", "many"), "'--evaluations'"),
        (("run", TOYS, "--evaluations", "many"), "(got 'many')"),
        (("run", TOYS, "--trafic", 2), "--trafic"),
        (("run", TOYS, "--traffic", "x"), "'--traffic'"),
        (("run", TOYS, "--jobs", 0), "jobs=0 is not allowed"),
        (("run", TOYS, "extra"), "extra"),
        (("run", "no_such_file.py:Problem"), "no_such_file.py' does not exist"),
        (("run", "no_such_file.py"), "expected FILE.py:Class"),
        (("run", "no.such.module:Problem"), "cannot be imported"),
        (("run", TOYS.replace("Buffers", "Bufers")), "did you mean 'Buffers'"),
        (("run", TOYS.replace("Buffers", "np")), "is not a subclass of moopim.DesignProblem"),
        (("run", "hunt", "--workload", "resnet99"), "resnet99"),
        (("resume", "no_such_directory"), "'no_such_directory' does not exist"),
        (("plot", "no_such_directory"), "does not exist"),
        (("show", "no_such_thing"), "unknown problem"),
        (("show", TOYS, "--rows", 0), "rows=0 is not allowed"),
        (("show", TOYS, "--design", 1), "Buffers' does not exist"),
        (("compare", TOYS), "--output"),
        (("compare", TOYS, "--algorithms", "nsga2,x", "--output", "cmp"), "unknown algorithm 'x'"),
        (("evaluate", "nothing"), "unknown thing to evaluate 'nothing'"),
        (("fly",), "No such command 'fly'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = invoke(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_an_existing_directory_is_not_overwritten(capsys, finished):
    before = {path.name: path.read_bytes() for path in finished.iterdir()}
    code, _, err = invoke(capsys, "run", TOYS, "--output", finished)
    assert code == 2
    assert "is not empty; 'moopim resume" in err
    assert {path.name: path.read_bytes() for path in finished.iterdir()} == before


def test_a_broken_problem_file_is_one_line(capsys, tmp_path):
    path = tmp_path / "broken_problem.py"
    path.write_text("import moopim\n1 / 0\n")
    code, _, err = invoke(capsys, "run", f"{path}:P")
    assert code == 2
    assert "ZeroDivisionError" in err
    assert err.count("\n") == 1


def test_a_file_with_the_name_of_a_module_is_refused(capsys, tmp_path):
    path = tmp_path / "json.py"
    path.write_text("")
    code, _, err = invoke(capsys, "run", f"{path}:P")
    assert code == 2
    assert "rename the file" in err


def test_python_dash_m_is_the_same_command():
    found = subprocess.run(
        [sys.executable, "-m", "moopim", "resume", "nowhere"], capture_output=True, text=True, check=False
    )
    assert found.returncode == 2
    assert found.stderr == "error: run directory 'nowhere' does not exist\n"


@pytest.mark.parametrize(
    ("words", "folder", "kept", "way_on"),
    [
        (("run",), "a b", "what was evaluated is kept in 'a b'; to go on: moopim resume 'a b'", None),
        (("run", "--jobs", "2"), "a b", "what was evaluated is kept in 'a b'; to go on: moopim resume 'a b'", None),
        (
            ("compare", "--algorithms", "nsga2", "--seeds", "2"),
            "c/nsga2-s1",
            "runs are kept in 'c'; to go on: ",
            "same",
        ),
    ],
    ids=["run", "jobs", "compare"],
)
def test_an_interrupt_says_what_is_kept_and_how_to_go_on(tmp_path, words, folder, kept, way_on):
    toys, output = TOYS.replace("Buffers", "Slow"), folder.split("/")[0]
    words = [words[0], toys, *words[1:], "--evaluations", "9000", "--output", output]
    process = subprocess.Popen(
        [sys.executable, "-m", "moopim", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not (tmp_path / folder / "evaluations.sqlite").exists():
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to worker processes too
    _, err = process.communicate()
    same = f"python -m moopim {shlex.join(words)}" if way_on else ""
    assert (process.returncode, err) == (130, f"error: interrupted; {kept}{same}\n")


def test_a_comparison_without_feasible_designs_says_so(capsys, tmp_path):
    words = ("compare", TOYS.replace("Buffers", "Impossible"), "--algorithms", "random", "--seeds", 2)
    code, out, _ = invoke(capsys, *words, "--evaluations", 50, "--output", tmp_path / "cmp")
    assert code == 0
    assert "no feasible design in any run: none has need >= 1000, the greatest is" in out


def test_an_output_below_a_file_is_one_line(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = invoke(capsys, "run", TOYS, "--evaluations", 10, "--output", tmp_path / "file" / "run")
    assert code == 2
    assert err.count("\n") == 1


def test_an_own_problem_that_needs_options(capsys, tmp_path):
    path = tmp_path / "needy_problem.py"
    path.write_text(
        "from toys import Buffers\n"
        "class Needy(Buffers):\n"
        "    def __init__(self, banks: int):\n"
        "        super().__init__()\n"
        "        if banks < 1: raise ValueError('too few banks')\n"
        "        self.banks = banks\n"
    )
    code, out, _ = invoke(capsys, "show", f"{path}:Needy")
    assert code == 0
    assert "It is made with a value for --banks" in out
    code, _, err = invoke(capsys, "run", f"{path}:Needy", "--banks", -1, "--output", tmp_path / "run")
    assert code == 2
    assert "too few banks" in err
    assert "--banks" in invoke(capsys, "run", f"{path}:Needy")[2]
