"""``moopim evaluate hunt``: the reference files, options of rows, and what is wrong with a file in one line."""

from pathlib import Path

import pandas as pd
import pytest

from moopim.cli.entry import main
from moopim.problems.hunt.evaluate import evaluate_file

REFERENCE = Path(__file__).parents[1] / "reference" / "hunt"
HEADER = "case,workload,tiers,genes,pace"
GENES = "46 1 33 45 35 18 28 5 33 19 20"
FEW_SLOTS = "6 1 31 5 4 18 28 5 3 19 20"
ROW = f"VGG11,RRFS,{GENES},10"
UNITS = {"period": "ns", "area": "mm2", "energy": "pJ", "power": "W", "peak": "K"}
LISTS = ("copies", "levels", "tiles")
INPUTS = ("workload", "dataset", "options", "tiers", "genes", "pace")


def invoke(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", "hunt", *map(str, arguments)])
    return stop.value.code, *capsys.readouterr()


@pytest.fixture
def evaluate(tmp_path):
    """Evaluates rows; gives the frame that is written."""

    def run(*rows, header=HEADER, **options):
        path = tmp_path / "in.csv"
        path.write_text("\n".join([header, *rows]) + "\n")
        evaluate_file(path, tmp_path / "out.csv", force=True, **options)
        return pd.read_csv(tmp_path / "out.csv", index_col="case")

    return run


def test_every_result_of_the_reference_designs(tmp_path):
    expected = (
        pd.read_csv(REFERENCE / "system_designs.csv")
        .drop(columns=list(INPUTS))
        .rename(columns={name: f"{name}_{unit}" for name, unit in UNITS.items()})
    )
    evaluate_file(REFERENCE / "system_designs.csv", tmp_path / "out.csv")
    found = pd.read_csv(tmp_path / "out.csv")
    assert list(found) == list(expected)
    assert len(found) == 143
    for column in found:
        if column in LISTS:
            assert found[column].fillna("").tolist() == expected[column].fillna("").tolist()
        else:
            tolerance = 1e-12 if column == "err" else 0.0
            wanted = expected[column].tolist()
            assert found[column].tolist() == pytest.approx(wanted, rel=1e-9, abs=tolerance, nan_ok=True), column


def test_the_reference_designs_of_the_idealised_model_through_the_command(capsys, tmp_path):
    # In another order than that of networks and factor sets, which rows keep.
    expected = pd.read_csv(REFERENCE / "idealised_designs.csv").sample(frac=1.0, random_state=3)
    expected.insert(0, "case", [f"c{i}" for i in expected.index])
    expected.to_csv(tmp_path / "in.csv", index=False)
    options = ("--equations", "idealised", "--traffic", "chain")
    assert invoke(capsys, tmp_path / "in.csv", "-o", tmp_path / "out.csv", *options)[0] == 0
    found = pd.read_csv(tmp_path / "out.csv")
    assert found["case"].tolist() == expected["case"].tolist()
    for column in found.columns[1:]:
        assert found[column].tolist() == pytest.approx(expected[column].tolist(), rel=1e-11, nan_ok=True), column
    assert found["period_ns"].isna().tolist() == expected["period_ns"].isna().tolist()


def test_numbers_are_written_in_full_and_results_of_what_does_not_fit_left_empty(capsys, tmp_path):
    path = tmp_path / "in.csv"
    path.write_text(f"{HEADER}\nx,vgg11,RFRF,{GENES},0\ny,VGG11,RFRS,{GENES},0\n")
    assert invoke(capsys, path, "-o", tmp_path / "out.csv")[0] == 0
    header, first, second = (tmp_path / "out.csv").read_text().splitlines()
    assert first == "x,1.0" + "," * (header.count(",") - 1)
    *numbers, copies, levels, tiles = second.split(",")
    assert all(float(word) >= 0 for word in numbers[1:])
    assert [len(words.split()) for words in (copies, levels, tiles)] == [11, 3, 3]


def test_columns_of_a_row_go_before_the_options_of_the_command(evaluate):
    header = f"{HEADER},dataset,options"
    rows = [
        f"given,{ROW},tinyimagenet,precision=fp16;wear=tier;bp_tier=farthest;kappa=2;max_power=3;min_trainings=0.001",
        f"command,{ROW},,",
        f"one,{ROW},,precision=fp16",
    ]
    command = {"precision": "fp32", "override": "kappa=4,R.static_mW=20", "max": "power=5,peak=330"}
    found = evaluate(*rows, header=header, **command)
    alike = {
        "given": {
            "dataset": "tinyimagenet",
            "precision": "fp16",
            "wear": "tier",
            "bp_tier": "farthest",
            "override": "kappa=2,R.static_mW=20",
            "max": "power=3,peak=330",
            "min": "trainings=0.001",
        },
        "command": command,
        "one": command | {"precision": "fp16"},
    }
    for case, options in alike.items():
        alone = evaluate(f"{case},{ROW}", **options)
        assert alone.loc[case].equals(found.loc[case]), case
    assert found["lifetime"].nunique() == 2
    assert found["gradient_ns"].nunique() == 3


def test_devices_and_stacks_of_a_row(evaluate, tmp_path):
    own, stack = tmp_path / "own.toml", tmp_path / "stack.toml"
    own.write_text('[X]\nlike = "R"\nname = "Ours"\n')
    stack.write_text("[stack]\nmesh = 5\n")
    rows = [
        f"built in,{ROW},",
        f'own,VGG11,XXFS,{GENES},10,"devices=S,F,{own}"',
        f"large,{ROW},stack={stack}",
        f"three,VGG11,RFS,{FEW_SLOTS},10,tiers=3",
        f"words,{ROW},F.read=parallel;R.nonvolatile=0;ambient_K=320;F.bp=0",
    ]
    found = evaluate(*rows, header=f"{HEADER},options")
    assert (found["violation"] == 0).all()
    assert found.loc["own"].equals(found.loc["built in"])
    large = found.loc["large"]
    operations = large["tops_per_W"] * large["energy_pJ"]
    area = operations / (1e3 * large["period_ns"] * large["tops_per_mm2_stack"])
    assert area == pytest.approx(1.6 * 4 * 25, rel=1e-12)
    assert found["levels"].str.split().map(len).to_dict() == {name: 2 if name == "three" else 3 for name in found.index}
    assert found.loc["words", "peak_K"] > 320
    assert found.loc["words", "static_pJ"] > found.loc["built in", "static_pJ"]


def test_thermal_runaway_and_broken_limits_are_flagged(evaluate):
    rows = [
        f"hot,VGG11,SSSS,{GENES},10,S.static_mW=2500;gated_share=1",
        f"warm,VGG11,SSSS,{GENES},10,S.static_mW=2500;gated_share=1;max_power=3",
        f"limited,{ROW},max_power=0.5;min_lifetime=1e6",
        f"free,{ROW},",
    ]
    found = evaluate(*rows, header=f"{HEADER},options")
    hot = found.loc["hot"]
    assert hot["violation"] >= 1
    assert hot.drop("violation").isna().all()
    assert found.loc["warm"].equals(hot)
    free, limited = found.loc["free"], found.loc["limited"]
    assert free["violation"] == 0
    assert limited["violation"] == pytest.approx(free["power_W"] / 0.5 - 1 + 1 - free["lifetime"] / 1e6, rel=1e-12)
    assert limited.drop("violation").equals(free.drop("violation"))
    barely = evaluate(f"barely,{ROW}", max=f"area={free['area_mm2'] - 1e-6}")
    assert barely.loc["barely", "violation"] == 1e-3


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (f"VGG12,RRFS,{GENES},0,,,", "unknown workload 'VGG12'"),
        (f"VGG11,RRXS,{GENES},0,,,", "tiers 'RRXS' are not allowed; expected 4 letters out of SRF"),
        (f"VGG11,RRF,{GENES},0,,,", "tiers 'RRF' are not allowed"),
        (f"VGG11,rrfs,{GENES},0,,,", "tiers 'rrfs' are not allowed"),
        ("VGG11,RRFS,0 1 2,0,,,", "genes have 3 numbers; expected 11 whole numbers 0 .. 47"),
        (f"VGG11,RRFS,{GENES.replace('46', '48')},0,,,", "genes have 48; expected"),
        (f"VGG11,RRFS,{GENES.replace('46', '-1')},0,,,", "genes have -1; expected"),
        (f"VGG11,RRFS,{GENES.replace('46', '4.5')},0,,,", "gene '4.5' is not allowed"),
        (f"VGG11,RRFS,{GENES.replace('46', '--5')},0,,,", "gene '--5' is not allowed; expected a whole number"),
        ("VGG11,RRFS", "genes have 0 numbers"),
        (f"VGG11,RRFS,{GENES},64,,,", "pace 64 is not allowed; expected a whole number 0 .. 63"),
        (f"VGG11,RRFS,{GENES},-1,,,", "pace -1 is not allowed"),
        (f"VGG11,RRFS,{GENES},1.5,,,", "pace '1.5' is not allowed; expected a whole number"),
        (f"VGG11,RRFS,{GENES},,,,", "pace '' is not allowed; expected a whole number"),
        (f"VGG11,RRFS,{GENES},9,,,pace_levels=8", "pace 9 is not allowed; expected a whole number 0 .. 7"),
        (f"VGG11,RRFS,{GENES},0,ideal,,", "unknown factor set 'ideal'"),
        (f"VGG11,RRFS,{GENES},0,calibrated,,", "factors 'calibrated' were fitted to equations 'idealised'; expected"),
        (f"VGG11,RRFS,{GENES},0,,mnist,", "unknown dataset 'mnist'"),
        (f"VGG11,RRFS,{GENES},0,,,heat=3", "unknown parameter to override 'heat'"),
        (f"VGG11,RRFS,{GENES},0,,,goals=period", "unknown parameter to override 'goals'"),
        (f"VGG11,RRFS,{GENES},0,,,kappa", "option 'kappa' is not allowed; expected NAME=VALUE, such as kappa=4"),
        (f"VGG11,RRFS,{GENES},0,,,kappa=4;kappa=5", "option 'kappa' is given twice; expected it once"),
        (
            f'VGG11,RRFS,{GENES},0,,,"kappa=4,bits=8"',
            "option 'kappa=4,bits=8' is not allowed; expected NAME=VALUE",
        ),
        (f"VGG11,RRFS,{GENES},0,,,wear=tires", "unknown wear 'tires' (did you mean 'tier'?)"),
        (f"VGG11,RRFS,{GENES},0,,,traffic=chain", "traffic 'chain' is given with equations 'system'"),
        (f"VGG11,RRFS,{GENES},0,,,max_heat=1", "unknown max of 'heat'"),
        (f"VGG11,RRFS,{GENES},0,,,max_peak=300", "max 'peak=300' is not allowed; expected a number above 300"),
        (f"VGG11,RRFS,{GENES},0,,,min_trainings=0", "min 'trainings=0' is not allowed; expected a number above 0"),
        (
            f"VGG11,RRFS,{GENES},0,,,engine_share=1",
            "engine_share of the gradient engine is 1; expected a number",
        ),
        (f"VGG11,RRFS,{GENES},0,,,mac_overhead=1000;pe_area_mm2=0.01", "a unit of the gradient engine takes 2.119e+05"),
        (f"VGG11,RRFS,{GENES},0,,,devices=F", "tiers 'RRFS' are not allowed; expected 4 letters out of F"),
        (f"VGG11,RRFS,{GENES},0,,,,7", "more fields than columns; expected 8"),
    ],
)
def test_a_wrong_row_is_named_and_nothing_written(capsys, tmp_path, row, message):
    path = tmp_path / "in.csv"
    path.write_text(f"{HEADER},set,dataset,options\nfirst,{ROW},physical,cifar10,\na,{row}\n")
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
        (f"{HEADER},pace\na,{ROW},1\n", (), "has 2 columns 'pace'; expected one"),
        (
            f"case,set,workload,tiers,genes\na,calibrated,VGG11,RRFS,{GENES}\n",
            (),
            "has no columns 'pace'; expected one: files of the idealised model go with --equations idealised",
        ),
        (f"{HEADER}\n", (), "has no rows; expected at least one mapping"),
        (f"{HEADER}\na,{ROW}\n", ("--traffic", "grahp"), "unknown --traffic 'grahp' (did you"),
        (f"{HEADER}\na,{ROW}\n", ("--thermal", "foo"), "error: unknown --thermal 'foo'; allowed: hot"),
        (f"{HEADER}\na,{ROW}\n", ("--dataset", "mnist"), "error: unknown dataset 'mnist'; allowed:"),
        (f"{HEADER}\na,{ROW}\n", ("--traffic", "chain"), "error: traffic 'chain' is given with equations 'system'"),
        (
            f"{HEADER}\na,{ROW}\n",
            ("--max", "peak=300"),
            "error: max 'peak=300' is not allowed; expected a number",
        ),
        (f"{HEADER}\na,{ROW}\n", ("--override", "engine_share=2"), "error: engine_share of the gradient engine is 2"),
        (f"{HEADER}\na,{ROW}\n", ("--devices", "R,F:x"), "error: unknown variant of device F 'x'"),
        (b"\xff\xfe\x00", (), "cannot be read"),
        (f'{HEADER}\na,physical,VGG11,RRFS,"{GENES}', (), "is not CSV (after line 1)"),
    ],
)
def test_an_unusable_file_or_option_is_named(capsys, tmp_path, content, arguments, message):
    path = tmp_path / "in.csv"
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    code, _, err = invoke(capsys, path, "-o", tmp_path / "out.csv", *arguments)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out.csv").exists()


def test_an_output_that_cannot_be_written_is_named(capsys, tmp_path):
    (tmp_path / "in.csv").write_text(f"{HEADER}\na,{ROW}\n")
    code, _, err = invoke(capsys, tmp_path / "in.csv", "-o", tmp_path / "nowhere" / "out.csv")
    assert code == 2
    assert "cannot be written" in err


def test_the_input_is_not_overwritten(capsys, tmp_path):
    path = tmp_path / "in.csv"
    path.write_text(f"{HEADER}\na,{ROW}\n")
    before = path.read_bytes()
    code, _, err = invoke(capsys, path, "-o", path)
    assert code == 2
    assert err.count("\n") == 1
    assert path.read_bytes() == before
