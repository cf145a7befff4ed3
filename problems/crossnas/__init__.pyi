from .architecture import ArchitectureSearch as ArchitectureSearch
from .pipeline import Pipeline as Pipeline
from .pipeline import Settings as Settings
from .quantisation import QuantisationPimSearch as QuantisationPimSearch
from .space import CrossNasSpace as CrossNasSpace
