"""Hardware models of processing-in-memory accelerators, as pure functions on arrays."""

from moopim.hardware.system import SystemModel, evaluate_system, system_model

__all__ = ["SystemModel", "evaluate_system", "system_model"]
