"""Chain traffic worked by hand."""

import numpy as np
import pytest

from moopim.hardware.stack.idealised import idealised_model
from moopim.hardware.stack.model import occupy
from moopim.hardware.stack.placement import lay_out
from moopim.hardware.stack.traffic import chain_traffic
from moopim.workload import IMAGE, Layer, make_workload

# 10 x 4 = 40 and 20 activations, 160 and 800 weights, batch 8.
LAYERS = [
    Layer("a", "conv", (IMAGE,), 4, 10, kernel=(2, 2), stride=(2, 2), size_in=(4, 4), size_out=(2, 2)),
    Layer("b", "fc", (0,), 40, 20),
]


@pytest.mark.parametrize(
    ("tiers", "genes", "extents", "hops", "to_bp"),
    [
        # a covers PEs 0 to 16 of tier 0, centre 8, at (0, 2); b 0 to 3 of tier 2, centre 1, at (1, 0).
        ("RRRS", (0, 32), (16.0, 3.0), 1 + 2 + 2, (3, 1)),
        # a covers 0 to 12 of tier 0, centre 6, at (1, 1), where the snake runs back; b 12 to 16, centre 14, at (1, 3).
        ("RRRS", (0, 0), (12.0, 4.0), 2, (3, 3)),
        # b comes first: 0 to 4, centre 2, at (2, 0); a 4 to 16, centre 10, at (2, 2).
        ("RRRS", (1, 0), (12.0, 4.0), 2, (3, 3)),
        # The back-propagation tier is tier 1, so the second forward tier is tier 2.
        ("RSRR", (0, 16), (16.0, 16.0), 2, (1, 1)),
    ],
)
def test_bits_times_hops(tiers, genes, extents, hops, to_bp):
    model = idealised_model(make_workload("two", "none", 8, LAYERS))
    genes = np.array([genes])
    occupancy = occupy(model, np.array([["SRF".index(letter) for letter in tiers]]), genes)
    line = lay_out(genes, occupancy, np.array([extents]))
    # Activations and their gradients both ways at 16 bits; 32-bit weight gradients once per batch.
    bits = (2 * 16 * 40, 2 * 16 * 20)
    expected = bits[0] * hops + (bits[0] + 32 * 160 / 8) * to_bp[0] + (bits[1] + 32 * 800 / 8) * to_bp[1]
    assert chain_traffic(model.workload, 16, model.stack, occupancy, line).tolist() == [expected]
