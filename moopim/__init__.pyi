__version__: str

from .errors import ConfigError as ConfigError
from .errors import EvaluationError as EvaluationError
from .errors import LogError as LogError
from .errors import MoopimError as MoopimError
from .experiment.comparing import compare as compare
from .experiment.enumerating import enumerate_designs as enumerate_designs
from .experiment.result import RunResult as RunResult
from .experiment.result import load_run as load_run
from .experiment.running import resume as resume
from .experiment.running import run as run
from .experiment.true_fronts import read_true_front as read_true_front
from .experiment.true_fronts import true_front_instances as true_front_instances
from .genes import Choice as Choice
from .genes import Index as Index
from .genes import Integer as Integer
from .genes import Permutation as Permutation
from .genome import Designs as Designs
from .genome import Genome as Genome
from .problem import DesignProblem as DesignProblem
from .quantities import Constraint as Constraint
from .quantities import Metric as Metric
from .quantities import Objective as Objective
