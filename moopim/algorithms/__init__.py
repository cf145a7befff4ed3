"""Multi-objective optimisers: AMOSA, IBEA, SEMO, local, top-K and random search and a registry with pymoo's."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
