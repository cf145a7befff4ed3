"""Placement of labels beside points, so that they hide as little as possible."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from moopim.analysis.style import SMALL_FONT
from moopim.typing import FloatArray

HALO = (withStroke(linewidth=1.5, foreground="white"),)
"""Keeps text readable on points and lines."""

# Directions in which a label may stand from its point, the best first, and distances (points).
_SIDES = ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0), (0.7, 0.7), (-0.7, 0.7), (0.7, -0.7), (-0.7, -0.7))
_DISTANCES = (6.0, 11.0, 18.0)
_POINT = 7.0  # size that a point takes (points)
_STEPS = 40  # of a line


class Label(NamedTuple):
    """Text of some colour beside a point, in data coordinates."""

    x: float
    y: float
    text: str
    color: str


def place_labels(ax: Axes, labels: Sequence[Label]) -> list[Annotation]:
    """Write labels beside their points, each where it covers least of the points, lines and texts that are there.

    The axes have everything else and their limits; labels are placed in their order.
    """
    figure = ax.get_figure(root=True)
    if figure is None or not labels:
        return []
    figure.draw_without_rendering()  # the layout fixes positions
    size = _POINT * figure.dpi / 72
    points = ax.transData.transform(np.array([(label.x, label.y) for label in labels]))
    taken = _boxes(points, size)
    for line in ax.lines:
        ends = line.get_transform().transform(line.get_xydata())
        taken += _boxes(ends, size) if line.get_linestyle() == "None" else _line_boxes(ends, size / 3)
    taken += [text.get_window_extent() for text in ax.texts]
    written = []
    for label in labels:
        text = ax.annotate(
            label.text,
            (label.x, label.y),
            (0, 0),
            textcoords="offset points",
            fontsize=SMALL_FONT,
            color=label.color,
            zorder=5,
            path_effects=[*HALO],
        )
        places = [(side, distance) for distance in _DISTANCES for side in _SIDES]
        costs = [_hidden(_move(text, *place), taken, ax.bbox) for place in places]
        taken.append(_move(text, *places[int(np.argmin(costs))]))
        written.append(text)
    return written


def _move(text: Annotation, side: tuple[float, float], distance: float) -> Bbox:
    """Move a label to a side of its point; returns the box that it fills there."""
    text.set_position((side[0] * distance, side[1] * distance))
    text.set_horizontalalignment("left" if side[0] > 0 else "right" if side[0] < 0 else "center")
    text.set_verticalalignment("bottom" if side[1] > 0 else "top" if side[1] < 0 else "center")
    return text.get_window_extent()


def _hidden(box: Bbox, taken: Sequence[Bbox], inside: Bbox) -> float:
    """Area that a box would hide, plus twice the area of it that lies outside the axes (square pixels)."""
    parts = [Bbox.intersection(box, other) for other in taken]
    within = Bbox.intersection(box, inside)
    outside = box.width * box.height - (within.width * within.height if within else 0)
    return round(sum(part.width * part.height for part in parts if part) + 2 * outside, 3)


def _boxes(points: FloatArray, size: float) -> list[Bbox]:
    """Squares around points of shape ``(points, 2)`` (pixels)."""
    return [Bbox.from_bounds(x - size / 2, y - size / 2, size, size) for x, y in points]


def _line_boxes(points: FloatArray, size: float) -> list[Bbox]:
    """Squares along a line through points of shape ``(points, 2)`` (pixels)."""
    places = np.linspace(0, 1, _STEPS)[:, None]
    return [box for first, last in pairwise(points) for box in _boxes(first + places * (last - first), size)]
