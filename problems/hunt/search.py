"""Searches for mappings with a loss of accuracy, the choice of one design, and summaries by tier order (HuNT).

Source: Ogbogu et al., IEEE TCAD 2024. The paper gives the thermal noise of eqs 6-7 no scale. Here its two scales are
pinned to what the paper says of accuracy: of the five networks, the worst loses 2.5 % on RRRS and 4 % on FFFS. Losses
of these two are therefore calibrated, not computed, and losses of others are in proportion to them.
"""

import copy
from dataclasses import replace
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from moopim.analysis.frames import check_columns
from moopim.errors import ConfigError, unknown_name
from moopim.experiment.frames import read_designs
from moopim.experiment.running import run
from moopim.hardware.stack.idealised import IdealisedModel
from moopim.hardware.stack.parameters import load_factor_set, load_stack
from moopim.messages import count
from moopim.problems.hunt.baselines import (
    baseline_model,
    best_map,
    evaluate_baseline,
    evaluate_maps,
    forward_pools,
    published,
    tier_devices,
)
from moopim.problems.hunt.mapping import HuntMapping
from moopim.problems.hunt.weighted import WeightedMapping
from moopim.typing import FloatArray, IntArray
from moopim.workload import WORKLOADS

EFFICIENCIES = ("tops_per_W", "tops_per_mm2")
"""Efficiencies that a design may be selected by."""

LOSS_LIMIT = 0.01
"""Largest loss of accuracy of a selected design (a share), as in the paper."""

REFERENCE_ORDER = "SFFR"
"""The tier order that Figure 3 normalises by."""


class LossScales(NamedTuple):
    """Factors that make the noise of eq. 7 a loss of accuracy (a share).

    Attributes:
        exponential: k_R, on the noise of ReRAM.
        linear: k_F, on the noise of FeFET.
    """

    exponential: float
    linear: float


def loss_scales(factors: str) -> LossScales:
    """Scales with which the worst RRRS and FFFS of the five networks have the losses of the paper."""
    return _pinned_scales(factors, tuple(sorted(load_factor_set(factors).items())))


@cache
def _pinned_scales(factors: str, values: tuple[tuple[str, float], ...]) -> LossScales:
    """Scales of a factor set; its values are part of the key of the cache, since a file may change."""
    claims = published().set_index("name")["value"]
    del values
    models = [baseline_model(network, factors=factors) for network in WORKLOADS]
    worst = {name: max(evaluate_baseline(model, name).metrics["err"] for model in models) for name in ("RRRS", "FFFS")}
    return LossScales(*(claims[f"loss_{name}"] / 100 / worst[name] for name in ("RRRS", "FFFS")))


def with_loss_scales(model: IdealisedModel, factors: str) -> IdealisedModel:
    """The same model with the scales of `loss_scales`: its ``err`` is a loss of accuracy (a share)."""
    scales, default = loss_scales(factors), load_stack()
    scaled = replace(
        model.stack,
        noise_exponential=scales.exponential * default.noise_exponential,
        noise_linear_per_K=scales.linear * default.noise_linear_per_K,
    )
    return replace(model, stack=scaled)


def scaled_by_loss(problem: HuntMapping) -> HuntMapping:
    """The same problem on the model of `with_loss_scales`; raise ConfigError for the equations of the paper."""
    if problem.equations != "system":
        raise ConfigError(f"equations {problem.equations!r} have no loss of accuracy; expected 'system'")
    scaled = copy.copy(problem)
    scaled.model = with_loss_scales(problem.model, problem.factors)
    return scaled


def losses(problem: HuntMapping, frame: pd.DataFrame) -> FloatArray:
    """Loss of accuracy (a share) of mappings such as a ``front.csv``, shape ``(rows,)``; NaN where one does not fit."""
    return HuntMapping.evaluate_designs(scaled_by_loss(problem), read_designs(problem.genome, frame))["err"]


def select(
    front: pd.DataFrame, efficiency: str = "tops_per_W", limit: float = LOSS_LIMIT, loss: str = "loss"
) -> pd.Series:
    """Select a design as HuNT does (section III-D): of those that lose little accuracy, the most efficient.

    Args:
        front: The Pareto set, one design per row, such as a ``front.csv`` with a column for the loss of accuracy.
        efficiency: Quantity that the design shall be best in: ``tops_per_W`` or ``tops_per_mm2``.
        limit: Largest loss of accuracy (a share).
        loss: Column of the loss (a share).

    Returns:
        The row; of equally good ones the first.

    Raises:
        ConfigError: If a name is unknown, the limit is no number from 0, or no design is below it.

    Example:
        >>> import pandas as pd
        >>> from moopim.problems.hunt import select
        >>> front = pd.DataFrame({"tops_per_W": [3.0, 2.0, 1.0], "loss": [0.02, 0.01, 0.0]})
        >>> float(select(front)["tops_per_W"])
        2.0
    """
    if efficiency not in EFFICIENCIES:
        raise unknown_name("efficiency", efficiency, EFFICIENCIES)
    check_columns(front, (efficiency, loss))
    if not limit >= 0:
        raise ConfigError(f"limit={limit!r} is not allowed; expected a share of accuracy from 0, such as 0.01")
    known = front[np.isfinite(front[[efficiency, loss]].to_numpy(dtype=np.float64)).all(axis=1)]
    if known.empty:
        raise ConfigError(f"none of the {len(front)} designs has finite {efficiency} and {loss}; expected at least one")
    feasible = known[known[loss] <= limit]
    if feasible.empty:
        raise ConfigError(
            f"no design loses at most {100 * limit:g} % of accuracy; the lowest loss of the "
            f"{count(len(known), 'design')} is {100 * known[loss].min():.3g} %"
        )
    best: pd.Series = feasible.loc[feasible[efficiency].idxmax()]
    return best


def selected_text(front: pd.DataFrame, efficiency: str) -> str:
    """Selected design, such as ``RRFS 15.1``, or ``none`` where no design is below `LOSS_LIMIT`."""
    if not (front["loss"] <= LOSS_LIMIT).any():
        return "none"
    best = select(front, efficiency)
    return f"{best['tiers']} {best[efficiency]:.3g}"


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
        forward_pools(self.model, tiers)  # raises for an order without a tier for back-propagation
        self._devices = tier_devices(self.model, tiers)

    def repair_designs(self, X: IntArray) -> IntArray:
        """Set the tiers of mappings, then make them fit; shape ``(pop, n_genes)``."""
        X = X.copy()
        X[:, : len(self._devices)] = self._devices
        return super().repair_designs(X)


def search_front(problem: HuntMapping, evaluations: int, seed: int) -> pd.DataFrame:
    """Search a front: AMOSA, whose objective ``err`` is the loss of accuracy, or top-K for the weighted objective.

    Args:
        problem: The problem.
        evaluations: Budget of evaluations.
        seed: Seed of all random numbers.

    Returns:
        The non-dominated feasible designs, one per row, with the columns of a ``front.csv`` and two more: ``tiers``
        (the tier order) and ``loss`` (loss of accuracy, a share).

    Raises:
        ConfigError: If an argument is not allowed.
    """
    weighted = isinstance(problem, WeightedMapping)
    searched, algorithm = (problem, "topk") if weighted else (scaled_by_loss(problem), "amosa")
    front = run(searched, algorithm, evaluations=evaluations, seed=seed, progress=False).front
    return front.assign(tiers=tier_orders(front), loss=losses(problem, front))


def tier_orders(frame: pd.DataFrame) -> pd.Series:
    """Tier order of each mapping of a frame with one column per gene, such as ``RRFS``."""
    return frame.filter(regex="^tier_").astype(str).agg("".join, axis=1)


def front_by_order(front: pd.DataFrame, reference: pd.Series) -> pd.DataFrame:
    """For each tier order of a front the design with the least energy x period, relative to a reference design.

    Further columns are ``designs`` (how many the order has on the front) and, for each objective, ``period_norm`` and
    so on, 1 for the reference.
    """
    best = _least_product(front)
    best["designs"] = front.groupby("tiers").size()
    for objective in HuntMapping().objectives:
        best[f"{objective.name}_norm"] = best[objective.column] / reference[objective.column]
    return best.reset_index(drop=True)


def reference_design(workload: str, dataset: str, factors: str, evaluations: int, seed: int) -> pd.Series:
    """Mapping on the tiers of `REFERENCE_ORDER` with the least energy x period, a row of a searched front."""
    front = search_front(TierOrderMapping(REFERENCE_ORDER, workload, dataset, factors), evaluations, seed)
    return _least_product(front).iloc[0]


def efficiency_by_order(front: pd.DataFrame, limit: float = LOSS_LIMIT) -> pd.DataFrame:
    """Best efficiencies of each tier order on a front, the best TOPS/W first.

    Columns: ``tiers``, ``designs``, ``tops_per_W`` and ``tops_per_mm2`` (each the best of its designs), and the same
    with ``_feasible`` behind of the designs that lose at most `limit` of accuracy (a share), NaN where there are none.
    """
    columns = list(EFFICIENCIES)
    best = front.groupby("tiers")[columns].max().assign(designs=front.groupby("tiers").size())
    feasible = front[front["loss"] <= limit].groupby("tiers")[columns].max()
    best = best.join(feasible.add_suffix("_feasible"))
    return best.sort_values("tops_per_W", ascending=False).reset_index()


def order_losses(workload: str, dataset: str = "cifar10", factors: str = "physical") -> pd.DataFrame:
    """Loss of accuracy of every order of one SRAM tier and three of ReRAM or FeFET, on pools of arrays.

    One row per order, the largest loss first: ``tiers``, ``loss`` (a share) and ``peak_K``.
    """
    model = with_loss_scales(baseline_model(workload, dataset, factors), factors)
    rows = []
    for order in ("".join(letters) for letters in product("SRF", repeat=model.stack.tiers)):
        if order.count("S") == 1:
            metrics = evaluate_maps(model, order, best_map(model, order)[None])
            rows.append({"tiers": order, "loss": float(metrics["err"][0]), "peak_K": float(metrics["peak"][0])})
    return pd.DataFrame(rows).sort_values("loss", ascending=False, ignore_index=True)


def farthest_share(front: pd.DataFrame) -> float:
    """Share of the heterogeneous mappings whose farthest tier is SRAM, NaN without any; the paper has all of them."""
    return float(front.loc[is_heterogeneous(front["tiers"]), "tiers"].str.endswith("S").mean())


def is_heterogeneous(tiers: pd.Series) -> pd.Series:
    """Whether the forward tiers of each order are of several devices, apart from one SRAM tier for back-propagation."""
    return tiers.map(lambda order: len(set(order[: order.rfind("S")] + order[order.rfind("S") + 1 :])) > 1)


def _least_product(front: pd.DataFrame) -> pd.DataFrame:
    """Row of each tier order with the least energy x period, by order."""
    cost = front["energy_pJ"] * front["period_ns"]
    return front.loc[cost.groupby(front["tiers"]).idxmin()].set_index("tiers", drop=False).rename_axis("order")
