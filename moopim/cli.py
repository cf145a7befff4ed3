"""The command ``moopim``: thin commands over the functions of the library.

Problems, and what ``moopim evaluate`` can evaluate, are found through entry points; a problem's constructor parameters
become its options. Heavy modules are imported inside the commands, so that ``moopim --help`` answers at once.
"""

import inspect
import re
import sys
import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

import moopim
from moopim.errors import ConfigError, MoopimError, unknown_name

__all__ = ["app", "main"]

app = typer.Typer(
    help="Multi-objective optimisation of processing-in-memory accelerators.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

# What typer returns after Ctrl-C.
_INTERRUPTED = 130

Seed = Annotated[int, typer.Option(help="Seed of all random numbers.")]
Evaluations = Annotated[int, typer.Option(help="Budget of evaluations.")]
Jobs = Annotated[int, typer.Option(help="Number of processes; the result does not depend on it.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]
Directory = Annotated[Path, typer.Argument(help="A run directory.")]


class _LazyGroup(TyperGroup):
    """A group whose commands are made when they are asked for."""

    @abstractmethod
    def make(self, name: str) -> Callable[..., None]:
        """The function behind a command; its signature gives the options."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        sub_app = typer.Typer(add_completion=False)
        sub_app.command(name=cmd_name)(self.make(cmd_name))
        return typer.main.get_command(sub_app)


class _ProblemGroup(_LazyGroup):
    """One command per problem: the options of the group's function, then those of the problem."""

    function: Callable[..., None]

    def list_commands(self, ctx: Any) -> list[str]:
        from moopim.experiment.plugins import problem_entries

        return list(problem_entries())

    def make(self, name: str) -> Callable[..., None]:
        return _with_problem_options(type(self).function, name)


def _with_problem_options(function: Callable[..., None], spec: str) -> Callable[..., None]:
    """Makes a command out of ``function(problem, spec, **options)`` by giving it the options of a problem."""
    from moopim.experiment.plugins import build_problem, constructor_parameters, load_problem

    cls = load_problem(spec)
    own = [item for item in inspect.signature(function).parameters.values() if item.name not in ("problem", "spec")]
    parameters = constructor_parameters(cls)
    for parameter in parameters:
        if parameter.name in {item.name for item in own}:
            raise ConfigError(f"parameter {parameter.name!r} of {cls.__name__} has the name of an option of moopim")

    def command(**options: Any) -> None:
        chosen = {parameter.name: options.pop(parameter.name) for parameter in parameters}
        function(build_problem(spec, chosen), spec, **options)

    panel = f"Options of {cls.__name__}"
    about, helps = _describe(cls)
    extra = [
        inspect.Parameter(
            parameter.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=parameter.default,
            annotation=Annotated[
                parameter.annotation, typer.Option(help=helps.get(parameter.name), rich_help_panel=panel)
            ],
        )
        for parameter in parameters
    ]
    own = [item.replace(kind=inspect.Parameter.KEYWORD_ONLY) for item in own]
    signature = inspect.Signature([*own, *extra])
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {item.name: item.annotation for item in signature.parameters.values()}
    command.__doc__ = f"{(function.__doc__ or '').strip()}\n\n{about}"
    return command


def _describe(cls: type) -> tuple[str, dict[str, str]]:
    """A problem's docstring without its sections, and what its section ``Args`` says of each parameter."""
    about, _, rest = (inspect.getdoc(cls) or "").partition("\nArgs:\n")
    section = rest.split("\n\n")[0]
    entries = re.split(r"^ {4}(\w+): ", section, flags=re.MULTILINE)[1:]
    helps = {name: " ".join(text.split()) for name, text in zip(entries[::2], entries[1::2], strict=True)}
    return about.split("\nAttributes:\n")[0].strip(), helps


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
    quiet: Quiet = False,
) -> None:
    """Search for the Pareto front of a problem."""
    from moopim.experiment import run

    name = type(problem).__name__ if ":" in spec else spec
    directory = output or Path("runs") / f"{name}-{algorithm}-s{seed}"
    settings: dict[str, Any] = {"evaluations": evaluations, "seed": seed, "output": directory, "jobs": jobs}
    result = run(problem, algorithm, **settings, progress=not quiet)
    _say(quiet, f"{result.summary()}\nwritten to {directory}")


def _compare(
    problem: Any,
    spec: str,
    *,
    algorithms: Annotated[str, typer.Option(help="Optimisers, separated by commas.")] = "amosa,nsga2,random",
    seeds: Annotated[int, typer.Option(help="Number of seeds, from 1.")] = 5,
    evaluations: Evaluations = 10_000,
    output: Annotated[Path, typer.Option(help="Directory of the comparison.")],
    jobs: Annotated[int, typer.Option(help="Number of runs at a time.")] = 1,
    quiet: Quiet = False,
) -> None:
    """Compare optimisers on a problem; an interrupted comparison goes on where it was."""
    from moopim.analysis import compare_indicators, indicator_table, plot_comparison
    from moopim.experiment import compare

    names = [name.strip() for name in algorithms.split(",") if name.strip()]
    settings: dict[str, Any] = {"seeds": seeds, "evaluations": evaluations, "output": output, "jobs": jobs}
    results = compare(problem, names, **settings, progress=not quiet)
    if not any(result.feasible for result in results):
        _say(quiet, f"nothing feasible was found in any run; the runs are in {output}\n{results[0].summary()}")
        return
    indicators = indicator_table(results, problem.objectives)
    table = compare_indicators(indicators)
    table.to_csv(output / "comparison.csv", index=False)
    pictures = plot_comparison(results, problem.objectives, output, indicators)
    text = table.to_string(index=False, float_format=lambda value: f"{value:.4g}")
    _say(quiet, f"{text}\nwritten to {output}: comparison.csv, {', '.join(path.name for path in pictures)}")


class _RunGroup(_ProblemGroup):
    function = staticmethod(_run)


class _CompareGroup(_ProblemGroup):
    function = staticmethod(_compare)


class _EvaluateGroup(_LazyGroup):
    """What can be evaluated without a search; the entry points of the group ``moopim.evaluate``."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(entry_points(group="moopim.evaluate").names)

    def make(self, name: str) -> Callable[..., None]:
        found = list(entry_points(group="moopim.evaluate", name=name))
        if not found:
            raise unknown_name("thing to evaluate", name, sorted(entry_points(group="moopim.evaluate").names))
        return found[0].load()  # type: ignore[no-any-return]


_PROBLEM_HELP = " PROBLEM is a name of 'moopim list' or FILE.py:Class."
app.add_typer(
    typer.Typer(cls=_RunGroup, no_args_is_help=True), name="run", help=f"Search for a Pareto front.{_PROBLEM_HELP}"
)
app.add_typer(
    typer.Typer(cls=_CompareGroup, no_args_is_help=True), name="compare", help=f"Compare optimisers.{_PROBLEM_HELP}"
)
app.add_typer(
    typer.Typer(cls=_EvaluateGroup, no_args_is_help=True), name="evaluate", help="Evaluate given designs, no search."
)


@app.command()
def resume(
    directory: Directory,
    jobs: Annotated[int | None, typer.Option(help="Number of processes.", show_default="as before")] = None,
    quiet: Quiet = False,
) -> None:
    """Go on with an interrupted run, to the result that it would have had."""
    from moopim.experiment import resume as resume_run

    result = resume_run(directory, jobs=jobs, progress=not quiet)
    _say(quiet, f"{result.summary()}\nwritten to {directory}")


@app.command()
def plot(
    directory: Directory,
    output: Annotated[
        Path | None, typer.Option(help="Where the pictures go.", show_default="the run directory")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Draw the front, the search and the trade-offs of a finished run."""
    from moopim.analysis import plot_run
    from moopim.experiment import load_run

    result = load_run(directory)
    target = output or directory
    target.mkdir(parents=True, exist_ok=True)
    for path in plot_run(result.evaluations, result.objectives, target):
        _say(quiet, str(path))


@app.command(name="list")
def list_all() -> None:
    """List the problems and the optimisers, with what they are."""
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
) -> None:
    """Show the result of a run, or the genome and the quantities of a problem."""
    from moopim.experiment import load_run
    from moopim.experiment.plugins import build_problem

    if rows < 1:
        raise ConfigError(f"rows={rows} is not allowed; expected 1, 2, ...")
    if Path(target).is_dir():
        typer.echo(load_run(target).summary(rows))
        return
    problem = build_problem(target, {})
    typer.echo(f"{problem!r}: {_first_line(type(problem))}\n{problem.genome!r}")
    for kind, quantities in (
        ("objective", problem.objectives),
        ("constraint", problem.constraints),
        ("metric", problem.metrics),
    ):
        for quantity in quantities:
            detail = getattr(quantity, "sense", "") or getattr(quantity, "bounds", "")
            typer.echo(f"{kind}  {quantity.label}  {detail}".rstrip())


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


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command; every expected error becomes one line on standard error and exit code 2.

    Args:
        arguments: Words of the command line; those of the process where not given.

    Raises:
        SystemExit: Always, with the exit code.
    """
    warnings.showwarning = lambda message, *_: typer.echo(f"warning: {message}", err=True)
    try:
        code = app(args=arguments, prog_name="moopim", standalone_mode=False)
    except typer.TyperException as error:
        _fail(_explain(error), 2)
    except (MoopimError, OSError) as error:
        _fail(str(error), 2)
    if code == _INTERRUPTED:
        _fail("interrupted; 'moopim resume DIRECTORY' goes on with a run, a comparison when it is called again", code)
    sys.exit(code if isinstance(code, int) else 0)


def _explain(error: typer.TyperException) -> str:
    """The message of a wrong option, with the value that was given: typer leaves it out."""
    cause = error.__cause__
    details = cause.errors() if isinstance(cause, ValidationError) else []
    given = f" (got {details[0]['input']!r})" if details else ""
    return f"{error.format_message()}{given}"


def _fail(message: str, code: int) -> None:
    # An empty message comes from a bare group, which has shown its help already.
    if message:
        typer.echo(f"error: {' '.join(message.split())}", err=True)
    sys.exit(code)


def _say(quiet: bool, text: str) -> None:
    if not quiet:
        typer.echo(text)


def _first_line(cls: type) -> str:
    return (inspect.getdoc(cls) or "").split("\n")[0]
