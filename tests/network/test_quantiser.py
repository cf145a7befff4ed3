"""The quantiser against equations (5) and (6) of CrossNAS, worked by hand and in fractions."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from moopim import ConfigError
from moopim.network.quantiser import (
    UNSET,
    Grid,
    activation_alpha,
    integer_codes,
    largest_code,
    moving_alpha,
    quantise,
    weight_alpha,
)

ALL_BITS = range(2, 17)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float32)


def exact_code(x, alpha, bits):
    theta = 2 ** (bits - 1) - 1
    return max(-theta, min(theta, round(Fraction(theta) * Fraction(x) / Fraction(alpha))))  # half to even


def test_the_largest_codes_of_the_paper():
    assert [largest_code(bits) for bits in (2, 5, 7, 9, 16)] == [1, 15, 63, 255, 32767]


def test_three_bits_by_hand():
    # theta = 3 and alpha = 6: one step is 2, so that 1, 3 and 5 lie half way.
    x = tensor(0, 0.9, 1, 1.1, 2.9, 3, 5, 5.1, 6, 7, 100, -1, -3, -5, -5.1, -100)
    expected = tensor(0, 0, 0, 2, 2, 4, 4, 6, 6, 6, 6, 0, -4, -4, -6, -6)
    assert torch.equal(quantise(x, torch.tensor(6.0), 3), expected)


@pytest.mark.parametrize("bits", ALL_BITS)
@pytest.mark.parametrize("step", [1.0, 0.125, 4.0])
def test_every_width_at_every_kind_of_place(bits, step):
    theta = largest_code(bits)
    alpha = theta * step
    codes = np.unique(np.concatenate([np.arange(min(theta, 40) + 1), np.linspace(0, theta, 20).round()]))
    places = np.concatenate([codes, codes + 0.5, codes + 0.25, codes + 0.75, [3 * theta]]) * step
    x = np.concatenate([places, -places]).astype(np.float32)
    expected = [exact_code(float(value), alpha, bits) for value in x]
    assert integer_codes(torch.from_numpy(x), torch.tensor(alpha), bits).tolist() == expected
    assert quantise(torch.from_numpy(x), torch.tensor(alpha), bits).tolist() == [code * step for code in expected]


floats = st.floats(-1e4, 1e4, width=32)


@given(st.lists(floats, min_size=1, max_size=20), st.floats(2**-7, 1e4, width=32), st.sampled_from(ALL_BITS))
def test_the_nearest_value_of_the_grid_is_taken(values, alpha, bits):
    x, scale = tensor(*values), torch.tensor(alpha, dtype=torch.float32)
    step = Fraction(alpha) / largest_code(bits)
    for value, code in zip(x.tolist(), integer_codes(x, scale, bits).tolist(), strict=True):
        distance = abs(Fraction(value) - code * step) / step
        best = abs(Fraction(value) - exact_code(value, alpha, bits) * step) / step
        assert distance <= best + Fraction(1, 64)  # single precision next to a tie


@given(st.lists(floats, min_size=1, max_size=20), st.floats(2**-7, 1e4, width=32), st.sampled_from(ALL_BITS))
def test_values_are_codes_times_one_step_and_stay_where_they_are(values, alpha, bits):
    x, grid = tensor(*values), Grid(torch.tensor(alpha, dtype=torch.float32), bits)
    once = quantise(x, grid.alpha, bits)
    assert torch.equal(once, grid.codes(x) * grid.step)
    assert torch.equal(quantise(once, grid.alpha, bits), once)
    assert torch.equal(quantise(-x, grid.alpha, bits), -once)
    assert grid.codes(x).dtype == torch.int32


@pytest.mark.parametrize("bits", ALL_BITS)
def test_the_gradient_passes_unchanged_outside_of_the_range_too(bits):
    x = tensor(-100, -1.01, -0.3, 0, 0.1, 1, 5).requires_grad_()
    alpha = torch.tensor(1.0, requires_grad=True)
    upstream = tensor(1, -2, 3, 0.5, 7, -1, 2)
    quantise(x, alpha, bits).backward(upstream)
    assert torch.equal(x.grad, upstream)
    assert alpha.grad is None


def test_a_scale_of_nothing_makes_nothing():
    assert torch.equal(quantise(tensor(0, 1, -2), torch.tensor(0.0), 5).abs() < 1e-30, torch.tensor([True] * 3))
    assert quantise(torch.zeros(3), torch.tensor(0.0), 5).tolist() == [0, 0, 0]


def test_half_precision_is_quantised_in_single_precision():
    x = tensor(0.3, 0.7, -0.9)
    for dtype in (torch.bfloat16, torch.float16):
        half = x.to(dtype).requires_grad_()
        result = quantise(half, torch.tensor(1.0), 9)
        assert torch.equal(result, quantise(half.detach().float(), torch.tensor(1.0), 9))
        result.sum().backward()
        assert half.grad.dtype == dtype


def test_the_scale_of_weights_is_their_largest_magnitude():
    assert weight_alpha(torch.tensor([[0.5, -2.0], [1.0, 0.0]], requires_grad=True)).item() == 2


def test_the_scale_of_activations_by_hand():
    # mean -2, squared deviations 4 + 1 + 1 + 4 over 4 - 1 = 10 / 3
    x = tensor(-4, -3, -1, 0)
    assert activation_alpha(x).item() == pytest.approx(2 + 3 * (10 / 3) ** 0.5)
    assert activation_alpha(tensor(-5)).item() == 5
    far = 1000 + torch.linspace(-1, 1, 1001)  # a deviation that sums of squares would lose
    assert activation_alpha(far).item() == pytest.approx(1000 + 3 * far.double().std().item(), rel=1e-6)


def test_the_scale_of_activations_moves_as_equation_6():
    rng = np.random.default_rng(3)
    batches = [rng.normal(-1, 2, (8, 3, 4, 4)) for _ in range(6)]
    measured = [abs(batch.mean()) + 3 * batch.std(ddof=1) for batch in batches]
    for momentum in (0.707, 0.9, 0):
        expected = measured[0]
        alpha = moving_alpha(torch.tensor(UNSET), torch.from_numpy(batches[0]), momentum)
        for batch, new in zip(batches[1:], measured[1:], strict=True):
            expected = momentum * expected + (1 - momentum) * new
            alpha = moving_alpha(alpha, torch.from_numpy(batch), momentum)
        assert alpha.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("bits", [1, 17, 0, -3, True, 5.0, "9", None])
def test_other_widths_are_refused(bits):
    with pytest.raises(ConfigError, match=r"quantiser has .* bits; expected a whole number 2 \.\. 16"):
        quantise(torch.zeros(2), torch.tensor(1.0), bits)
