"""Tracing: tables of small modules worked out by hand, counts against torch's own counter, dataflow by brute force."""

import subprocess
import sys
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F  # noqa: N812 (its usual name)
from torch.utils.flop_counter import FlopCounterMode

from moopim import ConfigError
from moopim.workload.layers import IMAGE, NO_INPUT, LayerKind
from moopim.workload.tracing import load_module, parse_input, trace


class Row(NamedTuple):
    kind: str
    inputs: tuple
    c: tuple
    kernel: tuple
    size_in: tuple
    size_out: tuple
    groups: int
    waits: bool


def rows(table):
    """The layers of a table by name."""
    found = {}
    for i, name in enumerate(table.names):
        inputs = tuple("image" if p == IMAGE else table.names[p] for p in table.inputs[0, i].tolist() if p != NO_INPUT)
        numbers = {key: int(getattr(table, key)[0, i]) for key in ("c_in", "c_out", "groups", "h_in", "w_in")}
        found[name] = Row(
            LayerKind(table.kind[0, i]).name.lower(),
            inputs,
            (numbers["c_in"], numbers["c_out"]),
            (int(table.kernel_h[0, i]), int(table.kernel_w[0, i])),
            (numbers["h_in"], numbers["w_in"]),
            (int(table.h_out[0, i]), int(table.w_out[0, i])),
            numbers["groups"],
            bool(table.waits[0, i]),
        )
    return found


class Function(nn.Module):
    """A module with given parts and a given function of them and the image."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, image):
        return self.function(self, image)


def traced(function, shape=(3, 8, 8), **parts):
    return rows(trace(Function(function, **parts), shape))


def conv(c_in, c_out, kernel=3, **options):
    return nn.Conv2d(c_in, c_out, kernel, padding=options.pop("padding", kernel // 2), **options)


def counted(model, shape):
    """Multiply-accumulate operations by torch's counter."""
    training = model.training
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.eval()(torch.zeros(1, *shape))
    model.train(training)
    return counter.get_total_flops() // 2


def weights(model):
    return sum(m.weight.numel() for m in model.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Linear))


# Tables worked out by hand


def test_a_residual_block_is_two_convolutions_and_a_sum_with_its_input():
    table = traced(
        lambda m, x: m.fc(F.relu(m.b(F.relu(m.norm(m.a(m.stem(x))))) + m.stem_again(x)).mean((2, 3))),
        stem=conv(3, 4),
        a=conv(4, 8, stride=2),
        norm=nn.BatchNorm2d(8),
        b=conv(8, 8),
        stem_again=conv(3, 8, 1, stride=2),
        fc=nn.Linear(8, 5),
    )
    assert list(table.values()) == [
        Row("conv", ("image",), (3, 4), (3, 3), (8, 8), (8, 8), 1, False),
        Row("conv", ("stem",), (4, 8), (3, 3), (8, 8), (4, 4), 1, False),
        Row("conv", ("a",), (8, 8), (3, 3), (4, 4), (4, 4), 1, False),
        Row("conv", ("image",), (3, 8), (1, 1), (8, 8), (4, 4), 1, False),
        Row("sum", ("b", "stem_again"), (8, 8), (1, 1), (4, 4), (4, 4), 1, False),
        Row("pool", ("sum",), (8, 8), (4, 4), (4, 4), (1, 1), 1, False),
        Row("fc", ("pool",), (8, 5), (1, 1), (1, 1), (1, 1), 1, True),
    ]
    assert list(table) == ["stem", "a", "b", "stem_again", "sum", "pool", "fc"]


def test_a_concatenation_is_several_inputs_and_a_slice_of_it_reads_what_it_holds():
    table = traced(
        lambda m, x: m.c(torch.cat([m.a(x), m.b(x)], 1)) + m.d(torch.cat([m.a2(x), m.b2(x)], 1)[:, 4:]),
        a=conv(3, 4),
        b=conv(3, 6),
        c=conv(10, 8),
        a2=conv(3, 4),
        b2=conv(3, 6),
        d=conv(6, 8),
    )
    assert table["c"] == Row("conv", ("a", "b"), (10, 8), (3, 3), (8, 8), (8, 8), 1, False)
    assert table["d"].inputs == ("b2",)
    assert "a2" not in table  # nothing reads it


def test_squeeze_and_excitation_is_a_pool_two_convolutions_and_a_product():
    table = traced(
        lambda m, x: m.out(m.stem(x) * torch.sigmoid(m.up(F.relu(m.down(m.pool(m.stem(x))))))),
        stem=conv(3, 8),
        pool=nn.AdaptiveAvgPool2d(1),
        down=conv(8, 2, 1),
        up=conv(2, 8, 1),
        out=conv(8, 8, groups=8),
    )
    assert table["pool"] == Row("pool", ("stem_2",), (8, 8), (8, 8), (8, 8), (1, 1), 1, False)
    assert table["product"] == Row("product", ("stem", "up"), (8, 8), (1, 1), (8, 8), (8, 8), 1, False)
    assert table["out"] == Row("conv", ("product",), (8, 8), (3, 3), (8, 8), (8, 8), 8, False)


def test_a_layer_used_twice_is_two_layers():
    table = traced(lambda m, x: m.same(m.same(x)), same=conv(3, 3))
    assert list(table) == ["same", "same_2"]
    assert table["same_2"].inputs == ("same",)


@pytest.mark.parametrize(
    ("size", "output", "kernel", "stride"),
    [(8, 1, 8, 8), (8, 4, 2, 2), (7, 2, 4, 3), (10, 7, 4, 1), (2, 5, 2, 1)],
)
def test_an_adaptive_pool_has_the_kernel_that_it_works_out_to(size, output, kernel, stride):
    table = trace(nn.Sequential(conv(3, 4, 1), nn.AdaptiveAvgPool2d(output)), (3, size, size))
    assert (table.kernel_h[0, 1], table.stride_w[0, 1], table.h_out[0, 1]) == (kernel, stride, output)


@pytest.mark.parametrize(("size", "output"), [(8, 1), (8, 3), (7, 2), (10, 7), (2, 5), (13, 6)])
def test_no_window_of_an_adaptive_pool_ends_behind_that_of_the_table(size, output):
    table = trace(nn.Sequential(conv(3, 4, 1), nn.AdaptiveAvgPool2d(output)), (3, size, size))
    for i in range(output):
        end = -(-(i + 1) * size // output)  # torch's window
        assert min(i * table.stride_h[0, 1] + table.kernel_h[0, 1], size) >= end


class Kernel(nn.Module):
    """A network without modules of its own."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, 3, 3, 3))

    def forward(self, image):
        return F.conv2d(F.conv2d(image, self.weight), self.weight)


def test_a_network_without_modules_gives_its_layers_the_name_of_its_class():
    assert trace(conv(3, 4), (3, 8, 8)).names == ("Conv2d",)
    assert trace(Kernel(), (3, 8, 8)).names == ("Kernel", "Kernel_2")


def test_layers_have_different_names_whatever_the_modules_are_called():
    found = traced(lambda m, x: m.a(m.a(x)) + m.get_submodule("a_2")(x), a=conv(3, 3), a_2=conv(3, 3))
    assert list(found) == ["a", "a_2", "a_2_2", "sum"]


def test_an_adaptive_pool_that_changes_nothing_is_no_layer():
    assert list(traced(lambda m, x: m.b(m.pool(m.a(x))), a=conv(3, 4), pool=nn.AdaptiveAvgPool2d(8), b=conv(4, 4))) == [
        "a",
        "b",
    ]


def test_padding_before_a_convolution_is_padding_of_the_convolution():
    table = trace(nn.Sequential(conv(3, 4), nn.ZeroPad2d((0, 1, 0, 1)), conv(4, 4, stride=2, padding=0)), (3, 8, 8))
    assert (table.h_in[0, 1], table.padding_h[0, 1], table.h_out[0, 1]) == (8, 0, 4)
    assert not table.waits[0, 1]


def test_padding_with_a_number_is_padding_of_the_pool_behind_it():
    table = traced(lambda m, x: F.max_pool2d(F.pad(m.a(x), (1, 1, 1, 1), value=-1e9), 3, 2), a=conv(3, 4))
    assert table["pool"] == Row("pool", ("a",), (4, 4), (3, 3), (8, 8), (4, 4), 1, False)


def test_normalisation_activation_dropout_scale_and_parameters_cost_nothing():
    class Free(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = conv(3, 4), conv(4, 4)
            self.norm, self.drop = nn.BatchNorm2d(4), nn.Dropout(0.5)
            self.scale = nn.Parameter(torch.ones(4, 1, 1))
            self.place = nn.Parameter(torch.ones(1, 4, 8, 8))

        def forward(self, x):
            x = self.drop(F.gelu(self.norm(self.a(x)))) * self.scale + self.place
            x = x * torch.sigmoid(x)  # a function of one value, though written as a product
            mean = x.mean(1, keepdim=True)  # a layer norm, written out
            x = (x - mean) / ((x - mean).pow(2).mean(1, keepdim=True) + 1e-6).sqrt()
            return self.b(x)

    table = rows(trace(Free(), (3, 8, 8)))
    assert list(table) == ["a", "b"]
    assert table["b"] == Row("conv", ("a",), (4, 4), (3, 3), (8, 8), (8, 8), 1, False)


def test_a_gate_made_of_half_of_the_channels_is_a_product():
    table = traced(lambda m, x: F.glu(m.a(x), 1) + F.silu(m.a(x).chunk(2, 1)[0]), a=conv(3, 8))
    assert table["product"] == Row("product", ("a", "a"), (4, 4), (1, 1), (8, 8), (8, 8), 1, False)


def test_a_sum_over_a_stack_of_branches_is_a_sum():
    table = traced(lambda m, x: torch.stack([m.a(x), m.b(x)], 1).sum(1), a=conv(3, 4), b=conv(3, 4))
    assert table["sum"] == Row("sum", ("a", "b"), (4, 4), (1, 1), (8, 8), (8, 8), 1, False)


def test_interpolation_is_a_pool_of_two_by_two_values_and_repetition_is_free():
    table = traced(
        lambda m, x: F.interpolate(m.a(x), scale_factor=2, mode="bilinear") + F.interpolate(m.b(x), scale_factor=2),
        a=conv(3, 4),
        b=conv(3, 4),
    )
    assert table["pool"] == Row("pool", ("a",), (4, 4), (2, 2), (8, 8), (16, 16), 1, True)
    assert table["sum"] == Row("sum", ("pool", "b"), (4, 4), (1, 1), (16, 16), (16, 16), 1, True)


def test_one_dimensional_convolutions_have_height_one():
    class Channels(nn.Module):  # efficient channel attention
        def __init__(self):
            super().__init__()
            self.stem, self.conv = conv(3, 6), nn.Conv1d(1, 1, 3, padding=1, bias=False)

        def forward(self, x):
            x = self.stem(x)
            return x * self.conv(x.mean((2, 3)).unsqueeze(1)).transpose(1, 2).unsqueeze(3).sigmoid()

    table = rows(trace(Channels(), (3, 8, 8)))
    assert table["conv"] == Row("conv", ("pool",), (1, 1), (1, 3), (1, 6), (1, 6), 1, False)
    assert table["product"].waits  # it needs the gates of all channels, which come one after the other


# Order of positions


def test_a_linear_layer_on_a_map_with_its_channels_last_keeps_pace():
    table = traced(
        lambda m, x: m.b(m.a(m.stem(x).permute(0, 2, 3, 1))).permute(0, 3, 1, 2),
        stem=conv(3, 4),
        a=nn.Linear(4, 6),
        b=nn.Linear(6, 4),
    )
    assert table["a"] == Row("conv", ("stem",), (4, 6), (1, 1), (8, 8), (8, 8), 1, False)


def test_tokens_of_a_flattened_map_keep_pace_and_a_class_token_waits():
    token = nn.Parameter(torch.zeros(1, 1, 4))
    parts = {"stem": conv(3, 4, 2, stride=2, padding=0), "a": nn.Linear(4, 6), "b": nn.Linear(6, 2)}
    plain = traced(lambda m, x: m.b(m.a(m.stem(x).flatten(2).transpose(1, 2)).mean(1)), **parts)
    assert plain["a"] == Row("conv", ("stem",), (4, 6), (1, 1), (4, 4), (4, 4), 1, False)
    assert plain["pool"] == Row("pool", ("a",), (6, 6), (4, 4), (4, 4), (1, 1), 1, False)
    marked = traced(
        lambda m, x: m.b(m.a(torch.cat([m.token, m.stem(x).flatten(2).transpose(1, 2)], 1))[:, 0]), token=token, **parts
    )
    assert marked["a"] == Row("conv", ("stem",), (4, 6), (1, 1), (1, 17), (1, 17), 1, True)
    assert marked["b"] == Row("fc", ("a",), (6, 2), (1, 1), (1, 1), (1, 1), 1, True)


def test_a_flattened_map_is_waited_for_by_a_fully_connected_layer():
    table = traced(lambda m, x: m.fc(torch.flatten(m.a(x), 1)), a=conv(3, 4), fc=nn.Linear(256, 5))
    assert table["fc"] == Row("fc", ("a",), (256, 5), (1, 1), (1, 1), (1, 1), 1, True)


@pytest.mark.parametrize(
    ("change", "waits"),
    [
        (lambda x: x, False),
        (lambda x: x.transpose(2, 3), True),
        (lambda x: x.flip(2), True),
        (lambda x: x.roll(1, 2), True),
        (lambda x: F.channel_shuffle(x, 2), False),
        (lambda x: x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2), False),
        (lambda x: x.reshape(1, 2, 2, 8, 8).transpose(1, 2).reshape(1, 4, 8, 8), False),
        (lambda x: x[:, :, 2:], True),
        (lambda x: F.pixel_unshuffle(x, 2)[:, :4], True),
        (lambda x: F.group_norm(x, 2), True),  # every value depends on all positions
        (lambda x: F.layer_norm(x.permute(0, 2, 3, 1), (4,)).permute(0, 3, 1, 2), False),
        (lambda x: x[:, torch.tensor([3, 2, 1, 0])], False),
        (lambda x: x[:, :, torch.tensor([7, 6, 5, 4, 3, 2, 1, 0])], True),
    ],
)
def test_a_layer_waits_where_positions_change_their_order_or_number(change, waits):
    table = traced(lambda m, x: m.b(change(m.a(x))), a=conv(3, 4), b=conv(4, 4, 1))
    assert table["b"].waits is waits
    assert table["b"].inputs == ("a",)


MOVES = {
    "transpose": lambda x: x.transpose(2, 3),
    "flip": lambda x: x.flip(3),
    "roll": lambda x: x.roll((1, -2), (2, 3)),
    "last": lambda x: x.permute(0, 2, 3, 1).reshape(1, -1, x.shape[1]).transpose(1, 2).reshape(x.shape),
    "rows": lambda x: x.reshape(1, x.shape[1], 1, -1),
    "half": lambda x: x[:, :, : -(-x.shape[2] // 2)],
    "twice": lambda x: torch.cat([x, x.flip(1)], 1),
    "first": lambda x: torch.cat([x, x[:, :, :, :1].expand(x.shape)], 1),
    "merge": lambda x: F.pixel_shuffle(F.pixel_unshuffle(x, 2).flip(1), 2) if x.shape[2] % 2 == 0 else x,
    "mix": lambda x: x.unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2),
}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(sorted(MOVES)), max_size=4))
def test_waiting_is_what_moving_the_numbers_of_the_positions_shows(names):
    def moved(x):
        for name in names:
            x = MOVES[name](x)
        return x

    place = moved(torch.arange(64.0).view(1, 1, 8, 8).expand(1, 4, 8, 8))
    turn = torch.arange(place[0, 0].numel()).view(1, 1, *place.shape[2:])
    expected = turn.numel() != 64 or bool((place > turn).any())
    table = traced(lambda m, x: m.b(moved(m.a(x))), a=conv(3, 4), b=conv(place.shape[1], 4, 1))
    assert table["b"].waits is expected


def test_a_dilated_convolution_waits():
    table = traced(lambda m, x: m.b(m.a(x)), a=conv(3, 4), b=conv(4, 4, padding=2, dilation=2))
    assert table["b"] == Row("conv", ("a",), (4, 4), (3, 3), (8, 8), (8, 8), 1, True)


def test_windows_of_a_map_wait_and_so_does_the_sum_behind_them():
    def windows(m, x):
        x = m.stem(x).permute(0, 2, 3, 1)
        parts = x.view(1, 2, 4, 2, 4, 4).permute(0, 1, 3, 2, 4, 5).reshape(4, 16, 4)
        back = m.a(parts).view(1, 2, 2, 4, 4, 4).permute(0, 1, 3, 2, 4, 5).reshape(1, 8, 8, 4)
        return m.b(x + back)

    table = traced(windows, stem=conv(3, 4), a=nn.Linear(4, 4), b=nn.Linear(4, 4))
    assert table["a"] == Row("conv", ("stem",), (4, 4), (1, 1), (4, 16), (4, 16), 1, True)
    assert table["sum"] == Row("sum", ("stem", "a"), (4, 4), (1, 1), (8, 8), (8, 8), 1, True)
    assert table["b"] == Row("conv", ("sum",), (4, 4), (1, 1), (8, 8), (8, 8), 1, False)


# Attention


def attention(m, x):
    tokens = m.stem(x).flatten(2).transpose(1, 2)
    q, k, v = m.qkv(tokens).reshape(1, 16, 3, 2, 4).permute(2, 0, 3, 1, 4)
    return m.project(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(1, 16, 8)) + tokens


def written_out(m, x):
    tokens = m.stem(x).flatten(2).transpose(1, 2)
    q, k, v = m.qkv(tokens).reshape(1, 16, 3, 2, 4).permute(2, 0, 3, 1, 4)
    scores = (q * 4**-0.5 @ k.transpose(-2, -1)).softmax(-1)
    return m.project((scores @ v).transpose(1, 2).reshape(1, 16, 8)) + tokens


def einsums(m, x):
    tokens = m.stem(x).flatten(2).transpose(1, 2)
    q, k, v = m.qkv(tokens).reshape(1, 16, 3, 2, 4).unbind(2)
    scores = torch.einsum("bihd,bjhd->bhij", q, k).softmax(-1)
    return m.project(torch.einsum("bhij,bjhd->bihd", scores, v).reshape(1, 16, 8)) + tokens


@pytest.mark.parametrize("function", [attention, written_out, einsums])
def test_attention_is_two_products_of_activations(function):
    table = traced(
        function,
        stem=conv(3, 8, 2, stride=2, padding=0),
        qkv=nn.Linear(8, 24, bias=False),
        project=nn.Linear(8, 8),
    )
    stem, qkv, scores, mixture, project, added = table.values()
    assert stem == Row("conv", ("image",), (3, 8), (2, 2), (8, 8), (4, 4), 1, False)
    assert qkv == Row("conv", ("stem",), (8, 24), (1, 1), (4, 4), (4, 4), 1, False)
    assert scores == Row("matmul", ("qkv", "qkv"), (8, 32), (1, 1), (4, 4), (4, 4), 2, False)
    assert mixture == Row("matmul", (list(table)[2], "qkv"), (32, 8), (1, 1), (4, 4), (4, 4), 2, False)
    assert project.kind == "conv"
    assert not project.waits
    assert added == Row("sum", ("project", "stem"), (8, 8), (1, 1), (4, 4), (4, 4), 1, False)


class Encoder(nn.Module):
    def __init__(self, batch_first=True):
        super().__init__()
        self.stem = conv(3, 8, 2, stride=2, padding=0)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=batch_first, norm_first=True)
        self.attend = nn.MultiheadAttention(8, 2, batch_first=batch_first)
        self.batch_first = batch_first

    def forward(self, x):
        tokens = self.stem(x).flatten(2).transpose(1, 2)
        tokens = self.layer(tokens if self.batch_first else tokens.transpose(0, 1))
        return self.attend(tokens, tokens, tokens)[0]


@pytest.mark.parametrize("batch_first", [True, False])
def test_an_encoder_layer_of_torch_is_six_products_and_two_sums(batch_first):
    torch.backends.mha.set_fastpath_enabled(True)
    model = Encoder(batch_first)
    table = trace(model, (3, 8, 8))
    kinds = [row.kind for row in rows(table).values()]
    block = ["conv", "matmul", "matmul", "conv"]
    assert kinds == ["conv", *block, "sum", "conv", "conv", "sum", *block]
    assert not table.waits.any()
    tokens, width, hidden = 16, 8, 16
    attend = 4 * tokens * width * width + 2 * tokens * tokens * width
    assert table.macs.sum() == tokens * 12 * width + 2 * attend + 2 * tokens * width * hidden
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_learned_query_is_held_like_weights():
    query = nn.Parameter(torch.zeros(1, 2, 1, 4))
    table = traced(
        lambda m, x: F.scaled_dot_product_attention(
            m.query, *(m.kv(m.stem(x).flatten(2).transpose(1, 2)).reshape(1, 64, 2, 2, 4).permute(2, 0, 3, 1, 4))
        ),
        query=query,
        stem=conv(3, 8),
        kv=nn.Linear(8, 16),
    )
    assert table["scores"] == Row("conv", ("kv",), (8, 2), (1, 1), (8, 8), (8, 8), 2, False)
    assert table["mixture"].kind == "matmul"


# Counts


@st.composite
def networks(draw):
    """A random convolutional network and the size of its image."""
    size = draw(st.integers(56, 64))
    channels = 4 * draw(st.integers(1, 3))
    parts = [nn.Conv2d(3, channels, 3, padding=1)]
    for number in range(draw(st.integers(1, 3))):
        width = 4 * draw(st.integers(1, 4))
        kernel = draw(st.sampled_from([1, 2, 3]))
        parts += [
            nn.Conv2d(
                channels,
                width,
                (kernel, draw(st.sampled_from([1, 3]))),
                stride=draw(st.integers(1, 2)) if number == 0 else 1,
                padding=draw(st.integers(0, 2)),
                groups=draw(st.sampled_from([1, 2, 4])),
                bias=draw(st.booleans()),
                dilation=draw(st.integers(1, 2)),
            ),
            draw(st.sampled_from([nn.ReLU(), nn.BatchNorm2d(width), nn.MaxPool2d(2, ceil_mode=True, padding=1)])),
        ]
        channels = width
    head = [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * channels, 7)]
    return nn.Sequential(*parts, *head), (3, size + 3, size)


@settings(max_examples=15, deadline=None)
@given(networks())
def test_counts_are_those_of_torch(case):
    model, shape = case
    table = trace(model, shape)
    assert table.macs.sum() == counted(model, shape)
    assert table.parameters.sum() == weights(model)
    # Every layer hands on what the next one reads.
    produced = [int(table.activations[0, p]) if p >= 0 else 3 * shape[1] * shape[2] for p in table.inputs[0, :, 0]]
    assert (table.c_in * table.h_in * table.w_in)[0].tolist() == produced


@settings(max_examples=10, deadline=None)
@given(networks())
def test_no_position_of_a_window_is_needed_before_the_table_says(case):
    """Brute force: which positions of its input an output value depends on, by its gradient."""
    model, shape = case
    layers = [layer for layer in model if isinstance(layer, nn.Conv2d | nn.MaxPool2d)]
    table = trace(nn.Sequential(*layers), shape)
    x = torch.rand(1, *shape, dtype=torch.float64)
    for i, layer in enumerate(layers):
        x = x.detach().requires_grad_()
        y = layer.double()(x)
        row, column = y.shape[2] // 2, y.shape[3] // 2
        (slope,) = torch.autograd.grad(y[0, :, row, column].sum(), x, retain_graph=True)
        touched = slope[0].abs().sum(0).nonzero()
        if len(touched) and not table.waits[0, i]:
            last = touched.max(0).values.tolist()
            for place, axis in ((row, "h"), (column, "w")):
                kernel, padding, stride, size = (
                    int(getattr(table, f"{key}_{axis}" if key != "in" else f"{axis}_in")[0, i])
                    for key in ("kernel", "padding", "stride", "in")
                )
                assert last[axis == "w"] < min(max(kernel - padding, 1) + stride * place, size)
        x = y


def test_tracing_twice_gives_the_same_table():
    model = Encoder()
    first, second = trace(model, (3, 8, 8)), trace(model, (3, 8, 8))
    assert first.names == second.names
    assert all((getattr(first, name) == getattr(second, name)).all() for name in ("kind", "inputs", "c_in", "waits"))


# Bits


def test_bits_are_handed_on_from_the_first_producer():
    model = Function(
        lambda m, x: m.fc(m.pool(m.a(x)).flatten(1)), a=conv(3, 4), pool=nn.MaxPool2d(2), fc=nn.Linear(64, 2)
    )
    table = trace(model, (3, 8, 8), input_bits=8, weight_bits=5, activation_bits=7)
    assert table.input_bits.tolist() == [[8, 7, 7]]
    assert table.weight_bits.tolist() == [[5, 0, 5]]
    assert table.output_bits.tolist() == [[7, 7, 7]]


# The module stays as it was


def test_the_training_flags_of_all_modules_are_kept():
    model = nn.Sequential(conv(3, 4), nn.BatchNorm2d(4), nn.Dropout()).train()
    model[1].eval()
    trace(model, (3, 8, 8))
    assert [module.training for module in model.modules()] == [True, True, False, True]
    with pytest.raises(ConfigError):
        trace(model, (5, 8, 8))
    assert [module.training for module in model.modules()] == [True, True, False, True]


def test_a_module_without_memory_can_be_traced():
    with torch.device("meta"):
        model = nn.Sequential(conv(3, 4), nn.Flatten(), nn.Linear(256, 3))
    assert trace(model, (3, 8, 8)).parameters.sum() == weights(model)


# In-place changes of a part of a tensor


def test_an_addition_to_a_part_of_a_tensor_is_a_sum_that_later_readers_see():
    def forward(m, x):
        y = m.a(x)
        y[:, :2] += m.b(x)
        return m.c(y)

    table = traced(forward, a=conv(3, 4), b=conv(3, 2), c=conv(4, 4))
    assert table["sum"] == Row("sum", ("a", "b"), (2, 2), (1, 1), (8, 8), (8, 8), 1, False)
    assert table["c"].inputs == ("sum", "a")


def test_values_written_into_a_new_tensor_are_seen():
    def forward(m, x):
        y = torch.zeros(1, 6, 8, 8)
        y[:, :4] = m.norm(m.a(x))
        y[:, 4:] = m.b(x)
        return m.c(y)

    table = traced(forward, a=conv(3, 4), norm=nn.BatchNorm2d(4), b=conv(3, 2), c=conv(6, 4))
    assert table["c"] == Row("conv", ("a", "b"), (6, 4), (3, 3), (8, 8), (8, 8), 1, False)


def test_a_part_set_to_zero_has_no_producer():
    def forward(m, x):
        y = m.a(x)
        y[:, :2] = 0
        return m.c(y[:, :2] + m.b(x))

    table = traced(forward, a=conv(3, 4), b=conv(3, 2), c=conv(2, 4))
    assert list(table) == ["b", "c"]


# Errors


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (nn.ConvTranspose2d(4, 4, 2), r"module 'part' \(ConvTranspose2d\): operation aten.conv_transpose2d.input: not"),
        (nn.MaxPool2d(2, dilation=2), r"module 'part' \(MaxPool2d\).* dilated pooling"),
        (nn.FractionalMaxPool2d(2, 4), r"module 'part' \(FractionalMaxPool2d\)"),
    ],
)
def test_an_operation_that_is_not_supported_is_named_with_its_module(part, message):
    with pytest.raises(ConfigError, match=message):
        traced(lambda m, x: m.part(m.a(x)), a=conv(3, 4), part=part)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda m, x: torch.maximum(m.a(x), m.b(x)), "operation aten.maximum"),
        (lambda m, x: m.a(x).cumsum(1), "operation aten.cumsum"),
        (lambda m, x: F.conv2d(m.a(x), m.b(x)[:, :, :3, :3].expand(4, 4, 3, 3)), "weights depend on the image"),
        (
            lambda m, x: torch.einsum("bchw,bdhw->bcd", m.a(x), m.b(x)).sum() + torch.einsum("bchw->bc", x).sum(),
            "einsum",
        ),
        (lambda m, x: m.a(x)[m.b(x) > 0], "numbers that depend on the image"),
        (lambda m, x: m.a(x) @ torch.linalg.inv(m.b(x)), "operation aten.linalg_inv"),
        (lambda m, x: m.a(x) if x.sum() > 0 else m.b(x), "cannot be traced with an input of 3x8x8: "),
        (lambda m, x: x * 2, "no layer lies between its input and its output"),
        (lambda m, x: m.a(x).gather(1, m.b(x).long()), "numbers that depend on the image"),
    ],
)
def test_what_cannot_be_traced_is_refused_in_one_line(function, message):
    with pytest.raises(ConfigError, match=message) as error:
        traced(function, a=conv(3, 4), b=conv(3, 4))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("bits", [{"input_bits": 0}, {"weight_bits": -1}, {"activation_bits": 0}])
def test_widths_of_less_than_a_bit_are_refused(bits):
    with pytest.raises(ConfigError, match=f"{next(iter(bits))} is .*; expected 1, 2"):
        trace(conv(3, 4), (3, 8, 8), **bits)


@pytest.mark.parametrize("shape", [(3, 8), (3, 0, 8), (3, 8, 8, 8)])
def test_an_input_shape_that_is_no_image_is_refused(shape):
    with pytest.raises(ConfigError, match="expected channels, height and width"):
        trace(conv(3, 4), shape)


@pytest.mark.parametrize("shape", [(3, 99_999, 99_999), (1, 1, 10**9), (999_999, 999, 999)])
def test_an_input_that_no_memory_holds_is_refused_at_once(shape):
    size = "x".join(map(str, shape))
    with pytest.raises(ConfigError, match=f"an input of {size} is too large; expected at most 67108864 values"):
        trace(nn.ReLU(), shape)


NUMBERS = "what is computed depends on the numbers of the image; expected branches"
NOT_TRACED = {  # the body of forward, and what is said about it
    "return self.a(x) if x.sum() > 0 else x": NUMBERS,
    "return self.a(x) * x.mean().item()": NUMBERS,
    "return self.a(x)[:, : int(x.sum())]": NUMBERS,
    "return self.a(x) if torch.equal(x, x) else x": NUMBERS,
    "return torch.unique(self.a(x))": NUMBERS,
    "return self.b(self.a(x).flatten(1))": "module 'b' (Linear): RuntimeError: ",  # too many features
    "return self.a(x) + x": "RuntimeError: ",  # channels that do not fit
    "return F.max_pool2d(x, 50)": "RuntimeError: ",
    "raise ValueError('no image')": "ValueError: no image; expected",
    "return self.a(x).cumsum(1)": "operation aten.cumsum.default: not supported; supported are",
    "return Result(self.a(x))": "RuntimeError: Found <class",
    "return x": "no layer lies between its input and its output",
    "return self.c(x)": "AttributeError: 'Net' object has no attribute 'c'",
}
TWO_IMAGES = ("self, x, y", "forward(x, y) takes no single batch of images: missing a required argument: 'y'")


def test_what_cannot_be_traced_is_named_by_class_file_and_line_and_torch_says_nothing(tmp_path):
    nets = "".join(
        f"class N{number}(Net):\n    def forward({arguments}):\n        {body}\n"
        for number, (arguments, body) in enumerate([*(("self, x", b) for b in NOT_TRACED), (TWO_IMAGES[0], "return x")])
    )
    (tmp_path / "nets.py").write_text(
        "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n"
        "class Result:\n    def __init__(self, x): self.x = x\n"
        "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.a, self.b = nn.Conv2d(3, 4, 1), nn.Linear(10, 2)\n" + nets
    )
    code = (
        "from moopim import ConfigError\nfrom moopim.workload.tracing import load_module, trace\n"
        f"for number in range({len(NOT_TRACED) + 1}):\n"
        "    try: trace(load_module(f'nets.py:N{number}'), (3, 8, 8))\n"
        "    except ConfigError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stderr == ""
    for number, (line, why) in enumerate(
        zip(done.stdout.splitlines(), [*NOT_TRACED.values(), TWO_IMAGES[1]], strict=True)
    ):
        assert line.startswith(f"N{number} cannot be traced with an input of 3x8x8: {tmp_path / 'nets.py'}:"), line
        assert why.replace("Net'", f"N{number}'") in line
        if not why.startswith(("forward", "no layer", "RuntimeError: Found")):
            assert f"nets.py:{12 + 3 * number}: " in line


def test_what_a_network_prints_on_standard_error_is_kept_if_it_can_be_traced(capsys):
    def forward(m, x):
        sys.stderr.write(f"shape {tuple(x.shape)}\n")
        return m.a(x)

    traced(forward, a=conv(3, 4))
    assert capsys.readouterr().err == "shape (1, 3, 8, 8)\n"


def test_memory_that_is_not_there_for_the_image_is_one_line(monkeypatch):
    def full(*_, **__):
        raise RuntimeError("[enforce fail] can't allocate memory\nmore about it")

    monkeypatch.setattr(torch, "zeros", full)
    with pytest.raises(
        ConfigError, match=r"cannot be traced with an input of 3x8x8: .*can't allocate memory; expected"
    ):
        trace(conv(3, 4), (3, 8, 8))


@pytest.mark.parametrize("text", ["3x32", "3x32x32x1", "0x8x8", "3x-1x8", "threexfourxfive", "", "3X8X8"])
def test_an_input_size_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="expected channels x height x width, such as 3x32x32"):
        parse_input(text)


def test_an_input_size_is_three_numbers():
    assert parse_input("3x32x16") == (3, 32, 16)


FILE = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self, width=4):
        super().__init__(nn.Conv2d(3, width, 3))

class Needy(nn.Module):
    def __init__(self, width):
        super().__init__()

class Broken(nn.Module):
    def __init__(self):
        raise RuntimeError("no such width")

def make():
    return Net(6)

net = Net(8)
number = 3
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / "traced_networks.py"
    path.write_text(FILE)
    yield path
    sys.modules.pop("traced_networks", None)


@pytest.mark.parametrize(("name", "width"), [("Net", 4), ("make", 6), ("net", 8)])
def test_a_network_is_a_class_a_function_or_a_module_of_a_file(file, name, width):
    assert load_module(f"{file}:{name}")[0].out_channels == width


EXITS = """
import sys
from torch import nn

class Net(nn.Module):
    def __init__(self):
        sys.exit("no width")

class Later(nn.Module):
    def forward(self, image):
        sys.exit(4)
"""


def test_code_that_ends_the_process_is_an_error_like_others(file):
    file.write_text(EXITS)
    with pytest.raises(ConfigError, match=r"cannot be built: SystemExit: no width$"):
        load_module(f"{file}:Net")
    with pytest.raises(ConfigError, match=r"Later cannot be traced with .*traced_networks.py:11: SystemExit: 4;"):
        trace(load_module(f"{file}:Later"), (3, 8, 8))


@pytest.mark.parametrize(
    ("code", "why"), [("import sys\nsys.exit()", "SystemExit"), ("1 / 0", "ZeroDivisionError: division by zero")]
)
def test_a_file_or_a_module_that_fails_when_imported_is_refused(file, code, why, monkeypatch):
    file.write_text(code)
    with pytest.raises(
        ConfigError, match=rf"file .*traced_networks.py' cannot be imported: {why} \(traced_networks.py, line [12]\)$"
    ):
        load_module(f"{file}:Net")
    monkeypatch.chdir(file.parent)
    with pytest.raises(
        ConfigError, match=rf"module 'traced_networks' cannot be imported: {why} \(traced_networks.py, line [12]\)$"
    ):
        load_module("traced_networks:Net")


def test_files_of_one_name_are_each_imported_with_their_neighbours(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    for folder, width in (("a", 5), ("b", 7)):
        (tmp_path / folder / "twin_parts").mkdir(parents=True)
        (tmp_path / folder / "twin_parts" / "__init__.py").write_text("from twin_parts.sizes import width")
        (tmp_path / folder / "twin_parts" / "sizes.py").write_text(f"width = {width}")
        code = "from torch import nn\nfrom twin_parts import width\nnet = nn.Conv2d(3, width, 3)"
        (tmp_path / folder / "twin.py").write_text(code)
        (tmp_path / folder / f"other_{folder}.py").write_text(code)
    for name in ("a/twin", "b/twin", "a/twin", "b/other_b", "a/other_a"):
        assert load_module(f"{tmp_path / name}.py:net").out_channels == {"a": 5, "b": 7}[name[0]], name
    for name in [name for name in sys.modules if name.startswith(("twin", "other_"))]:
        del sys.modules[name]


def test_a_file_with_the_name_of_an_imported_module_is_refused(tmp_path):
    (tmp_path / "numpy.py").write_text("net = None")
    with pytest.raises(ConfigError, match=r"file name 'numpy.py' cannot be used as a module name; rename the file"):
        load_module(f"{tmp_path / 'numpy.py'}:net")


def test_a_network_may_come_from_an_installed_package():
    assert isinstance(load_module("torch.nn:Identity"), nn.Identity)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Nett", "unknown name in .*'Nett' .did you mean 'Net'"),
        ("Needy", r"needs arguments \(width\)"),
        ("Broken", "cannot be built: RuntimeError: no such width"),
        ("number", "is a int; expected a torch.nn.Module"),
    ],
)
def test_a_name_that_is_no_network_is_refused(file, name, message):
    with pytest.raises(ConfigError, match=message):
        load_module(f"{file}:{name}")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("net.py", "'net.py' is a file that does not exist; expected FILE.py:Name"),
        ("net.py:", "'net.py' is a file that does not exist; expected FILE.py:Name"),
        (":Net", "unknown network ':Net'; allowed: FILE.py:Name"),
        ("", "unknown network ''; allowed: FILE.py:Name"),
    ],
)
def test_a_network_without_a_name_is_refused(spec, message):
    with pytest.raises(ConfigError, match=message):
        load_module(spec)


def test_a_file_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match=r"nowhere\.py.* does not exist"):
        load_module("nowhere.py:Net")
