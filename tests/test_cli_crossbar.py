"""``moopim evaluate crossbar``: the reference layers, fused or not; what it refuses before anything is written."""

import json
from pathlib import Path

import numpy as np
import pytest

from moopim.cli.entry import main

REFERENCE = Path(__file__).parent / "reference" / "crossbar"
LAYERS = sorted(REFERENCE.glob("*.npz"))


def invoke(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        main(["evaluate", "crossbar", *map(str, arguments)])
    out, err = capsys.readouterr()
    return end.value.code, out, err


@pytest.mark.parametrize("options", [(), ("--no-fuse",)])
def test_the_reference_layers_have_the_codes_of_mnsim(capsys, tmp_path, options):
    code, out, err = invoke(capsys, *LAYERS, "-o", tmp_path / "new" / "folder", *options)
    assert (code, err) == (0, "")
    assert out.startswith(f"{len(LAYERS)} layers; written to ")
    for path in LAYERS:
        with np.load(path) as reference, np.load(tmp_path / "new" / "folder" / path.name) as found:
            meta = json.loads(str(reference["meta"]))
            wrong = np.abs(reference["Ycode"].astype(int) - found["Ycode"])
            if meta["power_of_two_scales"]:
                assert not wrong.any(), path.name
                assert np.array_equal(found["Yint"], reference["Yint"])
            else:
                assert wrong.max() <= 1
                assert (wrong > 0).mean() <= 0.01
            assert found["Ycode"].dtype == np.int16
            theta = 2 ** (meta["activation_bits"] - 1) - 1
            assert np.allclose(found["Y"], found["Ycode"] * meta["output_scale"] / theta, rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.npz", "-o", "out"], "'none.npz' does not exist"),
        ([LAYERS[0], "broken.npz", "-o", "out"], "'broken.npz' is damaged"),
        ([LAYERS[0], LAYERS[0], "-o", "out"], "2 layer files are called 'layer00'"),
        ([LAYERS[0], "-o", LAYERS[0].parent], "would replace a layer file"),
        ([LAYERS[0], "-o", "broken.npz"], "output folder 'broken.npz' cannot be made"),
        ([LAYERS[0], "-o", "out", "--device", "abacus"], "device 'abacus' cannot be used"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    Path("broken.npz").write_bytes(LAYERS[1].read_bytes()[:200])
    code, out, err = invoke(capsys, *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["broken.npz"]
