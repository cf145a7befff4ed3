import json
import re
import struct

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from toy_training import network

from moopim.errors import ConfigError
from moopim.network.checkpoint import (
    _checksum,
    count_values,
    load_training,
    load_weights,
    save_training,
    save_weights,
    weight_names,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.safetensors"


@pytest.fixture
def written(path):
    save_weights(network(seed=1), path, {"accuracy": 0.1 + 0.2, "of": "rows"})
    return path


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_weights_and_what_is_known_of_them_come_back(written):
    other = network(seed=2)
    assert load_weights(other, written) == {"accuracy": 0.1 + 0.2, "of": "rows"}
    assert same(other, network(seed=1))


def test_the_file_is_one_that_safetensors_reads(written):
    with safe_open(written, "pt") as file:
        assert set(file.keys()) == set(network().state_dict())
        assert json.loads(file.metadata()["moopim"])["about"]["of"] == "rows"


def test_tied_weights_and_memory_formats_are_written_and_read(path):
    def tied():
        module = nn.Sequential(nn.Conv2d(4, 4, 3, bias=False), nn.Conv2d(4, 4, 3, bias=False))
        module[1].weight = module[0].weight
        return module.to(memory_format=torch.channels_last)

    first, second = tied(), tied()
    save_weights(first, path)
    load_weights(second, path)
    assert same(first, second)
    assert second[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_writing_over_a_file_replaces_it_and_leaves_nothing_else(written):
    save_weights(network(seed=3), written)
    load_weights(other := network(), written)
    assert same(other, network(seed=3))
    assert [file.name for file in written.parent.iterdir()] == [written.name]


def rewrite(path, **changes):
    """Writes a file again with another header of moopim's."""
    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["moopim"])
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    save_file(tensors, path, {"moopim": json.dumps(header | changes)})


def flipped(data, place):
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def foreign(path):
    save_file({"weight": torch.zeros(3)}, path)


def long_header(path):
    path.write_bytes(struct.pack("<Q", 5_000_000) + bytes(6_000_000))


def huge_header(path):
    path.write_bytes(struct.pack("<Q", 2**40) + b"{}")


DAMAGE = {
    "empty": (lambda path: path.write_bytes(b""), "damaged, cut short or not in safetensors format"),
    "text": (lambda path: path.write_text("not weights at all"), "damaged, cut short or not in safetensors format"),
    "pickle": (lambda path: torch.save({"a": 1}, path), "damaged, cut short or not in safetensors format"),
    "header": (huge_header, "damaged, cut short or not in safetensors format"),
    "long header": (long_header, "6000008 bytes, 5000000 of them in its header; expected at most"),
    "deep": (
        lambda path: save_file({}, path, {"moopim": "[" * 100_000}),
        "entry 'moopim' of its header cannot be read",
    ),
    "pairs": (lambda path: rewrite(path, about=[["a", 1]]), "entry 'moopim' of its header cannot be read"),
    "half": (lambda path: path.write_bytes(path.read_bytes()[:-7]), "damaged, cut short or not in safetensors format"),
    "bit": (lambda path: path.write_bytes(flipped(path.read_bytes(), -5)), "does not match its checksum"),
    "about": (lambda path: rewrite(path, about={"accuracy": 1}), "does not match its checksum"),
    "foreign": (foreign, "was not written by moopim: its header has no entry 'moopim'"),
    "entry": (lambda path: save_file({}, path, {"moopim": "{}"}), "entry 'moopim' of its header cannot be read"),
    "words": (lambda path: save_file({}, path, {"moopim": "[1"}), "entry 'moopim' of its header cannot be read"),
    "kind": (lambda path: rewrite(path, kind="training"), "holds training of format 1; expected weights of format 1"),
    "format": (lambda path: rewrite(path, format=2), "holds weights of format 2; expected weights of format 1"),
    "missing": (lambda path: path.unlink(), "does not exist; expected weights written by moopim"),
    "folder": (lambda path: (path.unlink(), path.mkdir()), "does not exist; expected weights written by moopim"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_file_that_is_damaged_or_foreign_is_refused_in_one_line(name, written):
    damage, message = DAMAGE[name]
    damage(written)
    module = network()
    with pytest.raises(ConfigError) as error:
        load_weights(module, written)
    assert message in str(error.value)
    assert repr(str(written)) in str(error.value)
    assert "\n" not in str(error.value)
    assert same(module, network())


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (network(classes=5), "'6.bias' is torch.float32 of shape (4,) in the file, torch.float32 of shape (5,) in it"),
        (network().double(), "'0.weight' is torch.float32 of shape (4, 1, 3, 3) in the file, torch.float64"),
        (network()[:2], "'6.bias' is torch.float32 of shape (4,) in the file, missing in it"),
        (nn.Sequential(*network(), nn.Linear(4, 4)), "'7.bias' is missing in the file, torch.float32 of shape (4,)"),
    ],
    ids=["shape", "type", "more", "fewer"],
)
def test_weights_of_another_network_are_refused(module, message, written):
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises(ConfigError) as error:
        load_weights(module, written)
    assert message in str(error.value)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_files_of_others_are_read_where_they_are_allowed(path):
    save_file(network(seed=1).state_dict(), path, {"format": "pt"})
    assert load_weights(other := network(seed=2), path, foreign=True) == {}
    assert same(other, network(seed=1))


def test_the_names_in_a_file_are_those_of_the_state(path, written):
    assert sorted(weight_names(written)) == sorted(network().state_dict())
    foreign(path)
    assert weight_names(path) == ["weight"]


@pytest.mark.parametrize("read", [weight_names, lambda path: load_weights(network(), path, foreign=True)])
@pytest.mark.parametrize("name", ["empty", "text", "pickle", "header", "half", "missing", "folder"])
def test_what_is_no_file_of_tensors_is_refused_by_all(read, name, written):
    damage, message = DAMAGE[name]
    damage(written)
    with pytest.raises(ConfigError, match=re.escape(message.split(";", maxsplit=1)[0])):
        read(written)


FOREIGN = {
    "shape": ({"6.bias": torch.zeros(5)}, "'6.bias' is torch.float32 of shape (5,) in the file, torch.float32 of"),
    "type": ({"6.bias": torch.zeros(4).half()}, "'6.bias' is torch.float16 of shape (4,) in the file, torch.float32"),
    "tiny": ({"6.bias": torch.zeros(4).to(torch.float8_e4m3fn)}, "'6.bias' is torch.float8_e4m3fn of shape (4,)"),
    "more": ({"extra": torch.zeros(4)}, "'extra' is torch.float32 of shape (4,) in the file, missing in it"),
    "infinite": ({"6.bias": torch.full((4,), torch.inf)}, "'6.bias' of "),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_weights_of_others_are_checked_as_ours_are(name, path):
    changes, message = FOREIGN[name]
    save_file(network(seed=1).state_dict() | changes, path)
    module = network()
    with pytest.raises(ConfigError) as error:
        load_weights(module, path, foreign=True)
    assert message in str(error.value)
    assert same(module, network())


@pytest.mark.parametrize("name", ["bit", "about", "entry", "kind"])
def test_a_damaged_file_of_ours_is_none_of_others(name, written):
    damage, message = DAMAGE[name]
    damage(written)
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_weights(network(), written, foreign=True)


def test_weights_with_nan_are_neither_written_nor_read(written):
    module = network()
    with torch.no_grad():
        module[0].weight[0, 0, 0, 0] = float("nan")
    before = written.read_bytes()
    with pytest.raises(ConfigError, match=r"'0.weight' of '.*' holds NaN or infinite values"):
        save_weights(module, written)
    assert written.read_bytes() == before
    assert [file.name for file in written.parent.iterdir()] == [written.name]


def test_what_is_known_has_to_be_json(path):
    with pytest.raises(ConfigError, match="cannot be written as JSON"):
        save_weights(network(), path, {"when": object()})
    with pytest.raises(ConfigError, match="cannot be written as JSON"):
        save_weights(network(), path, {"loss": float("nan")})
    assert not path.exists()


@pytest.mark.parametrize("place", ["missing/weights", "."])
def test_a_place_that_cannot_be_written_is_named(place, tmp_path):
    with pytest.raises(ConfigError, match="cannot be written"):
        save_weights(network(), tmp_path / place)


def test_a_state_that_is_no_tensor_is_named(path):
    class Odd(nn.Module):
        def get_extra_state(self):
            return {"bits": 5}

        def set_extra_state(self, state):
            """Takes nothing."""

    with pytest.raises(ConfigError, match="state '_extra_state' of the network is a dict; expected a tensor"):
        save_weights(Odd(), path)


def stepped(kind, seed, **options):
    """A network and an optimiser after two steps, the second of which leaves the head out."""
    model = network(seed).to(memory_format=torch.channels_last)
    optimiser = kind(model.parameters(), lr=0.1, **options)
    for parts in (model, model[:5]):
        optimiser.zero_grad()
        parts(torch.ones(2, 1, 5, 5)).square().sum().backward()
        optimiser.step()
    return model, optimiser


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (torch.optim.SGD, {}),
        (torch.optim.SGD, {"momentum": 0.9, "fused": True}),
        (torch.optim.Adam, {"foreach": True}),
        (torch.optim.AdamW, {"fused": True}),
    ],
)
def test_the_state_of_an_optimiser_comes_back(kind, options, path):
    model, optimiser = stepped(kind, 1, **options)
    save_training(path, model, optimiser, {"seed": 1}, [{"epoch": 1}])
    other, restored = stepped(kind, 2, **options)
    assert load_training(path, other, restored, {"seed": 1}) == [{"epoch": 1}]
    assert same(model, other)
    pairs = zip(model.parameters(), other.parameters(), strict=True)
    for old, new in pairs:
        assert optimiser.state[old].keys() == restored.state[new].keys()
        for name, value in optimiser.state[old].items():
            found = restored.state[new][name]
            assert found is None if value is None else torch.equal(found, value) and found.stride() == value.stride()


def test_a_checkpoint_of_another_training_is_refused_with_what_differs(path):
    model, optimiser = stepped(torch.optim.SGD, 1)
    save_training(path, model, optimiser, {"seed": 1, "data": "rows", "recipe.batch": 8}, [])
    other, fresh = stepped(torch.optim.SGD, 2)
    with pytest.raises(ConfigError) as error:
        load_training(path, other, fresh, {"seed": 2, "data": "rows", "recipe.steps": 9})
    assert str(error.value) == (
        f"checkpoint {str(path)!r} is of another training: recipe.batch is 8 there and None here; "
        f"recipe.steps is None there and 9 here; seed is 1 there and 2 here"
    )
    assert same(other, stepped(torch.optim.SGD, 2)[0])


def test_weights_are_no_checkpoint(written):
    with pytest.raises(ConfigError, match="holds weights of format 1; expected training of format 1"):
        load_training(written, *stepped(torch.optim.SGD, 1), {})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimiser.0.exp_avg": torch.zeros(2)}, "state '0.exp_avg' of its optimiser is torch.float32 of shape (2,)"),
        ({"optimiser.99.exp_avg": torch.zeros(2)}, "state '99.exp_avg' of its optimiser"),
        ({"optimiser.x": torch.zeros(2)}, "state 'x' of its optimiser is torch.float32 of shape (2,); expected none"),
        ({"optimiser.0.step": torch.zeros(2)}, "state '0.step' of its optimiser is torch.float32 of shape (2,)"),
        ({"optimiser.0.exp_avg": None}, "state 0 of its optimiser has exp_avg_sq, step; expected exp_avg"),
        ({"model.0.weight": torch.zeros(1)}, "'0.weight' is torch.float32 of shape (1,) in the file"),
        ({"rows": [1]}, "has no settings or no log of a training"),
        ({"rows": [{"epoch": 2}]}, "has no settings or no log of a training"),
        ({"settings": 3}, "has no settings or no log of a training"),
    ],
)
def test_a_checkpoint_of_sound_form_with_other_contents_is_refused(changes, message, path):
    model, optimiser = stepped(torch.optim.Adam, 1)
    save_training(path, model, optimiser, {"seed": 1}, [{"epoch": 1}])
    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["moopim"])
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    tensors |= {name: value for name, value in changes.items() if "." in name}
    tensors = {name: value for name, value in tensors.items() if value is not None}
    about = header["about"] | {name: value for name, value in changes.items() if "." not in name}
    save_file(tensors, path, {"moopim": json.dumps(header | {"about": about, "checksum": _checksum(tensors, about)})})
    other, fresh = stepped(torch.optim.Adam, 2)
    with pytest.raises(ConfigError) as error:
        load_training(path, other, fresh, {"seed": 1})
    assert message in str(error.value)
    assert same(other, stepped(torch.optim.Adam, 2)[0])


def test_the_numbers_of_a_file_are_counted_without_reading_them(written):
    assert count_values(written) == sum(value.numel() for value in network().state_dict().values())
