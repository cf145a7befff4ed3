"""The search space and objectives of HuNT's mapping search (Ogbogu et al., IEEE TCAD 2024)."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from moopim.constants import file_hash, file_hashes
from moopim.errors import unknown_name
from moopim.genome import Choice, Designs, Genome, Index
from moopim.hardware.stack import SystemModel, evaluate_surrogates, evaluate_system, system_model
from moopim.hardware.stack.model import occupy
from moopim.problem import DesignProblem
from moopim.quantities import Constraint, Metric, Objective
from moopim.typing import FloatArray, IntArray
from moopim.workload import Workload, load_workload

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["EQUATIONS", "HuntMapping"]

EQUATIONS = {
    "system": (
        evaluate_system,
        (Objective("period", "ns"), Objective("area", "mm2"), Objective("power", "W"), Objective("err", "1")),
        (Metric("energy", "pJ"), Metric("peak", "K"), Metric("tops_per_W", "1"), Metric("tops_per_mm2", "1")),
    ),
    "paper": (
        evaluate_surrogates,
        (Objective("latency", "ns"), Objective("pes", "1"), Objective("power", "W"), Objective("err", "1")),
        (Metric("peak", "K"),),
    ),
}
"""The model, its objectives and its metrics by name: ``system``, and ``paper`` for the equations as printed."""


class HuntMapping(DesignProblem):
    """Map the layers of a network to PEs, and PE types to the tiers of a 3-D stack, for training (HuNT).

    A design names the device of each tier, tier 1 at the heat sink first, and for each layer its place: forward tier x
    PEs per tier + slot. The tier farthest from the sink whose device stands the writes serves back-propagation.

    Args:
        workload: Network: vgg11, vgg16, resnet18, resnet34 or densenet40.
        dataset: Data set that sets input size and classes: cifar10, cifar100 or tinyimagenet.
        factors: Factor set: physical, calibrated (to the claims of the paper) or FILE.toml.
        devices: Devices of the tiers, such as S,R,F or S:hp,R,F:parallel or S,R,my_device.toml.
        stack: TOML file with another stack and its materials.
        override: Values of single parameters that replace all others, such as kappa=4,mesh=6,R.static_mW=5.
        traffic: Who talks to whom: layers as they read each other in the network, or each to the next one.
        noc: How packets of the graph wait: in queues at the links, or not at all as in the paper.
        thermal: How temperatures are found: by HotSpot's equations, a full finite-volume model or the paper's eq. 8.
        equations: The system model, or the paper's surrogates as printed.
        bp_tier: Tier for back-propagation: the farthest that can, or the farthest from the sink in any case.
        repair: Whether optimisers repair mappings that do not fit; without, these only get their violation.
    """

    constraints = (Constraint("violation", "1", upper=0.0),)

    def __init__(
        self,
        workload: str = "resnet34",
        dataset: str = "cifar10",
        factors: str = "physical",
        devices: str = "S,R,F",
        stack: str = "",
        override: str = "",
        traffic: Literal["graph", "chain"] = "graph",
        noc: Literal["queue", "paper"] = "queue",
        thermal: Literal["hotspot", "full", "paper", "paper+"] = "hotspot",
        equations: Literal["system", "paper"] = "system",
        bp_tier: Literal["free", "farthest"] = "free",
        repair: bool = True,
    ) -> None:
        self.workload = workload
        self.dataset = dataset
        self.factors = factors
        self.devices = devices
        self.stack = stack
        self.override = override
        self.traffic = traffic
        self.noc = noc
        self.thermal = thermal
        self.equations = equations
        self.bp_tier = bp_tier
        self.repair = repair
        if equations not in EQUATIONS:
            raise unknown_name("equations", equations, EQUATIONS)
        self._metrics_of = EQUATIONS[equations][0]
        self.objectives, self.metrics = self.goals_and_metrics()
        self.model: SystemModel = system_model(
            self.load_network(),
            factors,
            traffic,
            noc=noc,
            devices=devices,
            stack=stack,
            override=override,
            thermal=thermal,
            bp_tier=bp_tier,
        )
        letters = tuple(device.letter for device in self.model.devices)
        self.genome = Genome(
            Choice("tier", letters, repeat=self.model.stack.tiers),
            Index("pe", self.model.slots, repeat=len(self.model.workload)),
        )
        super().__init__()

    def goals_and_metrics(self) -> tuple[tuple[Objective, ...], tuple[Metric, ...]]:
        """Objectives and metrics; a subclass may weigh them otherwise."""
        _, objectives, metrics = EQUATIONS[self.equations]
        links = (Metric("link_util", "1"),) if (self.equations, self.traffic) == ("system", "graph") else ()
        return objectives, metrics + links

    def load_network(self) -> Workload:
        """The network to map; a subclass may have another."""
        return load_workload(self.workload, self.dataset)

    def identity(self) -> Mapping[str, Any]:
        """Hashes of the data files of the hardware model, and of the user's."""
        named = (self.factors, *(name.strip() for name in self.devices.split(",")))
        own = [*([self.stack] if self.stack else []), *(name for name in named if name.lower().endswith(".toml"))]
        return {
            **file_hashes("moopim.hardware", "stack"),
            **file_hashes("moopim.hardware", "noc"),
            **{name: file_hash(Path(name)) for name in own},
        }

    def evaluate_designs(self, designs: Designs) -> dict[str, FloatArray]:
        """Evaluates mappings.

        Args:
            designs: The mappings.

        Returns:
            Every quantity, shape ``(designs,)``; NaN for mappings that do not fit.
        """
        return self.evaluate_mappings(designs.indices("tier"), designs.indices("pe"))

    def evaluate_mappings(self, tiers: IntArray, genes: IntArray) -> dict[str, FloatArray]:
        """Evaluates mappings given as indices, with `moopim.hardware.stack.system.evaluate_system` or its like.

        Args:
            tiers: Device of each tier, tier 1 (at the heat sink) first, shape ``(designs, tiers)``.
            genes: Place of each layer, shape ``(designs, layers)``.

        Returns:
            Every quantity, shape ``(designs,)``; NaN for mappings that do not fit.
        """
        return self._metrics_of(self.model, tiers, genes)

    def plot_design(self, designs: Designs, title: str) -> "dict[str, Figure]":
        """Plot a mapping: ``placement`` of its layers, ``heat`` of its PEs and, in traffic ``graph``, ``links``."""
        from moopim.problems.hunt.pictures import plot_mapping

        return plot_mapping(self, designs, title)

    def repair_designs(self, X: IntArray) -> IntArray:
        """Makes mappings fit, as far as that is possible, unless the problem was made with ``repair=False``.

        Without a tier that can serve back-propagation the farthest from the sink becomes one. Layers of an overfull
        forward tier move, the last along the snake first, to the forward tier with the most room.

        Args:
            X: Genes, shape ``(pop, n_genes)``.

        Returns:
            Genes, shape ``(pop, n_genes)``.
        """
        if not self.repair:
            return X
        n_tiers = self.model.stack.tiers
        X = X.copy()
        tiers, genes = X[:, :n_tiers], X[:, n_tiers:]
        without = ~occupy(self.model, tiers, genes).has_bp
        tiers[without, -1] = int(np.flatnonzero(self.model.can_serve_bp)[0])
        for _ in range(len(self.model.workload)):
            rows = self._overfull(tiers, genes)
            if not len(rows):
                break
            genes[rows] = self._relieve(tiers[rows], genes[rows])
        return X

    def _overfull(self, tiers: IntArray, genes: IntArray) -> IntArray:
        occupancy = occupy(self.model, tiers, genes)
        return np.flatnonzero((occupancy.used > occupancy.free).any(axis=1))

    def _relieve(self, tiers: IntArray, genes: IntArray) -> IntArray:
        """Moves one layer of each design from its fullest forward tier to its emptiest."""
        pes, occupancy = self.model.stack.pes_per_tier, occupy(self.model, tiers, genes)
        room = (occupancy.free - occupancy.used) / occupancy.capacity
        fullest, emptiest = room.argmin(axis=1), room.argmax(axis=1)
        slot = np.where(occupancy.tier == fullest[:, None], genes % pes, -1)
        last = slot.shape[1] - 1 - slot[:, ::-1].argmax(axis=1)
        rows = np.arange(len(genes))
        genes[rows, last] = emptiest * pes + genes[rows, last] % pes
        return genes
