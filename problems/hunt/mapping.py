"""Mapping of DNN training to a 3-D stack (HuNT, Ogbogu et al., IEEE TCAD 2024): table of quantities, and the problem.

An entry added to `SYSTEM` or `PAPER` is an objective or metric of the problems ``hunt`` and ``hunt-weighted`` (there
with a weight of its own), of their frames and figures, and of ``moopim evaluate hunt``.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from moopim.constants import file_hash, file_hashes
from moopim.errors import unknown_name
from moopim.genes import Choice, Index
from moopim.genome import Designs, Genome
from moopim.hardware.stack import SystemModel, evaluate_surrogates, evaluate_system, system_model
from moopim.hardware.stack.model import occupy
from moopim.problem import DesignProblem
from moopim.quantities import Constraint, Metric, Objective
from moopim.typing import FloatArray, IntArray
from moopim.workload import Workload, load_workload

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class MappingResults(NamedTuple):
    """Mappings with the results of a set of equations.

    Attributes:
        model: The model.
        tiers: Device of each tier, tier 1 (at the heat sink) first, shape ``(designs, tiers)``.
        genes: Forward tier x PEs per tier + slot of each layer, shape ``(designs, layers)``.
        results: Results of the equations by name, shape ``(designs,)``, NaN where a mapping does not fit.
    """

    model: SystemModel
    tiers: IntArray
    genes: IntArray
    results: dict[str, FloatArray]


class MappingQuantity(NamedTuple):
    """Objective or metric of a mapping.

    Attributes:
        quantity: Its name, unit and, of an objective, sense.
        about: The quantity in words, for help texts.
        compute: Its values, shape ``(designs,)``; by default the result of the equations with its name. Values of a
            mapping that does not fit (``results["violation"] > 0``) are not used. For example, the mean place of the
            layers, by forward tier: ``lambda m: (m.genes // m.model.stack.pes_per_tier).mean(axis=1)``.
        traffic: Traffic model that it is limited to; any by default.
    """

    quantity: Objective | Metric
    about: str
    compute: Callable[[MappingResults], FloatArray] | None = None
    traffic: str | None = None

    def values(self, mappings: MappingResults) -> FloatArray:
        """Values of mappings, shape ``(designs,)``."""
        return mappings.results[self.quantity.name] if self.compute is None else self.compute(mappings)


SYSTEM = [
    MappingQuantity(Objective("period", "ns"), "time per image (eqs 2-4)"),
    MappingQuantity(Objective("area", "mm2"), "area in use (eq. 5)"),
    MappingQuantity(Objective("power", "W"), "power (eqs 9-11)"),
    MappingQuantity(Objective("err", "1"), "thermal noise (eqs 6-7)"),
    MappingQuantity(Metric("energy", "pJ"), "energy per image"),
    MappingQuantity(Metric("peak", "K"), "temperature of the hottest PE (eq. 8)"),
    MappingQuantity(Metric("tops_per_W", "1"), "operations per energy (TOPS/W)"),
    MappingQuantity(Metric("tops_per_mm2", "1"), "operations per time and area of the stack (TOPS/mm2)"),
    MappingQuantity(Metric("link_util", "1"), "busy share of the busiest link", traffic="graph"),
]
"""Quantities of the system model."""

PAPER = [
    MappingQuantity(Objective("latency", "ns"), "latency (eqs 2-4)"),
    MappingQuantity(Objective("pes", "1"), "PEs that weights and activations take (eq. 5)"),
    MappingQuantity(Objective("power", "W"), "power (eqs 9-11)"),
    MappingQuantity(Objective("err", "1"), "thermal noise (eqs 6-7)"),
    MappingQuantity(Metric("peak", "K"), "temperature of the hottest PE (eq. 8)"),
]
"""Quantities of the paper's equations as printed."""

EQUATIONS = {"system": (evaluate_system, SYSTEM), "paper": (evaluate_surrogates, PAPER)}
"""Model and quantities by set of equations: ``system``, and ``paper`` for the equations as printed."""


def objectives(table: list[MappingQuantity]) -> tuple[Objective, ...]:
    """Objectives of a table, in its order."""
    return tuple(entry.quantity for entry in table if isinstance(entry.quantity, Objective))


def metrics(table: list[MappingQuantity]) -> tuple[Metric, ...]:
    """Metrics of a table, in its order."""
    return tuple(entry.quantity for entry in table if isinstance(entry.quantity, Metric))


class HuntMapping(DesignProblem):
    """Map the layers of a network to PEs, and PE types to the tiers of a 3-D stack, for training (HuNT).

    A design is the device of each tier, tier 1 at the heat sink first, and the place of each layer: forward tier x PEs
    per tier + slot. The tier farthest from the sink whose device endures the writes serves back-propagation.

    Args:
        workload: Network: vgg11, vgg16, resnet18, resnet34 or densenet40.
        dataset: Data set that sets input size and classes: cifar10, cifar100 or tinyimagenet.
        factors: Factor set: physical, calibrated (to the claims of the paper) or FILE.toml.
        devices: Devices of the tiers, such as S,R,F or S:hp,R,F:parallel or S,R,my_device.toml.
        stack: TOML file with another stack and its materials.
        override: Values of single parameters that replace all others, such as kappa=4,mesh=6,R.static_mW=5.
        traffic: Traffic between layers: the graph of the network, or a chain in which each sends to the next one.
        noc: NoC latency model of the graph: queues at the links, or none as in the paper.
        thermal: Thermal model: HotSpot's equations, a full finite-volume model or the paper's eq. 8.
        equations: The system model, or the paper's surrogates as printed.
        bp_tier: Tier for back-propagation: the farthest that can, or the farthest from the sink in any case.
        repair: Whether optimisers repair mappings that do not fit; without, these only get their violation.

    Raises:
        ConfigError: If a name is unknown, a file cannot be read or a value is not allowed.
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
        self._equations, table = EQUATIONS[equations]
        self._table = [entry for entry in table if entry.traffic in (None, traffic)]
        self._declare()
        self.model: SystemModel = system_model(
            self.load_workload(),
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

    def _declare(self) -> None:
        """Declare the objectives and metrics of the table."""
        self.objectives, self.metrics = objectives(self._table), metrics(self._table)

    def load_workload(self) -> Workload:
        """Workload to map; a subclass may map another."""
        return load_workload(self.workload, self.dataset)

    def identity(self) -> Mapping[str, Any]:
        """Hashes of the data files of the hardware model, and of the user's."""
        named = (self.factors, *(name.strip() for name in self.devices.split(",")))
        files = [*([self.stack] if self.stack else []), *(name for name in named if name.lower().endswith(".toml"))]
        return {
            **file_hashes("moopim.hardware", "stack"),
            **file_hashes("moopim.hardware", "noc"),
            **{name: file_hash(Path(name)) for name in files},
        }

    def evaluate_designs(self, designs: Designs) -> dict[str, FloatArray]:
        """Every quantity of mappings, shape ``(designs,)``; NaN for mappings that do not fit."""
        return self.evaluate_mappings(designs.indices("tier"), designs.indices("pe"))

    def evaluate_mappings(self, tiers: IntArray, genes: IntArray) -> dict[str, FloatArray]:
        """Every quantity of mappings given as indices, shape ``(designs,)``; NaN for mappings that do not fit.

        Tiers hold the device of each tier, tier 1 (at the heat sink) first, shape ``(designs, tiers)``, genes the place
        of each layer, shape ``(designs, layers)``.
        """
        mappings = MappingResults(self.model, tiers, genes, self._equations(self.model, tiers, genes))
        values = {entry.quantity.name: entry.values(mappings) for entry in self._table}
        return {"violation": mappings.results["violation"], **values}

    def plot_design(self, designs: Designs, title: str) -> "dict[str, Figure]":
        """Plot a mapping: ``placement`` of its layers, ``heat`` of its PEs and, in traffic ``graph``, ``links``."""
        from moopim.problems.hunt.plots import plot_mapping

        return plot_mapping(self, designs, title)

    def repair_designs(self, X: IntArray) -> IntArray:
        """Make mappings fit as far as possible, unless the problem has ``repair=False``; shape ``(pop, n_genes)``.

        Without a tier that can serve back-propagation the farthest from the sink becomes one. Layers of an overfull
        forward tier move, the last along the snake first, to the forward tier with the most room.
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
        """Rows of the mappings with an overfull tier."""
        occupancy = occupy(self.model, tiers, genes)
        return np.flatnonzero((occupancy.used > occupancy.free).any(axis=1))

    def _relieve(self, tiers: IntArray, genes: IntArray) -> IntArray:
        """Move one layer of each design from its fullest forward tier to its emptiest."""
        pes, occupancy = self.model.stack.pes_per_tier, occupy(self.model, tiers, genes)
        room = (occupancy.free - occupancy.used) / occupancy.capacity
        fullest, emptiest = room.argmin(axis=1), room.argmax(axis=1)
        slot = np.where(occupancy.tier == fullest[:, None], genes % pes, -1)
        last = slot.shape[1] - 1 - slot[:, ::-1].argmax(axis=1)
        rows = np.arange(len(genes))
        genes[rows, last] = emptiest * pes + genes[rows, last] % pes
        return genes
