"""What a front says of tier orders, as in Figures 3 and 4 of HuNT (IEEE TCAD 2024)."""

from itertools import product

import pandas as pd

from moopim.problems.hunt.baselines import baseline_model, best_map, evaluate_maps
from moopim.problems.hunt.loss import with_loss_scales
from moopim.problems.hunt.mapping import EQUATIONS
from moopim.problems.hunt.search import TierOrderMapping, search
from moopim.problems.hunt.selection import LIMIT

__all__ = [
    "REFERENCE_ORDER",
    "efficiency_by_order",
    "farthest_share",
    "front_by_order",
    "is_heterogeneous",
    "order_losses",
    "reference_design",
]

REFERENCE_ORDER = "SFFR"
"""The tier order that Figure 3 normalises by."""

_GOALS = {goal.name: goal.column for goal in EQUATIONS["system"][1]}


def front_by_order(front: pd.DataFrame, reference: pd.Series) -> pd.DataFrame:
    """Takes one design of each tier order out of a front, and normalises its objectives.

    Args:
        front: From `moopim.problems.hunt.search.search`.
        reference: The design that counts 1 in every objective, see `reference_design`.

    Returns:
        For each tier order the design with the least energy x period, with the columns of the front and further
        ``designs`` (how many the order has on the front) and, for each objective, ``period_norm`` and so on.
    """
    best = _least_product(front)
    best["designs"] = front.groupby("tiers").size()
    for name, column in _GOALS.items():
        best[f"{name}_norm"] = best[column] / reference[column]
    return best.reset_index(drop=True)


def reference_design(workload: str, dataset: str, factors: str, evaluations: int, seed: int) -> pd.Series:
    """Searches the mapping on the tiers of `REFERENCE_ORDER` with the least energy x period.

    Args:
        workload: Network.
        dataset: Data set that sets input size and classes.
        factors: Factor set.
        evaluations: Designs that the search may ask for.
        seed: Seed of the search.

    Returns:
        Its row of the front.
    """
    front = search(TierOrderMapping(REFERENCE_ORDER, workload, dataset, factors), evaluations, seed)
    return _least_product(front).iloc[0]


def efficiency_by_order(front: pd.DataFrame, limit: float = LIMIT) -> pd.DataFrame:
    """The best efficiencies of each tier order on a front.

    Args:
        front: From `moopim.problems.hunt.search.search`.
        limit: Loss of accuracy (a share) up to which a design is feasible.

    Returns:
        One row per tier order, the best TOPS/W first: ``tiers``, ``designs``, ``tops_per_W`` and ``tops_per_mm2`` (the
        best of its designs, each), and the same with ``_feasible`` behind of its feasible ones, NaN where it has none.
    """
    goals = ["tops_per_W", "tops_per_mm2"]
    best = front.groupby("tiers")[goals].max().assign(designs=front.groupby("tiers").size())
    feasible = front[front["loss"] <= limit].groupby("tiers")[goals].max()
    best = best.join(feasible.add_suffix("_feasible"))
    return best.sort_values("tops_per_W", ascending=False).reset_index()


def order_losses(workload: str, dataset: str = "cifar10", factors: str = "physical") -> pd.DataFrame:
    """Loss of accuracy of every order of one SRAM tier and three of ReRAM or FeFET, on pools of arrays.

    Args:
        workload: Network.
        dataset: Data set that sets input size and classes.
        factors: Factor set.

    Returns:
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
    """Share of the heterogeneous designs whose tier farthest from the heat sink is SRAM; the paper has all of them.

    Args:
        front: Mappings with a column ``tiers``.

    Returns:
        The share; NaN where there is no heterogeneous design.
    """
    return float(front.loc[is_heterogeneous(front["tiers"]), "tiers"].str.endswith("S").mean())


def is_heterogeneous(tiers: pd.Series) -> pd.Series:
    """Whether the forward tiers are not all of one device, apart from one SRAM tier for back-propagation.

    Args:
        tiers: Tier orders.
    """
    return tiers.map(lambda order: len(set(order[: order.rfind("S")] + order[order.rfind("S") + 1 :])) > 1)


def _least_product(front: pd.DataFrame) -> pd.DataFrame:
    """The row of each tier order with the least energy x period, by order."""
    cost = front["energy_pJ"] * front["period_ns"]
    return front.loc[cost.groupby(front["tiers"]).idxmin()].set_index("tiers", drop=False).rename_axis("order")
