"""Network on chip of a 3-D stack: a mesh with dimension-order routing and queues at its links."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
