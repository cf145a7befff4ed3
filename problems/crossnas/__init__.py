"""CrossNAS: search a CNN, its bit widths and the circuit of a planar PIM chip together (arXiv 2505.22868)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
