"""Combinatorial problems with several objectives: assignment and 0/1 knapsack."""

import numpy as np

from moopim.checks import whole_number
from moopim.genes import Index, Permutation
from moopim.genome import Designs, Genome
from moopim.problem import DesignProblem
from moopim.quantities import Constraint, Objective
from moopim.typing import IntArray


class Assignment(DesignProblem):
    """Minimise m costs of assigning n tasks to n agents, one each (multi-objective assignment problem).

    After Ulungu and Teghem, Journal of Multi-Criteria Decision Analysis 3(2), 1994. A design is the task of each agent;
    a cost is the sum of the entries that it takes from a matrix. Entries are whole numbers, uniform from 0 to 20.

    Args:
        m: Number of costs, 2 to 100.
        n: Number of agents and tasks, 2 to 500.
        instance: Seed of the instance.

    Attributes:
        costs: Cost of each agent with each task, shape ``(m, n, n)``.

    Raises:
        ConfigError: If a number is out of its range.
    """

    def __init__(self, m: int = 2, n: int = 50, instance: int = 1) -> None:
        self.m = whole_number("m", m, 2, 100)
        self.n = whole_number("n", n, 2, 500)
        self.instance = whole_number("instance", instance, 0)
        self.costs = np.random.default_rng(self.instance).integers(0, 20, (self.m, self.n, self.n), endpoint=True)
        self.objectives = [Objective(f"cost{i + 1}") for i in range(self.m)]
        self.genome = Genome(Permutation("task", self.n))
        super().__init__()

    def evaluate_designs(self, designs: Designs) -> dict[str, IntArray]:
        """Every cost of designs, shape ``(designs,)``."""
        agents = np.arange(self.n)
        return {f"cost{i + 1}": self.costs[i, agents, designs.task].sum(axis=1) for i in range(self.m)}


class Knapsack(DesignProblem):
    """Maximise the profits of m knapsacks, which the same items fill (multi-objective 0/1 knapsack problem).

    After Zitzler and Thiele, IEEE TEVC 3(4), 1999. An item has another profit and weight in each knapsack, whole
    numbers, uniform from 10 to 100. The capacity of a knapsack is half of the weight of all items, rounded down. Items
    are removed by the greatest ratio of profit to weight that they have in any knapsack, the least first and of equals
    the last, until all knapsacks hold the rest.

    Args:
        m: Number of knapsacks, 2 to 100.
        n: Number of items, 2 to 10,000.
        instance: Seed of the instance.
        repair: Whether optimisers remove items where designs are too heavy; without, these only violate the capacities.

    Attributes:
        profits: Profit of each item, shape ``(m, n)``.
        weights: Weight of each item, shape ``(m, n)``.
        capacities: Largest weight of each knapsack, shape ``(m,)``.

    Raises:
        ConfigError: If a number is out of its range.
    """

    def __init__(self, m: int = 2, n: int = 250, instance: int = 1, repair: bool = True) -> None:
        self.m = whole_number("m", m, 2, 100)
        self.n = whole_number("n", n, 2, 10_000)
        self.instance = whole_number("instance", instance, 0)
        self.repair = repair
        self.profits, self.weights = np.random.default_rng(self.instance).integers(
            10, 100, (2, self.m, self.n), endpoint=True
        )
        self.capacities = self.weights.sum(axis=1) // 2
        self.objectives = [Objective(f"profit{i + 1}", "1", "max") for i in range(self.m)]
        self.constraints = [
            Constraint(f"weight{i + 1}", "1", upper=float(capacity)) for i, capacity in enumerate(self.capacities)
        ]
        self.genome = Genome(Index("item", 2, repeat=self.n))
        super().__init__()

    def evaluate_designs(self, designs: Designs) -> dict[str, IntArray]:
        """Every profit and weight of designs, shape ``(designs,)``."""
        profits, weights = designs.item @ self.profits.T, designs.item @ self.weights.T
        return {f"profit{i + 1}": profits[:, i] for i in range(self.m)} | {
            f"weight{i + 1}": weights[:, i] for i in range(self.m)
        }

    def repair_designs(self, X: IntArray) -> IntArray:
        """Remove the items of the least ratio until designs fit, shape ``(pop, n)``."""
        if not self.repair:
            return X
        order = np.argsort(-(self.profits / self.weights).max(axis=0), kind="stable")
        kept = X[:, order]
        for weights, capacity in zip(self.weights, self.capacities, strict=True):
            kept = kept * (np.cumsum(kept * weights[order], axis=1) <= capacity)
        repaired = np.empty_like(X)
        repaired[:, order] = kept
        return repaired
