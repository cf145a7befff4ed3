"""What CrossNAS's searches optimise and what they keep within bounds.

The paper's fitness (arXiv 2505.22868, eq. 4) is ``w_acc accuracy - (1 - w_acc) EDP / EDP_ref``, to be made large; the
paper leaves its sign and the reference open. Here the reference has a name: by default it is AlexNet with 9 bits on the
circuit that gives the paper's Table 3. For CIFAR-10 that is 0.38 mJ ms, and with it each of the two networks that the
paper chose, for ``w_acc`` 0.99 and 0.8, is the better one by the fitness of its own weight.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from moopim.constants import constant, read_table
from moopim.errors import ConfigError, unknown_name
from moopim.problems.crossnas.simulators import PimSimulator, hardware_figures
from moopim.problems.crossnas.space import CrossNasSpace
from moopim.quantities import Constraint, Metric, Objective
from moopim.typing import BoolArray, FloatArray
from moopim.workload import LayerTable, network_table

__all__ = ["MEDIAN", "Goals", "make_goals", "reference_circuit", "reference_edp"]

MEDIAN = "median"
"""Name of the reference that is the median of random networks of a space."""

_UNITS = {
    "accuracy": "1",
    "energy": "mJ",
    "latency": "ms",
    "area": "mm2",
    "power": "W",
    "edp": "mJ ms",
    "edap": "mJ ms mm2",
}
_FITNESS = Objective("fitness", "1", sense="max")
_SEED = 0  # of the random networks behind the median


@dataclass(frozen=True)
class Goals:
    """Objectives, bounds and further quantities of a search.

    Attributes:
        objectives: What is optimised.
        constraints: What is kept within bounds.
        metrics: What else is shown.
        w_acc: Weight of the accuracy in the fitness; None without one.
        reference: EDP that counts 1 in the fitness (mJ ms).
    """

    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    metrics: tuple[Metric, ...]
    w_acc: float | None
    reference: float

    @property
    def quantities(self) -> tuple[tuple[Objective, ...], tuple[Constraint, ...], tuple[Metric, ...]]:
        """Objectives, constraints and metrics, as a problem has them."""
        return self.objectives, self.constraints, self.metrics

    def complete(
        self, figures: Mapping[str, FloatArray], accuracy: Callable[[BoolArray], FloatArray]
    ) -> dict[str, FloatArray]:
        """Adds accuracies, which cost most: only of designs whose hardware is within its bounds.

        Args:
            figures: Those of `moopim.problems.crossnas.simulators.hardware_figures`, shape ``(designs,)``.
            accuracy: Finds the accuracies of some designs.

        Returns:
            Every quantity of the search, shape ``(designs,)``. The accuracy of other designs is NaN; 0 if it is bounded
            itself.
        """
        within = np.ones(len(figures["violation"]), dtype=np.bool_)
        for bound in self.constraints:
            if bound.name != "accuracy":
                values = figures[bound.name]
                within &= (values <= _or(bound.upper, math.inf)) & (values >= _or(bound.lower, -math.inf))
        bounded = any(bound.name == "accuracy" for bound in self.constraints)
        accuracies = np.full(len(within), 0.0 if bounded else np.nan)
        if within.any():
            accuracies[within] = accuracy(within)
        found = {**figures, "accuracy": accuracies}
        if self.w_acc is not None:
            found["fitness"] = self.fitness(accuracies, figures["edp"])
        return {
            quantity.name: found[quantity.name] for quantity in (*self.objectives, *self.constraints, *self.metrics)
        }

    def fitness(self, accuracy: FloatArray, edp: FloatArray) -> FloatArray:
        """The paper's fitness (eq. 4), to be made large.

        Args:
            accuracy: Fractions, any shape.
            edp: Energy-delay products (mJ ms), the same shape.

        Returns:
            The fitness, the same shape.

        Raises:
            ConfigError: If the goals have no weight.
        """
        if self.w_acc is None:
            raise ConfigError("goals without w_acc have no fitness; expected w_acc from 0 to 1")
        return self.w_acc * accuracy - (1 - self.w_acc) * edp / self.reference


def make_goals(objectives: str, w_acc: float | None, reference: float, largest: str, least: str) -> Goals:
    """Reads the goals of a search from words.

    Args:
        objectives: Names, separated by commas; what they are without `w_acc`.
        w_acc: Weight of the accuracy, 0 .. 1, in the fitness that takes the place of the objectives.
        reference: EDP that counts 1 in the fitness (mJ ms).
        largest: Upper bounds, such as ``area=200,energy=1``, in the units of the quantities.
        least: Lower bounds, such as ``accuracy=0.9``.

    Returns:
        The goals.

    Raises:
        ConfigError: If a name or a number is not allowed.
    """
    if w_acc is not None and not 0 <= w_acc <= 1:
        raise ConfigError(f"w_acc={w_acc} is not allowed; expected a number from 0 to 1")
    names = [name.strip() for name in objectives.split(",")]
    for place, name in enumerate(names):
        _check_name("objective", name)
        if name in names[:place]:
            raise ConfigError(f"objective {name!r} is given twice; expected different ones")
    chosen = tuple(Objective(name, _UNITS[name], "max" if name == "accuracy" else "min") for name in names)
    if w_acc is not None:
        chosen = (_FITNESS,)
    upper, lower = _bounds("max", largest), _bounds("min", least)
    bounds = tuple(
        Constraint(name, _UNITS[name], upper=upper.get(name), lower=lower.get(name)) for name in {**upper, **lower}
    )
    taken = {quantity.name for quantity in (*chosen, *bounds)}
    metrics = tuple(Metric(name, unit) for name, unit in _UNITS.items() if name not in taken)
    return Goals(
        chosen, (Constraint("violation", "1", upper=0.0), *bounds), (*metrics, Metric("tiles", "1")), w_acc, reference
    )


def reference_circuit() -> dict[str, int]:
    """The circuit on which a network's EDP counts 1 in the fitness: that with which the chip gives the paper's Table 3.

    Returns:
        ``crossbar`` (rows), ``adc_bits`` and ``dac_bits``.
    """
    return {name: _choice("reference", name) for name in ("crossbar", "adc_bits", "dac_bits")}


def reference_edp(reference: str, classes: int, simulator: PimSimulator, space: CrossNasSpace | None = None) -> float:
    """Finds the EDP that counts 1 in the fitness, with the bits and on the circuit of ``data/search.toml``.

    Args:
        reference: A built-in network for images of 32x32, ``median`` for the median of random networks of the space,
            or a number of mJ ms.
        classes: Classes that networks tell apart.
        simulator: Tells what networks cost.
        space: The space of networks.

    Returns:
        The EDP (mJ ms).

    Raises:
        ConfigError: If there is no such network, or the number is not above 0.
    """
    try:
        number = float(reference)
    except ValueError:
        number = None
    if number is not None:
        if not (math.isfinite(number) and number > 0):
            raise ConfigError(f"reference={reference} is not allowed; expected an EDP above 0 (mJ ms)")
        return number
    if reference != MEDIAN:
        return float(_edp(simulator, network_table(reference, classes))[0])
    if space is None:
        raise ConfigError(f"reference={MEDIAN!r} needs a space of networks; expected a network or a number of mJ ms")
    X = space.canonical(space.genome.sample(_choice("median", "networks"), np.random.default_rng(_SEED)))
    return float(np.nanmedian(_edp(simulator, space.layer_table(space.genome.decode(X)))))


def _edp(simulator: PimSimulator, table: LayerTable) -> FloatArray:
    """EDP of networks with the bits and on the circuit of the reference (mJ ms), shape ``(networks,)``."""
    bits = np.full(table.kind.shape, _choice("reference", "bits"))
    circuit = {name: np.full(len(bits), value) for name, value in reference_circuit().items()}
    return hardware_figures(simulator, table.with_bits(bits, bits), circuit)["edp"]


def _choice(table: str, name: str) -> int:
    """A whole number of ``data/search.toml``."""
    return int(constant(f"{table} {name}", read_table("moopim.problems.crossnas", "search.toml")[table][name]))


def _bounds(what: str, text: str) -> dict[str, float]:
    """Bounds by the names of quantities."""
    found: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, number = (word.strip() for word in part.partition("="))
        _check_name(f"{what} of", name)
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not equals or not math.isfinite(value):
            raise ConfigError(f"{what} {part!r} is not allowed; expected NAME=NUMBER, such as {name}=1")
        if name in found:
            raise ConfigError(f"{what} of {name!r} is given twice; expected it once")
        found[name] = value
    return found


def _check_name(what: str, name: str) -> None:
    if name not in _UNITS:
        raise unknown_name(what, name, _UNITS)


def _or(bound: float | None, value: float) -> float:
    return value if bound is None else bound
