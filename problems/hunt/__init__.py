"""HuNT: layer-to-PE and PE-to-tier mapping of DNN training on a 3-D stack (TCAD 2024)."""

from moopim.problems.hunt.mapping import HuntMapping

__all__ = ["HuntMapping"]
