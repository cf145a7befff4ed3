"""Supernets on a CPU: time, memory, accuracies of subnets and of quantised networks, and how well subnets are ranked.

    python benchmarks/supernet.py [--quick] [--json FILE]

Two sets of images: digits, on which floating point saturates, and the synthetic shapes32, which tells networks apart.
On each a supernet is trained and 12 random subnets are evaluated with the weights that they inherit; then the same 12
are trained alone from scratch, and Kendall's tau says how far both accuracies rank them alike. Its interval is the 95 %
one of a bootstrap over the subnets. On digits one network is trained in floating point and then at random bit widths.
Accuracies are those of the test images. torch takes as many threads as it likes: set OMP_NUM_THREADS for fewer.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap, kendalltau

from moopim.network.accuracy import accuracy, subnet_accuracies
from moopim.network.blocks import make_network
from moopim.network.calibration import calibration_images, recalibrate
from moopim.network.datasets import ImageData, load_data
from moopim.network.quantisation import BIT_CHOICES, calibrate, quantise_module, sample_bits, sampling_forward, set_bits
from moopim.network.subnets import Block, Subnet
from moopim.network.supernet import Supernet, single_path_forward
from moopim.network.training import fit

SEED = 1
SUBNETS = 12
POPULATION = 50
NETWORK = (Block("RES", 32), Block("VGG", 64), Block("MVGG", 32))
_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """What is trained on a set of images; recipes by name, epochs in place of theirs."""

    data: str
    options: dict[str, Any]
    supernet: dict[str, Any]
    supernet_epochs: int | None = None
    alone_epochs: int | None = None


class Spent(NamedTuple):
    """Time that something took (s): on the clock and of the processor, all threads together."""

    wall: float
    cpu: float


def spent(call: Callable[[], object]) -> Spent:
    """Time of a call."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu)


def settings(quick: bool) -> tuple[Setting, Setting]:
    """The two sets of images; shapes32 is easier here than by default, so that minutes of training tell."""
    digits = Setting("digits", {}, {"max_blocks": 4, "channels": (16, 32, 64)})
    shapes = Setting("shapes32", {"difficulty": 0.1}, {"max_blocks": 3, "channels": (8, 16, 32), "strides": (2,)})
    if not quick:
        return digits, shapes
    fewer = {**shapes.options, "train": 1000, "validation": 300, "test": 1000}
    return (
        replace(digits, supernet_epochs=60, alone_epochs=5),
        replace(shapes, options=fewer, supernet_epochs=20, alone_epochs=8),
    )


def random_subnets(supernet: Supernet, count: int) -> list[Subnet]:
    """Random subnets, each once."""
    rng = np.random.default_rng(SEED)
    found: dict[Subnet, None] = {}
    while len(found) < count:
        found[supernet.random_subnet(rng)] = None
    return list(found)


def trained_alone(subnets: list[Subnet], data: ImageData, recipe: str, epochs: int | None) -> _Floats:
    """Accuracies of networks that are trained from scratch."""
    accuracies = []
    for subnet in subnets:
        network = make_network(subnet, data.image_shape, data.classes, seed=SEED)
        fit(network, data, recipe, epochs=epochs)
        accuracies.append(accuracy(network, data.test))
    return np.array(accuracies)


def rank_correlation(first: _Floats, second: _Floats) -> tuple[float, float, float]:
    """Kendall's tau and the ends of its 95 % interval."""

    def tau(first: _Floats, second: _Floats) -> float:
        return float(kendalltau(first, second).statistic)

    interval = bootstrap(
        (first, second), tau, paired=True, vectorized=False, n_resamples=2000, method="percentile", rng=SEED
    ).confidence_interval
    return tau(first, second), float(interval.low), float(interval.high)


def measure_supernet(setting: Setting) -> dict[str, float]:
    """Trains a supernet and compares subnets of it with networks trained alone."""
    data = load_data(setting.data, **setting.options)
    supernet = Supernet(data.image_shape, data.classes, **setting.supernet)
    recipe = f"{setting.data}-supernet"

    def train() -> None:
        fit(supernet, data, recipe, epochs=setting.supernet_epochs, forward=single_path_forward)

    training = spent(train)
    numbers = {"training_s": training.wall, "training_cpu_s": training.cpu, "peak_MB": peak_MB()}
    population = random_subnets(supernet, POPULATION)
    subnets = population[:SUBNETS]
    together = spent(lambda: subnet_accuracies(supernet, population, data))
    apart = spent(lambda: [subnet_accuracies(supernet, [subnet], data) for subnet in population])
    numbers |= {"subnet_s": together.wall / POPULATION, "subnet_without_sharing_s": apart.wall / POPULATION}
    inherited = subnet_accuracies(supernet, subnets, data, split="test")
    numbers |= {
        "inherited_mean": inherited.mean(),
        "inherited_least": inherited.min(),
        "inherited_most": inherited.max(),
    }
    alone = trained_alone(subnets, data, f"{setting.data}-float", setting.alone_epochs)
    numbers |= {"alone_mean": alone.mean(), "alone_least": alone.min(), "alone_most": alone.max()}
    numbers |= dict(zip(("tau", "tau_low", "tau_high"), rank_correlation(inherited, alone), strict=True))
    return {name: float(value) for name, value in numbers.items()}


def peak_MB() -> float:  # noqa: N802 (the unit is MB)
    """Most memory that this process has held so far, torch itself included (MB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def measure_quantised(mixed: int, epochs: int | None) -> dict[str, float]:
    """Trains a network on digits, then at random widths, and evaluates it at single and at some mixed ones."""
    data = load_data("digits")
    network = make_network(NETWORK, data.image_shape, data.classes, seed=SEED)
    fit(network, data, "digits-float", epochs=epochs)
    numbers = {"float": accuracy(network, data.test)}
    net, images = quantise_module(network, data.image_shape), calibration_images(data)
    calibrate(net, images)
    numbers["training_s"] = spent(lambda: fit(net, data, "digits-qat", epochs=epochs, forward=sampling_forward())).wall

    def found() -> float:
        recalibrate(net, images)
        return accuracy(net, data.test)

    for bits in BIT_CHOICES:
        set_bits(net, bits, bits)
        numbers[f"{bits}_bit"] = found()
    rng, accuracies = np.random.default_rng(SEED), []
    for _ in range(mixed):
        sample_bits(net, rng)
        accuracies.append(found())
    return numbers | {"mixed_mean": float(np.mean(accuracies)), "mixed_least": min(accuracies)}


def print_supernet(title: str, numbers: dict[str, float]) -> None:
    """The numbers of a supernet, for reading."""
    print(f"\n{title}")
    print(f"  supernet trained in {numbers['training_s']:.0f} s ({numbers['training_cpu_s']:.0f} s of the processor)")
    print(f"  most memory of the process until then {numbers['peak_MB']:.0f} MB")
    print(
        f"  a subnet's accuracy takes {numbers['subnet_s']:.3f} s among {POPULATION}, "
        f"{numbers['subnet_without_sharing_s']:.3f} s by itself"
    )
    for name, words in (("inherited", "inherited weights"), ("alone", "trained alone")):
        least, mean, most = (numbers[f"{name}_{what}"] for what in ("least", "mean", "most"))
        print(f"  {SUBNETS} subnets, {words:18} {least:.3f} .. {most:.3f}, mean {mean:.3f}")
    print(f"  Kendall's tau of both {numbers['tau']:.2f} ({numbers['tau_low']:.2f} .. {numbers['tau_high']:.2f})")


def main() -> None:
    """Prints the numbers and writes them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="train less, and end within minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers as one flat JSON object")
    options = parser.parse_args()
    numbers: dict[str, float] = {}
    for setting in settings(options.quick):
        found = measure_supernet(setting)
        print_supernet("digits" if setting.data == "digits" else "shapes32 (synthetic)", found)
        numbers |= {f"{setting.data}_{name}": value for name, value in found.items()}
        if setting.data == "digits":
            quantised = measure_quantised(*((5, 8) if options.quick else (20, None)))
            print("  one network:", ", ".join(f"{name} {value:.3f}" for name, value in quantised.items()))
            numbers |= {f"quantised_{name}": value for name, value in quantised.items()}
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()
