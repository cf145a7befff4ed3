"""Steady-state temperatures of a 3-D stack of PEs on a heat spreader and a heat sink."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
