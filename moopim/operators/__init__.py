"""Vectorised genetic operators on integer genomes, as pymoo operators.

The functions of the modules work on integer arrays of shape ``(pop, n_genes)`` and draw from the generator they are
given; the classes offer them to pymoo. All take the genome from the problem, so that one instance serves any problem.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
