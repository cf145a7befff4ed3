"""Pareto analysis of evaluated designs: pandas frames in, frames and figures out.

Importing this package loads neither pandas nor matplotlib; each function brings what it needs on first use.
"""

from typing import TYPE_CHECKING

from moopim._lazy import lazy_names

if __name__ == "analysis":
    raise ImportError("import moopim.analysis, not analysis")

# Public name -> module.
_EXPORTS = {
    "Box": "box",
    "Run": "indicators",
    "a12": "statistics",
    "common_box": "box",
    "compare_indicators": "comparing",
    "comparison": "comparing",
    "comparison_table": "statistics",
    "comparison_text": "comparing",
    "holm": "statistics",
    "hypervolume": "indicators",
    "hypervolume_bands": "indicators",
    "hypervolume_history": "indicators",
    "igd_plus": "indicators",
    "indicator_table": "indicators",
    "joint_box": "box",
    "non_dominated": "fronts",
    "parallel_coordinates": "parallel",
    "plot_adc_accuracy": "crossbar",
    "plot_comparison": "plots",
    "plot_conversions": "crossbar",
    "plot_hypervolume": "progress",
    "plot_run": "plots",
    "plot_samples": "progress",
    "plot_training": "training",
    "scatter": "scatters",
    "scatter_3d": "space",
    "scatter_matrix": "scatters",
}
__all__ = [
    "Box",
    "Run",
    "a12",
    "common_box",
    "compare_indicators",
    "comparison",
    "comparison_table",
    "comparison_text",
    "holm",
    "hypervolume",
    "hypervolume_bands",
    "hypervolume_history",
    "igd_plus",
    "indicator_table",
    "joint_box",
    "non_dominated",
    "parallel_coordinates",
    "plot_adc_accuracy",
    "plot_comparison",
    "plot_conversions",
    "plot_hypervolume",
    "plot_run",
    "plot_samples",
    "plot_training",
    "scatter",
    "scatter_3d",
    "scatter_matrix",
]

if TYPE_CHECKING:
    from moopim.analysis.box import Box, common_box, joint_box
    from moopim.analysis.comparing import compare_indicators, comparison, comparison_text
    from moopim.analysis.crossbar import plot_adc_accuracy, plot_conversions
    from moopim.analysis.fronts import non_dominated
    from moopim.analysis.indicators import (
        Run,
        hypervolume,
        hypervolume_bands,
        hypervolume_history,
        igd_plus,
        indicator_table,
    )
    from moopim.analysis.parallel import parallel_coordinates
    from moopim.analysis.plots import plot_comparison, plot_run
    from moopim.analysis.progress import plot_hypervolume, plot_samples
    from moopim.analysis.scatters import scatter, scatter_matrix
    from moopim.analysis.space import scatter_3d
    from moopim.analysis.statistics import a12, comparison_table, holm
    from moopim.analysis.training import plot_training

__getattr__, __dir__ = lazy_names(__name__, _EXPORTS, globals())
