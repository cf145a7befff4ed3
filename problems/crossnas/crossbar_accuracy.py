"""Accuracy of one network's quantisations on crossbars, batch norms recalibrated for each; needs torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from moopim.errors import ConfigError
from moopim.network.calibration import CALIBRATION, calibration_images
from moopim.network.checkpoint import checksum, split_checksum
from moopim.network.crossbar import Circuit, CrossbarDesign, crossbar_accuracies
from moopim.network.crossbar.circuit import AdcRange
from moopim.network.datasets import ImageData, Split, load_data
from moopim.network.network_files import StoredNetwork, load_network
from moopim.network.quantisation import is_quantised, quantised_layers
from moopim.network.tools import check_device
from moopim.problems.crossnas.paid import paid_accuracies
from moopim.problems.crossnas.simulators import (
    AccuracySimulator,
    PimSimulator,
    simulated_accuracies,
    simulator_identity,
)
from moopim.typing import FloatArray, IntArray

__all__ = ["CrossbarAccuracy", "pim_accuracies", "pim_circuit"]


class CrossbarAccuracy:
    """Accuracy on the validation images as the hardware computes it (section 3.3); for the use of a problem.

    Accuracies are kept beside the weights for later runs.

    Args:
        network: A file of `moopim.network.network_files.save_network` with a quantised network.
        data: Name of the set of images that it was trained on.
        root: Folder of the set, if it is read from files.
        calibration: Training images from which batch norms, and ADC ranges, are measured.
        adc_range: How the range of the ADCs is chosen, see `moopim.network.crossbar.Circuit`.
        device: Where to compute, such as ``cpu`` or ``cuda``.
        simulator: Finds accuracies in place of moopim's crossbars, if it can.

    Attributes:
        stored: The network.
        layers: Paths of its layers with weights, in the order of the widths of a design.
        store: What accuracies are known.

    Raises:
        ConfigError: If a file is missing or damaged, the network is not quantised, or the device or the set does not
            fit.
    """

    def __init__(
        self,
        network: str,
        data: str = "digits",
        root: str | None = None,
        calibration: int = CALIBRATION,
        adc_range: AdcRange = "output",
        device: str = "cpu",
        simulator: PimSimulator | None = None,
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
        facts = {**self.identity(), "calibration": calibration, "adc_range": adc_range}
        if simulator is not None and isinstance(simulator, AccuracySimulator):
            facts |= simulator_identity(simulator)
        self.store = paid_accuracies(Path(network), facts, device)

    def __call__(self, weights: IntArray, activations: IntArray, circuits: Mapping[str, IntArray]) -> FloatArray:
        """Finds accuracies; designs share the work of layers that they have in common.

        Args:
            weights: Bits of the weights, shape ``(designs, layers)``.
            activations: Bits of the outputs, shape ``(designs, layers)``.
            circuits: ``crossbar``, ``adc_bits`` and ``dac_bits``, shape ``(designs,)``.

        Returns:
            Fractions of images told right, shape ``(designs,)``.
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

        def compute(places: list[int]) -> FloatArray:
            chosen = [designs[place] for place in places]
            return pim_accuracies(self._simulator, self._net, chosen, self._data.validation, self._images)

        return self.store.answer([_name(design) for design in designs], compute)

    def identity(self) -> Mapping[str, str]:
        """Checksums of the weights and of the images, which the accuracies depend on."""
        return {
            "network": checksum(*self._net.state_dict().values()),
            "images": split_checksum(self._data.train, self._data.validation),
        }


def pim_accuracies(
    simulator: PimSimulator | None, net: nn.Module, designs: Sequence[CrossbarDesign], split: Split, images: Tensor
) -> FloatArray:
    """Finds accuracies on PIM circuits: those of a simulator that has them, else those of moopim's crossbars.

    Args:
        simulator: The simulator, if there is one.
        net: The quantised network, whose weights all designs share.
        designs: Widths and circuits.
        split: Images and labels.
        images: Images for calibration, shape ``(images, channels, height, width)``.

    Returns:
        Fractions of images told right, shape ``(designs,)``.
    """
    if isinstance(simulator, AccuracySimulator):
        return simulated_accuracies(simulator, net, designs, split, images)
    return crossbar_accuracies(net, designs, split, images)


def pim_circuit(crossbar: int, adc_bits: int, dac_bits: int, adc_range: AdcRange = "output") -> Circuit:
    """The circuit of a design.

    Args:
        crossbar: Rows of a crossbar.
        adc_bits: Resolution of an ADC (bit).
        dac_bits: Resolution of a DAC (bit).
        adc_range: How the range of the ADCs is chosen; by default as MNSIM does, which the paper used.

    Returns:
        The circuit.
    """
    return Circuit(rows=crossbar, adc_bits=adc_bits, dac_bits=dac_bits, adc_range=adc_range)


def _name(design: CrossbarDesign) -> str:
    circuit = design.circuit
    widths = " ".join(",".join(map(str, bits)) for bits in (design.weights, design.activations))
    return f"{widths} {circuit.rows} {circuit.adc_bits} {circuit.dac_bits}"
