"""Repair of new designs: canonical form first, then the problem's own repair."""

from typing import Any

from numpy.typing import ArrayLike
from pymoo.core.repair import Repair

from moopim.problem import DesignProblem
from moopim.typing import IntArray


class DesignRepair(Repair):  # type: ignore[misc]
    """Bring designs into bounds and canonical form and apply `DesignProblem.repair_designs`."""

    def _do(self, problem: DesignProblem, X: ArrayLike, *args: Any, **kwargs: Any) -> IntArray:
        return problem.repaired(problem.genome.repair(X))
