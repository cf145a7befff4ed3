"""The arithmetic of AMOSA: amounts of domination, acceptance probabilities, cooling.

Source: Bandyopadhyay, Saha, Maulik, Deb, IEEE TEVC 12(3), 2008, Sections III-A to III-C.
"""

import math
from dataclasses import dataclass

import numpy as np
from pymoo.core.termination import Termination

from moopim.typing import FloatArray

__all__ = ["Cooling", "acceptance", "amount_of_domination", "count_levels", "improvement", "termination_limit"]


def amount_of_domination(a: FloatArray, b: FloatArray, ranges: FloatArray, geometric: bool = False) -> FloatArray:
    """Product over the objectives that differ of the difference as a share of the range.

    An objective in which two designs tie is skipped; on discrete objectives one tie would otherwise make every
    product 0.

    Args:
        a: Objectives of ``k`` designs, shape ``(n_obj, k)``.
        b: Objectives of the design compared with, shape ``(n_obj,)``.
        ranges: Range of each objective over all designs concerned, shape ``(n_obj,)``.
        geometric: Take the ``n_obj``-th root, so that the amount does not shrink with the number of objectives.

    Returns:
        Amounts, shape ``(k,)``, between 0 and 1.
    """
    difference = np.abs(a - b[:, None])
    share = np.divide(difference, ranges[:, None], out=np.ones_like(difference), where=difference > 0)
    amount = np.asarray(np.multiply.reduce(share, axis=0))
    return amount ** (1 / len(b)) if geometric else amount


def acceptance(amount: float, temperature: float, multiply: bool = False) -> float:
    """Probability of a move to a dominated design: 1 / (1 + exp(amount / temperature)).

    Args:
        amount: Mean amount of domination, >= 0.
        temperature: Temperature, > 0.
        multiply: Use ``amount * temperature`` as the exponent, the inverse of annealing, as some derived codes do.

    Returns:
        Probability, 0 .. 1/2.
    """
    decay = math.exp(-amount * temperature if multiply else -amount / temperature)
    return decay / (1 + decay)


def improvement(amount: float) -> float:
    """Probability that a chain moves to the member that dominates its improvement: 1 / (1 + exp(-amount)).

    Args:
        amount: Least amount of domination, >= 0.

    Returns:
        Probability, 1/2 or more.
    """
    return 1 / (1 + math.exp(-amount))


def count_levels(t_max: float, t_min: float, alpha: float) -> int:
    """Number of temperatures t_max, alpha t_max, alpha^2 t_max, ... that are not below t_min; at least one.

    Args:
        t_max: First temperature.
        t_min: Least temperature.
        alpha: Ratio of successive temperatures, between 0 and 1.
    """
    # The small surplus keeps a level that equals t_min but for rounding.
    return 1 + max(0, math.floor(math.log(t_min / t_max) / math.log(alpha) + 1e-9))


@dataclass(frozen=True)
class Cooling:
    """Geometric cooling, its levels spread evenly over the steps.

    Attributes:
        t_max: First temperature.
        alpha: Ratio of successive temperatures.
        n_levels: Number of temperatures.
        n_steps: Number of steps in all, at least 1.
    """

    t_max: float
    alpha: float
    n_levels: int
    n_steps: int

    def level(self, step: int) -> int:
        """The level, counted from 0, of the step that follows ``step`` others; the last one beyond the end."""
        return min(step * self.n_levels // self.n_steps, self.n_levels - 1)

    def temperature(self, level: int) -> float:
        """The temperature of a level, counted from 0."""
        return self.t_max * self.alpha**level


def termination_limit(termination: Termination | None, name: str) -> float:
    """The least limit of one kind that a termination criterion, or one of those it is made of, sets.

    Args:
        termination: pymoo's criterion.
        name: Name of the limit: ``"n_max_evals"`` or ``"n_max_gen"``.

    Returns:
        The limit; infinite where there is none.
    """
    own = getattr(termination, name, None)
    nested = [termination_limit(criterion, name) for criterion in getattr(termination, "criteria", ())]
    return min([math.inf if own is None else own, *nested])
