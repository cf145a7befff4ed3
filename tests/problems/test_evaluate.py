"""``moopim evaluate hunt``: reference files through the command, options of rows, bad files in one line."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moopim.cli.entry import main
from moopim.problems.hunt import HuntMapping
from moopim.problems.hunt.evaluate import evaluate_file

REFERENCE = Path(__file__).parents[1] / "reference" / "hunt"
INPUTS = ["case", "workload", "dataset", "options", "tiers", "genes", "pace"]
LISTS = ["copies", "levels", "tiles"]
HEADER = "case,workload,tiers,genes,pace"
GENES = "46 1 33 45 35 18 28 5 33 19 20"
FEW_SLOTS = "6 1 31 5 4 18 28 5 3 19 20"
ROW = f"VGG11,RRFS,{GENES},20"


def invoke(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", "hunt", *map(str, arguments)])
    return stop.value.code, *capsys.readouterr()


def evaluate(folder, content, **options):
    """Results of the rows of a file by case."""
    (folder / "in.csv").write_text(content)
    evaluate_file(folder / "in.csv", folder / "out.csv", force=True, **options)
    return pd.read_csv(folder / "out.csv").set_index("case")


def test_the_reference_of_the_system_model(tmp_path):
    text = dict.fromkeys(("options", "genes", *LISTS), str)
    expected = pd.read_csv(REFERENCE / "system_designs.csv", dtype=text, keep_default_na=False)
    expected[INPUTS].sample(frac=1.0, random_state=3).to_csv(tmp_path / "in.csv", index=False)
    evaluate_file(tmp_path / "in.csv", tmp_path / "out.csv")
    found = pd.read_csv(tmp_path / "out.csv", dtype=dict.fromkeys(LISTS, str), keep_default_na=False)
    found = found.set_index("case").loc[expected["case"]].reset_index()
    columns = {quantity.name: quantity.column for quantity in HuntMapping("vgg11").quantities} | {"slowest": "slowest"}
    results = [name for name in expected if name not in (*INPUTS, *LISTS)]
    assert set(found.columns) == {"case", *LISTS, *(columns[name] for name in results)}
    assert found[LISTS].equals(expected[LISTS])
    for name in results:
        ours, theirs = (pd.to_numeric(cells) for cells in (found[columns[name]], expected[name]))
        least = 1e-12 if name == "err" else 0.0
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=least, equal_nan=True, err_msg=name)
    assert (expected["period"] == "").sum() == 26
    assert (pd.to_numeric(expected["violation"]) > 0).sum() == 39


def test_the_reference_of_the_idealised_model(capsys, tmp_path):
    expected = pd.read_csv(REFERENCE / "idealised_designs.csv")
    expected.insert(0, "case", [f"c{i}" for i in range(len(expected))])
    rows = expected.sample(frac=1.0, random_state=3)
    rows.to_csv(tmp_path / "in.csv", index=False)
    options = ("--equations", "idealised", "--traffic", "chain")
    assert invoke(capsys, tmp_path / "in.csv", "-o", tmp_path / "out.csv", *options)[0] == 0
    found = pd.read_csv(tmp_path / "out.csv")
    assert found["case"].tolist() == rows["case"].tolist()
    assert {"period_ns", "area_mm2", "power_W", "err"} < set(found)
    for column in found.columns[1:]:
        assert found[column].tolist() == pytest.approx(rows[column].tolist(), rel=1e-11, nan_ok=True), column
    assert found["period_ns"].isna().tolist() == rows["period_ns"].isna().tolist()


def test_results_are_empty_without_a_tier_for_gradients_and_where_heat_runs_away(tmp_path):
    content = f"{HEADER},options\nnone,vgg11,RFRF,{GENES},63,\n"
    content += f"hot,VGG11,SSSS,{GENES},63,S.static_mW=2500;gated_share=1\nfine,VGG11,RFRS,{GENES},63,\n"
    rows = evaluate(tmp_path, content)
    assert rows.loc["none", "violation"] == 1
    assert rows.loc["hot", "violation"] >= 1
    for case in ("none", "hot"):
        assert rows.loc[case].drop("violation").isna().all()
    assert rows.loc["fine"].notna().all()
    assert rows.loc["fine", "copies"] == " ".join(["1"] * 11)


def test_options_of_a_row_go_before_those_of_the_command(tmp_path):
    options = ["precision=fp32;kappa=2;max_power=3", "", "wear=tier;devices=S:lstp,R,F;R.bp=0"]
    content = f"{HEADER},set,dataset,options\n"
    content += "".join(f'{i},{ROW},,{"cifar100" if i else ""},"{text}"\n' for i, text in enumerate(options))
    given = {"precision": "fp16", "override": "kappa=4,mesh=4", "max": "power=30,area=20", "dataset": "tinyimagenet"}
    rows = evaluate(tmp_path, content, **given)
    alone = [
        {"precision": "fp32", "override": "kappa=2", "max": "power=3,area=20", "dataset": "tinyimagenet"},
        {**given, "dataset": "cifar100"},
        {**given, "dataset": "cifar100", "wear": "tier", "devices": "S:lstp,R,F"},
    ]
    for i, words in enumerate(alone):
        expected = evaluate(tmp_path, f"{HEADER}\n{i},{ROW}\n", **words).loc[i]
        assert expected["violation"] > 0
        assert rows.loc[i].equals(expected), i
    assert rows["gradient_ns"].nunique() == rows["lifetime"].nunique() == 2


def test_rows_of_the_idealised_model_may_differ_in_traffic(tmp_path):
    content = f"case,workload,tiers,genes,options\nchain,VGG11,RRFS,{GENES},traffic=chain\ngraph,VGG11,RRFS,{GENES},\n"
    rows = evaluate(tmp_path, content, equations="idealised")
    assert rows["link_util"].isna().tolist() == [True, False]
    assert rows["period_ns"].nunique() == 2


def test_devices_and_stacks_of_a_row(tmp_path):
    own, stack = tmp_path / "own.toml", tmp_path / "stack.toml"
    own.write_text('[X]\nlike = "R"\nname = "Ours"\n')
    stack.write_text("[stack]\nmesh = 5\n")
    content = f"""{HEADER},options
built in,{ROW},
own,VGG11,XXFS,{GENES},20,"devices=S,F,{own}"
large,{ROW},stack={stack}
three,VGG11,RFS,{FEW_SLOTS},20,tiers=3
"""
    rows = evaluate(tmp_path, content)
    assert (rows["violation"] == 0).all()
    assert rows.loc["own"].equals(rows.loc["built in"])
    large = rows.loc["large"]
    operations = large["tops_per_W"] * large["energy_pJ"]
    area = operations / (1e3 * large["period_ns"] * large["tops_per_mm2_stack"])
    assert area == pytest.approx(1.6 * 4 * 25, rel=1e-12)
    assert rows["levels"].str.split().map(len).tolist() == [3, 3, 3, 2]


def test_a_limit_that_is_exceeded_leaves_the_results_as_they_are(tmp_path):
    free = evaluate(tmp_path, f"{HEADER}\na,{ROW}\n").loc["a"]
    content = f"{HEADER},options\na,{ROW},max_power=0.5;min_lifetime=1e6\n"
    limited = evaluate(tmp_path, content).loc["a"]
    assert limited["violation"] == pytest.approx(free["power_W"] / 0.5 - 1 + 1 - free["lifetime"] / 1e6, rel=1e-12)
    assert limited.drop("violation").equals(free.drop("violation"))
    barely = evaluate(tmp_path, f"{HEADER}\na,{ROW}\n", max=f"area={free['area_mm2'] - 1e-6}").loc["a"]
    assert (free["violation"], barely["violation"]) == (0, 1e-3)


def test_a_network_that_no_mapping_makes_fit_is_flagged(tmp_path):
    rows = evaluate(tmp_path, f"{HEADER},options\na,VGG11,SSSS,{' '.join('0' * 11)},63,mesh=1\n")
    assert rows.loc["a", "violation"] > 2
    assert np.isnan(rows.loc["a", "period_ns"])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,VGG12,RRFS,0,1", "unknown workload 'VGG12'"),
        (f"a,VGG11,RRXS,{GENES},1", "tiers 'RRXS' are not allowed; expected 4 letters out of SRF"),
        (f"a,VGG11,RRF,{GENES},1", "tiers 'RRF'"),
        ("a,VGG11,RRFS,0 1 2,1", "genes have 3 numbers; expected 11 whole numbers 0 .. 47"),
        (f"a,VGG11,RRFS,{GENES.replace('46', '48')},1", "genes have 48; expected"),
        (f"a,VGG11,RRFS,{GENES.replace('46', '-1')},1", "genes have -1; expected"),
        (f"a,VGG11,RRFS,{GENES.replace('46', '4.5')},1", "gene '4.5' is not allowed"),
        ("a,VGG11,RRFS", "genes have 0 numbers"),
        (f"a,VGG11,RRFS,{GENES.replace('46', '--5')},1", "gene '--5' is not allowed; expected a whole number"),
        (f"a,{ROW},,,,7", "more fields than columns; expected 8"),
        (f"a,VGG11,rrfs,{GENES},1", "tiers 'rrfs' are not allowed"),
        (f"a,VGG11,RRFS,{GENES},64", "pace 64 is not allowed; expected a whole number 0 .. 63"),
        (f"a,VGG11,RRFS,{GENES},-1", "pace -1 is not allowed"),
        (f"a,VGG11,RRFS,{GENES},1.5", "pace '1.5' is not allowed; expected a whole number"),
        (f"a,VGG11,RRFS,{GENES},", "pace '' is not allowed; expected a whole number"),
        (f"a,{ROW},ideal", "unknown factor set 'ideal'"),
        (f"a,{ROW},calibrated", "factors 'calibrated' were fitted to equations 'idealised'; expected 'physical'"),
        (f"a,{ROW},,mnist", "unknown dataset 'mnist'"),
        (f"a,{ROW},,,kapa=4", "unknown option 'kapa' (did you mean 'kappa'?)"),
        (f"a,{ROW},,,precison=fp32", "unknown option 'precison' (did you mean 'precision'?)"),
        (f"a,{ROW},,,Q.endurance=1", "unknown parameter to override 'Q.endurance'"),
        (f"a,{ROW},,,precision=fp33", "unknown precision 'fp33'"),
        (f"a,{ROW},,,kappa", "option 'kappa' is not allowed; expected NAME=VALUE"),
        (f"a,{ROW},,,kappa=4;kappa=5", "option 'kappa' is given twice"),
        (f'a,{ROW},,,"max_peak=330,power=3"', "option 'max_peak=330,power=3' is not allowed; expected NAME=VALUE join"),
        (f"a,{ROW},,,max_heat=4", "unknown max of 'heat'"),
        (f"a,{ROW},,,max_peak=300", "max 'peak=300' is not allowed; expected a number above 300"),
        (f"a,{ROW},,,traffic=chain", "traffic 'chain' is given with equations 'system'"),
        (f"a,{ROW},,,R.read=sideways", "unknown read of device 'R' 'sideways'; allowed: rows, columns, parallel, macs"),
        (f"a,{ROW},,,R.bp=maybe", "serves_back_propagation of device 'R' is 'maybe'; expected true or false"),
        (f"a,{ROW},,,engine_share=0", "engine_share of the gradient engine is 0; expected a number above 0 to below 1"),
        (f"a,{ROW},,,engine_share=1", "engine_share of the gradient engine is 1; expected"),
        (f"a,{ROW},,,engine_share=1e-9", "a unit of the gradient engine takes 847.5 um2, its share of a PE has 0.0016"),
    ],
)
def test_a_wrong_row_is_named_and_nothing_written(capsys, tmp_path, row, message):
    path = tmp_path / "in.csv"
    path.write_text(f"{HEADER},set,dataset,options\nfirst,{ROW}\n{row}\n")
    code, _, err = invoke(capsys, path, "-o", tmp_path / "out.csv")
    assert code == 2
    assert "row 2 (case 'a')" in err
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out.csv").exists()


OLD = f"case,workload,tiers,genes\na,VGG11,RRFS,{GENES}\n"


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (None, (), "cannot be read"),
        ("case,set\na,b\n", (), "has no column 'workload'"),
        (
            OLD,
            (),
            "no column 'pace'; expected case, workload, tiers, genes, pace; designs of the idealised model need ",
        ),
        (f"{HEADER},pace\na,{ROW},1\n", (), "has more than one column 'pace'"),
        (f"{HEADER},datset\na,{ROW},cifar10\n", (), "unknown column 'datset' (did you mean 'dataset'?)"),
        (f"{HEADER},set,set\na,{ROW},,\n", (), "column 'set' is there twice"),
        (f"{HEADER}\na,{ROW}\n", ("--equations", "idealised"), "column 'pace' belongs to equations 'system'"),
        (b"\xff\xfe\x00", (), "cannot be read"),
        (f'{HEADER}\na,VGG11,RRFS,"{GENES}', (), "is not CSV (after line 1)"),
        (f"{HEADER}\na,{ROW}\n", ("--traffic", "grahp"), "unknown --traffic 'grahp' (did you"),
        (f"{HEADER}\na,{ROW}\n", ("--thermal", "foo"), "error: unknown --thermal 'foo'; allowed: hot"),
        (f"{HEADER}\na,{ROW}\n", ("--dataset", "mnist"), "error: unknown dataset 'mnist'; allowed:"),
        (f"{HEADER}\na,{ROW}\n", ("--max", "peak=9"), "error: max 'peak=9' is not allowed; expected a number above 30"),
        (f"{HEADER}\na,{ROW}\n", ("--noc", "paper"), "error: noc 'paper' is given with equations 'system'; expected"),
        (OLD, ("--equations", "paper", "--wear", "tier"), "error: wear 'tier' is given with equations 'paper'; expec"),
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
