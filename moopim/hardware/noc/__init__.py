"""The network on chip of a 3-D stack: a mesh with dimension-order routing and queues at its links."""

from moopim.hardware.noc.parameters import MODES, NocParameters, load_noc
from moopim.hardware.noc.period import LinkTraffic, network_period
from moopim.hardware.noc.queueing import evaluate_traffic
from moopim.hardware.noc.routing import link_ends, link_groups, routing_matrix

__all__ = [
    "MODES",
    "LinkTraffic",
    "NocParameters",
    "evaluate_traffic",
    "link_ends",
    "link_groups",
    "load_noc",
    "network_period",
    "routing_matrix",
]
