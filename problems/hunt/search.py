"""Searches for mappings with a loss of accuracy, the choice of one design, and summaries by tier order (HuNT).

Source: Ogbogu et al., IEEE TCAD 2024. The paper gives the thermal noise of eqs 6-7 no scale. In the idealised model its
two scales are pinned to what the paper says of accuracy: of the five networks, the worst loses 2.5 % on RRRS and 4 % on
FFFS. Losses of these two are therefore calibrated, not computed, and losses of others are in proportion to them. The
system model has no loss: its noise is 0 within the rise that the references of the arrays track.
"""

import copy
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Literal, NamedTuple

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
from moopim.problems.hunt.variants import LOSS_LIMIT, Variant
from moopim.problems.hunt.weighted import WeightedMapping
from moopim.typing import FloatArray, IntArray
from moopim.workload import WORKLOADS

OPTIMISER = "nsga2-hv"
"""Optimiser of all searches for a front."""

EFFICIENCIES = ("tops_per_W", "tops_per_mm2")
"""Efficiencies that a design may be selected by."""

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
    """The same problem on the model of `with_loss_scales`; raise ConfigError unless it is the idealised one."""
    if problem.equations != "idealised" or not isinstance(problem.model, IdealisedModel):
        raise ConfigError(f"equations {problem.equations!r} have no loss of accuracy; expected 'idealised'")
    scaled = copy.copy(problem)
    scaled.model = with_loss_scales(problem.model, problem.factors)
    return scaled


def losses(problem: HuntMapping, frame: pd.DataFrame) -> FloatArray:
    """Loss of accuracy (a share) of mappings such as a ``front.csv``, shape ``(rows,)``; NaN where one does not fit."""
    return HuntMapping.evaluate_designs(scaled_by_loss(problem), read_designs(problem.genome, frame))["err"]


def select(
    front: pd.DataFrame, efficiency: str = "tops_per_W", limit: float | None = LOSS_LIMIT, loss: str = "loss"
) -> pd.Series:
    """Select a design as HuNT does (section III-D): of those that lose little accuracy, the most efficient.

    Args:
        front: The Pareto set, one design per row, such as a ``front.csv`` with a column for the loss of accuracy.
        efficiency: Quantity that the design shall be best in: ``tops_per_W`` or ``tops_per_mm2``.
        limit: Largest loss of accuracy (a share); None to select from all designs, as in the system model.
        loss: Column of the loss (a share), not needed without a limit.

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
    columns = [efficiency] if limit is None else [efficiency, loss]
    check_columns(front, columns)
    if limit is not None and not limit >= 0:
        raise ConfigError(f"limit={limit!r} is not allowed; expected a share of accuracy from 0, such as 0.01")
    known = front[np.isfinite(front[columns].to_numpy(dtype=np.float64)).all(axis=1)]
    if known.empty:
        what = " and ".join(columns)
        raise ConfigError(f"none of the {len(front)} designs has finite {what}; expected at least one")
    feasible = known if limit is None else known[known[loss] <= limit]
    if feasible.empty:
        raise ConfigError(
            f"no design loses at most {100 * float(limit or 0):g} % of accuracy; the lowest loss of the "
            f"{count(len(known), 'design')} is {100 * known[loss].min():.3g} %"
        )
    best: pd.Series = feasible.loc[feasible[efficiency].idxmax()]
    return best


def selected_text(front: pd.DataFrame, efficiency: str, limit: float | None) -> str:
    """Selected design, such as ``RRFS 15.1``, or ``none`` where no design is below the limit."""
    if limit is not None and not (front["loss"] <= limit).any():
        return "none"
    best = select(front, efficiency, limit)
    return f"{best['tiers']} {best[efficiency]:.3g}"


class TierOrderMapping(HuntMapping):
    """Map the layers of a network to a 3-D stack whose tiers are given.

    A policy restricts the tiers of layers: hyperx keeps a share of the layers, the last ones, on the SRAM tiers and the
    others off them; accured keeps all layers on the ReRAM tiers.

    Args:
        tiers: Device of each tier, tier 1 (at the heat sink) first, such as RRFS.
        workload: Network: vgg11, vgg16, resnet18, resnet34, densenet40, or the small lenet5.
        dataset: Data set that sets input size and classes: cifar10, cifar100 or tinyimagenet.
        equations: The system model, or the idealised one.
        precision: Number format of the gradient engine of the system model.
        factors: Factor set: physical, or calibrated to the claims of the paper (not in the system model).
        policy: Tiers that each layer may have.
    """

    def __init__(
        self,
        tiers: str = "RRFS",
        workload: str = "resnet34",
        dataset: str = "cifar10",
        equations: Literal["system", "idealised"] = "system",
        precision: Literal["int8", "fp16", "fp32"] = "int8",
        factors: str = "physical",
        policy: Literal["free", "hyperx", "accured"] = "free",
    ) -> None:
        super().__init__(
            workload,
            dataset,
            equations,
            precision=precision,
            factors=factors,
            devices=",".join(dict.fromkeys(f"SRF{tiers}")),
        )
        self.tiers = tiers
        self.policy = policy
        self._devices = tier_devices(self.model, tiers)
        self._allowed_genes = self._allow()

    def _allow(self) -> IntArray:
        """Gene that the policy makes of each gene of each layer, shape ``(layers, slots)``."""
        layers, pes = len(self.model.workload), self.model.stack.pes_per_tier
        bp, _ = forward_pools(self.model, self.tiers)  # raises for an order without a tier for back-propagation
        forward = np.array([letter for tier, letter in enumerate(self.tiers) if tier != bp])
        allowed = np.ones((layers, len(forward)), dtype=np.bool_)
        if self.policy == "hyperx":
            last = np.arange(layers) >= layers - round(self.model.factors.phi_HX * layers)
            allowed = (forward == "S") == last[:, None]
        elif self.policy == "accured":
            allowed = np.tile(forward == "R", (layers, 1))
        elif self.policy != "free":
            raise unknown_name("policy", self.policy, ("free", "hyperx", "accured"))
        if not allowed.any(axis=1).all():
            raise ConfigError(f"tiers {self.tiers!r} have none for some layers of policy {self.policy!r}")
        genes = np.arange(self.model.slots)
        tier, slot = np.divmod(genes, pes)
        homes = [np.flatnonzero(here) for here in allowed]
        moved = np.array([home[slot % len(home)] * pes + slot for home in homes])
        return np.where(allowed[:, tier], genes, moved)

    def repair_designs(self, X: IntArray) -> IntArray:
        """Set the tiers of mappings, make them fit, and keep the policy; shape ``(pop, n_genes)``."""
        X = X.copy()
        X[:, self.genome.slices["tier"]] = self._devices
        X = super().repair_designs(X)
        genes = X[:, self.genome.slices["pe"]]
        genes[:] = self._allowed_genes[np.arange(genes.shape[1]), genes]
        return X


def search_front(problem: HuntMapping, evaluations: int, seed: int) -> pd.DataFrame:
    """Search a front with `OPTIMISER`, or the weighted objective with top-K.

    In the idealised model the objective ``err`` of the search is the loss of accuracy.

    Args:
        problem: The problem.
        evaluations: Budget of evaluations.
        seed: Seed of all random numbers.

    Returns:
        The non-dominated feasible designs, one per row, with the columns of a ``front.csv`` and two more: ``tiers``
        (the tier order) and ``loss`` (loss of accuracy, a share; NaN but in the idealised model).

    Raises:
        ConfigError: If an argument is not allowed.
    """
    weighted, lossy = isinstance(problem, WeightedMapping), problem.equations == "idealised"
    searched = scaled_by_loss(problem) if lossy and not weighted else problem
    algorithm = "topk" if weighted else OPTIMISER
    front = run(searched, algorithm, evaluations=evaluations, seed=seed, progress=False).front
    return front.assign(tiers=tier_orders(front), loss=losses(problem, front) if lossy else np.nan)


def tier_orders(frame: pd.DataFrame) -> pd.Series:
    """Tier order of each mapping of a frame with one column per gene, such as ``RRFS``."""
    return frame.filter(regex="^tier_").astype(str).agg("".join, axis=1)


def front_by_order(front: pd.DataFrame, reference: pd.Series) -> pd.DataFrame:
    """For each tier order of a front the design with the least energy x period, relative to a reference design.

    Further columns are ``designs`` (how many the order has on the front), and ``period_norm``, ``power_norm`` and
    ``area_norm``, 1 for the reference.
    """
    best = _least_product(front)
    best["designs"] = front.groupby("tiers").size()
    for name, column in (("period", "period_ns"), ("power", "power_W"), ("area", "area_mm2")):
        best[f"{name}_norm"] = best[column] / reference[column]
    return best.reset_index(drop=True)


def reference_design(workload: str, variant: Variant, evaluations: int, seed: int) -> pd.Series:
    """Mapping on the tiers of `REFERENCE_ORDER` with the least energy x period, a row of a searched front."""
    front = search_front(TierOrderMapping(REFERENCE_ORDER, workload, **variant._asdict()), evaluations, seed)
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
    """Loss of accuracy of every order of one SRAM tier and three of ReRAM or FeFET, on pools (idealised model).

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
