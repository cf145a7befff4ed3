"""Types of arrays; shapes stand in the docstrings that use them."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]

NodeArray: TypeAlias = NDArray[np.signedinteger]
"""Routers of a mesh, in whichever signed type they come."""

WordArray: TypeAlias = NDArray[np.uint64]
"""Bits packed by 64."""
