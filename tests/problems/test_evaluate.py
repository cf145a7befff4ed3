"""``moopim evaluate hunt``: the reference file through the command, and what is wrong with a file in one line."""

from pathlib import Path

import pandas as pd
import pytest

from moopim.cli.entry import main

REFERENCE = Path(__file__).parents[1] / "reference" / "hunt" / "idealised_designs.csv"
HEADER = "case,set,workload,tiers,genes"
GENES = "46 1 33 45 35 18 28 5 33 19 20"


def invoke(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", "hunt", *map(str, arguments)])
    return stop.value.code, *capsys.readouterr()


def test_the_reference_designs_through_the_command(capsys, tmp_path):
    expected = pd.read_csv(REFERENCE)
    expected.assign(case=range(len(expected))).to_csv(tmp_path / "in.csv", index=False)
    code, *_ = invoke(capsys, tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--traffic", "chain")
    assert code == 0
    found = pd.read_csv(tmp_path / "out.csv")
    assert found["case"].tolist() == list(range(len(expected)))
    for column in found.columns[1:]:
        assert found[column].tolist() == pytest.approx(expected[column].tolist(), rel=1e-11, nan_ok=True), column
    assert found["period_ns"].isna().equals(expected["period_ns"].isna())


def test_numbers_are_written_in_full_and_infeasible_ones_left_empty(capsys, tmp_path):
    path = tmp_path / "in.csv"
    path.write_text(f"{HEADER}\nx,physical,vgg11,RFRF,{GENES}\ny,physical,VGG11,RFRS,{GENES}\n")
    assert invoke(capsys, path, "-o", tmp_path / "out.csv")[0] == 0
    first, second = (tmp_path / "out.csv").read_text().splitlines()[1:]
    assert first == "x,1.0,29.6,,,,,,,,"
    assert all(float(word) >= 0 for word in second.split(",")[1:])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,ideal,VGG11,RRFS,0", "unknown factor set 'ideal'"),
        ("a,physical,VGG12,RRFS,0", "unknown workload 'VGG12'"),
        (f"a,physical,VGG11,RRXS,{GENES}", "tiers 'RRXS' are not allowed; expected 4 letters out of SRF"),
        (f"a,physical,VGG11,RRF,{GENES}", "tiers 'RRF'"),
        ("a,physical,VGG11,RRFS,0 1 2", "genes have 3 numbers; expected 11 whole numbers 0 .. 47"),
        (f"a,physical,VGG11,RRFS,{GENES.replace('46', '48')}", "genes have 48; expected"),
        (f"a,physical,VGG11,RRFS,{GENES.replace('46', '-1')}", "genes have -1; expected"),
        (f"a,physical,VGG11,RRFS,{GENES.replace('46', '4.5')}", "gene '4.5' is not allowed"),
        ("a,physical,VGG11,RRFS", "genes have 0 numbers"),
        (f"a,physical,VGG11,RRFS,{GENES.replace('46', '--5')}", "gene '--5' is not allowed; expected a whole number"),
        (f"a,physical,VGG11,RRFS,{GENES},7", "more fields than columns; expected 5"),
        (f"a,physical,VGG11,rrfs,{GENES}", "tiers 'rrfs' are not allowed"),
    ],
)
def test_a_wrong_row_is_named_and_nothing_written(capsys, tmp_path, row, message):
    path = tmp_path / "in.csv"
    path.write_text(f"{HEADER}\nfirst,physical,VGG11,RRFS,{GENES}\n{row}\n")
    code, _, err = invoke(capsys, path, "-o", tmp_path / "out.csv")
    assert code == 2
    assert "row 2 (case 'a')" in err
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (None, (), "cannot be read"),
        ("case,set\na,b\n", (), "has no column 'workload'"),
        (f"{HEADER}\na,physical,VGG11,RRFS,{GENES}\n", ("--traffic", "grahp"), "unknown --traffic 'grahp' (did you"),
        (
            f"{HEADER}\na,physical,VGG11,RRFS,{GENES}\n",
            ("--thermal", "foo"),
            "error: unknown --thermal 'foo'; allowed: hot",
        ),
        (
            f"{HEADER}\na,physical,VGG11,RRFS,{GENES}\n",
            ("--dataset", "mnist"),
            "error: unknown dataset 'mnist'; allowed:",
        ),
        (b"\xff\xfe\x00", (), "cannot be read"),
        (f'{HEADER}\na,physical,VGG11,RRFS,"{GENES}', (), "is not CSV (after line 1)"),
    ],
)
def test_an_unusable_file_is_named(capsys, tmp_path, content, arguments, message):
    path = tmp_path / "in.csv"
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    code, _, err = invoke(capsys, path, "-o", tmp_path / "out.csv", *arguments)
    assert code == 2
    assert message in err
    assert not (tmp_path / "out.csv").exists()


def test_rows_keep_their_order_across_networks_and_factor_sets(capsys, tmp_path):
    expected = pd.read_csv(REFERENCE).sample(frac=1.0, random_state=3)
    expected.insert(0, "case", [f"c{i}" for i in expected.index])
    expected.to_csv(tmp_path / "in.csv", index=False)
    assert invoke(capsys, tmp_path / "in.csv", "-o", tmp_path / "out.csv")[0] == 0
    found = pd.read_csv(tmp_path / "out.csv")
    assert found["case"].tolist() == expected["case"].tolist()
    assert found["area_mm2"].tolist() == pytest.approx(expected["area_mm2"].tolist(), rel=1e-12)


def test_an_output_that_cannot_be_written_is_named(capsys, tmp_path):
    (tmp_path / "in.csv").write_text(f"{HEADER}\na,physical,VGG11,RRFS,{GENES}\n")
    code, _, err = invoke(capsys, tmp_path / "in.csv", "-o", tmp_path / "nowhere" / "out.csv")
    assert code == 2
    assert "cannot be written" in err


def test_the_input_is_not_overwritten(capsys, tmp_path):
    path = tmp_path / "in.csv"
    path.write_text(f"{HEADER}\na,physical,VGG11,RRFS,{GENES}\n")
    before = path.read_bytes()
    code, _, err = invoke(capsys, path, "-o", path)
    assert code == 2
    assert err.count("\n") == 1
    assert path.read_bytes() == before
