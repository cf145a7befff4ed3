"""Time of crossbar layers over that of a plain convolution in single precision, on one thread, in the same run.

    python benchmarks/crossbar.py [--quick] [--device cuda] [--json FILE]

A layer of 64 to 64 channels, 3 x 3, on images of 32 x 32, and a network of eight such layers. Weights are normal,
inputs normal behind a ReLU, both as codes of the width shown; ADCs cover the full range of a crossbar. `planes` is the
engine that numba compiles, where it is installed, `torch` the one without; on a GPU `auto` is that of triton, and
batches have 256 images. Lossless columns are merged in all of them. The best of several repetitions is shown; compiling
is left out. MNSIM 2.0 costs 199 (9 bits, DAC of 1 bit, 256 rows), 32 (5 bits, DAC 1)
and 16 (5 bits, DAC 2) times a convolution, measured elsewhere.
"""

import argparse
import itertools
import json
import multiprocessing
import resource
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from moopim.network.crossbar import Circuit, Window, crossbar_layer, layer_sums
from moopim.network.crossbar.layers import CrossbarLayer, Engine

WINDOW = Window((3, 3), padding=(1, 1))
# Inputs, outputs, side of the images.
NETWORK = [(3, 64, 32), (64, 64, 32), (64, 64, 16), (64, 128, 16), *[(128, 128, 8)] * 4]
ENGINES: tuple[Engine, ...] = ("planes", "torch") if find_spec("numba") else ("torch",)
IMAGES = {"cpu": 16, "cuda": 256}


def random_codes(shape: tuple[int, ...], bits: int, rng: np.random.Generator, relu: bool = False) -> torch.Tensor:
    """Codes of normal numbers; weights use the whole range, inputs three standard deviations."""
    values, theta = rng.standard_normal(shape), 2 ** (bits - 1) - 1
    values = np.clip(values, 0, 3) / 3 if relu else values / np.abs(values).max()
    return torch.from_numpy(np.round(values * theta).astype(np.int32)).contiguous(memory_format=torch.channels_last)


def make_layer(inputs: int, outputs: int, bits: int, rng: np.random.Generator, **circuit: int) -> CrossbarLayer:
    """Layer with random weights."""
    weights = random_codes((outputs, inputs, 3, 3), bits, rng)
    return crossbar_layer(weights, Circuit(**circuit), weight_bits=bits, input_bits=bits, window=WINDOW)


def seconds(call: Callable[[], object], budget: float, device: str) -> float:
    """Best time of a call (s) out of as many as the budget (s) allows, at least two behind a first one."""
    wait = torch.cuda.synchronize if device == "cuda" else int
    call()
    wait()
    best, calls, end = np.inf, 0, time.perf_counter() + budget
    while calls < 2 or time.perf_counter() < end:
        begun = time.perf_counter()
        call()
        wait()
        best = min(best, time.perf_counter() - begun)
        calls += 1
    return float(best)


def convolution_s(inputs: int, outputs: int, side: int, images: int, budget: float, device: str) -> float:
    """Time of a convolution in single precision (s)."""
    shapes = (images, inputs, side, side), (outputs, inputs, 3, 3)
    x, w = (torch.ones(shape, device=device).contiguous(memory_format=torch.channels_last) for shape in shapes)
    return seconds(lambda: functional.conv2d(x, w, padding=1), budget, device)


def sums_s(layer: CrossbarLayer, codes: torch.Tensor, engine: Engine, budget: float, device: str) -> float:
    """Time of a layer on crossbars (s)."""
    layer, codes = layer.to(device), codes.to(device)
    return seconds(lambda: layer_sums(layer, codes, engine=engine), budget, device)


def time_layers(numbers: dict[str, float], engine: Engine, device: str, quick: bool) -> None:
    """One layer over all widths and circuits."""
    images, budget = (IMAGES[device] // 4, 0.1) if quick else (IMAGES[device], 0.5)
    print(f"\n{engine}: times a convolution{'ADC':>18}" + "".join(f"{bits:>8}" for bits in (4, 6, 8, 10)))
    widths = (9, 5) if quick and engine == "torch" else (9, 7, 5)
    for bits, dac, rows in itertools.product(widths, (1, 2), (64, 256)):
        line, plain = [], convolution_s(64, 64, 32, images, budget, device)
        for adc in (4, 6, 8, 10):
            rng = np.random.default_rng(1)
            layer = make_layer(64, 64, bits, rng, rows=rows, adc_bits=adc, dac_bits=dac)
            codes = random_codes((images, 64, 32, 32), bits, rng, relu=True)
            if quick and engine == "torch" and adc not in (6, 8):
                line.append("-")
                continue
            ratio = sums_s(layer, codes, engine, budget, device) / plain
            numbers[f"{engine}_{bits}bit_dac{dac}_rows{rows}_adc{adc}_ratio"] = ratio
            line.append(f"{ratio:.2f}")
        print(f"{bits} bits, DAC {dac}, {rows:3} rows{'':>22}" + "".join(f"{ratio:>8}" for ratio in line))


def time_network(numbers: dict[str, float], engine: Engine, device: str, quick: bool) -> None:
    """Eight layers one after the other, 9 and 5 bits."""
    images, budget = (IMAGES[device] // 4, 0.1) if quick else (IMAGES[device], 0.5)
    for bits, dac, adc in ((9, 1, 6), (5, 2, 8)):
        total = plain = 0.0
        for inputs, outputs, side in NETWORK:
            rng = np.random.default_rng(1)
            layer = make_layer(inputs, outputs, bits, rng, rows=256, adc_bits=adc, dac_bits=dac)
            codes = random_codes((images, inputs, side, side), bits, rng, relu=True)
            total += sums_s(layer, codes, engine, budget, device)
            plain += convolution_s(inputs, outputs, side, images, budget, device)
        numbers[f"{engine}_network_{bits}bit_dac{dac}_rows256_adc{adc}_ratio"] = total / plain
        print(f"{engine}: eight layers, {bits} bits, DAC {dac}, 256 rows, ADC {adc}: {total / plain:.2f}")


def peak_MB(engine: Engine) -> float:  # noqa: N802 (the unit is MB)
    """Most memory that a process needs for a large layer: 64 to 128 channels, 9 bits, 256 images (MB)."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(1)
    layer = make_layer(64, 128, 9, rng, rows=256, adc_bits=6)
    layer_sums(layer, random_codes((256, 64, 32, 32), 9, rng, relu=True), engine=engine)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def main() -> None:
    """Print tables and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="end within two minutes")
    parser.add_argument("--device", choices=sorted(IMAGES), default="cpu", help="where to compute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers as one flat JSON object")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = False  # single precision is what the ratios are to
    numbers: dict[str, float] = {}
    engines: tuple[Engine, ...] = ("auto", "torch") if options.device == "cuda" else ENGINES
    for engine in engines:
        time_layers(numbers, engine, options.device, options.quick)
        if not (options.quick and engine == "torch"):
            time_network(numbers, engine, options.device, options.quick)
    if not options.quick and options.device == "cpu":
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            numbers["peak_MB"] = pool.apply(peak_MB, (ENGINES[0],))
        print(f"peak of a large layer: {numbers['peak_MB']:,.0f} MB")
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()
