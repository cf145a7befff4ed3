"""Frames and figures of link loads."""

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.quiver import Quiver

from moopim import ConfigError
from moopim.analysis.stack import link_frame, plot_links
from moopim.hardware.noc.routing import link_count, link_ends


def test_a_row_per_link_with_its_ends():
    load = np.linspace(0, 0.9, 288)
    frame = link_frame(4, 4, load)
    assert frame.columns.tolist() == ["link", "from", "to", "utilisation"]
    assert frame[["from", "to"]].to_numpy().tolist() == link_ends(4, 4).tolist()
    assert frame["utilisation"].tolist() == load.tolist()


@pytest.mark.parametrize(("tiers", "mesh"), [(4, 4), (8, 3), (2, 1), (1, 5)])
def test_every_link_is_drawn_once_in_the_panel_where_it_begins(tiers, mesh):
    load = np.arange(1.0, link_count(tiers, mesh) + 1)
    frame = link_frame(tiers, mesh, load)
    figure = plot_links(frame, tiers, mesh, "a case")
    panels = [ax for ax in figure.axes if ax.get_title()]
    assert [ax.get_title() for ax in panels][:2] == ["tier 1, next to the sink", "tier 2"][:tiers]
    assert len(panels) == tiers
    assert figure.get_suptitle() == "a case"
    for tier, ax in enumerate(panels):
        drawn = [mark for mark in ax.collections if isinstance(mark, Quiver | PathCollection)]
        found = np.concatenate([mark.get_array() for mark in drawn])
        expected = frame.loc[frame["from"] // mesh**2 == tier, "utilisation"]
        assert sorted(found) == expected.tolist()
        assert {(mark.norm.vmin, mark.norm.vmax) for mark in drawn} == {(0.0, load.max())}


def test_arrows_point_along_their_links_and_opposite_ones_do_not_touch():
    frame = link_frame(1, 2, np.arange(8.0))
    (ax,) = (ax for ax in plot_links(frame, 1, 2).axes if ax.get_title())
    (arrows,) = (mark for mark in ax.collections if isinstance(mark, Quiver))
    ends = np.stack([np.divmod(frame[side], 2)[::-1] for side in ("from", "to")])
    steps = (ends[1] - ends[0]).T
    directions = np.column_stack([arrows.U, arrows.V])
    assert np.sign(directions.round(9)).tolist() == steps.tolist()
    middles = arrows.XY + directions / 2
    assert (np.abs(middles[:, None] - middles[None]).max(axis=2) > 0.2)[~np.eye(8, dtype=bool)].all()


def test_an_idle_network_is_drawn():
    figure = plot_links(link_frame(2, 2, np.zeros(link_count(2, 2))), 2, 2)
    figure.canvas.draw()
    drawn = [mark for ax in figure.axes for mark in ax.collections if isinstance(mark, Quiver | PathCollection)]
    # Every load is at the lower end of a scale that is not empty.
    assert not np.concatenate([mark.get_array() for mark in drawn]).any()
    assert {(mark.norm.vmin, mark.norm.vmax) for mark in drawn} == {(0.0, 1e-3)}


def test_what_is_no_frame_of_links_is_refused():
    with pytest.raises(ConfigError, match=r"utilisation has shape \(5,\); expected \(288,\), one per link"):
        link_frame(4, 4, np.zeros(5))
    frame = link_frame(2, 2, np.zeros(link_count(2, 2)))
    with pytest.raises(ConfigError, match="the frame of links has no column 'to'; it has: "):
        plot_links(frame.drop(columns="to"), 2, 2)
    with pytest.raises(ConfigError, match="the frame of links has no rows"):
        plot_links(frame[:0], 2, 2)
