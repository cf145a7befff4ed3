"""Figures of routers and packets, read from ``hardware/data/noc.toml``; units and sources stand there."""

from dataclasses import dataclass
from functools import cache

from moopim.figures import check_bounds, load_bounds, read_table, values

__all__ = ["CACHED", "MODES", "NocFigures", "load_noc"]

CACHED = 15_000
"""Numbers that are worked on at a time: they stay in the processor's cache."""

_BOUNDS = load_bounds("moopim.hardware")["noc"]

MODES = ("queue", "paper")
"""Latency with waiting at the links, or by Manhattan distance alone, as in HuNT (TCAD 2024, eqs 3-4)."""


@dataclass(frozen=True)
class NocFigures:
    """Routers and packets; see ``data/noc.toml`` for the sources.

    Attributes:
        fixed_cycles: Latency of a packet without its hops in an empty network (cycle).
        hop_cycles: Latency of a hop in an empty network (cycle).
        packet_flits: Flits of a packet.
        flit_bits: Bits of a flit, which crosses a link in a cycle.

    Raises:
        ConfigError: If a figure is out of its bounds, those of ``data/bounds.toml``.
    """

    fixed_cycles: float
    hop_cycles: float
    packet_flits: float
    flit_bits: float

    def __post_init__(self) -> None:
        for name, bounds in _BOUNDS.items():
            check_bounds(f"{name} of the network", getattr(self, name), bounds)


@cache
def load_noc() -> NocFigures:
    """The figures.

    Raises:
        ConfigError: If the file does not hold exactly the fields of `NocFigures`, or a figure is not usable.
    """
    return NocFigures(**values("noc", read_table("moopim.hardware", "noc.toml"), NocFigures, _BOUNDS))
