"""Real-valued test functions of pymoo on grids of whole numbers."""

from typing import Literal

from pymoo.core.problem import Problem
from pymoo.problems.many.dtlz import DTLZ1, DTLZ2, DTLZ7
from pymoo.problems.multi.zdt import ZDT1, ZDT3

from moopim.checks import whole_number
from moopim.errors import unknown_name
from moopim.genes import Integer
from moopim.genome import Designs, Genome
from moopim.problem import DesignProblem
from moopim.quantities import Objective
from moopim.typing import FloatArray, IntArray

_ZDT = {"zdt1": ZDT1, "zdt3": ZDT3}
_DTLZ = {"dtlz1": DTLZ1, "dtlz2": DTLZ2, "dtlz7": DTLZ7}
_MOST_LEVELS = 65_536


class ZdtGrid(DesignProblem):
    """Minimise ZDT1 or ZDT3, two objectives, on a grid.

    After Zitzler, Deb and Thiele, Evolutionary Computation 8(2), 2000, as pymoo computes them. A variable is its gene
    over ``levels - 1``. Fronts have all genes but the first at 0.

    Args:
        function: zdt1, whose front is convex, or zdt3, whose front has five parts.
        n: Number of variables, 2 to 10,000; 30 as published.
        levels: Number of values of a variable, 2 to 65,536.

    Raises:
        ConfigError: If the function is unknown or a number is out of its range.
    """

    objectives = (Objective("f1"), Objective("f2"))

    def __init__(self, function: Literal["zdt1", "zdt3"] = "zdt1", n: int = 30, levels: int = 101) -> None:
        if function not in _ZDT:
            raise unknown_name("function", function, _ZDT)
        self.function = function
        self.n = whole_number("n", n, 2, 10_000)
        self.levels = whole_number("levels", levels, 2, _MOST_LEVELS)
        self.genome = Genome(Integer("x", 0, self.levels - 1, repeat=self.n))
        self._continuous = _ZDT[function](n_var=self.n)
        super().__init__()

    def evaluate_designs(self, designs: Designs) -> dict[str, FloatArray]:
        """Both objectives of designs, shape ``(designs,)``."""
        return _evaluate(self._continuous, designs.x, self.levels)


class DtlzGrid(DesignProblem):
    """Minimise DTLZ1, DTLZ2 or DTLZ7, m objectives, on a grid.

    After Deb, Thiele, Laumanns and Zitzler (Scalable Test Problems for Evolutionary Multiobjective Optimization, 2005),
    as pymoo computes them. A variable is its gene over ``levels - 1``. Fronts have the last ``n - m + 1`` variables at
    1/2, which an odd number of levels has, of dtlz7 at 0.

    Args:
        function: dtlz1, whose front is a plane among many local ones, dtlz2, whose front is part of a sphere, or dtlz7,
            whose front has separate parts.
        m: Number of objectives, 2 to 100.
        n: Number of variables, m to 10,000; as published m + 4 for dtlz1, m + 9 for dtlz2, m + 19 for dtlz7.
        levels: Number of values of a variable, 2 to 65,536.

    Raises:
        ConfigError: If the function is unknown or a number is out of its range.
    """

    def __init__(
        self, function: Literal["dtlz1", "dtlz2", "dtlz7"] = "dtlz2", m: int = 3, n: int = 12, levels: int = 101
    ) -> None:
        if function not in _DTLZ:
            raise unknown_name("function", function, _DTLZ)
        self.function = function
        self.m = whole_number("m", m, 2, 100)
        self.n = whole_number("n", n, self.m, 10_000)
        self.levels = whole_number("levels", levels, 2, _MOST_LEVELS)
        self.objectives = [Objective(f"f{i + 1}") for i in range(self.m)]
        self.genome = Genome(Integer("x", 0, self.levels - 1, repeat=self.n))
        self._continuous = _DTLZ[function](n_var=self.n, n_obj=self.m)
        super().__init__()

    def evaluate_designs(self, designs: Designs) -> dict[str, FloatArray]:
        """Every objective of designs, shape ``(designs,)``."""
        return _evaluate(self._continuous, designs.x, self.levels)


def _evaluate(continuous: Problem, genes: IntArray, levels: int) -> dict[str, FloatArray]:
    """Objectives of a function of variables from 0 to 1, at genes of so many levels, each of shape ``(designs,)``."""
    F = continuous.evaluate(genes / (levels - 1), return_values_of=["F"])
    return {f"f{i + 1}": F[:, i] for i in range(continuous.n_obj)}
