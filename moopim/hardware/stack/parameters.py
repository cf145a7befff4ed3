"""Parameters of the 3-D stack and of its model, read from ``hardware/data/``; units and sources stand there."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from moopim.errors import ConfigError, unknown_name
from moopim.figures import (
    Bounds,
    check_bounds,
    figure,
    in_unit,
    is_whole,
    load_bounds,
    plain,
    read_table,
    read_user_table,
    values,
)
from moopim.hardware.noc.routing import link_count
from moopim.hardware.stack.devices import Changes, Device, built_in_devices, load_devices

__all__ = ["FACTOR_SETS", "Factors", "Parameters", "Stack", "load_factor_set", "load_parameters", "load_stack"]

FACTOR_SETS = ("physical", "calibrated")
Factors: TypeAlias = Mapping[str, float]
"""One value per factor of ``data/stack_factors.toml``, by name."""

_BOUNDS = load_bounds("moopim.hardware")
_MOST_PES = 1024
# A number, and a unit behind it.
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?inf|nan)\s*([^\s\d.].*)?", re.ASCII)


@dataclass(frozen=True)
class Stack:
    """The 3-D stack and its network; see ``data/stack.toml`` for the sources.

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

    tiers: int
    mesh: int
    pe_area_mm2: float
    tiles_per_pe: int
    link_bits_per_ns: float
    hop_energy_pJ: float  # noqa: N815 (the units are pJ and K)
    gradient_bits: int
    noise_exponential: float
    noise_linear_per_K: float  # noqa: N815
    noise_scale_K: float  # noqa: N815
    noise_exponent_cap: float

    def __post_init__(self) -> None:
        for name, bounds in _BOUNDS["stack"].items():
            number = getattr(self, name)
            check_bounds(f"{name} of the stack", number, bounds)
            if bounds.whole and not is_whole(number, 0):
                object.__setattr__(self, name, int(number))
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


class Parameters(NamedTuple):
    """What the model of the stack is made of.

    Attributes:
        devices: The devices; a tier is an index into them.
        factors: Factors that belong to no device.
        stack: The stack.
    """

    devices: tuple[Device, ...]
    factors: Factors
    stack: Stack


def load_stack(path: Path | None = None, changes: Changes | None = None, *, calibrated: Changes | None = None) -> Stack:
    """The stack.

    Args:
        path: A TOML file whose table ``[stack]`` has figures in place of the built-in ones; its table ``[thermal]`` is
            for `moopim.hardware.thermal.description.load_thermal`.
        changes: Figures that go before those.
        calibrated: Figures of a factor set, after which those of the file come.

    Raises:
        ConfigError: If a figure is unknown, missing or not usable.
    """
    known = values("stack", read_table("moopim.hardware", "stack.toml"), Stack, _BOUNDS["stack"])
    known |= {name: value for name, value in (calibrated or {}).items() if name in known}
    if path is not None:
        table = read_user_table(path, ("stack", "thermal")).get("stack", {})
        if not isinstance(table, dict):
            raise ConfigError(f"{path}: stack is {table!r}; expected a table [stack]")
        for name in table:
            if name not in known:
                raise unknown_name(f"figure of [stack] of {path}", name, known)
        known |= plain(f"{path}: stack", table, _BOUNDS["stack"])
    return Stack(**(known | {name: value for name, value in (changes or {}).items() if name in known}))


def load_factor_set(name: str) -> Changes:
    """The figures that a factor set has in place of those of the files.

    Args:
        name: ``physical`` (the figures of the files), ``calibrated`` or a ``FILE.toml`` in the form of
            ``data/stack_calibrated.toml``.

    Raises:
        ConfigError: If there is no such set, or a figure is not usable.
    """
    if name == "physical":
        return {}
    if name == "calibrated":
        tables: Mapping[str, Any] = read_table("moopim.hardware", "stack_calibrated.toml")
        return plain("figure", tables, _bounds_of_figures(tables))
    if name.lower().endswith(".toml"):
        own = read_user_table(Path(name))
        return plain(name, own, _bounds_of_figures(own))
    raise unknown_name("factor set", name, (*FACTOR_SETS, "FILE.toml"))


def load_parameters(
    factors: str = "physical", devices: str = "S,R,F", stack: str = "", figures: str = ""
) -> Parameters:
    """Reads everything that the model of the stack is made of.

    Args:
        factors: Factor set, see `load_factor_set`.
        devices: Devices, see `moopim.hardware.stack.devices.device_tables`.
        stack: A TOML file in place of the built-in stack, see `load_stack`; the built-in one if empty.
        figures: Single figures that go before all others, such as ``kappa=4,mesh=6,R.static_mW=5`` or
            ``R.write_pJ=2nJ``.

    Returns:
        The parameters.

    Raises:
        ConfigError: If a name or a value is not usable; the message names it.
    """
    chosen, own = load_factor_set(factors), _parse(figures)
    used = load_devices(devices, chosen, own)
    known = {
        name: figure(f"factor {name}", table, bounds=_BOUNDS["factors"][name])
        for name, table in read_table("moopim.hardware", "stack_factors.toml").items()
    }
    of_stack = [field.name for field in fields(Stack)]
    letters = [device.letter for device in used]
    for changes, source in ((chosen, f"factor set {factors!r}"), (own, "figures")):
        for name in changes:
            letter, dot, _ = name.partition(".")
            # A set may speak of devices that are not used; what the user names himself has to have an effect.
            allowed = (*letters, *built_in_devices()) if changes is chosen else letters
            if not (dot and letter in allowed) and name not in (*known, *of_stack):
                raise unknown_name(f"figure of {source}", name, (*known, *of_stack, *(f"{x}.FIGURE" for x in letters)))
        known |= {name: value for name, value in changes.items() if name in known}
    for name, value in known.items():
        check_bounds(f"factor {name}", value, _BOUNDS["factors"][name])
    known = {name: float(value) for name, value in known.items()}
    return Parameters(used, known, load_stack(Path(stack) if stack else None, own, calibrated=chosen))


def _bounds_of_figures(names: Iterable[str]) -> dict[str, Bounds]:
    """Bounds of the figures that there are, those of devices as ``X.figure``, by name."""
    plain_ones = {**_BOUNDS["stack"], **_BOUNDS["factors"]}
    return {name: bounds for name in names if (bounds := plain_ones.get(name) or _of_device(name))}


def _of_device(name: str) -> Bounds | None:
    return _BOUNDS["stack_device"].get(name.partition(".")[2])


def _parse(figures: str) -> Changes:
    """Reads ``name=number,name=number``, each with a unit behind it or without; whole numbers stay whole."""
    changes: dict[str, float] = {}
    for item in filter(None, (part.strip() for part in figures.split(","))):
        name, _, number = (part.strip() for part in item.partition("="))
        if name in changes:
            raise ConfigError(f"figures name {name!r} twice; expected each once")
        found = _NUMBER.fullmatch(number)
        if not found:
            raise ConfigError(f"figures has {item!r}; expected NAME=NUMBER, such as kappa=4")
        digits, unit = found.groups()
        value = int(digits) if re.fullmatch("[+-]?[0-9]{1,300}", digits) else float(digits)
        bounds = _bounds_of_figures([name]).get(name)
        changes[name] = value if not unit or bounds is None else in_unit(f"figure {name}", value, unit, bounds)
    return changes
