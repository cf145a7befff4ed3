"""Places of tiles and distances between them, against a search over all pairs of tiles."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from moopim.hardware.planar.chip import make_chip
from moopim.hardware.planar.mapping import map_layers
from moopim.hardware.planar.placement import hop_distances, tile_places
from moopim.workload import Layer, make_table
from moopim.workload.layers import IMAGE


def test_tiles_fill_square_shells():
    rows, columns = tile_places(10)
    #  0 1 4 .     shell 1 goes down the second column and back along the second row,
    #  3 2 5 .     shell 2 along the third row and up the third column, and so on
    assert list(zip(rows.tolist(), columns.tolist(), strict=True))[:4] == [(0, 0), (0, 1), (1, 1), (1, 0)]
    assert list(zip(rows.tolist(), columns.tolist(), strict=True))[4:] == [
        (2, 0), (2, 1), (2, 2), (1, 2), (0, 2), (0, 3),
    ]  # fmt: skip


@given(st.integers(1, 400))
def test_neighbouring_tiles_touch_and_none_is_used_twice(count):
    rows, columns = tile_places(count)
    assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == count
    assert (np.abs(np.diff(rows)) + np.abs(np.diff(columns)) == 1).all()
    side = int(np.ceil(np.sqrt(count)))
    assert rows.max(initial=0) < side
    assert columns.max(initial=0) < side


def all_pairs(layers, tiles, first, grid):
    """Distances by looking at every pair of tiles."""
    places = list(zip(*(part.tolist() for part in tile_places(sum(tiles))), strict=True))
    own = [sorted(places[start : start + count]) for start, count in zip(first, tiles, strict=True)]

    def apart(a, b):
        return abs(a[0] - b[0]) + abs(a[1] - b[1])

    def to_buffer(a):
        return abs(a[0] - grid / 2) + a[1]

    found = []
    for place, layer in enumerate(layers):
        readers = [i for i, other in enumerate(layers) if place in other.inputs]
        plain = [i for i in readers if layers[i].kind != "sum"]
        if layer.kind == "sum":
            found.append((0.0, max((to_buffer(own[i][0]) for i in readers if own[i]), default=0.0)))
            continue
        ways = []
        for a in own[place]:
            onward = 0.0
            if plain:
                onward = max(apart(a, b) for i in plain for b in own[i])
            elif readers:
                onward = to_buffer(a)
            ways.append((max(apart(a, b) for b in own[place]), onward))
        found.append(min(ways, key=sum))
    return found


@settings(max_examples=100)
@given(st.data())
def test_distances_are_those_over_all_pairs_of_tiles(data):
    layers = []
    for place in range(data.draw(st.integers(1, 6))):
        inputs = [data.draw(st.integers(IMAGE, place - 1)) for _ in range(2)]
        kind = data.draw(st.sampled_from(["conv", "conv", "pool", "sum"])) if place else "conv"
        channels = data.draw(st.integers(1, 90)), data.draw(st.integers(1, 90))
        layers.append(Layer(f"l{place}", kind, tuple(inputs), *channels, (3, 3)))
    grid = data.draw(st.integers(3, 64))
    table, chip = make_table(layers), make_chip("cur", crossbar=32)
    mapping = map_layers(table, chip)
    found = hop_distances(table, mapping, np.array([grid]))
    expected = all_pairs(
        layers, mapping.tiles[0].astype(int).tolist(), mapping.first_tile[0].astype(int).tolist(), grid
    )
    assert list(zip(found.within[0].tolist(), found.onward[0].tolist(), strict=True)) == expected
