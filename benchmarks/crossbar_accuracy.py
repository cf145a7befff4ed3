"""Accuracy of a network on crossbars over ADC bits, for every size of crossbars and rule of the ADC's range.

    python benchmarks/crossbar_accuracy.py [--quick] [--json FILE] [--plot FILE.png] [--layers FILE.png]

A network of four blocks is trained on digits in floating point, then at random bit widths, as its 5, 7 and 9 bits share
one set of weights. It is evaluated on all test images with weights and activations of equal width. ADCs are calibrated
on 128 training images. Then one circuit that fails, layer by layer and with other ties, and with the statistics of
batch norms measured on crossbars. One thread; the same numbers in each run.
"""

import argparse
import itertools
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pandas as pd
import torch
from torch import nn

from moopim.analysis.network import accuracy_frame, conversion_frame, plot_adc_accuracy, plot_conversions
from moopim.analysis.style import save_figure
from moopim.network.accuracy import accuracy
from moopim.network.blocks import make_network
from moopim.network.calibration import calibration_images, recalibrate
from moopim.network.crossbar import Circuit, count_layer_conversions, on_crossbars
from moopim.network.crossbar.circuit import AdcRange, Ties
from moopim.network.datasets import ImageData, load_data
from moopim.network.quantisation import calibrate, quantise_module, sampling_forward, set_bits
from moopim.network.subnets import Block
from moopim.network.training import fit

SEED = 1
NETWORK = (Block("RES", 16), Block("VGG", 32), Block("RES", 64), Block("VGG", 64))
RANGES: tuple[AdcRange, ...] = ("full", "fix", "output", "calibrated", "unit")
ROWS = (32, 64, 128, 256)
DRAWN = 7  # bits of the picture
CALIBRATION = 128  # images
FAILING = Circuit(rows=64, adc_bits=6, dacs=64, adc_range="fix")


def trained(data: ImageData, quick: bool) -> tuple[nn.Module, float]:
    """The quantised network, and its accuracy in floating point."""
    network = make_network(NETWORK, data.image_shape, data.classes, seed=SEED)
    fit(network, data, "digits-float", epochs=15 if quick else None)
    net = quantise_module(network, data.image_shape)
    calibrate(net, calibration_images(data))
    fit(net, data, "digits-qat", epochs=8 if quick else None, forward=sampling_forward())
    return net, accuracy(network, data.test)


def circuits(dacs: Sequence[int], adcs: Sequence[int]) -> Iterator[Circuit]:
    """Every rule and size, with DACs and ADCs of these bits; all rows of a crossbar conduct at a time."""
    for dac, rule, rows, adc in itertools.product(dacs, RANGES, ROWS, adcs):
        yield Circuit(rows=rows, adc_bits=adc, dac_bits=dac, dacs=rows, adc_range=rule)


def at_width(net: nn.Module, bits: int, data: ImageData, quick: bool) -> pd.DataFrame:
    """Accuracies with weights and activations of a width."""
    set_bits(net, bits, bits)
    recalibrate(net, calibration_images(data))
    dacs, adcs = (1, 2) if bits == DRAWN and not quick else (1,), (4, 6, 8, 10) if quick else range(3, 11)
    images = calibration_images(data, CALIBRATION)
    return accuracy_frame(net, data.test, circuits(dacs, adcs), images).assign(bits=bits)


def look_at_failing(net: nn.Module, data: ImageData) -> tuple[dict[str, float], pd.DataFrame]:
    """Accuracies of a circuit with other ties, as it is and recalibrated, and the conversions of its layers."""
    set_bits(net, DRAWN, DRAWN)
    images = calibration_images(data)
    recalibrate(net, images)
    numbers = {}
    for ties in get_args(Ties):
        chip = on_crossbars(net, replace(FAILING, ties=ties))
        numbers[f"ties_{ties}"] = accuracy(chip, data.test)
        recalibrate(chip, images)
        numbers[f"ties_{ties}_recalibrated"] = accuracy(chip, data.test)
    counts = count_layer_conversions(on_crossbars(net, FAILING), images[:CALIBRATION])
    return numbers, conversion_frame(counts)


def print_table(frame: pd.DataFrame) -> None:
    """Accuracies of a width, a column for each resolution of the ADCs."""
    bits, quantised = frame[["bits", "quantised"]].iloc[0]
    print(f"\n{bits:.0f} bits: {quantised:.3f} without crossbars; on crossbars, by bits of the ADC")
    table = frame.pivot_table(
        index=["dac_bits", "adc_range", "rows"], columns="adc_bits", values="accuracy", sort=False
    )
    print(table.to_string(float_format="{:.3f}".format))


def main() -> None:
    """Prints tables, and writes the numbers and the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="train less, fewer circuits, end within two minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers as one flat JSON object")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="write the picture of accuracies")
    parser.add_argument("--layers", type=Path, metavar="FILE.png", help="write the picture of conversions by layer")
    options = parser.parse_args()
    torch.set_num_threads(1)
    begun, data = time.perf_counter(), load_data("digits")
    net, floating = trained(data, options.quick)
    error = math.sqrt(floating * (1 - floating) / len(data.test.labels))
    print(f"{len(data.test.labels)} test images; floating point {floating:.3f}, standard error {error:.3f}")
    print(f"trained in {time.perf_counter() - begun:.0f} s")
    frames = []
    for bits in (DRAWN,) if options.quick else (5, 7, 9):
        frames.append(at_width(net, bits, data, options.quick))
        print_table(frames[-1])
    frame = pd.concat(frames, ignore_index=True)
    failing, layers = look_at_failing(net, data)
    print(f"\n{FAILING.rows} rows, ADC {FAILING.adc_bits}:", ", ".join(f"{k} {v:.3f}" for k, v in failing.items()))
    print(layers.to_string(index=False, float_format="{:.3f}".format))
    numbers = {"test_images": len(data.test.labels), "float": floating, "seconds": time.perf_counter() - begun}
    numbers |= failing
    print(f"\n{numbers['seconds']:.0f} s in all")
    if options.json:
        for row in frame.itertuples():
            numbers[f"{row.bits}bit_quantised"] = row.quantised
            numbers[f"{row.bits}bit_dac{row.dac_bits}_{row.adc_range}_rows{row.rows}_adc{row.adc_bits}"] = row.accuracy
        options.json.write_text(json.dumps(numbers, indent=1) + "\n")
    if options.plot:
        title = f"digits, weights and activations of {DRAWN} bits, cells of 1 bit"
        save_figure(plot_adc_accuracy(frame[frame["bits"] == DRAWN], title), options.plot)
    if options.layers:
        title = f"digits, {DRAWN} bits, {FAILING.rows} rows, ADC {FAILING.adc_bits} bits, range {FAILING.adc_range}"
        save_figure(plot_conversions(layers, title=title), options.layers)


if __name__ == "__main__":
    main()
