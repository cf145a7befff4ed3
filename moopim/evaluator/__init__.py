"""The shared evaluation backend: log, cache and executors.

Every optimiser evaluates through one `Evaluator`, whatever models stand behind the problem.
"""

from moopim.evaluator.evaluator import BudgetSpent, Evaluator
from moopim.evaluator.log import Batch, EvaluationLog, Logged

__all__ = ["Batch", "BudgetSpent", "EvaluationLog", "Evaluator", "Logged"]
