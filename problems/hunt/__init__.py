"""HuNT: layer-to-PE and PE-to-tier mapping of DNN training on a 3-D stack (TCAD 2024)."""

from typing import TYPE_CHECKING

from moopim._lazy import lazy_names

# Loaded on first use: the help of the command must not wait for pandas and pymoo.
_EXPORTS = {"HuntMapping": "mapping", "WeightedMapping": "weighted"}
__all__ = ["HuntMapping", "WeightedMapping"]

if TYPE_CHECKING:
    from moopim.problems.hunt.mapping import HuntMapping
    from moopim.problems.hunt.weighted import WeightedMapping

__getattr__, __dir__ = lazy_names(__name__, _EXPORTS, globals())
