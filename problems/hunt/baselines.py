"""Baselines of HuNT (Ogbogu et al., IEEE TCAD 2024, section IV-C) on the pools of `moopim.problems.hunt.pools`."""

from typing import NamedTuple

import numpy as np

from moopim.errors import ConfigError, unknown_name
from moopim.hardware.stack.model import SystemModel, system_model
from moopim.problems.hunt.pools import (
    Pool,
    TierLoad,
    forward_pools,
    pool_metrics,
    run_order,
    run_pools,
    tier_devices,
)
from moopim.typing import FloatArray, IntArray
from moopim.workload import Workload, load_workload

__all__ = ["ARCHITECTURES", "Baseline", "baseline_model", "best_map", "evaluate_baseline", "evaluate_maps"]


ARCHITECTURES = {
    "SSSS": "SSSS",
    "RRRS": "RRRS",
    "FFFS": "FFFS",
    "RRFS": "RRFS",
    "RFFS": "RFFS",
    "HyperX RSSS": "RSSS",
    "AccuReD RRGG": "RRGG",
}
"""Tier order of each baseline, tier 1 (at the heat sink) first; G is a tier of GPU-like PEs."""

_DEVICES = "S,R,F,G"


class Baseline(NamedTuple):
    """A baseline on a network.

    Attributes:
        metrics: Metrics by name, see `moopim.problems.hunt.pools.pool_metrics`.
        pools: Pool of each layer as digits, where it has more than one.
    """

    metrics: dict[str, float]
    pools: str


def baseline_model(workload: str | Workload, dataset: str = "cifar10", factors: str = "physical") -> SystemModel:
    """Prepares the model that baselines are evaluated with.

    Args:
        workload: The network, or its name.
        dataset: Data set that sets input size and classes, where a name is given.
        factors: Factor set.

    Returns:
        The model, with the devices of all baselines.

    Raises:
        ConfigError: If a name is unknown.
    """
    network = load_workload(workload, dataset) if isinstance(workload, str) else workload
    return system_model(network, factors=factors, devices=_DEVICES)


def evaluate_baseline(model: SystemModel, architecture: str) -> Baseline:
    """Evaluates a baseline.

    Args:
        model: The model.
        architecture: A name of `ARCHITECTURES`.

    Returns:
        The baseline.

    Raises:
        ConfigError: If the name is unknown or the network does not fit.
    """
    if architecture not in ARCHITECTURES:
        raise unknown_name("architecture", architecture, ARCHITECTURES)
    order = ARCHITECTURES[architecture]
    if architecture.startswith("HyperX"):
        return Baseline(_single(pool_metrics(model, order, _hyperx(model, order))), "")
    if architecture.startswith("AccuReD"):
        return Baseline(_single(pool_metrics(model, order, _accured(model))), "")
    best = best_map(model, order)
    pools = "".join(map(str, best))
    return Baseline(_single(evaluate_maps(model, order, best[None])), pools)


def evaluate_maps(model: SystemModel, order: str, maps: IntArray) -> dict[str, FloatArray]:
    """Evaluates given maps of layers to the pools of a tier order.

    Args:
        model: The model.
        order: Tier order, such as ``RRFS``.
        maps: Pool of each layer, 0 for that of the forward tier at the sink, shape ``(maps, layers)``.

    Returns:
        Metrics by name, shape ``(maps,)`` each; infinite period and energy where a map does not fit.

    Raises:
        ConfigError: If the order is not usable or a map has another shape.
    """
    if maps.ndim != 2 or maps.shape[1] != len(model.workload):  # noqa: PLR2004 (maps and layers)
        raise ConfigError(f"maps have shape {maps.shape}; expected (maps, {len(model.workload)})")
    return pool_metrics(model, order, run_order(model, order, maps))


def best_map(model: SystemModel, order: str) -> IntArray:
    """Searches the map of layers to the pools of a tier order with the least energy x period.

    One pool has one map. For two, candidates are all thresholds along simple layer orders; the best of each order is
    then improved by moving one or two layers at a time.

    Args:
        model: The model.
        order: Tier order with one or two pools.

    Returns:
        Pool of each layer, shape ``(layers,)``.

    Raises:
        ConfigError: If there are more pools, or no map fits.
    """
    devices = [pool.device for pool in forward_pools(model, order)[1]]
    if len(devices) > 2:  # noqa: PLR2004 (pools)
        raise ConfigError(f"tier order {order!r} has {len(devices)} forward devices; expected one or two")
    if len(devices) == 1:
        best, least = _least(model, order, np.zeros((1, len(model.workload)), dtype=np.int64))
    else:
        starts = [_least(model, order, maps) for maps in _threshold_maps(model, *devices)]
        best, least = min((_improve(model, order, *start) for start in starts), key=lambda found: found[1])
    if not np.isfinite(least):
        raise _no_room(model, order)
    return best


def _improve(model: SystemModel, order: str, best: IntArray, least: float) -> tuple[IntArray, float]:
    """Moves one or two layers at a time to the other pool as long as that helps."""
    first, second = (layers[:, None] for layers in np.triu_indices(len(best)))
    moved = (np.arange(len(best)) == first) | (np.arange(len(best)) == second)
    while True:
        candidate, value = _least(model, order, np.where(moved, 1 - best, best))
        if not value < least:
            return best, least
        best, least = candidate, value


def _least(model: SystemModel, order: str, maps: IntArray) -> tuple[IntArray, float]:
    """The map with the least energy x period (pJ ns), and that product."""
    load = run_order(model, order, maps)
    product = load.energy * load.period
    return maps[product.argmin()], float(product.min())


def _threshold_maps(model: SystemModel, first: int, second: int) -> IntArray:
    """Maps that give one pool the first layers along an order and the other the rest, ``(orders, maps, layers)``."""
    workload, costs = model.workload, model.costs
    keys = (
        np.arange(len(workload)),
        workload.positions,
        workload.weights,
        workload.activations_out,
        workload.macs,
        costs.time[first] / costs.time[second],
        costs.energy[first] / costs.energy[second],
        costs.arrays[first] * costs.time[first] / (costs.arrays[second] * costs.time[second]),
        costs.activation_arrays[first] / costs.arrays[first],
    )
    ranks = np.array([np.argsort(np.argsort(key, kind="stable")) for key in keys])
    below = ranks[:, None, :] < np.arange(len(workload) + 1)[:, None]
    return np.concatenate([below, ~below], axis=1).astype(np.int64)


def _hyperx(model: SystemModel, order: str) -> TierLoad:
    """HyperX as a policy: a share of the layers, the last ones, stays on SRAM; between whole numbers interpolated."""
    layers = len(model.workload)
    share = model.factors.phi_HX * layers
    on_sram = np.floor(share) + np.arange(2)[:, None]
    both = run_order(model, order, (np.arange(layers) >= layers - on_sram).astype(np.int64))
    if not np.isfinite(both.period).all():
        raise _no_room(model, order)
    weight = np.array([1.0, 0.0]) + (share - np.floor(share)) * np.array([-1.0, 1.0])
    return TierLoad(*(np.einsum("m,m...->...", weight, values)[None] for values in both))


def _accured(model: SystemModel) -> TierLoad:
    """AccuReD: forward on two ReRAM tiers, faster by what GPU-like tiers take over; gradients on two of these."""
    order, pes = ARCHITECTURES["AccuReD RRGG"], model.stack.pes_per_tier
    reram, _, gpu, _ = tier_devices(model, order)
    load = run_pools(model, [Pool(reram, 2)], np.zeros((1, len(model.workload)), dtype=np.int64))
    if not np.isfinite(load.period).all():
        raise _no_room(model, order)
    period = (load.period + load.rewrite) / model.factors.g_f
    reram_w = 1e-3 * (load.energy[:, 0] / 2 / period + pes * model.static_mW[reram])
    gpu_w = 1e-3 * (model.gradient_pJ[gpu] / 2 / period + pes * model.static_mW[gpu])
    power = np.stack([reram_w, reram_w, gpu_w, gpu_w], axis=1)
    bits = np.zeros((1, len(order)))
    bits[:, :2] = load.bits / 2
    return TierLoad(period, power.sum(axis=1) * period * 1e3, power, bits)


def _no_room(model: SystemModel, order: str) -> ConfigError:
    return ConfigError(f"{model.workload.network} for {model.workload.dataset} does not fit on the tiers {order!r}")


def _single(metrics: dict[str, FloatArray]) -> dict[str, float]:
    return {name: float(values[0]) for name, values in metrics.items()}
