"""Thermal noise as a loss of accuracy: the calibrated reading of eqs 6-7 of HuNT (IEEE TCAD 2024).

The paper gives its noise no scale. Here the two scales are pinned to what it says of accuracy: of the five networks,
the worst loses 2.5 % on RRRS and 4 % on FFFS. Losses of these two are therefore calibrated, not computed, and losses of
others are in proportion to them.
"""

import copy
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import pandas as pd

from moopim.errors import ConfigError
from moopim.experiment.frames import read_designs
from moopim.hardware.stack.model import SystemModel
from moopim.hardware.stack.parameters import load_factor_set, load_stack
from moopim.problems.hunt.baselines import baseline_model, evaluate_baseline
from moopim.problems.hunt.mapping import HuntMapping
from moopim.problems.hunt.published import published
from moopim.typing import FloatArray
from moopim.workload import WORKLOADS

__all__ = ["LossScales", "loss_scales", "losses", "scaled_by_loss", "with_loss_scales"]


class LossScales(NamedTuple):
    """Factors on the noise of eq. 7 that make the noise of a design a loss of accuracy (a share).

    Attributes:
        exponential: k_R, on the noise of ReRAM.
        linear: k_F, on the noise of FeFET.
    """

    exponential: float
    linear: float


def loss_scales(factors: str) -> LossScales:
    """Pins the scales so that the worst RRRS and the worst FFFS of the five networks lose what the paper says.

    Args:
        factors: Name of the factor set.

    Returns:
        The scales for this set, calibrated.

    Raises:
        ConfigError: If there is no such set.
    """
    return _pinned(factors, tuple(sorted(load_factor_set(factors).items())))


@cache
def _pinned(factors: str, figures: tuple[tuple[str, float], ...]) -> LossScales:
    """The scales; ``figures``, which the set stands for, are there for the cache: a file may change."""
    claims = published().set_index("name")["value"]
    models = [baseline_model(network, factors=factors) for network in WORKLOADS]
    worst = {name: max(evaluate_baseline(model, name).metrics["err"] for model in models) for name in ("RRRS", "FFFS")}
    return LossScales(*(claims[f"loss_{name}"] / 100 / worst[name] for name in ("RRRS", "FFFS")))


def with_loss_scales(model: SystemModel, factors: str) -> SystemModel:
    """Makes a model whose ``err`` is a loss of accuracy.

    Args:
        model: The model.
        factors: Name of its factor set.

    Returns:
        The same model with the scales of `loss_scales`; ``err`` is a share.
    """
    scales, default = loss_scales(factors), load_stack()
    scaled = replace(
        model.stack,
        noise_exponential=scales.exponential * default.noise_exponential,
        noise_linear_per_K=scales.linear * default.noise_linear_per_K,
    )
    return replace(model, stack=scaled)


def scaled_by_loss(problem: HuntMapping) -> HuntMapping:
    """Makes a problem whose objective ``err`` is a loss of accuracy.

    Args:
        problem: The problem.

    Returns:
        The same problem on the model of `with_loss_scales`.

    Raises:
        ConfigError: If its equations are those of the paper, which have no share.
    """
    if problem.equations != "system":
        raise ConfigError(f"equations {problem.equations!r} have no loss of accuracy; expected 'system'")
    scaled = copy.copy(problem)
    scaled.model = with_loss_scales(problem.model, problem.factors)
    return scaled


def losses(problem: HuntMapping, frame: pd.DataFrame) -> FloatArray:
    """Loss of accuracy of mappings, by the scales of `loss_scales`.

    Args:
        problem: The problem that the mappings are designs of.
        frame: The mappings, such as a ``front.csv``: one column per gene.

    Returns:
        The loss (a share), shape ``(rows,)``; NaN where a mapping does not fit.

    Raises:
        ConfigError: As `scaled_by_loss`.
    """
    return HuntMapping.evaluate_designs(scaled_by_loss(problem), read_designs(problem.genome, frame))["err"]
