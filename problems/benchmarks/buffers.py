"""Sizing of on-chip buffers: a small design problem with a conflict of three objectives and a limit."""

import numpy as np

from moopim.checks import number, whole_number
from moopim.genes import Choice
from moopim.genome import Designs, Genome
from moopim.problem import DesignProblem
from moopim.quantities import Constraint, Objective
from moopim.typing import FloatArray

_DECAY = 0.8  # of the traffic from layer to layer
_AREA = 1 / 3  # of a layer on average (mm2)


class BufferSizing(DesignProblem):
    """Choose the buffer of each layer of a network, and the clock, for energy, latency and hit rate.

    A made-up problem of this package, after the example of its documentation. A layer has 0.8 times the traffic of the
    one before it; its misses fall exponentially with its buffer. The area is limited to 1/3 mm2 for each layer.

    Args:
        layers: Number of layers, 1 to 1,000.
        traffic: Traffic in units for which 8 KB let 1/e miss, above 0.

    Raises:
        ConfigError: If a number is out of its range.
    """

    objectives = (Objective("energy", "mJ"), Objective("latency", "ms"), Objective("hit_rate", "1", "max"))

    def __init__(self, layers: int = 8, traffic: float = 1.0) -> None:
        self.layers = whole_number("layers", layers, 1, 1_000)
        self.traffic = number("traffic", traffic, positive=True)
        self.constraints = (Constraint("area", "mm2", upper=_AREA * self.layers),)
        self.genome = Genome(
            Choice("buffer_kb", (2, 4, 8, 16, 32), repeat=self.layers), Choice("clock_mhz", (200, 400, 800))
        )
        shares = _DECAY ** np.arange(self.layers)
        self._shares = shares / shares.sum()
        super().__init__()

    def evaluate_designs(self, designs: Designs) -> dict[str, FloatArray]:
        """Objectives and area of designs, shape ``(designs,)`` each."""
        hit_rate = 1 - (self._shares * np.exp(-designs.buffer_kb / (8 * self.traffic))).sum(axis=1)
        size = designs.buffer_kb.sum(axis=1)
        return {
            "energy": 0.02 * size + 1e-3 * designs.clock_mhz,
            "latency": 900 / designs.clock_mhz * (2 - hit_rate),
            "hit_rate": hit_rate,
            "area": 0.03 * size,
        }
