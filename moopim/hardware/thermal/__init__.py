"""Steady-state temperatures of a 3-D stack of PEs on a heat spreader and a heat sink."""

from moopim.hardware.thermal.description import ThermalStack, load_thermal
from moopim.hardware.thermal.influence import THERMAL_MODES, influence_matrix

__all__ = ["THERMAL_MODES", "ThermalStack", "influence_matrix", "load_thermal"]
