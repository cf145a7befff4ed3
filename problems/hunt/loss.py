"""Thermal noise as a loss of accuracy: the calibrated reading of eqs 6-7 of HuNT (IEEE TCAD 2024).

The paper gives its noise no scale. Here the two scales are pinned to what it says of accuracy: of the five networks,
the worst loses 2.5 % on RRRS and 4 % on FFFS. Losses of these two are therefore calibrated, not computed, and losses of
others are in proportion to them.
"""

import copy
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from moopim.hardware.stack.model import SystemModel
from moopim.problems.hunt.baselines import baseline_model, evaluate_baseline
from moopim.problems.hunt.mapping import HuntMapping
from moopim.problems.hunt.published import published
from moopim.workload import WORKLOADS

__all__ = ["LossScales", "loss_scales", "losses", "with_loss_scales"]


class LossScales(NamedTuple):
    """Factors on the noise of eq. 7 that make the noise of a design a loss of accuracy (a share).

    Attributes:
        exponential: k_R, on the noise of ReRAM.
        linear: k_F, on the noise of FeFET.
    """

    exponential: float
    linear: float


@cache
def loss_scales(factors: str) -> LossScales:
    """Pins the scales so that the worst RRRS and the worst FFFS of the five networks lose what the paper says.

    Args:
        factors: Name of the factor set.

    Returns:
        The scales for this set, calibrated.

    Raises:
        ConfigError: If there is no such set.
    """
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
    scales, stack = loss_scales(factors), model.stack
    scaled = replace(
        stack,
        noise_exponential=scales.exponential * stack.noise_exponential,
        noise_linear_per_K=scales.linear * stack.noise_linear_per_K,
    )
    return replace(model, stack=scaled)


def losses(problem: HuntMapping, frame: pd.DataFrame) -> NDArray[np.float64]:
    """Loss of accuracy of mappings, by the scales of `loss_scales`.

    Args:
        problem: The problem that the mappings are designs of.
        frame: The mappings, such as a ``front.csv``: one column per gene.

    Returns:
        The loss (a share), shape ``(rows,)``; NaN where a mapping does not fit.
    """
    columns = {group.name: frame[list(group.columns)].to_numpy() for group in problem.genome.groups}
    scaled = copy.copy(problem)
    scaled.model = with_loss_scales(problem.model, problem.factors)
    designs = problem.genome.decode(problem.genome.encode(columns))
    return HuntMapping.evaluate_designs(scaled, designs)["err"]
