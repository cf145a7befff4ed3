"""Evaluation of designs for all optimisers: cache, log and worker processes.

Every optimiser evaluates through one `Evaluator`, whatever models stand behind the problem.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
