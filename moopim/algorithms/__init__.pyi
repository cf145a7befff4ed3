from .amosa import AMOSA as AMOSA
from .amosa import mapping_preset as mapping_preset
from .random_search import RandomSearch as RandomSearch
from .registry import algorithm_names as algorithm_names
from .registry import make_algorithm as make_algorithm
from .topk import TopK as TopK
from .truncation import BoundedContributionSurvival as BoundedContributionSurvival
from .truncation import GreedyHypervolumeSurvival as GreedyHypervolumeSurvival
