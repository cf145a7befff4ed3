"""Parameters of routers and packets; ``hardware/data/noc.toml`` has the values and their sources."""

from dataclasses import dataclass, field
from functools import cache

from moopim.constants import bounded, check_constants, load_constants, read_table

CACHED = 15_000
"""Numbers that are worked on at a time: they stay in the processor's cache."""

MODES = ("queue", "paper")
"""Latency with waiting at the links, or by Manhattan distance alone, as in HuNT (TCAD 2024, eqs 3-4)."""


@dataclass(frozen=True)
class NocParameters:
    """Routers and packets of the network on chip.

    Attributes:
        fixed_cycles: Latency of a packet without its hops in an empty network (cycle).
        hop_cycles: Latency of a hop in an empty network (cycle).
        packet_flits: Flits of a packet.
        flit_bits: Bits of a flit, which crosses a link in a cycle.

    Raises:
        ConfigError: If a parameter is out of its bounds.
    """

    fixed_cycles: float = field(metadata=bounded("cycle", 0, 1e4, "a count of pipeline stages"))
    hop_cycles: float = field(metadata=bounded("cycle", 0, 1e4, "a count of pipeline stages"))
    packet_flits: float = field(metadata=bounded("flit", 1, 65536, "a count"))
    flit_bits: float = field(metadata=bounded("bit", 1, 65536, "wires of a link"))

    def __post_init__(self) -> None:
        check_constants(self, "the network")


@cache
def load_noc() -> NocParameters:
    """Load the built-in parameters of the network on chip."""
    return load_constants(NocParameters, "the network", read_table("moopim.hardware", "noc.toml"))
