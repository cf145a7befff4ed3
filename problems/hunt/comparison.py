"""Architectures side by side, as in Figures 4 and 6 of HuNT (IEEE TCAD 2024): baselines and what searches find."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from moopim.errors import ConfigError
from moopim.hardware.stack.parameters import FACTOR_SETS
from moopim.problems.hunt.baselines import ARCHITECTURES, baseline_model, evaluate_baseline
from moopim.problems.hunt.loss import with_loss_scales
from moopim.problems.hunt.mapping import HuntMapping
from moopim.problems.hunt.published import published
from moopim.problems.hunt.search import search
from moopim.problems.hunt.selection import select
from moopim.problems.hunt.weighted import WeightedMapping
from moopim.workload import WORKLOADS, load_workload

__all__ = ["COLUMNS", "SEARCHES", "baseline_frame", "compare", "ratios", "searched_frame"]

COLUMNS = {
    "set": "factor set",
    "workload": "network",
    "architecture": "name",
    "tiers": "tier order, tier 1 (at the heat sink) first",
    "model": "pools (no communication) or system (placed layers, communication)",
    "period_ns": "time per image (ns)",
    "energy_pJ": "energy per image (pJ)",
    "power_W": "power (W)",
    "peak_K": "hottest PE (K)",
    "loss": "loss of accuracy (a share), on a calibrated scale",
    "tops_per_W": "operations per energy (TOPS/W)",
    "tops_per_mm2": "operations per time and area of the stack (TOPS/mm2)",
    "over_tops_per_W": "TOPS/W of RRFS over this one",
    "over_tops_per_mm2": "TOPS/mm2 of RRFS over this one",
    "pools": "for two pools, the pool of each layer",
}
"""Columns of the frames and what they hold."""

_METRICS = ("period_ns", "energy_pJ", "power_W", "peak_K", "loss", "tops_per_W", "tops_per_mm2")
_UNITS = {"period": "period_ns", "energy": "energy_pJ", "power": "power_W", "peak": "peak_K", "err": "loss"}
_HYDE = "HyDe-like"
SEARCHES: dict[str, Literal["free", "farthest"]] = {"HuNT": "free", "HuNT, BP farthest": "farthest"}
"""Name of each search, and which tier serves back-propagation in it."""


def baseline_frame(
    workloads: Sequence[str] = tuple(WORKLOADS), dataset: str = "cifar10", sets: Sequence[str] = FACTOR_SETS
) -> pd.DataFrame:
    """Evaluates the baselines on pools of arrays.

    Args:
        workloads: Networks.
        dataset: Data set that sets input size and classes.
        sets: Factor sets.

    Returns:
        One row per factor set, network and architecture, with the columns of `COLUMNS`.

    Raises:
        ConfigError: If a name is unknown or a network does not fit.
    """
    rows = [row for factors in sets for workload in workloads for row in _baseline_rows(workload, dataset, factors)]
    return _with_ratios(pd.DataFrame(rows))


def searched_frame(
    workload: str, dataset: str = "cifar10", factors: str = "physical", evaluations: int = 20_000, seed: int = 1
) -> pd.DataFrame:
    """Searches mappings and selects by the paper's rule: at most 1 % loss, then the best TOPS/W.

    Args:
        workload: Network.
        dataset: Data set that sets input size and classes.
        factors: Factor set.
        evaluations: Designs that each search may ask for.
        seed: Seed of the searches.

    Returns:
        Three rows with the columns of `COLUMNS` as far as they apply: ``HyDe-like``, ``HuNT`` (any tier that can may
        serve back-propagation) and ``HuNT, BP farthest`` (only the tier farthest from the heat sink, as in the paper).

    Raises:
        ConfigError: If a name is unknown or no design is selected.
    """
    hyde = search(WeightedMapping(workload, dataset, factors), evaluations, seed).iloc[0]
    found = {_HYDE: hyde}
    for name, bp_tier in SEARCHES.items():
        front = search(HuntMapping(workload, dataset, factors, bp_tier=bp_tier), evaluations, seed)
        found[name] = select(front)
    about = {"set": factors, "workload": load_workload(workload, dataset).network, "model": "system", "pools": ""}
    rows = [
        {**about, "architecture": name, "tiers": row["tiers"], **{metric: float(row[metric]) for metric in _METRICS}}
        for name, row in found.items()
    ]
    return pd.DataFrame(rows)


def compare(
    workloads: Sequence[str] = tuple(WORKLOADS),
    dataset: str = "cifar10",
    evaluations: int = 20_000,
    seed: int = 1,
    sets: Sequence[str] = FACTOR_SETS,
) -> pd.DataFrame:
    """Puts baselines and searched mappings side by side.

    Args:
        workloads: Networks.
        dataset: Data set that sets input size and classes.
        evaluations: Designs that each search may ask for.
        seed: Seed of the searches.
        sets: Factor sets.

    Returns:
        One row per factor set, network and architecture, with the columns of `COLUMNS`.

    Raises:
        ConfigError: If a name is unknown, a network does not fit or a number is not allowed.
    """
    for name, value, least in (("evaluations", evaluations, 1), ("seed", seed, 0)):
        if value < least:
            raise ConfigError(f"{name}={value} is not allowed; expected {least}, {least + 1}, ...")
    parts = [
        part
        for factors in sets
        for workload in workloads
        for part in (
            pd.DataFrame(_baseline_rows(workload, dataset, factors)),
            searched_frame(workload, dataset, factors, evaluations, seed),
        )
    ]
    return _with_ratios(pd.concat(parts, ignore_index=True))


def ratios(frame: pd.DataFrame) -> pd.DataFrame:
    """What the paper says of architectures over all networks, beside the same of a frame.

    Args:
        frame: From `baseline_frame` or `compare`.

    Returns:
        The rows of `moopim.problems.hunt.published.published`, with a column per factor set of the frame. Losses are
        in per cent.
    """
    claims = published()
    for factors, part in frame.groupby("set", sort=False):
        claims[str(factors)] = [_statistic(part, claim) for claim in claims.itertuples()]
    return claims


def _statistic(frame: pd.DataFrame, claim: tuple[object, ...]) -> float:
    """A claim's statistic of a frame; NaN if the frame lacks the network that the claim is about."""
    quantity, statistic = str(getattr(claim, "quantity")), str(getattr(claim, "statistic"))  # noqa: B009
    values = frame[frame["architecture"] == getattr(claim, "architecture")].set_index("workload")[quantity]  # noqa: B009
    value = values.agg(statistic) if statistic in ("max", "mean") else values.get(statistic, np.nan)
    return float(value) * (100 if quantity == "loss" else 1)


def _baseline_rows(workload: str, dataset: str, factors: str) -> Iterator[dict[str, object]]:
    model = with_loss_scales(baseline_model(workload, dataset, factors), factors)
    for architecture, order in ARCHITECTURES.items():
        metrics, pools = evaluate_baseline(model, architecture)
        about = {"set": factors, "workload": model.workload.network, "architecture": architecture, "tiers": order}
        values = {_UNITS.get(name, name): value for name, value in metrics.items()}
        yield {**about, "model": "pools", "pools": pools if len(set(pools)) > 1 else "", **values}


def _with_ratios(frame: pd.DataFrame) -> pd.DataFrame:
    """Divides what RRFS reaches by what each row reaches, network by network."""
    best = frame[frame["architecture"] == "RRFS"].set_index(["set", "workload"])
    keys = pd.MultiIndex.from_frame(frame[["set", "workload"]])
    for metric in ("tops_per_W", "tops_per_mm2"):
        frame[f"over_{metric}"] = best[metric].reindex(keys).to_numpy() / frame[metric].to_numpy()
    return frame[list(COLUMNS)]
