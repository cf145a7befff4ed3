"""HuNT: layer-to-PE and PE-to-tier mapping of DNN training on a 3-D stack (TCAD 2024)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
