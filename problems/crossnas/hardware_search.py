"""Search of CrossNAS's space by hardware alone, with a formula in place of the accuracy: no network is trained."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from moopim.genome import Designs
from moopim.goals import choose_goals
from moopim.problem import DesignProblem
from moopim.problems.crossnas.objectives import HARDWARE
from moopim.problems.crossnas.searches import whole_numbers
from moopim.problems.crossnas.simulators import hardware_metrics, load_simulator, simulator_identity
from moopim.problems.crossnas.space import CIRCUIT, CrossNasSpace
from moopim.quantities import Constraint, Objective
from moopim.typing import FloatArray, IntArray


class HardwareSearch(DesignProblem):
    """Choose a CNN, its bit widths and its circuit by hardware and a made-up error, to test optimisers (CrossNAS).

    The error is no accuracy of any network. It only has the conflicts of one: it falls with the weights and the
    multiplications, as powers, and rises with the rounding of the widths and with the bits of partial sums that the ADC
    does not resolve. Images are those of CIFAR-10.

    Args:
        max_blocks: Largest number of blocks.
        channels: Choices for the output channels of a block.
        weight_bits: Choices for the bits of a layer's weights.
        activation_bits: Choices for the bits of a layer's outputs.
        crossbar: Choices for the rows and columns of a crossbar.
        adc_bits: Choices for the ADC resolution (bit).
        dac_bits: Choices for the DAC resolution (bit).
        profile: Chip: cur, or paper for that of CrossNAS's tables.
        goals: Objectives, of error, energy, latency, area, power, edp and edap.
        max: Upper limits, such as area=200,energy=1.
        min: Lower limits, such as power=0.1.

    Raises:
        ConfigError: If an option is not allowed.
    """

    constraints = (Constraint("violation", upper=0.0),)

    def __init__(
        self,
        max_blocks: int = 8,
        channels: str = "32,64,128",
        weight_bits: str = "5,7,9",
        activation_bits: str = "5,7,9",
        crossbar: str = "32,64,128,256",
        adc_bits: str = "4,6,8,10",
        dac_bits: str = "1,2",
        profile: str = "paper",
        goals: str = "error,energy,latency,area",
        max: str = "",
        min: str = "",
    ) -> None:
        self.max_blocks = max_blocks
        self.channels = channels
        self.weight_bits = weight_bits
        self.activation_bits = activation_bits
        self.crossbar = crossbar
        self.adc_bits = adc_bits
        self.dac_bits = dac_bits
        self.profile = profile
        self.goals = goals
        self.max = max
        self.min = min
        choices = ("channels", "weight_bits", "activation_bits", "crossbar", "adc_bits", "dac_bits")
        values: dict[str, Any] = {name: whole_numbers(name, getattr(self, name)) for name in choices}
        self._simulator = load_simulator(None, profile)
        self._goals = choose_goals((Objective("error"), *HARDWARE), goals, max, min)
        self.objectives, self.limits = self._goals.objectives, self._goals.limits
        self.metrics = self._goals.metrics
        self.space = CrossNasSpace(max_blocks=max_blocks, **values)
        self.genome = self.space.genome
        self.evaluate_designs(self.genome.decode(self._every_value()))  # raises on a bad circuit
        super().__init__()

    def identity(self) -> Mapping[str, Any]:
        """Checksums of the constants of the chip."""
        return simulator_identity(self._simulator)

    def repair_designs(self, X: IntArray) -> IntArray:
        """Canonical form of designs, see `CrossNasSpace.canonical`; shape ``(pop, n_genes)``."""
        return self.space.canonical(X)

    def _every_value(self) -> IntArray:
        """Designs in which every value of the circuit occurs, shape ``(pop, n_genes)``."""
        columns = [self.genome.slices[name].start for name in CIRCUIT if name in self.genome.slices]
        X = np.zeros((np.max([1, *self.genome.n_values[columns]]), self.genome.n_genes), dtype=np.int64)
        for column in columns:
            X[:, column] = np.minimum(np.arange(len(X)), self.genome.upper[column])
        return X

    def evaluate_designs(self, designs: Designs) -> dict[str, FloatArray]:
        """Every quantity, and the excess over the limits, shape ``(designs,)`` each."""
        table, circuit = self.space.layer_table(designs), self.space.chip_parameters(designs)
        found = hardware_metrics(self._simulator, table, circuit)
        rounding = (4.0 ** (4 - table.weight_bits) + 4.0 ** (4 - table.output_bits)) * table.weighted
        widths = rounding.sum(axis=1) / table.weighted.sum(axis=1)
        weights, macs = table.parameters.sum(axis=1), table.macs.sum(axis=1)
        lost = np.log2(circuit["crossbar"]) / 2 + circuit["dac_bits"] - circuit["adc_bits"]
        error = 0.3 * (weights / 1e4) ** -0.2 * (macs / 1e7) ** -0.1 + 0.3 * widths + 0.01 * 4.0**lost
        values = {"error": error, **{quantity.name: found[quantity.name] for quantity in HARDWARE}}
        return values | {"violation": self._goals.violation(values, found["violation"])}
