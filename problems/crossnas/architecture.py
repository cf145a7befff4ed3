"""The search for an architecture: the second step of CrossNAS (arXiv 2505.22868, section 3.2)."""

from typing import TYPE_CHECKING

import numpy as np

from moopim.errors import ConfigError
from moopim.genome import Designs
from moopim.problems.crossnas.search import CrossNasSearch, NetworkOnChip
from moopim.problems.crossnas.simulators import hardware_figures, load_simulator
from moopim.problems.crossnas.space import CrossNasSpace
from moopim.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from moopim.problems.crossnas.inherited import InheritedAccuracy

__all__ = ["ArchitectureSearch"]


class ArchitectureSearch(CrossNasSearch):
    """Choose depth, blocks and channels of a CNN by its accuracy and the cost of its hardware (CrossNAS).

    The accuracy is that of the weights which a network inherits from a trained supernet; energy and latency are those
    of the planar chip with one circuit and one bit width for all.

    Args:
        supernet: File of a trained supernet.
        data: Set of images that it was trained on: digits, shapes32, cifar10, cifar100, tinyimagenet or folder.
        root: Folder of the set, if it is read from files.
        calibration: Training images from which the statistics of batch norms are measured.
        profile: Chip: cur, or paper for that of CrossNAS's tables.
        simulator: FILE.py:Class of another PIM simulator, see `moopim.problems.crossnas.simulators`.
        crossbar: Rows and columns of a crossbar.
        adc_bits: Resolution of an ADC (bit).
        dac_bits: Resolution of a DAC (bit).
        bits: Bits of every weight and activation, sign included.
        goals: What is optimised, of accuracy, energy, latency, area, power, edp and edap.
        w_acc: Weight of the accuracy, 0 to 1, in the paper's fitness, which takes the place of the goals.
        reference: What counts as 1 for the EDP in the fitness: a network, median (of random ones) or mJ ms.
        max: Upper bounds, such as area=200,energy=1.
        min: Lower bounds, such as accuracy=0.9.
        device: Where accuracies are computed, such as cpu or cuda.
    """

    _accuracies: "InheritedAccuracy"

    def __init__(
        self,
        supernet: str,
        data: str = "digits",
        root: str | None = None,
        calibration: int = 512,
        profile: str = "paper",
        simulator: str | None = None,
        crossbar: int = 128,
        adc_bits: int = 8,
        dac_bits: int = 1,
        bits: int = 9,
        goals: str = "accuracy,edp",
        w_acc: float | None = None,
        reference: str = "alexnet",
        max: str = "",
        min: str = "",
        device: str = "cpu",
    ) -> None:
        # torch is an extra, and slow to load: only a problem that is made needs it.
        from moopim.problems.crossnas.inherited import InheritedAccuracy

        self.supernet = supernet
        self.data = data
        self.root = root
        self.calibration = calibration
        self.profile = profile
        self.simulator = simulator
        self.crossbar = crossbar
        self.adc_bits = adc_bits
        self.dac_bits = dac_bits
        self.bits = bits
        self.goals = goals
        self.w_acc = w_acc
        self.reference = reference
        self.max = max
        self.min = min
        self.device = device
        self._accuracies = InheritedAccuracy(supernet, data, root, calibration, device)
        net = self._accuracies.supernet
        channels, height, width = net.image_shape
        if height != width:
            raise ConfigError(f"images of data {data!r} are {height}x{width}; expected square ones")
        circuit = {"crossbar": (crossbar,), "adc_bits": (adc_bits,), "dac_bits": (dac_bits,)}
        self.space = CrossNasSpace(
            classes=net.classes,
            max_blocks=net.max_blocks,
            channels=net.channels,
            strides=net.strides,
            weight_bits=(bits,),
            activation_bits=(bits,),
            size=height,
            image_channels=channels,
            **circuit,
        )
        self.genome = self.space.genome
        self._simulator = load_simulator(simulator, profile)
        self._figures(self.genome.decode(self.genome.sample(1, np.random.default_rng(0))))  # whether the circuit is one
        self._begin(net.classes, self.space)

    def repair_designs(self, X: IntArray) -> IntArray:
        """Gives genes without effect one value, see `moopim.problems.crossnas.CrossNasSpace.canonical`.

        Args:
            X: Genes, shape ``(pop, n_genes)``.

        Returns:
            Genes, shape ``(pop, n_genes)``.
        """
        return self.space.canonical(X)

    def evaluate_designs(self, designs: Designs) -> dict[str, FloatArray]:
        """Evaluates networks.

        Args:
            designs: The networks.

        Returns:
            Every quantity, shape ``(designs,)``; no accuracy (NaN) for networks whose hardware is out of bounds.
        """
        return self._goals.complete(
            self._figures(designs), lambda within: self._accuracies(Designs(self.genome, designs.genes[within]))
        )

    def network_on_chip(self, designs: Designs) -> NetworkOnChip:
        """Network and circuit of one design, a batch of one."""
        from moopim.network.subnets import convolutions
        from moopim.problems.crossnas.inherited import subnets

        (subnet,) = subnets(designs)
        bits = np.full(sum(len(convolutions(block.kind)) for block in subnet) + 1, self.bits)  # and the head
        return NetworkOnChip(subnet, self.space.layer_table(designs), bits, bits, self.space.chip_parameters(designs))

    def _figures(self, designs: Designs) -> dict[str, FloatArray]:
        """What the hardware of designs costs."""
        circuit = self.space.chip_parameters(designs)
        return hardware_figures(self._simulator, self.space.layer_table(designs), circuit)
