"""The two searches of CrossNAS (arXiv 2505.22868, sections 3.2 and 3.3): architecture, then bit widths and circuit."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from moopim.constants import constant, read_table
from moopim.errors import ConfigError
from moopim.genes import Choice
from moopim.genome import Designs, Genome
from moopim.network.subnets import Subnet, convolutions, network_layers
from moopim.problem import DesignProblem
from moopim.problems.crossnas.objectives import SearchObjectives, make_objectives, reference_edp
from moopim.problems.crossnas.simulators import (
    PimSimulator,
    PlanarSimulator,
    hardware_metrics,
    load_simulator,
    simulator_identity,
)
from moopim.problems.crossnas.space import CIRCUIT, CrossNasSpace, layer_features, square_size, subnets
from moopim.quantities import Constraint, Metric
from moopim.typing import BoolArray, FloatArray, IntArray
from moopim.workload import LayerTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from moopim.problems.crossnas.accuracies import CachedAccuracy, CrossbarAccuracy, InheritedAccuracy

_WIDTHS = ("weight_bits", "activation_bits")
_ANY_CIRCUIT = dict(zip(CIRCUIT, (1024, 8, 1), strict=True))


class NetworkOnChip(NamedTuple):
    """One design: blocks, bits of each layer with weights, and, as a batch of one, layer table and circuit."""

    subnet: Subnet
    table: LayerTable
    weight_bits: IntArray
    activation_bits: IntArray
    circuit: Mapping[str, IntArray]


class CrossNasSearch(DesignProblem):
    """Search with a choice of objectives, limits and PIM simulator; accuracies are cached over all runs.

    The constructor of a subclass begins with `_store_options`, sets genome and accuracies, and ends with `_complete`.
    """

    constraints = (Constraint("violation", upper=0.0),)
    data: str
    root: str | None
    calibration: int
    profile: str
    simulator: str | None
    goals: str
    w_acc: float | None
    reference: str
    max: str
    min: str
    device: str
    _accuracies: "CachedAccuracy"
    _simulator: PimSimulator
    _objectives: SearchObjectives

    def _store_options(self, options: Mapping[str, Any]) -> None:
        """Store the constructor's parameters, which are the options of the problem; load the simulator."""
        for name, value in options.items():
            if name != "self":
                setattr(self, name, value)
        self._simulator = load_simulator(self.simulator, self.profile)

    def _complete(self, classes: int, space: CrossNasSpace | None = None) -> None:
        """Set objectives and limits, and complete the problem; the reference may be the median of the space."""
        edp = reference_edp(self.reference, classes, self._simulator, space)
        self._objectives = make_objectives(self.goals, self.w_acc, edp, self.max, self.min)
        goals = self._objectives.goals
        self.objectives, self.limits = goals.objectives, goals.limits
        self.metrics = (*goals.metrics, Metric("tiles"))
        self.metric_caches = {"accuracy": self._accuracies.cache}
        super().__init__()

    def identity(self) -> Mapping[str, Any]:
        """Checksums of the weights, of the images and of the simulator."""
        return {**self._accuracies.identity, **simulator_identity(self._simulator)}

    @abstractmethod
    def layer_table(self, designs: Designs) -> LayerTable:
        """Layer table of the network of each design."""

    def surrogate_features(self, designs: Designs) -> FloatArray:
        """Sizes of the layers and of the networks, see `moopim.problems.crossnas.space.layer_features`.

        Args:
            designs: The designs.

        Returns:
            The features, shape ``(designs, n_features)``.
        """
        return layer_features(self.layer_table(designs))

    @abstractmethod
    def network_on_chip(self, designs: Designs) -> NetworkOnChip:
        """Network and circuit of one design, a batch of one."""

    def plot_design(self, designs: Designs, title: str) -> "dict[str, Figure]":
        """Plot a design: ``network`` as a strip of blocks with bits and circuit, and ``breakdown`` by layer.

        The breakdown of energy, time and area is that of the built-in planar chip; other simulators have none.
        """
        from moopim.analysis import breakdown_frame, plot_breakdown
        from moopim.analysis.crossnas import network_strip, plot_networks

        subnet, table, weight_bits, activation_bits, circuit = self.network_on_chip(designs)
        parts = {name: int(values[0]) for name, values in circuit.items()}
        figures = {
            "network": plot_networks(
                {title: network_strip(subnet, weight_bits.tolist(), activation_bits.tolist(), parts)}
            )
        }
        if isinstance(self._simulator, PlanarSimulator):
            found = self._simulator.breakdown(table, circuit)
            energy, latency, area = (f"{found.totals[name][0]:.4g}" for name in ("energy", "latency", "area"))
            totals = f"{title}: {energy} mJ, {latency} ms, {area} mm²"
            figures["breakdown"] = plot_breakdown(breakdown_frame(found, table), totals)
        return figures


class ArchitectureSearch(CrossNasSearch):
    """Choose depth, blocks and channels of a CNN by its accuracy and the cost of its hardware (CrossNAS).

    The accuracy is that with weights inherited from a trained supernet; energy and latency are those of the planar chip
    with one circuit and one bit width for all networks.

    Args:
        supernet: File of a trained supernet.
        data: Images that it was trained on: digits, shapes32, cifar10, cifar100, tinyimagenet or folder.
        root: Folder of the images, if they are read from files.
        calibration: Number of training images for the statistics of batch norms.
        profile: Chip: cur, or paper for that of CrossNAS's tables.
        simulator: FILE.py:Class of another PIM simulator, see `PimSimulator`.
        crossbar: Rows and columns of a crossbar.
        adc_bits: ADC resolution (bit).
        dac_bits: DAC resolution (bit).
        bits: Bits of every weight and activation, sign included.
        goals: Objectives, of accuracy, energy, latency, area, power, edp and edap.
        w_acc: Weight of the accuracy, 0 to 1, in the paper's fitness, which replaces the objectives.
        reference: EDP_ref of the fitness: a network, median (of random networks) or a number (mJ ms).
        max: Upper limits, such as area=200,energy=1.
        min: Lower limits, such as accuracy=0.9.
        device: Device that computes accuracies, such as cpu or cuda.

    Raises:
        ConfigError: If a file is missing or damaged, or an option is not allowed.
    """

    bits: int
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
        self._store_options(locals())
        # torch is an extra, and slow to load: only a problem that is built needs it.
        from moopim.problems.crossnas.accuracies import InheritedAccuracy

        self._accuracies = InheritedAccuracy(supernet, data, root, calibration, device)
        net = self._accuracies.supernet
        self.space = CrossNasSpace(
            classes=net.classes,
            max_blocks=net.max_blocks,
            channels=net.channels,
            strides=net.strides,
            weight_bits=(bits,),
            activation_bits=(bits,),
            crossbar=(crossbar,),
            adc_bits=(adc_bits,),
            dac_bits=(dac_bits,),
            size=square_size(data, net.image_shape),
            image_channels=net.image_shape[0],
        )
        self.genome = self.space.genome
        self._hardware(self.genome.decode(self.genome.sample(1, np.random.default_rng(0))))  # raises on a bad circuit
        self._complete(net.classes, self.space)

    def repair_designs(self, X: IntArray) -> IntArray:
        """Canonical form of designs, see `CrossNasSpace.canonical`.

        Args:
            X: Genes, shape ``(pop, n_genes)``.

        Returns:
            Genes, shape ``(pop, n_genes)``.
        """
        return self.space.canonical(X)

    def evaluate_designs(self, designs: Designs) -> dict[str, FloatArray]:
        """Evaluate networks.

        Args:
            designs: The networks.

        Returns:
            Every quantity, shape ``(designs,)``; the accuracy is NaN for networks whose hardware is out of its limits.
        """
        return self._objectives.evaluate(
            self._hardware(designs), lambda within: self._accuracies(Designs(self.genome, designs.genes[within]))
        )

    def network_on_chip(self, designs: Designs) -> NetworkOnChip:
        """Network and circuit of one design, a batch of one.

        Args:
            designs: The design.

        Returns:
            Blocks, layer table, bits and circuit.
        """
        (subnet,) = subnets(designs)
        bits = np.full(sum(len(convolutions(block.kind)) for block in subnet) + 1, self.bits)  # and the head
        return NetworkOnChip(subnet, self.layer_table(designs), bits, bits, self.space.chip_parameters(designs))

    def layer_table(self, designs: Designs) -> LayerTable:
        """Layer table of networks.

        Args:
            designs: The networks.

        Returns:
            The table, shape ``(designs, layers)``.
        """
        return self.space.layer_table(designs)

    def _hardware(self, designs: Designs) -> dict[str, FloatArray]:
        """Metrics of the hardware of designs, shape ``(designs,)`` each."""
        circuit = self.space.chip_parameters(designs)
        return hardware_metrics(self._simulator, self.layer_table(designs), circuit)


class QuantisationPimSearch(CrossNasSearch):
    """Choose the bits of every layer and the PIM circuit of one network by its accuracy on crossbars (CrossNAS).

    The accuracy is that of the network's mixed-precision weights on crossbars with their ADCs and DACs; energy and
    latency are those of the planar chip. Genes are in the order in which the layers run.

    Args:
        network: File of the network's mixed-precision supernet.
        data: Images that it was trained on: digits, shapes32, cifar10, cifar100, tinyimagenet or folder.
        root: Folder of the images, if they are read from files.
        calibration: Number of training images for the statistics of batch norms.
        profile: Chip: cur, or paper for that of CrossNAS's tables.
        simulator: FILE.py:Class of another PIM simulator, see `PimSimulator`.
        adc_range: Rule for the range of the ADCs; output is that of MNSIM, which the paper used.
        weight_bits: Choices for the bits of a layer's weights.
        activation_bits: Choices for the bits of a layer's outputs.
        crossbar: Choices for the rows and columns of a crossbar.
        adc_bits: Choices for the ADC resolution (bit).
        dac_bits: Choices for the DAC resolution (bit).
        goals: Objectives, of accuracy, energy, latency, area, power, edp and edap.
        w_acc: Weight of the accuracy, 0 to 1, in the paper's fitness, which replaces the objectives.
        reference: EDP_ref of the fitness: a network or a number (mJ ms).
        max: Upper limits, such as area=200,energy=1.
        min: Lower limits, such as accuracy=0.9.
        device: Device that computes accuracies, such as cpu or cuda.

    Raises:
        ConfigError: If a file is missing or damaged, or an option is not allowed.
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
        self._store_options(locals())
        # torch is an extra, and slow to load: only a problem that is built needs it.
        from moopim.network.quantiser import check_bits
        from moopim.problems.crossnas.accuracies import CrossbarAccuracy

        choices = {name: whole_numbers(name, getattr(self, name)) for name in (*_WIDTHS, *CIRCUIT)}
        self._accuracies = CrossbarAccuracy(network, data, root, calibration, adc_range, device, self._simulator)
        stored = self._accuracies.stored
        self._table = network_layers(stored.subnet, stored.image_shape, stored.classes)
        self._columns = [self._table.names.index(path) for path in self._accuracies.layers]
        self.genome = Genome(
            *(Choice(name, choices[name], len(self._columns)) for name in _WIDTHS),
            *(Choice(name, choices[name]) for name in CIRCUIT),
        )
        for name in _WIDTHS:
            for value in choices[name]:
                check_bits(name, value)
        self._check_circuits(choices)
        rates = read_table("moopim.problems.crossnas", "search.toml")["mutation"]
        quantisation, circuit = (constant(f"mutation {name}", rates[name]) for name in ("quantisation", "circuit"))
        self.mutation = dict.fromkeys(_WIDTHS, quantisation) | dict.fromkeys(CIRCUIT, circuit)
        self._complete(stored.classes)

    def layer_table(self, designs: Designs) -> LayerTable:
        """Layer table of the network with the widths of each design.

        Args:
            designs: The designs.

        Returns:
            The table, shape ``(designs, layers)``.
        """
        widths = np.ones((2, len(designs), self._table.layers), dtype=np.int64)
        for side, name in enumerate(_WIDTHS):
            widths[side][:, self._columns] = designs[name]
        return self._table.with_bits(*widths)

    def evaluate_designs(self, designs: Designs) -> dict[str, FloatArray]:
        """Evaluate widths and circuits.

        Args:
            designs: The designs.

        Returns:
            Every quantity, shape ``(designs,)``; the accuracy is NaN for designs whose hardware is out of its limits.
        """
        circuit = {name: designs[name] for name in CIRCUIT}
        hardware = hardware_metrics(self._simulator, self.layer_table(designs), circuit)

        def accuracy(within: BoolArray) -> FloatArray:
            chosen = {name: values[within] for name, values in circuit.items()}
            return self._accuracies(designs.weight_bits[within], designs.activation_bits[within], chosen)

        return self._objectives.evaluate(hardware, accuracy)

    def network_on_chip(self, designs: Designs) -> NetworkOnChip:
        """Network and circuit of one design, a batch of one.

        Args:
            designs: The design.

        Returns:
            Blocks, layer table, bits and circuit.
        """
        bits = designs.weight_bits[0], designs.activation_bits[0]
        circuit = {name: designs[name] for name in CIRCUIT}
        return NetworkOnChip(self._accuracies.stored.subnet, self.layer_table(designs), *bits, circuit)

    def _check_circuits(self, choices: Mapping[str, tuple[int, ...]]) -> None:
        """Raise ConfigError unless there are such circuits and chips, and the network fits on their crossbars."""
        from moopim.problems.crossnas.accuracies import pim_circuit

        tried = [{**_ANY_CIRCUIT, name: value} for name in CIRCUIT for value in choices[name]]
        for circuit in tried:
            pim_circuit(circuit["crossbar"], circuit["adc_bits"], circuit["dac_bits"])
        circuits = {name: np.array([circuit[name] for circuit in tried]) for name in CIRCUIT}
        hardware_metrics(self._simulator, self._table, circuits)


def whole_numbers(name: str, values: str) -> tuple[int, ...]:
    """Whole numbers separated by commas."""
    try:
        found = tuple(int(word) for word in values.split(","))
    except ValueError:
        raise ConfigError(f"{name}={values!r} is not allowed; expected whole numbers, such as 5,7,9") from None
    if len(set(found)) < len(found):
        raise ConfigError(f"{name}={values!r} has a value twice; expected different ones")
    return found
