"""Networks: training, single-path one-shot supernets and quantisation; needs the extra `network`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
