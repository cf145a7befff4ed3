"""The 3-D stack of HuNT (TCAD 2024): heterogeneous tiers of PEs on which networks are trained."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
