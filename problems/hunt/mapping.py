"""The search space and objectives of HuNT's mapping search (Ogbogu et al., IEEE TCAD 2024)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moopim.figures import file_hashes
from moopim.genes import IntArray
from moopim.genome import Choice, Designs, Genome, Index
from moopim.hardware.stack.system import SystemModel, evaluate_system, occupy, system_model
from moopim.problem import DesignProblem
from moopim.quantities import Constraint, Metric, Objective
from moopim.workload import load_workload

__all__ = ["HuntMapping"]


class HuntMapping(DesignProblem):
    """Map the layers of a network to PEs, and PE types to the tiers of a 3-D stack, for training (HuNT).

    A design names the device of each tier, tier 1 at the heat sink first, and for each layer one of 48 places: forward
    tier x 16 + slot. The tier farthest from the sink whose device stands the writes serves back-propagation.

    Args:
        workload: Network: vgg11, vgg16, resnet18, resnet34 or densenet40.
        dataset: Data set that sets input size and classes: cifar10, cifar100 or tinyimagenet.
        factors: Factor set: physical, or calibrated to the claims of the paper.
        traffic: Traffic model: chain.
        repair: Whether optimisers repair mappings that do not fit; without, these only get their violation.
    """

    objectives = (Objective("period", "ns"), Objective("area", "mm2"), Objective("power", "W"), Objective("err", "1"))
    constraints = (Constraint("violation", "1", upper=0.0),)
    metrics = (Metric("energy", "pJ"), Metric("peak", "K"), Metric("tops_per_W", "1"), Metric("tops_per_mm2", "1"))

    def __init__(
        self,
        workload: str = "resnet34",
        dataset: str = "cifar10",
        factors: str = "physical",
        traffic: str = "chain",
        repair: bool = True,
    ) -> None:
        self.workload = workload
        self.dataset = dataset
        self.factors = factors
        self.traffic = traffic
        self.repair = repair
        self.model: SystemModel = system_model(load_workload(workload, dataset), factors, traffic)
        letters = tuple(device.letter for device in self.model.devices)
        self.genome = Genome(
            Choice("tier", letters, repeat=self.model.stack.tiers),
            Index("pe", self.model.slots, repeat=len(self.model.workload)),
        )
        super().__init__()

    def identity(self) -> Mapping[str, Any]:
        """Hashes of the data files of the hardware model."""
        return file_hashes("moopim.hardware", "stack")

    def evaluate_designs(self, designs: Designs) -> dict[str, NDArray[np.float64]]:
        """Evaluates mappings with `moopim.hardware.stack.system.evaluate_system`.

        Args:
            designs: The mappings.

        Returns:
            Every quantity, shape ``(designs,)``; NaN for mappings that do not fit.
        """
        return evaluate_system(self.model, designs.indices("tier"), designs.indices("pe"))

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
        without = ~self.model.can_serve_bp[tiers].any(axis=1)
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
