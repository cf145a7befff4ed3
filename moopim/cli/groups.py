"""Groups of commands that are found through entry points and made on demand."""

import inspect
import re
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from moopim.errors import ConfigError, unknown_name

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints


class LazyGroup(TyperGroup):
    """Group whose commands are made on demand."""

    @abstractmethod
    def make(self, name: str) -> Callable[..., None] | typer.Typer:
        """Function of a command by name, whose signature gives the options; or a group of commands."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Command of a name."""
        made = self.make(cmd_name)
        if isinstance(made, typer.Typer):
            group = typer.main.get_command(made)
            group.name = cmd_name
            return group
        sub_app = typer.Typer(add_completion=False)
        sub_app.command(name=cmd_name)(made)
        return typer.main.get_command(sub_app)


class RootGroup(LazyGroup):
    """Commands of moopim and those of the entry points of the group ``moopim.commands``."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of all commands."""
        return [*self.commands, *sorted(_entries("moopim.commands").names - self.commands.keys())]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Command of moopim or of an entry point."""
        if cmd_name in self.commands or cmd_name not in _entries("moopim.commands").names:
            return TyperGroup.get_command(self, ctx, cmd_name)
        return super().get_command(ctx, cmd_name)

    def make(self, name: str) -> Callable[..., None] | typer.Typer:
        """Function of a command, or a group of commands as a `typer.Typer`, from an entry point."""
        return _entries("moopim.commands")[name].load()  # type: ignore[no-any-return]


class ProblemGroup(LazyGroup):
    """One command per problem: the options of the group's function, then those of the problem."""

    function: Callable[..., None]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Help with the options that all problems share, which are typed after the problem."""
        sub_app = typer.Typer(add_completion=False)
        sub_app.command()(_as_command(lambda **_: None, _shared_parameters(type(self).function)))
        shared = typer.main.get_command(sub_app).params
        for option in shared:
            option.rich_help_panel = "Options behind PROBLEM"  # type: ignore[attr-defined]
        self.params, params = [*self.params, *shared], self.params
        try:
            super().format_help(ctx, formatter)
        finally:
            self.params = params

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of the installed problems."""
        from moopim.experiment.plugins import problem_entries

        return list(problem_entries())

    def make(self, name: str) -> Callable[..., None]:
        """Group's function with the options of a problem."""
        return _with_problem_options(type(self).function, name)


def _with_problem_options(function: Callable[..., None], spec: str) -> Callable[..., None]:
    """Command made of ``function(problem, spec, **options)`` and the options of a problem."""
    from moopim.experiment.plugins import build_problem, constructor_parameters, load_problem

    cls = load_problem(spec)
    shared = _shared_parameters(function)
    parameters = constructor_parameters(cls)
    for parameter in parameters:
        if parameter.name in {item.name for item in shared}:
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
    # The problem comes first: the list of problems shows the first line.
    command.__doc__ = f"{about}\n\n{(function.__doc__ or '').strip()}"
    return _as_command(command, [*shared, *extra])


def _shared_parameters(function: Callable[..., None]) -> list[inspect.Parameter]:
    """Options of a group's function."""
    parameters = inspect.signature(function).parameters.values()
    return [item.replace(kind=item.KEYWORD_ONLY) for item in parameters if item.name not in ("problem", "spec")]


def _as_command(command: Callable[..., None], parameters: Sequence[inspect.Parameter]) -> Callable[..., None]:
    """Function with the parameters that typer reads as options."""
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {item.name: item.annotation for item in parameters}
    return command


def _describe(cls: type) -> tuple[str, dict[str, str]]:
    """Docstring of a problem without its sections, and the text of each parameter in its section ``Args``."""
    about, _, rest = inspect.cleandoc(cls.__doc__ or "").partition("\nArgs:\n")
    section = rest.split("\n\n")[0]
    entries = re.split(r"^ {4}(\w+): ", section, flags=re.MULTILINE)[1:]
    helps = {name: " ".join(text.split()) for name, text in zip(entries[::2], entries[1::2], strict=True)}
    return about.split("\nAttributes:\n")[0].strip(), helps


class EvaluateGroup(LazyGroup):
    """Evaluations without a search; the entry points of the group ``moopim.evaluate``."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of the evaluations."""
        return sorted(_entries("moopim.evaluate").names)

    def make(self, name: str) -> Callable[..., None]:
        """Function of an entry point."""
        entries = _entries("moopim.evaluate")
        if name not in entries.names:
            raise unknown_name("thing to evaluate", name, sorted(entries.names))
        return entries[name].load()  # type: ignore[no-any-return]


@cache
def _entries(group: str) -> "EntryPoints":
    """Entry points of a group, cached, since help asks for each command."""
    from importlib.metadata import entry_points  # a tenth of the start

    return entry_points(group=group)
