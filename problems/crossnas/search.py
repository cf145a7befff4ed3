"""What the two searches of CrossNAS have in common."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from moopim.evaluator.metric_store import MetricStore
from moopim.genome import Designs
from moopim.problem import DesignProblem
from moopim.problems.crossnas.goals import Goals, make_goals, reference_edp
from moopim.problems.crossnas.simulators import PimSimulator, PlanarSimulator, simulator_identity
from moopim.problems.crossnas.space import CrossNasSpace
from moopim.typing import IntArray
from moopim.workload import LayerTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from moopim.network.subnets import Subnet

__all__ = ["CrossNasSearch", "NetworkOnChip"]


class NetworkOnChip(NamedTuple):
    """One design: its blocks, its layer table, the bits of each layer with weights, and its circuit, a batch of one."""

    subnet: "Subnet"
    table: LayerTable
    weight_bits: IntArray
    activation_bits: IntArray
    circuit: Mapping[str, IntArray]


class _Accuracies(Protocol):
    """Accuracies that are kept for later runs."""

    store: MetricStore

    def identity(self) -> Mapping[str, str]:
        """What they depend on."""


class CrossNasSearch(DesignProblem):
    """A search with goals of one's choice, a PIM simulator, and accuracies that are paid once over all runs.

    A subclass has the parameters ``goals``, ``w_acc``, ``reference``, ``max`` and ``min``, sets its genome, simulator
    and accuracies, and ends its constructor with `_begin`.
    """

    goals: str
    w_acc: float | None
    reference: str
    max: str
    min: str
    _accuracies: _Accuracies
    _simulator: PimSimulator
    _goals: Goals

    def _begin(self, classes: int, space: CrossNasSpace | None = None) -> None:
        """Reads the goals and completes the problem.

        Args:
            classes: Classes that networks tell apart.
            space: The space of networks, of which the reference may be one.
        """
        edp = reference_edp(self.reference, classes, self._simulator, space)
        self._goals = make_goals(self.goals, self.w_acc, edp, self.max, self.min)
        self.objectives, self.constraints, self.metrics = self._goals.quantities
        self.metric_caches = {"accuracy": self._accuracies.store}
        super().__init__()

    def identity(self) -> Mapping[str, Any]:
        """Checksums of the weights, of the images and of the simulator."""
        return {**self._accuracies.identity(), **simulator_identity(self._simulator)}

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
        figures = {"network": plot_networks({title: network_strip(subnet, weight_bits, activation_bits, parts)})}
        if isinstance(self._simulator, PlanarSimulator):
            found = self._simulator.breakdown(table, circuit)
            energy, latency, area = (f"{found.totals[name][0]:.4g}" for name in ("energy", "latency", "area"))
            words = f"{title}: {energy} mJ, {latency} ms, {area} mm²"
            figures["breakdown"] = plot_breakdown(breakdown_frame(found, table), words)
        return figures
