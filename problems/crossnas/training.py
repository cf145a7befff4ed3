"""What the steps of the pipeline train, and what comes of it; needs torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from moopim.files import write_atomically
from moopim.network.accuracy import accuracy
from moopim.network.blocks import make_network
from moopim.network.calibration import calibration_images, recalibrate
from moopim.network.crossbar import Circuit, CrossbarDesign
from moopim.network.datasets import ImageData, Split, standard_augmentation
from moopim.network.network_files import load_network, save_network, save_supernet
from moopim.network.quantisation import calibrate, quantise_module, sampling_forward, set_bits
from moopim.network.subnets import Block
from moopim.network.supernet import Supernet, single_path_forward
from moopim.network.tools import Forward
from moopim.network.training import fit
from moopim.problems.crossnas.crossbar_accuracy import pim_accuracies
from moopim.problems.crossnas.simulators import PimSimulator

__all__ = ["train_network", "train_supernet", "tune_network"]


def train_supernet(
    supernet: Supernet, data: ImageData, recipe: str, path: Path, *, epochs: int | None, **options: Any
) -> dict[str, Any]:
    """Trains a supernet, one random network at each step (section 3.1).

    Args:
        supernet: The supernet; changed.
        data: The images.
        recipe: Name of a recipe.
        path: File for its weights; ``training.csv`` beside it gets the log.
        epochs: Epochs in place of those of the recipe.
        **options: ``augmented``, ``seed``, ``device`` and ``progress`` of the training.

    Returns:
        Loss and accuracy on the last epoch's training images.
    """
    frame = _fit(supernet, data, recipe, path, "training.csv", epochs, single_path_forward, **options)
    save_supernet(supernet, path, {"recipe": recipe, "data": data.name})
    _checkpoint(path).unlink()
    last = frame.iloc[-1]
    return {"loss": float(last["loss"]), "train_accuracy": float(last["train_accuracy"])}


def train_network(
    subnet: Sequence[Block],
    data: ImageData,
    recipes: Mapping[str, str],
    plain: Path,
    mixed: Path,
    *,
    epochs: Mapping[str, int | None],
    calibration: int,
    **options: Any,
) -> dict[str, Any]:
    """Trains a network in floating point, and from there at random widths (section 3.3).

    Args:
        subnet: Its blocks.
        data: The images.
        recipes: Names of recipes: ``float`` and ``quantisation``.
        plain: File for the weights in floating point.
        mixed: File for those at random widths.
        epochs: Epochs in place of those of the recipes.
        calibration: Training images from which batch norms are measured.
        **options: As for `train_supernet`.

    Returns:
        Accuracies on the validation images: in floating point, and at 9 bits.
    """
    made = (subnet, data.image_shape, data.classes)
    device = options["device"]
    images = calibration_images(data, calibration).to(device)
    if not plain.exists():
        new = make_network(*made, seed=options["seed"])
        _fit(new, data, recipes["float"], plain, "float.csv", epochs["float"], None, **options)
        save_network(new, plain, *made, {"recipe": recipes["float"], "data": data.name})
    _checkpoint(plain).unlink(missing_ok=True)
    net = load_network(plain).net.to(device)
    found = {"float_accuracy": accuracy(net, data.validation)}
    quantised = quantise_module(net, data.image_shape)
    calibrate(quantised, images)
    log, forward = "mixed.csv", sampling_forward()
    _fit(quantised, data, recipes["quantisation"], mixed, log, epochs["quantisation"], forward, **options)
    set_bits(quantised, 9, 9)
    recalibrate(quantised, images)
    save_network(quantised, mixed, *made, {"recipe": recipes["quantisation"], "data": data.name})
    _checkpoint(mixed).unlink()
    return found | {"quantised_accuracy": accuracy(quantised, data.validation)}


def tune_network(
    plain: Path,
    mixed: Path,
    data: ImageData,
    recipe: str,
    path: Path,
    *,
    widths: Mapping[str, Sequence[int]],
    circuit: Circuit,
    simulator: PimSimulator,
    epochs: int,
    calibration: int,
    **options: Any,
) -> dict[str, Any]:
    """Tunes a network at its widths and evaluates it as its circuit computes it.

    The weights that do better on the validation images, before or after the tuning, are kept.

    Args:
        plain: File of its weights in floating point.
        mixed: File of those at random widths.
        data: The images.
        recipe: Name of a recipe.
        path: File for the weights.
        widths: ``weight_bits`` and ``activation_bits`` of its layers.
        circuit: The circuit.
        simulator: Finds the accuracies of the circuit in place of moopim's crossbars, if it can.
        epochs: Epochs in place of those of the recipe.
        calibration: Training images from which batch norms are measured.
        **options: As for `train_supernet`.

    Returns:
        Accuracies: on the validation images before and after the tuning, and on the test images in floating point,
        quantised and on crossbars.
    """
    device = options["device"]
    images = calibration_images(data, calibration).to(device)
    stored = load_network(mixed)
    bits = (tuple(widths["weight_bits"]), tuple(widths["activation_bits"]))
    design = CrossbarDesign(*bits, circuit)
    before, net = load_network(mixed).net.to(device), stored.net.to(device)
    set_bits(before, *bits)
    set_bits(net, *bits)
    _fit(net, data, recipe, path, "training.csv", epochs, None, **options)
    for some in (before, net):
        recalibrate(some, images)

    def on_circuit(split: Split) -> list[float]:
        there = split.to(device)
        return [float(pim_accuracies(simulator, some, [design], there, images)[0]) for some in (before, net)]

    scores, tests = on_circuit(data.validation), on_circuit(data.test)
    tuned = scores[1] >= scores[0]
    best = net if tuned else before
    save_network(best, path, stored.subnet, stored.image_shape, stored.classes, {"recipe": recipe, "data": data.name})
    _checkpoint(path).unlink()
    return {
        "validation_before": scores[0],
        "validation_after": scores[1],
        "test_float": accuracy(load_network(plain).net.to(device), data.test),
        "test_quantised": accuracy(best, data.test),
        "test_pim": tests[tuned],
        "test_pim_before": tests[0],
        "test_images": len(data.test.labels),
    }


def _fit(
    net: nn.Module,
    data: ImageData,
    recipe: str,
    path: Path,
    log: str,
    epochs: int | None,
    forward: Forward | None,
    *,
    augmented: bool,
    **options: Any,
) -> pd.DataFrame:
    """Trains, or goes on from where an interrupted training was, and writes the log beside the file for the weights."""
    augmentation = standard_augmentation(data) if augmented else None
    settings: dict[str, Any] = {"epochs": epochs, "forward": forward, "augmentation": augmentation}
    frame = fit(net, data, recipe, **settings, checkpoint=_checkpoint(path), channels_last=True, **options).frame
    write_atomically(path.with_name(log), frame.to_csv(index=False))
    return frame


def _checkpoint(path: Path) -> Path:
    return path.with_suffix(".checkpoint.safetensors")
