"""Test problems for those who develop optimisers: landscapes, combinatorial problems and functions on grids."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
