"""Designs of planar chips from a CSV file: in each row a network and its chip as JSON (schema 1)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from moopim.constants import bounds_of, check_bounds
from moopim.csv_files import Column, Table, id_column
from moopim.errors import ConfigError, unknown_name
from moopim.hardware.planar.chip import PROFILES, Chip, make_chip
from moopim.hardware.planar.components import Components, Converter, load_components
from moopim.typing import IntArray
from moopim.workload.layers import IMAGE, NO_INPUT, LayerKind, LayerTable

# The catalogue calls MNSIM's choice 6 mnsim6.
_CHOICE = "mnsim"
# Field of the file -> parameter of the chip.
_PARAMETERS = {
    "xbar": "crossbar",
    "group_num": "groups",
    "adc_num": "adcs",
    "dac_num": "dacs",
    "dev_area": "cell_area_um2",
    "drv": "driver_area_um2",
    "nm_t": "mux_nm",
    "rl": "resistance_low_ohm",
    "rh": "resistance_high_ohm",
    "v": "read_high_V",
    "t_dev": "read_ns",
    "pe": "pes",
    "side": "grid",
    "noc": "noc_bits_per_ns",
    "intra": "tile_bits_per_ns",
}
# Layers of a file; layers padded to the longest design; and their inputs.
_MOST_LAYERS = 400_000
_MOST_PLACES = 2_000_000
_MOST_INPUTS = 20_000_000
_FROM_PROFILE = ("cell_bits", "read_low_V", "write_ns", "write_pJ", "polarity", "digital_subtraction")
# Characters of a wrong value that a message shows.
_SHOWN = 40
# Phrase of pydantic -> phrase of moopim.
_SHORTER = {"Input should be ": "", "greater than or equal to": "at least", "less than or equal to": "at most"}
# Part that a design cannot name -> fields in its stead.
_INSTEAD = {
    "adc": "hw.adc_choice and hw.adc_bits, those of MNSIM",
    "dac": "hw.dac_choice and hw.dac_bits, those of MNSIM",
    "device": "its parameters hw.dev_area, hw.rl, hw.rh, hw.v and hw.t_dev",
}
# A sign and a bit: the sign is which one of two crossbars holds the bit.
_LEAST_WEIGHT_BITS = 2

_MOST_LAYERS_OF_DESIGN = 4096
_MOST_PRODUCERS = 512
# Larger numbers are typing errors; no product of these leaves 64 bits.
Channels = Annotated[int, Field(ge=1, le=1_000_000)]
Size = Annotated[int, Field(ge=1, le=4096)]
Bits = Annotated[int, Field(ge=1, le=64)]
Count = Annotated[int, Field(ge=1, le=65_536)]
Positive = Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]


class LayerRow(BaseModel):
    """Layer of the file; kernel, stride and padding count for ``conv`` and ``pool`` only."""

    model_config = ConfigDict(strict=True, extra="forbid")

    type: Literal["conv", "pool", "fc", "sum"]
    producers: list[int] = Field(alias="in", min_length=1, max_length=_MOST_PRODUCERS)
    cin: Channels
    cout: Channels
    k: int = Field(ge=0, le=4096)
    s: int = Field(ge=0, le=4096)
    p: int = Field(ge=0, le=4096)
    h: Size
    w: Size
    oh: Size
    ow: Size
    ib: Bits
    wb: int = Field(ge=0, le=64)
    ob: Bits


class HardwareRow(BaseModel):
    """Chip of the file; its profile may be given for the whole file instead."""

    model_config = ConfigDict(strict=True, extra="forbid")

    profile: Literal["cur", "paper"] | None = None
    group_num: Count
    adc_num: Count
    dac_num: Count
    dev_area: Positive
    drv: NotNegative
    nm_t: Positive
    rl: Positive
    rh: Positive
    v: Positive
    t_dev: Positive
    pe: Count
    side: Count
    noc: Positive
    intra: Positive
    xbar: Count
    adc_bits: Bits
    adc_choice: int
    dac_bits: Bits
    dac_choice: int


class DesignRow(BaseModel):
    """Design of the file; other fields (blocks, classes, ...) are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")

    version: Literal[1] = Field(alias="schema")
    layers: list[LayerRow] = Field(min_length=1, max_length=_MOST_LAYERS_OF_DESIGN)
    hw: HardwareRow


@dataclass(frozen=True, eq=False)  # arrays have no truth value
class PlanarDesigns:
    """Networks, each with its chip.

    Attributes:
        ids: Names of the designs, shape ``(designs,)``.
        table: Layer table of the networks.
        chip: Chips.
    """

    ids: Sequence[str]
    table: LayerTable
    chip: Chip


def read_designs(path: Path, profile: str | None = None) -> PlanarDesigns:
    """Read designs from a CSV file; columns other than ``id`` and ``design`` are ignored.

    Args:
        path: CSV file.
        profile: Profile of designs that name none; others must name the same. If None, each design must name one.

    Returns:
        The designs, in the order of the file.

    Raises:
        ConfigError: If the file cannot be read or a design is not usable; names the row, the field, its value and what
            is allowed.
    """
    parse = partial(_parse_design, profile, load_components())
    rows = Table("designs", "at least one design", (id_column(), Column("design", parse)))
    ids, designs, profiles, layers = [], [], [], 0
    for row in rows.iterate(path):
        design, own_profile = row["design"]
        ids.append(row["id"])
        designs.append(design)
        profiles.append(own_profile)
        layers += len(design.layers)
        if layers > _MOST_LAYERS:
            raise ConfigError(f"designs {str(path)!r} has more than {_MOST_LAYERS:,} layers in all; expected fewer")
    table = _table([design.layers for design in designs])
    return PlanarDesigns(ids, table, _chip([design.hw for design in designs], profiles))


def _parse_design(profile: str | None, components: Components, text: str) -> tuple[DesignRow, str]:
    """Design of a cell and its profile, which is `profile` where it names none."""
    design = parse_design(text)
    own_profile = _profile(design.hw.profile, profile)
    for field, parameter in _PARAMETERS.items():
        check_bounds(f"hw.{field}", getattr(design.hw, field), bounds_of(Chip)[parameter])
    _check_converter("adc", design.hw.adc_choice, design.hw.adc_bits, components.adcs)
    _check_converter("dac", design.hw.dac_choice, design.hw.dac_bits, components.dacs)
    return design, own_profile


def _table(designs: Sequence[Sequence[LayerRow]]) -> LayerTable:
    """Layer table of all designs at once."""
    counts = np.array([len(layers) for layers in designs])
    every = [layer for layers in designs for layer in layers]
    most = max(len(layer.producers) for layer in every)
    places = len(designs) * int(counts.max())
    if places > _MOST_PLACES or places * most > _MOST_INPUTS:
        raise ConfigError(
            f"{len(designs):,} designs of up to {counts.max():,} layers that read up to {most:,} layers are too many; "
            f"expected a product of at most {_MOST_PLACES:,}, and of {_MOST_INPUTS:,} with what they read"
        )
    where = np.arange(counts.max()) < counts[:, None]  # (designs, layers)

    def column(values: Iterable[Any], filler: int = 1) -> IntArray:
        filled = np.array(list(values), dtype=np.int64)
        result = np.full((*where.shape, *filled.shape[1:]), filler, dtype=np.int64)
        result[where] = filled
        return result

    def of(field: str) -> IntArray:
        return column(getattr(layer, field) for layer in every)

    def window(field: str, filler: int) -> IntArray:
        return column(getattr(layer, field) if layer.type in ("conv", "pool") else filler for layer in every)

    kind = column((LayerKind[layer.type.upper()] for layer in every), LayerKind.NONE)
    kernel, stride, padding = window("k", 1), window("s", 1), window("p", 0)
    return LayerTable(
        kind=kind,
        inputs=column(([*layer.producers, *[NO_INPUT] * (most - len(layer.producers))] for layer in every), NO_INPUT),
        c_in=of("cin"),
        c_out=of("cout"),
        kernel_h=kernel,
        kernel_w=kernel,
        stride_h=stride,
        stride_w=stride,
        padding_h=padding,
        padding_w=padding,
        h_in=of("h"),
        w_in=of("w"),
        h_out=of("oh"),
        w_out=of("ow"),
        groups=np.ones_like(kind),
        input_bits=of("ib"),
        weight_bits=column(layer.wb if layer.type in ("conv", "fc") else 0 for layer in every),
        output_bits=of("ob"),
        waits=kind == LayerKind.FC,
    )


def _profile(named: str | None, default: str | None) -> str:
    """Profile of a design; raise ConfigError if the named one and the default are both missing, or differ."""
    if named is None and default is None:
        raise ConfigError(f"hw.profile is missing; expected {' or '.join(PROFILES)}, or one for all (--profile)")
    if named is not None and default not in (None, named):
        raise ConfigError(f"hw.profile={named!r} is not allowed: {default!r} is given for all; expected it or none")
    return named or str(default)


def _chip(rows: Sequence[HardwareRow], profiles: Sequence[str]) -> Chip:
    """Chips of all designs at once; what the file does not contain is that of the profile."""
    base = {profile: make_chip(profile) for profile in set(profiles)}
    parameters: dict[str, ArrayLike] = {
        "adc": [f"{_CHOICE}{row.adc_choice}" for row in rows],
        "dac": [f"{_CHOICE}{row.dac_choice}" for row in rows],
    }
    for name, parameter in _PARAMETERS.items():
        parameters[parameter] = [getattr(row, name) for row in rows]
    for parameter in _FROM_PROFILE:
        parameters[parameter] = np.concatenate([getattr(base[profile], parameter) for profile in profiles])
    return make_chip("cur", load_components(), **parameters)


def _check_converter(kind: str, choice: int, bits: int, catalogue: Mapping[str, Converter]) -> None:
    """Raise ConfigError unless an ADC or DAC is one of MNSIM's choices and has its resolution."""
    part = catalogue.get(f"{_CHOICE}{choice}")
    if part is None:
        allowed = ", ".join(name.removeprefix(_CHOICE) for name in catalogue)
        raise ConfigError(f"hw.{kind}_choice={choice} is not allowed; expected one of {allowed}")
    if bits != part.bits:
        raise ConfigError(f"hw.{kind}_bits={bits} is not allowed; expected {part.bits}, as {kind}_choice={choice} has")


def parse_design(text: str) -> DesignRow:
    """Design from JSON; raise ConfigError unless its fields are usable and its layers fit each other."""
    try:
        design = DesignRow.model_validate_json(text)
    except ValidationError as error:
        raise _explain(error) from None
    if design.hw.rl > design.hw.rh:
        raise ConfigError(f"hw.rl={design.hw.rl} is not allowed; expected at most hw.rh={design.hw.rh}")
    if all(layer.type in ("pool", "sum") for layer in design.layers):
        raise ConfigError("layers have no weights; expected at least one conv or fc")
    shapes: dict[int, tuple[int, int, int]] = {}
    for place, layer in enumerate(design.layers):
        what = f"layers[{place}]"
        for producer in layer.producers:
            if not IMAGE <= producer < place:
                before = f" or a layer before it, 0 .. {place - 1}" if place else ""
                raise ConfigError(f"{what}.in={producer} is not allowed; expected {IMAGE} (the image){before}")
        if not place:  # the first layer defines the image
            copies = 1 if layer.type == "sum" else len(layer.producers)
            shapes[IMAGE] = (layer.cin // copies, layer.h, layer.w)
        _check_layer(what, layer, design.hw.xbar)
        _check_shape(what, layer, [shapes[producer] for producer in layer.producers])
        shapes[place] = (layer.cout, layer.oh, layer.ow)
    return design


def _check_layer(what: str, layer: LayerRow, crossbar: int) -> None:
    """Raise ConfigError unless a layer is usable by itself."""
    if layer.type in ("conv", "pool") and min(layer.k, layer.s) < 1:
        field = "k" if layer.k < 1 else "s"
        raise ConfigError(f"{what}.{field}=0 is not allowed in a {layer.type}; expected at least 1")
    if layer.type == "conv" and layer.k**2 > crossbar:
        raise ConfigError(
            f"{what}.k={layer.k} is not allowed: {layer.k**2} weights need as many rows; expected a kernel of at most "
            f"hw.xbar={crossbar} weights"
        )
    if layer.type in ("conv", "fc") and layer.wb < _LEAST_WEIGHT_BITS:
        raise ConfigError(f"{what}.wb={layer.wb} is not allowed; expected at least {_LEAST_WEIGHT_BITS}, sign included")
    if layer.type == "sum" and len(layer.producers) == 1:
        raise ConfigError(f"{what}.in={layer.producers} is not allowed; expected at least two layers to add")


def _check_shape(what: str, layer: LayerRow, sources: Sequence[tuple[int, int, int]]) -> None:
    """Raise ConfigError unless the sizes of a layer fit its inputs, (channels, height, width) each."""
    maps = {shape if layer.type == "sum" else shape[1:] for shape in sources}
    if layer.type != "fc" and len(maps) > 1:
        sizes = ", ".join("x".join(map(str, shape)) for shape in sorted(maps))
        raise ConfigError(f"{what}.in={layer.producers} is not allowed: their outputs are {sizes}; expected one size")
    channels, height, width = sources[0]
    if layer.type == "fc":
        expected = {"cin": sum(c * h * w for c, h, w in sources), "h": 1, "w": 1, "oh": 1, "ow": 1}
    elif layer.type == "sum":
        expected = {"cin": channels, "cout": channels, "h": height, "w": width, "oh": height, "ow": width}
    else:
        down, across = ((size + 2 * layer.p - layer.k) // layer.s + 1 for size in (height, width))
        expected = {"cin": sum(c for c, _, _ in sources), "h": height, "w": width, "oh": down, "ow": across}
        expected |= {"cout": layer.cin} if layer.type == "pool" else {}
    for field, value in expected.items():
        if getattr(layer, field) != value:
            raise ConfigError(
                f"{what}.{field}={getattr(layer, field)} is not allowed; expected {value}, which follows from the "
                f"layers that it reads{' and its kernel' if field in ('oh', 'ow') else ''}"
            )


def _explain(error: ValidationError) -> ConfigError:
    """ConfigError for the first fault: field, value and what is allowed."""
    every = error.errors()
    first = next((one for one in every if one["type"] == "extra_forbidden"), every[0])  # it names a misspelt field
    *place, last = first["loc"] or ("design",)
    words = [f"[{word}]" if isinstance(word, int) else f".{word}" for word in (*place, last)]
    field = "".join(words).lstrip(".")
    kind, message = first["type"], first["msg"]
    if kind == "json_invalid":
        return ConfigError(f"design is not JSON: {first['ctx']['error']}")
    if kind == "missing":
        return ConfigError(f"{field} is missing")
    if kind == "extra_forbidden":
        if place == ["hw"] and last in _INSTEAD:
            return ConfigError(f"{field} is not allowed: schema 1 has no parts by name; expected {_INSTEAD[last]}")
        model: type[BaseModel] = HardwareRow if place == ["hw"] else LayerRow
        allowed = [item.alias or name for name, item in model.model_fields.items()]
        return unknown_name("field", field, [field.removesuffix(str(last)) + name for name in allowed])
    if kind in ("too_short", "too_long"):
        message = "at least one" if kind == "too_short" else f"at most {first['ctx']['max_length']}"
    for long, short in _SHORTER.items():
        message = message.replace(long, short)
    given = repr(first["input"])
    shown = given if len(given) <= _SHOWN else f"{given[:_SHOWN]}..."
    return ConfigError(f"{field}={shown} is not allowed; expected {message}")
