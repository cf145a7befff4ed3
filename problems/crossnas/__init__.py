"""CrossNAS: search a CNN, its bit widths and the circuit of a planar PIM chip together (arXiv 2505.22868)."""

from moopim.problems.crossnas.architecture import ArchitectureSearch
from moopim.problems.crossnas.quantisation import QuantisationPimSearch
from moopim.problems.crossnas.space import CrossNasSpace

__all__ = ["ArchitectureSearch", "CrossNasSpace", "QuantisationPimSearch"]
