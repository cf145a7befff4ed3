"""Searches for mappings as the studies need them: a front with tier orders and losses, or one tier order alone."""

import pandas as pd

from moopim.experiment.running import run
from moopim.problems.hunt.loss import losses, scaled_by_loss
from moopim.problems.hunt.mapping import HuntMapping
from moopim.problems.hunt.pools import forward_pools, tier_devices
from moopim.problems.hunt.weighted import WeightedMapping
from moopim.typing import IntArray

__all__ = ["TierOrderMapping", "search", "tier_orders"]


class TierOrderMapping(HuntMapping):
    """Map the layers of a network to a 3-D stack whose tiers are given.

    Args:
        tiers: Device of each tier, tier 1 (at the heat sink) first, such as RRFS.
        workload: Network: vgg11, vgg16, resnet18, resnet34 or densenet40.
        dataset: Data set that sets input size and classes: cifar10, cifar100 or tinyimagenet.
        factors: Factor set: physical, or calibrated to the claims of the paper.
    """

    def __init__(
        self, tiers: str = "RRFS", workload: str = "resnet34", dataset: str = "cifar10", factors: str = "physical"
    ) -> None:
        super().__init__(workload=workload, dataset=dataset, factors=factors)
        self.tiers = tiers
        forward_pools(self.model, tiers)  # refuses an order without a tier for back-propagation
        self._devices = tier_devices(self.model, tiers)

    def repair_designs(self, X: IntArray) -> IntArray:
        """Gives mappings the tiers, then makes them fit.

        Args:
            X: Genes, shape ``(pop, n_genes)``.

        Returns:
            Genes, shape ``(pop, n_genes)``.
        """
        X = X.copy()
        X[:, : len(self._devices)] = self._devices
        return super().repair_designs(X)


def search(problem: HuntMapping, evaluations: int, seed: int) -> pd.DataFrame:
    """Searches a front: AMOSA, whose objective ``err`` is the loss of accuracy, or top-K for a single objective.

    Args:
        problem: The problem.
        evaluations: Designs that the optimiser may ask for.
        seed: Seed of all random numbers.

    Returns:
        The non-dominated feasible designs, one per row, with the columns of a ``front.csv`` and two more: ``tiers``
        (the tier order) and ``loss`` (loss of accuracy, a share, see `moopim.problems.hunt.loss`).

    Raises:
        ConfigError: If an argument is not allowed.
    """
    weighted = isinstance(problem, WeightedMapping)
    searched, algorithm = (problem, "topk") if weighted else (scaled_by_loss(problem), "amosa")
    front = run(searched, algorithm, evaluations=evaluations, seed=seed, progress=False).front
    return front.assign(tiers=tier_orders(front), loss=losses(problem, front))


def tier_orders(frame: pd.DataFrame) -> pd.Series:
    """The tier order of each mapping of a frame, such as ``RRFS``.

    Args:
        frame: Mappings with one column per gene.
    """
    return frame.filter(regex="^tier_").astype(str).agg("".join, axis=1)
