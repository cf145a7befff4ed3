"""Link loads of many designs at once, each with flows of its own between the nodes of one mesh."""

from collections.abc import Sequence

import numpy as np

from moopim.checks import numbers
from moopim.errors import ConfigError
from moopim.hardware.noc import _loads
from moopim.hardware.noc.routing import check_mesh
from moopim.typing import BoolArray, FloatArray, NodeArray

__all__ = ["link_loads", "tree_steps"]


def link_loads(tiers: int, mesh: int, begin: NodeArray, end: NodeArray, volume: FloatArray) -> FloatArray:
    """Adds up what flows put on the links.

    Args:
        tiers: Tiers.
        mesh: Nodes along each side of a tier.
        begin: Node where each flow begins, shape ``(flows, parts, designs)``.
        end: Node where it ends, same shape.
        volume: What it carries in each part, shape ``(flows,)``.

    Returns:
        Load of each link, numbered as in `moopim.hardware.noc.routing`, shape ``(designs, links)``.

    Raises:
        ConfigError: If there is no such mesh, an array has another shape, a node is not of the mesh, or a volume is
            negative or not finite.
    """
    check_mesh(tiers, mesh)
    begin = _nodes("begin", begin, ("flows", "parts", "designs"), tiers * mesh**2)
    end = _nodes("end", end, begin.shape, tiers * mesh**2)
    return _loads.link_loads(tiers, mesh, begin, end, numbers("volume", volume, begin.shape[:1], least=0))


def tree_steps(tiers: int, mesh: int, source: NodeArray, targets: NodeArray) -> tuple[NodeArray, NodeArray, BoolArray]:
    """Splits multicast trees into flows, one for each target, that share no link.

    Args:
        tiers: Tiers.
        mesh: Nodes along each side of a tier.
        source: Node that sends, shape ``(...)``.
        targets: Nodes that receive, shape ``(targets, ...)``.

    Returns:
        Where each flow begins and ends, and whether something arrives at its end: not where that is the source, or a
        target once more; shape ``(targets, ...)`` each. A flow that begins at its end adds no link.

    Raises:
        ConfigError: If there is no such mesh, there are no targets, an array has another shape, or a node is not of the
            mesh.
    """
    check_mesh(tiers, mesh)
    source = _nodes("source", source, None, tiers * mesh**2)
    targets = _nodes("targets", targets, ("targets", *source.shape), tiers * mesh**2)
    if not len(targets):
        raise ConfigError(f"targets has shape {targets.shape}; expected at least one target")
    return _loads.tree_steps(tiers, mesh, source.astype(np.int64), targets.astype(np.int64))


def _nodes(what: str, nodes: NodeArray, shape: Sequence[int | str] | None, count: int) -> NodeArray:
    return numbers(what, nodes, shape, least=0, most=count - 1, whole=True)
