"""Mapping of DNN training to a 3-D stack (HuNT, Ogbogu et al., IEEE TCAD 2024): tables of quantities, and the problem.

An entry added to `SYSTEM`, `IDEALISED` or `PAPER` is an objective, a limit or a metric of the problems ``hunt`` and
``hunt-weighted``, of their frames and figures, and of ``moopim evaluate hunt``.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from moopim.constants import file_hash, file_hashes
from moopim.errors import ConfigError, unknown_name
from moopim.genes import Choice, Index
from moopim.genome import Designs, Genome
from moopim.goals import choose_goals
from moopim.hardware.stack import (
    IdealisedModel,
    SystemModel,
    evaluate_idealised,
    evaluate_surrogates,
    evaluate_system,
    idealised_model,
    system_model,
)
from moopim.hardware.stack.model import check_fit, occupy
from moopim.hardware.stack.placement import Occupancy
from moopim.problem import DesignProblem
from moopim.quantities import Constraint, Objective
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
        results: Results of the equations by name, which begin with the axis of designs, NaN where a mapping does not
            fit.
    """

    model: SystemModel | IdealisedModel
    tiers: IntArray
    genes: IntArray
    results: dict[str, FloatArray]


class MappingQuantity(NamedTuple):
    """Quantity of a mapping: an objective if it is among the goals, else a metric.

    Attributes:
        quantity: Its name, unit and sense.
        about: The quantity in words.
        compute: Its values, shape ``(designs,)``; by default the result of the equations with its name. Values of a
            mapping that does not fit (``results["violation"] > 0``) are not used. For example, the mean place of the
            layers, by forward tier: ``lambda m: (m.genes // m.model.stack.pes_per_tier).mean(axis=1)``.
        traffic: Traffic model that it is limited to; any by default.
    """

    quantity: Objective
    about: str
    compute: Callable[[MappingResults], FloatArray] | None = None
    traffic: str | None = None

    def values(self, mappings: MappingResults) -> FloatArray:
        """Values of mappings, shape ``(designs,)``."""
        return mappings.results[self.quantity.name] if self.compute is None else self.compute(mappings)


SYSTEM = [
    MappingQuantity(Objective("period", "ns"), "time per image (eqs 2-4)"),
    MappingQuantity(Objective("area", "mm2"), "tiles in use and back-propagation tier (eq. 5)"),
    MappingQuantity(Objective("energy", "pJ"), "energy per image (eqs 9-11)"),
    MappingQuantity(Objective("err", "1"), "thermal noise of the stored bits (eqs 6-7)"),
    MappingQuantity(Objective("power", "W"), "power"),
    MappingQuantity(Objective("peak", "K"), "temperature of the hottest PE (eq. 8)"),
    MappingQuantity(Objective("lifetime", "1", "max"), "images until cells are worn out"),
    MappingQuantity(Objective("trainings", "1", "max"), "trainings until cells are worn out"),
    MappingQuantity(Objective("link_util", "1"), "busy share of the busiest link"),
    MappingQuantity(Objective("tops_per_W", "1", "max"), "operations per energy (TOPS/W)"),
    MappingQuantity(Objective("tops_per_mm2", "1", "max"), "operations per time and area in use (TOPS/mm2)"),
    MappingQuantity(
        Objective("tops_per_mm2_stack", "1", "max"), "operations per time and area of the stack (TOPS/mm2)"
    ),
    MappingQuantity(Objective("gradient_tmacs", "1", "max"), "rate of the gradient engine (TMAC/s)"),
    MappingQuantity(Objective("gradient_store", "1"), "weight gradients of a batch over the memory for them"),
    MappingQuantity(Objective("slowest", "ns"), "time of the slowest stage"),
    MappingQuantity(Objective("gradient_ns", "ns"), "time of the gradients of an image"),
    MappingQuantity(Objective("layer_ns", "ns"), "time of the slowest layer"),
    MappingQuantity(Objective("link_ns", "ns"), "time of an image over the busiest link, at its limit"),
    MappingQuantity(Objective("update_ns", "ns"), "time to rewrite the weights, once per batch"),
    MappingQuantity(Objective("read_pJ", "pJ"), "energy of reading, per image"),
    MappingQuantity(Objective("write_pJ", "pJ"), "energy of writing, per image"),
    MappingQuantity(Objective("gradient_pJ", "pJ"), "energy of the gradients, per image"),
    MappingQuantity(Objective("noc_pJ", "pJ"), "energy of the network, per image"),
    MappingQuantity(Objective("static_pJ", "pJ"), "energy of leakage, per image"),
]
"""Quantities of the system model."""

IDEALISED = [
    MappingQuantity(Objective("period", "ns"), "time per image (eqs 2-4)"),
    MappingQuantity(Objective("area", "mm2"), "area in use (eq. 5)"),
    MappingQuantity(Objective("power", "W"), "power (eqs 9-11)"),
    MappingQuantity(Objective("err", "1"), "thermal noise (eqs 6-7)"),
    MappingQuantity(Objective("energy", "pJ"), "energy per image"),
    MappingQuantity(Objective("peak", "K"), "temperature of the hottest PE (eq. 8)"),
    MappingQuantity(Objective("tops_per_W", "1", "max"), "operations per energy (TOPS/W)"),
    MappingQuantity(Objective("tops_per_mm2", "1", "max"), "operations per time and area of the stack (TOPS/mm2)"),
    MappingQuantity(Objective("link_util", "1"), "busy share of the busiest link", traffic="graph"),
]
"""Quantities of the idealised model."""

PAPER = [
    MappingQuantity(Objective("latency", "ns"), "latency (eqs 2-4)"),
    MappingQuantity(Objective("pes", "1"), "PEs that weights and activations take (eq. 5)"),
    MappingQuantity(Objective("power", "W"), "power (eqs 9-11)"),
    MappingQuantity(Objective("err", "1"), "thermal noise (eqs 6-7)"),
    MappingQuantity(Objective("peak", "K"), "temperature of the hottest PE (eq. 8)"),
]
"""Quantities of the paper's equations as printed."""


class Equations(NamedTuple):
    """Set of equations.

    Attributes:
        table: Quantities.
        goals: Objectives by default.
    """

    table: list[MappingQuantity]
    goals: str


EQUATIONS = {
    "system": Equations(SYSTEM, "period,area,energy,err"),
    "idealised": Equations(IDEALISED, "period,area,power,err"),
    "paper": Equations(PAPER, "latency,pes,power,err"),
}
"""Sets of equations: ``system``, ``idealised``, and ``paper`` for the equations as printed."""

# Options that only some equations have, with the value that leaves them out.
_SYSTEM_ONLY = {"precision": "int8", "wear": "cell"}
_OTHERS_ONLY = {"traffic": "graph", "noc": "queue"}


class HuntMapping(DesignProblem):
    """Map the layers of a network to PEs, and PE types to the tiers of a 3-D stack, for training (HuNT).

    A design is the device of each tier, tier 1 at the heat sink first, the place of each layer: forward tier x PEs per
    tier + slot, and the pace that sets the copies of all layers. The tier farthest from the sink whose device endures
    the writes serves back-propagation.

    Args:
        workload: Network: vgg11, vgg16, resnet18, resnet34, densenet40, or the small lenet5.
        dataset: Data set that sets input size and classes: cifar10, cifar100 or tinyimagenet.
        equations: The system model; the idealised one, with free fractions of copies; or the paper's as printed.
        goals: Objectives; by default period,area,energy,err, of the idealised model period,area,power,err, of the
            paper's equations latency,pes,power,err.
        max: Upper limits, such as power=20,peak=330.
        min: Lower limits, such as trainings=1.
        precision: Number format of the gradient engine of the system model.
        wear: End of life in the system model: the first worn-out cell, or a whole tier with ideal wear levelling.
        factors: Factor set: physical, FILE.toml, or calibrated (to the claims of the paper; not in the system model).
        devices: Devices of the tiers, such as S,R,F or S:hp,R,F:parallel or S,R,my_device.toml.
        stack: TOML file with another stack and its materials.
        override: Values of single parameters that replace all others, such as kappa=4,mesh=6,R.static_mW=5.
        traffic: Traffic of the idealised model: the graph of the network, or a chain of its layers.
        noc: NoC latency of the idealised model: queues at the links, or none as in the paper.
        thermal: Thermal model: HotSpot's equations, a full finite-volume model or the paper's eq. 8.
        bp_tier: Tier for back-propagation: the farthest that can, or the farthest from the sink in any case.
        repair: Whether optimisers repair mappings that do not fit; without, these only get their violation.

    Raises:
        ConfigError: If a name is unknown, a file cannot be read, a value is not allowed, or mappings are to be repaired
            that no mapping makes fit.
    """

    constraints = (Constraint("violation", "1", upper=0.0),)

    def __init__(
        self,
        workload: str = "resnet34",
        dataset: str = "cifar10",
        equations: Literal["system", "idealised", "paper"] = "system",
        goals: str = "",
        max: str = "",
        min: str = "",
        precision: Literal["int8", "fp16", "fp32"] = "int8",
        wear: Literal["cell", "tier"] = "cell",
        factors: str = "physical",
        devices: str = "S,R,F",
        stack: str = "",
        override: str = "",
        traffic: Literal["graph", "chain"] = "graph",
        noc: Literal["queue", "paper"] = "queue",
        thermal: Literal["hotspot", "full", "paper", "paper+"] = "hotspot",
        bp_tier: Literal["free", "farthest"] = "free",
        repair: bool = True,
    ) -> None:
        self.workload = workload
        self.dataset = dataset
        self.equations = equations
        self.goals = goals
        self.max = max
        self.min = min
        self.precision = precision
        self.wear = wear
        self.factors = factors
        self.devices = devices
        self.stack = stack
        self.override = override
        self.traffic = traffic
        self.noc = noc
        self.thermal = thermal
        self.bp_tier = bp_tier
        self.repair = repair
        if equations not in EQUATIONS:
            raise unknown_name("equations", equations, EQUATIONS)
        self._check_options()
        self._table = [entry for entry in EQUATIONS[equations].table if entry.traffic in (None, traffic)]
        self.model = self._make_model(self.load_workload())
        if repair:
            check_fit(self.model)
        self._goals = choose_goals(
            [entry.quantity for entry in self._table],
            goals or EQUATIONS[equations].goals,
            max,
            min,
            origins={"peak": self.model.ambient_K},
        )
        self._check_goals()
        self._declare()
        letters = tuple(device.letter for device in self.model.devices)
        groups = [
            Choice("tier", letters, repeat=self.model.stack.tiers),
            Index("pe", self.model.slots, repeat=len(self.model.workload)),
        ]
        self.genome = Genome(*groups, *([Index("pace", self.levels)] if self.levels else []))
        super().__init__()

    @property
    def levels(self) -> int:
        """Levels of the pace; 0 in models without one."""
        return self.model.levels if isinstance(self.model, SystemModel) else 0

    def _check_options(self) -> None:
        """Raise ConfigError for options that the equations do not have."""
        system = self.equations == "system"
        if system and self.factors == "calibrated":
            raise ConfigError(
                "factors 'calibrated' were fitted to equations 'idealised'; expected 'physical' with equations 'system'"
            )
        for name, default in (_OTHERS_ONLY if system else _SYSTEM_ONLY).items():
            if (value := getattr(self, name)) != default:
                owners = "'idealised' or 'paper'" if system else "'system'"
                raise ConfigError(f"{name} {value!r} is given with equations {self.equations!r}; expected {owners}")

    def _check_goals(self) -> None:
        """Raise ConfigError for objectives that designs may not have: lives without end, unknown sizes."""
        letters = ", ".join(device.letter for device in self.model.devices if device.read == "macs")
        for goal in self._goals.objectives:
            name, reason = goal.name, ""
            if name in ("lifetime", "trainings") and letters:
                reason = f"may be infinite on devices that are not written ({letters})"
            elif name == "gradient_store" and letters:
                reason = f"is not known for devices without memory ({letters})"
            elif name == "trainings" and np.isnan(getattr(self.model, "training_images", 0.0)):
                reason = f"is not known for the data set {self.model.workload.dataset!r}"
            if reason:
                raise ConfigError(f"goal {name!r} {reason}; expected another goal or other devices")

    def _make_model(self, workload: Workload) -> SystemModel | IdealisedModel:
        common: dict[str, Any] = {
            "devices": self.devices,
            "stack": self.stack,
            "override": self.override,
            "thermal": self.thermal,
            "bp_tier": self.bp_tier,
        }
        if self.equations == "system":
            return system_model(workload, self.factors, precision=self.precision, wear=self.wear, **common)
        return idealised_model(workload, self.factors, self.traffic, noc=self.noc, **common)

    def _declare(self) -> None:
        """Declare objectives, limits and metrics."""
        self.objectives, self.limits, self.metrics = self._goals.objectives, self._goals.limits, self._goals.metrics

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
        pace = designs.indices("pace") if self.levels else None
        return self.quantities_of(self.evaluate_mappings(designs.indices("tier"), designs.indices("pe"), pace))

    def evaluate_mappings(self, tiers: IntArray, genes: IntArray, pace: IntArray | None = None) -> MappingResults:
        """Results of mappings given as indices.

        Tiers hold the device of each tier, tier 1 (at the heat sink) first, shape ``(designs, tiers)``, genes the place
        of each layer, shape ``(designs, layers)``, the pace its level, shape ``(designs,)``; it is needed by the system
        model only.
        """
        if isinstance(self.model, SystemModel):
            if pace is None:
                raise ConfigError("pace is not given; expected a level for each design in the system model")
            results = evaluate_system(self.model, tiers, genes, pace)
        else:
            evaluate = evaluate_surrogates if self.equations == "paper" else evaluate_idealised
            results = evaluate(self.model, tiers, genes)
        return MappingResults(self.model, tiers, genes, results)

    def quantities_of(self, mappings: MappingResults) -> dict[str, FloatArray]:
        """Every quantity of evaluated mappings, with the excess over limits in ``violation``, shape ``(designs,)``."""
        values = {entry.quantity.name: entry.values(mappings) for entry in self._table}
        return {"violation": self._goals.violation(values, mappings.results["violation"]), **values}

    def plot_design(self, designs: Designs, title: str) -> "dict[str, Figure]":
        """Plot a mapping: ``placement`` of its layers, ``heat`` of its PEs and, in traffic ``graph``, ``links``."""
        from moopim.problems.hunt.plots import plot_mapping

        return plot_mapping(self, designs, title)

    def describe_design(self, designs: Designs) -> str:
        """Describe a mapping: its tiers and, by the system model, copies, period, energy, heat, lifetime, gradients."""
        from moopim.problems.hunt.explain import describe_mapping

        return describe_mapping(self.model, designs)

    def surrogate_features(self, designs: Designs) -> FloatArray:
        """Where the layers are: tier and device of each, shares of the network by device and by tier, use of the tiers.

        Args:
            designs: The mappings.

        Returns:
            The features, shape ``(designs, n_features)``.
        """
        model, tiers, genes = self.model, designs.indices("tier"), designs.indices("pe")
        occupancy = occupy(model, tiers, genes)
        tier, device = (
            np.take_along_axis(column, occupancy.tier, axis=1)
            for column in (occupancy.forward, occupancy.forward_device)
        )
        on_device = device[:, :, None] == np.arange(len(model.devices))
        on_tier = tier[:, :, None] == np.arange(model.stack.tiers)
        macs, weights = (column / column.sum() for column in (model.workload.macs, model.workload.weights))
        place = np.argsort(np.argsort(genes, axis=1, kind="stable"), axis=1)
        columns = (
            occupancy.bp[:, None],
            np.take_along_axis(tiers, occupancy.bp[:, None], axis=1),
            tier,
            on_device.reshape(len(genes), -1),
            occupancy.used / occupancy.capacity,
            occupancy.layers,
            np.einsum("nld,l->nd", on_device, macs),
            np.einsum("nld,l->nd", on_device, weights),
            np.einsum("nld,l->nd", on_tier, weights),
            np.abs(np.diff(place, axis=1)).sum(axis=1, keepdims=True),
            np.abs(np.diff(tier, axis=1)).sum(axis=1, keepdims=True),
        )
        return np.concatenate(columns, axis=1, dtype=np.float64)

    def repair_designs(self, X: IntArray) -> IntArray:
        """Make mappings fit as far as possible, unless the problem has ``repair=False``; shape ``(pop, n_genes)``.

        Without a tier that can serve back-propagation the farthest from the sink becomes one. Layers of an overfull
        forward tier move, the last along the snake first, to the forward tier with the most room.
        """
        if not self.repair:
            return X
        X = X.copy()
        tiers, genes = (X[:, self.genome.slices[name]] for name in ("tier", "pe"))
        occupancy = occupy(self.model, tiers, genes)
        if not occupancy.has_bp.all():
            tiers[~occupancy.has_bp, -1] = int(np.flatnonzero(self.model.can_serve_bp)[0])
            occupancy = occupy(self.model, tiers, genes)
        overfull = rows = np.flatnonzero((occupancy.used > occupancy.free).any(axis=1))
        for _ in range(len(self.model.workload)):
            if not len(rows):
                break
            moved = self._relieve(genes[rows], occupancy.select(overfull))
            genes[rows] = moved
            occupancy = occupy(self.model, tiers[rows], moved)
            overfull = np.flatnonzero((occupancy.used > occupancy.free).any(axis=1))
            rows = rows[overfull]
        return X

    def _relieve(self, genes: IntArray, occupancy: Occupancy) -> IntArray:
        """Move one layer of each design from its fullest forward tier to its emptiest."""
        pes = self.model.stack.pes_per_tier
        room = (occupancy.free - occupancy.used) / occupancy.capacity
        fullest, emptiest = room.argmin(axis=1), room.argmax(axis=1)
        slot = np.where(occupancy.tier == fullest[:, None], genes % pes, -1)
        last = slot.shape[1] - 1 - slot[:, ::-1].argmax(axis=1)
        rows = np.arange(len(genes))
        genes[rows, last] = emptiest * pes + genes[rows, last] % pes
        return genes
