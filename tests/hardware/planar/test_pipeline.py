"""The pipeline against the recurrence, one position after the other, for shapes beyond those of the reference."""

from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moopim.hardware.planar import compiled, pipeline
from moopim.hardware.planar.chip import make_chip
from moopim.hardware.planar.mapping import map_layers
from moopim.hardware.planar.model import evaluate_planar
from moopim.hardware.planar.pipeline import finish_times
from moopim.hardware.planar.placement import hop_distances
from moopim.hardware.planar.timing import Edges
from moopim.problems.crossnas import CrossNasSpace
from moopim.workload import Layer, make_table
from moopim.workload.layers import IMAGE, stack_tables


def window(number, size, low=1):
    """A kernel, a stride and a padding for a map of this size, and the size that comes out."""
    kernel = number(1, min(size, 5))
    stride, padding = number(1, 3), number(0, kernel - 1)
    return kernel, stride, padding, (size + 2 * padding - kernel) // stride + 1


def random_network(number):
    """Layers with oblong kernels and maps, branches, gates of one position, and layers that wait."""
    size, layers = (number(1, 9), number(1, 9)), []
    outputs = [(IMAGE, size)]
    for place in range(number(1, 7)):
        kind = ("conv", "pool", "sum", "matmul", "fc")[number(0, 4)]
        producer, (h, w) = outputs[number(0, len(outputs) - 1)]
        alike = [p for p, s in outputs if s in ((h, w), (1, 1))]
        other = alike[number(0, len(alike) - 1)]
        if kind in ("conv", "pool"):
            kh, sh, ph, oh = window(number, h)
            kw, sw, pw, ow = window(number, w)
            layer = Layer(
                f"l{place}", kind, (producer,), 4, 4, (kh, kw), (sh, sw), (ph, pw), (h, w), (oh, ow),
                waits=kind == "conv" and number(0, 4) == 0,
            )  # fmt: skip
        elif kind == "fc":
            layer = Layer(f"l{place}", kind, (producer,), 4 * h * w, 4)
        else:
            layer = Layer(f"l{place}", kind, (producer, other), 4, 4, size_in=(h, w), size_out=(h, w))
        layers.append(layer)
        outputs.append((place, layer.size_out))
    return layers


def literal_finish(layers, times):
    """Finish times of all positions of all layers; times are those of the corner, the top, the left and the rest."""
    finish = []
    for place, layer in enumerate(layers):
        (h, w), (oh, ow) = layer.size_in, layer.size_out
        done, previous = [], 0.0
        for i in range(oh):
            for j in range(ow):
                ready = 0.0
                for slot, producer in enumerate(layer.inputs):
                    if producer == IMAGE:
                        continue
                    given = finish[producer]
                    held = layer.kind == "matmul" and slot > 0
                    if layer.kind == "fc" or layer.waits or held or len(given) != h * w:
                        ready = max(ready, given[-1])
                    else:
                        row = min(max(layer.kernel[0] - layer.padding[0], 1) + layer.stride[0] * i, h) - 1
                        column = min(max(layer.kernel[1] - layer.padding[1], 1) + layer.stride[1] * j, w) - 1
                        ready = max(ready, given[row * w + column])
                edge = (0 if j == 0 else 1) if i == 0 else (2 if j == 0 else 3)
                previous = max(previous, ready) + times[edge][place]
                done.append(previous)
        finish.append(done)
    return finish


@settings(max_examples=200)
@given(st.data())
def test_times_are_those_of_the_recurrence(data):
    networks = [random_network(lambda a, b: data.draw(st.integers(a, b))) for _ in range(data.draw(st.integers(1, 3)))]
    table = stack_tables([make_table(layers) for layers in networks])
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    times = rng.uniform(1, 10, (4, len(networks), table.layers)) ** rng.choice([1, 3])
    found = finish_times(table, Edges(*times))
    for n, layers in enumerate(networks):
        for place, done in enumerate(literal_finish(layers, times[:, n])):
            assert found.finish[n, place] == pytest.approx(done[-1], rel=1e-12)
            assert found.first[n, place] == pytest.approx(done[0], rel=1e-12)
            assert found.begin[n, place] == pytest.approx(done[0] - times[0, n, place], rel=1e-9, abs=1e-9)
        assert (found.finish[n, len(layers) :] == 0).all()


@pytest.fixture
def population():
    space = CrossNasSpace(classes=100)
    designs = space.genome.decode(space.genome.sample(120, np.random.default_rng(3)))
    return space.layer_table(designs), make_chip("paper", **space.chip_parameters(designs))


@pytest.fixture
def compile_at_once(monkeypatch):
    if find_spec("numba") is None:
        pytest.skip("needs numba")
    monkeypatch.setattr(compiled, "_WORTH_COMPILING", 0)


def test_compiled_loops_give_the_same_bits(population, monkeypatch, compile_at_once):
    table, chip = population
    fast = evaluate_planar(table, chip)
    monkeypatch.setattr(compiled, "_WORTH_COMPILING", float("inf"))
    plain = evaluate_planar(table, chip)
    assert all((fast[name] == plain[name]).all() for name in plain)


@settings(max_examples=100)
@given(st.data())
def test_compiled_loops_give_the_same_bits_for_odd_networks(data):
    pytest.importorskip("numba")
    loops = compiled._compile()
    networks = [random_network(lambda a, b: data.draw(st.integers(a, b))) for _ in range(2)]
    table = stack_tables([make_table(layers) for layers in networks])
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    times = [np.ascontiguousarray(part) for part in rng.uniform(1, 30, (4, 2, table.layers))]
    geometry = pipeline._geometry(table)
    plain = pipeline._finish_in_numpy(geometry, times)
    for mine, theirs in zip(plain, loops.finish(*geometry, *times), strict=True):
        assert (mine == theirs).all()


def test_compiled_distances_are_the_same(population, monkeypatch, compile_at_once):
    table, chip = population
    mapping = map_layers(table, chip)
    for grid in (np.array([64]), np.array([63])):
        fast = hop_distances(table, mapping, grid)
        with monkeypatch.context() as patch:
            patch.setattr(compiled, "_WORTH_COMPILING", float("inf"))
            plain = hop_distances(table, mapping, grid)
        assert all((mine == theirs).all() for mine, theirs in zip(fast, plain, strict=True))


def test_small_blocks_of_designs_change_nothing(population, monkeypatch):
    table, chip = population
    whole = evaluate_planar(table, chip)
    monkeypatch.setattr(pipeline, "_BLOCK_POSITIONS", 20_000)
    assert (evaluate_planar(table, chip)["latency"] == whole["latency"]).all()


def test_a_slower_branch_holds_up_the_sum():
    size = {"size_in": (4, 4), "size_out": (4, 4)}
    layers = [
        Layer("a", "conv", (IMAGE,), 3, 4, **size),
        Layer("slow", "conv", (0,), 4, 4, **size),
        Layer("fast", "conv", (0,), 4, 4, **size),
        Layer("sum", "sum", (1, 2), 4, 4, **size),
    ]
    steps = np.array([[1.0, 100.0, 2.0, 1.0]])
    found = finish_times(make_table(layers), Edges(steps, steps, steps, steps))
    # The slow branch starts after one position and takes 16 steps of 100; the sum ends one step later.
    assert found.finish[0] == pytest.approx([16, 1601, 33, 1602])
    assert (found.finish >= found.begin).all()
