"""Tables of CrossNAS: the published numbers against the paper's text, baselines, and own rows beside them."""

import numpy as np
import pandas as pd
import pytest

from moopim import ConfigError
from moopim.constants import read_table
from moopim.problems.crossnas.paper_tables import COLUMNS, NETWORKS, TABLES, baseline_rows, paper_table, published_rows

ACCURATE, SMALL = "CrossNAS (w_acc 0.99)", "CrossNAS (w_acc 0.8)"


@pytest.fixture(params=TABLES)
def table(request):
    return request.param


def by_method(table):
    return published_rows(table).set_index("method")


def own(**columns):
    return pd.DataFrame({"method": ["one", "two"], "edp_mJ_ms": [0.28, 0.073]} | columns)


def test_a_table_has_the_rows_and_columns_of_the_paper(table):
    frame = published_rows(table)
    assert list(frame.columns) == list(COLUMNS)
    assert len(frame) == {2: 7, 3: 5, 4: 5}[table]
    assert frame["quoted"].all()
    assert frame["source"].str.contains(f"arXiv 2505.22868, Table {table} ", regex=False).all()
    assert frame["accuracy"].between(0, 1).all()
    assert (frame["method"].tail(2) == [ACCURATE, SMALL]).all()


def test_what_the_paper_does_not_print_is_nan():
    known = {table: published_rows(table).select_dtypes("float").count().sum() for table in TABLES}
    # Table 2 has 28 figures, of which 5 are "-"; Tables 3 and 4 have 25 each.
    assert known == {2: 23, 3: 25, 4: 25}
    nas = by_method(2)
    assert nas.loc[["UAE", "NAS4RRAM"], ["latency_ms", "edp_mJ_ms"]].isna().all(axis=None)
    assert np.isnan(nas.loc["NACIM", "latency_ms"])


def test_every_column_of_the_file_says_its_unit_kind_and_source(table):
    columns = read_table("moopim.problems.crossnas", "published.toml")[f"table{table}"]["columns"]
    assert {column["kind"] for column in columns.values()} == {"paper"}
    assert all(column["unit"] and f"Table {table}" in column["source"] for column in columns.values())


@pytest.mark.parametrize("table", [3, 4])
def test_printed_edp_is_printed_energy_times_latency_within_rounding(table):
    frame = published_rows(table)
    # Half a unit of the last printed digit: two digits behind the point, three in the row of w_acc 0.8.
    half = np.where(frame["method"] == SMALL, 0.0005, 0.005)
    energy, latency = frame["energy_mJ"], frame["latency_ms"]
    assert (frame["edp_mJ_ms"] >= (energy - half) * (latency - half) - half).all()
    assert (frame["edp_mJ_ms"] <= (energy + half) * (latency + half) + half).all()


def test_accuracies_differ_by_the_points_that_the_text_gives():
    def points(table, method, other):
        frame = by_method(table)["accuracy"]
        return round(100 * (frame[method] - frame[other]), 2)

    assert (points(2, ACCURATE, "Gibbon (acc opt.)"), points(2, ACCURATE, "NACIM")) == (2.07, 17.37)
    assert points(2, SMALL, "Gibbon (edp opt.)") == 4.69
    assert (points(3, ACCURATE, "ResNet18"), points(3, ACCURATE, "AlexNet")) == (1.57, 9.57)
    assert [points(4, ACCURATE, name) for name in NETWORKS] == [12.45, 2.35, -2.75]
    assert points(4, SMALL, "AlexNet") == pytest.approx(3, abs=0.02)


@pytest.mark.parametrize(
    ("table", "method", "other", "expected"),
    [
        (2, ACCURATE, "Gibbon (acc opt.)", 6.0),
        (2, SMALL, "Gibbon (edp opt.)", 3.6),
        (2, SMALL, "NACIM", 21.2),
        (3, ACCURATE, "AlexNet", 1.35),
        (3, ACCURATE, "VGG16", 61.5),
        (3, SMALL, "AlexNet", 5.2),
        (3, SMALL, "VGG16", 235.9),
        (4, ACCURATE, "ResNet18", 1.62),
        (4, SMALL, "AlexNet", 1.8),
        (4, SMALL, "ResNet18", 22.6),
    ],
)
def test_ratios_of_the_edp_are_those_of_the_text(table, method, other, expected):
    edp = by_method(table).loc[[method], ["edp_mJ_ms"]].reset_index()
    frame = paper_table(table, edp).query("quoted").set_index("method")
    # The text rounds or cuts its ratios after one or two digits.
    assert frame.loc[other, f"edp_over {method}"] == pytest.approx(expected, rel=0.012)


def test_an_unknown_table_is_refused():
    with pytest.raises(ConfigError, match="table 1 of CrossNAS is not known; expected one of 2, 3, 4"):
        published_rows(1)


@pytest.mark.parametrize(("table", "classes"), [(3, 10), (4, 100)])
def test_the_baselines_are_the_rows_of_the_paper_to_the_last_digit(table, classes):
    found, printed = baseline_rows(classes), published_rows(table).head(3)
    assert list(found.columns) == list(COLUMNS)
    assert found["method"].tolist() == printed["method"].tolist() == list(NETWORKS)
    for column in ("energy_mJ", "latency_ms", "edp_mJ_ms", "area_mm2"):
        assert found[column].round(2).tolist() == printed[column].tolist(), column
    assert not found["quoted"].any()
    assert found["accuracy"].isna().all()


def test_baselines_take_another_chip_mode_and_measured_accuracies():
    first, other = baseline_rows(), baseline_rows(accuracies={"VGG16": 0.9}, crossbar=256, adc_bits=8, dac_bits=1)
    assert other["accuracy"].tolist() == pytest.approx([np.nan, 0.9, np.nan], nan_ok=True)
    assert (first["energy_mJ"] != other["energy_mJ"]).all()
    assert other["source"][0].startswith("moopim, profile paper, crossbar 256, ADC 8 bit, DAC 1 bit, mode compat")
    assert (baseline_rows(mode="physical")["energy_mJ"] != first["energy_mJ"]).all()
    assert (baseline_rows(profile="cur")["area_mm2"] != first["area_mm2"]).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"accuracies": {"vgg": 0.9}}, r"unknown baseline 'vgg' \(did you mean 'VGG16'\?\)"),
        ({"accuracies": {"VGG16": 90}}, r"accuracy 90 of VGG16 is not allowed; expected a share, 0 \.\. 1"),
        ({"adc_bits": 5}, "adc_bits is 5; expected one of 1, 4, 6, 8, 10"),
        ({"mode": "exact"}, "exact"),
    ],
)
def test_baselines_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        baseline_rows(**wrong)


def test_our_rows_come_first_then_the_baselines_then_the_quoted_ones(table):
    ours = own(accuracy=[0.9, 0.8], note=["not", "kept"], source="digits")
    frame = paper_table(table, ours)
    assert list(frame.columns) == [*COLUMNS, "edp_over one", "edp_over two"]
    assert frame["method"].head(2).tolist() == ["one", "two"]
    assert frame["source"].head(2).tolist() == ["digits", "digits"]
    evaluated = 2 + (0 if table == 2 else 3)
    assert frame["quoted"].tolist() == [False] * evaluated + [True] * len(published_rows(table))
    assert np.diag(frame.iloc[:2, -2:]).tolist() == [1, 1]
    assert frame["edp_over two"].to_numpy() == pytest.approx(frame["edp_mJ_ms"].to_numpy() / 0.073, nan_ok=True)
    pd.testing.assert_frame_equal(frame.iloc[evaluated:, :-2].reset_index(drop=True), published_rows(table))


def test_other_rows_may_take_the_place_of_the_baselines():
    others = baseline_rows(accuracies={"AlexNet": 0.8})
    assert paper_table(2, own(), others)["accuracy"].iloc[2] == 0.8
    assert len(paper_table(3, own(), others.head(1))) == 2 + 1 + 5


@pytest.mark.parametrize(
    ("ours", "message"),
    [
        (own().drop(columns="method"), "unknown column 'method'; allowed: edp_mJ_ms"),
        (own(method=["one", "one"]), "method 'one' is there twice"),
        (own(edp_mJ_ms=[0.1, 0.0]), r"EDP of 'two' is 0\.0; expected a positive number"),
        (own(edp_mJ_ms=[np.nan, 1.0]), r"EDP of 'one' is nan; expected a positive number"),
    ],
)
def test_rows_that_cannot_be_compared_are_refused(ours, message):
    with pytest.raises(ConfigError, match=message):
        paper_table(3, ours)
