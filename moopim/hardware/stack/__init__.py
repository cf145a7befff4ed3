"""The 3-D stack that HuNT trains on."""

from moopim.hardware.stack.system import SystemModel, evaluate_system, system_model

__all__ = ["SystemModel", "evaluate_system", "system_model"]
