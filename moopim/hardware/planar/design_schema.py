"""What the JSON of a design may say (schema 1), and checks of its layers against each other."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from moopim.errors import ConfigError, unknown_name
from moopim.workload.layers import IMAGE

__all__ = ["DesignRow", "HardwareRow", "LayerRow", "parse_design"]

# Characters of a wrong value that a message shows.
_SHOWN = 40
# Words of pydantic -> those of moopim.
_SHORTER = {"Input should be ": "", "greater than or equal to": "at least", "less than or equal to": "at most"}
# Part that a design cannot name -> what says it.
_INSTEAD = {
    "adc": "hw.adc_choice and hw.adc_bits, those of MNSIM",
    "dac": "hw.dac_choice and hw.dac_bits, those of MNSIM",
    "device": "its figures hw.dev_area, hw.rl, hw.rh, hw.v and hw.t_dev",
}
# A sign and a bit: the sign is which one of two crossbars holds the bit.
_LEAST_WEIGHT_BITS = 2

_MOST_LAYERS = 4096
_MOST_PRODUCERS = 512
# Numbers beyond these are slips of the pen; with them no product leaves 64 bits.
Channels = Annotated[int, Field(ge=1, le=1_000_000)]
Size = Annotated[int, Field(ge=1, le=4096)]
Bits = Annotated[int, Field(ge=1, le=64)]
Count = Annotated[int, Field(ge=1, le=65_536)]
Positive = Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]


class LayerRow(BaseModel):
    """A layer of the file; kernel, stride and padding count for ``conv`` and ``pool`` only."""

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
    """The circuit of the file; who reads it may know the profile from elsewhere."""

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
    """A design of the file; what else it says (blocks, classes, ...) is for readers only."""

    model_config = ConfigDict(strict=True, extra="ignore")

    version: Literal[1] = Field(alias="schema")
    layers: list[LayerRow] = Field(min_length=1, max_length=_MOST_LAYERS)
    hw: HardwareRow


def parse_design(text: str) -> DesignRow:
    """Reads a design and checks its layers against each other.

    Args:
        text: The JSON.

    Returns:
        The design.

    Raises:
        ConfigError: If it is not JSON, a field is missing, unknown or not allowed, or the sizes of a layer do not fit
            those of the layers that it reads; names the field, its value and what is allowed.
    """
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
        if not place:  # the first layer says what the image is like
            copies = 1 if layer.type == "sum" else len(layer.producers)
            shapes[IMAGE] = (layer.cin // copies, layer.h, layer.w)
        _check_layer(what, layer, design.hw.xbar)
        _check_shape(what, layer, [shapes[producer] for producer in layer.producers])
        shapes[place] = (layer.cout, layer.oh, layer.ow)
    return design


def _check_layer(what: str, layer: LayerRow, crossbar: int) -> None:
    """Checks what does not depend on other layers."""
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
    """Checks the sizes of a layer against those of the layers that it reads, (channels, height, width) each."""
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
    """What is wrong first: field, value and what is allowed."""
    every = error.errors()
    first = next((one for one in every if one["type"] == "extra_forbidden"), every[0])  # it says what a typo misses
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
