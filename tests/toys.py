"""Small problems that the tests share; a file of its own, so that runs and worker processes can import it."""

import time
from pathlib import Path

import numpy as np

from moopim import (
    Choice,
    Constraint,
    DesignProblem,
    EvaluationError,
    Genome,
    Index,
    Integer,
    Metric,
    Objective,
    Permutation,
)
from moopim.goals import choose_goals


class Buffers(DesignProblem):
    """Buffers of six layers and a clock: two objectives to minimise, one to maximise, one bound."""

    genome = Genome(Choice("buffer_kb", (2, 4, 8, 16, 32), repeat=6), Choice("clock_mhz", (200, 400, 800)))
    objectives = (Objective("energy", "mJ"), Objective("latency", "ms"), Objective("hit_rate", "1", sense="max"))
    constraints = (Constraint("area", "mm2", upper=2.0),)
    metrics = (Metric("words", "1"),)

    def __init__(self, traffic: float = 1.0):
        super().__init__()
        self.traffic = traffic

    def evaluate_designs(self, designs):
        size = designs.buffer_kb.sum(axis=1)
        hit = 1 - np.exp(-size / 40 / self.traffic)
        energy = (0.02 * designs.buffer_kb * np.arange(1, 7)).sum(axis=1) + 1e-3 * designs.clock_mhz
        latency = 900 / designs.clock_mhz * (2 - hit)
        return {"energy": energy, "latency": latency, "hit_rate": hit, "area": 0.03 * size, "words": size * 256.0}


class Chunky(Buffers):
    """Buffers in chunks of seven designs, so that a batch keeps several workers busy."""

    chunk_rows = 7


class Tiny(DesignProblem):
    """Nine designs."""

    genome = Genome(Choice("a", (1, 2, 4)), Integer("b", 5, 7))
    objectives = (Objective("cost", "1"), Objective("gain", "1", sense="max"))

    def evaluate_designs(self, designs):
        return {"cost": designs.a * designs.b, "gain": designs.a + 2 * designs.b}


class Impossible(DesignProblem):
    """No design meets the bound; objectives of infeasible designs are unknown."""

    genome = Genome(Index("x", 50, repeat=3))
    objectives = (Objective("f", "1"), Objective("g", "1"))
    constraints = (Constraint("need", "1", lower=1000.0),)

    def evaluate_designs(self, designs):
        need = designs.x.sum(axis=1)
        return {"f": np.full(len(designs), np.nan), "g": np.full(len(designs), np.nan), "need": need}


class Limited(DesignProblem):
    """Nine sizes with limits of the user; those above the largest that the model allows have no power."""

    genome = Genome(Integer("size", 1, 9))
    constraints = (Constraint("violation", "1", upper=0.0),)

    def __init__(self, max: str = "", min: str = "", largest: int = 9):
        self.max, self.min, self.largest = max, min, largest
        self._goals = choose_goals((Objective("power", "W"), Objective("area", "mm2")), "power", max, min)
        self.objectives, self.metrics, self.limits = self._goals.objectives, self._goals.metrics, self._goals.limits
        super().__init__()

    def evaluate_designs(self, designs):
        own = np.maximum(designs.size - self.largest, 0) / 10
        found = {"power": np.where(own > 0, np.nan, 1 / designs.size), "area": 1.0 * designs.size}
        return found | {"violation": self._goals.violation(found, own)}


class Blocks(DesignProblem):
    """A genome with inactive genes and an order."""

    genome = Genome(
        Integer("depth", 1, 4), Choice("width", (32, 64, 128), repeat=4, length="depth"), Permutation("order", 5)
    )
    objectives = (Objective("size", "1"), Objective("disorder", "1"))

    def evaluate_designs(self, designs):
        active = designs.active("width")
        disorder = np.abs(designs.order - np.arange(5)).sum(axis=1)
        return {"size": -(designs.width * active).sum(axis=1), "disorder": disorder + designs.depth}


class Failing(Buffers):
    """Fails after some evaluations, as a crashing simulator would: the n-th call is told by a file."""

    def __init__(self, counter: str, limit: int = 3):
        super().__init__()
        self.counter = counter
        self.limit = limit

    def evaluate_designs(self, designs):
        with Path(self.counter).open("a") as file:
            file.write("x")
        if 0 <= self.limit < Path(self.counter).stat().st_size:
            raise EvaluationError("the simulator gave up")
        return super().evaluate_designs(designs)


class Slow(Chunky):
    """Buffers that take a while, so that a run can be killed in its middle."""

    def __init__(self, traffic: float = 1.0, pause_ms: int = 5):
        super().__init__(traffic)
        self.pause_ms = pause_ms

    def evaluate_designs(self, designs):
        time.sleep(self.pause_ms / 1000)
        return super().evaluate_designs(designs)


class Labels(DesignProblem):
    """Values that look like numbers, or are of mixed kinds."""

    genome = Genome(Choice("code", ("001", "010", "NA")), Choice("prune", ("off", 2, None)))
    objectives = (Objective("f"),)

    def evaluate_designs(self, designs):
        return {"f": designs.indices("code") + designs.indices("prune")}
