"""Layers and quantised networks on analog crossbars with DACs and ADCs, computed exactly; needs the extra `network`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
