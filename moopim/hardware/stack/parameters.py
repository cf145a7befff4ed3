"""Parameters of the 3-D stack and of its model; ``hardware/data/`` has the values and their sources."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from moopim.constants import (
    Bounds,
    as_table,
    bounded,
    bounds_of,
    check_constants,
    constant_values,
    entry_value,
    in_unit,
    read_table,
    read_user_table,
)
from moopim.errors import ConfigError, unknown_name
from moopim.hardware.noc.parameters import NocParameters, load_noc
from moopim.hardware.noc.routing import link_count
from moopim.hardware.stack.devices import TRUTHS, Overrides, StackDevice, built_in_devices, load_devices
from moopim.hardware.stack.engine import GradientEngine, load_engine
from moopim.hardware.thermal import ThermalStack, load_thermal
from moopim.typing import FloatArray

FACTOR_SETS = ("physical", "calibrated")
_MOST_PES = 1024
_Constants = TypeVar("_Constants")
# A number, and a unit behind it.
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?inf|nan)\s*([^\s\d.].*)?", re.ASCII)


@dataclass(frozen=True)
class Stack:
    """The 3-D stack and its network.

    Attributes:
        tiers: Tiers.
        mesh: PEs along each side of a tier.
        pe_area_mm2: Area of a PE (mm2).
        tiles_per_pe: Tiles of a PE.
        link_bits_per_ns: Rate of a link (bit/ns).
        hop_energy_pJ: Energy of a bit over a link (pJ).
        gradient_bits: Width of gradients (bit).
        noise_exponential: Noise of an ``exponential`` device at ``exp(rise / noise_scale_K) = 2``.
        noise_linear_per_K: Noise of a ``linear`` device per kelvin of rise (1/K).
        noise_scale_K: Temperature scale of ``exponential`` devices (K).
        noise_exponent_cap: Largest exponent.
    """

    tiers: int = field(
        metadata=bounded("1", 2, 1024, "a tier for back-propagation and one for the rest; 1,024 PEs in all", whole=True)
    )
    mesh: int = field(metadata=bounded("1", 1, 1024, "1,024 PEs in all", whole=True))
    pe_area_mm2: float = field(
        metadata=bounded(
            "mm2", 1e-4, 1000, "from an array of 10 um x 10 um to a field of a lithography scanner, 26 mm x 33 mm"
        )
    )
    tiles_per_pe: int = field(metadata=bounded("1", 1, 1024, "a count", whole=True))
    link_bits_per_ns: float = field(
        metadata=bounded("bit/ns", 0.01, 1e6, "from a serial link at 10 MHz to 1e5 wires at 10 GHz")
    )
    hop_energy_pJ: float = field(
        metadata=bounded(
            "pJ",
            1e-4,
            50,
            "per bit: CV2 of some micrometres of wire is about 1e-3 pJ, a bit over a board or to a DRAM takes up "
            "to some 20 pJ",
            zero=True,
        )
    )
    gradient_bits: int = field(metadata=bounded("bit", 1, 128, "number formats", whole=True))
    noise_exponential: float = field(
        metadata=bounded("1", 1e-6, 1e6, "a scale of the surrogate; HuNT eq. 7 gives none", zero=True)
    )
    noise_linear_per_K: float = field(
        metadata=bounded("1/K", 1e-6, 100, "a scale of the surrogate; HuNT eq. 7 gives none", zero=True)
    )
    noise_scale_K: float = field(
        metadata=bounded("K", 0.1, 1000, "rises of temperature on a chip are some 0.1 K to some 100 K")
    )
    noise_exponent_cap: float = field(
        metadata=bounded("1", 1e-3, 100, "exp(100) is far beyond any noise, and finite when summed", zero=True)
    )

    def __post_init__(self) -> None:
        check_constants(self, "the stack")
        if self.pes > _MOST_PES:
            size = f"{self.tiers} tiers of {self.mesh} x {self.mesh} PEs"
            raise ConfigError(f"{size} are {self.pes}; expected at most {_MOST_PES} PEs in the stack")

    @property
    def pes_per_tier(self) -> int:
        """PEs of a tier."""
        return self.mesh**2

    @property
    def pes(self) -> int:
        """PEs of the stack."""
        return self.tiers * self.pes_per_tier

    @property
    def links(self) -> int:
        """Directed links of the network, a mesh in three dimensions."""
        return link_count(self.tiers, self.mesh)


@dataclass(frozen=True)
class Factors:
    """Factors of the model that belong to no device.

    Attributes:
        bits: Width of weights and activations in the forward pass (bit).
        n_act: Images whose activations are kept in the arrays.
        g_w: Arrays that share a write driver when activations are written; 0 switches these writes off.
        kappa: Operations counted per multiply or add.
        phi_HX: Share of the forward work that HyperX keeps on SRAM tiers.
        g_f: Forward speed-up of AccuReD by work given to the GPU tiers.
    """

    bits: float = field(metadata=bounded("bit", 1, 64, "number formats", whole=True))
    n_act: float = field(metadata=bounded("1", 0, 1e6, "a count of images"))
    g_w: float = field(metadata=bounded("1", 0, 1e6, "a count of arrays"))
    kappa: float = field(
        metadata=bounded("1", 1e-3, 1e6, "a multiplication counts as 1 operation, as 256 of 1 bit, as 4,096 at most")
    )
    phi_HX: float = field(metadata=bounded("1", 0, 1, "a share"))
    g_f: float = field(metadata=bounded("1", 1e-3, 1000, "a ratio of times of tiers on one chip"))

    def __post_init__(self) -> None:
        check_constants(self, "the factors")


@dataclass(frozen=True)
class Operation:
    """Operation of a stack in the system model: pace, links, writing, gating, noise, training.

    Attributes:
        pace_first_ns: Time of an image at level 0 of the pace (ns).
        pace_steps_per_octave: Levels to a factor of 2 of that time.
        pace_levels: Levels of the pace; the last one is no limit.
        parts: Equal parts of a layer that send and receive on their own.
        link_limit: Largest busy share of a link.
        write_power_W: Power for rewriting weights (W).
        gated_share: Leakage of a gated array over that of one in use.
        noise_onset_K: Temperature rise within which references track the array (K).
        epochs: Epochs of a training.
    """

    pace_first_ns: float = field(metadata=bounded("ns", 0.1, 1e7, "from a row of SRAM to 10 ms"))
    pace_steps_per_octave: float = field(metadata=bounded("1", 0.1, 64, "finer steps change copies by less than 1 %"))
    pace_levels: int = field(metadata=bounded("1", 2, 1024, "a count; the last level is no limit", whole=True))
    parts: int = field(metadata=bounded("1", 1, 64, "a count", whole=True))
    link_limit: float = field(metadata=bounded("1", 1e-6, 1, "a share"))
    write_power_W: float = field(metadata=bounded("W", 1e-3, 1e6, "from a sensor node to all arrays at once"))
    gated_share: float = field(metadata=bounded("1", 0, 1, "a share"))
    noise_onset_K: float = field(metadata=bounded("K", 1e-3, 1000, "a temperature rise on a chip", zero=True))
    epochs: float = field(metadata=bounded("1", 1e-3, 1e6, "a count; a share of an epoch"))

    def __post_init__(self) -> None:
        check_constants(self, "the operation")

    @property
    def wanted_ns(self) -> FloatArray:
        """Wanted time of an image at each level of the pace (ns), shape ``(pace_levels,)``; infinite at the last."""
        wanted = self.pace_first_ns * 2.0 ** (np.arange(self.pace_levels) / self.pace_steps_per_octave)
        wanted[-1] = np.inf
        return np.asarray(wanted)


class Parameters(NamedTuple):
    """Parameters of a model.

    Attributes:
        devices: Devices; a tier is an index into them.
        factors: Factors that belong to no device.
        stack: Stack.
        operation: Operation of the stack.
        engine: Gradient engine.
        noc: Routers and packets.
        thermal: Thermal stack.
    """

    devices: tuple[StackDevice, ...]
    factors: Factors
    stack: Stack
    operation: Operation
    engine: GradientEngine
    noc: NocParameters
    thermal: ThermalStack


def load_stack(
    path: Path | None = None, overrides: Overrides | None = None, *, calibrated: Overrides | None = None
) -> Stack:
    """Load the built-in stack, with the values of a factor set, a user's file and overrides.

    Args:
        path: TOML file whose table ``[stack]`` has fields of `Stack`; its table ``[thermal]`` is left to
            `moopim.hardware.thermal.load_thermal`.
        overrides: Values by name, which have the highest priority.
        calibrated: Values of a factor set, which the file replaces.

    Returns:
        Stack.

    Raises:
        ConfigError: If a parameter is unknown, missing or not usable.
    """
    names = bounds_of(Stack)
    values = constant_values("the stack", read_table("moopim.hardware", "stack.toml"), Stack)
    values |= {name: value for name, value in (calibrated or {}).items() if name in names}
    if path is not None:
        table = as_table(f"{path}: stack", read_user_table(path, ("stack", "thermal")).get("stack", {}), "stack")
        values |= constant_values(f"[stack] of {path}", table, Stack, complete=False)
    return Stack(**(values | {name: value for name, value in (overrides or {}).items() if name in names}))


def load_factor_set(name: str) -> Overrides:
    """Values of a factor set: ``physical`` (none), ``calibrated``, or a TOML file like ``stack_calibrated.toml``."""
    if name == "physical":
        return {}
    if name == "calibrated":
        table: Mapping[str, Any] = read_table("moopim.hardware", "stack_calibrated.toml")
    elif name.lower().endswith(".toml"):
        table = read_user_table(Path(name))
    else:
        raise unknown_name("factor set", name, (*FACTOR_SETS, "FILE.toml"))
    return {key: entry_value(f"{key} of factor set {name!r}", entry, _bounds(key)) for key, entry in table.items()}


def parameter_names() -> tuple[str, ...]:
    """Names of the parameters that belong to no device."""
    return tuple(name for cls in _CLASSES for name in bounds_of(cls))


def load_parameters(
    factors: str = "physical",
    devices: str = "S,R,F",
    stack: str = "",
    override: str = "",
    *,
    without_effect: Collection[str] = (),
) -> Parameters:
    """Load all parameters of the models of the stack.

    Args:
        factors: Factor set: ``physical`` (the values of the files), ``calibrated`` or a ``FILE.toml`` in the form of
            ``data/stack_calibrated.toml``.
        devices: Devices, see `load_devices`.
        stack: TOML file in place of the built-in stack, see `load_stack` and `moopim.hardware.thermal.load_thermal`;
            the built-in one if empty.
        override: Overrides of single parameters, which have the highest priority, such as
            ``kappa=4,mesh=6,R.static_mW=5`` or ``R.write_pJ=2nJ``.
        without_effect: Parameters, those of devices without their letter, that a model does not use: overrides of them
            are refused.

    Returns:
        Parameters.

    Raises:
        ConfigError: If a name or a value is not usable; the message names it.
    """
    chosen, overrides = load_factor_set(factors), _parse(override)
    used = load_devices(devices, chosen, overrides)
    letters = [device.letter for device in used]
    names = parameter_names()
    # A set may have values of devices that are not used; an override has to have an effect.
    for given, source, known in (
        (chosen, f"parameter of factor set {factors!r}", (*letters, *built_in_devices())),
        (overrides, "parameter to override", letters),
    ):
        for name in given:
            letter, dot, _ = name.partition(".")
            if not (dot and letter in known) and name not in names:
                raise unknown_name(source, name, (*names, *(f"{x}.PARAMETER" for x in letters)))
    for name in overrides:
        if name.rpartition(".")[2] in without_effect:
            raise ConfigError(f"override of {name!r} has no effect in this model; expected a parameter that it uses")
    values = {**chosen, **overrides}
    path = Path(stack) if stack else None
    operation = read_table("moopim.hardware", "stack_operation.toml")
    operation.pop("training_images")
    return Parameters(
        devices=used,
        factors=_load(Factors, "the factors", read_table("moopim.hardware", "stack_factors.toml"), values),
        stack=load_stack(path, overrides, calibrated=chosen),
        operation=_load(Operation, "the operation", operation, values),
        engine=replace(load_engine(), **_of(GradientEngine, values)),
        noc=replace(load_noc(), **_of(NocParameters, values)),
        thermal=replace(load_thermal(path), **_of(ThermalStack, values)),
    )


_CLASSES = (Factors, Stack, Operation, GradientEngine, NocParameters, ThermalStack)


def _load(cls: type[_Constants], what: str, table: Mapping[str, Any], values: Overrides) -> _Constants:
    """Constants of a table, with the values of a factor set and overrides."""
    return cls(**(constant_values(what, table, cls) | _of(cls, values)))


def _of(cls: type, values: Overrides) -> dict[str, Any]:
    """Values that are fields of a dataclass."""
    return {name: value for name, value in values.items() if name in bounds_of(cls)}


def _bounds(name: str) -> Bounds | None:
    """Bounds of a parameter, by its name or, of a device, as ``LETTER.parameter``."""
    _, dot, parameter = name.partition(".")
    if dot:
        return bounds_of(StackDevice).get(parameter)
    return next((bounds_of(cls)[name] for cls in _CLASSES if name in bounds_of(cls)), None)


def _parse(override: str) -> Overrides:
    """Overrides from ``NAME=VALUE,NAME=VALUE``; whole numbers stay whole."""
    overrides: dict[str, Any] = {}
    for item in filter(None, (part.strip() for part in override.split(","))):
        name, _, value = (part.strip() for part in item.partition("="))
        if name in overrides:
            raise ConfigError(f"override has {name!r} twice; expected each once")
        overrides[name] = _value(item, name, value)
    return overrides


def _value(item: str, name: str, text: str) -> Any:
    """Value of an override: a number, with a unit behind it or without, or the word of a device's parameter.

    A word stands for an unknown name as well, which is refused later.
    """
    parameter, bounds = name.partition(".")[2], _bounds(name)
    if bounds is None:
        truth = {"true": True, "1": True, "false": False, "0": False}
        return truth.get(text.lower(), text) if parameter in TRUTHS else text
    found = _NUMBER.fullmatch(text)
    if not found:
        raise ConfigError(f"override has {item!r}; expected NAME=VALUE, such as kappa=4")
    digits, unit = found.groups()
    number = int(digits) if re.fullmatch("[+-]?[0-9]{1,300}", digits) else float(digits)
    return in_unit(name, number, unit, bounds) if unit else number
