"""CrossNAS: search a CNN, its bit widths and the circuit of a planar PIM chip together (arXiv 2505.22868)."""

from typing import TYPE_CHECKING

from moopim._lazy import lazy_names

# Loaded on first use: the help of the command must not wait for pandas and pymoo.
_EXPORTS = {
    "ArchitectureSearch": "architecture",
    "CrossNasSpace": "space",
    "Pipeline": "pipeline",
    "QuantisationPimSearch": "quantisation",
    "Settings": "pipeline",
}
__all__ = ["ArchitectureSearch", "CrossNasSpace", "Pipeline", "QuantisationPimSearch", "Settings"]

if TYPE_CHECKING:
    from moopim.problems.crossnas.architecture import ArchitectureSearch
    from moopim.problems.crossnas.pipeline import Pipeline, Settings
    from moopim.problems.crossnas.quantisation import QuantisationPimSearch
    from moopim.problems.crossnas.space import CrossNasSpace

__getattr__, __dir__ = lazy_names(__name__, _EXPORTS, globals())
