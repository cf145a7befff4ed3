"""Commands of ``moopim``: thin functions over those of the library.

Problems and the commands of ``moopim evaluate`` are found through entry points; the parameters of a problem's
constructor become its options. Heavy modules are imported inside commands, so that ``moopim --help`` answers at once.
"""

import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import moopim
from moopim.cli.groups import EvaluateGroup, ProblemGroup, RootGroup
from moopim.cli.options import Design, Evaluations, Force, Jobs, Quiet, RunDirectory, Screen, Seed
from moopim.errors import ConfigError, interruptible
from moopim.files import check_files
from moopim.messages import command_line, table_lines

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from moopim.experiment.result import RunResult

app = typer.Typer(
    cls=RootGroup,
    help="Multi-objective optimisation of processing-in-memory accelerators.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_DEVICE_COLUMNS = ("letter", "name", "read", "noise", "back-propagation", "storage of a PE", "variants")
_DEVICE_BEHAVIOUR = ("name", "read", "noise", "serves_back_propagation", "nonvolatile", "variant")
# Names of `moopim.analysis.run_figures`.
_RUN_FIGURES = ("front", "front_3d", "parallel", "hypervolume")


def _run(
    problem: Any,
    spec: str,
    *,
    algorithm: Annotated[str, typer.Option(help="Optimiser; 'moopim list' names them.")] = "amosa",
    evaluations: Evaluations = 10_000,
    seed: Seed = 1,
    output: Annotated[
        Path | None, typer.Option(help="New run directory.", show_default="runs/PROBLEM-ALGORITHM-sSEED")
    ] = None,
    jobs: Jobs = 1,
    screen: Screen = False,
    quiet: Quiet = False,
) -> None:
    """Search for the Pareto front of a problem."""
    from moopim.experiment.running import run

    name = type(problem).__name__ if ":" in spec else spec
    directory = output or Path("runs") / f"{name}-{algorithm}-s{seed}"
    settings: dict[str, Any] = {"evaluations": evaluations, "seed": seed, "output": directory, "jobs": jobs}
    with interruptible(lambda: _resuming(directory)):
        result = run(problem, algorithm, **settings, screen=screen, progress=not quiet)
    _say(quiet, f"{result.summary()}\nwritten to {directory}")


def _enumerate(
    problem: Any,
    spec: str,
    *,
    output: Annotated[Path, typer.Option(help="New directory of the enumeration.")],
    hours: Annotated[float, typer.Option(help="Longest time that it may take, as estimated before.")] = 1.0,
    jobs: Jobs = 1,
    quiet: Quiet = False,
) -> None:
    """Evaluate every design of a problem: its true front, for spaces that are small enough."""
    from moopim.experiment.enumerating import enumerate_designs

    def announce(text: str) -> None:
        if not quiet:
            typer.echo(text, err=True)

    settings: dict[str, Any] = {"hours": hours, "output": output, "jobs": jobs}
    with interruptible(lambda: _resuming(output)):
        result = enumerate_designs(problem, **settings, progress=not quiet, announce=announce)
    _say(quiet, f"{result.summary()}\nwritten to {output}")


def _compare(
    problem: Any,
    spec: str,
    *,
    algorithms: Annotated[str, typer.Option(help="Optimisers, separated by commas.")] = "amosa,nsga2,random",
    seeds: Annotated[int, typer.Option(help="Number of seeds, from 1.")] = 5,
    evaluations: Evaluations = 10_000,
    output: Annotated[Path, typer.Option(help="Directory of the comparison.")],
    true_front: Annotated[
        str | None,
        typer.Option(help="Known front of the whole space: FILE.csv, directory of an enumeration, or a bundled one."),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Number of runs at a time.")] = 1,
    screen: Screen = False,
    quiet: Quiet = False,
) -> None:
    """Compare optimisers on a problem; an interrupted comparison continues where it was."""
    import pandas as pd

    from moopim.analysis import comparison_figures, indicator_table, rank_by_indicators, ranking_text, save_figures
    from moopim.experiment.comparing import compare
    from moopim.experiment.frames import unmet_bounds
    from moopim.experiment.true_fronts import read_true_front

    front = None if true_front is None else read_true_front(true_front, problem.objectives, problem=problem)
    names = [name.strip() for name in algorithms.split(",") if name.strip()]
    settings: dict[str, Any] = {"seeds": seeds, "evaluations": evaluations, "output": output, "jobs": jobs}
    with interruptible(lambda: f"runs are kept in {str(output)!r}; to go on: {command_line(sys.argv)}"):
        results = compare(problem, names, **settings, screen=screen, progress=not quiet)
    if not any(result.feasible for result in results):
        every = pd.concat([result.evaluations for result in results])
        reason = unmet_bounds(every, problem.constraints, problem.limits)
        _say(quiet, f"no feasible design in any run: {reason}\nthe runs are in {output}\n{results[0].summary()}")
        return
    indicators = indicator_table(results, problem.objectives, true_front=front)
    table = rank_by_indicators(indicators)
    table.to_csv(output / "comparison.csv", index=False)
    figures = save_figures(comparison_figures(results, problem.objectives, indicators), output)
    _say(
        quiet,
        f"{ranking_text(table)}\nwritten to {output}: comparison.csv, {', '.join(path.name for path in figures)}",
    )


class _RunGroup(ProblemGroup):
    function = staticmethod(_run)


class _EnumerateGroup(ProblemGroup):
    function = staticmethod(_enumerate)


class _CompareGroup(ProblemGroup):
    function = staticmethod(_compare)


_USAGE: dict[str, Any] = {"options_metavar": "", "subcommand_metavar": "PROBLEM [OPTIONS]"}
_PROBLEM_HELP = " PROBLEM is a name of 'moopim list' or FILE.py:Class."
app.add_typer(
    typer.Typer(cls=_RunGroup, no_args_is_help=True, **_USAGE),
    name="run",
    help=f"Search for a Pareto front.{_PROBLEM_HELP}",
)
app.add_typer(
    typer.Typer(cls=_EnumerateGroup, no_args_is_help=True, **_USAGE),
    name="enumerate",
    help=f"Evaluate a whole space for its true front.{_PROBLEM_HELP}",
)
app.add_typer(
    typer.Typer(cls=_CompareGroup, no_args_is_help=True, **_USAGE),
    name="compare",
    help=f"Compare optimisers.{_PROBLEM_HELP}",
)
app.add_typer(
    typer.Typer(cls=EvaluateGroup, no_args_is_help=True), name="evaluate", help="Evaluate given designs, no search."
)
_devices = typer.Typer(help="List the devices of the PEs of the 3-D stack.", add_completion=False)
app.add_typer(_devices, name="devices")


@app.command()
def resume(
    directory: RunDirectory,
    jobs: Annotated[int | None, typer.Option(help="Number of processes.", show_default="as before")] = None,
    drop_damaged: Annotated[
        bool, typer.Option("--drop-damaged", help="Drop damaged parts of the evaluation log and evaluate them again.")
    ] = False,
    changed_source: Annotated[
        bool, typer.Option("--changed-source", help="The logged results hold though the problem's source has changed.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Resume an interrupted run or enumeration, to the result that it would have had."""
    from moopim.experiment.running import resume as resume_run

    with interruptible(lambda: _resuming(directory)):
        result = resume_run(
            directory, jobs=jobs, progress=not quiet, drop_damaged=drop_damaged, changed_source=changed_source
        )
    _say(quiet, f"{result.summary()}\nwritten to {directory}")


@app.command()
def plot(
    directory: RunDirectory,
    design: Design = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder of the figures.",
            show_default="the run directory, design_N in it for --design",
        ),
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Plot the front, the search and the trade-offs of a run, or one design of it.

    In the run directory, its own figures are plotted anew.
    """
    from moopim.experiment.result import load_run

    result = load_run(directory)
    figures = {} if design is None else _design_figures(result, design)
    target = output or (directory if design is None else directory / f"design_{design}")
    target.mkdir(parents=True, exist_ok=True)
    own = output is None or target.resolve() == directory.resolve()
    check_files([], [target / f"{name}.png" for name in figures or _RUN_FIGURES], force=force or own)
    from moopim.analysis import run_figures, save_figures

    figures = figures or run_figures(result.evaluations, result.objectives)
    for path in save_figures(figures, target):
        _say(quiet, str(path))


def _design_figures(result: "RunResult", number: int) -> "dict[str, Figure]":
    """Figures of one design as its problem plots it, or else those of any problem."""
    from moopim.experiment.designs import find_design

    design = find_design(result, number)
    if (problem := design.problem) is not None:
        with problem.naming_faults("plot_design"):
            if figures := problem.plot_design(design.decoded(problem), f"design {number}"):
                return figures
    from moopim.analysis import design_figures

    return design_figures(result.evaluations, result.objectives, design.genes, number)


@app.command(name="list")
def list_all() -> None:
    """List the problems and the optimisers with a description of each."""
    from moopim.algorithms.registry import algorithm_names
    from moopim.experiment.plugins import problem_entries

    problems = {name: f"{_first_line(entry.load())} ({entry.value})" for name, entry in problem_entries().items()}
    for title, names in (("problems", problems), ("algorithms", algorithm_names())):
        width = max(map(len, names), default=0)
        lines = [f"  {name.ljust(width)}  {text}" for name, text in names.items()]
        typer.echo("\n".join([title, *lines]))


@app.command()
def show(
    target: Annotated[str, typer.Argument(help="A run directory, a problem, or FILE.py:Class.")],
    rows: Annotated[int, typer.Option(help="Number of designs to show of a run.")] = 20,
    design: Design = None,
) -> None:
    """Show the result of a run or one design of it, or the genome and the quantities of a problem."""
    from moopim.experiment.plugins import build_problem, constructor_parameters, load_problem
    from moopim.experiment.result import load_run

    if rows < 1:
        raise ConfigError(f"rows={rows} is not allowed; expected 1, 2, ...")
    if design is not None:
        from moopim.experiment.designs import design_text, find_design

        typer.echo(design_text(find_design(load_run(target), design)))
        return
    if Path(target).is_dir():
        from moopim.experiment.steps import steps_text

        directory = Path(target)
        typer.echo(steps_text(directory) or load_run(directory).summary(rows))
        return
    cls = load_problem(target)
    needed = [item.name for item in constructor_parameters(cls) if item.default is inspect.Parameter.empty]
    if needed:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in needed)
        typer.echo(f"{target}: {_first_line(cls)}")
        typer.echo(f"It is made with a value for {options}; 'moopim run {target} --help' has all options.")
        return
    problem = build_problem(target, {})
    typer.echo(f"{problem!r}: {_first_line(type(problem))}\n{problem.genome!r}")
    for kind, quantities in (
        ("objective", problem.objectives),
        ("constraint", problem.constraints),
        ("limit", problem.limits),
        ("metric", problem.metrics),
    ):
        for quantity in quantities:
            detail = getattr(quantity, "sense", "") or getattr(quantity, "bounds", "")
            typer.echo(f"{kind}  {quantity.label}  {detail}".rstrip())


@_devices.callback(invoke_without_command=True)
def list_devices(context: typer.Context) -> None:
    """List the devices of the PEs of the 3-D stack."""
    from moopim.hardware.stack.devices import built_in_devices, load_devices

    if context.invoked_subcommand:
        return
    rows = [_DEVICE_COLUMNS]
    for device in load_devices(",".join(built_in_devices())):
        bits = device.rows * device.columns * device.bits_per_cell * device.arrays_per_pe
        storage = f"{bits / 1e6:.2f} Mbit" if device.read != "macs" else "-"
        serves = "yes" if device.serves_back_propagation else "no"
        variants = ", ".join(built_in_devices()[device.letter].get("variants", {})) or "-"
        rows.append((device.letter, device.name, device.read, device.noise, serves, storage, variants))
    typer.echo("\n".join(table_lines(rows)))
    typer.echo("\nmoopim devices show NAME, NAME:VARIANT or FILE.toml prints constants and sources")


@_devices.command("show")
def show_device(name: Annotated[str, typer.Argument(help="Letter or name, NAME:VARIANT, or FILE.toml.")]) -> None:
    """Print the constants of a device with their units and sources."""
    from moopim.hardware.stack.devices import device_tables, load_devices

    load_devices(name)  # checks a file of one's own
    for letter, table in device_tables(name).items():
        _print_device(letter, table)


def _print_device(letter: str, table: dict[str, Any]) -> None:
    from moopim.constants import constant

    typer.echo(f"{letter}: " + ", ".join(f"{key} {table[key]}" for key in _DEVICE_BEHAVIOUR if key in table))
    rows: list[tuple[str, ...]] = [("constant", "value", "unit", "kind", "source")]
    for key, entry in table.items():
        if isinstance(entry, dict) and key != "variants":
            rows.append((key, f"{constant(key, entry):g}", entry["unit"], entry["kind"], entry["source"]))
        elif key not in (*_DEVICE_BEHAVIOUR, "variants"):
            rows.append((key, f"{entry:g}", "", "", "no source given"))
    typer.echo("\n".join(table_lines(rows)))
    if table.get("variants"):
        typer.echo(f"variants: {', '.join(table['variants'])}")


def _version(value: bool) -> None:
    if value:
        typer.echo(moopim.__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Multi-objective optimisation of processing-in-memory accelerators."""


def _resuming(directory: Path) -> str:
    """Message after Ctrl-C: the run directory and the command that resumes it."""
    from moopim.experiment.manifest import MANIFEST

    if not (directory / MANIFEST).is_file():
        return f"nothing was begun; to begin: {command_line(sys.argv)}"
    words = ("moopim", "resume", str(directory))
    return f"what was evaluated is kept in {str(directory)!r}; to go on: {command_line(words)}"


def _say(quiet: bool, text: str) -> None:
    if not quiet:
        typer.echo(text)


def _first_line(cls: type) -> str:
    return inspect.cleandoc(cls.__doc__ or "").split("\n")[0]
