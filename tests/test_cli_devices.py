"""The command ``moopim devices``."""

import pytest

from moopim.cli.entry import main
from moopim.hardware.stack.devices import TRUTHS, built_in_devices, load_devices


def invoke(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    out, err = capsys.readouterr()
    return stop.value.code, out, err


def test_the_list_has_every_device_and_its_variants(capsys):
    code, out, err = invoke(capsys, "devices")
    assert (code, err) == (0, "")
    lines = {line.split()[0]: line for line in out.splitlines() if line}
    for letter, table in built_in_devices().items():
        assert table["name"] in lines[letter]
        assert all(variant in lines[letter] for variant in table.get("variants", {}))
    # 48 PEs of ReRAM or FeFET are the paper's "about 75 MB": 48 x 12.58 Mbit / 8.
    assert "12.58 Mbit" in lines["R"]
    assert "12.58 Mbit" in lines["F"]


@pytest.mark.parametrize("name", [*built_in_devices(), "reram", "FeFET:parallel", "s:lstp"])
def test_show_prints_every_figure_with_its_source(capsys, name):
    code, out, err = invoke(capsys, "devices", "show", name)
    assert (code, err) == (0, "")
    letter = {"reram": "R"}.get(name, name[0].upper())
    behaviour = out.partition("\n")[0]
    for word in (*TRUTHS, "read", "noise"):
        assert f"{word} {getattr(load_devices(name)[0], word)}" in behaviour
    assert "no source given" not in out
    for key, entry in built_in_devices()[letter].items():
        if isinstance(entry, dict) and key != "variants":
            line = next(line for line in out.splitlines() if line.startswith(f"{key} "))
            if ":" not in name:
                assert entry["source"] in line
                assert f" {entry['value']:g} " in line
            assert f" {entry['unit']} " in line


def test_a_file_of_ones_own_is_shown_and_checked(capsys, tmp_path):
    path = tmp_path / "own.toml"
    path.write_text('[X]\nlike = "R"\nname = "Ours"\nstatic_mW = 2\n')
    code, out, _ = invoke(capsys, "devices", "show", path)
    assert code == 0
    assert out.startswith("X: name Ours, read columns")
    assert next(line for line in out.splitlines() if line.startswith("static_mW")).endswith("no source given")
    for text, message in (
        ("static_mW = -2", "static_mW of device 'X' is -2 mW; expected 0 or a number from 0.001 to 100000 mW"),
        ("nonvolatile = 1", "nonvolatile of device 'X' is 1; expected true or false"),
    ):
        path.write_text(f'[X]\nlike = "R"\n{text}\n')
        assert invoke(capsys, "devices", "show", path) == (2, "", f"error: {message}\n")


def test_an_unknown_device_is_named(capsys):
    code, out, err = invoke(capsys, "devices", "show", "reran")
    assert (code, out) == (2, "")
    assert err.startswith("error: unknown device 'reran' (did you mean 'reram'?)")
