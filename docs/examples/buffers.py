import numpy as np

from moopim import Choice, Constraint, DesignProblem, Genome, Objective

TRAFFIC = np.array([0.30, 0.25, 0.18, 0.12, 0.09, 0.06])  # share of each layer


class BufferSizing(DesignProblem):
    """Buffers of six layers and a clock."""

    genome = Genome(
        Choice("buffer_kb", (2, 4, 8, 16, 32), repeat=6),
        Choice("clock_mhz", (200, 400, 800)),
    )
    objectives = (
        Objective("energy", "mJ"),
        Objective("latency", "ms"),
        Objective("hit_rate", sense="max"),
    )
    constraints = (Constraint("area", "mm2", upper=2.0),)

    def __init__(self, traffic: float = 1.0):
        super().__init__()
        self.traffic = traffic

    def evaluate_designs(self, designs):
        miss_rate = np.exp(-designs.buffer_kb / (8 * self.traffic))
        hit_rate = 1 - (TRAFFIC * miss_rate).sum(axis=1)
        size = designs.buffer_kb.sum(axis=1)
        return {
            "energy": 0.02 * size + 1e-3 * designs.clock_mhz,
            "latency": 900 / designs.clock_mhz * (2 - hit_rate),
            "hit_rate": hit_rate,
            "area": 0.03 * size,
        }
