"""What the two searches of CrossNAS have in common."""

from collections.abc import Mapping
from typing import Any, Protocol

import pandas as pd

from moopim.evaluator.metric_store import MetricStore
from moopim.problem import DesignProblem
from moopim.problems.crossnas.goals import Goals, make_goals, reference_edp
from moopim.problems.crossnas.paid import reused_text
from moopim.problems.crossnas.simulators import PimSimulator, simulator_identity
from moopim.problems.crossnas.space import CrossNasSpace

__all__ = ["CrossNasSearch"]


class _Accuracies(Protocol):
    """Accuracies that are kept for later runs."""

    store: MetricStore

    def identity(self) -> Mapping[str, str]:
        """What they depend on."""


class CrossNasSearch(DesignProblem):
    """A search with goals of one's choice, a PIM simulator, and accuracies that are paid once over all runs.

    A subclass has the parameters ``goals``, ``w_acc``, ``reference``, ``max`` and ``min``, sets its genome, simulator
    and accuracies, and ends its constructor with `_begin`.
    """

    goals: str
    w_acc: float | None
    reference: str
    max: str
    min: str
    _accuracies: _Accuracies
    _simulator: PimSimulator
    _goals: Goals

    def _begin(self, classes: int, space: CrossNasSpace | None = None) -> None:
        """Reads the goals and completes the problem.

        Args:
            classes: Classes that networks tell apart.
            space: The space of networks, of which the reference may be one.
        """
        edp = reference_edp(self.reference, classes, self._simulator, space)
        self._goals = make_goals(self.goals, self.w_acc, edp, self.max, self.min)
        self.objectives, self.constraints, self.metrics = self._goals.quantities
        super().__init__()

    def identity(self) -> Mapping[str, Any]:
        """Checksums of the weights, of the images and of the simulator."""
        return {**self._accuracies.identity(), **simulator_identity(self._simulator)}

    def tally(self) -> int:
        """How many accuracies are known."""
        return self._accuracies.store.count()

    def remark(self, evaluations: pd.DataFrame, tally: int) -> str:
        """Says how many accuracies were known from earlier runs.

        Args:
            evaluations: Every evaluated design.
            tally: How many accuracies were known when the run began.

        Returns:
            A few words.
        """
        return reused_text(evaluations, self._accuracies.store.count() - tally)
