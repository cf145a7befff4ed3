"""``moopim hunt``: baselines, studies of the paper's figures, and its claims."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from moopim.errors import ConfigError
from moopim.files import check_files, open_output

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Baselines, studies and claims of HuNT.")

_Seed = Annotated[int, typer.Option(help="Seed of the searches.")]
_Force = Annotated[bool, typer.Option("--force", help="Replace files that exist.")]
_Dataset = Annotated[str, typer.Option(help="Data set that sets input size and classes.")]


@app.command()
def baselines(
    workload: Annotated[str, typer.Option(help="Network, such as vgg16.")] = "vgg16",
    dataset: _Dataset = "cifar10",
    evaluations: Annotated[int, typer.Option(help="Budget of evaluations of each search.")] = 15_000,
    seed: _Seed = 1,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="CSV file to write.")] = None,
    force: _Force = False,
) -> None:
    """Print efficiencies, losses, temperatures and lifetimes of architectures on a network beside the paper's."""
    from moopim.csv_files import write_frame
    from moopim.problems.hunt.paper import architecture_frame, architecture_tables
    from moopim.workload import load_workload

    network = load_workload(workload, dataset)
    if output is not None:
        check_files([], [output], force=force)
    frame = architecture_frame([workload], dataset, evaluations, seed)
    if output is not None:
        write_frame(output, frame)
    typer.echo(f"{network.network}, {network.dataset}. Paper: over all networks; calibrated factors are fitted to it.")
    typer.echo(
        "System model: layers placed by a search; the best TOPS/W, and the best TOPS/mm2 (area in use); no loss."
    )
    typer.echo("Idealised model: pools of arrays, HyDe-like and HuNT placed; TOPS/mm2 of the stack.\n")
    typer.echo(architecture_tables(frame))


@app.command()
def study(
    figure: Annotated[str, typer.Option(help="Number of the paper's figure: 3, 4, 5 or 6.")] = "6",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder of the figure and its tables.", show_default="hunt-figure-NUMBER"),
    ] = None,
    workload: Annotated[
        list[str] | None,
        typer.Option(help="Network; may be given several times for 5 and 6.", show_default="those of the figure"),
    ] = None,
    evaluations: Annotated[
        int | None, typer.Option(help="Budget of evaluations of each search.", show_default="that of the figure")
    ] = None,
    seed: _Seed = 1,
    force: _Force = False,
) -> None:
    """Plot a figure of the paper with each model, with its tables and the paper's numbers beside them."""
    from moopim.problems.hunt.studies import check_figure, make_study

    check_figure(figure)
    folder = _folder(output or Path(f"hunt-figure-{figure}"), [f"figure_{figure}.png", f"figure_{figure}_*.csv"], force)
    made = make_study(figure, tuple(workload or ()), evaluations, seed)
    from moopim.analysis.style import save_figure
    from moopim.csv_files import write_frame

    save_figure(made.plot(), folder / f"figure_{figure}.png")
    for name, frame in made.frames.items():
        write_frame(folder / f"figure_{figure}_{name}.csv", frame)
    typer.echo("\n".join(made.notes))
    typer.echo(
        f"written to {folder}: figure_{figure}.png, {', '.join(f'figure_{figure}_{n}.csv' for n in made.frames)}"
    )


@app.command(hidden=True, context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def draw() -> None:
    """Moved: the command is now ``moopim plot DIR --design N``."""
    raise ConfigError("'moopim hunt draw' is now 'moopim plot DIR --design N'; N is the 'evaluation' of the design")


@app.command()
def claims(
    evaluations: Annotated[int, typer.Option(help="Budget of evaluations of each search.")] = 15_000,
    seed: _Seed = 1,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Markdown file to write.")] = None,
    force: _Force = False,
) -> None:
    """Print the claims of the paper beside what each model gives."""
    from moopim.problems.hunt.paper import claims_page

    if output is not None:
        check_files([], [output], force=force)
    page = claims_page(evaluations, seed)
    if output is None:
        typer.echo(page)
        return
    with open_output(output) as file:
        file.write(page.encode())


def _folder(path: Path, names: Sequence[str], force: bool) -> Path:
    """Make a folder for files of some names, which may have wildcards."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"output {str(path)!r} cannot be made: {error.strerror}") from None
    check_files([], [path / names[0], *(found for name in names[1:] for found in path.glob(name))], force=force)
    return path
