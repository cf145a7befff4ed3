"""The 3-D stack that HuNT trains on."""

from moopim.hardware.stack.model import SystemModel, system_model
from moopim.hardware.stack.surrogates import evaluate_surrogates
from moopim.hardware.stack.system import evaluate_system

__all__ = ["SystemModel", "evaluate_surrogates", "evaluate_system", "system_model"]
