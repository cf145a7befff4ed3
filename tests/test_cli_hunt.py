"""``moopim hunt``: tables, files and figures, bad input in one line; a group of commands from an entry point."""

import csv

import pandas as pd
import pytest
import typer

from moopim.cli import groups
from moopim.cli.entry import main
from moopim.errors import ConfigError
from moopim.experiment.plugins import build_problem, rebuild_problem
from moopim.problems.hunt.command import app

pytestmark = pytest.mark.filterwarnings("ignore:.*evaluations leave each")


class Entry:
    """An entry point that gives what it was made with."""

    def __init__(self, found):
        self.load = lambda: found


class Entries(dict):
    """Entry points by name."""

    @property
    def names(self):
        return set(self)


@pytest.fixture
def installed(monkeypatch):
    """Installs commands for the time of a test."""

    def install(**commands):
        monkeypatch.setattr(groups, "_entries", lambda _: Entries({name: Entry(c) for name, c in commands.items()}))

    return install


@pytest.fixture
def call(installed, capsys):
    """Calls ``moopim hunt``; gives exit code, output and errors."""
    installed(hunt=app)

    def run(*words):
        with pytest.raises(SystemExit) as end:
            main(["hunt", *map(str, words)])
        return end.value.code, *capsys.readouterr()

    return run


@pytest.mark.parametrize("words", [("run", "hunt"), ("run", "hunt-weighted"), ("evaluate", "hunt", "designs.csv")])
def test_the_former_spelling_of_override_is_refused_with_the_new_one(capsys, words):
    with pytest.raises(SystemExit) as end:
        main([*words, "--figures", "kappa=4", "--output", "out"])
    assert (end.value.code, capsys.readouterr().err) == (2, "error: option --figures is now called --override\n")
    with pytest.raises(ConfigError, match=r"^option 'figures' of problem 'hunt' is now called 'override'$"):
        build_problem("hunt", {"figures": "kappa=4"})


def test_a_manifest_may_have_the_former_name_of_override():
    assert rebuild_problem("hunt", {"workload": "vgg11", "figures": "kappa=4"}).parameters()["override"] == "kappa=4"


def test_an_entry_point_may_be_a_group_of_commands(installed, capsys):
    own = typer.Typer(no_args_is_help=True, help="Two commands of others.")
    own.command()(lambda: typer.echo("one"))
    own.command(name="second")(lambda count: typer.echo(f"two {count}"))
    own.registered_commands[0].name = "first"
    installed(own=own, plain=lambda: typer.echo("plain"))
    for words, text in ((["own", "first"], "one\n"), (["own", "second", "3"], "two 3\n"), (["plain"], "plain\n")):
        with pytest.raises(SystemExit) as end:
            main(words)
        assert (end.value.code, capsys.readouterr().out) == (0, text)
    with pytest.raises(SystemExit):
        main(["own", "--help"])
    shown = capsys.readouterr().out
    assert "Usage: moopim own" in shown
    assert "Two commands of others." in shown


def test_baselines_are_printed_and_written_with_all_digits(call, tmp_path):
    file = tmp_path / "b.csv"
    code, out, _ = call("baselines", "--workload", "vgg11", "--evaluations", 500, "-o", file)
    assert code == 0
    table = [line.split("|")[1:-1] for line in out.splitlines() if line.startswith("| AccuReD RRGG")]
    tops, over = ([cell.strip() for cell in table[i]] for i in (0, 5))
    assert tops[:2] + tops[4:] == ["AccuReD RRGG", "RRGG", "0.436", "10.3", "-"]
    assert over[4:] == ["3.4", "1.51", "mean 1.4"]
    losses = next(cells for cells in table if "at most" not in cells[-1] and cells[2].strip() == "-")
    assert [cell.strip() for cell in losses[2:4]] == ["-", "-"]
    rows = list(csv.DictReader(file.open()))
    assert len(rows) == 40
    hunt = [row for row in rows if row["architecture"] == "HuNT"]
    assert [row["loss"] == "" for row in hunt] == [True, True, False, False]
    assert all(0 <= float(row["loss"]) <= 0.01 for row in hunt[2:])
    srams = [row for row in rows if row["architecture"] == "SSSS" and row["model"] == "idealised physical"]
    assert [row["period_ns"] for row in srams] == ["15721.26243791405"]


@pytest.mark.parametrize("figure", [3, 5])
def test_a_study_writes_a_figure_and_its_tables(call, tmp_path, figure):
    folder = tmp_path / "new" / "folder"
    code, out, _ = call("study", "--figure", figure, "-o", folder, "--workload", "vgg11", "--evaluations", 600)
    assert code == 0
    assert "paper" in out
    assert (folder / f"figure_{figure}.png").stat().st_size > 10_000
    table = "orders" if figure == 3 else "layers"
    assert not pd.read_csv(folder / f"figure_{figure}_{table}.csv").empty
    assert f"written to {folder}: figure_{figure}.png" in out


@pytest.mark.slow
def test_claims_are_written_or_printed(call, tmp_path):
    file = tmp_path / "claims.md"
    assert call("claims", "--evaluations", 500, "-o", file) == (0, "", "")
    assert file.read_text(encoding="utf-8").startswith("# HuNT's claims")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("baselines", "--workload", "lenet"), "unknown workload 'lenet'"),
        (("baselines", "--dataset", "mnist"), "unknown dataset 'mnist'"),
        (("baselines", "--evaluations", "0"), "evaluations=0 is not allowed; expected 1, 2"),
        (("baselines", "--seed", "-1"), "seed=-1 is not allowed; expected 0, 1"),
        (("baselines", "-o", "no/such/folder.csv"), "output 'no/such/folder.csv' cannot be written"),
        (("study", "--figure", "2", "-o", "out"), "unknown figure '2'"),
        (("study", "--figure", "4", "-o", "out", "--workload", "x"), "unknown workload 'x'"),
        (("study", "--figure", "4", "-o", "file.txt"), "output 'file.txt' cannot be made"),
        (("claims", "--evaluations", "0"), "evaluations=0 is not allowed"),
        (("claims", "-o", "."), "output '.' cannot be written"),
        (("claims", "--evaluations", "many"), "many"),
    ],
)
def test_bad_input_is_one_line(call, words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.txt").write_text("")
    code, out, err = call(*words)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
    assert not (tmp_path / "out" / "figure_2.png").exists()
