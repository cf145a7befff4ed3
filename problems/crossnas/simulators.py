"""Interface of PIM simulators, so that any can replace the built-in one (section 4.1).

A simulator is a class without constructor arguments, in a file or a package: the option ``simulator`` of both searches
names it. It has a method ``hardware``, and ``accuracies`` if it computes them, too.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from moopim.constants import file_hash, file_hashes
from moopim.errors import ConfigError, EvaluationError, MoopimError
from moopim.hardware.planar.chip import make_chip
from moopim.hardware.planar.model import Breakdown, break_down, evaluate_planar
from moopim.typing import FloatArray, IntArray
from moopim.user_code import import_member, reason, split_reference
from moopim.workload import LayerTable

if TYPE_CHECKING:
    from torch import Tensor, nn

    from moopim.network.crossbar import CrossbarDesign
    from moopim.network.datasets import Split

_NEEDED = ("energy", "latency")
_ALLOWED = (*_NEEDED, "area", "power", "tiles", "violation")


@runtime_checkable
class PimSimulator(Protocol):
    """Simulator of the hardware metrics of networks on PIM chips: a class without constructor arguments."""

    def hardware(self, table: LayerTable, circuit: Mapping[str, IntArray]) -> Mapping[str, FloatArray]:
        """Evaluate designs.

        Args:
            table: One network, or one per design, with the bits of each layer; shape ``(1 or designs, layers)``.
            circuit: ``crossbar``, ``adc_bits`` and ``dac_bits`` (bit), shape ``(designs,)``.

        Returns:
            By name, shape ``(designs,)``: ``energy`` (mJ) and ``latency`` (ms) of an image, and optionally ``area``
            (mm2), ``power`` (W), ``tiles``, and ``violation``, above 0 where a design does not fit.
        """


@runtime_checkable
class AccuracySimulator(Protocol):
    """Simulator that also computes the accuracy of a quantised network on crossbars."""

    def accuracies(
        self, net: nn.Module, designs: Sequence[CrossbarDesign], split: Split, calibration: Tensor
    ) -> FloatArray:
        """Accuracy of designs on images.

        Args:
            net: The quantised network, whose weights all designs share.
            designs: Bits of the layers, and circuit, of each design.
            split: Images, shape ``(images, channels, height, width)``, and labels, shape ``(images,)``.
            calibration: Images for the statistics of each design's batch norms, of the same shape.

        Returns:
            Top-1 accuracies, 0 to 1, shape ``(designs,)``.
        """


class PlanarSimulator:
    """Built-in simulator: the planar chip of a profile, with the constants of MNSIM 2.0."""

    def __init__(self, profile: str) -> None:
        make_chip(profile, None)  # raises on an unknown profile
        self.profile = profile

    def hardware(self, table: LayerTable, circuit: Mapping[str, IntArray]) -> Mapping[str, FloatArray]:
        """Metrics of designs by name, shape ``(designs,)``; see `PimSimulator.hardware`."""
        metrics = evaluate_planar(table, make_chip(self.profile, None, **circuit))
        return {name: metrics[name] for name in _ALLOWED}

    def breakdown(self, table: LayerTable, circuit: Mapping[str, IntArray]) -> Breakdown:
        """Energy, time and area of designs by layer and component; arguments as `hardware`."""
        return break_down(table, make_chip(self.profile, None, **circuit))

    def identity(self) -> dict[str, str]:
        """Checksums of the constants of the chip, by file."""
        return file_hashes("moopim.hardware", "planar")


def load_simulator(spec: str | None, profile: str) -> PimSimulator:
    """Simulator by ``FILE.py:Class`` or ``package.module:Class``; None for the planar chip of a profile."""
    if spec is None:
        return PlanarSimulator(profile)
    reference = split_reference(spec)
    if reference is None:
        raise ConfigError(f"simulator {spec!r} names no class; expected FILE.py:Class or package.module:Class")
    cls = import_member(*reference, "simulator", inspect.isclass)
    if not inspect.isclass(cls):
        raise ConfigError(f"simulator {spec!r} is {cls!r}; expected a class")
    try:
        simulator = cls()
    except TypeError as error:
        raise ConfigError(f"simulator {spec!r} cannot be made without arguments: {error}") from None
    if not isinstance(simulator, PimSimulator):
        raise ConfigError(f"simulator {spec!r} has no method 'hardware'; expected hardware(table, circuit)")
    simulator_identity(simulator)  # of the file as it was imported
    return simulator


def simulator_identity(simulator: PimSimulator) -> dict[str, Any]:
    """Checksum of the file of a simulator; for the built-in one, of its constants."""
    if isinstance(simulator, PlanarSimulator):
        return dict(simulator.identity())
    return {type(simulator).__qualname__: _file_hash(type(simulator))}


@cache
def _file_hash(cls: type) -> str:
    """Hash of the file of a class, computed once: if the file changes later, the class does not."""
    return file_hash(Path(inspect.getfile(cls)))


def hardware_metrics(
    simulator: PimSimulator, table: LayerTable, circuit: Mapping[str, IntArray]
) -> dict[str, FloatArray]:
    """Checked metrics of a simulator and those derived from them, shape ``(designs,)`` each.

    ``energy`` (mJ), ``latency`` (ms), ``edp`` (mJ ms), ``power`` (W; energy / latency by default), ``area`` (mm2),
    ``edap`` (mJ ms mm2) and ``tiles`` (NaN by default), ``violation`` (0 by default).
    """
    designs, where = len(circuit["crossbar"]), f"{type(simulator).__name__}.hardware"
    returned = _call(where, simulator.hardware, table, circuit)
    if not isinstance(returned, Mapping):
        raise EvaluationError(f"{where} returned {type(returned).__name__}; expected a dict of arrays by name")
    for name in _NEEDED:
        if name not in returned:
            raise EvaluationError(f"{where} did not return {name!r}; expected {', '.join(_NEEDED)}")
    for name in returned:
        if name not in _ALLOWED:
            raise EvaluationError(f"{where} returned unknown name {name!r}; expected {', '.join(_ALLOWED)}")
    found = {name: _numbers(f"{where} returned {name!r}", values, designs) for name, values in returned.items()}
    unknown, violation = np.full(designs, np.nan), found.get("violation", np.zeros(designs))
    for name in _NEEDED:
        wrong = ~(np.isfinite(found[name]) & (found[name] > 0)) & (violation <= 0)
        if wrong.any():
            value = found[name][wrong][0]
            raise EvaluationError(f"{where} returned {name!r} {value:g} for a design that fits; expected it above 0")
    energy, latency, area = found["energy"], found["latency"], found.get("area", unknown)
    edp = energy * latency
    power = np.divide(energy, latency, out=unknown.copy(), where=latency > 0)
    return {"power": power, "area": area, "edp": edp, "edap": edp * area, "tiles": unknown} | {
        "violation": violation,
        **found,
    }


def simulated_accuracies(
    simulator: AccuracySimulator, net: nn.Module, designs: Sequence[CrossbarDesign], split: Split, calibration: Tensor
) -> FloatArray:
    """Checked accuracies of a simulator, 0 to 1, shape ``(designs,)``."""
    where = f"{type(simulator).__name__}.accuracies"
    returned = _call(where, simulator.accuracies, net, designs, split, calibration)
    found = _numbers(f"{where} returned accuracies", returned, len(designs))
    for value in found[~((found >= 0) & (found <= 1))]:
        raise EvaluationError(f"{where} returned {value:g}; expected fractions from 0 to 1")
    return found


def _call(where: str, method: Callable[..., Any], *arguments: Any) -> Any:
    """Call a method of a user's simulator; name it, and its file and line, if it fails."""
    try:
        return method(*arguments)
    except MoopimError:
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}, line {last.lineno}"
        raise EvaluationError(f"{where} raised {reason(error)} ({place})") from error


def _numbers(what: str, values: Any, designs: int) -> FloatArray:
    array = np.asarray(values)
    if array.shape != (designs,):
        raise EvaluationError(f"{what} with shape {array.shape}; expected ({designs},)")
    if array.dtype.kind not in "biuf":
        raise EvaluationError(f"{what} as {array.dtype}; expected real numbers")
    return array.astype(np.float64)
