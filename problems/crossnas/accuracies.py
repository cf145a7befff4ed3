"""Accuracies of CrossNAS's designs on the validation images, cached on disk next to the weights; needs torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import moopim
from moopim.errors import ConfigError
from moopim.evaluator.metric_store import MetricStore
from moopim.genome import Designs
from moopim.network.accuracy import subnet_accuracies
from moopim.network.calibration import calibration_images
from moopim.network.checkpoint import checksum, split_checksum
from moopim.network.crossbar import Circuit, CrossbarDesign, crossbar_accuracies
from moopim.network.crossbar.circuit import AdcRange
from moopim.network.datasets import ImageData, Split, load_data
from moopim.network.network_files import StoredNetwork, load_network, load_supernet
from moopim.network.quantisation import is_quantised, quantised_layers
from moopim.network.subnets import subnet_name
from moopim.network.supernet import Supernet
from moopim.network.tools import check_device
from moopim.problems.crossnas.simulators import (
    AccuracySimulator,
    PimSimulator,
    simulated_accuracies,
    simulator_identity,
)
from moopim.problems.crossnas.space import subnets
from moopim.typing import FloatArray, IntArray


class CachedAccuracy:
    """On-disk accuracy cache of the designs over one file of weights, such as ``supernet.accuracies.sqlite``.

    ``identity`` holds checksums of the weights, under ``kind``, and of the images; ``facts`` whatever else accuracies
    depend on.
    """

    def __init__(
        self, kind: str, weights: str, net: nn.Module, data: ImageData, facts: Mapping[str, Any], device: str
    ) -> None:
        self.identity = {
            kind: checksum(*net.state_dict().values()),
            "images": split_checksum(data.train, data.validation),
        }
        # Another kind of processor may round otherwise.
        versions = {"moopim": moopim.__version__, "torch": torch.__version__, "device": torch.device(device).type}
        path = Path(weights).with_suffix(".accuracies.sqlite")
        self.cache = MetricStore(path, {**self.identity, **facts, **versions})


class InheritedAccuracy(CachedAccuracy):
    """Accuracy with the weights inherited from a supernet, batch norms recalibrated (section 3.2)."""

    def __init__(self, supernet: str, data: str, root: str | None, calibration: int, device: str) -> None:
        check_device(device)
        self.supernet: Supernet = load_supernet(supernet).to(device)
        self._data: ImageData = load_data(data, root).to(device)
        self._calibration = calibration
        subnet_accuracies(self.supernet, [], self._data, calibration=calibration)  # raises unless they fit
        super().__init__("supernet", supernet, self.supernet, self._data, {"calibration": calibration}, device)

    def __call__(self, designs: Designs) -> FloatArray:
        """Accuracies, 0 to 1, shape ``(designs,)``; designs that begin with the same blocks share the work."""
        # In the form of layer tables, whether the designs have been repaired or not.
        wanted = [self.supernet.canonical(subnet) for subnet in subnets(designs)]

        def compute(indices: list[int]) -> FloatArray:
            chosen = [wanted[i] for i in indices]
            return subnet_accuracies(self.supernet, chosen, self._data, calibration=self._calibration)

        return self.cache.answer([subnet_name(subnet) for subnet in wanted], compute)


class CrossbarAccuracy(CachedAccuracy):
    """Accuracy of quantisations of one network on crossbars, batch norms recalibrated for each (section 3.3).

    ``layers`` are the paths of the layers with weights, in the order of the widths of a design. A simulator that
    computes accuracies takes the place of moopim's crossbars.
    """

    def __init__(
        self,
        network: str,
        data: str,
        root: str | None,
        calibration: int,
        adc_range: AdcRange,
        device: str,
        simulator: PimSimulator,
    ) -> None:
        check_device(device)
        self.stored: StoredNetwork = load_network(network)
        if not is_quantised(self.stored.net):
            raise ConfigError(f"network {network!r} is not quantised; expected the mixed-precision supernet of one")
        self._net = self.stored.net.to(device)
        self._data: ImageData = load_data(data, root).to(device)
        expected, found = (self.stored.image_shape, self.stored.classes), (self._data.image_shape, self._data.classes)
        if found != expected:
            raise ConfigError(
                f"data {data!r} has images of {found[0]} and {found[1]} classes; expected {expected[0]} and "
                f"{expected[1]}, as network {network!r} was trained for"
            )
        self._images = calibration_images(self._data, calibration)
        self._adc_range: AdcRange = adc_range
        self.layers = tuple(quantised_layers(self._net))
        self._simulator = simulator
        facts: dict[str, Any] = {"calibration": calibration, "adc_range": adc_range}
        if isinstance(simulator, AccuracySimulator):
            facts |= simulator_identity(simulator)
        super().__init__("network", network, self._net, self._data, facts, device)

    def __call__(self, weights: IntArray, activations: IntArray, circuits: Mapping[str, IntArray]) -> FloatArray:
        """Accuracies, 0 to 1, shape ``(designs,)``; designs share the work of layers that they have in common.

        ``weights`` and ``activations`` (bit) have shape ``(designs, layers)``; ``circuits`` holds ``crossbar``,
        ``adc_bits`` and ``dac_bits``, shape ``(designs,)``.
        """
        designs = [
            CrossbarDesign(tuple(w), tuple(a), pim_circuit(rows, adc, dac, self._adc_range))
            for w, a, rows, adc, dac in zip(
                weights.tolist(),
                activations.tolist(),
                *(circuits[name].tolist() for name in ("crossbar", "adc_bits", "dac_bits")),
                strict=True,
            )
        ]

        def compute(indices: list[int]) -> FloatArray:
            chosen = [designs[i] for i in indices]
            return pim_accuracies(self._simulator, self._net, chosen, self._data.validation, self._images)

        return self.cache.answer([_key(design) for design in designs], compute)


def pim_accuracies(
    simulator: PimSimulator, net: nn.Module, designs: Sequence[CrossbarDesign], split: Split, images: Tensor
) -> FloatArray:
    """Accuracies of a quantised network on PIM circuits, 0 to 1, shape ``(designs,)``; ``images`` are for calibration.

    Those of a simulator that computes them, else those of moopim's crossbars.
    """
    if isinstance(simulator, AccuracySimulator):
        return simulated_accuracies(simulator, net, designs, split, images)
    return crossbar_accuracies(net, designs, split, images)


def pim_circuit(crossbar: int, adc_bits: int, dac_bits: int, adc_range: AdcRange = "output") -> Circuit:
    """Circuit of a design; the ADC range is by default that of MNSIM, which the paper used."""
    return Circuit(rows=crossbar, adc_bits=adc_bits, dac_bits=dac_bits, adc_range=adc_range)


def _key(design: CrossbarDesign) -> str:
    """Unique key of a design in the cache."""
    circuit = design.circuit
    widths = " ".join(",".join(map(str, bits)) for bits in (design.weights, design.activations))
    return f"{widths} {circuit.rows} {circuit.adc_bits} {circuit.dac_bits}"
