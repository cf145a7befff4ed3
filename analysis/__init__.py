"""Pareto analysis of evaluated designs: pandas frames in, frames and figures out.

Importing this package loads neither pandas nor matplotlib; each function brings what it needs on first use.
"""

import lazy_loader

if __name__ == "analysis":
    raise ImportError("import moopim.analysis, not analysis")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
