from .evaluator import BudgetSpent as BudgetSpent
from .evaluator import Evaluator as Evaluator
from .log import EvaluationLog as EvaluationLog
from .log import Logged as Logged
from .log import LoggedBatch as LoggedBatch
