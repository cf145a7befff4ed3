"""The search for bit widths and a circuit: the fourth step of CrossNAS (arXiv 2505.22868, section 3.3)."""

from typing import TYPE_CHECKING, Literal

import numpy as np

from moopim.constants import constant, read_table
from moopim.errors import ConfigError
from moopim.genome import Choice, Designs, Genome
from moopim.network.subnets import network_layers
from moopim.problems.crossnas.search import CrossNasSearch, NetworkOnChip
from moopim.problems.crossnas.simulators import hardware_figures, load_simulator
from moopim.typing import BoolArray, FloatArray
from moopim.workload import LayerTable

if TYPE_CHECKING:
    from moopim.problems.crossnas.crossbar_accuracy import CrossbarAccuracy

__all__ = ["QuantisationPimSearch"]

_CIRCUIT = ("crossbar", "adc_bits", "dac_bits")
_WIDTHS = ("weight_bits", "activation_bits")
_SOME_CIRCUIT = dict(zip(_CIRCUIT, (1024, 8, 1), strict=True))


class QuantisationPimSearch(CrossNasSearch):
    """Choose the bits of every layer and the PIM circuit of one network by its accuracy on crossbars (CrossNAS).

    The accuracy is that of the network's mixed-precision weights as crossbars with their ADCs and DACs compute it;
    energy and latency are those of the planar chip. Genes are in the order in which the layers run.

    Args:
        network: File of the network's mixed-precision supernet.
        data: Set of images that it was trained on: digits, shapes32, cifar10, cifar100, tinyimagenet or folder.
        root: Folder of the set, if it is read from files.
        calibration: Training images from which the statistics of batch norms are measured.
        profile: Chip: cur, or paper for that of CrossNAS's tables.
        simulator: FILE.py:Class of another PIM simulator, see `moopim.problems.crossnas.simulators`.
        adc_range: How the range of the ADCs is chosen; output is the rule of MNSIM, which the paper used.
        weight_bits: Choices for the bits of a layer's weights.
        activation_bits: Choices for the bits of a layer's outputs.
        crossbar: Choices for the rows and columns of a crossbar.
        adc_bits: Choices for the resolution of an ADC (bit).
        dac_bits: Choices for the resolution of a DAC (bit).
        goals: What is optimised, of accuracy, energy, latency, area, power, edp and edap.
        w_acc: Weight of the accuracy, 0 to 1, in the paper's fitness, which takes the place of the goals.
        reference: What counts as 1 for the EDP in the fitness: a network or mJ ms.
        max: Upper bounds, such as area=200,energy=1.
        min: Lower bounds, such as accuracy=0.9.
        device: Where accuracies are computed, such as cpu or cuda.
    """

    _accuracies: "CrossbarAccuracy"

    def __init__(
        self,
        network: str,
        data: str = "digits",
        root: str | None = None,
        calibration: int = 512,
        profile: str = "paper",
        simulator: str | None = None,
        adc_range: Literal["full", "fix", "output", "calibrated", "unit"] = "output",
        weight_bits: str = "5,7,9",
        activation_bits: str = "5,7,9",
        crossbar: str = "32,64,128,256",
        adc_bits: str = "4,6,8,10",
        dac_bits: str = "1,2",
        goals: str = "accuracy,edp",
        w_acc: float | None = None,
        reference: str = "alexnet",
        max: str = "",
        min: str = "",
        device: str = "cpu",
    ) -> None:
        # torch is an extra, and slow to load: only a problem that is made needs it.
        from moopim.network.quantiser import check_bits
        from moopim.problems.crossnas.crossbar_accuracy import CrossbarAccuracy, pim_circuit

        self.network = network
        self.data = data
        self.root = root
        self.calibration = calibration
        self.profile = profile
        self.simulator = simulator
        self.adc_range = adc_range
        self.weight_bits = weight_bits
        self.activation_bits = activation_bits
        self.crossbar = crossbar
        self.adc_bits = adc_bits
        self.dac_bits = dac_bits
        self.goals = goals
        self.w_acc = w_acc
        self.reference = reference
        self.max = max
        self.min = min
        self.device = device
        choices = {name: _choices(name, getattr(self, name)) for name in (*_WIDTHS, *_CIRCUIT)}
        self._simulator = load_simulator(simulator, profile)
        self._accuracies = CrossbarAccuracy(network, data, root, calibration, adc_range, device, self._simulator)
        stored = self._accuracies.stored
        self._table = network_layers(stored.subnet, stored.image_shape, stored.classes)
        self._places = [self._table.names.index(path) for path in self._accuracies.layers]
        self.genome = Genome(
            *(Choice(name, choices[name], len(self._places)) for name in _WIDTHS),
            *(Choice(name, choices[name]) for name in _CIRCUIT),
        )
        for name in _WIDTHS:
            for value in choices[name]:
                check_bits(name, value)
        # Whether there are such circuits and chips, and the network fits on their crossbars.
        tried = [{**_SOME_CIRCUIT, name: value} for name in _CIRCUIT for value in choices[name]]
        for some in tried:
            pim_circuit(some["crossbar"], some["adc_bits"], some["dac_bits"])
        circuits = {name: np.array([some[name] for some in tried]) for name in _CIRCUIT}
        hardware_figures(self._simulator, self._table, circuits)
        rates = read_table("moopim.problems.crossnas", "search.toml")["mutation"]
        quantisation, circuit = (constant(f"mutation {name}", rates[name]) for name in ("quantisation", "circuit"))
        self.mutation = dict.fromkeys(_WIDTHS, quantisation) | dict.fromkeys(_CIRCUIT, circuit)
        self._begin(stored.classes)

    def layer_table(self, designs: Designs) -> LayerTable:
        """Gives the network the widths of designs.

        Args:
            designs: The designs.

        Returns:
            A table of all of them.
        """
        widths = np.ones((2, len(designs), self._table.layers), dtype=np.int64)
        for side, name in enumerate(_WIDTHS):
            widths[side][:, self._places] = designs[name]
        return self._table.with_bits(*widths)

    def network_on_chip(self, designs: Designs) -> NetworkOnChip:
        """Network and circuit of one design, a batch of one."""
        bits = designs.weight_bits[0], designs.activation_bits[0]
        circuit = {name: designs[name] for name in _CIRCUIT}
        return NetworkOnChip(self._accuracies.stored.subnet, self.layer_table(designs), *bits, circuit)

    def evaluate_designs(self, designs: Designs) -> dict[str, FloatArray]:
        """Evaluates widths and circuits.

        Args:
            designs: The designs.

        Returns:
            Every quantity, shape ``(designs,)``; no accuracy (NaN) for designs whose hardware is out of bounds.
        """
        circuit = {name: designs[name] for name in _CIRCUIT}
        figures = hardware_figures(self._simulator, self.layer_table(designs), circuit)

        def accuracy(within: BoolArray) -> FloatArray:
            chosen = {name: values[within] for name, values in circuit.items()}
            return self._accuracies(designs.weight_bits[within], designs.activation_bits[within], chosen)

        return self._goals.complete(figures, accuracy)


def _choices(name: str, text: str) -> tuple[int, ...]:
    """Whole numbers separated by commas."""
    try:
        values = tuple(int(word) for word in text.split(","))
    except ValueError:
        raise ConfigError(f"{name}={text!r} is not allowed; expected whole numbers, such as 5,7,9") from None
    if len(set(values)) < len(values):
        raise ConfigError(f"{name}={text!r} has a value twice; expected different ones")
    return values
