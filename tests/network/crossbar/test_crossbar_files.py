"""Reading layers from files and writing results."""

import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from moopim.errors import ConfigError
from moopim.network.crossbar import evaluate_layer_file, read_layer, write_layer_result

REFERENCE = Path(__file__).parents[2] / "reference" / "crossbar"
CONV, FAULTY, LINEAR = (REFERENCE / f"layer{number}.npz" for number in ("00", "01", "05"))


def changed(path, source=CONV, meta=None, raw_meta=None, drop=(), drop_meta=(), **arrays):
    """A copy of a layer's inputs, changed."""
    with np.load(source) as archive:
        found = {name: archive[name] for name in ("W", "X", "meta", "cells_pos", "cells_neg") if name in archive.files}
    about = {**json.loads(str(found["meta"])), **(meta or {})}
    about = json.dumps({name: value for name, value in about.items() if name not in drop_meta})
    found["meta"] = about if raw_meta is None else raw_meta
    np.savez(path, **{name: array for name, array in {**found, **arrays}.items() if name not in drop})
    return path


def refused(path):
    with pytest.raises(ConfigError) as error:
        read_layer(path)
    text = str(error.value)
    assert text.startswith(f"layer file {str(path)!r}")
    assert "\n" not in text
    return text


def test_results_are_written_whole(tmp_path):
    result = evaluate_layer_file(read_layer(CONV))
    write_layer_result(tmp_path / "out.npz", result)
    assert [path.name for path in tmp_path.iterdir()] == ["out.npz"]
    with np.load(tmp_path / "out.npz") as archive:
        assert sorted(archive.files) == ["Y", "Ycode", "Yint"]
        assert archive["Ycode"].dtype == np.int16
        assert np.array_equal(archive["Y"], result.values)
        assert np.array_equal(archive["Yint"], result.sums)


def test_a_place_that_cannot_be_written_to_is_named(tmp_path):
    result = evaluate_layer_file(read_layer(LINEAR))
    with pytest.raises(ConfigError, match="cannot be written"):
        write_layer_result(tmp_path / "missing" / "out.npz", result)


def test_only_inputs_and_cells_or_weights_are_needed(tmp_path):
    expected = np.load(FAULTY)["Ycode"]
    by_cells = evaluate_layer_file(read_layer(changed(tmp_path / "a.npz", FAULTY, drop=("W",))))
    assert np.array_equal(by_cells.codes, expected)
    by_weights = evaluate_layer_file(read_layer(changed(tmp_path / "b.npz", FAULTY, drop=("cells_pos", "cells_neg"))))
    assert not np.array_equal(by_weights.codes, expected)
    plain = changed(tmp_path / "c.npz", LINEAR, drop_meta=("kernel", "stride", "padding", "point_shift"))
    assert np.array_equal(evaluate_layer_file(read_layer(plain)).codes, np.load(LINEAR)["Ycode"])


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        ({"weight_bits": 1}, "weight_bits has 1 bits"),
        ({"weight_bits": 17}, "2 .. 16"),
        ({"activation_bits": 2.5}, "activation_bits=2.5"),
        ({"adc_bits": 1}, "adc_bits=1 of a circuit is not allowed; expected a whole number 2..16"),
        ({"dac_bits": 9}, "dac_bits=9"),
        ({"cell_bits": 0}, "cell_bits=0"),
        ({"cell_bits": "two"}, "cell_bits='two'"),
        ({"xbar_rows": 8}, "rows=8 of a crossbar are too few for a kernel of 9"),
        ({"dac_num": 0}, "dacs=0"),
        ({"type": "pool"}, "unknown type of 'meta' 'pool'"),
        ({"adc_action": ["SCALE"]}, "unknown adc_action of 'meta'"),
        ({"weight_scale": 0}, "weight_scale=0.0"),
        ({"output_scale": float("nan")}, "output_scale=nan"),
        ({"padding": -1}, "padding=(-1, -1)"),
        ({"kernel": 5}, "'W' has shape (8, 3, 3, 3); expected (outputs, 3, 5, 5)"),
        ({"type": "fc"}, "'X' has type int16 and shape (2, 3, 6, 6)"),
        ({"weight_bits": 5}, "weights hold"),
    ],
)
def test_a_circuit_that_is_not_allowed_is_refused(meta, words, tmp_path):
    assert words in refused(changed(tmp_path / "layer.npz", meta=meta))


@pytest.mark.parametrize("field", ["type", "adc_bits", "weight_scale", "xbar_rows", "adc_action"])
def test_a_missing_field_is_named(field, tmp_path):
    assert f"field {field!r} of 'meta' is missing" in refused(changed(tmp_path / "layer.npz", drop_meta=(field,)))


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"X": np.full((2, 3, 6, 6), np.nan)}, "'X' hold NaN or infinity"),
        ({"W": np.full((8, 3, 3, 3), np.inf)}, "'W' hold NaN or infinity"),
        ({"W": np.full((8, 3, 3, 3), 0.5)}, "'W' holds numbers that are no codes"),
        ({"X": np.full((2, 3, 6, 6), 256)}, "inputs hold 256; expected -255..255 for 9 bits"),
        ({"X": np.zeros((2, 3, 2, 2), np.int16)[:, :, :0]}, "'X' has type int16 and shape (2, 3, 0, 2)"),
        ({"W": np.array(["a"])}, "'W' has type <U1"),
        ({"cells_pos": np.zeros((8, 8, 27))}, "'cells_pos' is there alone"),
        (
            {"cells_pos": np.zeros((7, 8, 27)), "cells_neg": np.zeros((7, 8, 27))},
            "positive cells have shape (7, 8, 27)",
        ),
        ({"cells_pos": np.zeros((8, 8, 27)), "cells_neg": np.full((8, 8, 27), np.nan)}, "'cells_neg' hold NaN"),
        ({"raw_meta": "{"}, "'meta' is no JSON"),
        ({"raw_meta": "[]"}, "'meta' is a JSON list"),
        ({"raw_meta": np.zeros(3)}, "'meta'"),
    ],
)
def test_arrays_that_are_not_allowed_are_refused(arrays, words, tmp_path):
    assert words in refused(changed(tmp_path / "layer.npz", **arrays))


@pytest.mark.parametrize("name", ["X", "W", "meta"])
def test_a_missing_array_is_named(name, tmp_path):
    assert f"{name!r} is missing" in refused(changed(tmp_path / "layer.npz", drop=(name,)))


def test_pickled_objects_are_not_loaded(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "exploded",))

    path = changed(tmp_path / "layer.npz", X=np.array([Bomb()], dtype=object))
    assert "no .npz file of plain arrays" in refused(path)
    (tmp_path / "whole.npz").write_bytes(pickle.dumps(Bomb()))
    refused(tmp_path / "whole.npz")
    assert not (tmp_path / "exploded").exists()


def test_files_of_another_kind_are_refused(tmp_path):
    assert "does not exist" in refused(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("hello")
    refused(tmp_path / "text.npz")
    (tmp_path / "empty.npz").write_bytes(b"")
    refused(tmp_path / "empty.npz")
    (tmp_path / "cut.npz").write_bytes(CONV.read_bytes()[:3000])
    refused(tmp_path / "cut.npz")
    np.save(tmp_path / "one.npy", np.zeros(3))
    assert "holds one array" in refused((tmp_path / "one.npy").rename(tmp_path / "one.npz"))


@pytest.mark.parametrize(
    ("shape", "descr", "message"),
    [
        ((2, 3, 10**6, 10**6), "<i2", "expected at most 8,388,608 values"),
        ((3000, 1000, 1000), "<i2", "'X' has shape (3000, 1000, 1000) and type int16; expected at most"),
        ((-1, 3), "<i2", "'X' has shape (-1, 3)"),
        ((2, 3), "<i2", "'X' has another length than its shape says"),
        ((2, 3), "|O", "'X' holds objects of type object; expected numbers"),
        ((2, 3), "<U100000000", "'X' has shape (2, 3)"),
    ],
)
def test_an_array_is_refused_by_its_header(shape, descr, message, tmp_path):
    data = io.BytesIO()
    np.lib.format.write_array_header_1_0(data, {"descr": descr, "fortran_order": False, "shape": shape})
    path = changed(tmp_path / "layer.npz", drop=("X",))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("X.npy", data.getvalue() + bytes(10_000_000))
    told = refused(path)
    assert "damaged or no .npz file of plain arrays" in told
    assert message in told
    assert "allow_pickle" not in told


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        ({"weight_bits": 10**400}, "weight_bits=1000"),
        ({"weight_scale": 1e-300, "input_scale": 1e-300}, "expected a finite ratio above 0"),
        ({"stride": 2**63}, "expected at most 4096"),
        ({"padding": 4096}, "padding=4096 of 'meta' is not allowed; expected at most kernel=3"),
    ],
)
def test_numbers_that_no_layer_has_are_refused(meta, words, tmp_path):
    assert words in refused(changed(tmp_path / "layer.npz", meta=meta))


def test_meta_that_is_nested_without_end_is_refused(tmp_path):
    assert "'meta' is nested too deep" in refused(changed(tmp_path / "layer.npz", raw_meta="[" * 60_000))
