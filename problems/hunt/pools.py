"""Tiers of one device as one pool of arrays, without placement or communication: the model of the baselines.

Source: Ogbogu et al., "HuNT", IEEE TCAD 2024, section IV. Layers are given to pools, not to tiers: a layer may use the
arrays of all forward tiers of its device, and its load is even over their PEs.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from moopim.errors import ConfigError, unknown_name
from moopim.hardware.stack.layer_costs import copies_period
from moopim.hardware.stack.model import SystemModel
from moopim.hardware.stack.system import noise
from moopim.hardware.thermal import temperature_rise
from moopim.typing import FloatArray, IntArray

__all__ = ["Pool", "PoolLoad", "TierLoad", "forward_pools", "pool_metrics", "run_order", "run_pools", "tier_devices"]


class Pool(NamedTuple):
    """Forward tiers of one device.

    Attributes:
        device: Index of the device in the model.
        tiers: Number of tiers.
    """

    device: int
    tiers: int


class PoolLoad(NamedTuple):
    """What the forward pass costs on pools; an infinite ``period`` marks a map that does not fit.

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
    """Period and energy of an image, and what each tier carries, evenly over its PEs.

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


def tier_devices(model: SystemModel, order: str) -> list[int]:
    """Reads a tier order.

    Args:
        model: The model.
        order: One letter per tier, tier 1 (at the heat sink) first, such as ``RRFS``.

    Returns:
        Index of each tier's device.

    Raises:
        ConfigError: If the length is wrong or a letter is no device of the model.
    """
    letters = [device.letter for device in model.devices]
    if len(order) != model.stack.tiers:
        raise ConfigError(f"tier order {order!r} has {len(order)} letters; expected {model.stack.tiers}, one per tier")
    for letter in order:
        if letter not in letters:
            raise unknown_name(f"device in the tier order {order!r}", letter, letters)
    return [letters.index(letter) for letter in order]


def forward_pools(model: SystemModel, order: str) -> tuple[int, tuple[Pool, ...]]:
    """Finds the back-propagation (BP) tier and the pools of the others.

    Args:
        model: The model.
        order: Tier order, see `tier_devices`.

    Returns:
        The BP tier, from 0 at the heat sink: the farthest that can serve; and the pools, by their first tier.

    Raises:
        ConfigError: If the order is not usable or no tier can serve back-propagation.
    """
    devices = tier_devices(model, order)
    serving = [tier for tier, device in enumerate(devices) if model.can_serve_bp[device]]
    if not serving:
        able = [device.letter for device, can in zip(model.devices, model.can_serve_bp, strict=True) if can]
        raise ConfigError(f"no tier of {order!r} can serve back-propagation; expected one of {', '.join(able)}")
    forward = [device for tier, device in enumerate(devices) if tier != serving[-1]]
    return serving[-1], tuple(Pool(device, forward.count(device)) for device in dict.fromkeys(forward))


def run_pools(model: SystemModel, pools: Sequence[Pool], maps: IntArray) -> PoolLoad:
    """Runs the forward pass on pools.

    Args:
        model: The model.
        pools: The pools.
        maps: Pool of each layer, shape ``(maps, layers)``.

    Returns:
        The load.
    """
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


def run_order(model: SystemModel, order: str, maps: IntArray) -> TierLoad:
    """Runs a training step on the pools of a tier order.

    Args:
        model: The model.
        order: Tier order, see `tier_devices`.
        maps: Pool of each layer, see `forward_pools`, shape ``(maps, layers)``.

    Returns:
        The load; infinite period and energy, and NaN power, where a map does not fit.

    Raises:
        ConfigError: If the order is not usable.
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


def pool_metrics(model: SystemModel, order: str, load: TierLoad) -> dict[str, FloatArray]:
    """Metrics of a training step, under the names of `moopim.hardware.stack.system.evaluate_system`.

    Args:
        model: The model.
        order: Tier order.
        load: The load.

    Returns:
        Arrays of shape ``(maps,)``: ``period`` (ns), ``energy`` (pJ), ``power`` (W), ``peak`` (K), ``err`` (1),
        ``tops_per_W`` and ``tops_per_mm2``.
    """
    stack, pes = model.stack, model.stack.pes_per_tier
    rise = temperature_rise(np.repeat(load.power, pes, axis=1) / pes, model.influence)
    err = np.zeros(len(load.period))
    for device in model.devices:
        for tier in (tier for tier, letter in enumerate(order) if letter == device.letter):
            level = noise(rise[:, tier * pes : (tier + 1) * pes], device, stack).mean(axis=1)
            err += np.where(load.bits[:, tier] > 0, load.bits[:, tier] * level, 0.0)
    operations = model.factors.kappa * model.operations
    return {
        "period": load.period,
        "energy": load.energy,
        "power": load.power.sum(axis=1),
        "peak": model.ambient_K + rise.max(axis=1),
        "err": err / model.costs.stored_bits.sum(),
        "tops_per_W": operations / load.energy,
        "tops_per_mm2": operations / (load.period * 1e3) / (stack.pe_area_mm2 * stack.pes),
    }
