"""Multi-objective optimisation of processing-in-memory accelerators, built on pymoo."""

from pathlib import Path

import lazy_loader

__version__ = "0.1.0"

# In a checkout, problems/ and analysis/ stand beside this package (a wheel has them inside it): let them be found.
_CHECKOUT = Path(__file__).resolve().parent.parent
if (_CHECKOUT / "setup.cfg").is_file():
    __path__.append(str(_CHECKOUT))

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
