"""Objectives, limits and fitness of CrossNAS's searches.

The paper's fitness (arXiv 2505.22868, eq. 4) leaves its sign and the reference of the EDP open. Here the reference is,
by default, AlexNet with 9 bits on the circuit that gives the paper's Table 3. For CIFAR-10 that is 0.38 mJ ms, and with
it each of the two networks that the paper chose, for ``w_acc`` 0.99 and 0.8, is the better one by the fitness of its
own weight.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from moopim.constants import constant, read_table
from moopim.errors import ConfigError, EvaluationError
from moopim.goals import Goals, choose_goals
from moopim.problems.crossnas.simulators import PimSimulator, hardware_metrics, load_simulator
from moopim.problems.crossnas.space import CrossNasSpace
from moopim.quantities import Metric, Objective
from moopim.typing import BoolArray, FloatArray
from moopim.workload import LayerTable, network_table

MEDIAN = "median"
"""Reference EDP that is the median of random networks of a space."""

HARDWARE = (
    Objective("energy", "mJ"),
    Objective("latency", "ms"),
    Objective("area", "mm2"),
    Objective("power", "W"),
    Objective("edp", "mJ ms"),
    Objective("edap", "mJ ms mm2"),
)
"""Quantities of the hardware, from `hardware_metrics`."""

QUANTITIES = (Objective("accuracy", sense="max"), *HARDWARE)
"""Quantities that a search can optimise and limit."""

_FITNESS = Objective("fitness", sense="max")
_SEED = 0  # of the random networks behind the median


@dataclass(frozen=True)
class SearchObjectives:
    """Objectives and limits of a search.

    Attributes:
        goals: Objectives, limits and further metrics.
        w_acc: Weight of the accuracy in the fitness, 0 to 1; None without a fitness.
        reference: EDP_ref of eq. 4 (mJ ms).
    """

    goals: Goals
    w_acc: float | None
    reference: float

    def evaluate(
        self, hardware: Mapping[str, FloatArray], accuracy: Callable[[BoolArray], FloatArray]
    ) -> dict[str, FloatArray]:
        """All quantities of designs from their `hardware_metrics`; shape ``(designs,)`` each.

        Accuracies, which cost most, are computed only of designs whose hardware is within its limits, those of the mask
        that ``accuracy`` gets; that of others is NaN.
        """
        own = hardware["violation"]
        for limit in self.goals.limits:
            if limit.name in hardware and np.isnan(hardware[limit.name][own <= 0]).any():
                raise EvaluationError(f"the simulator returned no {limit.name!r}, which is limited to {limit.bounds}")
        found = {**hardware, "accuracy": np.full(len(own), np.nan)}
        within = self.goals.violation(found, own) <= 0
        if within.any():
            found["accuracy"][within] = accuracy(within)
        found["violation"] = self.goals.violation(found, own)
        if self.w_acc is not None:
            found["fitness"] = fitness(found["accuracy"], hardware["edp"], self.w_acc, self.reference)
        return found


def fitness(accuracy: FloatArray, edp: FloatArray, w_acc: float, reference: float) -> FloatArray:
    r"""Fitness of CrossNAS, to be maximised (arXiv 2505.22868, eq. 4, with the sign and EDP_ref that it leaves open).

    .. math:: F = w_{acc} \, A - (1 - w_{acc}) \, EDP / EDP_{ref}

    Args:
        accuracy: Top-1 accuracy A, 0 to 1, any shape.
        edp: Energy-delay product EDP of an image (mJ ms), the same shape.
        w_acc: Weight of the accuracy, 0 to 1.
        reference: EDP_ref (mJ ms), see `reference_edp`.

    Returns:
        The fitness, the same shape.

    Example:
        >>> import numpy as np
        >>> from moopim.problems.crossnas import fitness
        >>> fitness(np.array([0.9]), np.array([0.1]), w_acc=0.8, reference=0.4).round(9).tolist()
        [0.67]
    """
    return w_acc * accuracy - (1 - w_acc) * edp / reference


def make_objectives(names: str, w_acc: float | None, reference: float, upper: str, lower: str) -> SearchObjectives:
    """Objectives, such as ``accuracy,edp``, and limits, such as ``area=200,energy=1``, of a search.

    With a ``w_acc``, the fitness with the reference EDP (mJ ms) takes the place of the named objectives.
    """
    check_weight(w_acc)
    goals = choose_goals(QUANTITIES, names, upper, lower)
    if w_acc is not None:
        metrics = tuple(Metric(quantity.name, quantity.unit) for quantity in QUANTITIES)
        goals = replace(goals, objectives=(_FITNESS,), metrics=metrics)
    return SearchObjectives(goals, w_acc, reference)


def check_weight(w_acc: float | None) -> None:
    """Raise ConfigError unless a weight of the accuracy is None or 0 to 1."""
    if w_acc is not None and not 0 <= w_acc <= 1:
        raise ConfigError(f"w_acc={w_acc} is not allowed; expected a number from 0 to 1")


def reference_circuit() -> dict[str, int]:
    """Circuit of the reference EDP, which gives Table 3: ``crossbar`` (rows), ``adc_bits`` and ``dac_bits``."""
    return {name: _constant("reference", name) for name in ("crossbar", "adc_bits", "dac_bits")}


def reference_edp(
    reference: str, classes: int, simulator: PimSimulator | None = None, space: CrossNasSpace | None = None
) -> float:
    """EDP normaliser EDP_ref of eq. 4 (mJ ms), with the bits and the circuit of ``data/search.toml``.

    Args:
        reference: A built-in network for images of 32x32, ``median`` for the median of random networks of the space,
            or a number of mJ ms.
        classes: Number of classes.
        simulator: PIM simulator; by default the planar chip of CrossNAS's tables.
        space: Space of networks, for ``median``.

    Returns:
        The EDP (mJ ms).

    Raises:
        ConfigError: If the network is unknown, the number not above 0, or the space missing.
    """
    try:
        number = float(reference)
    except ValueError:
        number = None
    if number is not None:
        if not (math.isfinite(number) and number > 0):
            raise ConfigError(f"reference={reference} is not allowed; expected an EDP above 0 (mJ ms)")
        return number
    simulator = simulator or load_simulator(None, "paper")
    if reference != MEDIAN:
        return float(_edp(simulator, network_table(reference, classes))[0])
    if space is None:
        raise ConfigError(f"reference={MEDIAN!r} needs a space of networks; expected a network or a number of mJ ms")
    X = space.canonical(space.genome.sample(_constant("median", "networks"), np.random.default_rng(_SEED)))
    return float(np.nanmedian(_edp(simulator, space.layer_table(space.genome.decode(X)))))


def _edp(simulator: PimSimulator, table: LayerTable) -> FloatArray:
    """EDP of networks with the bits and on the circuit of the reference (mJ ms), shape ``(networks,)``."""
    bits = np.full(table.kind.shape, _constant("reference", "bits"))
    circuit = {name: np.full(len(bits), value) for name, value in reference_circuit().items()}
    return hardware_metrics(simulator, table.with_bits(bits, bits), circuit)["edp"]


def _constant(table: str, name: str) -> int:
    """A whole number of ``data/search.toml``."""
    return int(constant(f"{table} {name}", read_table("moopim.problems.crossnas", "search.toml")[table][name]))
