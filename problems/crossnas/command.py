"""Command ``moopim crossnas``: from images to a tuned network on its PIM circuit."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from moopim.errors import ConfigError, interruptible
from moopim.messages import command_line

_SEARCH = "Options of the searches"
_TRAINING = "Options of the training"


def crossnas(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of all results; what it has is continued.")],
    data: Annotated[
        str | None,
        typer.Option(help="Images, such as digits or cifar10.", show_default="that of the preset"),
    ] = None,
    root: Annotated[str | None, typer.Option(help="Folder of the images, if they are read from files.")] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="Sizes: demo, digits, shapes32, paper or FILE.toml.", show_default="that of the data, or paper"
        ),
    ] = None,
    w_acc: Annotated[
        str,
        typer.Option(help="Weights of the accuracy in the fitness, such as 0.99,0.8,0.5.", rich_help_panel=_SEARCH),
    ] = "0.8",
    algorithm: Annotated[
        str, typer.Option(help="Optimiser of both searches, such as nsga2 or amosa.", rich_help_panel=_SEARCH)
    ] = "topk",
    reference: Annotated[
        str | None,
        typer.Option(
            help="EDP_ref of the fitness: a network, median (of random networks) or mJ ms.",
            show_default="that of the preset",
            rich_help_panel=_SEARCH,
        ),
    ] = None,
    simulator: Annotated[
        str | None,
        typer.Option(
            help="FILE.py:Class of another PIM simulator.", show_default="the planar chip", rich_help_panel=_SEARCH
        ),
    ] = None,
    upper: Annotated[
        str, typer.Option("--max", help="Upper limits, such as area=200,energy=1.", rich_help_panel=_SEARCH)
    ] = "",
    lower: Annotated[
        str, typer.Option("--min", help="Lower limits, such as accuracy=0.9.", rich_help_panel=_SEARCH)
    ] = "",
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 1,
    device: Annotated[
        str, typer.Option(help="Device of trainings and accuracies, such as cuda.", rich_help_panel=_TRAINING)
    ] = "cpu",
    step: Annotated[
        list[str] | None,
        typer.Option(
            help="Make this step only: supernet, architecture, training, circuit or final; repeatable.",
            show_default="all",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Make steps anew that have been made.")] = False,
    jobs: Annotated[
        int, typer.Option(help="Number of processes of the searches; the result does not depend on it.")
    ] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Search a CNN, its bit widths and its PIM circuit together (CrossNAS).

    Five steps: training of a supernet, search for a network, its training, search for bits and a circuit, and a last
    tuning. Each is made once: the same command continues where it was interrupted.
    """
    from moopim.problems.crossnas.pipeline import STEPS, Pipeline
    from moopim.problems.crossnas.settings import Settings, default_preset

    def say(text: str) -> None:
        if not quiet:
            typer.echo(text)

    settings = Settings(
        output=output,
        preset=preset or default_preset(data or "digits"),
        data=data,
        root=root,
        w_acc=_numbers(w_acc),
        algorithm=algorithm,
        seed=seed,
        reference=reference,
        simulator=simulator,
        max=upper,
        min=lower,
        device=device,
        jobs=jobs,
        progress=not quiet,
    )
    pipeline = Pipeline(settings, asked=tuple(step or STEPS), force=force, say=say)
    # A forced step that was interrupted continues without force.
    again = command_line([word for word in sys.argv if word != "--force"])
    with interruptible(lambda: f"what was made is kept in {str(output)!r}; to go on: {again}"):
        pipeline.run()
    if "final" in pipeline.asked:
        from moopim.problems.crossnas.report import write_report  # loads matplotlib: not before the end

        say(write_report(pipeline))


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise ConfigError(f"w_acc={text!r} is not allowed; expected numbers from 0 to 1, such as 0.99,0.8") from None
