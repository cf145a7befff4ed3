"""``moopim evaluate noc``: BookSim's traffic through the command, and what is wrong with a file in one line."""

from pathlib import Path

import pandas as pd
import pytest

from moopim.cli.entry import main

REFERENCE = Path(__file__).parent / "reference" / "hunt"
HEADER = "case,src,dst,packets_per_cycle"


def invoke(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", "noc", *map(str, arguments)])
    return stop.value.code, *capsys.readouterr()


def test_traffic_of_booksim_through_the_command(capsys, tmp_path):
    code, out, _ = invoke(capsys, REFERENCE / "booksim_public_traffic.csv", "-o", tmp_path / "out.csv")
    assert code == 0
    assert out == "20 cases, 0 beyond saturation; busiest link: 0.75 flits per cycle in P02\n"
    found = pd.read_csv(tmp_path / "out.csv")
    expected = pd.read_csv(REFERENCE / "booksim_public.csv")
    assert found.columns.tolist() == ["case", "packet_latency_cycles", "hops", "max_link_util", "saturated"]
    assert found["case"].tolist() == expected["case"].tolist()
    error = (found["packet_latency_cycles"] / expected["packet_latency_cycles"] - 1).abs()
    assert error[found["case"] != "P02"].mean() < 0.08
    # There, ports count as links, which may be the busiest.
    assert (found["max_link_util"] <= expected["max_link_util_analytic"] + 1e-6).all()
    assert not found["saturated"].any()


def test_flows_of_a_case_add_up_wherever_they_stand(capsys, tmp_path):
    (tmp_path / "in.csv").write_text(f"{HEADER}\nx,0,1,.05\ny,5,5,0.1\nx,0,1,.05\nz,0,1,.3\nw,0,1,0\n")
    assert invoke(capsys, tmp_path / "in.csv", "-o", tmp_path / "out.csv")[0] == 0
    x, y, z, w = (tmp_path / "out.csv").read_text().splitlines()[1:]
    name, latency, hops, load, saturated = x.split(",")
    assert (name, saturated) == ("x", "false")
    assert [float(latency), float(hops), float(load)] == pytest.approx([8.53 + 4.08 + 4 * 0.4 / 1.2, 1.0, 0.4])
    assert y == "y,8.53,0.0,0.0,false"
    assert z.startswith("z,,1.0,1.2,true")
    assert w == "w,,,0.0,false"


def test_paper_mode_has_no_waiting(capsys, tmp_path):
    (tmp_path / "in.csv").write_text(f"{HEADER}\nx,0,63,.2\n")
    assert invoke(capsys, tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--mode", "paper")[0] == 0
    assert float((tmp_path / "out.csv").read_text().split(",")[-4]) == pytest.approx(8.53 + 4.08 * 9)


def test_a_stack_of_ones_own(capsys, tmp_path):
    (tmp_path / "own.toml").write_text("[stack]\ntiers = 2\nmesh = 3\n")
    (tmp_path / "in.csv").write_text(f"{HEADER}\na,0,17,.1\n")
    arguments = (tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--stack", tmp_path / "own.toml")
    assert invoke(capsys, *arguments)[0] == 0
    assert pd.read_csv(tmp_path / "out.csv")["hops"].tolist() == [5.0]
    (tmp_path / "in.csv").write_text(f"{HEADER}\na,0,18,.1\n")
    code, _, err = invoke(capsys, *arguments, "--force")
    assert code == 2
    assert "dst '18' is not allowed; expected a node of the mesh 3 x 3 x 2, 0 .. 17" in err


def test_pictures_of_the_busiest_case_and_of_one_by_name(capsys, tmp_path):
    (tmp_path / "in.csv").write_text(f"{HEADER}\na,0,17,.1\nb,0,17,.2\n")
    arguments = (tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--force", "--plot")
    for picture, more in (("busiest.png", ()), ("b.png", ("--case", "b")), ("a.png", ("--case", "a"))):
        assert invoke(capsys, *arguments, tmp_path / picture, *more)[0] == 0
    pictures = [(tmp_path / name).read_bytes() for name in ("busiest.png", "b.png", "a.png")]
    assert pictures[0] == pictures[1] != pictures[2]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,64,0,.1", "src '64' is not allowed; expected a node of the mesh 4 x 4 x 4, 0 .. 63"),
        ("a,0,-1,.1", "dst '-1' is not allowed"),
        ("a,0,1.5,.1", "dst '1.5' is not allowed"),
        ("a,,1,.1", "src '' is not allowed"),
        ("a,0,1,-.1", "packets_per_cycle is -0.1; expected a number from 0 to 100"),
        ("a,0,1,inf", "packets_per_cycle is inf; expected"),
        ("a,0,1,nan", "packets_per_cycle is nan; expected"),
        ("a,0,1,much", "packets_per_cycle is 'much'; expected"),
        ("a,0,1", "packets_per_cycle is ''; expected"),
        ("a,0,1,.1,5", "more fields than columns; expected 4"),
    ],
)
def test_a_wrong_row_is_named_and_nothing_written(capsys, tmp_path, row, message):
    (tmp_path / "in.csv").write_text(f"{HEADER}\nfirst,0,1,.1\n{row}\n")
    code, _, err = invoke(capsys, tmp_path / "in.csv", "-o", tmp_path / "out.csv")
    assert code == 2
    assert "row 2 (case 'a')" in err
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (None, (), "cannot be read"),
        ("", (), "is empty"),
        (f"{HEADER}\n", (), "has no rows; expected one for each flow"),
        ("case,src,dst\na,0,1\n", (), "has no column 'packets_per_cycle'"),
        (f"{HEADER}\na,0,1,.1\n", ("--mode", "queues"), "unknown mode 'queues' (did you mean 'queue'?)"),
        (f"{HEADER}\na,0,1,.1\n", ("--case", "a"), "expected it with --plot"),
        (f"{HEADER}\na,0,1,.1\n", ("--plot", "p.png", "--case", "b"), "unknown case 'b'"),
        (f"{HEADER}\na,0,1,.1\n", ("--stack", "nowhere.toml"), "nowhere.toml"),
    ],
)
def test_what_cannot_be_used_is_named(capsys, tmp_path, monkeypatch, content, arguments, message):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("in.csv").write_text(content)
    code, _, err = invoke(capsys, "in.csv", "-o", "out.csv", *arguments)
    assert code == 2
    assert message in err
    assert not Path("out.csv").exists()
    assert not Path("p.png").exists()
