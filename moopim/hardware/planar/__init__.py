"""Planar PIM chip after MNSIM 2.0 (Zhu et al., TCAD 2023), the hardware model of CrossNAS, for whole populations."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
