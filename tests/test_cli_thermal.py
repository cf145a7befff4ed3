"""``moopim evaluate thermal``: HotSpot's maps through the command, and what is wrong with a file in one line."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moopim.cli.entry import main
from moopim.hardware.thermal import influence_matrix, load_thermal

REFERENCE = Path(__file__).parent / "reference" / "hunt" / "hotspot.csv"
COLUMNS = [f"T{tier}_PE{pe}" for tier in range(1, 5) for pe in range(16)]
HEADER = ",".join(["case", "name", "quantity", *COLUMNS])
ONES = ",".join(["1"] * 64)


def invoke(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", "thermal", *map(str, arguments)])
    return stop.value.code, *capsys.readouterr()


def test_temperatures_are_those_that_hotspot_prints(capsys, tmp_path):
    # Rows of temperatures are in the file too, and ignored.
    code, out, _ = invoke(capsys, REFERENCE, "-o", tmp_path / "out.csv")
    assert code == 0
    assert out.startswith("20 power maps; hottest: 379.77 K in T4_PE7 of P14")
    found = pd.read_csv(tmp_path / "out.csv")
    expected = pd.read_csv(REFERENCE).query("quantity == 'temp_K'")
    assert found.columns.tolist() == ["case", *COLUMNS]
    assert found["case"].tolist() == expected["case"].tolist()
    assert np.abs(found[COLUMNS].to_numpy() - expected[COLUMNS].to_numpy()).max() < 0.006


@pytest.mark.parametrize("mode", ["hotspot", "full", "paper", "paper+"])
def test_modes_are_those_of_the_influence_matrix(capsys, tmp_path, mode):
    # The columns in another order, without the name.
    power = pd.read_csv(REFERENCE).query("quantity == 'power_W'")
    power[[*COLUMNS[::-1], "quantity", "case"]].to_csv(tmp_path / "in.csv", index=False)
    assert invoke(capsys, tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--mode", mode)[0] == 0
    G = influence_matrix(4, 4, 1.6, load_thermal(), mode)
    expected = 300 + power[COLUMNS].to_numpy() @ G.T
    assert pd.read_csv(tmp_path / "out.csv")[COLUMNS].to_numpy() == pytest.approx(expected, rel=1e-12)


def test_a_stack_of_ones_own(capsys, tmp_path):
    (tmp_path / "own.toml").write_text(
        "[stack]\ntiers = 2\nmesh = 3\n[thermal]\nambient_K = 310\n[thermal.tier.2]\nsilicon_um = 50\n"
    )
    names = [f"T{tier}_PE{pe}" for tier in (1, 2) for pe in range(9)]
    header = ",".join(["case", "quantity", *names])
    (tmp_path / "in.csv").write_text(f"{header}\na,power_W,{','.join(['0'] * 18)}\nb,power_W,{','.join(['1'] * 18)}\n")
    code, *_ = invoke(capsys, tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--stack", tmp_path / "own.toml")
    assert code == 0
    found = pd.read_csv(tmp_path / "out.csv", index_col="case")
    assert found.columns.tolist() == names
    assert (found.loc["a"] == 310).all()
    G = influence_matrix(2, 3, 1.6, load_thermal(tmp_path / "own.toml"), "hotspot")
    assert found.loc["b"].tolist() == pytest.approx((310 + G.sum(axis=1)).tolist())


@pytest.mark.parametrize("options", [(), ("--case", "P07", "--mode", "full"), ("--case", "P07", "--mode", "paper")])
def test_a_picture_of_a_case(capsys, tmp_path, options):
    out, picture = tmp_path / "out.csv", tmp_path / "heat.png"
    assert invoke(capsys, REFERENCE, "-o", out, "--plot", picture, *options)[0] == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert out.exists()


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (f"{HEADER}\na,x,power_W,{ONES}\nb,x,power_W,{ONES[:-1]}-1\n", (), "row 2 (case 'b')"),
        (f"{HEADER}\na,x,power_W,{ONES[:-1]}-1\n", (), "T4_PE15 is -1.0 W; expected a number from 0 to 10000 W"),
        (f"{HEADER}\na,x,power_W,x{ONES[1:]}\n", (), "T1_PE0 is 'x'; expected a number from 0 to 10000 W"),
        (f"{HEADER}\na,x,power_W,nan{ONES[1:]}\n", (), "T1_PE0 is nan W"),
        (f"{HEADER}\na,x,power_W,inf{ONES[1:]}\n", (), "T1_PE0 is inf W"),
        (f"{HEADER}\na,x,power_W,{ONES[:-2]}\n", (), "T4_PE15 is ''"),
        (f"{HEADER}\na,x,power_W,{ONES},1\n", (), "more fields than columns"),
        (f"{HEADER},T5_PE0\na,x,power_W,{ONES},1\n", (), "the header has 'T5_PE0'; expected T1_PE0 .. T4_PE15, 64"),
        (f"{HEADER},T1_PE16\na,x,power_W,{ONES},1\n", (), "the header has 'T1_PE16'"),
        (f"{HEADER[:-8]}\na,x,power_W,{ONES[:-2]}\n", (), "the header lacks 'T4_PE15'"),
        (f"{HEADER},T1_PE0\na,x,power_W,{ONES},1\n", (), "the header has more than one 'T1_PE0'"),
        (f"{HEADER}\na,x,power_W,{ONES}\na,y,power_W,{ONES}\n", (), "row 2 (case 'a') of "),
        (f"{HEADER}\na,x,power_W,{ONES}\na,y,power_W,{ONES}\n", (), "case is that of row 1; expected another"),
        (f"{HEADER}\na,x,temp_K,{ONES}\n", (), "have no row of quantity 'power_W'; got 'temp_K'"),
        (f"{HEADER}\n", (), "have no row of quantity 'power_W'; got no rows"),
        ("case,T1_PE0\na,1\n", (), "has no column 'quantity'"),
        (None, (), "cannot be read"),
        (f"{HEADER}\na,x,power_W,{ONES}\n", ("--mode", "exact"), "unknown thermal mode 'exact'"),
        (f"{HEADER}\na,x,power_W,{ONES}\n", ("--case", "b", "--plot", "b.png"), "unknown case 'b'; allowed: a"),
        (f"{HEADER}\na,x,power_W,{ONES}\n", ("--case", "a"), "--case 'a' is the one that --plot shows"),
    ],
)
def test_an_unusable_file_or_option_is_one_line_and_nothing_written(capsys, tmp_path, content, arguments, message):
    if content is not None:
        (tmp_path / "in.csv").write_text(content)
    arguments = [tmp_path / word if word.endswith(".png") else word for word in arguments]
    code, _, err = invoke(capsys, tmp_path / "in.csv", "-o", tmp_path / "out.csv", *arguments)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[thermal]\nsilicon_W_per_mK = -120\n",
            "silicon_W_per_mK of [thermal] is -120 W/(m K); expected",
        ),
        ("[thermal.tier.5]\nsilicon_um = 50\n", "thermal.tier.5 is given; expected one of the tiers, 1 .. 4"),
        ("[thermal]\nspreader_side_mm = 3\n", "spreader_side_mm of the thermal stack is 3; expected at least the side"),
        ("[stack]\ntiers = 3\n", "the header has 'T4_PE0'; expected T1_PE0 .. T3_PE15, 48 columns"),
    ],
)
def test_a_stack_that_cannot_be_used_is_one_line(capsys, tmp_path, text, message):
    (tmp_path / "own.toml").write_text(text)
    code, _, err = invoke(capsys, REFERENCE, "-o", tmp_path / "out.csv", "--stack", tmp_path / "own.toml")
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_an_input_is_not_overwritten(capsys, tmp_path):
    path = tmp_path / "in.csv"
    path.write_text(f"{HEADER}\na,x,power_W,{ONES}\n")
    code, _, err = invoke(capsys, path, "-o", path)
    assert code == 2
    assert "is given twice" in err
