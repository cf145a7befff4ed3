"""Figures of routers and packets, read from ``hardware/data/noc.toml``; units and sources stand there."""

from dataclasses import dataclass
from functools import cache

from moopim.checks import number
from moopim.figures import read_table, values

__all__ = ["CACHED", "MODES", "NocFigures", "load_noc"]

CACHED = 15_000
"""Numbers that are worked on at a time: they stay in the processor's cache."""

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
        ConfigError: If a figure is not finite, negative, or 0 flits or bits.
    """

    fixed_cycles: float
    hop_cycles: float
    packet_flits: float
    flit_bits: float

    def __post_init__(self) -> None:
        for name, figure in vars(self).items():
            number(f"{name} of the network", figure, least=0, positive=name in ("packet_flits", "flit_bits"))


@cache
def load_noc() -> NocFigures:
    """The figures.

    Raises:
        ConfigError: If the file does not hold exactly the fields of `NocFigures`, or a figure is not usable.
    """
    return NocFigures(**values("noc", read_table("moopim.hardware", "noc.toml"), NocFigures))
