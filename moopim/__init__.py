"""Multi-objective optimisation of processing-in-memory accelerators, built on pymoo."""

from pathlib import Path
from typing import TYPE_CHECKING

from moopim._lazy import lazy_names

__version__ = "0.1.0"

# In a checkout, problems/ and analysis/ stand beside this package (a wheel has them inside it): let them be found.
_CHECKOUT = Path(__file__).resolve().parent.parent
if (_CHECKOUT / "setup.cfg").is_file():
    __path__.append(str(_CHECKOUT))

# Public name -> module; loaded on first use, so that `import moopim` stays fast and loads neither torch nor pyplot.
_EXPORTS = {
    "Choice": "genes",
    "ConfigError": "errors",
    "Constraint": "quantities",
    "DesignProblem": "problem",
    "EvaluationError": "errors",
    "Genome": "genome",
    "Index": "genes",
    "Integer": "genes",
    "LogError": "errors",
    "Metric": "quantities",
    "MoopimError": "errors",
    "Objective": "quantities",
    "Permutation": "genes",
    "RunResult": "experiment",
    "compare": "experiment",
    "load_run": "experiment",
    "resume": "experiment",
    "run": "experiment",
}
__all__ = [
    "Choice",
    "ConfigError",
    "Constraint",
    "DesignProblem",
    "EvaluationError",
    "Genome",
    "Index",
    "Integer",
    "LogError",
    "Metric",
    "MoopimError",
    "Objective",
    "Permutation",
    "RunResult",
    "__version__",
    "compare",
    "load_run",
    "resume",
    "run",
]

if TYPE_CHECKING:
    from moopim.errors import ConfigError, EvaluationError, LogError, MoopimError
    from moopim.experiment import RunResult, compare, load_run, resume, run
    from moopim.genes import Choice, Index, Integer, Permutation
    from moopim.genome import Genome
    from moopim.problem import DesignProblem
    from moopim.quantities import Constraint, Metric, Objective

__getattr__, __dir__ = lazy_names(__name__, _EXPORTS, globals())
