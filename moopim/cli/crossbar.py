"""``moopim evaluate crossbar``: outputs of layers in files, as crossbars with their converters compute them."""

import os
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from moopim.cli.options import ComputeDevice, Force
from moopim.errors import ConfigError
from moopim.files import check_files
from moopim.messages import count


def evaluate_crossbar(
    layers: Annotated[list[Path], typer.Argument(help="NPZ files: inputs X, weights W or cells, and meta.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results, made where there is none.")],
    fuse: Annotated[
        bool, typer.Option(help="Compute columns together that lose nothing in their ADCs; the result is the same.")
    ] = True,
    force: Force = False,
    device: ComputeDevice = "cpu",
) -> None:
    """Compute layers as crossbars do.

    For each file, a file of the same name gets the codes of the output (Ycode), their values (Y), and the sums before
    rounding (Yint).
    """
    from moopim.network.crossbar import evaluate_layer_file, read_layer, write_layer_result
    from moopim.network.tools import check_device

    targets = _targets(layers, output, force)
    check_device(device)
    # Each is read twice, so that a fault in the last one shows before the first is computed.
    for path in layers:
        read_layer(path)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"output folder {str(output)!r} cannot be made: {error.strerror}") from None
    for path, target in zip(layers, targets, strict=True):
        write_layer_result(target, evaluate_layer_file(read_layer(path), fuse=fuse, device=device))
    typer.echo(f"{count(len(layers), 'layer')}; written to {output}")


def _targets(layers: list[Path], output: Path, force: bool) -> list[Path]:
    """Files of the results, one per layer and never one that is read."""
    name, times = Counter(path.stem for path in layers).most_common(1)[0]
    if times > 1:
        raise ConfigError(f"{times} layer files are called {name!r}; expected different names, as results get them")
    targets = [output / f"{path.stem}.npz" for path in layers]
    for target in targets:
        if os.path.realpath(target) in {os.path.realpath(path) for path in layers}:
            raise ConfigError(f"result {str(target)!r} would replace a layer file; expected another output folder")
    if output.is_dir():
        check_files([], targets, force=force)
    return targets
