"""Architectures of HuNT, their published numbers, and baselines on pools of arrays (Ogbogu et al., IEEE TCAD 2024).

Pools belong to the idealised model: all forward tiers of one device, without placement or communication (section IV); a
layer may use the arrays of the whole pool, and its load is even over their PEs. In the system model the layers of a
baseline are placed, see `moopim.problems.hunt.search.TierOrderMapping`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from moopim.constants import constant, read_table
from moopim.errors import ConfigError, unknown_name
from moopim.hardware.stack.idealised import IdealisedModel, idealised_model
from moopim.hardware.stack.layer_costs import copies_period
from moopim.hardware.stack.model import StackModel
from moopim.hardware.stack.noise import noise
from moopim.hardware.thermal import temperature_rise
from moopim.typing import FloatArray, IntArray
from moopim.workload import Workload, load_workload

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


class Pool(NamedTuple):
    """Forward tiers of one device, by its index in the model."""

    device: int
    tiers: int


class PoolLoad(NamedTuple):
    """Cost of the forward pass on pools; an infinite ``period`` marks a map that does not fit.

    Attributes:
        period: Period of the slowest pool (ns), shape ``(maps,)``.
        rewrite: Time to rewrite the weights, per image (ns), shape ``(maps,)``.
        energy: Dynamic energy of each pool per image (pJ), shape ``(maps, pools)``.
        bits: Bits that each pool stores, shape ``(maps, pools)``.
    """

    period: FloatArray
    rewrite: FloatArray
    energy: FloatArray
    bits: FloatArray


class TierLoad(NamedTuple):
    """Period and energy of an image, and the load of each tier, even over its PEs.

    Attributes:
        period: Period (ns), shape ``(maps,)``.
        energy: Energy (pJ), shape ``(maps,)``.
        power: Power of each tier (W), tier 1 (at the heat sink) first, shape ``(maps, tiers)``.
        bits: Bits that each tier stores, shape ``(maps, tiers)``.
    """

    period: FloatArray
    energy: FloatArray
    power: FloatArray
    bits: FloatArray


class Baseline(NamedTuple):
    """Baseline on a network.

    Attributes:
        metrics: Metrics by name, those of `pool_metrics`.
        pools: Pool of each layer as digits, where it has more than one.
    """

    metrics: dict[str, float]
    pools: str


def published() -> pd.DataFrame:
    """Numbers that the paper gives for its architectures.

    Returns:
        One row per number: ``name``, ``architecture``, ``quantity``, ``statistic`` (``max`` or ``mean`` of the five
        networks, or one network), ``value``, ``unit`` and ``source`` (its section). Quantities that begin with
        ``over_`` are those of [R,R,F,S] divided by those of the architecture.
    """
    rows = read_table("moopim.problems.hunt", "published.toml")["claims"]
    return pd.DataFrame([{**row, "value": float(constant(row["name"], {**row, "kind": "paper"}))} for row in rows])


def published_peak() -> float:
    """Temperature of the hottest PE of FFFS in the paper (K)."""
    return float(published().set_index("name")["value"]["peak_FFFS"])


def published_layers() -> pd.DataFrame:
    """Tiers of runs of layers on [R,R,F,S] in the paper.

    Columns: ``workload``, ``first`` and ``last`` (numbers of layers, from 1), ``tier`` (from 1 at the heat sink),
    ``source``.
    """
    return pd.DataFrame(read_table("moopim.problems.hunt", "published.toml")["layers"])


def baseline_model(workload: str | Workload, dataset: str = "cifar10", factors: str = "physical") -> IdealisedModel:
    """Idealised model of a network with the devices of all baselines.

    Args:
        workload: The network, or its name.
        dataset: Data set that sets input size and classes, where a name is given.
        factors: Factor set.

    Returns:
        The model.

    Raises:
        ConfigError: If a name is unknown.
    """
    network = load_workload(workload, dataset) if isinstance(workload, str) else workload
    return idealised_model(network, factors=factors, devices=_DEVICES)


def evaluate_baseline(model: IdealisedModel, architecture: str) -> Baseline:
    """Evaluate an architecture of the paper on pools of arrays.

    Args:
        model: From `moopim.problems.hunt.baseline_model`.
        architecture: A name of `moopim.problems.hunt.baselines.ARCHITECTURES`, such as ``RRFS``.

    Returns:
        Its metrics, and the pool of each layer.

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


def evaluate_maps(model: IdealisedModel, order: str, maps: IntArray) -> dict[str, FloatArray]:
    """Metrics by name, shape ``(maps,)``, of maps of layers to the pools of a tier order such as ``RRFS``.

    Maps hold the pool of each layer, 0 for that of the forward tier at the sink, shape ``(maps, layers)``. Period and
    energy are infinite where a map does not fit.
    """
    if maps.ndim != 2 or maps.shape[1] != len(model.workload):  # noqa: PLR2004 (maps and layers)
        raise ConfigError(f"maps have shape {maps.shape}; expected (maps, {len(model.workload)})")
    return pool_metrics(model, order, run_order(model, order, maps))


def best_map(model: IdealisedModel, order: str) -> IntArray:
    """Map of layers to the pools of a tier order with the least energy x period, shape ``(layers,)``.

    One pool has one map. For two, candidates are all thresholds along simple layer orders; the best of each order is
    then improved by moving one or two layers at a time. Raise ConfigError if there are more pools, or no map fits.
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


def tier_devices(model: StackModel[Any], order: str) -> list[int]:
    """Device of each tier of an order such as ``RRFS``, tier 1 (at the heat sink) first, by its index in the model."""
    letters = [device.letter for device in model.devices]
    if len(order) != model.stack.tiers:
        raise ConfigError(f"tier order {order!r} has {len(order)} letters; expected {model.stack.tiers}, one per tier")
    for letter in order:
        if letter not in letters:
            raise unknown_name(f"device in the tier order {order!r}", letter, letters)
    return [letters.index(letter) for letter in order]


def forward_pools(model: StackModel[Any], order: str) -> tuple[int, tuple[Pool, ...]]:
    """Tier for back-propagation (from 0 at the sink; the farthest that can) and pools of the others, by first tier."""
    devices = tier_devices(model, order)
    serving = [tier for tier, device in enumerate(devices) if model.can_serve_bp[device]]
    if not serving:
        able = [device.letter for device, can in zip(model.devices, model.can_serve_bp, strict=True) if can]
        raise ConfigError(f"no tier of {order!r} can serve back-propagation; expected one of {', '.join(able)}")
    forward = [device for tier, device in enumerate(devices) if tier != serving[-1]]
    return serving[-1], tuple(Pool(device, forward.count(device)) for device in dict.fromkeys(forward))


def run_pools(model: IdealisedModel, pools: Sequence[Pool], maps: IntArray) -> PoolLoad:
    """Load of the forward pass on pools, with the pool of each layer, shape ``(maps, layers)``."""
    costs, layers = model.costs, np.arange(maps.shape[1])
    devices = np.array([pool.device for pool in pools])
    arrays, time, held, energy = (
        table[devices[maps], layers] for table in (costs.arrays, costs.time, costs.activation_arrays, costs.energy)
    )
    here = maps[:, None, :] == np.arange(len(pools))[:, None]
    used, taken, joule, bits = (
        np.where(here, values[:, None, :], 0.0).sum(axis=2)
        for values in (arrays, held, energy, np.broadcast_to(costs.stored_bits, maps.shape))
    )
    capacity = np.array([pool.tiers * model.stack.pes_per_tier * costs.arrays_per_pe[pool.device] for pool in pools])
    fit = np.flatnonzero((used <= capacity - taken).all(axis=1))
    period = np.full(len(maps), np.inf)
    period[fit] = copies_period(arrays[fit], time[fit], maps[fit], (capacity - taken)[fit])[0].max(axis=1)
    rewrite = np.where(here.any(axis=2), model.rewrite_ns[devices], 0.0).max(axis=1) / model.workload.batch
    return PoolLoad(period, rewrite, joule, bits)


def run_order(model: IdealisedModel, order: str, maps: IntArray) -> TierLoad:
    """Load of a training step on the pools of a tier order; maps as in `evaluate_maps`.

    Period and energy are infinite and power is NaN where a map does not fit.
    """
    bp, pools = forward_pools(model, order)
    load = run_pools(model, pools, maps)
    devices = tier_devices(model, order)
    period = np.maximum(load.period, model.gradient_ns[devices[bp]]) + load.rewrite
    energy, bits = np.zeros((2, len(maps), len(devices)))
    for i, pool in enumerate(pools):
        for tier, device in enumerate(devices):
            if device == pool.device and tier != bp:
                energy[:, tier], bits[:, tier] = load.energy[:, i] / pool.tiers, load.bits[:, i] / pool.tiers
    energy[:, bp] = model.gradient_pJ[devices[bp]]
    static = model.stack.pes_per_tier * model.static_mW[devices]
    with np.errstate(invalid="ignore"):
        power = np.where(np.isfinite(period)[:, None], energy / period[:, None] + static, np.nan)
    return TierLoad(period, energy.sum(axis=1) + static.sum() * period, 1e-3 * power, bits)


def pool_metrics(model: IdealisedModel, order: str, load: TierLoad) -> dict[str, FloatArray]:
    """Metrics of a training step under the names of `moopim.hardware.stack.evaluate_idealised`, shape ``(maps,)`` each.

    ``period`` (ns), ``energy`` (pJ), ``power`` (W), ``peak`` (K), ``err`` (1), ``tops_per_W`` and ``tops_per_mm2``.
    """
    stack, pes = model.stack, model.stack.pes_per_tier
    rise = temperature_rise(np.repeat(load.power, pes, axis=1) / pes, model.influence)
    err = np.zeros(len(load.period))
    for device in model.devices:
        for tier in (tier for tier, letter in enumerate(order) if letter == device.letter):
            level = noise(rise[:, tier * pes : (tier + 1) * pes], device, stack).mean(axis=1)
            err += np.where(load.bits[:, tier] > 0, load.bits[:, tier] * level, 0.0)
    operations = model.operations
    return {
        "period": load.period,
        "energy": load.energy,
        "power": load.power.sum(axis=1),
        "peak": model.ambient_K + rise.max(axis=1),
        "err": err / model.costs.stored_bits.sum(),
        "tops_per_W": operations / load.energy,
        "tops_per_mm2": operations / (load.period * 1e3) / (stack.pe_area_mm2 * stack.pes),
    }


def _improve(model: IdealisedModel, order: str, best: IntArray, least: float) -> tuple[IntArray, float]:
    """Move one or two layers at a time to the other pool as long as that helps."""
    first, second = (layers[:, None] for layers in np.triu_indices(len(best)))
    moved = (np.arange(len(best)) == first) | (np.arange(len(best)) == second)
    while True:
        candidate, value = _least(model, order, np.where(moved, 1 - best, best))
        if not value < least:
            return best, least
        best, least = candidate, value


def _least(model: IdealisedModel, order: str, maps: IntArray) -> tuple[IntArray, float]:
    """Map with the least energy x period (pJ ns), and that product."""
    load = run_order(model, order, maps)
    product = load.energy * load.period
    return maps[product.argmin()], float(product.min())


def _threshold_maps(model: IdealisedModel, first: int, second: int) -> IntArray:
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


def _hyperx(model: IdealisedModel, order: str) -> TierLoad:
    """HyperX as a policy: a share of the layers, the last ones, stays on SRAM; interpolated between whole numbers."""
    layers = len(model.workload)
    share = model.factors.phi_HX * layers
    on_sram = np.floor(share) + np.arange(2)[:, None]
    both = run_order(model, order, (np.arange(layers) >= layers - on_sram).astype(np.int64))
    if not np.isfinite(both.period).all():
        raise _no_room(model, order)
    weight = np.array([1.0, 0.0]) + (share - np.floor(share)) * np.array([-1.0, 1.0])
    return TierLoad(*(np.einsum("m,m...->...", weight, values)[None] for values in both))


def _accured(model: IdealisedModel) -> TierLoad:
    """AccuReD: forward on two ReRAM tiers, faster by the share of two GPU-like tiers, which compute the gradients."""
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


def _no_room(model: IdealisedModel, order: str) -> ConfigError:
    return ConfigError(f"{model.workload.network} for {model.workload.dataset} does not fit on the tiers {order!r}")


def _single(metrics: dict[str, FloatArray]) -> dict[str, float]:
    return {name: float(values[0]) for name, values in metrics.items()}
