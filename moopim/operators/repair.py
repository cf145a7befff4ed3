"""Repair of new designs: canonical form first, then what the problem itself repairs."""

from typing import Any

from numpy.typing import ArrayLike
from pymoo.core.repair import Repair

from moopim.problem import DesignProblem
from moopim.typing import IntArray

__all__ = ["DesignRepair"]


class DesignRepair(Repair):  # type: ignore[misc]
    """Brings designs into bounds and canonical form and applies `DesignProblem.repair_designs`."""

    def _do(self, problem: DesignProblem, X: ArrayLike, *args: Any, **kwargs: Any) -> IntArray:
        return problem.repaired(problem.genome.repair(X))
