"""Labelled image sets, whole and in memory: bundled, synthetic, from published files or of a user."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
