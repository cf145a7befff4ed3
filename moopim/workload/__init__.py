"""Layer tables of neural networks: built-in networks, traced torch modules and HuNT's training workloads."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
